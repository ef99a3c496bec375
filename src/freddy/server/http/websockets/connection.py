"""One open connection: reads what its client sends, keeps its lanes in order, and closes it when its time has come."""

import asyncio
from contextlib import suppress
from typing import Final, assert_never

from starlette.types import Message, Receive, Send

from freddy.server.core import errors
from freddy.server.dialects.openai import frames
from freddy.server.http.body import ClientGone
from freddy.server.http.websockets.answering import Answer
from freddy.server.http.websockets.opening import SHUTDOWN
from freddy.server.http.websockets.session import Authenticate, Session, Terms
from freddy.server.http.websockets.telling import Telling
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime.responses import Responses

_STOPPING: Final = 1012
"""What the connections of a server that stops are closed with: https://www.iana.org/assignments/websocket"""


class Connection:
    """Responses of a lane are made one after the other, those of different lanes at once."""

    def __init__(
        self, responses: Responses, send: Send, *, authenticate: Authenticate, clock: Clock, ids: IdSource, terms: Terms
    ) -> None:
        """`authenticate` says who calls now: a key may be taken back while the connection is open."""
        self._terms = terms
        self._telling = Telling(send)
        self._session = Session(responses, self._telling, authenticate=authenticate, clock=clock, ids=ids, terms=terms)
        self._answers: list[Answer] = []
        """Those that wait, and those in flight."""
        self._lanes: dict[str | None, asyncio.Lock] = {}
        """Those that have answers. Another has nothing that it could lose: what is held between two requests is found
        by the id of a response, in whichever lane that was.
        """
        self._room = asyncio.Semaphore(terms.at_once)
        self._close_code: int | None = None
        """What the connection is closed with as soon as nothing is in flight."""

    async def serve(self, receive: Receive) -> None:
        """Returns when the connection is closed, and nothing runs any more for who is gone."""
        async with self._session.work:
            try:
                await self._listen(receive)
            finally:
                self._telling.open = False
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
                    self._session.stopping = True
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
            await self._telling.refuse(error, lane)
            if isinstance(error, errors.UnsupportedMediaType):
                await self._telling.close(1003)

    async def _queue(self, create: frames.Create, lane: str | None) -> None:
        """Raises what keeps it from being asked."""
        if self._session.stopping:
            raise errors.ShuttingDown("The server is stopping", retry_after=1)
        if (refusal := self._session.too_old()) is not None:
            await self._telling.refuse(refusal, lane)
            await self._end(1001)
            return
        self._check_lane(lane)
        waiting = [answer for answer in self._answers if answer.waits]
        length = sum(answer.size for answer in waiting) + len(create.body)
        if len(waiting) >= self._terms.waiting or (waiting and length > self._terms.bytes):
            raise errors.RateLimited(
                "Too many responses wait on this connection",
                code="websocket_queue_full",
                details="wait until one of them has ended",
            )
        answer = Answer(self._session, create, lane)
        self._answers.append(answer)
        turn = self._lanes.setdefault(lane, asyncio.Lock())
        answer.task = self._session.work.create_task(self._answer(answer, turn))

    def _check_lane(self, lane: str | None) -> None:
        """Raises `errors.InvalidRequest` where there is no room for another lane."""
        busy = {answer.lane for answer in self._answers if not answer.over} - {None}
        if lane is not None and lane not in busy and len(busy) >= self._terms.lanes:
            raise errors.InvalidRequest(
                f"All {self._terms.lanes} lanes of this connection are busy",
                param="stream_id",
                code="websocket_stream_limit_reached",
                details="wait until one of them has ended, ask in one of them, or open another connection",
            )

    async def _answer(self, answer: Answer, turn: asyncio.Lock) -> None:
        with suppress(ClientGone):
            try:
                async with turn, self._room:
                    await answer.perform()
            finally:
                self._answers.remove(answer)
                if all(other.lane != answer.lane for other in self._answers):
                    del self._lanes[answer.lane]
                if self._close_code is not None and not self._answers:
                    await self._telling.close(self._close_code)

    def _cancel(self, cancel: frames.Cancel, lane: str | None) -> None:
        """Raises `errors.NotFound` for what is not in flight here."""
        for answer in self._answers:
            if answer.is_meant(cancel, lane):
                answer.stop()
                return
        told = "in this lane" if cancel.response_id is None else f"with id {cancel.response_id[:100]!r}"
        raise errors.NotFound(
            f"No response {told} is in flight on this connection", param="response_id", code="response_not_found"
        )

    async def _steer(self, steer: frames.Steer) -> None:
        found = [one for one in self._answers if one.response is not None and one.response.id == steer.response_id]
        if not found:
            why = "no response of this id is in flight on this connection"
            told = frames.steer_failed(0, None, steer, None, code="response_not_found", message=why)
            await self._telling.say(told)
            return
        await found[0].steer(steer, (one for answer in self._answers for one in answer.steered))

    async def _end(self, code: int) -> None:
        """No response begins any more; the connection is closed when those in flight have ended."""
        self._close_code = code
        if not self._answers:
            await self._telling.close(code)


def _text(message: Message) -> str:
    text: str | None = message.get("text")
    if text is None:
        raise errors.UnsupportedMediaType("A binary frame was sent", details="send JSON in text frames")
    return text
