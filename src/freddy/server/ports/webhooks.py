"""The need to tell others of events, at addresses that they chose. A method of a store is one transaction."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from freddy.server.core.webhooks import Delivery, Outcome, Status, Why
from freddy.server.ports.stores import Page


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a webhook is, and what signs for it. It has been as it is `since` then, in Unix seconds."""

    id: str
    url: str
    secrets: tuple[str, ...]
    since: int

    def __repr__(self) -> str:
        return f"Endpoint({self.id!r})"


class Endpoints(Protocol):
    async def find(self, organization_id: str, webhook_id: str) -> Endpoint | None:
        """None where it is not there, or not enabled. Raises `errors.StorageUnavailable`, also for a secret that this
        server cannot open.
        """
        ...

    async def disable(self, organization_id: str, webhook_id: str, why: Why) -> None:
        """Does nothing where it is not there, or not enabled."""
        ...


class Post(Protocol):
    async def post(self, endpoint: Endpoint, *, event_id: str, body: bytes) -> Outcome:
        """One attempt. Never raises for what the other side does."""
        ...


class DeliveryStore(Protocol):
    """The line of deliveries. They come into it with what they tell of, and go with their webhooks."""

    async def waiting(self, now: int, *, after: str = "", limit: int = 1000) -> Sequence[tuple[str, str]]:
        """The webhooks (with their organizations) that have deliveries which somebody may take now.

        In the order of their ids, beginning behind the webhook `after`, and around.
        """
        ...

    async def claim(self, wanted: Mapping[str, int], now: int, *, lease: int) -> Sequence[Delivery]:
        """Takes up to so many deliveries of each of these webhooks, for `lease` seconds. None is taken by two."""
        ...

    async def report(self, held: Delivery, then: Delivery) -> bool:
        """Keeps what became of a delivery that was claimed; whether it was held still."""
        ...

    async def get(self, webhook_id: str, event_id: str) -> Delivery | None: ...

    async def list(
        self, webhook_id: str, page: Page, *, status: Status | None = None
    ) -> tuple[Sequence[Delivery], bool]:
        """By the time of the event; and whether more follow. Raises `errors.InvalidValue` for an unknown cursor."""
        ...

    async def again(self, webhook_id: str, event_id: str, now: int) -> Delivery | None:
        """Puts a delivery into the line once more, with all its attempts. None where it is not there."""
        ...

    async def failing_since(self, webhook_id: str, since: int) -> int | None:
        """When the first delivery was given up behind the last that was delivered, and not before `since`."""
        ...

    async def expire(self, before: int) -> int:
        """Forgets up to 1,000 deliveries that ended before `before` (Unix seconds). Returns how many."""
        ...
