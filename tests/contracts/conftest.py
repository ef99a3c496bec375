"""Opens every adapter of a port, for the suite of that port to run against."""

from collections.abc import AsyncIterator

import pytest

from freddy.server.ports.channel import Channel
from freddy.server.ports.stores import AccountStore, ResponseStore, ThreadStore
from freddy.server.stores.channels.memory import MemoryChannel
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.threads import SqlThreads
from freddy_fakes import FixedClock


@pytest.fixture(params=["sqlite"])
async def database() -> AsyncIterator[Database]:
    async with Database(None) as database:
        yield database


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
