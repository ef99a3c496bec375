"""The need for a language model."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

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

    async def count(self, turn: Turn) -> int | None:
        """Input tokens that the turn takes, or None when this model cannot tell without answering."""
        ...
