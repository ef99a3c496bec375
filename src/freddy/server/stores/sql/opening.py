"""Opens the database that a setting names."""

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

from freddy.server.core import errors
from freddy.server.stores.sql import faults, schema
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase

_PATIENCE = 5.0
"""Seconds that a look may wait."""


def opened(place: Path | str) -> AbstractAsyncContextManager[Database]:
    """A path is an SQLite file, a text the address of a PostgreSQL database.

    What is returned raises `errors.StorageUnavailable` where it cannot be opened.
    """
    if isinstance(place, Path):
        return SqliteDatabase(place)
    require_driver()
    from freddy.server.stores.sql.postgres.database import PostgresDatabase  # noqa: PLC0415 — imports asyncpg

    return PostgresDatabase(place)


def require_driver() -> None:
    """Raises `errors.StorageUnavailable` where this installation cannot speak to PostgreSQL."""
    try:
        import asyncpg  # noqa: F401, PLC0415 — most installations have no need of it
    except ModuleNotFoundError as error:
        raise errors.StorageUnavailable(
            "The database is PostgreSQL, and asyncpg is not installed.",
            details="Run: pip install 'freddy-gateway[postgres]'",
        ) from error


async def version(place: Path | str) -> str | None:
    """The schema that the database has; None for an empty one, and for one that is not there. Changes nothing.

    Raises `errors.StorageUnavailable`.
    """
    if isinstance(place, Path):
        return await asyncio.to_thread(_sqlite_version, place)
    require_driver()
    from freddy.server.stores.sql.postgres import schema as postgres  # noqa: PLC0415 — imports asyncpg

    return await postgres.look(place, patience=_PATIENCE)


def _sqlite_version(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
            return schema.version(connection)
    except sqlite3.Error as error:
        raise faults.translated(error) from error
