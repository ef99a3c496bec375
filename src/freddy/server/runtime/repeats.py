"""Remembers which request began which response, so that a request sent again does not begin another."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.response import Response
from freddy.server.ports.repeats import Kept, RepeatStore
from freddy.server.ports.world import Clock

REMEMBERED_SECONDS = 24 * 3600
UNDER_WAY_SECONDS = 600
"""How long a key is held for a request that has led to nothing yet: its process may have died."""
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def checked(key: str) -> str:
    """The idempotency key as it came. Raises `errors.InvalidRequest`."""
    if not _KEY.fullmatch(key):
        raise errors.InvalidRequest(
            "The idempotency key must be 1 to 255 printable ASCII characters", param="Idempotency-Key"
        )
    return key


def other_body() -> errors.Conflict:
    return errors.Conflict(
        "This idempotency key was used with another request",
        param="Idempotency-Key",
        details="send a new key with every new request",
    )


def under_way() -> errors.Conflict:
    return errors.Conflict(
        "The first request with this idempotency key is still being answered",
        param="Idempotency-Key",
        code="idempotency_in_progress",
        details="ask again in a moment",
        retry_after=1,
    )


class Repeat(Struct):
    """One idempotency key. `response_id` is there once a request has led to one, `response` once that was here.

    `turn` is whose it is to look.
    """

    place: tuple[str, str]
    fingerprint: bytes
    expires: float
    turn: asyncio.Lock
    response: Response | None = None
    response_id: str | None = None


class Repeats:
    """Keys are an organization's own. They are kept for a day; the last `most` of this process are in memory too."""

    def __init__(self, store: RepeatStore, clock: Clock, *, most: int = 10_000) -> None:
        self._store = store
        self._clock = clock
        self._most = most
        self._known: dict[tuple[str, str], Repeat] = {}

    @asynccontextmanager
    async def once(self, organization_id: str, key: str, fingerprint: bytes) -> AsyncIterator[Repeat]:
        """The first request finds no response in it, and says which it will `lead_to`; the others wait, and find it.

        One after the other: where the response came to nothing, the first who sees that leads to another. Whoever
        raises has led to nothing.

        Raises `errors.Conflict` when the key came with another body, or begins in another process just now.
        """
        place = (organization_id, checked(key))
        while (known := self._known.get(place)) is not None and known.expires > self._clock.monotonic():
            if known.fingerprint != fingerprint:
                raise other_body()
            async with known.turn:
                if known.response_id is not None:
                    async with self._trying(known):
                        yield known
                    return
        mine = Repeat(place, fingerprint, self._clock.monotonic() + REMEMBERED_SECONDS, asyncio.Lock())
        self._known.pop(place, None)
        self._known[place] = mine
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        async with mine.turn:
            try:
                mine.response_id = await self._begun(mine)
                async with self._trying(mine):
                    yield mine
            finally:
                if mine.response_id is None and self._known.get(place) is mine:
                    # It never began: the next one may try.
                    del self._known[place]

    async def lead_to(self, response_id: str, repeat: Repeat) -> None:
        """To be said before the response begins: what has begun is never without the key that began it."""
        repeat.response_id = response_id
        await self._keep(repeat)

    async def _begun(self, repeat: Repeat) -> str | None:
        """The response that the key led to in another process, or in an earlier life of this one."""
        now = int(self._clock.now())
        expires = now + UNDER_WAY_SECONDS
        kept = await self._store.begin(*repeat.place, repeat.fingerprint, now=now, expires_at=expires)
        if kept is None:
            return None
        if kept.fingerprint != repeat.fingerprint:
            raise other_body()
        if kept.response_id is None:
            raise under_way()
        return kept.response_id

    @asynccontextmanager
    async def _trying(self, repeat: Repeat) -> AsyncIterator[None]:
        before = repeat.response_id
        try:
            yield
        except BaseException:
            repeat.response_id = before
            await asyncio.shield(self._store.forget(*repeat.place) if before is None else self._keep(repeat))
            raise

    async def _keep(self, repeat: Repeat) -> None:
        kept = Kept(repeat.fingerprint, repeat.response_id)
        expires = int(self._clock.now()) + REMEMBERED_SECONDS
        await self._store.end(*repeat.place, kept, expires_at=expires)
