"""The need for a language model, and for the providers that have some."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, runtime_checkable

from freddy.server.core.deltas import Delta
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn


class Model(Protocol):
    """One model of one provider."""

    @property
    def profile(self) -> Profile: ...

    @property
    def availability(self) -> Availability: ...

    def stream(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        """Says the answer: each batch holds the deltas that arrived together, the last delta is `Stop`.

        Closing the iterator stops the model. Raises `errors.ProviderFailed`, `ProviderUnavailable`,
        `ProviderTimeout`, `RateLimited`, `ContextOverflow` or `InvalidRequest`, before or after deltas.
        """
        ...

    def warnings(self, turn: Turn) -> Sequence[str]:
        """What of the turn this model will not do as it is asked, a sentence each. See `Profile` for what it can."""
        ...

    async def count(self, turn: Turn) -> int | None:
        """Input tokens that the turn takes, or None when this model cannot tell without answering."""
        ...


@runtime_checkable
class Enforcing(Protocol):
    """A model that can tell of each turn whether it sees to the form of the answer; else `Profile` says it of all."""

    async def enforces(self, turn: Turn) -> bool:
        """Whether an answer that is not cut off is sure to have the form that the turn asks for."""
        ...


class Provider(Protocol):
    """An address of a vendor, and the models behind it."""

    @property
    def name(self) -> str: ...

    def model(self, called: str, *, key: str | None = None) -> Model:
        """The model that the vendor calls so, asked with `key` where an organization has one of its own.

        Whether there is such a model is only known when it is asked.
        """
        ...

    async def models(self) -> Sequence[str]:
        """What the vendor calls its models, in its order. Raises like `Model.stream`; empty where it cannot tell."""
        ...
