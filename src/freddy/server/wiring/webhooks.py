"""Webhooks: what callers manage of them, and who delivers."""

from contextlib import AsyncExitStack

from msgspec import Struct

from freddy.server.accounts.offices import Office
from freddy.server.config import Settings
from freddy.server.listeners.metrics import Metrics
from freddy.server.listeners.webhook_posts import HttpPost
from freddy.server.listeners.webhooks import Deliveries, Pace
from freddy.server.ports.outward import Outward
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.world import Chance, Clock, IdSource
from freddy.server.resources.webhooks import KeptEndpoints, Webhooks
from freddy.server.stores.sql.webhooks import SqlDeliveries
from freddy.server.sweeping import swept
from freddy.server.wiring.storage import Stores

_DAY = 24 * 3600
_SWEEP_SECONDS = 600.0
"""Between two looks for deliveries that ended long ago."""


class Announcing(Struct, frozen=True):
    """`deliveries` listens to runs."""

    webhooks: Webhooks
    deliveries: Deliveries


async def announcing(
    settings: Settings,
    stack: AsyncExitStack,
    stores: Stores,
    people: Office,
    *,
    outward: Outward,
    sealer: Sealer,
    metrics: Metrics,
    clock: Clock,
    ids: IdSource,
    chance: Chance,
) -> Announcing:
    """Deliveries are made while the stack is open."""
    told = settings.webhooks
    line = SqlDeliveries(stores.database)
    endpoints = KeptEndpoints(stores.records, sealer=sealer, clock=clock)
    post = HttpPost(outward, clock, seconds=told.seconds)
    deliveries = Deliveries(
        line,
        endpoints,
        post,
        clock=clock,
        chance=chance,
        pace=Pace(
            at_once=told.at_once,
            poll_seconds=told.poll_seconds,
            seconds=told.seconds,
            attempts=told.attempts,
            failing_days=told.failing_days,
        ),
        counted=metrics.webhook_attempted,
    )
    webhooks = Webhooks(
        stores.records,
        line,
        endpoints,
        post=post,
        sealer=sealer,
        outward=outward,
        clock=clock,
        ids_from=ids,
        most=told.most,
        changed=people.audit.changed,
        added=deliveries.wake,
    )
    if told.at_once:
        await stack.enter_async_context(deliveries.working())
    await stack.enter_async_context(
        swept({"webhooks": lambda: line.expire(int(clock.now() - told.kept_days * _DAY))}, seconds=_SWEEP_SECONDS)
    )
    return Announcing(webhooks, deliveries)
