"""Remembers which request began which response, so that a request sent again does not begin another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.response import Response
from freddy.server.ports.world import Clock


class Repeat(Struct):
    """One idempotency key. `response` is there once the first request has begun it; `turn` is whose it is to look."""

    fingerprint: bytes
    expires: float
    turn: asyncio.Lock
    response: Response | None = None


class Repeats:
    """Keys are an organization's own, and are remembered for `seconds`, the last `most` of them."""

    def __init__(self, clock: Clock, *, seconds: float = 600.0, most: int = 10_000) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._known: dict[tuple[str, str], Repeat] = {}

    @asynccontextmanager
    async def once(self, organization_id: str, key: str, fingerprint: bytes) -> AsyncIterator[Repeat]:
        """The first request finds no `response` in it and sets it; the others wait for that, and find it.

        One after the other: where the response came to nothing, the first who sees that sets another.

        Raises `errors.Conflict` when the key came with another body.
        """
        place = (organization_id, key)
        while (known := self._known.get(place)) is not None and known.expires > self._clock.monotonic():
            if known.fingerprint != fingerprint:
                raise errors.Conflict(
                    "This idempotency key was used with another body",
                    param="Idempotency-Key",
                    details="send a new key with every new request",
                )
            async with known.turn:
                if known.response is not None:
                    yield known
                    return
        mine = Repeat(fingerprint, self._clock.monotonic() + self._seconds, asyncio.Lock())
        self._known.pop(place, None)
        self._known[place] = mine
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        async with mine.turn:
            try:
                yield mine
            finally:
                if mine.response is None and self._known.get(place) is mine:
                    # It never began: the next one may try.
                    del self._known[place]
