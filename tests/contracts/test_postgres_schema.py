"""A PostgreSQL database has the schema of this version, whatever it had before."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from contract_examples import begun
from migrations_to_come import COMING, break_migration

from databases import empty_database
from freddy.server.core import errors
from freddy.server.stores.sql import schema, tables, upgrade
from freddy.server.stores.sql.postgres import address, driver
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.postgres.schema import bring_up
from freddy.server.stores.sql.responses import SqlResponses
from freddy_fakes import PATIENCE

STAMPED = "SELECT version_num FROM alembic_version"
DESCRIBED = (
    """
SELECT table_name, column_name, data_type, is_nullable, collation_name, column_default FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> 'alembic_version'
""",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
)


async def ask(url: str, *asked: str) -> list[set[tuple[Any, ...]]]:
    connection = await asyncpg.connect(url)
    try:
        return [{tuple(row) for row in await connection.fetch(sql)} for sql in asked]
    finally:
        await connection.close()


async def migrate_from_nothing(url: str) -> None:
    """Runs every migration, beginning with the first."""
    raw = await asyncpg.connect(url)
    loop = asyncio.get_running_loop()

    def migrate() -> None:
        with driver.joined(raw, loop, seconds=PATIENCE) as connection:
            upgrade.migrate(connection, head=schema.HEAD, migrations=schema.MIGRATIONS)

    try:
        async with raw.transaction():
            await asyncio.to_thread(migrate)
    finally:
        await raw.close()


def of_another_type(*told: Any) -> bool | None:
    """Whole numbers have one size here; of the rest Alembic judges."""
    found, wanted = told[-2:]
    return False if isinstance(found, sa.Integer) and isinstance(wanted, sa.Integer) else None


async def differences(url: str) -> list[Any]:
    """Between the tables of the database and those that are described."""
    raw = await asyncpg.connect(url)
    loop = asyncio.get_running_loop()

    def compare() -> list[Any]:
        with driver.joined(raw, loop, seconds=PATIENCE) as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": of_another_type})
            return list(compare_metadata(context, tables.metadata))

    try:
        return await asyncio.to_thread(compare)
    finally:
        await raw.close()


async def test_the_migrations_make_the_schema_that_is_described_on_postgresql_too() -> None:
    async with empty_database() as made, empty_database() as migrated:
        async with PostgresDatabase(made):
            pass
        await migrate_from_nothing(migrated)
        assert await ask(made, *DESCRIBED) == await ask(migrated, *DESCRIBED)
        assert await differences(migrated) == []


async def test_text_is_ordered_by_its_bytes_whatever_the_order_of_the_database() -> None:
    async with empty_database() as url:
        async with PostgresDatabase(url):
            pass
        (columns,) = await ask(url, DESCRIBED[0])
        assert {collation for _, _, kind, _, collation, _ in columns if kind == "text"} == {"C"}
        assert "integer" not in {kind for _, _, kind, *_ in columns}


async def test_several_servers_may_make_a_postgresql_database_at_once() -> None:
    async def use(url: str) -> None:
        async with PostgresDatabase(url, readers=1, writers=1) as database:
            await SqlResponses(database).open(begun("hello"))

    async with empty_database() as url:
        await asyncio.gather(*(use(url) for _ in range(6)))


async def test_an_old_postgresql_database_is_migrated(newer: Path) -> None:
    async with empty_database() as url:
        response = begun("hello", thread_id="t")
        async with PostgresDatabase(url) as database:
            await SqlResponses(database).open(response)
        bring = (bring_up(address.parse(url), patience=PATIENCE, head=COMING, migrations=newer) for _ in range(3))
        await asyncio.gather(*bring)
        assert await ask(url, STAMPED, "SELECT id, colour FROM threads") == [{(COMING,)}, {("t", None)}]


async def test_a_migration_that_fails_changes_nothing_of_a_postgresql_database(newer: Path) -> None:
    async with empty_database() as url:
        async with PostgresDatabase(url):
            pass
        before = await ask(url, *DESCRIBED)
        break_migration(newer)
        with pytest.raises(RuntimeError, match="no"):
            await bring_up(address.parse(url), patience=PATIENCE, head=COMING, migrations=newer)
        assert await ask(url, *DESCRIBED, STAMPED) == [*before, {(schema.HEAD,)}]
        async with PostgresDatabase(url) as database:
            await SqlResponses(database).open(begun("again"))


async def test_a_newer_postgresql_database_is_refused() -> None:
    async with empty_database() as url:
        async with PostgresDatabase(url):
            pass
        await ask(url, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(errors.StorageUnavailable, match="9999") as refused:
            async with PostgresDatabase(url):
                pass
        assert "Run the version of Freddy that wrote it" in (refused.value.details or "")


async def test_the_postgresql_database_of_another_program_is_refused() -> None:
    async with empty_database() as url:
        await ask(url, "CREATE TABLE notes (word TEXT)")
        with pytest.raises(errors.StorageUnavailable, match="another program") as refused:
            async with PostgresDatabase(url):
                pass
        assert "search_path" in (refused.value.details or "")


async def test_a_schema_of_its_own_may_stand_beside_other_programs() -> None:
    async with empty_database() as url:
        await ask(url, "CREATE TABLE notes (word TEXT)", "CREATE SCHEMA freddy")
        own = f"{url}&search_path=freddy"
        async with PostgresDatabase(own) as database:
            await SqlResponses(database).open(begun("hello"))
        assert await ask(own, "SELECT count(*) FROM freddy.responses") == [{(1,)}]
