"""Opens every adapter of `Signals`, for its suite to run against."""

from collections.abc import AsyncIterator

import pytest

from freddy.server.ports.signals import Signals
from freddy.server.stores.signals.memory import MemorySignals
from freddy.server.stores.signals.redis import RedisSignals
from freddy.server.world import RandomIds
from freddy_process import BOUND
from valkeys import empty_valkey, shared_valkey

__all__ = ["empty_valkey", "shared_valkey"]


@pytest.fixture(params=["memory", "redis"])
async def signals(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Signals, Signals]]:
    """Of one who tells, and of one who listens: the same, or in two processes."""
    if request.param == "memory":
        async with MemorySignals() as memory:
            yield memory, memory
        return
    url = request.getfixturevalue("valkey").url
    async with (
        RedisSignals(url, ids=RandomIds(), timeout_seconds=BOUND) as one,
        RedisSignals(url, ids=RandomIds(), timeout_seconds=BOUND) as two,
    ):
        yield one, two
