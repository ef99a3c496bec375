"""The tools that the server runs: functions, MCP servers, file search."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from msgspec import Struct

from freddy.server.accounts import development
from freddy.server.accounts.offices import Office
from freddy.server.config import Settings
from freddy.server.core.networks import Opening
from freddy.server.core.vector_stores import Chunking
from freddy.server.knowledge import indexing, retrieval
from freddy.server.knowledge.extract import Extractor
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.ingestion import Ingestion, Pace
from freddy.server.knowledge.metering import Meter
from freddy.server.knowledge.sample_store import SampleStore
from freddy.server.knowledge.vector_stores import Knowledge, Quotas
from freddy.server.outward import CheckedOutward
from freddy.server.ports.outward import Outward
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.tools import Retriever
from freddy.server.ports.vector_stores import VectorStores
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.functions import Functions
from freddy.server.resources.mcp_configurations import McpConfigurations
from freddy.server.resources.sample_mcp_configurations import SampleMcpConfigurations
from freddy.server.runtime.toolbox import Limits, Means
from freddy.server.stores.sql.postgres.points import prepared
from freddy.server.stores.sql.vector_stores import SqlVectorStores
from freddy.server.tools.functions.brought import brought
from freddy.server.tools.functions.builtin import built_in
from freddy.server.tools.functions.chain import Chain
from freddy.server.tools.functions.registered import HttpCalls
from freddy.server.tools.mcp.servers import PooledMcpServers
from freddy.server.tools.mcp.terms import Program, Terms
from freddy.server.wiring.embeddings import embedders
from freddy.server.wiring.storage import Stores

_log = logging.getLogger(__name__)


class Shelf(Struct, frozen=True):
    """`means` is what tools are made of; the rest is what callers manage of it."""

    means: Means
    functions: Functions
    configurations: McpConfigurations
    knowledge: Knowledge


async def vector_stores(settings: Settings, stores: Stores) -> SqlVectorStores:
    """Raises `errors.StorageUnavailable`."""
    points = None
    if not isinstance(settings.store.database, Path):
        there = await prepared(stores.database, large=settings.knowledge.memory_mib * 2**20 // 2)
        points = there.points
        if points is None:
            _log.warning("pgvector_not_used", extra={"reason": there.why})
    return SqlVectorStores(stores.database, memory=settings.knowledge.memory_mib * 2**20, points=points)


async def tools(
    settings: Settings,
    stack: AsyncExitStack,
    stores: Stores,
    people: Office,
    *,
    vectors: VectorStores,
    files: Files,
    sealer: Sealer,
    charged: Callable[[str], Awaitable[None]],
    clock: Clock,
    ids: IdSource,
) -> Shelf:
    """`charged` hears of organizations that have spent something beside their responses."""
    outward = CheckedOutward(Opening.of(settings.network.allow_private, loopback=settings.development))
    meter = Meter(stores.usage, clock=clock, ids=ids, charged=charged)
    knowledge, retriever = await _knowledge(settings, stack, vectors, files=files, meter=meter, clock=clock, ids=ids)
    servers = await stack.enter_async_context(_servers(settings, outward, clock))
    calls = HttpCalls(outward, clock)
    own = [*built_in(clock)]
    taken = [one.spec.name for one in own]
    # Packages may do anything while they are imported.
    own += await asyncio.to_thread(brought, seconds=settings.functions.seconds, taken=taken)
    functions = Functions(
        stores.records,
        sealer=sealer,
        outward=outward,
        calls=calls,
        clock=clock,
        ids_from=ids,
        reserved=[one.spec.name for one in own],
        most=settings.functions.most,
        changed=people.audit.changed,
    )
    configurations = McpConfigurations(
        stores.records,
        sealer=sealer,
        servers=servers,
        outward=outward,
        clock=clock,
        ids_from=ids,
        programs=settings.mcp.programs,
        most=settings.resources.most,
        changed=people.audit.changed,
        samples=SampleMcpConfigurations(
            development.ORGANIZATIONS if settings.development else (), url=settings.dev.mcp_url
        ),
    )
    means = Means(
        Chain(own, functions, calls),
        retriever,
        servers,
        configurations,
        outward,
        ids,
        Limits(settings.tools.seconds),
    )
    return Shelf(means, functions, configurations, knowledge)


def _servers(settings: Settings, outward: Outward, clock: Clock) -> PooledMcpServers:
    told = settings.mcp
    return PooledMcpServers(
        outward,
        clock=clock,
        terms=Terms(
            sessions=told.sessions,
            idle_seconds=told.idle_seconds,
            connect_seconds=told.connect_seconds,
            call_seconds=told.call_seconds,
            list_seconds=told.list_seconds,
            result_bytes=told.result_bytes,
        ),
        programs={
            name: Program(command=one.command, environment=one.environment, folder=one.folder)
            for name, one in told.programs.items()
        },
    )


async def _knowledge(
    settings: Settings,
    stack: AsyncExitStack,
    vectors: VectorStores,
    *,
    files: Files,
    meter: Meter,
    clock: Clock,
    ids: IdSource,
) -> tuple[Knowledge, Retriever]:
    told = settings.knowledge
    models = await stack.enter_async_context(embedders(settings))
    search = retrieval.Retrieval(
        stores=vectors,
        embedders=models,
        meter=meter,
        clock=clock,
        bounds=retrieval.Bounds(results=told.results, passage_tokens=told.passage_tokens, tokens=told.search_tokens),
    )
    indexer = indexing.Indexer(
        stores=vectors,
        files=files,
        extractor=Extractor(
            # One more, so that it is seen where a text is too long.
            characters=told.max_text_characters + 1,
            seconds=settings.files.extract_seconds,
            memory_bytes=settings.files.extract_memory_mib * 2**20,
        ),
        embedders=models,
        meter=meter,
        bounds=indexing.Bounds(
            characters=told.max_text_characters,
            kept_characters=settings.files.max_text_characters,
            bytes=told.max_bytes,
            attempts=told.attempts,
        ),
    )
    ingestion = Ingestion(
        stores=vectors,
        indexer=indexer,
        clock=clock,
        pace=Pace(
            at_once=told.at_once,
            poll_seconds=told.poll_seconds,
            lease_seconds=told.lease_seconds,
            attempts=told.attempts,
        ),
    )
    await stack.enter_async_context(ingestion.working())
    knowledge = Knowledge(
        stores=vectors,
        files=files,
        embedders=models,
        retrieval=search,
        meter=meter,
        clock=clock,
        ids=ids,
        quotas=Quotas(
            stores=told.max_stores,
            store_files=told.max_store_files,
            bytes=told.max_bytes,
            file_bytes=told.max_file_bytes,
        ),
        chunking=Chunking(told.chunk_tokens, min(told.overlap_tokens, told.chunk_tokens // 2)),
        added=ingestion.wake,
    )
    if not settings.development:
        return knowledge, search
    return knowledge, SampleStore(search, development.ORGANIZATIONS)
