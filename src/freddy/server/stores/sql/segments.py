"""Keeps the chunks of files in segments: writes them, and removes what nobody finds any more, a little at a time.

A segment is up to 256 chunks that are written in one transaction. While a file is indexed its segments are there for
nobody; all are found from the moment on at which the file is completed, see `tables.vector_segments`. Only what is not
found is ever removed.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Protocol

import sqlalchemy as sa
from msgspec import Struct

from freddy.server.core.vector_stores import Chunk, StoreFile
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Row, Statement, Value, param
from freddy.server.stores.vectors import words
from freddy.server.stores.vectors.words import SEGMENT

_segments = tables.vector_segments
_blobs = tables.vector_blobs
_chunks = tables.vector_chunks
_words = tables.vector_words
_stores = tables.vector_stores
_WORDS_AT_ONCE = 5_000
_SEGMENTS_AT_ONCE = 16

_ADD = Statement(
    _segments.insert().values(statements.params(_segments, leave_out=("number",))).returning(_segments.c.number)
)
_ADD_BLOB = Statement(_blobs.insert().values(statements.params(_blobs)))
_ADD_CHUNK = Statement(_chunks.insert().values(statements.params(_chunks)))
_ADD_WORD = Statement(_words.insert().values(statements.params(_words)))
_KILL = Statement(
    _segments.update()
    .where(_segments.c.store == param("store"), _segments.c.file_id == param("file_id"), sa.text("NOT dead"))
    .values(dead=sa.true())
)

_DELETED = Statement(sa.select(_stores.c.number, _stores.c.dimensions).where(tables.DELETED).limit(1))
_DEAD = Statement(
    sa.select(_segments.c.number, _segments.c.store, _stores.c.dimensions)
    .join(_stores, _stores.c.number == _segments.c.store)
    .where(tables.DEAD)
    .limit(1)
)
_TEXTS = Statement(sa.select(_chunks.c.text).where(_chunks.c.id.between(param("low"), param("high"))))
_DROP_WORD = Statement(
    _words.delete().where(
        _words.c.store == param("store"), _words.c.word == param("word"), _words.c.segment == param("segment")
    )
)
_of_store = _words.c.store == param("store")
_FIRST_TO_STAY = Statement(
    sa.select(_words.c.word, _words.c.segment)
    .where(_of_store)
    .order_by(_words.c.word, _words.c.segment)
    .limit(1)
    .offset(param("skip"))
)
_DROP_WORDS_BEFORE = Statement(
    _words.delete().where(
        _of_store, sa.tuple_(_words.c.word, _words.c.segment) < sa.tuple_(param("word"), param("segment"))
    )
)
_DROP_WORDS = Statement(_words.delete().where(_of_store))
_OF_STORE = Statement(sa.select(_segments.c.number).where(_segments.c.store == param("store")).limit(param("most")))
_DROP_CHUNKS = Statement(_chunks.delete().where(_chunks.c.id.between(param("low"), param("high"))))
_DROP_BLOB = Statement(_blobs.delete().where(_blobs.c.segment == param("segment")))
_DROP = Statement(_segments.delete().where(_segments.c.number == param("segment")))
_DROP_STORE = Statement(_stores.delete().where(_stores.c.number == param("store"), tables.DELETED))


class Points(Protocol):
    """Another index of vectors, that is to forget those that go; see `postgres.points`."""

    async def remove(self, connection: Connection, *, store: int, segment: int, dimensions: int) -> None: ...


class Piece(Struct, frozen=True):
    """A segment to be written. `size` is the bytes of its texts and vectors."""

    rows: list[tuple[int, int, str]]
    vectors: bytes
    indexed: words.Indexed
    size: int


def pieces(chunks: Sequence[Chunk]) -> Iterator[Piece]:
    """Takes long for many chunks: not for the event loop."""
    for start in range(0, len(chunks), SEGMENT):
        some = chunks[start : start + SEGMENT]
        # PostgreSQL keeps neither, and both may be in what was read from a file.
        texts = [chunk.text.replace("\0", "\ufffd").encode(errors="replace").decode() for chunk in some]
        vectors = b"".join(chunk.vector for chunk in some)
        yield Piece(
            rows=[(chunk.place, chunk.tokens, text) for chunk, text in zip(some, texts, strict=True)],
            vectors=vectors,
            indexed=words.indexed(texts),
            size=sum(len(text.encode()) for text in texts) + len(vectors),
        )


async def add(connection: Connection, piece: Piece, file: StoreFile, *, store: int) -> None:
    """Writes a segment of a file that is being indexed."""
    row = await connection.one(
        _ADD,
        store=store,
        file_id=file.file_id,
        begun=file.begun,
        attempt=file.attempts,
        size=len(piece.rows),
        lengths=piece.indexed.lengths,
        dead=False,
    )
    assert row is not None
    segment: int = row[0]
    await connection.run(_ADD_BLOB, segment=segment, vectors=piece.vectors)
    chunks: list[dict[str, Value]] = [
        {"id": segment * SEGMENT + offset, "segment": segment, "place": place, "tokens": tokens, "text": text}
        for offset, (place, tokens, text) in enumerate(piece.rows)
    ]
    await connection.many(_ADD_CHUNK, chunks)
    await connection.many(
        _ADD_WORD,
        [
            {"store": store, "word": word, "segment": segment, "postings": postings}
            for word, postings in sorted(piece.indexed.postings.items())
        ],
    )


async def kill(connection: Connection, *, store: int, file_id: str) -> None:
    """Nobody needs what the file has, or what somebody began to write for it."""
    await connection.run(_KILL, store=store, file_id=file_id)


async def sweep(database: Database, points: Points | None) -> bool:
    """Removes a part of what is dead, and of stores that are deleted. Whether there was anything."""

    async def look(connection: Connection) -> tuple[Row | None, Row | None, list[Row]]:
        deleted, dead = await connection.one(_DELETED), await connection.one(_DEAD)
        texts = await connection.all(_TEXTS, **_ids(dead[0])) if dead and not deleted else []
        return deleted, dead, texts

    deleted, dead, texts = await database.read(look)
    if deleted is not None:
        store, dimensions = deleted
        await database.write(lambda connection: _take_from(connection, store, dimensions, points))
        return True
    if dead is None:
        return False
    number, store, dimensions = dead
    # The words of a text are always the same, so they need not be kept a second time to find them again.
    indexed = await asyncio.to_thread(words.indexed, [text for (text,) in texts])
    gone: list[dict[str, Value]] = [
        {"store": store, "segment": number, "word": word} for word in sorted(indexed.postings)
    ]

    async def work(connection: Connection) -> None:
        await connection.many(_DROP_WORD, gone)
        await _drop(connection, store, number, dimensions, points)

    await database.write(work)
    return True


async def _take_from(connection: Connection, store: int, dimensions: int, points: Points | None) -> None:
    """A part of a deleted store, or at last its row."""
    staying = await connection.one(_FIRST_TO_STAY, store=store, skip=_WORDS_AT_ONCE)
    if staying is not None:
        word, segment = staying
        await connection.run(_DROP_WORDS_BEFORE, store=store, word=word, segment=segment)
        return
    if await connection.run(_DROP_WORDS, store=store):
        return
    some = await connection.all(_OF_STORE, store=store, most=_SEGMENTS_AT_ONCE)
    for (segment,) in some:
        await _drop(connection, store, segment, dimensions, points)
    if len(some) < _SEGMENTS_AT_ONCE:
        await connection.run(_DROP_STORE, store=store)


async def _drop(connection: Connection, store: int, segment: int, dimensions: int, points: Points | None) -> None:
    if points is not None:
        await points.remove(connection, store=store, segment=segment, dimensions=dimensions)
    await connection.run(_DROP_CHUNKS, **_ids(segment))
    await connection.run(_DROP_BLOB, segment=segment)
    await connection.run(_DROP, segment=segment)


def _ids(segment: int) -> dict[str, Value]:
    return {"low": segment * SEGMENT, "high": segment * SEGMENT + SEGMENT - 1}
