"""Lets Alembic, which waits for nobody, run its statements on an asyncpg connection: from a thread of its own.

SQLAlchemy's way to do so needs greenlet, a compiled package that nothing else here would use. What follows is as much
of https://peps.python.org/pep-0249/ as SQLAlchemy asks for.
"""

import asyncio
import json
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import base

from freddy.server.stores.sql.connection import T
from freddy.server.stores.sql.dialect import ColumnTypes, PostgresDialect
from freddy.server.stores.sql.postgres.session import Raw

apilevel = "2.0"
threadsafety = 0
paramstyle = "numeric_dollar"

Error = DatabaseError = InterfaceError = OperationalError = IntegrityError = ProgrammingError = InternalError = (
    Exception
)
DataError = NotSupportedError = Warning = Exception  # noqa: A001 — PEP 249's word


class Cursor:
    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        rows, names, self.rowcount = self._connection.run(sql, values)
        self._rows = iter(rows)
        self.description = [(name, *[None] * 6) for name in names] or None

    def executemany(self, sql: str, each: Sequence[Sequence[Any]]) -> None:
        for values in each:
            self.execute(sql, values)

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        return [row for row, _ in zip(self._rows, range(size), strict=False)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def close(self) -> None:
        self._rows = iter(())


class Connection:
    """`raw` is an `asyncpg.Connection` of the loop; what is here is used in another thread."""

    def __init__(self, raw: Raw, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._raw = raw
        self._loop = loop
        self._seconds = seconds

    def cursor(self) -> Cursor:
        return Cursor(self)

    def run(self, sql: str, values: Sequence[Any]) -> tuple[list[tuple[Any, ...]], list[str], int]:
        """The rows, the names of their columns, and how many rows there are or were written."""
        return self._wait(self._run(sql, values))

    def commit(self) -> None:
        """The one who began the transaction ends it."""

    def rollback(self) -> None:
        """The one who began the transaction ends it."""

    def close(self) -> None:
        """The one who opened the connection closes it."""

    def _wait(self, going: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(going, self._loop).result()

    async def _run(self, sql: str, values: Sequence[Any]) -> tuple[list[tuple[Any, ...]], list[str], int]:
        prepared = await self._raw.prepare(sql, timeout=self._seconds)
        records = await prepared.fetch(*values, timeout=self._seconds)
        count = (prepared.get_statusmsg() or "").rpartition(" ")[2]
        names = [attribute.name for attribute in prepared.get_attributes()]
        return [tuple(record) for record in records], names, int(count) if count.isdecimal() else -1


class ThreadDialect(PostgresDialect):
    driver = "freddy"
    is_async = False
    supports_statement_cache = True
    # What it asks the catalogue for has narrower types.
    type_compiler_cls = ColumnTypes  # type: ignore[assignment]
    execution_ctx_cls = base.PGExecutionContext  # type: ignore[assignment]

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        import freddy.server.stores.sql.postgres.driver as here  # noqa: PLC0415 — this module is what is asked for

        return here

    def on_connect(self) -> None:
        return None

    def is_disconnect(self, *_: object) -> bool:
        return False

    def get_driver_connection(self, connection: object) -> object:
        return connection


registry.register("postgresql.freddy", __name__, ThreadDialect.__name__)


@contextmanager
def joined(raw: Raw, loop: asyncio.AbstractEventLoop, *, seconds: float) -> Iterator[sa.Connection]:
    """SQLAlchemy on a connection of the loop, in its transaction; for another thread than the loop's.

    A statement may take `seconds`.
    """
    for name in ("json", "jsonb"):  # as SQLAlchemy expects what it asks the catalogue for
        telling = raw.set_type_codec(name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        asyncio.run_coroutine_threadsafe(telling, loop).result()
    creator: Any = lambda: Connection(raw, loop, seconds)  # noqa: E731
    engine = sa.create_engine("postgresql+freddy://", creator=creator, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
