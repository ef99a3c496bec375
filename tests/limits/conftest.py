"""Opens every adapter of `Counters`, for its suite to run against."""

from collections.abc import AsyncIterator

import pytest

from freddy.server.ports.counters import Counters
from freddy.server.stores.counters.memory import MemoryCounters
from freddy.server.stores.counters.redis import RedisCounters
from freddy.server.world import RandomIds
from freddy_fakes import FixedClock
from valkeys import empty_valkey, shared_valkey

__all__ = ["empty_valkey", "shared_valkey"]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest, clock: FixedClock) -> AsyncIterator[Counters]:
    if request.param == "memory":
        yield MemoryCounters(clock)
        return
    url = request.getfixturevalue("valkey").url
    async with RedisCounters(url, clock=clock, ids=RandomIds(), timeout_seconds=30, now=clock.now) as counters:
        yield counters
