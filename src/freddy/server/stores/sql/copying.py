"""Copies everything from one database to another, of whichever kinds."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from freddy.server.core import errors
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.schema import HEAD
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_BATCH = 500
_FEW = 16
"""Rows at a time of a table whose rows are large."""
_LARGE = frozenset({"vector_blobs"})
_NUMBERED = (("responses", "seq"), ("vector_stores", "number"), ("vector_segments", "number"))
"""Tables whose rows the database numbers."""
_UNFINISHED = "unfinished copy"
"""The version of a database while it is filled: no server starts with a part."""
_VERSION = sa.table("alembic_version", sa.column("version_num", sa.Text))
_SET_VERSION = Statement(_VERSION.update().values(version_num=param("version")))
_SET_SEQUENCES = [
    Statement(
        sa.text(
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), coalesce(max({column}), 1), "  # noqa: S608
            f"max({column}) IS NOT NULL) FROM {table}"
        )
    )
    for table, column in _NUMBERED
]


class _Table:
    def __init__(self, table: sa.Table) -> None:
        keys = list(table.primary_key.columns)
        behind = sa.tuple_(*keys) > sa.tuple_(*(param(f"key_{place}") for place in range(len(keys))))
        ordered = sa.select(*table.columns).order_by(*keys).limit(_FEW if table.name in _LARGE else _BATCH)
        columns = list(table.columns)
        self.name = table.name
        self.first = Statement(ordered)
        self.next = Statement(ordered.where(behind))
        self.count = Statement(sa.select(sa.func.count()).select_from(table))
        self.add = Statement(table.insert().values(statements.params(table)))
        self.clear = Statement(table.delete())
        self._names = [column.name for column in columns]
        self._keys = [columns.index(key) for key in keys]
        self._flags = {column.name for column in columns if isinstance(column.type, sa.Boolean)}

    def key(self, row: Row) -> dict[str, Value]:
        return {f"key_{number}": row[place] for number, place in enumerate(self._keys)}

    def values(self, row: Row) -> dict[str, Value]:
        named = dict(zip(self._names, row, strict=True))
        # SQLite has no truth values of its own.
        return {name: bool(value) if name in self._flags else value for name, value in named.items()}


_TABLES = [_Table(table) for table in tables.metadata.sorted_tables]


async def copy(
    source: Database, target: Database, *, sequences: bool, told: Callable[[str, int, int], None]
) -> dict[str, int]:
    """The number of rows of each table. `told` hears of a table, the rows copied and the rows that there are.

    Nobody may write to either meanwhile. The target is filled whole or emptied again; where the process is killed, no
    server starts with it. `sequences` is for a target that numbers rows by itself. Raises `errors.Conflict` where the
    target holds data, or where the rows are not as many in the end.
    """
    filled = [table.name for table in _TABLES if await _count(target, table)]
    if filled:
        raise errors.Conflict(
            f"The target holds data already: {', '.join(filled)}.", details="Name a new database as the target."
        )
    await _write(target, _SET_VERSION, version=_UNFINISHED)
    try:
        counts = {}
        for table in _TABLES:
            counts[table.name] = await _copy_table(source, target, table, told)
        await _verify(source, target, counts)
        if sequences:
            for statement in _SET_SEQUENCES:
                await _write(target, statement)
    except BaseException:
        # Also where it was interrupted: nobody can use a part.
        for table in reversed(_TABLES):
            await _write(target, table.clear)
        await _write(target, _SET_VERSION, version=HEAD)
        raise
    await _write(target, _SET_VERSION, version=HEAD)
    return counts


async def _copy_table(source: Database, target: Database, table: _Table, told: Callable[[str, int, int], None]) -> int:
    total = await _count(source, table)
    copied = 0
    rows = await _read(source, table.first)
    while rows:
        await _add(target, table, rows)
        copied += len(rows)
        told(table.name, copied, total)
        rows = await _read(source, table.next, **table.key(rows[-1]))
    return copied


async def _verify(source: Database, target: Database, counts: dict[str, int]) -> None:
    for table in _TABLES:
        found, there = await _count(target, table), await _count(source, table)
        if not found == there == counts[table.name]:
            raise errors.Conflict(
                f"The table {table.name} has {there} rows, and {found} came over.",
                details="Stop the servers that use the databases, and copy again.",
            )


async def _add(target: Database, table: _Table, rows: list[Row]) -> None:
    values = [table.values(row) for row in rows]

    async def work(connection: Connection) -> None:
        await connection.many(table.add, values)

    await target.write(work)


async def _count(database: Database, table: _Table) -> int:
    ((count,),) = await _read(database, table.count)
    return int(count)


async def _read(database: Database, statement: Statement, **values: Any) -> list[Row]:  # noqa: ANN401 — a row's
    async def work(connection: Connection) -> list[Row]:
        return await connection.all(statement, **values)

    return await database.read(work)


async def _write(database: Database, statement: Statement, **values: Value) -> None:
    async def work(connection: Connection) -> None:
        await connection.all(statement, **values)

    await database.write(work)
