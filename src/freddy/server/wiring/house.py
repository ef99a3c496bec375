"""Builds the house."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

from msgspec import Struct
from starlette.types import ASGIApp

from freddy.server import upstreams, world
from freddy.server.accounts import development
from freddy.server.accounts.provider_keys import ProviderKeys
from freddy.server.accounts.usage import Bookkeeping, Ledger
from freddy.server.config import ConfigError, Settings
from freddy.server.core import ids as core_ids
from freddy.server.dialects.freddy import Freddy
from freddy.server.dialects.freddy.response import Units
from freddy.server.http import app
from freddy.server.http.auth import Auth, People
from freddy.server.http.hangups import Hangups
from freddy.server.http.once import Once
from freddy.server.http.places import Places
from freddy.server.http.routes.api_keys import ApiKeyRoutes
from freddy.server.http.routes.assistants import AssistantRoutes
from freddy.server.http.routes.audit import AuditRoutes
from freddy.server.http.routes.auth import AuthRoutes
from freddy.server.http.routes.conversations import ConversationRoutes
from freddy.server.http.routes.files import FileRoutes
from freddy.server.http.routes.functions import FunctionRoutes
from freddy.server.http.routes.health import HealthRoutes
from freddy.server.http.routes.mcp_configurations import McpConfigurationRoutes
from freddy.server.http.routes.models import ModelRoutes
from freddy.server.http.routes.organizations import OrganizationRoutes
from freddy.server.http.routes.pages import PageRoutes
from freddy.server.http.routes.prompts import PromptRoutes
from freddy.server.http.routes.provider_keys import ProviderKeyRoutes
from freddy.server.http.routes.responses import ResponseRoutes
from freddy.server.http.routes.rules import RuleRoutes
from freddy.server.http.routes.threads import ThreadRoutes
from freddy.server.http.routes.usage import UsageRoutes
from freddy.server.http.routes.users import UserRoutes
from freddy.server.http.routes.vector_stores import VectorStoreRoutes
from freddy.server.http.routes.webhooks import WebhookRoutes
from freddy.server.http.routes.websocket import WebSocketRoutes
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.links import Links
from freddy.server.knowledge.samples import Samples
from freddy.server.listeners.metrics import Metrics
from freddy.server.ports.world import Clock
from freddy.server.runtime.approvals import Approvals, Marks
from freddy.server.runtime.compaction import Compactor
from freddy.server.runtime.following import Following
from freddy.server.runtime.health import Health
from freddy.server.runtime.history import History
from freddy.server.runtime.host import Host
from freddy.server.runtime.prepare import Configured, Preparation
from freddy.server.runtime.recorder import Recorder
from freddy.server.runtime.repeats import Repeats
from freddy.server.runtime.responses import Responses
from freddy.server.runtime.route import Means
from freddy.server.runtime.runner import Runner
from freddy.server.runtime.seals import Seals
from freddy.server.runtime.threads import Threads
from freddy.server.runtime.toolbox import Tools
from freddy.server.runtime.worker import Worker
from freddy.server.sealing import AesSealer, DerivedKeys
from freddy.server.stores.channels.memory import MemoryChannel
from freddy.server.sweeping import swept
from freddy.server.wiring import background, engines, limits, models, storage, tools
from freddy.server.wiring.configured import configured
from freddy.server.wiring.people import issued, locals_of, offices
from freddy.server.wiring.storage import Stores
from freddy.server.wiring.webhooks import announcing

DISTRIBUTION = "freddy-gateway"
_FOLLOWABLE = 250
"""Ended responses whose live events stay in memory, each with its whole request; older ones are told from the store."""
_SUM_SECONDS = 5.0
"""Calls are added to their sums so often: what is in no sum yet, every question has to look at."""
_CHUNK_SWEEP_SECONDS = 15.0
"""What is deleted of vector stores gives its room back, and what is new goes to the database's own index, so often."""
_SWEEP_SECONDS = 600.0
"""Between two looks for what has expired, and for content that broken uploads left."""


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
        worker_id = ids.new(core_ids.WORKER)
        stores = await storage.stores(settings, stack, worker_id)
        told = await background.signals(settings, stack, ids)
        here = await locals_of(settings, stores.accounts, clock=clock, ids=ids)
        people = await offices(settings, stack, stores, here.ring, clock=clock, ids=ids)
        kept = configured(settings, stores, people, clock=clock, ids=ids)
        sealer = AesSealer(settings.secret_keys, file=settings.secret_key_path)
        seals = Seals(sealer)
        marks = Marks(DerivedKeys(settings.secret_keys, file=settings.secret_key_path))
        brought = ProviderKeys(
            stores.provider_keys,
            sealer=sealer,
            clock=clock,
            upstreams=frozenset(upstream.name for upstream in settings.upstreams),
        )
        vectors = await tools.vector_stores(settings, stores)
        files = Files(
            forget=vectors.forget_file,
            store=stores.files,
            blobs=await asyncio.to_thread(storage.blobs, settings),
            clock=clock,
            ids=ids,
            max_bytes=settings.files.max_bytes,
            samples=Samples(development.ORGANIZATIONS) if settings.development else None,
        )
        await _sweep(settings, stack, stores, files, clock=clock)
        channel = MemoryChannel(
            clock,
            keep_seconds=settings.channel.retention_seconds,
            keep_events=settings.channel.retention_events,
            keep_runs=_FOLLOWABLE,
        )
        engine = await stack.enter_async_context(engines.engine(settings))
        media, policy = models.media(files, settings), models.policy(settings)
        means = Means(policy, Health(clock, policy), clock, world.SystemChance(), brought, media)
        routing = await models.routing(settings, stack, engine, means)
        limiter = await limits.limiter(settings, stack, people, spending=stores.usage, clock=clock, ids=ids)
        shelf = await tools.tools(
            settings,
            stack,
            stores,
            people,
            vectors=vectors,
            files=files,
            sealer=sealer,
            charged=limiter.spent,
            clock=clock,
            ids=ids,
        )
        await stack.enter_async_context(swept({"vector_stores": shelf.knowledge.sweep}, seconds=_CHUNK_SWEEP_SECONDS))
        metrics = Metrics(release, lambda: engine.state.phase)
        announced = await announcing(
            settings,
            stack,
            stores,
            people,
            outward=shelf.means.outward,
            sealer=sealer,
            metrics=metrics,
            clock=clock,
            ids=ids,
            chance=world.SystemChance(),
        )
        host = Host(
            runner=Runner(
                clock=clock,
                ids=ids,
                approval_seconds=settings.tools.approval_seconds,
                at_once=settings.tools.at_once,
                compactor=Compactor(seals=seals, clock=clock, ids=ids),
                marks=marks,
            ),
            recorder=Recorder(stores.responses, channel, stores.usage),
            clock=clock,
            listeners=(metrics, announced.deliveries),
            grace_seconds=settings.server.shutdown_seconds,
        )
        threads = Threads(store=stores.threads, clock=clock, ids=ids, assistants=kept.assistants, busy=host.busy)
        history = History(stores.responses, stores.threads, context_tokens=settings.routing.context_tokens, seals=seals)
        approvals = Approvals(stores.approvals, stores.responses, clock, marks)
        preparation = Preparation(
            routing=routing,
            history=history,
            clock=clock,
            ids=ids,
            configured=Configured(kept.assistants, kept.prompts, kept.rulebook),
            media=media,
            threads=threads,
            tools=Tools(shelf.means),
            approvals=approvals,
            sealer=sealer,
            renewed=people.renewal,
        )
        worker = Worker(
            worker_id,
            runs=stores.runs,
            host=host,
            preparation=preparation,
            limiter=limiter,
            signals=told,
            clock=clock,
            pace=background.pace(settings),
            counted=metrics.queued,
            gave_back=metrics.gave_back,
        )
        # In this order: what is under way at the end is brought to its own while the heart still beats.
        await stack.enter_async_context(worker.beating())
        await stack.enter_async_context(host)
        await stack.enter_async_context(worker.claiming())
        responses = Responses(
            preparation=preparation,
            approvals=approvals,
            host=host,
            store=stores.responses,
            channel=channel,
            repeats=Repeats(stores.repeats, clock),
            limiter=limiter,
            following=Following(
                channel=channel,
                store=stores.responses,
                runs=stores.runs,
                signals=told,
                is_left=host.is_left,
                poll_seconds=background.follow_seconds(settings),
            ),
            worker=worker,
            runs=stores.runs,
            signals=told,
            clock=clock,
            shared=not background.is_alone(settings),
        )
        issuer = await issued(settings, people, stores.accounts, stack)
        auth = Auth(people.verifier, anonymous=here.anonymous, people=People(people.tokens, people.standings, issuer))
        ledger = Ledger(
            stores.usage,
            accounts=stores.accounts,
            organizations=people.organizations,
            keys=people.api_keys,
            clock=clock,
            organization_defaults=limits.of_organizations(settings),
            key_defaults=limits.of_keys(settings),
        )
        units = Units(settings.accounting.tokens_per_neuron, settings.accounting.tokens_per_synapse)
        hangups = await stack.enter_async_context(Hangups())
        places = Places(world.files_open_at_most)
        longest = settings.server.max_body_bytes
        yield House(
            app.build(
                freddy=Freddy(units),
                responses=ResponseRoutes(
                    responses,
                    ids=ids,
                    hangups=hangups,
                    places=places,
                    max_body_bytes=longest,
                    ping_seconds=settings.server.ping_seconds,
                ),
                sockets=WebSocketRoutes(
                    responses,
                    auth,
                    places=places,
                    clock=clock,
                    ids=ids,
                    max_body_bytes=longest,
                    minutes=settings.server.websocket_minutes,
                ),
                threads=ThreadRoutes(threads, ids=ids, max_body_bytes=longest),
                models=ModelRoutes(routing),
                provider_keys=ProviderKeyRoutes(brought, audit=people.audit, max_body_bytes=longest),
                files=FileRoutes(
                    files,
                    Links(sealer, clock),
                    ids=ids,
                    hangups=hangups,
                    max_body_bytes=longest,
                    public_url=settings.server.public_url,
                ),
                health=HealthRoutes(
                    needed={"database": partial(storage.readable, stores.database)},
                    told={"embedded_model": partial(engines.told, engine)},
                    metrics=metrics.render,
                    version=release,
                ),
                pages=PageRoutes(version=release, development=settings.development),
                auth=auth,
                clock=clock,
                ids=ids,
                requests=metrics,
                once=Once(stores.repeats, sealer=sealer, clock=clock),
                others=[
                    *ConversationRoutes(
                        threads, resolve=partial(history.resolve, param="items"), ids=ids, max_body_bytes=longest
                    ).routes(),
                    *PromptRoutes(kept.prompts, max_body_bytes=longest).routes(),
                    *AuthRoutes(people.sign_in, auth, clock=clock, issuer=settings.oidc.issuer).routes(),
                    *OrganizationRoutes(people.organizations, people.users, max_body_bytes=longest).routes(),
                    *ApiKeyRoutes(people.api_keys, max_body_bytes=longest).routes(),
                    *UserRoutes(
                        people.users,
                        people.sign_in,
                        people.organizations,
                        max_body_bytes=longest,
                        public_url=settings.server.public_url,
                    ).routes(),
                    *AuditRoutes(people.audit, people.users, max_body_bytes=longest).routes(),
                    *UsageRoutes(ledger, units=units, max_body_bytes=longest).routes(),
                    *AssistantRoutes(kept.assistants, max_body_bytes=longest).routes(),
                    *RuleRoutes(kept.rules, max_body_bytes=longest).routes(),
                    *FunctionRoutes(shelf.functions, max_body_bytes=longest).routes(),
                    *McpConfigurationRoutes(shelf.configurations, max_body_bytes=longest).routes(),
                    *WebhookRoutes(announced.webhooks, max_body_bytes=longest).routes(),
                    *VectorStoreRoutes(shelf.knowledge, files, clock=clock, max_body_bytes=longest).routes(),
                ],
            ),
            host,
            here.secret,
        )


async def _sweep(settings: Settings, stack: AsyncExitStack, stores: Stores, files: Files, *, clock: Clock) -> None:
    bookkeeping = Bookkeeping(stores.usage, clock=clock, days=settings.accounting.usage_days)
    sweeps: dict[str, Callable[[], Awaitable[object]]] = {
        "files": files.sweep,
        "repeats": lambda: stores.repeats.expire(int(clock.now())),
        "usage": bookkeeping.sweep,
        "run_logs": partial(background.forget_logs, stores.runs, clock, hours=settings.background.log_hours),
    }
    await stack.enter_async_context(swept(sweeps, seconds=_SWEEP_SECONDS))
    await stack.enter_async_context(swept({"usage_sums": bookkeeping.sum_up}, seconds=_SUM_SECONDS))
