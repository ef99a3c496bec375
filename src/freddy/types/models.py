"""The models that a server offers, as it tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from freddy.types._view import Reader, View, many


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
    is_deprecated: bool | None
    availability_status: str | None
    pricing: View | None


class ModelList(View):
    """All models, in two forms: `data` is short, `models` has the details. Iterates over `data`."""

    object: str | None
    data: list[Model]
    models: list[Model]
    total_count: int | None
    _readers: ClassVar[Mapping[str, Reader]] = {"data": many(Model), "models": many(Model)}

    def __iter__(self) -> Iterator[Model]:
        return iter(self.data)
