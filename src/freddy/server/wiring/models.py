"""Who answers to which name, and what happens where somebody fails."""

from contextlib import AsyncExitStack
from functools import partial

from freddy.server import upstreams
from freddy.server.config import Settings
from freddy.server.core.request import DEFAULT_MODEL
from freddy.server.knowledge.extract import Extractor
from freddy.server.knowledge.files import Files
from freddy.server.ports.model import Provider
from freddy.server.providers._directory import Directory
from freddy.server.providers.embedded.adapter import Embedded
from freddy.server.providers.embedded.engine import Engine
from freddy.server.runtime.media import Media
from freddy.server.runtime.retrying import Policy
from freddy.server.runtime.route import Candidate, Means
from freddy.server.runtime.routing import Routing
from freddy.server.wiring import engines

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


async def routing(settings: Settings, stack: AsyncExitStack, engine: Engine, means: Means) -> Routing:
    """Who answers to which name: the embedded models, what the settings say of models, then the upstreams in order."""
    models: dict[str, list[Candidate]] = {}
    aliases: dict[str, str] = {}
    patterns: list[tuple[str, Candidate]] = []
    if engine.choice is not None:
        connect = partial(engines.embedded_at, engine, limits=upstreams.limits(settings))
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
            Candidate(providers[one.upstream], one.model, one.order, one.weight, words[one.upstream])
            for one in served.candidates
        ]
    # `*` has what nobody else names, wherever in the file it stands.
    patterns.sort(key=lambda one: one[0] == "*")
    return Routing(models, means, aliases={**aliases, **settings.aliases}, patterns=patterns)


def policy(settings: Settings) -> Policy:
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


def media(files: Files, settings: Settings) -> Media:
    told = settings.files
    extractor = Extractor(
        characters=told.max_text_characters,
        seconds=told.extract_seconds,
        memory_bytes=told.extract_memory_mib * 1024 * 1024,
    )
    return Media(files, extractor, turn_bytes=told.max_turn_bytes, cache_bytes=told.cache_bytes)
