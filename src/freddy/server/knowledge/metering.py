"""Has texts embedded, and keeps what that took: it is the organization's whose texts they are."""

import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from freddy.server.core import calls, errors, ids
from freddy.server.core.calls import Call
from freddy.server.core.usage import Usage
from freddy.server.knowledge import chunking
from freddy.server.ports.embedder import Embedder, Side, Spending, Spent
from freddy.server.ports.usage import Apart, UsageStore
from freddy.server.ports.world import Clock, IdSource

_log = logging.getLogger(__name__)

_MOST_OWED: Final = 10_000


class Meter:
    """`charged` hears of an organization whose spending has grown: what counts its budget has not seen it."""

    def __init__(
        self, store: UsageStore, *, clock: Clock, ids: IdSource, charged: Callable[[str], Awaitable[None]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._charged = charged
        self._owed: deque[Apart] = deque(maxlen=_MOST_OWED)
        """What the store could not take: no search waits for that."""

    async def embed(
        self, embedder: Embedder, texts: Sequence[str], *, side: Side, organization_id: str
    ) -> Sequence[bytes]:
        """Raises like `Embedder.embed`."""
        async with self._metering(organization_id) as spent:
            return await embedder.embed(texts, side=side, spent=spent)

    async def dimensions(self, embedder: Embedder, organization_id: str) -> int:
        """Raises like `Embedder.dimensions`."""
        async with self._metering(organization_id) as spent:
            return await embedder.dimensions(spent=spent)

    @asynccontextmanager
    async def _metering(self, organization_id: str) -> AsyncIterator[Spent]:
        made: list[Spending] = []
        try:
            yield made.append
        finally:
            # Also of what broke off, or nobody waits for any more.
            if made:
                await self._keep(organization_id, tuple(map(_call, made)))

    async def _keep(self, organization_id: str, made: tuple[Call, ...]) -> None:
        own = Apart(
            id=self._ids.new(ids.SPENDING), organization_id=organization_id, at=int(self._clock.now()), calls=made
        )
        due = (*self._owed, own)
        self._owed.clear()
        try:
            await self._store.add_apart(due)
        except errors.FreddyError as error:
            _log.error("usage_not_kept", extra={"organization_id": organization_id, "code": error.code})
            self._owed.extend(due)
            return
        except BaseException:
            # Keeping it is repeated, and changes nothing where it had come through.
            self._owed.extend(due)
            raise
        for organization in {one.organization_id for one in due if any(call.cost for call in one.calls)}:
            await self._charged(organization)


def _call(spending: Spending) -> Call:
    usage = spending.usage
    if usage is None and spending.texts:
        usage = Usage(input_tokens=math.ceil(sum(map(chunking.tokens, spending.texts))), estimated=True)
    return Call(
        kind="embedding",
        name=spending.model,
        provider=spending.provider,
        status=spending.status,
        usage=usage or calls.NOTHING,
        cost=calls.cost(usage, spending.price),
        milliseconds=spending.milliseconds,
    )
