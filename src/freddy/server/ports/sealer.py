"""The need to keep a secret where others may read."""

from collections.abc import Sequence
from typing import Protocol


class Sealer(Protocol):
    """Both raise `errors.StorageUnavailable`, which says what the operator can do."""

    async def seal(self, secret: str, bound_to: Sequence[str]) -> bytes:
        """The secret as nobody else can read it. It opens only together with the same `bound_to`."""
        ...

    async def open(self, sealed: bytes, bound_to: Sequence[str]) -> str:
        """The secret again, whichever of the server's keys sealed it."""
        ...
