"""A process that stands still in the middle of a write: the database does not wait for it for ever."""

import asyncio

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


async def beat(connection: Connection) -> None:
    await connection.run(BEAT)


async def test_what_was_left_locked_is_free_again():
    postgres = databases.server()
    with database(postgres) as name:
        async with (
            Way(postgres) as way,
            PostgresDatabase(postgres.url(name), patience=5.0) as healthy,
            PostgresDatabase(way.url(name), patience=1.0) as frozen,
        ):
            await healthy.write(lambda connection: connection.run(BE_KNOWN, id="worker"))
            # It has the row, and its COMMIT never comes.
            way.stick(b"BEGIN ISOLATION LEVEL SERIALIZABLE", behind=3)
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(frozen.write(beat))
                async with asyncio.timeout(BOUND):
                    await way.stuck.wait()
                    await healthy.write(beat)
                    await writing
