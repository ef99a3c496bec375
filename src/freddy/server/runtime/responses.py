"""The use-cases of responses: start, get, follow, cancel, delete, and their items. The face of this room."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.accounts.limits import Limiter
from freddy.server.core import compaction, errors, events, items
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request
from freddy.server.core.response import SUCCEEDED, Response, Status
from freddy.server.ports.channel import Batch, Channel
from freddy.server.ports.runs import RunStore
from freddy.server.ports.signals import STOPPED, Signals
from freddy.server.ports.stores import Page, ResponseFilter, ResponseStore
from freddy.server.ports.world import Clock
from freddy.server.runtime import estimate, runner
from freddy.server.runtime.admitting import admitted
from freddy.server.runtime.approvals import Approvals
from freddy.server.runtime.following import Following
from freddy.server.runtime.host import Host
from freddy.server.runtime.prepare import Preparation, Prepared
from freddy.server.runtime.repeats import Repeat, Repeats, under_way
from freddy.server.runtime.worker import Worker

QUICK_EDIT_SECONDS = 5.0
"""Whoever stops a response this soon wants to ask otherwise."""
_STOP_SECONDS = 10.0
"""A run that some other process performs is stopped within that, or later."""
_GOING: tuple[Status, ...] = ("in_progress", "queued")
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
        following: Following,
        worker: Worker,
        runs: RunStore,
        signals: Signals,
        clock: Clock,
        approvals: Approvals | None = None,
        shared: bool = False,
    ) -> None:
        """`shared`: other processes have the same stores."""
        self._shared = shared
        self._clock = clock
        self._following = following
        self._worker = worker
        self._runs = runs
        self._signals = signals
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
                # Whoever began it may have died before it could say so.
                await self._repeats.begun(repeat)
                return Started(found)
            prepared = await self._preparation.prepare(request, caller)
            if self._shared:
                # Another process that gets the same request has to find it.
                prepared = replace(prepared, run=replace(prepared.run, early=True))
            await self._repeats.lead_to(prepared.run.response.id, repeat, shared=self._shared)
            repeat.response = prepared.run.response
            started = await self._begin(prepared)
            await self._repeats.begun(repeat)
            return started

    async def _again(self, organization_id: str, repeat: Repeat) -> Response | None:
        """The response as it is now, or None when it came to nothing.

        Raises `errors.Conflict` where another process is about to keep it.
        """
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
        if kept is None and not repeat.settled:
            raise under_way()
        return None if kept is None or kept.status in ("failed", "cancelled") else kept

    async def start(self, request: Request, caller: Caller) -> Started:
        """The response as it begins. Raises what keeps it from beginning; what happens later is told by `follow`."""
        return await self._begin(await self._preparation.prepare(request, caller))

    async def _begin(self, prepared: Prepared) -> Started:
        admission = await admitted(self._limiter, prepared)
        try:
            if self._approvals is not None:
                await self._approvals.claim(prepared.run)
            if prepared.run.response.request.background:
                await self._worker.take(prepared, admission)
            else:
                await self._host.start(prepared.run, prepared.model, admission, toolbox=prepared.toolbox)
        except BaseException:
            # One that is under way settles it when it ends, even where whoever began it is cancelled.
            if not self._host.performs(prepared.run.response.id):
                await admission.release()
                if self._approvals is not None:
                    await self._approvals.release(prepared.run)
            raise
        return Started(prepared.run.response, admission.headers())

    async def warmed(self, request: Request, caller: Caller) -> Response:
        """A response at its end that no model was asked for, and that nobody keeps. Raises what `start` would."""
        response = (await self._preparation.prepare(request, caller)).run.response
        return replace(response, status="completed", completed_at=response.created_at)

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
        """The events of a response just started or got: as they come, or over again when it has ended."""
        return self._following.follow(response, after)

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
        if not self._host.performs(response_id):
            await self._stop_elsewhere(response)
        await self._host.cancel(response_id)
        return await self.get(response_id, caller)

    async def _stop_elsewhere(self, response: Response, *, keep: bool = False) -> None:
        """Has whoever performs the run stop it, and waits a while for that."""
        how = runner.KEEP if keep else "stop"
        if not await self._runs.stop(response.organization_id, response.id, how):
            return
        self._signals.tell(STOPPED, response.id.encode())
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS), aclosing(self.follow(response)) as batches:
                async for _ in batches:
                    pass

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
        return await self._stop_in_thread_elsewhere(thread_id, caller)

    async def _stop_in_thread_elsewhere(self, thread_id: str, caller: Caller) -> Stopped | None:
        for organization_id in caller.reach:
            for status in _GOING:
                having = ResponseFilter(thread_id=thread_id, status=status, user_id=caller.sees_only)
                found, _ = await self._store.list(organization_id, Page(limit=1), having)
                if not found or not found[0].request.background:
                    continue
                response = found[0]
                seconds = max(0.0, self._clock.now() - response.created_at)
                await self._stop_elsewhere(response, keep=seconds >= QUICK_EDIT_SECONDS)
                ended = await self._store.get(organization_id, response.id)
                return Stopped(response, seconds, ended is not None and (ended.partial or ended.status in SUCCEEDED))
        return None

    async def delete(self, response_id: str, caller: Caller) -> None:
        """Stops it when it still runs. Raises `errors.NotFound`."""
        response = await self.get(response_id, caller)
        if response.status == "in_progress" and not self._host.performs(response_id):
            # With the response goes the claim: what the run has used is accounted only where it ends before that.
            await self._stop_elsewhere(response)
        await self._host.cancel(response_id)
        await self._store.delete(response.organization_id, response_id)
        self._channel.forget(response_id)

    async def input_items(self, response_id: str, caller: Caller, page: Page) -> tuple[Sequence[items.Item], bool]:
        """A page of the input, and whether more follow. Raises `errors.NotFound`."""
        response = await self.get(response_id, caller)
        return await self._store.input_items(response.organization_id, response_id, page)

    async def kept_messages(self, response: Response, caller: Caller) -> tuple[items.Message, ...]:
        """The user's messages that a response which only compacted has kept, as they were first said."""
        made = next(filter(compaction.is_own, response.output), None)
        if made is None:
            return ()
        told = [item for item in (*made.before, *made.after) if isinstance(item, items.Message) and item.role == "user"]
        given = {item.id: item for item in response.request.input}
        cut = [item.id for item in told if item.id not in given]
        found = await self._store.find_items(response.organization_id, cut, user_id=caller.sees_only) if cut else {}
        return tuple(compaction.original(item, {**found, **given}) for item in told)


def _missing(response_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"Response with id {response_id[:100]!r} not found", param="response_id", code="response_not_found"
    )
