"""A process that stands still in the middle of a write: the database does not wait for it for ever."""

import asyncio

import asyncpg
import pytest
import sqlalchemy as sa
from durability_cluster import Way, database

import databases
from freddy.server.stores.sql import tables
from freddy.server.stores.sql.connection import Connection
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.statements import Statement, param
from freddy_process import BOUND

BE_KNOWN = Statement(tables.workers.insert().values(id=param("id"), beats=0))
BEAT = Statement(tables.workers.update().values(beats=tables.workers.c.beats + sa.literal_column("1")))
COUNT = Statement(sa.select(sa.func.count()).select_from(tables.workers))


async def beat(connection: Connection) -> None:
    await connection.run(BEAT)


async def beat_and_count(connection: Connection) -> None:
    await connection.run(BEAT)
    await connection.one(COUNT)


@pytest.mark.parametrize(
    ("last", "behind", "healthy", "frozen"),
    [
        pytest.param(beat, 2, 20.0, 1.0, id="between two commands"),
        # A command that is new to a connection is several messages; no time limit of PostgreSQL holds between them.
        pytest.param(beat_and_count, 3, 2.0, 2 * BOUND, id="between two messages of a command"),
    ],
)
async def test_what_was_left_locked_is_free_again(last, behind: int, healthy: float, frozen: float, caplog):
    postgres = databases.server()
    with database(postgres) as name:
        url = postgres.url(name)
        async with (
            Way(postgres) as way,
            PostgresDatabase(url, patience=healthy) as other,
            PostgresDatabase(way.url(name), patience=frozen, writers=1) as still,
        ):
            await other.write(lambda connection: connection.run(BE_KNOWN, id="worker"))
            await still.write(beat)
            # It has the row, and what it would send next never comes.
            way.stick(b"BEGIN ISOLATION LEVEL SERIALIZABLE", behind=behind)
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(still.write(last))
                async with asyncio.timeout(BOUND):
                    await way.stuck.wait()
                    assert await is_locked(url)
                    await other.write(beat)
                    await writing
        assert await beats(url) == 3
        # PostgreSQL ends the one by itself, and whoever waits the other.
        assert ("connections_ended" in caplog.messages) == (last is beat_and_count)


async def is_locked(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        await connection.fetch("SELECT id FROM workers FOR UPDATE NOWAIT")
    except asyncpg.LockNotAvailableError:
        return True
    finally:
        await connection.close()
    return False


async def beats(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT beats FROM workers")
    finally:
        await connection.close()
