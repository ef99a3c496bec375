"""Builds the house: the only module that knows every room."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import uvicorn
from msgspec import Struct
from starlette.types import ASGIApp

from freddy.server import logs, world
from freddy.server.accounts import development, keys
from freddy.server.config import Settings, Upstream
from freddy.server.core import errors
from freddy.server.core.accounts import ApiKey, Caller
from freddy.server.core.profile import Profile
from freddy.server.http import app
from freddy.server.http.auth import Auth
from freddy.server.http.hangups import Hangups
from freddy.server.http.routes.health import HealthRoutes
from freddy.server.http.routes.models import ModelRoutes
from freddy.server.http.routes.pages import PageRoutes
from freddy.server.http.routes.responses import ResponseRoutes
from freddy.server.http.routes.threads import ThreadRoutes
from freddy.server.listeners.metrics import Metrics
from freddy.server.ports.model import Model
from freddy.server.ports.wire import Limits
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible.adapter import Compatible
from freddy.server.runtime.history import History
from freddy.server.runtime.host import Host
from freddy.server.runtime.prepare import Preparation
from freddy.server.runtime.recorder import Recorder
from freddy.server.runtime.responses import Responses
from freddy.server.runtime.routing import Candidate, Routing
from freddy.server.runtime.runner import Runner
from freddy.server.runtime.threads import Threads
from freddy.server.stores.channels.memory import MemoryChannel
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.threads import SqlThreads

_log = logging.getLogger(__name__)

DISTRIBUTION = "freddy-gateway"
DEFAULT_MODEL = "ftg-3.0"
DOCUMENTED_MODELS = (
    "claude-3-5-sonnet-20241022",
    "claude-sonnet-4",
    "claude-sonnet-4-20250514",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-vision",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-5.2",
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.4-nano",
)
"""Names that the documentation's examples ask for: in development mode, with no upstream, the embedded model answers."""


class House(Struct, frozen=True):
    """`development_key` is the ready key of local development mode, None outside it."""

    app: ASGIApp
    development_key: str | None


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Everything the server is, opened in order and closed in the opposite one.

    Raises `errors.StorageUnavailable` when the database cannot be opened.
    """
    clock, ids = world.SystemClock(), world.RandomIds()
    release = version(DISTRIBUTION)
    async with AsyncExitStack() as stack:
        settings.home.mkdir(parents=True, exist_ok=True)
        database = await stack.enter_async_context(Database(settings.store.database))
        responses_store, threads_store = SqlResponses(database), SqlThreads(database)
        accounts = SqlAccounts(database)
        if lost := await responses_store.fail_unfinished((), int(clock.now())):
            _log.warning("responses_interrupted", extra={"count": lost})
        channel = MemoryChannel(
            clock,
            keep_seconds=settings.channel.retention_seconds,
            keep_events=settings.channel.retention_events,
        )
        embedded = await stack.enter_async_context(_embedded(settings))
        routing = await _routing(settings, stack, embedded)
        metrics = Metrics(release, embedded.phase)
        host = await stack.enter_async_context(
            Host(
                runner=Runner(clock=clock, ids=ids),
                recorder=Recorder(responses_store, channel),
                clock=clock,
                listeners=(metrics,),
                grace_seconds=settings.server.shutdown_seconds,
            )
        )
        responses = Responses(
            preparation=Preparation(
                routing=routing, history=History(responses_store, threads_store), clock=clock, ids=ids
            ),
            host=host,
            store=responses_store,
            channel=channel,
        )
        secret, ring, anonymous = None, list[ApiKey](), None
        if settings.development:
            secret = await asyncio.to_thread(_development_key, settings)
            ring = development.key_ring(secret, clock=clock, ids_from=ids)
            anonymous = development.anonymous()
            for organization in development.organizations(clock):
                await accounts.add_organization(organization)
        hangups = await stack.enter_async_context(Hangups())
        longest = settings.server.max_body_bytes
        yield House(
            app.build(
                responses=ResponseRoutes(
                    responses,
                    ids=ids,
                    hangups=hangups,
                    max_body_bytes=longest,
                    ping_seconds=settings.server.ping_seconds,
                ),
                threads=ThreadRoutes(
                    Threads(store=threads_store, clock=clock, ids=ids), max_body_bytes=longest
                ),
                models=ModelRoutes(routing),
                health=HealthRoutes(
                    needed={"database": database.check},
                    told={"embedded_model": embedded.check},
                    metrics=metrics.render,
                    version=release,
                ),
                pages=PageRoutes(version=release, development=settings.development),
                auth=Auth(keys.Verifier(accounts, clock=clock, unkept=ring), anonymous=anonymous),
                clock=clock,
                ids=ids,
                requests=metrics,
            ),
            secret,
        )
