"""The embedded engine as the settings want it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from freddy.server.config import Settings
from freddy.server.core.profile import Profile
from freddy.server.ports.model import Model
from freddy.server.ports.wire import Limits
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible.adapter import Compatible
from freddy.server.providers.compatible.catalog import LLAMA_CPP
from freddy.server.providers.embedded import arrival, catalog, weights
from freddy.server.providers.embedded.adapter import PROVIDER
from freddy.server.providers.embedded.child import Address
from freddy.server.providers.embedded.child import Limits as EngineLimits
from freddy.server.providers.embedded.engine import Engine


@asynccontextmanager
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    """The embedded engine, under way; a better model than it begins with is pulled beside it."""
    folder, asked = settings.models_path, settings.model.name
    better: catalog.Weights | None = None
    choice = None
    if asked == "auto":
        name = await asyncio.to_thread(weights.preferred, folder) or catalog.SMOLLM2.name
        better = catalog.QWEN_CODER if settings.model.pull and name != catalog.QWEN_CODER.name else None
        choice = weights.choose(name, folder)
    elif asked != "none":
        choice = weights.choose(asked, folder)
    limits = EngineLimits(
        parallel=settings.engine.slots,
        context=settings.engine.context_tokens,
        cache_mib=settings.engine.cache_mib,
        idle_seconds=settings.engine.sleep_idle_seconds,
        threads=settings.engine.threads or None,
        batch_threads=settings.engine.threads or None,
    )
    async with Engine(choice, limits=limits) as engine, asyncio.TaskGroup() as tasks:
        if better is None:
            yield engine
            return
        coming = arrival.improve(
            engine, better, weights.choose(better.name, folder), folder=folder, index=settings.model.index_url
        )
        arriving = tasks.create_task(coming)
        yield engine
        arriving.cancel()


@asynccontextmanager
async def embedded_at(
    engine: Engine, address: Address, fields: Mapping[str, object], *, limits: Limits
) -> AsyncIterator[Model]:
    """The engine behind an address, as what it is: a server that speaks chat completions."""
    name = engine.choice.name if engine.choice else PROVIDER
    profile = Profile(name=name, provider=PROVIDER, context_tokens=engine.context)
    async with (
        PooledWire("The embedded model", address.base_url + "/v1", limits=limits, socket=address.socket) as wire,
        PooledWire("The embedded model", address.base_url, limits=limits, socket=address.socket) as counter,
    ):
        yield Compatible(wire, profile, key=address.api_key, counter=counter, row=LLAMA_CPP.adding(fields))


async def told(engine: Engine) -> str:
    state = engine.state
    if state.phase == "ready":
        return "ok"
    return f"{state.phase}: {state.reason}" if state.reason else state.phase
