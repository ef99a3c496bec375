"""What organizations and keys may use, and where that is counted."""

from contextlib import AsyncExitStack
from functools import partial

from freddy.server.accounts.limits import Limiter
from freddy.server.accounts.offices import Office
from freddy.server.config import Settings
from freddy.server.core.limits import Limits
from freddy.server.ports.counters import BudgetSource, Counters
from freddy.server.ports.world import Clock, IdSource
from freddy.server.stores.counters.memory import MemoryCounters
from freddy.server.wiring import redis


async def limiter(
    settings: Settings, stack: AsyncExitStack, people: Office, *, spending: BudgetSource, clock: Clock, ids: IdSource
) -> Limiter:
    return Limiter(
        await _counters(settings, stack, clock, ids),
        organization_limits=people.organizations.limits,
        spending=spending,
        clock=clock,
        organization_default=of_organizations(settings),
        key_default=of_keys(settings),
        meanwhile=partial(MemoryCounters, clock) if settings.limits.on_failure == "allow" else None,
    )


def of_organizations(settings: Settings) -> Limits:
    told = settings.limits
    return Limits(
        requests_per_minute=told.organization_requests_per_minute,
        tokens_per_minute=told.organization_tokens_per_minute,
        concurrent_runs=told.organization_concurrent_runs,
        monthly_budget=told.organization_monthly_budget,
    )


def of_keys(settings: Settings) -> Limits:
    told = settings.limits
    return Limits(
        requests_per_minute=told.key_requests_per_minute,
        tokens_per_minute=told.key_tokens_per_minute,
        concurrent_runs=told.key_concurrent_runs,
        monthly_budget=told.key_monthly_budget,
    )


async def _counters(settings: Settings, stack: AsyncExitStack, clock: Clock, ids: IdSource) -> Counters:
    url = settings.limits.redis_url
    if url is None:
        return MemoryCounters(clock)
    with redis.opening():
        from freddy.server.stores.counters.redis import RedisCounters  # noqa: PLC0415

        counters = RedisCounters(url, clock=clock, ids=ids)
    return await stack.enter_async_context(counters)
