"""The need to keep bytes under a name, too many to be a row."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Protocol


class Blobs(Protocol):
    """Names are of `A-Z a-z 0-9 _ . / -`. All raise `errors.StorageUnavailable` when nothing can be kept or read."""

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> None:
        """Keeps what the chunks hold, all of it or, when they raise or the caller is cancelled, nothing.

        When it returns, the write is durable.
        """
        ...

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`. Raises `errors.NotFound`, before the first of them."""
        ...

    async def delete(self, names: Sequence[str]) -> None:
        """With what is left of writes that were broken off. Names that nothing has are no fault."""
        ...
