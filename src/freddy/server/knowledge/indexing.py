"""Makes chunks with vectors of a file: reads it, cuts it, has it embedded."""

import asyncio
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from freddy.server.core import errors, media_types
from freddy.server.core.files import File
from freddy.server.core.vector_stores import Chunk, Chunking, FailureCode, FileFailure, StoreFile, VectorStore
from freddy.server.knowledge import chunking
from freddy.server.knowledge.extract import Extractor
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.metering import Meter
from freddy.server.ports.embedder import Embedder, Embedders
from freddy.server.ports.vector_stores import VectorStores

_READ: Final = 0.1
"""How far a file is that has been read and cut."""
_TEXTS: Final = 32
"""Texts that an embedder is given at once: after each time the progress is told."""
_LONGEST_WAIT: Final = 60.0
_PASSING: Final = (
    errors.ProviderUnavailable,
    errors.ProviderFailed,
    errors.ProviderTimeout,
    errors.RateLimited,
)
"""What an embedder may raise now, and not the next time."""

Tell = Callable[[float], None]
"""Hears how far it is, from 0 to 1."""


class Bounds(Struct, frozen=True, kw_only=True):
    """`characters` of a file's text; `bytes` of all stores of an organization.

    A text of up to `kept_characters` is kept beside its file, for whoever wants it next. An embedder is asked up to
    `attempts` times for the same, the second time after `wait_seconds`, then after twice as long each time.
    """

    characters: int = 20_000_000
    kept_characters: int = 1_000_000
    bytes: int = 10 * 2**30
    attempts: int = 5
    wait_seconds: float = 1.0


class Refused(Exception):
    """The file cannot be indexed; the message is for people."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.failure = FileFailure(code, message)


class _Cut(NamedTuple):
    """A chunk, and the parts of it that an embedder reads one by one."""

    text: str
    tokens: int
    parts: Sequence[str]


class Indexer:
    """`extractor` reads texts of more than the characters of `bounds`, so that it is seen that there are more."""

    def __init__(
        self,
        *,
        stores: VectorStores,
        files: Files,
        extractor: Extractor,
        embedders: Embedders,
        meter: Meter,
        bounds: Bounds,
    ) -> None:
        self._meter = meter
        self._stores = stores
        self._files = files
        self._extractor = extractor
        self._embedders = embedders
        self._bounds = bounds

    async def chunks(self, file: StoreFile, store: VectorStore, tell: Tell) -> Sequence[Chunk]:
        """Raises `Refused`, and `errors.StorageUnavailable`."""
        embedder = self._embedder(store.embedder)
        source = (await self._files.there(file.organization_id, [file.file_id])).get(file.file_id)
        if source is None:
            raise Refused("invalid_file", "The file is gone: upload it again, and add it to the store")
        text = await self._text(source)
        form = chunking.form_of(source.media_type, source.filename)
        cuts = await asyncio.to_thread(_cut, text, file.chunking, form, longest=embedder.longest)
        if not cuts:
            raise Refused("invalid_file", "The file has no text: pages that are pictures have none")
        await self._check_room(file, cuts, dimensions=store.dimensions)
        tell(_READ)
        parts = [part for cut in cuts for part in cut.parts]
        vectors = await self._vectors(parts, embedder, tell, organization_id=file.organization_id)
        if any(len(vector) != 4 * store.dimensions for vector in vectors):
            raise Refused(
                "server_error",
                f"The embedding model {store.embedder!r} makes vectors of another size now: make a new store",
            )
        return await asyncio.to_thread(_joined, cuts, vectors)

    def _embedder(self, name: str) -> Embedder:
        try:
            return self._embedders.find(name)
        except errors.NotFound as error:
            raise Refused(
                "server_error", f"This server has no embedding model {name!r} any more: configure it, then try again"
            ) from error

    async def _text(self, source: File) -> str:
        if media_types.format_of(source.media_type) is None:
            raise Refused(
                "unsupported_file",
                f"The file is {source.media_type}, which has no text that can be read here: send PDF, Word (.docx), "
                "Excel (.xlsx), PowerPoint (.pptx), HTML, or text of any kind",
            )
        try:
            text = await self._read(source)
        except errors.InvalidRequest as error:
            cure = f": {error.details}" if error.details else ""
            raise Refused("invalid_file", f"{error.message}{cure}") from error
        except errors.NotFound as error:
            raise Refused("invalid_file", "The content of the file is gone: upload it again") from error
        if len(text) > self._bounds.characters:
            raise Refused(
                "quota_exceeded",
                f"The text of the file has more than {self._bounds.characters:,} characters: split it, or raise "
                "`knowledge.max_text_characters`",
            )
        # Not every database keeps this character, and it says nothing.
        return text.replace("\0", " ")

    async def _read(self, source: File) -> str:
        # What is text already is read as fast as a copy of it would be.
        kept = not media_types.is_text(source.media_type) or media_types.format_of(source.media_type) == "html"
        if kept:
            text = await self._files.kept_text(source)
            # A longer one was cut by who kept it.
            if text is not None and len(text) <= self._bounds.kept_characters:
                return text
        content = self._files.read(source)
        text = await self._extractor.text(content, media_type=source.media_type, filename=source.filename)
        if kept and len(text) <= self._bounds.kept_characters:
            await self._files.keep_text(source, text)
        return text

    async def _check_room(self, file: StoreFile, cuts: Iterable[_Cut], *, dimensions: int) -> None:
        totals = await self._stores.totals(file.organization_id)
        needed = sum(len(cut.text.encode(errors="replace")) + 4 * dimensions for cut in cuts)
        if totals.bytes - file.bytes + needed > self._bounds.bytes:
            raise Refused(
                "quota_exceeded",
                f"The vector stores of the organization may take {self._bounds.bytes:,} bytes, and have no room for "
                "this file: remove others, or raise `knowledge.max_bytes`, then try again",
            )

    async def _vectors(
        self, texts: Sequence[str], embedder: Embedder, tell: Tell, *, organization_id: str
    ) -> Sequence[bytes]:
        vectors: list[bytes] = []
        for start in range(0, len(texts), _TEXTS):
            vectors += await self._embedded(texts[start : start + _TEXTS], embedder, organization_id)
            tell(_READ + (1 - _READ) * len(vectors) / len(texts))
        return vectors

    async def _embedded(self, texts: Sequence[str], embedder: Embedder, organization_id: str) -> Sequence[bytes]:
        wait = self._bounds.wait_seconds
        for left in reversed(range(self._bounds.attempts)):
            try:
                return await self._meter.embed(embedder, texts, side="passage", organization_id=organization_id)
            except _PASSING as error:
                if not left:
                    raise Refused(
                        "server_error",
                        f"The embedding model does not answer ({error.message}): wait a while, then try again",
                    ) from error
                await asyncio.sleep(min(_LONGEST_WAIT, max(wait, error.retry_after or 0.0)))
                wait *= 2
        raise AssertionError("the last attempt returns or raises")


def _cut(text: str, sizes: Chunking, form: chunking.Form, *, longest: int) -> list[_Cut]:
    return [_Cut(cut.text, cut.tokens, chunking.windows(cut.text, longest)) for cut in chunking.cut(text, sizes, form)]


def _joined(cuts: Sequence[_Cut], vectors: Sequence[bytes]) -> list[Chunk]:
    """A chunk that an embedder cannot read at once has the mean of the vectors of its parts."""
    chunks: list[Chunk] = []
    made = iter(vectors)
    for place, cut in enumerate(cuts):
        vector = _mean([next(made) for _ in cut.parts], [len(part) for part in cut.parts])
        chunks.append(Chunk(place, cut.text, vector, cut.tokens))
    return chunks


def _mean(vectors: Sequence[bytes], weights: Sequence[int]) -> bytes:
    """Of unit length, by weight."""
    if len(vectors) == 1:
        return vectors[0]
    form = struct.Struct(f"<{len(vectors[0]) // 4}f")
    columns = zip(*(form.unpack(vector) for vector in vectors), strict=True)
    mean = [math.fsum(weight * number for weight, number in zip(weights, column, strict=True)) for column in columns]
    length = math.sqrt(math.fsum(number * number for number in mean)) or 1.0
    return form.pack(*(number / length for number in mean))
