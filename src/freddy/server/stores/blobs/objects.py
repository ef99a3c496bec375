"""Keeps blobs in whatever obstore reaches. https://developmentseed.org/obstore/"""

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from freddy.server.core import errors

if TYPE_CHECKING:
    from obstore import GetOptions  # only its stubs have it
    from obstore.store import ObjectStore

_log = logging.getLogger(__name__)

_PIECE = 5 * 1024 * 1024
"""Bytes that are sent at once: the least that S3 takes. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""
_AT_ONCE = 2
_READ = 256 * 1024
_AGAIN_SECONDS = 2.0
"""When a caller may come back."""


class ObjectBlobs:
    """The port `Blobs`. `place` is what an operator calls the store.

    It is made when the first blob is asked for: obstore takes 4 MB, and many servers keep no file.
    """

    def __init__(self, make: "Callable[[], ObjectStore]", place: str) -> None:
        self._make = make
        self._place = place

    @cached_property
    def _store(self) -> "ObjectStore":
        return self._make()

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> None:
        import obstore  # noqa: PLC0415 — not before it is needed

        source = aiter(chunks)
        first = await _gathered(source)
        with self._translated("write"):
            if len(first) < _PIECE:
                await obstore.put_async(self._store, name, first, use_multipart=False)
            else:
                whole = _joined(first, source)
                await obstore.put_async(self._store, name, whole, chunk_size=_PIECE, max_concurrency=_AT_ONCE)

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        import obstore  # noqa: PLC0415 — not before it is needed

        if end is not None and end <= start:
            return
        options: GetOptions = {}
        if start or end is not None:
            options["range"] = {"offset": start} if end is None else (start, end)
        with self._translated("read"):
            try:
                found = await obstore.get_async(self._store, name, options=options)
            except FileNotFoundError as error:
                raise errors.NotFound(
                    "The content of the file is missing from the store",
                    param="file_id",
                    code="file_content_missing",
                    details="upload the file again",
                ) from error
            async for piece in found.stream(min_chunk_size=_READ):
                yield bytes(piece)

    async def delete(self, names: Sequence[str]) -> None:
        import obstore  # noqa: PLC0415 — not before it is needed

        with self._translated("delete"):
            for name in names:
                try:
                    await obstore.delete_async(self._store, name)
                except FileNotFoundError:
                    continue

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        from obstore.exceptions import BaseError  # noqa: PLC0415 — not before it is needed

        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            # The vendor's own words have addresses and no secrets; they are for the operator alone.
            _log.error("blobs_failed", extra={"what": what, "place": self._place, "reason": str(error)[:500]})
            raise errors.StorageUnavailable(
                "The store of files cannot be reached or refuses to work",
                details="the server's log says why",
                retry_after=_AGAIN_SECONDS,
            ) from error


async def _gathered(source: AsyncIterator[bytes]) -> bytes:
    """The first pieces, until they are enough to be sent."""
    pieces, length = [], 0
    async for piece in source:
        pieces.append(piece)
        length += len(piece)
        if length >= _PIECE:
            break
    return b"".join(pieces)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece
