"""The use-cases of responses: start, get, follow, cancel, delete, and their items. The face of this room."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.accounts.limits import FREE, Admission, Limiter
from freddy.server.core import errors, events, items
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request
from freddy.server.core.response import SUCCEEDED, Response
from freddy.server.core.usage import Usage
from freddy.server.ports.channel import Batch, Channel
from freddy.server.ports.stores import Page, ResponseFilter, ResponseStore
from freddy.server.runtime import estimate, replay
from freddy.server.runtime.approvals import Approvals
from freddy.server.runtime.host import Host
from freddy.server.runtime.prepare import Preparation, Prepared
from freddy.server.runtime.repeats import Repeat, Repeats

QUICK_EDIT_SECONDS = 5.0
"""Whoever stops a response this soon wants to ask otherwise."""
_ANSWER_TOKENS = 4096
"""What an answer is taken to need at most where nobody set a limit; what it takes more is accounted when it ends."""
_FIRST_WORD = 2
"""The number of the event after `Created` and `InProgress`."""


class Stopped(Struct, frozen=True):
    """A response that was stopped after `seconds`; `kept`: what it said until then stays in its thread."""

    response: Response
    seconds: float
    kept: bool


class Started(Struct, frozen=True):
    """A response that was begun, or begun before. `headers` tell the caller how much more it may."""

    response: Response
    headers: tuple[tuple[str, str], ...] = ()


class Responses:
    def __init__(
        self,
        *,
        preparation: Preparation,
        host: Host,
        store: ResponseStore,
        channel: Channel,
        repeats: Repeats,
        limiter: Limiter,
        approvals: Approvals | None = None,
    ) -> None:
        self._approvals = approvals
        self._limiter = limiter
        self._preparation = preparation
        self._host = host
        self._store = store
        self._channel = channel
        self._repeats = repeats

    async def start_once(self, request: Request, caller: Caller, *, key: str, body: bytes) -> Started:
        """Like `start`, but the same key with the same body leads to the response it began before.

        One that failed or was cancelled is begun anew: whoever asks again wants another try.
        """
        fingerprint = hashlib.sha256(body)
        if caller.sees_only is not None:
            # What it led to is not for the others.
            fingerprint.update(f"\n{caller.sees_only}".encode())
        async with self._repeats.once(caller.organization_id, key, fingerprint.digest()) as repeat:
            if (found := await self._again(caller.organization_id, repeat)) is not None:
                return Started(found)
            prepared = await self._preparation.prepare(request, caller)
            await self._repeats.lead_to(prepared.run.response.id, repeat)
            repeat.response = prepared.run.response
            return await self._begin(prepared, caller)

    async def _again(self, organization_id: str, repeat: Repeat) -> Response | None:
        """The response as it is now, or None when it came to nothing."""
        begun = repeat.response
        if repeat.response_id is None:
            return None
        kept = await self._store.get(organization_id, repeat.response_id)
        if kept is None and begun is not None and self._channel.knows(begun.id):
            if self._host.performs(begun.id):
                return begun
            async with aclosing(self._channel.follow(begun.id)) as batches:
                async for _, batch in batches:
                    if isinstance(batch[-1], events.Finished):
                        kept = batch[-1].response
        return None if kept is None or kept.status in ("failed", "cancelled") else kept

    async def start(self, request: Request, caller: Caller) -> Started:
        """The response as it begins. Raises what keeps it from beginning; what happens later is told by `follow`."""
        return await self._begin(await self._preparation.prepare(request, caller), caller)

    async def _begin(self, prepared: Prepared, caller: Caller) -> Started:
        admission = await self._admitted(prepared, caller)
        try:
            if self._approvals is not None:
                await self._approvals.claim(prepared.run)
            await self._host.start(prepared.run, prepared.model, admission, toolbox=prepared.toolbox)
        except BaseException:
            # One that is under way settles it when it ends, even where whoever began it is cancelled.
            if not self._host.performs(prepared.run.response.id):
                await admission.release()
                if self._approvals is not None:
                    await self._approvals.release(prepared.run)
            raise
        return Started(prepared.run.response, admission.headers())

    async def _admitted(self, prepared: Prepared, caller: Caller) -> Admission:
        """Raises `errors.RateLimited`."""
        if not await self._limiter.limited(caller):
            return FREE
        turn = prepared.turn
        read, asked = estimate.input_tokens(turn), turn.max_output_tokens
        write = _ANSWER_TOKENS if asked is None else asked
        cost = prepared.model.most_cost(Usage(input_tokens=read, output_tokens=write))
        return await self._limiter.admit(caller, tokens=read + min(write, _ANSWER_TOKENS), cost=cost)

    async def count(self, request: Request, caller: Caller) -> int:
        """Input tokens that the request would take."""
        prepared = await self._preparation.prepare(request, caller)
        turn = prepared.turn
        counted = await prepared.model.count(turn)
        return estimate.input_tokens(turn) if counted is None else counted

    async def get(self, response_id: str, caller: Caller) -> Response:
        """Raises `errors.NotFound`, also for what belongs to others."""
        for organization_id in caller.reach:
            found = await self._store.get(organization_id, response_id)
            if found is not None and caller.sees_only in (None, found.user_id):
                return found
        raise _missing(response_id)

    async def list(self, caller: Caller, page: Page, having: ResponseFilter) -> tuple[Sequence[Response], bool]:
        """A page of the kept responses, and whether more follow."""
        if caller.sees_only is not None:
            having = replace(having, user_id=caller.sees_only)
        return await self._store.list(caller.organization_id, page, having)

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

    async def stop_in_thread(self, thread_id: str, caller: Caller) -> Stopped | None:
        """Stops the response that began last of those being made for a thread; None where there is none.

        Within the first seconds it is as if nothing had been asked; after that what was said stays in the thread.
        """
        for organization_id in caller.reach:
            running = self._host.running(organization_id, thread_id)
            if running is None or caller.sees_only not in (None, running[0].user_id):
                continue
            response, seconds = running
            ended = await self._host.cancel(response.id, keep=seconds >= QUICK_EDIT_SECONDS)
            # It may have ended by itself before the word reached it.
            kept = ended is not None and (ended.partial or ended.status in SUCCEEDED)
            return Stopped(response, seconds, kept and response.request.store)
        return None

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
