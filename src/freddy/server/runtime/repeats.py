"""Remembers which request began which response, so that a request sent again does not begin another."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.response import Response
from freddy.server.ports.repeats import BEGINNING, Kept, RepeatStore
from freddy.server.ports.world import Clock

REMEMBERED_SECONDS = 24 * 3600
UNDER_WAY_SECONDS = 600
"""How long a key is held for a request that has led to nothing yet: its process may have died."""
_log = logging.getLogger(__name__)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def checked(key: str) -> str:
    """The idempotency key as it came. Raises `errors.InvalidRequest`."""
    if not _KEY.fullmatch(key):
        raise errors.InvalidRequest(
            "The idempotency key must be 1 to 255 printable ASCII characters", param="Idempotency-Key"
        )
    return key


def answer_bound_to(organization_id: str, key: str) -> tuple[str, ...]:
    """What a sealed answer belongs to: under another key it does not open."""
    return ("repeat", organization_id, key)


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

    `turn` is whose it is to look. One that is not `settled` is looked up again by the next request: it leads to a
    response that another process may be about to keep.
    """

    place: tuple[str, str]
    fingerprint: bytes
    expires: float
    turn: asyncio.Lock
    response: Response | None = None
    response_id: str | None = None
    settled: bool = True


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
                    try:
                        async with self._trying(known):
                            yield known
                    finally:
                        self._drop_unsettled(known)
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
                self._drop_unsettled(mine)

    def _drop_unsettled(self, repeat: Repeat) -> None:
        """Also what never began: the next one may try."""
        if (repeat.response_id is None or not repeat.settled) and self._known.get(repeat.place) is repeat:
            del self._known[repeat.place]

    async def lead_to(self, response_id: str, repeat: Repeat, *, shared: bool = False) -> None:
        """To be said before the response begins: what has begun is never without the key that began it.

        Where the store is `shared`, other processes are told that it is not kept yet, until it is said to have `begun`.

        Raises `errors.Conflict` where another process was faster.
        """
        before = repeat.response_id
        repeat.settled = not shared
        kept = Kept(repeat.fingerprint, response_id, BEGINNING if shared else None)
        expires = int(self._clock.now()) + (UNDER_WAY_SECONDS if shared else REMEMBERED_SECONDS)
        # Before it is kept: where nobody can say whether it was, it is taken back.
        repeat.response_id = response_id
        if not await self._store.lead(*repeat.place, kept, before=before, expires_at=expires):
            repeat.response_id, repeat.settled = before, False
            raise under_way()

    async def begun(self, repeat: Repeat) -> None:
        """The response is kept now. Never raises: it is under way, whether others know or not."""
        if repeat.settled:
            return
        repeat.settled = True
        try:
            await self._keep(repeat, before=repeat.response_id)
        except errors.StorageUnavailable as error:
            _log.warning("repeat_not_kept", extra={"response_id": repeat.response_id, "code": error.code})

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
        repeat.settled = kept.status != BEGINNING
        return kept.response_id

    @asynccontextmanager
    async def _trying(self, repeat: Repeat) -> AsyncIterator[None]:
        before = repeat.response_id
        try:
            yield
        except BaseException:
            led_to, repeat.response_id = repeat.response_id, before
            if before is None:
                await asyncio.shield(self._forget(repeat, led_to))
            elif led_to != before:
                await asyncio.shield(self._keep(repeat, before=led_to))
            raise

    async def _forget(self, repeat: Repeat, led_to: str | None) -> None:
        for before in {None, led_to}:
            await self._store.forget(*repeat.place, before=before)

    async def _keep(self, repeat: Repeat, *, before: str | None) -> None:
        kept = Kept(repeat.fingerprint, repeat.response_id)
        expires = int(self._clock.now()) + REMEMBERED_SECONDS
        await self._store.lead(*repeat.place, kept, before=before, expires_at=expires)
