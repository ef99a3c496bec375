"""The files that the documentation's examples name. They are there in local development mode, and kept nowhere."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Final

from msgspec import Struct

from freddy.server.core.files import File

_SIDE: Final = 64


class _Sample(Struct, frozen=True):
    filename: str
    media_type: str
    content: bytes


class Samples:
    """`organizations` are those that have them."""

    def __init__(self, organizations: Collection[str]) -> None:
        self._organizations = frozenset(organizations)

    def find(self, organization_id: str, file_id: str) -> File | None:
        sample = _samples().get(file_id) if organization_id in self._organizations else None
        if sample is None:
            return None
        return File(
            id=file_id,
            organization_id=organization_id,
            filename=sample.filename,
            media_type=sample.media_type,
            size=len(sample.content),
            sha256=hashlib.sha256(sample.content).hexdigest(),
            purpose="user_data",
            created_at=0,
        )

    def content(self, file: File) -> bytes | None:
        sample = _samples().get(file.id)
        return None if sample is None else sample.content


@cache
def _samples() -> Mapping[str, _Sample]:
    photo = _png(lambda x, y: (255 - y * 3, 96 + x * 2, 64 + y * 2))
    mask = _png(lambda x, y: (255, 255, 255) if 16 <= x < 48 and 16 <= y < 48 else (0, 0, 0))
    months = ("January", "February", "March", "April", "May", "June")
    rows = (f"{month},{120 + 17 * place},{2400 + 355 * place}" for place, month in enumerate(months))
    sales = "\n".join(("month,units,revenue", *rows, "")).encode()
    return {
        "file_abc123": _Sample("photo.png", "image/png", photo),
        "file_original_photo": _Sample("original_photo.png", "image/png", photo),
        "file_mask_image": _Sample("mask_image.png", "image/png", mask),
        "file_sales_data_csv": _Sample("sales_data.csv", "text/csv", sales),
    }


def _png(colour: Callable[[int, int], tuple[int, int, int]]) -> bytes:
    """A square picture. https://www.w3.org/TR/png-3/"""
    lines = b"".join(b"\0" + bytes(part for x in range(_SIDE) for part in colour(x, y)) for y in range(_SIDE))
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
