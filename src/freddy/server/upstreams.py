"""Makes a provider of each upstream in the settings: whose ways it has, which adapter, which facts."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct, structs

from freddy.server.config import Served, Settings, Upstream, first_set, proxy_for
from freddy.server.core.pricing import Price
from freddy.server.core.profile import Profile
from freddy.server.ports.address import Address, Factory, ProfileOf
from freddy.server.ports.embedder import Embedder, Side
from freddy.server.ports.model import Provider
from freddy.server.ports.wire import Answer, Limits, Wire
from freddy.server.providers._directory import Directory
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.anthropic.adapter import AnthropicProvider
from freddy.server.providers.compatible import catalog
from freddy.server.providers.compatible.adapter import CompatibleProvider, headed
from freddy.server.providers.compatible.embeddings import LONGEST, Embeddings, Patience
from freddy.server.providers.compatible.row import Row, fitted
from freddy.server.providers.openai.adapter import OpenAIProvider

GROUP: Final = "freddy.providers"
"""The entry points by which other packages bring providers."""

Embedding: TypeAlias = Callable[[str, int | None], Embedder]
"""An upstream's name for a model, and the length of the vectors that is asked for → the embedder."""

_OPENAI: Final = Profile(
    name="",
    provider="",
    images=True,
    files=True,
    file_urls=True,
    reasoning=True,
    compactions=True,
    schemas=True,
    json=True,
)
"""Its Responses API has no place for sounds."""
_ANTHROPIC: Final = Profile(
    name="",
    provider="",
    images=True,
    files=True,
    file_urls=True,
    reasoning=True,
    schemas=True,
    max_temperature=1.0,
    parallel_by_default=True,
)
_COMPATIBLE: Final = Profile(name="", provider="", images=True, audio=True, files=True, file_urls=True, reasoning=True)


class _Ways(Struct, frozen=True):
    """Whose ways an upstream has. `row` is None for a wire of its own."""

    kind: str
    url: str
    directory: str | None
    keys: tuple[str, ...] = ()
    row: Row | None = None


class _Native(Struct, frozen=True):
    """A vendor with a wire of its own."""

    url: str
    host: str
    keys: tuple[str, ...]
    renamed: Mapping[str, str]
    """Names of models that the documentation uses, and what the vendor calls them."""


_NATIVE: Final[Mapping[str, _Native]] = {
    "openai": _Native(
        "https://api.openai.com/v1", "api.openai.com", ("OPENAI_API_KEY",), {"gpt-4.1-vision": "gpt-4.1"}
    ),
    "anthropic": _Native(
        "https://api.anthropic.com/v1",
        "api.anthropic.com",
        ("ANTHROPIC_API_KEY",),
        {"claude-sonnet-4": "claude-sonnet-4-20250514"},
    ),
}


def problems(settings: Settings) -> Iterator[str]:
    """What of the upstreams in the settings makes no sense here, a sentence each."""
    for upstream in settings.upstreams:
        try:
            key = _key(upstream, ways := _ways(upstream))
        except ValueError as error:
            yield f"upstream {upstream.name}: {error}"
            continue
        if key and not (key.isascii() and key.isprintable()):
            where = "its key" if upstream.key else " or ".join(ways.keys)
            yield f"upstream {upstream.name}: {where} must be plain ASCII characters, as it stands in a request's head"
    yield from _embeddings_problems(settings)


def _embeddings_problems(settings: Settings) -> Iterator[str]:
    told = settings.embeddings
    name, slash, model = told.model.partition("/")
    if told.model in ("embedded", "multilingual"):
        if told.dimensions is not None:
            yield "embeddings.dimensions is only for models of upstreams; remove it, or set embeddings.model"
        return
    able = sorted(upstream.name for upstream in settings.upstreams if embeds(upstream))
    if not (slash and model):
        yield f"embeddings.model must be embedded, multilingual or UPSTREAM/MODEL, not {told.model!r}"
    elif name not in able:
        there = f"; those that can have embeddings are {', '.join(able)}" if able else ""
        yield f"embeddings.model: there is no upstream {name!r} with embeddings{there}"


def address(upstream: Upstream) -> str:
    """Where it is. Raises ValueError where nobody can know."""
    return _ways(upstream).url


def renamed(upstream: Upstream) -> Mapping[str, str]:
    """Names by which models are known, and what the vendor calls those. Raises ValueError like `address`."""
    native = _NATIVE.get(_ways(upstream).kind)
    return native.renamed if native else {}


def keyed(upstream: Upstream) -> bool:
    """Whether the operator has a key for it, in the settings or in the vendor's usual variable."""
    try:
        ways = _ways(upstream)
    except ValueError:
        return upstream.key is not None
    return bool(_key(upstream, ways))


def limits(settings: Settings, upstream: Upstream | None = None) -> Limits:
    """How long is waited for an upstream: its own words before those of `[timeouts]`."""
    waits = settings.timeouts
    own = upstream or Upstream(name="")
    total = own.total_seconds or waits.total_seconds
    # An answer in one piece has its head at its end. The first word of one that grows is waited for by its route.
    return Limits(own.connect_seconds or waits.connect_seconds, total, own.idle_seconds or waits.idle_seconds, total)


@asynccontextmanager
async def opened(upstream: Upstream, settings: Settings, directory: Directory) -> AsyncIterator[Provider]:
    """Raises ValueError for an upstream of which `problems` tells."""
    ways = _ways(upstream)
    async with _reached(upstream, ways, settings, directory) as at:
        yield _made(upstream, ways, at)


@asynccontextmanager
async def embedding(upstream: Upstream, settings: Settings) -> AsyncIterator[Embedding]:
    """Makes embedders of the upstream's models. Raises ValueError for one that has none, and like `opened`."""
    ways = _ways(upstream)
    if not _embeds(ways):
        raise ValueError(f"the upstream {upstream.name!r} has no embeddings")
    told, retries = settings.embeddings, settings.routing.retries
    patience: Mapping[Side, Patience] = {
        "query": Patience(retries, longest=settings.routing.retry_wait_seconds),
        # Nobody waits for what is put into a store.
        "passage": Patience(max(retries, 6), 1.0, 60.0),
    }
    headers = headed(ways.row or catalog.COMPATIBLE, _key(upstream, ways), {})
    headers |= {
        f"openai-{name}": value
        for name, value in (("organization", upstream.organization), ("project", upstream.project))
        if value and ways.kind == "openai"
    }
    async with _reached(upstream, ways, settings, Directory({})) as at:

        def make(called: str, dimensions: int | None) -> Embeddings:
            known = at.profile_of(called)
            return Embeddings(
                at.wire,
                upstream.name,
                called,
                headers=headers,
                dimensions=dimensions,
                batch=told.batch,
                longest=known.context_tokens or LONGEST,
                price=known.price,
                patience=patience,
            )

        yield make


@asynccontextmanager
async def _reached(upstream: Upstream, ways: _Ways, settings: Settings, directory: Directory) -> AsyncIterator[Address]:
    waits, proxy = limits(settings, upstream), proxy_for(ways.url)
    async with _wire(upstream.name, ways.url, waits, proxy) as wire:
        yield Address(
            name=upstream.name,
            wire=_Headed(wire, upstream.headers) if upstream.headers else wire,
            profile_of=_profile_of(upstream, ways, settings.models, directory),
            key=_key(upstream, ways),
            headers=upstream.headers,
        )


def embeds(upstream: Upstream) -> bool:
    """Whether its models may include such as turn texts into vectors."""
    try:
        return _embeds(_ways(upstream))
    except ValueError:
        return False


def _embeds(ways: _Ways) -> bool:
    return ways.row is not None or ways.kind == "openai"


def _wire(name: str, url: str, waits: Limits, proxy: str | None) -> AbstractAsyncContextManager[Wire]:
    if proxy is None:
        return PooledWire(name, url, limits=waits)
    # Only here is aiohttp needed, and it takes longer to import than all that is ours.
    from freddy.server.providers._proxied import ProxiedWire  # noqa: PLC0415

    return ProxiedWire(name, url, limits=waits, proxy=proxy)


def _made(upstream: Upstream, ways: _Ways, at: Address) -> Provider:
    if ways.row is not None:
        return CompatibleProvider(at.wire, name=at.name, row=ways.row, profile_of=at.profile_of, key=at.key)
    match ways.kind:
        case "openai":
            return OpenAIProvider(
                at.wire,
                at.name,
                profile_of=at.profile_of,
                key=at.key,
                organization=upstream.organization,
                project=upstream.project,
            )
        case "anthropic":
            return AnthropicProvider(at.wire, at.name, profile_of=at.profile_of, key=at.key)
        case _:
            factory: Factory = _brought()[ways.kind].load()
            return factory(at)


def _ways(upstream: Upstream) -> _Ways:
    """Raises ValueError with what is wrong."""
    vendor = upstream.vendor or _host_of(upstream.url)
    kind = upstream.kind or (vendor if vendor is not None and vendor in _NATIVE else "compatible")
    row = catalog.find(vendor) if vendor else None
    if upstream.vendor and row is None and upstream.vendor not in _NATIVE:
        known = sorted({*_NATIVE, *(row.name for row in catalog.CATALOG)})
        raise ValueError(f"vendor must be one of {', '.join(known)}, not {upstream.vendor!r}")
    native = _NATIVE.get(vendor or "")
    if kind == "compatible":
        row = row or catalog.recognised(upstream.url or "")
        return _Ways(kind, _url(upstream, row.url), row.directory, row.keys, row)
    if kind in _NATIVE:
        keys = native.keys if native else row.keys if row else ()
        directory = vendor if native else row.directory if row else kind
        return _Ways(kind, _url(upstream, native.url if native else row.url if row else None), directory, keys)
    if kind not in (brought := _brought()):
        raise ValueError(f"kind must be one of {', '.join(['compatible', *_NATIVE, *brought])}, not {kind!r}")
    return _Ways(kind, _url(upstream, None), row.directory if row else vendor, row.keys if row else ())


def _key(upstream: Upstream, ways: _Ways) -> str | None:
    """The operator's, of the settings or else of the vendor's usual variable where the vendor is named."""
    return upstream.key or (first_set(ways.keys) if upstream.vendor else None)


def _url(upstream: Upstream, usual: str | None) -> str:
    if url := upstream.url or usual:
        return url
    raise ValueError(f"the vendor {upstream.vendor!r} has no address of its own; give a url")


def _host_of(url: str | None) -> str | None:
    host = urlsplit(url or "").hostname
    return next((name for name, native in _NATIVE.items() if native.host == host), None)


def _brought() -> dict[str, EntryPoint]:
    return {one.name: one for one in entry_points(group=GROUP)}


def _profile_of(upstream: Upstream, ways: _Ways, models: tuple[Served, ...], directory: Directory) -> ProfileOf:
    base = structs.replace(
        {"openai": _OPENAI, "anthropic": _ANTHROPIC}.get(ways.kind, _COMPATIBLE), provider=upstream.name
    )
    here = [(one, served) for served in models for one in served.candidates if one.upstream == upstream.name]

    def profile_of(called: str) -> Profile:
        profile = directory.profile(ways.directory, called, base=base)
        if ways.row is not None:
            profile = fitted(profile, ways.row.of(called))
        for candidate, served in here:
            # A model may stand under several names, of which not each says everything.
            profile = _corrected(profile, served) if candidate.model == called else profile
        return profile

    return profile_of


def _corrected(profile: Profile, served: Served) -> Profile:
    """With what the operator knows better."""
    facts = structs.asdict(served)
    price = facts.pop("price")
    known = {name: fact for name, fact in facts.items() if fact is not None and name not in ("name", "candidates")}
    if price is not None:
        known["price"] = Price(price.input, price.output, price.cached, price.cache_write)
    return structs.replace(profile, **known)


class _Headed:
    """A wire that says some headers more with everything."""

    def __init__(self, wire: Wire, headers: Mapping[str, str]) -> None:
        self._wire = wire
        self._headers = {name.lower(): value for name, value in headers.items()}

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Answer]:
        return self._wire.post(path, body, {**headers, **self._headers})

    def get(self, path: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Answer]:
        return self._wire.get(path, {**headers, **self._headers})
