"""The need to remember what a request with an idempotency key led to. A method is one transaction."""

from typing import Protocol

from msgspec import Struct


class Kept(Struct, frozen=True):
    """What is known of a key: what came with it, and what it led to, once it did.

    `fingerprint` is empty until that is known. `answer` is sealed; where there is none, `response_id` names what the
    answer is made of.
    """

    fingerprint: bytes
    response_id: str | None = None
    status: int | None = None
    answer: bytes | None = None


class RepeatStore(Protocol):
    """Keys are an organization's own. Times are Unix seconds: what has expired by `now` is not there."""

    async def begin(
        self, organization_id: str, key: str, fingerprint: bytes, *, now: int, expires_at: int
    ) -> Kept | None:
        """What is known of the key; None where it was not known, and is now."""
        ...

    async def end(self, organization_id: str, key: str, kept: Kept, *, expires_at: int) -> None:
        """Keeps what the key led to."""
        ...

    async def forget(self, organization_id: str, key: str) -> None:
        """It came to nothing: the next request with it may try."""
        ...

    async def expire(self, now: int) -> int:
        """Forgets what has expired, in all organizations. Returns how many."""
        ...
