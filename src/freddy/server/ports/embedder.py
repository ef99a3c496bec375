"""The need for vectors of texts: what is alike in meaning is near."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from freddy.server.core.calls import Outcome
from freddy.server.core.pricing import Price
from freddy.server.core.usage import Usage

Side: TypeAlias = Literal["query", "passage"]
"""Some models want to know whether a text asks or answers."""


class Spending(Struct, frozen=True, kw_only=True):
    """One try to have vectors of `texts`, of which a vendor charges what it has read: none where it refused them.

    `usage` is None where it did not count.
    """

    provider: str
    model: str
    status: Outcome
    texts: Sequence[str] = ()
    usage: Usage | None = None
    price: Price | None = None
    milliseconds: int = 0


Spent: TypeAlias = Callable[[Spending], None]
"""Hears of every try, whatever becomes of the others."""


def unheard(_: Spending) -> None:
    """Nobody wants to know."""


class Embedder(Protocol):
    @property
    def name(self) -> str:
        """By which a store remembers who made its vectors: `provider/model`."""
        ...

    @property
    def longest(self) -> int:
        """Tokens that it reads of a text; what is beyond has no effect."""
        ...

    async def dimensions(self, *, spent: Spent = unheard) -> int:
        """How many numbers a vector has. Raises like `embed` where that has to be asked first."""
        ...

    async def embed(self, texts: Sequence[str], *, side: Side, spent: Spent = unheard) -> Sequence[bytes]:
        """A vector for each text, of unit length, as little-endian 32-bit floats.

        Raises `errors.ProviderUnavailable`, `ProviderFailed`, `ProviderTimeout` or `RateLimited`.
        """
        ...


class Embedders(Protocol):
    """The embedders there are, by name."""

    @property
    def default(self) -> str: ...

    @property
    def names(self) -> Sequence[str]: ...

    def find(self, name: str) -> Embedder:
        """Raises `errors.NotFound` (code `embedding_model_not_found`)."""
        ...
