"""Opens every adapter of a port, for the suite of that port to run against."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from migrations_to_come import make_migrations

from databases import database, fresh_database
from freddy.server.ports.channel import Channel
from freddy.server.ports.stores import AccountStore, ResponseStore, ThreadStore
from freddy.server.stores.channels.memory import MemoryChannel
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.threads import SqlThreads
from freddy_fakes import FixedClock

__all__ = ["database"]


@pytest.fixture
async def sqlite() -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase(None) as sqlite:
        yield sqlite


@pytest.fixture
async def postgres() -> AsyncIterator[PostgresDatabase]:
    async with fresh_database() as url, PostgresDatabase(url) as postgres:
        yield postgres


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Migrations of a version to come."""
    return make_migrations(tmp_path / "migrations")


@pytest.fixture
def responses(database: Database) -> ResponseStore:
    return SqlResponses(database)


@pytest.fixture
def threads(database: Database) -> ThreadStore:
    return SqlThreads(database)


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    return SqlAccounts(database)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(params=["memory"])
def channel(clock: FixedClock) -> Channel:
    return MemoryChannel(clock, keep_seconds=60.0, keep_runs=3, keep_events=10)
