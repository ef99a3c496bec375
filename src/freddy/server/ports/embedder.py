"""The need for vectors of texts: what is alike in meaning is near."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

Side: TypeAlias = Literal["query", "passage"]
"""Some models want to know whether a text asks or answers."""


class Embedder(Protocol):
    @property
    def name(self) -> str:
        """By which a store remembers who made its vectors: `provider/model`."""
        ...

    @property
    def longest(self) -> int:
        """Tokens that it reads of a text; what is beyond has no effect."""
        ...

    async def dimensions(self) -> int:
        """How many numbers a vector has. Raises like `embed` where that has to be asked first."""
        ...

    async def embed(self, texts: Sequence[str], *, side: Side) -> Sequence[bytes]:
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
