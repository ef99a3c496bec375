"""Builds the house: the only module that knows every room."""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct
from starlette.types import ASGIApp

from freddy.server import upstreams, world
from freddy.server.accounts import development, keys
from freddy.server.accounts.provider_keys import ProviderKeys
from freddy.server.config import ConfigError, Settings, dev_key
from freddy.server.core.accounts import ApiKey, Caller
from freddy.server.core.profile import Profile
from freddy.server.dialects.freddy import Freddy
from freddy.server.dialects.freddy.request import DEFAULT_MODEL
from freddy.server.dialects.freddy.response import Units
from freddy.server.http import app
from freddy.server.http.auth import Auth
from freddy.server.http.hangups import Hangups
from freddy.server.http.routes.files import FileRoutes
from freddy.server.http.routes.health import HealthRoutes
from freddy.server.http.routes.models import ModelRoutes
from freddy.server.http.routes.pages import PageRoutes
from freddy.server.http.routes.provider_keys import ProviderKeyRoutes
from freddy.server.http.routes.responses import ResponseRoutes
from freddy.server.http.routes.threads import ThreadRoutes
from freddy.server.knowledge.extract import Extractor
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.links import Links
from freddy.server.knowledge.samples import Samples
from freddy.server.listeners.metrics import Metrics
from freddy.server.ports.blobs import Blobs
from freddy.server.ports.model import Model, Provider
from freddy.server.ports.wire import Limits
from freddy.server.providers._directory import Directory
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible.adapter import Compatible
from freddy.server.providers.compatible.catalog import LLAMA_CPP
from freddy.server.providers.embedded import arrival, catalog, weights
from freddy.server.providers.embedded.adapter import PROVIDER, Embedded
from freddy.server.providers.embedded.child import Address
from freddy.server.providers.embedded.child import Limits as EngineLimits
from freddy.server.providers.embedded.engine import Engine
from freddy.server.runtime.health import Health
from freddy.server.runtime.history import History
from freddy.server.runtime.host import Host
from freddy.server.runtime.media import Media
from freddy.server.runtime.prepare import Preparation
from freddy.server.runtime.recorder import Recorder
from freddy.server.runtime.repeats import Repeats
from freddy.server.runtime.responses import Responses
from freddy.server.runtime.retrying import Policy
from freddy.server.runtime.route import Candidate, Means
from freddy.server.runtime.routing import Routing
from freddy.server.runtime.runner import Runner
from freddy.server.runtime.threads import Threads
from freddy.server.sealing import AesSealer
from freddy.server.stores.blobs.local import LocalBlobs
from freddy.server.stores.blobs.s3 import S3Blobs
from freddy.server.stores.channels.memory import MemoryChannel
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.claim import claimed
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.provider_keys import SqlProviderKeys
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.threads import SqlThreads
from freddy.server.stores.sql.uploads import SqlFiles

_log = logging.getLogger(__name__)

DISTRIBUTION = "freddy-gateway"
_FOLLOWABLE = 250
"""Ended responses whose live events stay in memory, each with its whole request; older ones are told from the store."""
_SWEEP_SECONDS = 600.0
"""Between two looks for files that have expired and content that broken uploads left."""
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
"""Names that the documentation's examples ask for: in development mode without upstreams the embedded model answers."""


class House(Struct, frozen=True):
    """`host` owns the runs. `development_key` is the ready key of local development mode, None outside it."""

    app: ASGIApp
    host: Host
    development_key: str | None


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Everything the server is, opened in order and closed in the opposite one.

    Raises `errors.StorageUnavailable` when the database cannot be opened, OSError for the home folder, and
    `ConfigError` for upstreams that cannot be.
    """
    if wrong := tuple(upstreams.problems(settings)):
        raise ConfigError(wrong)
    clock, ids = world.SystemClock(), world.RandomIds()
    release = version(DISTRIBUTION)
    async with AsyncExitStack() as stack:
        _make_home(settings.home)
        stack.enter_context(claimed(settings.store.database))
        database = await stack.enter_async_context(Database(settings.store.database))
        responses_store, threads_store = SqlResponses(database), SqlThreads(database)
        accounts = SqlAccounts(database)
        sealer = AesSealer(settings.secret_keys, file=settings.secret_key_path)
        brought = ProviderKeys(
            SqlProviderKeys(database),
            sealer=sealer,
            clock=clock,
            upstreams=frozenset(upstream.name for upstream in settings.upstreams),
        )
        files = Files(
            store=SqlFiles(database),
            blobs=await asyncio.to_thread(_blobs, settings),
            clock=clock,
            ids=ids,
            max_bytes=settings.files.max_bytes,
            samples=Samples(development.ORGANIZATIONS) if settings.development else None,
        )
        await stack.enter_async_context(_swept(files))
        if lost := await responses_store.fail_unfinished((), int(clock.now())):
            _log.warning("responses_interrupted", extra={"count": lost})
        channel = MemoryChannel(
            clock,
            keep_seconds=settings.channel.retention_seconds,
            keep_events=settings.channel.retention_events,
            keep_runs=_FOLLOWABLE,
        )
        engine = await stack.enter_async_context(_engine(settings))
        media = _media(files, settings)
        policy = _policy(settings)
        means = Means(policy, Health(clock, policy), clock, world.SystemChance(), brought, media)
        routing = await _routing(settings, stack, engine, means)
        metrics = Metrics(release, lambda: engine.state.phase)
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
                routing=routing,
                history=History(responses_store, threads_store),
                clock=clock,
                ids=ids,
                media=media,
            ),
            host=host,
            store=responses_store,
            channel=channel,
            repeats=Repeats(clock),
        )
        secret: str | None = None
        ring: list[ApiKey] = []
        anonymous: Caller | None = None
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
                freddy=Freddy(Units(settings.accounting.tokens_per_neuron, settings.accounting.tokens_per_synapse)),
                responses=ResponseRoutes(
                    responses,
                    ids=ids,
                    hangups=hangups,
                    max_body_bytes=longest,
                    ping_seconds=settings.server.ping_seconds,
                ),
                threads=ThreadRoutes(Threads(store=threads_store, clock=clock, ids=ids), max_body_bytes=longest),
                models=ModelRoutes(routing),
                provider_keys=ProviderKeyRoutes(brought, max_body_bytes=longest),
                files=FileRoutes(
                    files,
                    Links(sealer, clock),
                    ids=ids,
                    hangups=hangups,
                    max_body_bytes=longest,
                    public_url=settings.server.public_url,
                ),
                health=HealthRoutes(
                    needed={"database": partial(_readable, database)},
                    told={"embedded_model": partial(_told, engine)},
                    metrics=metrics.render,
                    version=release,
                ),
                pages=PageRoutes(version=release, development=settings.development),
                auth=Auth(keys.Verifier(accounts, clock=clock, unkept=ring), anonymous=anonymous),
                clock=clock,
                ids=ids,
                requests=metrics,
            ),
            host,
            secret,
        )


async def _routing(settings: Settings, stack: AsyncExitStack, engine: Engine, means: Means) -> Routing:
    """Who answers to which name: the embedded models, what the settings say of models, then the upstreams in order."""
    models: dict[str, list[Candidate]] = {}
    aliases: dict[str, str] = {}
    patterns: list[tuple[str, Candidate]] = []
    if engine.choice is not None:
        connect = partial(_embedded_at, engine, limits=upstreams.limits(settings))
        embedded = Embedded(
            engine,
            connect,
            slots=settings.engine.slots,
            queue=settings.engine.queue,
            answer_tokens=settings.engine.answer_tokens,
        )
        models[DEFAULT_MODEL] = [Candidate(embedded)]
        if settings.development and not settings.upstreams:
            aliases |= dict.fromkeys(DOCUMENTED_MODELS, DEFAULT_MODEL)
    directory = await Directory.load() if settings.upstreams else Directory({})
    providers: dict[str, Provider] = {}
    for place, upstream in enumerate(settings.upstreams):
        provider = await stack.enter_async_context(upstreams.opened(upstream, settings, directory))
        providers[upstream.name] = provider
        renamed = upstreams.renamed(upstream)
        anyone = Candidate(provider, word=upstream.first_token_seconds, renamed=renamed)
        patterns += [(pattern, anyone) for pattern in upstream.models]
        for name in upstream.models:
            if "*" not in name:
                called = renamed.get(name, name)
                candidate = Candidate(provider, called, place, word=upstream.first_token_seconds)
                models.setdefault(name, []).append(candidate)
        if upstream.default_model and DEFAULT_MODEL not in models:
            models[DEFAULT_MODEL] = [Candidate(provider, upstream.default_model, word=upstream.first_token_seconds)]
    words = {upstream.name: upstream.first_token_seconds for upstream in settings.upstreams}
    for served in settings.models:
        models[served.name] = [
            Candidate(providers[way.upstream], way.model, way.order, way.weight, words[way.upstream])
            for way in served.candidates
        ]
    # `*` has what nobody else names, wherever in the file it stands.
    patterns.sort(key=lambda one: one[0] == "*")
    return Routing(models, means, aliases={**aliases, **settings.aliases}, patterns=patterns)


def _blobs(settings: Settings) -> Blobs:
    told = settings.files
    if told.s3_bucket is None:
        return LocalBlobs(settings.files_path)
    return S3Blobs(
        told.s3_bucket,
        region=told.s3_region,
        endpoint=told.s3_endpoint,
        prefix=told.s3_prefix,
        access_key=told.s3_access_key,
        secret_key=told.s3_secret_key,
    )


@asynccontextmanager
async def _swept(files: Files) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        sweeping = tasks.create_task(files.keep_swept(seconds=_SWEEP_SECONDS))
        yield
        sweeping.cancel()


def _media(files: Files, settings: Settings) -> Media:
    told = settings.files
    extractor = Extractor(
        characters=told.max_text_characters,
        seconds=told.extract_seconds,
        memory_bytes=told.extract_memory_mib * 1024 * 1024,
    )
    return Media(files, extractor, turn_bytes=told.max_turn_bytes, cache_bytes=told.cache_bytes)


def _policy(settings: Settings) -> Policy:
    told = settings.routing
    return Policy(
        retries=told.retries,
        every=told.retry_every_failure,
        longest=told.retry_wait_seconds,
        cooldown=told.cooldown_seconds,
        failures=told.cooldown_failures,
        word=settings.timeouts.first_token_seconds,
        hedge=told.hedge_seconds,
    )


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Engine]:
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
async def _embedded_at(
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


async def _told(engine: Engine) -> str:
    state = engine.state
    if state.phase == "ready":
        return "ok"
    return f"{state.phase}: {state.reason}" if state.reason else state.phase


async def _readable(database: Database) -> str:
    await database.read(lambda connection: connection.execute("SELECT 1").fetchone())
    return "ok"


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"the home folder {str(home)!r} cannot be made: {error.strerror}; choose another with FREDDY_HOME"
        ) from error


def _development_key(settings: Settings) -> str:
    """The key that the settings name, or else one that is made once and kept for this machine's user alone."""
    if known := dev_key(settings):
        return known
    secret = keys.PREFIX + secrets.token_urlsafe(32)
    with os.fdopen(os.open(settings.dev_key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret + "\n")
    return secret
