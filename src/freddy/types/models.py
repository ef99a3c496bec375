"""The models that a server offers, as it tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from freddy.types._view import Reader, View, many, one


class LongRates(View):
    """What all tokens cost where the input is longer than `above_tokens`."""

    above_tokens: int
    input: float
    output: float
    cached_input: float | None
    cache_write: float | None


class Pricing(View):
    """US dollars for `per_tokens` tokens. Where one is None, those tokens cost what input costs."""

    currency: str
    per_tokens: int
    input: float
    output: float
    cached_input: float | None
    cache_write: float | None
    long_context: LongRates | None
    message: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {"long_context": one(LongRates)}


class Model(View):
    """A model. In `ModelList.data` its `id` is what `model=` takes; in `models` its `key` is."""

    id: str
    object: str | None
    created: int | None
    owned_by: str | None
    key: str | None
    name: str | None
    description: str | None
    provider: str | None
    capabilities: list[str] | None
    context_window: int | None
    max_output_tokens: int | None
    is_visible_in_ui: bool | None
    is_deprecated: bool | None
    availability_status: str | None
    pricing: Pricing | None
    release_date: str | None
    model_version: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {"pricing": one(Pricing)}


class ModelList(View):
    """All models, in two forms: `data` is short, `models` has the details. Iterates over `data`."""

    object: str | None
    data: list[Model]
    models: list[Model]
    total_count: int | None
    _readers: ClassVar[Mapping[str, Reader]] = {"data": many(Model), "models": many(Model)}

    def __iter__(self) -> Iterator[Model]:
        return iter(self.data)
