"""Searches vectors with pgvector, where the PostgreSQL server has it: https://github.com/pgvector/pgvector

Stores with so many vectors that they would fill the memory of this server are taken in after they were indexed, in
slices: the graph that finds them (HNSW) takes milliseconds for each point. There is a table for each number of
dimensions, in half the precision; it holds nothing that the segments do not, and may be thrown away.
"""

import asyncio
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct

from freddy.server.core import errors
from freddy.server.stores.sql import tables
from freddy.server.stores.sql.connection import Connection, Database, Taken
from freddy.server.stores.sql.statements import Row, Statement, Value, param
from freddy.server.stores.vectors.words import SEGMENT

if TYPE_CHECKING:
    from freddy.server.stores.vectors.matrix import Floats, Ranked
    from freddy.server.stores.vectors.outline import Flags, Outline

_OLDEST = (0, 8)
"""The first version that goes on looking where a filter leaves too little of what it found."""
_LARGEST = 4_000
"""The most dimensions that its index takes: https://github.com/pgvector/pgvector#hnsw"""
_FEW = 10_000
"""So many points are compared sooner than the index is asked."""
_LOOKS_AT = 200
"""Points that the index looks at in any case; more make it slower and miss less."""
_SLICE = 32
"""Points that one transaction takes in: others wait for it."""
_LARGE = 256 * 2**20
"""Bytes of vectors from which on a store is large."""

_ASK = (
    "SELECT (SELECT extversion FROM pg_extension WHERE extname = 'vector'), "
    "(SELECT default_version FROM pg_available_extensions WHERE name = 'vector'), "
    "has_database_privilege(current_database(), 'CREATE'), has_schema_privilege(current_schema(), 'CREATE')"
)
_STATE = Statement(sa.text(_ASK))
_FORBIDDEN = "the user of the database may not run CREATE EXTENSION vector"
_HOME = Statement(
    sa.text(
        "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
        "WHERE extname = 'vector'"
    )
)
# Two that make the same at once would fail, in spite of IF NOT EXISTS.
_ALONE = Statement(sa.text(f"SELECT pg_advisory_xact_lock({0x46726564647901})"))
_MAKE = Statement(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
_LOOK_WELL = Statement(
    sa.text(
        "SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('enable_seqscan', 'off', true), "
        f"set_config('hnsw.ef_search', '{_LOOKS_AT}', true)"
    )
)
# Others read in the same transaction.
_LOOK_ANYWHERE = Statement(sa.text("SELECT set_config('enable_seqscan', 'on', true)"))
_stores = tables.vector_stores
_LARGE_STORES = Statement(
    sa.select(_stores.c.number, _stores.c.dimensions, _stores.c.version).where(
        tables.STANDING,
        _stores.c.chunks * _stores.c.dimensions * sa.literal_column("4") > param("large"),
        _stores.c.dimensions <= sa.literal_column(str(_LARGEST)),
    )
)
_STILL = Statement(
    sa.select(tables.vector_segments.c.number).where(
        tables.vector_segments.c.number == param("segment"), sa.text("NOT dead")
    )
)
_VECTORS = Statement(sa.select(tables.vector_blobs.c.vectors).where(tables.vector_blobs.c.segment == param("segment")))


class _Statements:
    """What is asked of the table for so many dimensions. `home` is the schema of the extension."""

    def __init__(self, home: str, dimensions: int) -> None:
        table = f"vector_points_{dimensions}"
        # The address of a stranger's schema is quoted by the database; the rest is numbers.
        value = f"CAST(CAST(:vector AS TEXT) AS {home}.halfvec({dimensions}))"
        # What a subquery says is read once. A text that is cast beside a column is read again for each row.
        apart = f"embedding OPERATOR({home}.<#>) (SELECT {value})"
        stores, segments = _numbers("stores"), _numbers("segments")
        among = f"FROM {table} WHERE store = ANY ({stores}) AND segment = ANY ({segments})"
        # What is added keeps PostgreSQL from comparing all of them: it takes them for few.
        anywhere = f"FROM {table} WHERE store + 0 = ANY ({stores}) AND segment + 0 = ANY ({segments})"
        limit = "LIMIT CAST(CAST(:limit AS TEXT) AS BIGINT)"
        self.make = [
            Statement(sa.text(sql))
            for sql in (
                f"CREATE TABLE IF NOT EXISTS {table} (id BIGINT PRIMARY KEY, store BIGINT NOT NULL, "
                f"segment BIGINT NOT NULL, embedding {home}.halfvec({dimensions}) NOT NULL)",
                f"CREATE INDEX IF NOT EXISTS ix_{table}_segment ON {table} (store, segment)",
                # While it is empty: later it would take long, and nobody could write meanwhile.
                f"CREATE INDEX IF NOT EXISTS ix_{table}_embedding ON {table} "
                f"USING hnsw (embedding {home}.halfvec_ip_ops)",
            )
        ]
        self.there = Statement(sa.text(f"SELECT to_regclass('ix_{table}_embedding') IS NOT NULL"))
        self.add = Statement(
            sa.text(
                f"INSERT INTO {table} VALUES (CAST(:id AS BIGINT), CAST(:store AS BIGINT), "  # noqa: S608
                f"CAST(:segment AS BIGINT), {value})"
            )
        )
        self.remove = Statement(
            sa.text(
                f"DELETE FROM {table} WHERE store = CAST(:store AS BIGINT) "  # noqa: S608
                "AND segment = CAST(:segment AS BIGINT)"
            )
        )
        self.near = Statement(sa.text(f"SELECT id, -({apart}) {anywhere} ORDER BY {apart} {limit}"))
        # What is added lets no index serve the order.
        self.nearest = Statement(sa.text(f"SELECT id, -({apart}) {among} ORDER BY ({apart}) + 0, id {limit}"))
        # Points come in the order of their ids: who has the last has all.
        self.missing = Statement(
            sa.text(
                "SELECT s.number FROM vector_segments s WHERE s.store = CAST(:store AS BIGINT) AND NOT s.dead "  # noqa: S608
                f"AND NOT EXISTS (SELECT FROM {table} p WHERE p.id = s.number * {SEGMENT} + s.size - 1) "
                "ORDER BY s.number"
            )
        )
        self.last = Statement(
            sa.text(
                f"SELECT max(id) FROM {table} WHERE store = CAST(:store AS BIGINT) "  # noqa: S608
                "AND segment = CAST(:segment AS BIGINT)"
            )
        )


class Prepared(Struct, frozen=True):
    """`points` is None where vectors are searched in the memory of this server; `why` tells the operator."""

    points: "PgvectorPoints | None"
    why: str


async def prepared(database: Database, *, large: int = _LARGE, few: int = _FEW) -> Prepared:
    """Takes pgvector into use, where it is there or can be: in a PostgreSQL database.

    `large` and `few` are as with `PgvectorPoints`. Raises `errors.StorageUnavailable`.
    """

    async def look(connection: Connection) -> Row:
        row = await connection.one(_STATE)
        assert row is not None
        return row

    async def make(connection: Connection) -> None:
        await connection.all(_ALONE)
        await connection.all(_MAKE)

    found = await database.read(look)
    obstacle = _obstacle(found)
    if obstacle is None and found[0] is None:
        with suppress(errors.StorageUnavailable):  # not allowed after all
            await database.write(make)
        found = await database.read(look)
        obstacle = _obstacle(found) or (_FORBIDDEN if found[0] is None else None)
    if obstacle is not None:
        return Prepared(None, f"Vectors are searched in the memory of this server: {obstacle}.")
    home = await database.read(lambda connection: connection.one(_HOME))
    assert home is not None
    points = PgvectorPoints(database, home[0], large=large, few=few)
    return Prepared(points, f"Vectors of large stores are searched by pgvector {found[0]}.")


async def told(url: str, *, patience: float) -> str:
    """What `prepared` would say. Changes nothing. Raises `errors.StorageUnavailable`."""
    from freddy.server.stores.sql.postgres import address, session  # noqa: PLC0415 — imports asyncpg

    looking = session.Session(address.parse(url), patience=patience)
    try:
        raw = await looking.open()
        found = await raw.fetchrow(_ASK)
    except session.Away as away:
        raise away.told from away
    finally:
        await looking.close()
    assert found is not None
    obstacle = _obstacle(found)
    if obstacle is not None:
        return f"vectors are searched in the memory of the server: {obstacle}"
    return f"vectors of large stores are searched by pgvector {found[0] or found[1]}"


def _obstacle(found: Sequence[Any]) -> str | None:
    """What stands against pgvector, where `_ASK` found this."""
    installed, available, may_extend, may_make_tables = found
    if installed is None and available is None:
        return "the PostgreSQL server does not have pgvector"
    if installed is None and not may_extend:
        return _FORBIDDEN
    version = str(installed or available)
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        return f"pgvector {version} is too old, and ALTER EXTENSION vector UPDATE makes it 0.8 or newer"
    if not may_make_tables:
        return "the user of the database may not make tables"
    return None


class PgvectorPoints:
    """The port `chunk_search.SearchPoints`. `home` is the schema of the extension.

    `large` is from how many bytes of vectors on a store is taken in, `few` how many points are compared one by one.
    """

    def __init__(self, database: Database, home: str, *, large: int = _LARGE, few: int = _FEW) -> None:
        self._database = database
        self._home = home
        self._large = large
        self._few = few
        self._made: dict[int, _Statements] = {}
        self._making = asyncio.Lock()
        self._whole: dict[int, int] = {}
        """The version of a store at which nothing was missing."""

    async def missing(self, outline: "Outline") -> frozenset[int] | None:
        if outline.chunks * outline.dimensions * 4 <= self._large or outline.dimensions > _LARGEST:
            return None
        if self._whole.get(outline.number) == outline.version:
            return frozenset()
        statements = await self._statements(outline.dimensions)
        found = await self._database.read(lambda connection: connection.all(statements.missing, store=outline.number))
        missing = frozenset(number for (number,) in found if number in outline.index)
        if len(missing) * 2 > len(outline.index):  # there is more to compare than the database would find
            return None
        if not missing:
            self._whole[outline.number] = outline.version
        return missing

    async def remove(self, connection: Connection, *, store: int, segment: int, dimensions: int) -> None:
        statements = self._made.get(dimensions) or _Statements(self._home, dimensions)
        if await _is_made(connection, statements):
            await connection.run(statements.remove, store=store, segment=segment)

    async def nearest(
        self, vector: "Floats", stores: "Sequence[tuple[Outline, Flags | None]]", *, limit: int
    ) -> "Ranked":
        import numpy as np  # noqa: PLC0415 — who searches has it, who only writes may not

        statements = await self._statements(len(vector))
        numbers: list[int] = []
        points = 0
        for outline, fitting in stores:
            wanted = slice(None) if fitting is None else fitting
            numbers += outline.segments[wanted].tolist()
            points += int(outline.sizes[wanted].sum())
        asked: dict[str, Value] = {
            "vector": _text(vector.tolist()),
            "stores": _array([outline.number for outline, _ in stores]),
            "segments": _array(numbers),
            "limit": str(limit),
        }

        async def work(connection: Connection) -> list[Row]:
            rows: list[Row] = []
            if points > self._few:
                await connection.all(_LOOK_WELL)
                rows = await connection.all(statements.near, **asked)
                await connection.all(_LOOK_ANYWHERE)
            if len(rows) < limit:  # the index gives up where too little of what it finds fits
                rows = await connection.all(statements.nearest, **asked)
            return rows

        rows = await self._database.read(work)
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        return np.array([row[1] for row in rows], dtype=np.float32), ids

    async def catch_up(self) -> bool:
        large = await self._database.read(lambda connection: connection.all(_LARGE_STORES, large=self._large))
        for store, dimensions, version in large:
            if self._whole.get(store) == version:
                continue
            statements = await self._statements(dimensions)
            if await self._take_in(statements, store, dimensions):
                return True
            self._whole[store] = version
        return False

    async def _take_in(self, statements: _Statements, store: int, dimensions: int) -> bool:
        """A slice of the first segment that is missing, if one is."""

        async def look(connection: Connection) -> tuple[int, int, bytes] | None:
            segment = await connection.one(statements.missing, store=store)
            if segment is None:
                return None
            last = await connection.one(statements.last, store=store, segment=segment[0])
            vectors = await connection.one(_VECTORS, segment=segment[0])
            assert last is not None
            return segment[0], (last[0] or segment[0] * SEGMENT - 1) + 1, vectors[0] if vectors else b""

        found = await self._database.read(look)
        if found is None:
            return False
        segment, first, vectors = found
        width = dimensions * 4
        start = (first - segment * SEGMENT) * width
        rows: list[dict[str, Value]] = [
            {"id": point, "store": store, "segment": segment, "vector": text}
            for point, text in enumerate(_texts(vectors[start : start + _SLICE * width], dimensions), first)
        ]

        async def work(connection: Connection) -> None:
            if await connection.one(_STILL, segment=segment):
                await connection.many(statements.add, rows)

        with suppress(Taken):  # another process took them in
            await self._database.write(work)
        return True

    async def _statements(self, dimensions: int) -> _Statements:
        """Those of the table, which is made where it is not there."""
        made = self._made.get(dimensions)
        if made is not None:
            return made
        statements = _Statements(self._home, dimensions)

        async def make(connection: Connection) -> None:
            for statement in (_ALONE, *statements.make):
                await connection.all(statement)

        async with self._making:
            if not await self._database.read(lambda connection: _is_made(connection, statements)):
                await self._database.write(make)
        self._made[dimensions] = statements
        return statements


async def _is_made(connection: Connection, statements: _Statements) -> bool:
    row = await connection.one(statements.there)
    return row is not None and bool(row[0])


def _texts(vectors: bytes, dimensions: int) -> list[str]:
    numbers = array("f", vectors)
    if sys.byteorder == "big":
        numbers.byteswap()
    values = numbers.tolist()
    return [_text(values[start : start + dimensions]) for start in range(0, len(values), dimensions)]


def _numbers(name: str) -> str:
    return f"CAST((SELECT CAST(CAST(:{name} AS TEXT) AS BIGINT[])) AS BIGINT[])"


def _text(values: "Sequence[float]") -> str:
    # More digits than half precision has.
    return "[" + ",".join([f"{value:.5g}" for value in values]) + "]"


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
