"""What organizations and keys may use, and where that is counted."""

from contextlib import AsyncExitStack
from functools import partial

from freddy.server.accounts.limits import Limiter
from freddy.server.accounts.offices import Office
from freddy.server.config import ConfigError, Settings
from freddy.server.core.limits import Limits
from freddy.server.ports.counters import BudgetSource, Counters
from freddy.server.ports.world import Clock, IdSource
from freddy.server.stores.counters.memory import MemoryCounters


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
    try:
        # Its client is an extra, and takes long to import.
        from freddy.server.stores.counters.redis import RedisCounters  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            ("FREDDY_REDIS_URL needs a package more: pip install 'freddy-gateway[server,redis]'",)
        ) from error
    try:
        counters = RedisCounters(url, clock=clock, ids=ids)
    except ValueError as error:
        raise ConfigError((f"FREDDY_REDIS_URL: {error}",)) from error
    return await stack.enter_async_context(counters)
