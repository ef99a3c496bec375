"""How runs in the background are performed here, and how this process hears of others."""

from contextlib import AsyncExitStack
from pathlib import Path

from freddy.server.config import Settings
from freddy.server.ports.runs import RunStore
from freddy.server.ports.signals import Signals
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime.worker import Pace
from freddy.server.stores.signals.memory import MemorySignals
from freddy.server.wiring import redis

_ALONE_POLL_SECONDS = 30.0
_ALONE_FOLLOW_SECONDS = 1.0
"""Where no other process can do anything, whatever happens is told."""


def pace(settings: Settings) -> Pace:
    told = settings.background
    alone = is_alone(settings)
    return Pace(
        at_once=told.at_once,
        heartbeat=told.heartbeat_seconds,
        lease=told.lease_seconds,
        poll=max(told.poll_seconds, _ALONE_POLL_SECONDS) if alone else told.poll_seconds,
        alone=alone,
    )


def follow_seconds(settings: Settings) -> float:
    told = settings.background.poll_seconds
    return max(told, _ALONE_FOLLOW_SECONDS) if is_alone(settings) else told


def is_alone(settings: Settings) -> bool:
    """Whether no other process can have the database open."""
    return isinstance(settings.store.database, Path)


async def signals(settings: Settings, stack: AsyncExitStack, ids: IdSource) -> Signals:
    url = settings.limits.redis_url
    if url is None:
        return MemorySignals()
    with redis.opening():
        from freddy.server.stores.signals.redis import RedisSignals  # noqa: PLC0415

        told = RedisSignals(url, ids=ids)
    return await stack.enter_async_context(told)


async def forget_logs(runs: RunStore, clock: Clock, *, hours: float) -> None:
    """The logs of responses that ended longer ago."""
    before = int(clock.now() - hours * 3600)
    while await runs.expire(before):
        pass
