"""Turns what an MCP tool gave into parts for a model.

https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
"""

import binascii
import re
from pathlib import PurePosixPath
from typing import Final, assert_never
from urllib.parse import urlsplit

import msgspec
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from freddy.server.core import items
from freddy.server.core.items import Part
from freddy.server.ports.tools import Answer

_TYPE: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+")
_SOUNDS: Final = {"mpeg": "mp3", "mp3": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a"}
_URI: Final = 2000
_NO_WORDS: Final = "The tool failed and did not say why."


def answer(result: CallToolResult, most: int) -> Answer:
    """`most` bytes of it are kept; a note says what was cut or left out."""
    parts = _bounded([_part(block) for block in result.content], most)
    if result.structured_content is not None and not any(isinstance(block, TextContent) for block in result.content):
        text = items.Text(msgspec.json.encode(result.structured_content).decode())
        parts = _bounded([text, *parts], most)
    if result.is_error:
        words = "\n".join(part.text for part in parts if isinstance(part, items.Text))
        return Answer(error=words.strip() or _NO_WORDS)
    return Answer(parts=tuple(parts))


def cut(text: str, most: int) -> str:
    """At most so many bytes of UTF-8."""
    return text if len(text) <= most // 4 else text.encode()[:most].decode(errors="ignore")


def _part(block: ContentBlock) -> Part:
    match block:
        case TextContent():
            return items.Text(block.text)
        case ImageContent():
            if not _fits(block.mime_type, block.data):
                return items.Text("[An image that cannot be read was left out.]")
            return items.Image(url=_data_url(block.mime_type, block.data))
        case AudioContent():
            if not _fits(block.mime_type, block.data):
                return items.Text("[A sound that cannot be read was left out.]")
            kind = block.mime_type.partition("/")[2].lower()
            return items.Audio(data=block.data, format=_SOUNDS.get(kind, kind))
        case ResourceLink():
            named = f"{block.name} ({block.description})" if block.description else block.name
            return items.Text(f"Resource {block.uri[:_URI]}: {named}")
        case EmbeddedResource(resource=TextResourceContents() as page):
            return items.Text(f"Resource {page.uri[:_URI]}:\n{page.text}")
        case EmbeddedResource(resource=BlobResourceContents() as blob):
            kind = blob.mime_type or "application/octet-stream"
            if not _fits(kind, blob.blob):
                return items.Text(f"[The resource {blob.uri[:_URI]} cannot be read and was left out.]")
            return items.File(data=_data_url(kind, blob.blob), filename=_filename(blob.uri))
        case EmbeddedResource():
            return items.Text("[A resource of an unknown kind was left out.]")
        case _:
            assert_never(block)


def _bounded(parts: list[Part], most: int) -> list[Part]:
    left, kept, left_out = most, list[Part](), 0
    for part in parts:
        size = _size(part)
        if size <= left:
            kept.append(part)
            left -= size
        elif isinstance(part, items.Text) and left > 0:
            kept.append(items.Text(f"{cut(part.text, left)}\n[Cut: the answer is longer than {most:,} bytes.]"))
            left = 0
        else:
            left_out += 1
    if left_out:
        what = "1 part" if left_out == 1 else f"{left_out} parts"
        kept.append(items.Text(f"[{what} left out: the answer is larger than {most:,} bytes.]"))
    return kept


def _size(part: Part) -> int:
    match part:
        case items.Text(text=text) | items.Refusal(refusal=text):
            return len(text.encode())
        case items.Image(url=data) | items.Audio(data=data) | items.File(data=data):
            return len(data or "")
        case _:
            assert_never(part)


def _fits(media_type: str, data: str) -> bool:
    if not _TYPE.fullmatch(media_type) or not data:
        return False
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return False
    return True


def _data_url(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}"


def _filename(uri: str) -> str:
    try:
        name = PurePosixPath(urlsplit(uri).path).name
    except ValueError:
        name = ""
    return name[:200] or "resource"
