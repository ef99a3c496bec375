"""One request on a connection, from when it came until its response has ended, and those that steers lead to.

Nothing here makes a response: that is the engine's work, as for every other request.
"""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

from msgspec.structs import replace

from freddy.server.core import errors, events, ids, items
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request
from freddy.server.core.response import SUCCEEDED, Response
from freddy.server.dialects.openai import OPENAI, decode_warming, frames
from freddy.server.http.body import ClientGone
from freddy.server.http.websockets import held
from freddy.server.http.websockets.session import Session
from freddy.server.http.websockets.steering import Steered, joined
from freddy.server.http.websockets.telling import FailedAtOnce


class Answer:
    """A `response.create` and what has become of it. `response` is the one in flight: a steer leads to another."""

    def __init__(self, session: Session, create: frames.Create, lane: str | None) -> None:
        self.lane = lane
        self.size = len(create.body)
        self.task: asyncio.Task[None] | None = None
        self.waits = True
        self.over = False
        """Whether its end was told, or is on its way: who hears of it may ask anew before all is put away."""
        self.response: Response | None = None
        self.steered: tuple[Steered, ...] = ()
        self._session = session
        self._create = create
        self._caller: Caller | None = None
        self._number = 0
        self._stopped = False
        self._stopping: Response | None = None
        """The response that is being stopped: who says so a thousand times is heard once."""

    async def perform(self) -> None:
        """The response, and those that its steers lead to. Tells what kept the first from being read."""
        self.waits = False
        try:
            await self._perform()
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 the edge, as of HTTP
            self._session.held.failed(self._create.follows, self.lane)
            await self._refuse(error)

    def is_meant(self, cancel: frames.Cancel, lane: str | None) -> bool:
        """Whether the response in flight is the one to be stopped, or is about to be."""
        if cancel.response_id is None:
            return self.lane == lane and not self.waits
        return self.response is not None and self.response.id == cancel.response_id

    def stop(self) -> None:
        """The response in flight; what is just beginning is stopped as soon as it has begun."""
        self._stopped = True
        if self.response is not None and self._stopping is not self.response:
            self._begin_stop(self.response)

    async def steer(self, steer: frames.Steer, in_flight: Iterable[Steered]) -> None:
        """Tells whether it was accepted. `in_flight` are the steers of all responses that have not ended."""
        code, why = self._unsteerable(steer, in_flight)
        said: tuple[items.Item, ...] = ()
        if code is None:
            try:
                said = frames.decode_steered(steer, self._session.ids.new)
            except errors.FreddyError as error:
                code, why = "invalid_input", error.message
        if code is not None:
            told = frames.steer_failed(self._count(), None, steer, self.lane, code=code, message=why)
            await self._session.telling.say(told)
            return
        one = Steered(self._session.ids.new(ids.STEER), steer, said)
        self.steered = (*self.steered, one)
        await self._session.telling.say(frames.steer_accepted(self._count(), one.id, steer, self.lane))

    async def _perform(self) -> None:
        create, session = self._create, self._session
        self._caller = await session.caller()
        decode = OPENAI.decode_request if create.generate else decode_warming
        request = replace(decode(create.body, session.ids.new), stream=True)
        left = session.steers.take(request.previous_response_id)
        if left:
            request = replace(request, input=joined(left, request.input))
        ended = await self._one(request, self._caller, left)
        while self.steered:
            self.over = False
            steered, self.steered = self.steered, ()
            if ended is None or ended.status not in ("completed", "requires_action"):
                await self._give_back(steered, "the response did not end well")
                return
            if frames.awaits_caller(ended):
                session.steers.leave(ended.id, steered)
                for one in steered:
                    await session.telling.say(frames.steer_pending(self._count(), one.id, ended, self.lane))
                return
            said = tuple(item for one in steered for item in one.said)
            request = replace(request, input=said, previous_response_id=ended.id)
            try:
                self._caller = await self._still()
            except errors.FreddyError:
                await self._give_back(steered, "no response may begin any more")
                raise
            ended = await self._one(request, self._caller, steered)

    async def _still(self) -> Caller:
        """Who calls, where another response may begin: steers lead from one to the next for as long as they come.

        Raises `errors.NotAuthenticated`, `PermissionDenied`, and `InvalidRequest` for a connection that is too old.
        """
        if (refusal := self._session.too_old()) is not None:
            raise refusal
        return await self._session.caller()

    async def _one(self, request: Request, caller: Caller, steered: tuple[Steered, ...]) -> Response | None:
        """The response at its end; None for one that came to nothing, which was told."""
        holding = self._session.held
        owner, followed = held.owner_of(caller), request.previous_response_id
        before = holding.find(followed, owner)
        if before is not None:
            request = held.continued(request, before)
        elif not request.store and followed is None and request.cache_key is None:
            # A chain that is not stored has nothing else that all of it has in common.
            request = replace(request, cache_key=self._session.ids.new(ids.RESPONSE))
        size = self.size + (before.size if before else 0)
        try:
            if self._create.generate:
                ended, told = await self._followed(request, caller)
            else:
                ended, told = await self._warmed(request, caller)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 the edge
            ended, told = None, 0
            if steered:
                await self._give_back(steered, "the response that was to follow could not be made")
            await self._refuse(error)
        if ended is None or ended.status == "failed":
            holding.failed(followed, self.lane)
            return ended
        unkept = not ended.request.store or not self._create.generate
        if unkept and ended.status in SUCCEEDED and ended.thread_id is None:
            holding.keep(held.hold(ended, owner, self.lane, size=size + told))
        return ended

    async def _warmed(self, request: Request, caller: Caller) -> tuple[Response, int]:
        """Looks up what the request needs, and no model is asked."""
        ended = await self._session.responses.warmed(request, caller)
        encode, self._number = OPENAI.event_encoder(ended), 0
        told: tuple[events.Event, ...] = (events.Created(ended), events.Finished(ended))
        for event in told:
            self.over = isinstance(event, events.Finished)
            await self._session.telling.say(frames.of_event(encode(self._count(), event), self.lane))
        return ended, 0

    async def _followed(self, request: Request, caller: Caller) -> tuple[Response, int]:
        """The response, told to its end, and how long that was.

        Raises what kept it from beginning, and `FailedAtOnce`.
        """
        telling = self._session.telling
        if not telling.open:
            raise ClientGone
        response = (await self._session.responses.start(request, caller)).response
        if not telling.open:
            await self._leave(response)
            raise ClientGone
        try:
            if self._stopped:
                self._begin_stop(response)
            self._number, self.response = 0, response
            return await self._tell(response)
        except BaseException:
            await self._leave(response)
            raise
        finally:
            self.response = None

    async def _tell(self, response: Response) -> tuple[Response, int]:
        session, encode = self._session, OPENAI.event_encoder(response)
        # Before anything is waited for: a run that ends meanwhile may be dropped, but not from who follows it already.
        async with aclosing(session.responses.follow(response)) as batches:
            failure = await session.responses.failed_at_once(response, seconds=session.terms.hold_seconds)
            if failure is not None:
                raise FailedAtOnce(failure)
            async for _, batch in batches:
                for event in batch:
                    # Clients take an error for the end of a response, and here the end of the response tells it.
                    if isinstance(event, events.Failed):
                        continue
                    written = encode(self._number, event)
                    if not written:
                        continue
                    self._number += 1
                    self.over = isinstance(event, events.Finished)
                    await session.telling.say(frames.of_event(written, self.lane))
                    if isinstance(event, events.Finished):
                        return event.response, len(written)
        if session.stopping:
            # One in the background that goes on elsewhere.
            raise errors.ShuttingDown("The server is stopping", retry_after=1, details=f"follow {response.id!r} anew")
        raise errors.Internal("The response was told no further")

    def _begin_stop(self, response: Response) -> None:
        self._stopping = response
        self._session.work.create_task(self._stop(response))

    async def _stop(self, response: Response) -> None:
        try:
            if response.request.background and self._caller is not None:
                await self._session.responses.cancel(response.id, self._caller)
            else:
                await self._session.responses.stop(response)
        except Exception as error:  # noqa: BLE001 the edge
            self._stopping = None
            await self._session.telling.refuse(error, self.lane)

    async def _leave(self, response: Response) -> None:
        """Nobody is told any more: what nobody else listens to is stopped, unless it was meant to go on alone."""
        if not response.request.background and not self._session.responses.listeners(response):
            await self._session.responses.stop(response)

    def _unsteerable(self, steer: frames.Steer, in_flight: Iterable[Steered]) -> tuple[frames.SteerCode | None, str]:
        if self.response is not None and self.response.thread_id is not None:
            return "steering_not_supported", "a response in a conversation cannot be steered"
        refusal = self._session.steers.refusal(steer, in_flight)
        return (None, "") if refusal is None else ("too_many_pending_steers", refusal)

    async def _give_back(self, steered: tuple[Steered, ...], why: str) -> None:
        code: frames.SteerCode = "successor_creation_failed"
        for one in steered:
            told = frames.steer_failed(self._count(), one.id, one.steer, self.lane, code=code, message=why)
            await self._session.telling.say(told)

    async def _refuse(self, error: Exception) -> None:
        self.over = True
        await self._session.telling.refuse(error, self.lane)

    def _count(self) -> int:
        """The number of the next event of the response."""
        self._number += 1
        return self._number - 1
