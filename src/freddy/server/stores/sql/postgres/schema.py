"""Gives a PostgreSQL database the schema of this version: made when new, migrated when old, refused when newer."""

import asyncio
from pathlib import Path

from freddy.server.core import errors
from freddy.server.stores.sql.dialect import PostgresDialect
from freddy.server.stores.sql.postgres import faults
from freddy.server.stores.sql.postgres.address import Address, parse
from freddy.server.stores.sql.postgres.session import WRITERS, Away, Raw, Session
from freddy.server.stores.sql.schema import HEAD, MIGRATIONS, STAMP, definition

_LONG = 3600.0
"""Seconds that a statement of a migration may take, or the wait for another server that migrates."""
_HERE = "current_schema()::regnamespace"
# What extensions bring does not count.
_TABLES = f"""
SELECT relname FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = {_HERE}
AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
"""  # noqa: S608 — it holds only what is written here
_STAMPED = f"SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'alembic_version' AND relnamespace = {_HERE})"  # noqa: S608


async def bring_up(address: Address, *, patience: float, head: str = HEAD, migrations: Path = MIGRATIONS) -> None:
    """Safe when several servers start at once: one changes the schema, in one transaction, while the others wait."""
    session = Session(address, patience=patience)
    try:
        raw = await session.open()
        if await version(raw) == head:
            return
        await raw.execute("BEGIN")
        await raw.execute(f"SELECT pg_advisory_xact_lock({WRITERS})", timeout=_LONG)
        if not await _ready(raw, head):
            from freddy.server.stores.sql.postgres import upgrade  # noqa: PLC0415 — imports Alembic

            loop = asyncio.get_running_loop()
            await asyncio.to_thread(upgrade.upgrade, raw, loop, seconds=_LONG, head=head, migrations=migrations)
        await raw.execute("COMMIT")
    except Away as away:
        raise away.told from away
    except Exception as error:
        told = faults.translated(error)
        if told is error:
            raise
        raise told from error
    finally:
        await session.close()


async def look(url: str, *, patience: float) -> str | None:
    """The version of a database that is only looked at. Raises `errors.StorageUnavailable`."""
    session = Session(parse(url), patience=patience)
    try:
        return await version(await session.open())
    except Away as away:
        raise away.told from away
    finally:
        await session.close()


async def version(raw: Raw) -> str | None:
    """The newest migration that the database has had, None where it never had one."""
    if not await raw.fetchval(_STAMPED):
        return None
    found: str | None = await raw.fetchval("SELECT version_num FROM alembic_version")
    return found


async def _ready(raw: Raw, head: str) -> bool:
    """Whether the schema is that of `head`: made now, where the database is empty."""
    found = await version(raw)
    if found is not None:
        return found == head
    if await raw.fetch(_TABLES):
        raise errors.StorageUnavailable(
            "The database belongs to another program: it has tables, and none of Freddy's.",
            details="Name a database of its own in FREDDY_DATABASE, or a schema of its own with ?search_path=name.",
        )
    for statement in (*definition(PostgresDialect()), STAMP):
        await raw.execute(statement)
    await raw.execute("INSERT INTO alembic_version VALUES ($1)", head)
    return True
