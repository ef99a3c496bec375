"""Owns how models are told: OpenAI's list and the platform's own, in one object."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core.pricing import Price
from freddy.server.core.profile import Availability, Profile

_PREFIX: Final = "mdl_"
_encode = msgspec.json.Encoder().encode


class Listed(Struct, frozen=True):
    """`name` is what callers ask for; `answers` the model that it leads to."""

    name: str
    answers: str
    profile: Profile
    availability: Availability


class Wanted(Struct, frozen=True):
    """What a caller wants to be told by the platform's list."""

    ui_only: bool = False
    pricing: bool = False
    details: bool = False
    capabilities: bool = True
    deprecated: bool = False


EVERYTHING: Final = Wanted(pricing=True, details=True, deprecated=True)


class OpenAIModel(Struct):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Rates(Struct):
    """US dollars for a million tokens; null where those tokens cost what input costs."""

    input: float
    output: float
    cached_input: float | None
    cache_write: float | None


class LongRates(Rates):
    above_tokens: int


class Pricing(Rates):
    message: str
    currency: Literal["USD"]
    per_tokens: int
    long_context: LongRates | None


class PlatformModel(Struct, kw_only=True):
    id: str
    key: str
    name: str
    description: str
    provider: str
    is_visible_in_ui: bool
    is_deprecated: bool
    availability_status: Availability
    capabilities: tuple[str, ...] | None
    context_window: int | None
    max_output_tokens: int | None
    pricing: Pricing | None
    release_date: str | UnsetType | None = UNSET
    model_version: str | UnsetType = UNSET


class OneModel(PlatformModel, kw_only=True):
    """A model in both shapes at once: `id` is OpenAI's, which is `key`."""

    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(Struct):
    """`data` has every name that can be asked for; `models` those that the caller wants."""

    object: Literal["list"]
    data: tuple[OpenAIModel, ...]
    models: tuple[PlatformModel, ...]
    total_count: int


def encode_models(models: Iterable[Listed], wanted: Wanted) -> bytes:
    listed = list(models)
    told = tuple(_platform(one, wanted) for one in listed if _told(one, wanted))
    data = tuple(OpenAIModel(one.name, "model", one.profile.created, one.profile.provider) for one in listed)
    return _encode(ModelList("list", data, told, len(told)))


def encode_model(model: Listed) -> bytes:
    told = msgspec.structs.asdict(_platform(model, EVERYTHING)) | {"id": model.name}
    return _encode(OneModel(**told, created=model.profile.created, owned_by=model.profile.provider))


def named(model_id: str) -> str:
    """The name that is asked for of a model with this id, of either list."""
    return model_id.removeprefix(_PREFIX)


def _told(model: Listed, wanted: Wanted) -> bool:
    return (wanted.deprecated or not model.profile.deprecated) and (not wanted.ui_only or _in_ui(model))


def _in_ui(model: Listed) -> bool:
    return not model.profile.deprecated


def _platform(model: Listed, wanted: Wanted) -> PlatformModel:
    profile = model.profile
    return PlatformModel(
        id=_PREFIX + model.name,
        key=model.name,
        name=model.answers,
        description=profile.description,
        provider=profile.provider,
        is_visible_in_ui=_in_ui(model),
        is_deprecated=profile.deprecated,
        availability_status=model.availability,
        capabilities=_capabilities(profile) if wanted.capabilities else None,
        context_window=profile.context_tokens,
        max_output_tokens=profile.output_tokens,
        pricing=_pricing(profile.price) if wanted.pricing and profile.price else None,
        release_date=_release(profile.created) if wanted.details else UNSET,
        model_version=model.answers if wanted.details else UNSET,
    )


def _capabilities(profile: Profile) -> tuple[str, ...]:
    able = {
        "tool_calling": profile.tools,
        "parallel_tool_calls": profile.tools and profile.parallel_tool_calls,
        "vision": profile.images,
        "audio": profile.audio,
        "files": profile.files,
        "reasoning": profile.reasoning,
        "structured_output": profile.schemas,
    }
    return ("text_generation", "conversation", "streaming", *(name for name, can in able.items() if can))


def _pricing(price: Price) -> Pricing:
    long = price.long
    return Pricing(
        input=price.input,
        output=price.output,
        cached_input=price.cached,
        cache_write=price.cache_write,
        message="US dollars for a million tokens",
        currency="USD",
        per_tokens=1_000_000,
        long_context=LongRates(long.input, long.output, long.cached, long.cache_write, price.above)
        if long is not None and price.above is not None
        else None,
    )


def _release(created: int) -> str | None:
    """A day in ISO 8601; None where it is not known."""
    return datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z") if created else None
