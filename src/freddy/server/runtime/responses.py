"""The use-cases of responses: start, get, follow, cancel, delete, and their items. The face of this room."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from freddy.server.core import errors, events, items
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.ports.channel import Batch, Channel
from freddy.server.ports.stores import Page, ResponseStore
from freddy.server.runtime import estimate, replay
from freddy.server.runtime.host import Host
from freddy.server.runtime.prepare import Preparation
from freddy.server.runtime.repeats import Repeats

_FIRST_WORD = 2
"""The number of the event after `Created` and `InProgress`."""


class Responses:
    def __init__(
        self, *, preparation: Preparation, host: Host, store: ResponseStore, channel: Channel, repeats: Repeats
    ) -> None:
        self._preparation = preparation
        self._host = host
        self._store = store
        self._channel = channel
        self._repeats = repeats

    async def start_once(self, request: Request, caller: Caller, *, key: str, body: bytes) -> Response:
        """Like `start`, but the same key with the same body leads to the response it began before.

        One that failed or was cancelled is begun anew: whoever asks again wants another try.
        """
        fingerprint = hashlib.sha256(body).digest()
        async with self._repeats.once(caller.organization_id, key, fingerprint) as repeat:
            if repeat.response is not None and (found := await self._again(repeat.response)) is not None:
                return found
            repeat.response = await self.start(request, caller)
            return repeat.response

    async def _again(self, begun: Response) -> Response | None:
        """The response as it is now, or None when it came to nothing."""
        kept = await self._store.get(begun.organization_id, begun.id)
        if kept is None and self._channel.knows(begun.id):
            if self._host.performs(begun.id):
                return begun
            async with aclosing(self._channel.follow(begun.id)) as batches:
                async for _, batch in batches:
                    if isinstance(batch[-1], events.Finished):
                        kept = batch[-1].response
        return None if kept is None or kept.status in ("failed", "cancelled") else kept

    async def start(self, request: Request, caller: Caller) -> Response:
        """The response as it begins. Raises what keeps it from beginning; what happens later is told by `follow`."""
        prepared = await self._preparation.prepare(request, caller)
        await self._host.start(prepared.run, prepared.model)
        return prepared.run.response

    async def count(self, request: Request, caller: Caller) -> int:
        """Input tokens that the request would take."""
        prepared = await self._preparation.prepare(request, caller)
        turn = prepared.turn
        counted = await prepared.model.count(turn)
        return estimate.input_tokens(turn) if counted is None else counted

    async def get(self, response_id: str, caller: Caller) -> Response:
        """Raises `errors.NotFound`, also for what belongs to others."""
        for organization_id in caller.organization_ids:
            if found := await self._store.get(organization_id, response_id):
                return found
        raise _missing(response_id)

    def follow(self, response: Response, after: int = -1) -> AsyncGenerator[Batch, None]:
        """The events of a response just started or got: as they come, or over again when it has ended.

        Raises `errors.Conflict` for one that another process writes.
        """
        if self._channel.knows(response.id):
            return self._channel.follow(response.id, after)
        if not response.ended:
            raise errors.Conflict(
                "This response is not being written here", param="response_id", details="ask again when it has ended"
            )
        return replay.follow(response, after)

    async def failed_at_once(self, response: Response, *, seconds: float) -> errors.Failure | None:
        """The failure of a run that ended before the model said a word; waits no longer than `seconds` for that."""
        if not self._channel.knows(response.id):
            # Begun by an earlier request with the same key, and over: it is told again.
            return None
        async with aclosing(self.follow(response, _FIRST_WORD - 1)) as batches:
            try:
                async with asyncio.timeout(seconds):
                    await self._channel.reached(response.id, _FIRST_WORD)
            except TimeoutError:
                return None
            async for _, batch in batches:
                return batch[0].failure if isinstance(batch[0], events.Failed) else None
        return None

    def release(self, response: Response) -> None:
        """The events of a whole answer were told, and its items are kept: memory need not hold them, too."""
        if response.request.store and not self._channel.followers(response.id):
            self._channel.forget(response.id)

    def listeners(self, response: Response) -> int:
        return self._channel.followers(response.id)

    async def stop(self, response: Response) -> None:
        """Stops a run whose last listener went away."""
        await self._host.cancel(response.id)

    async def cancel(self, response_id: str, caller: Caller) -> Response:
        """The response, cancelled; one that ended before stays as it is. Raises `errors.NotFound`."""
        response = await self.get(response_id, caller)
        if response.ended:
            return response
        await self._host.cancel(response_id)
        return await self.get(response_id, caller)

    async def delete(self, response_id: str, caller: Caller) -> None:
        """Stops it when it still runs. Raises `errors.NotFound`."""
        response = await self.get(response_id, caller)
        await self._host.cancel(response_id)
        await self._store.delete(response.organization_id, response_id)
        self._channel.forget(response_id)

    async def input_items(self, response_id: str, caller: Caller, page: Page) -> tuple[Sequence[items.Item], bool]:
        """A page of the input, and whether more follow. Raises `errors.NotFound`."""
        response = await self.get(response_id, caller)
        return await self._store.input_items(response.organization_id, response_id, page)


def _missing(response_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"Response with id {response_id[:100]!r} not found", param="response_id", code="response_not_found"
    )
