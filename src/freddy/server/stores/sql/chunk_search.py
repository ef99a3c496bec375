"""Finds chunks again: by the nearness of their vectors, and by their words. Needs numpy.

What a search needs to know of a store is kept in memory, and read again when the store's version says that it is
another now; so are its vectors, as far as the memory goes that may be used. Numbers are compared in a thread.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import sqlalchemy as sa

from freddy.server.core import filtering
from freddy.server.core.filtering import Filter
from freddy.server.core.vector_stores import Passage
from freddy.server.stores.sql import segments, tables
from freddy.server.stores.sql import vector_store_rows as rows
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Row, Statement, Value, param
from freddy.server.stores.vectors import ranking, words
from freddy.server.stores.vectors.matrix import Floats, Matrix, Ranked, best, rows_of
from freddy.server.stores.vectors.outline import Flags, Outline
from freddy.server.stores.vectors.shelf import Shelf

_AT_ONCE = 16
"""Ids or words that one statement looks for."""
_MOST_WORDS = 256
"""Words of a question that are looked at."""
_LOADING = 64
"""Stores whose vectors may be read at the same time."""
_BLOCK = 16 * 2**20
"""Bytes of vectors that one transaction reads, about."""

_stores = tables.vector_stores
_files = tables.vector_store_files
_segments = tables.vector_segments
_chunks = tables.vector_chunks
_words = tables.vector_words
_blobs = tables.vector_blobs
_completed: sa.ColumnElement[str] = sa.literal_column("'completed'")
_here = (_stores.c.organization_id == param("organization_id"), tables.STANDING)
_found = sa.and_(
    _files.c.store_id == _stores.c.id,
    _files.c.file_id == _segments.c.file_id,
    _files.c.organization_id == _stores.c.organization_id,
    _files.c.status == _completed,
    _files.c.begun == _segments.c.begun,
    _files.c.attempts == _segments.c.attempt,
)

_VERSION = Statement(
    sa.select(_stores.c.number, _stores.c.version, _stores.c.dimensions).where(
        _stores.c.id == param("store_id"), *_here
    )
)
_SEGMENTS = Statement(
    sa.select(_segments.c.number, _segments.c.file_id, _segments.c.size, _segments.c.lengths)
    .join_from(_segments, _stores, _stores.c.number == _segments.c.store)
    .join(_files, _found)
    .where(_segments.c.store == param("number"), *_here, sa.text("NOT dead"))
    .order_by(_segments.c.number)
)
_FILES = Statement(
    sa.select(_files.c.file_id, _files.c.attributes).where(
        _files.c.store_id == param("store_id"),
        _files.c.organization_id == param("organization_id"),
        _files.c.status == _completed,
    )
)
_BLOBS = Statement(
    sa.select(_blobs.c.segment, _blobs.c.vectors).where(
        _blobs.c.segment.in_([param(f"id_{place}") for place in range(_AT_ONCE)])
    )
)
_word = _words.c.word.in_([param(f"word_{place}") for place in range(_AT_ONCE)])
_COUNTS = Statement(
    sa.select(_words.c.word, sa.func.sum(sa.func.length(_words.c.postings)))
    .where(_words.c.store == param("store"), _word)
    .group_by(_words.c.word)
)
_POSTINGS = Statement(
    sa.select(_words.c.word, _words.c.segment, _words.c.postings).where(_words.c.store == param("store"), _word)
)
_PASSAGES = Statement(
    sa.select(
        _chunks.c.id,
        _stores.c.id,
        _files.c.file_id,
        _files.c.filename,
        _files.c.attributes,
        _chunks.c.place,
        _chunks.c.text,
    )
    .join_from(_chunks, _segments, _segments.c.number == _chunks.c.segment)
    .join(_stores, _stores.c.number == _segments.c.store)
    .join(_files, _found)
    .where(_chunks.c.id.in_([param(f"id_{place}") for place in range(_AT_ONCE)]), *_here, sa.text("NOT dead"))
)


class SearchPoints(segments.Points, Protocol):
    """An index of the vectors of large stores in the database, which may lack the newest: those are compared here."""

    async def missing(self, outline: Outline) -> frozenset[int] | None:
        """The segments of the store that it does not have; None where it does not search the store."""
        ...

    async def nearest(self, vector: Floats, stores: Sequence[tuple[Outline, Flags | None]], *, limit: int) -> Ranked:
        """Of the segments that fit, those that it has."""
        ...

    async def catch_up(self) -> bool:
        """Takes in a part of what it does not have yet. Whether there was anything."""
        ...


class ChunkSearch:
    """What `VectorStores` promises of `nearest` and `matching`."""

    def __init__(self, database: Database, *, memory: int, points: SearchPoints | None = None) -> None:
        """`memory` is how many bytes of vectors are kept."""
        self._database = database
        self._memory = memory
        self._points = points
        self._outlines: Shelf[Outline] = Shelf(memory // 8)
        self._matrices: Shelf[Matrix] = Shelf(memory)
        self._loading = [asyncio.Lock() for _ in range(_LOADING)]

    async def nearest(
        self,
        organization_id: str,
        store_ids: Sequence[str],
        vector: bytes,
        *,
        limit: int,
        filter_: Filter | None = None,
    ) -> Sequence[Passage]:
        wanted = np.frombuffer(vector, dtype="<f4")
        outlines = [
            outline
            for outline in await self._outlines_of(organization_id, store_ids)
            if outline.dimensions == len(wanted) and outline.chunks
        ]
        stores = await asyncio.to_thread(_fitting, outlines, filter_)
        found = []
        inside = []
        for outline, fitting in stores:
            missing = None if self._points is None else await self._points.missing(outline)
            if missing is None:
                found.append(await self._compare(outline, wanted, fitting, limit=limit))
                continue
            # Of a segment that is missing a part may be there.
            there = ~np.isin(outline.segments, list(missing))
            inside.append((outline, there if fitting is None else fitting & there))
            if missing:
                rest = await asyncio.to_thread(outline.only, missing)
                flags = None if fitting is None else fitting[~there]
                found.append(await self._compare(rest, wanted, flags, limit=limit))
            else:
                self._matrices.drop(outline.store_id)
        if inside and self._points is not None:
            found.append(await self._points.nearest(wanted, inside, limit=limit))
        return await self._passages(organization_id, _merged(found, limit=limit), filter_)

    async def matching(
        self,
        organization_id: str,
        store_ids: Sequence[str],
        text: str,
        *,
        limit: int,
        filter_: Filter | None = None,
    ) -> Sequence[Passage]:
        asked = words.asked(text, most=_MOST_WORDS)
        outlines = [each for each in await self._outlines_of(organization_id, store_ids) if each.chunks]
        if not asked or not outlines:
            return []
        chunks = sum(outline.chunks for outline in outlines)

        async def work(connection: Connection) -> tuple[list[str], list[ranking.Postings]]:
            counts: defaultdict[str, int] = defaultdict(int)
            for outline in outlines:
                for part in _in_parts("word", asked):
                    for word, count in await connection.all(_COUNTS, store=outline.number, **part):
                        counts[word] += int(count) // words.POSTING
            telling = ranking.telling(counts, chunks)
            return telling, [await _postings(connection, outline.number, telling) for outline in outlines]

        telling, postings = await self._database.read(work)

        def rank() -> Ranked:
            stores = [
                (outline, each, outline.fitting(filter_)) for outline, each in zip(outlines, postings, strict=True)
            ]
            return ranking.ranked(stores, telling, limit=limit)

        return await self._passages(organization_id, await asyncio.to_thread(rank), filter_)

    async def _outlines_of(self, organization_id: str, store_ids: Sequence[str]) -> list[Outline]:
        """Those of the stores that are there."""

        async def work(connection: Connection) -> list[Outline | tuple[str, Row, list[Row], list[Row]]]:
            found: list[Outline | tuple[str, Row, list[Row], list[Row]]] = []
            for store_id in dict.fromkeys(store_ids):
                row = await connection.one(_VERSION, organization_id=organization_id, store_id=store_id)
                if row is None:
                    continue
                known = self._outlines.get(store_id)
                if known is not None and known.version == row[1]:
                    found.append(known)
                    continue
                there = await connection.all(_SEGMENTS, organization_id=organization_id, number=row[0])
                files = await connection.all(_FILES, organization_id=organization_id, store_id=store_id)
                found.append((store_id, row, there, files))
            return found

        outlines = []
        for found in await self._database.read(work):
            if isinstance(found, Outline):
                outlines.append(found)
                continue
            outline = await asyncio.to_thread(_outline, *found)
            self._outlines.put(outline.store_id, outline)
            outlines.append(outline)
        return outlines

    async def _compare(self, outline: Outline, vector: Floats, fitting: Flags | None, *, limit: int) -> Ranked:
        if outline.chunks * outline.dimensions * 4 > self._memory // 2:
            return await self._compare_unkept(outline, vector, fitting, limit=limit)
        matrix = await self._matrix(outline)
        return await asyncio.to_thread(matrix.nearest, vector, outline, fitting, limit=limit)

    async def _matrix(self, outline: Outline) -> Matrix:
        """The vectors of the store, with those of all its segments."""
        async with self._loading[outline.number % _LOADING]:
            matrix = self._matrices.get(outline.store_id) or Matrix(outline.dimensions, outline.chunks)
            if matrix.is_of(outline):
                return matrix
            if matrix.crowded(outline):
                matrix = await asyncio.to_thread(matrix.renewed, outline)
            try:
                for some in _blocks(matrix.missing(outline), outline):
                    await asyncio.to_thread(_add_all, matrix, await self._vectors(some))
            except BaseException:
                # Where the search was given up, the thread goes on: nobody else may write into the same block.
                self._matrices.drop(outline.store_id)
                raise
            matrix.now_of(outline)
            self._matrices.put(outline.store_id, matrix)
        return matrix

    async def _compare_unkept(self, outline: Outline, vector: Floats, fitting: Flags | None, *, limit: int) -> Ranked:
        """For a store that is too large to be kept: it is read as a whole, and the best of each part are kept."""
        wanted = outline.segments if fitting is None else outline.segments[fitting]
        found: list[Ranked] = []

        def compare(rows: list[Row]) -> Ranked:
            parts = [(rows_of(vectors, outline.dimensions) @ vector, segment) for segment, vectors in rows]
            scores = np.concatenate([scores for scores, _ in parts])
            ids = np.concatenate([segment * 256 + np.arange(len(scores)) for scores, segment in parts])
            return best(scores, ids, limit=limit)

        for some in _blocks(wanted.tolist(), outline):
            rows = await self._vectors(some)
            if rows:
                found = [_merged([*found, await asyncio.to_thread(compare, rows)], limit=limit)]
        return _merged(found, limit=limit)

    async def _vectors(self, numbers: Sequence[int]) -> list[Row]:
        async def work(connection: Connection) -> list[Row]:
            return [row for part in _in_parts("id", numbers) for row in await connection.all(_BLOBS, **part)]

        return await self._database.read(work)

    async def _passages(self, organization_id: str, ranked: Ranked, filter_: Filter | None) -> Sequence[Passage]:
        """What was found, as far as it is still there."""
        scores, ids = ranked
        if not len(ids):
            return []

        async def work(connection: Connection) -> dict[int, Row]:
            found: dict[int, Row] = {}
            for part in _in_parts("id", ids.tolist()):
                for row in await connection.all(_PASSAGES, organization_id=organization_id, **part):
                    found[row[0]] = row
            return found

        there = await self._database.read(work)
        passages = []
        for score, chunk in zip(scores.tolist(), ids.tolist(), strict=True):
            if chunk not in there:
                continue
            _, store_id, file_id, filename, kept, place, text = there[chunk]
            attributes = rows.attributes(kept)
            if filter_ is not None and not filtering.fits(filter_, attributes):  # changed meanwhile
                continue
            passages.append(
                Passage(
                    store_id=store_id,
                    file_id=file_id,
                    filename=filename,
                    place=place,
                    text=text,
                    score=min(max(score, 0.0), 1.0),
                    attributes=attributes,
                )
            )
        return passages


def _outline(store_id: str, row: Row, there: list[Row], files: list[Row]) -> Outline:
    number, version, dimensions = row
    return Outline(
        store_id,
        number,
        version=version,
        dimensions=dimensions,
        segments=[(segment, file_id, size, lengths) for segment, file_id, size, lengths in there],
        files=dict(files),
    )


def _fitting(outlines: Sequence[Outline], filter_: Filter | None) -> list[tuple[Outline, Flags | None]]:
    """The stores with the segments of them that fit; none of those where nothing does."""
    stores = [(outline, outline.fitting(filter_)) for outline in outlines]
    return [(outline, fitting) for outline, fitting in stores if fitting is None or fitting.any()]


async def _postings(connection: Connection, store: int, telling: Sequence[str]) -> ranking.Postings:
    found: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for part in _in_parts("word", telling):
        for word, segment, postings in await connection.all(_POSTINGS, store=store, **part):
            found[word].append((segment, postings))
    return found


def _add_all(matrix: Matrix, rows: list[Row]) -> None:
    for segment, vectors in rows:
        matrix.add(segment, vectors)


def _merged(found: Sequence[Ranked], *, limit: int) -> Ranked:
    if not found:
        return np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64)
    return best(np.concatenate([scores for scores, _ in found]), np.concatenate([ids for _, ids in found]), limit=limit)


def _blocks(numbers: Sequence[int], outline: Outline) -> list[list[int]]:
    """Segments, as many at a time as have about `_BLOCK` bytes of vectors."""
    blocks: list[list[int]] = []
    room = 0
    for number in numbers:
        size = int(outline.sizes[outline.index[number]]) * outline.dimensions * 4
        if not blocks or room < size:
            blocks.append([])
            room = _BLOCK
        blocks[-1].append(number)
        room -= size
    return blocks


def _in_parts(name: str, values: Sequence[Value]) -> list[dict[str, Value]]:
    """The values of statements that look for `_AT_ONCE` of them."""
    parts = []
    for start in range(0, len(values), _AT_ONCE):
        some = list(values[start : start + _AT_ONCE])
        some += some[:1] * (_AT_ONCE - len(some))
        parts.append({f"{name}_{place}": each for place, each in enumerate(some)})
    return parts
