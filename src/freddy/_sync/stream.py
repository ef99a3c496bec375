# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""A response as it happens: an iterator of events which never hides that its end is missing."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Callable
from types import TracebackType
from typing import Self

from freddy import _errors as errors
from freddy._sync.transport import Chunks
from freddy._sse import Decoder, ServerSentEvent
from freddy.types import events
from freddy.types.responses import Response


class Stream:
    """The events of one response.

    Iterate over it, or over `text_deltas()`; `get_final_response()` reads on to the end. It closes
    itself at its last event; when you may leave earlier, use it in a `with` block.
    """

    def __init__(self, connect: Callable[[], Chunks]) -> None:
        self._connect = connect
        self._chunks: Chunks | None = None
        self._decoder = Decoder()
        self._arrived: deque[ServerSentEvent] = deque()
        self._closed = False
        self._failure: errors.FreddyError | None = None
        self._final: Response | None = None
        self.response_id: str | None = None
        """The id of the response, as soon as an event has told it."""
        self.sequence_number: int | None = None
        """The number of the last event; `responses.follow` goes on after it."""

    @property
    def request_id(self) -> str | None:
        """The `x-request-id` of the answer, once the stream is open."""
        return self._chunks.request_id if self._chunks else None

    def open(self) -> None:
        """Sends the request, unless it was sent before. Entering and iterating do it, too."""
        if self._chunks is None and not self._closed:
            self._chunks = self._connect()

    def close(self) -> None:
        """Ends the connection. The server may go on with the response, or cancel it."""
        self._closed = True
        self._arrived.clear()
        if self._chunks is not None:
            self._chunks.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[events.Event]:
        return self

    def __next__(self) -> events.Event:
        while True:
            if self._failure is not None:
                raise self._failure
            if self._arrived:
                return self._tell(self._arrived.popleft())
            if self._closed:
                raise StopIteration
            self._read()

    def text_deltas(self) -> Iterator[str]:
        """Only the answer's text, piece by piece."""
        for event in self:
            if isinstance(event, events.TextDelta):
                yield event.delta

    def get_final_response(self) -> Response:
        """The whole response; reads on to the end if it is not over. Its `status` says how it ended."""
        for _ in self:
            pass
        if self._final is None:
            raise self._interrupted("the stream was closed before the response was over")
        return self._final

    def _read(self) -> None:
        self.open()
        assert self._chunks is not None
        try:
            chunk = self._chunks.read()
        except errors.APIConnectionError as error:
            failure = self._interrupted(f"the stream broke off before its end: {error}")
            raise self._failed(failure) from error
        if chunk is None:
            raise self._failed(self._interrupted("the stream ended before its last event"))
        self._arrived.extend(self._decoder.feed(chunk))

    def _tell(self, arrived: ServerSentEvent) -> events.Event:
        if arrived.data == "[DONE]":
            raise self._failed(self._interrupted("the stream ended before its last event"))
        try:
            data = json.loads(arrived.data)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            failure = errors.InvalidResponseError(
                f"the data of event {arrived.event!r} is not a JSON object",
                request_id=self.request_id,
                body=arrived.data,
            )
            raise self._failed(failure)
        data.setdefault("type", arrived.event)
        if data["type"] == "error":
            raise self._failed(errors.from_event(data, request_id=self.request_id))
        event: events.Event = events.read_event(data)
        if event.sequence_number is not None:
            self.sequence_number = event.sequence_number
        if isinstance(event, events.ResponseEvent):
            self._note(event)
        return event

    def _note(self, event: events.ResponseEvent) -> None:
        self.response_id = (event.response.id if event.response else event.id) or self.response_id
        if event.type not in events.TERMINAL:
            return
        if event.response is None:
            failure = errors.InvalidResponseError(
                f"the event {event.type!r} does not hold the response",
                request_id=self.request_id,
                body=event.to_dict(),
            )
            raise self._failed(failure)
        self._final = Response(event.response.raw, request_id=self.request_id)
        self.close()

    def _interrupted(self, message: str) -> errors.StreamInterruptedError:
        return errors.StreamInterruptedError(
            message, response_id=self.response_id, sequence_number=self.sequence_number
        )

    def _failed(self, failure: errors.FreddyError) -> errors.FreddyError:
        """Closes the stream; from now on, reading raises this failure."""
        self._failure = failure
        self.close()
        return failure
