"""The need to keep a secret where others may read."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias


class Sealer(Protocol):
    """Both raise `errors.StorageUnavailable`, which says what the operator can do."""

    async def seal(self, secret: str, bound_to: Sequence[str]) -> bytes:
        """The secret as nobody else can read it. It opens only together with the same `bound_to`."""
        ...

    async def open(self, sealed: bytes, bound_to: Sequence[str]) -> str:
        """The secret again, whichever of the server's keys sealed it."""
        ...


Name: TypeAlias = tuple[str, str]
"""An organization, and the id of what it has."""


class SealedRows(Protocol):
    """All that is kept of one kind, of every organization, where something in it may be sealed.

    A method is one transaction.
    """

    async def names(self) -> Sequence[Name]: ...

    async def get(self, name: Name) -> bytes | None:
        """What is kept. None where it is not there any more."""
        ...

    async def change(self, name: Name, alter: Callable[[bytes], bytes]) -> None:
        """Keeps what `alter` makes of it as it is by then. `alter` may be called twice, or not at all."""
        ...
