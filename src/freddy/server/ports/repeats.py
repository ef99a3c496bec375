"""The need to remember what a request with an idempotency key led to. A method is one transaction."""

from typing import Final, Protocol

from msgspec import Struct

BEGINNING: Final = 102
"""The status of what leads to a response that may not be kept yet: https://www.rfc-editor.org/rfc/rfc2518#section-10.1
"""


class Kept(Struct, frozen=True):
    """What is known of a key: what came with it, and what it led to, once it did.

    `fingerprint` is empty until that is known. `answer` is sealed; where there is none, `response_id` names what the
    answer is made of. `status` is that of the answer, or `BEGINNING`.
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

    async def lead(self, organization_id: str, key: str, kept: Kept, *, before: str | None, expires_at: int) -> bool:
        """Keeps which response the key leads to, if until now it led to `before`: whether it did.

        So of several that would have it lead elsewhere, one does.
        """
        ...

    async def forget(self, organization_id: str, key: str, *, before: str | None = None) -> None:
        """It came to nothing: the next request with it may try. One that leads to another response is left alone."""
        ...

    async def expire(self, now: int) -> int:
        """Forgets what has expired, in all organizations. Returns how many."""
        ...
