"""A database of the time before runs could be resumed has, in this version, all that it had, and can keep runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from contract_examples import ACME, begun, completed

from databases import empty_database
from freddy.server.core.response import Response
from freddy.server.ports.runs import Entry
from freddy.server.stores.sql import rows, schema, upgrade
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.postgres import driver
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.runs import SqlRuns
from freddy_fakes import PATIENCE

BEFORE = "0005"
ENDED = completed(begun(id="resp_ended", thread_id=None))
GOING = begun(id="resp_going")


def fill(connection: sa.Connection) -> None:
    """As the version before did."""
    upgrade.migrate(connection, head=BEFORE, migrations=schema.MIGRATIONS)
    for response in (ENDED, GOING):
        connection.exec_driver_sql(statement(response))


def statement(response: Response) -> str:
    told = {
        "id": response.id,
        "organization_id": response.organization_id,
        "key_id": response.key_id,
        "status": response.status,
        "model": response.model,
        "provider": response.provider,
        "created_at": response.created_at,
        "completed_at": response.completed_at,
        "request": rows.request_text(response),
        "outcome": rows.outcome(response),
    }
    values = ", ".join("NULL" if value is None else f"'{value}'" for value in told.values())
    return f"INSERT INTO responses ({', '.join(told)}) VALUES ({values})"


@asynccontextmanager
async def upgraded(kind: str, folder: Path) -> AsyncIterator[Database]:
    if kind == "sqlite":
        engine = sa.create_engine(f"sqlite:///{folder / 'a.db'}", poolclass=sa.NullPool)
        with engine.begin() as connection:
            fill(connection)
        async with SqliteDatabase(folder / "a.db") as sqlite:
            yield sqlite
        return
    async with empty_database() as url:
        raw = await asyncpg.connect(url)
        loop = asyncio.get_running_loop()

        def make() -> None:
            with driver.joined(raw, loop, seconds=PATIENCE) as connection:
                fill(connection)

        async with raw.transaction():
            await asyncio.to_thread(make)
        await raw.close()
        async with PostgresDatabase(url) as postgres:
            yield postgres


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_responses_of_before_stay_and_runs_can_be_kept(kind: str, tmp_path: Path) -> None:
    async with upgraded(kind, tmp_path) as database:
        responses, runs = SqlResponses(database, "wrk_1"), SqlRuns(database)
        assert await responses.get(ACME, ENDED.id) == ENDED
        # Nobody makes it any more: the process that did was of the version before.
        assert await runs.bury_unknown(9) == 1
        assert await responses.get(ACME, ENDED.id) == ENDED
        found = await responses.get(ACME, GOING.id)
        assert found is not None
        assert found.status == "failed"
        await runs.beat("wrk_1")
        claim = await runs.put(response := begun("hello", status="queued"), b"plan", worker_id="wrk_1")
        assert claim is not None
        await runs.finish(claim, ended := completed(response, "well"), Entry(0, 0, 1, b"[]"))
        assert await responses.get(ACME, response.id) == ended
        await responses.delete(ACME, response.id)
        assert await runs.log(response.id) == []
