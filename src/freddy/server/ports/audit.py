"""The need to remember who changed what. A method is one transaction."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from freddy.server.core.audit import Entry
from freddy.server.ports.stores import Page


class Wanted(Struct, frozen=True, kw_only=True):
    """Which entries are asked for; None asks for nothing. `since` is the first second, `until` the one after the last.

    `user_id` is of an entry that this user made, or that is about them.
    """

    action: str | None = None
    actor_id: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    user_id: str | None = None
    since: int | None = None
    until: int | None = None


class AuditStore(Protocol):
    async def add(self, entries: Sequence[Entry]) -> None: ...

    async def page(self, organization_id: str, wanted: Wanted, page: Page) -> tuple[Sequence[Entry], bool]:
        """By id, which is by time; and whether more follow. Raises `errors.InvalidValue` for an unknown cursor."""
        ...

    async def slice(self, organization_id: str, wanted: Wanted, *, skip: int, take: int) -> tuple[Sequence[Entry], int]:
        """The newest first; and how many there are in all."""
        ...
