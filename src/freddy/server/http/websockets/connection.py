"""One open connection: reads what its client sends, has the responses made, and tells what happens.

Responses of a lane are made one after the other, those of different lanes at once. Nothing here makes a response: that
is the engine's work, as for every other request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from itertools import chain
from typing import Final, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace
from starlette.types import Message, Receive, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors, events, ids, items
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request
from freddy.server.core.response import SUCCEEDED, Response
from freddy.server.dialects.openai import OPENAI, decode_warming, frames
from freddy.server.http.body import ClientGone
from freddy.server.http.errors import failure as failure_of
from freddy.server.http.errors import headers
from freddy.server.http.websockets import held
from freddy.server.http.websockets.opening import SHUTDOWN
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime.responses import Responses

Authenticate: TypeAlias = Callable[[], Awaitable[Caller]]
_STOPPING: Final = 1012
"""What the connections of a server that stops are closed with: https://www.iana.org/assignments/websocket"""


class Terms(Struct, frozen=True, kw_only=True):
    """What one connection may: after `seconds` no response begins; of `bytes` are a frame, and those that wait."""

    seconds: float
    bytes: int
    hold_seconds: float
    """How long the first events wait for the model's first word, so that a failure is told as one with a status."""
    lanes: int = 32
    at_once: int = 16
    waiting: int = 64
    held: int = 64
    steers: int = 16


class _Steered(Struct, frozen=True):
    """Messages that were accepted for a response, and go to the one after it."""

    id: str
    steer: frames.Steer
    said: tuple[items.Item, ...]


class _Answer:
    """A `response.create` and what has become of it. `response` is the one in flight: a steer leads to another."""

    def __init__(self, create: frames.Create, lane: str | None) -> None:
        self.lane = lane
        self.generate = create.generate
        self.size = len(create.body)
        self.task: asyncio.Task[None] | None = None
        self.caller: Caller | None = None
        self.waits = True
        self.stopped = False
        self.stopping: Response | None = None
        """The response that is being stopped: who says so a thousand times is heard once."""
        self.response: Response | None = None
        self.number = 0
        self.steered: list[_Steered] = []

    def count(self) -> int:
        """The number of the next event of the response."""
        self.number += 1
        return self.number - 1


class Connection:
    def __init__(
        self, responses: Responses, send: Send, *, authenticate: Authenticate, clock: Clock, ids: IdSource, terms: Terms
    ) -> None:
        """`authenticate` says who calls now: a key may be taken back while the connection is open."""
        self._responses = responses
        self._send = send
        self._authenticate = authenticate
        self._clock = clock
        self._ids = ids
        self._terms = terms
        self._until = clock.monotonic() + terms.seconds
        self._held = held.Holding(most=terms.held, most_bytes=2 * terms.bytes)
        self._lanes: dict[str | None, asyncio.Lock] = {None: asyncio.Lock()}
        self._room = asyncio.Semaphore(terms.at_once)
        self._answers: list[_Answer] = []
        self._left: dict[str, list[_Steered]] = {}
        """Steers of responses that wait for their caller, by response."""
        self._close_code: int | None = None
        """What the connection is closed with as soon as nothing is in flight."""
        self._open = True
        """Whether somebody is there to be told."""
        self._work = asyncio.TaskGroup()

    async def serve(self, receive: Receive) -> None:
        """Returns when the connection is closed, and nothing runs any more for who is gone."""
        async with self._work:
            try:
                await self._listen(receive)
            finally:
                self._open = False
                for answer in self._answers:
                    # What is just beginning is stopped as soon as it has begun: half of it could not be.
                    if answer.task is not None and (answer.waits or answer.response is not None):
                        answer.task.cancel()

    async def _listen(self, receive: Receive) -> None:
        while True:
            message = await receive()
            match message["type"]:
                case "websocket.disconnect":
                    return
                case "websocket.receive":
                    await self._hear(message)
                case kind if kind == SHUTDOWN:
                    await self._end(_STOPPING)

    async def _hear(self, message: Message) -> None:
        lane: str | None = None
        try:
            received = frames.read(_text(message))
            lane = received.lane
            match frames.decode(received):
                case frames.Create() as create:
                    await self._queue(create, lane)
                case frames.Cancel() as cancel:
                    self._cancel(cancel, lane)
                case frames.Steer() as steer:
                    await self._steer(steer)
                case never:
                    assert_never(never)
        except ClientGone:
            return  # That is what is received next.
        except Exception as error:  # noqa: BLE001 the edge, as of HTTP
            await self._refuse(error, lane)
            if isinstance(error, errors.UnsupportedMediaType):
                await self._close(1003)

    async def _queue(self, create: frames.Create, lane: str | None) -> None:
        """Raises what keeps it from being asked."""
        if self._close_code == _STOPPING:
            raise errors.ShuttingDown("The server is stopping", retry_after=1)
        if self._clock.monotonic() >= self._until:
            await self._refuse(_too_old(self._terms), lane)
            await self._end(1001)
            return
        if lane not in self._lanes:
            if len(self._lanes) > self._terms.lanes:  # one has no name
                raise _too_many_lanes(self._terms)
            self._lanes[lane] = asyncio.Lock()
        waiting = [answer for answer in self._answers if answer.waits]
        length = sum(answer.size for answer in waiting) + len(create.body)
        if len(waiting) >= self._terms.waiting or (waiting and length > self._terms.bytes):
            raise errors.RateLimited(
                "Too many responses wait on this connection",
                code="websocket_queue_full",
                details="wait until one of them has ended",
            )
        answer = _Answer(create, lane)
        self._answers.append(answer)
        answer.task = self._work.create_task(self._answer(answer, create))

    async def _answer(self, answer: _Answer, create: frames.Create) -> None:
        with suppress(ClientGone):
            try:
                async with self._lanes[answer.lane], self._room:
                    answer.waits = False
                    await self._perform(answer, create)
            except ClientGone:
                raise
            except Exception as error:  # noqa: BLE001 the edge, as of HTTP
                self._held.failed(create.follows, answer.lane)
                await self._refuse(error, answer.lane)
            finally:
                self._answers.remove(answer)
                if self._close_code is not None and not self._answers:
                    await self._close(self._close_code)

    async def _perform(self, answer: _Answer, create: frames.Create) -> None:
        """The response, and those that its steers lead to. Raises what kept the first from being read."""
        lane = answer.lane
        caller = answer.caller = require(await self._authenticate(), "responses:write")
        decode = OPENAI.decode_request if create.generate else decode_warming
        request = replace(decode(create.body, self._ids.new), stream=True)
        left = tuple(self._left.pop(request.previous_response_id or "", ()))
        if left:
            request = replace(request, input=_joined(left, request.input))
        ended = await self._one(answer, request, caller, left)
        while answer.steered:
            steered, answer.steered = tuple(answer.steered), []
            if ended is None or ended.status not in ("completed", "requires_action"):
                await self._give_back(steered, answer, "the response did not end well")
                return
            if frames.awaits_caller(ended):
                self._left[ended.id] = [*steered]
                for one in steered:
                    await self._say(frames.steer_pending(answer.count(), one.id, ended, lane))
                return
            said = tuple(item for one in steered for item in one.said)
            request = replace(request, input=said, previous_response_id=ended.id)
            try:
                caller = answer.caller = await self._still()
            except errors.FreddyError:
                await self._give_back(steered, answer, "no response may begin any more")
                raise
            ended = await self._one(answer, request, caller, steered)

    async def _still(self) -> Caller:
        """Who calls, where another response may begin: steers lead from one to the next for as long as they come.

        Raises `errors.NotAuthenticated`, `PermissionDenied`, and `InvalidRequest` for a connection that is too old.
        """
        if self._clock.monotonic() >= self._until:
            raise _too_old(self._terms)
        return require(await self._authenticate(), "responses:write")

    async def _one(
        self, answer: _Answer, request: Request, caller: Caller, steered: tuple[_Steered, ...] = ()
    ) -> Response | None:
        """The response at its end; None for one that came to nothing, which was told."""
        owner, followed = held.owner_of(caller), request.previous_response_id
        before = self._held.find(followed, owner)
        if before is not None:
            request = held.continued(request, before)
        elif not request.store and followed is None and request.cache_key is None:
            # A chain that is not stored has nothing else that all of it has in common.
            request = replace(request, cache_key=self._ids.new(ids.RESPONSE))
        size = answer.size + (before.size if before else 0)
        try:
            if answer.generate:
                ended, told = await self._followed(answer, request, caller)
            else:
                ended, told = await self._warmed(answer, request, caller)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 the edge
            ended, told = None, 0
            if steered:
                await self._give_back(steered, answer, "the response that was to follow could not be made")
            await self._refuse(error, answer.lane)
        if ended is None or ended.status == "failed":
            self._held.failed(followed, answer.lane)
            return ended
        unkept = not ended.request.store or not answer.generate
        if unkept and ended.status in SUCCEEDED and ended.thread_id is None:
            self._held.keep(held.hold(ended, owner, answer.lane, size=size + told))
        return ended

    async def _warmed(self, answer: _Answer, request: Request, caller: Caller) -> tuple[Response, int]:
        """Looks up what the request needs, and no model is asked."""
        ended = await self._responses.warmed(request, caller)
        encode, answer.number = OPENAI.event_encoder(ended), 0
        told: tuple[events.Event, ...] = (events.Created(ended), events.Finished(ended))
        for event in told:
            await self._say(frames.of_event(encode(answer.count(), event), answer.lane))
        return ended, 0

    async def _followed(self, answer: _Answer, request: Request, caller: Caller) -> tuple[Response, int]:
        """The response, told to its end, and how long that was. Raises what kept it from beginning, and `_Failed`."""
        if not self._open:
            raise ClientGone
        response = (await self._responses.start(request, caller)).response
        if not self._open:
            await self._leave(response)
            raise ClientGone
        try:
            if answer.stopped:
                self._begin_stop(answer, response)
            answer.number, answer.response = 0, response
            return await self._tell(answer, response)
        except BaseException:
            await self._leave(response)
            raise
        finally:
            answer.response = None

    async def _tell(self, answer: _Answer, response: Response) -> tuple[Response, int]:
        encode, lane = OPENAI.event_encoder(response), answer.lane
        # Before anything is waited for: a run that ends meanwhile may be dropped, but not from who follows it already.
        async with aclosing(self._responses.follow(response)) as batches:
            failure = await self._responses.failed_at_once(response, seconds=self._terms.hold_seconds)
            if failure is not None:
                raise _Failed(failure)
            async for _, batch in batches:
                for event in batch:
                    # Clients take an error for the end of a response, and here the end of the response tells it.
                    if isinstance(event, events.Failed):
                        continue
                    written = encode(answer.number, event)
                    if not written:
                        continue
                    answer.number += 1
                    await self._say(frames.of_event(written, lane))
                    if isinstance(event, events.Finished):
                        return event.response, len(written)
        if self._close_code == _STOPPING:
            # One in the background that goes on elsewhere.
            raise errors.ShuttingDown("The server is stopping", retry_after=1, details=f"follow {response.id!r} anew")
        raise errors.Internal("The response was told no further")

    def _cancel(self, cancel: frames.Cancel, lane: str | None) -> None:
        """Raises `errors.NotFound` for what is not in flight here."""
        for answer in self._answers:
            response = answer.response
            named = response is not None and response.id == cancel.response_id
            current = cancel.response_id is None and answer.lane == lane and not answer.waits
            if named or current:
                answer.stopped = True
                if response is not None and answer.stopping is not response:
                    self._begin_stop(answer, response)
                return
        told = "in this lane" if cancel.response_id is None else f"with id {cancel.response_id[:100]!r}"
        raise errors.NotFound(
            f"No response {told} is in flight on this connection", param="response_id", code="response_not_found"
        )

    def _begin_stop(self, answer: _Answer, response: Response) -> None:
        answer.stopping = response
        self._work.create_task(self._stop(answer, response))

    async def _stop(self, answer: _Answer, response: Response) -> None:
        try:
            if response.request.background and answer.caller is not None:
                await self._responses.cancel(response.id, answer.caller)
            else:
                await self._responses.stop(response)
        except Exception as error:  # noqa: BLE001 the edge
            answer.stopping = None
            await self._refuse(error, answer.lane)

    async def _leave(self, response: Response) -> None:
        """Nobody is told any more: what nobody else listens to is stopped, unless it was meant to go on alone."""
        if not response.request.background and not self._responses.listeners(response):
            await self._responses.stop(response)

    async def _steer(self, steer: frames.Steer) -> None:
        found = [one for one in self._answers if one.response is not None and one.response.id == steer.response_id]
        if not found:
            why = "no response of this id is in flight on this connection"
            await self._say(frames.steer_failed(0, None, steer, None, code="response_not_found", message=why))
            return
        answer = found[0]
        code, why = self._unsteerable(answer, steer)
        said: tuple[items.Item, ...] = ()
        if code is None:
            try:
                said = frames.decode_steered(steer, self._ids.new)
            except errors.FreddyError as error:
                code, why = "invalid_input", error.message
        if code is not None:
            told = frames.steer_failed(answer.count(), None, steer, answer.lane, code=code, message=why)
            await self._say(told)
            return
        one = _Steered(self._ids.new(ids.STEER), steer, said)
        answer.steered.append(one)
        await self._say(frames.steer_accepted(answer.count(), one.id, steer, answer.lane))

    def _unsteerable(self, answer: _Answer, steer: frames.Steer) -> tuple[frames.SteerCode | None, str]:
        if answer.response is not None and answer.response.thread_id is not None:
            return "steering_not_supported", "a response in a conversation cannot be steered"
        pending = [*(one for each in self._answers for one in each.steered), *chain(*self._left.values())]
        length = sum(len(bytes(one.steer.input)) for one in pending) + len(bytes(steer.input))
        if len(pending) >= self._terms.steers or (pending and length > self._terms.bytes):
            return "too_many_pending_steers", f"{len(pending)} steers wait on this connection already"
        return None, ""

    async def _give_back(self, steered: tuple[_Steered, ...], answer: _Answer, why: str) -> None:
        code: frames.SteerCode = "successor_creation_failed"
        for one in steered:
            told = frames.steer_failed(answer.count(), one.id, one.steer, answer.lane, code=code, message=why)
            await self._say(told)

    async def _refuse(self, error: Exception, lane: str | None) -> None:
        told = error.failure if isinstance(error, _Failed) else failure_of(error)
        with suppress(ClientGone):
            await self._say(frames.error(told, lane, headers(told)))

    async def _say(self, frame: str) -> None:
        """Waits while the client reads too slowly. Raises `ClientGone`."""
        if not self._open:
            raise ClientGone
        try:
            await self._send({"type": "websocket.send", "text": frame})
        except OSError as error:
            raise ClientGone from error

    async def _end(self, code: int) -> None:
        """No response begins any more; the connection is closed when those in flight have ended."""
        self._close_code = code
        if not self._answers:
            await self._close(code)

    async def _close(self, code: int) -> None:
        if self._open:
            self._open = False
            with suppress(OSError):
                await self._send({"type": "websocket.close", "code": code})


class _Failed(Exception):
    """A response that failed before the model said a word: `failure` is told as if it had never begun."""

    def __init__(self, failure: errors.Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


def _joined(left: Sequence[_Steered], given: Sequence[items.Item]) -> tuple[items.Item, ...]:
    """What was said while a response waited for its caller, and what the caller says now.

    Results come first: models read them right behind the calls.
    """
    kinds = (items.FunctionOutput, items.ApprovalAnswer)
    place = next((place for place, item in enumerate(given) if not isinstance(item, kinds)), len(given))
    return (*given[:place], *(item for one in left for item in one.said), *given[place:])


def _text(message: Message) -> str:
    text: str | None = message.get("text")
    if text is None:
        raise errors.UnsupportedMediaType("A binary frame was sent", details="send JSON in text frames")
    return text


def _too_old(terms: Terms) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"This connection has lasted {terms.seconds / 60:g} minutes, and no response begins on it any more",
        code="websocket_connection_limit_reached",
        details="open a new one",
    )


def _too_many_lanes(terms: Terms) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"This connection has {terms.lanes} lanes already",
        param="stream_id",
        code="websocket_stream_limit_reached",
        details="use one of them again, or open another connection",
    )
