"""Owns what a dialect is: how one kind of caller spells requests, answers, events and errors. Pure."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from freddy.server.core.errors import Failure
from freddy.server.core.events import Event
from freddy.server.core.ids import NewId
from freddy.server.core.request import Request
from freddy.server.core.response import Response

EncodeEvent: TypeAlias = Callable[[int, Event], bytes]
"""The whole server-sent event for a numbered event, or `b""` when the dialect does not tell it."""


class Dialect(Protocol):
    """A dialect as the HTTP room sees it. Bodies are JSON in UTF-8."""

    name: str
    end_of_stream: bytes
    """What follows the last event of a stream."""

    def decode_request(self, body: bytes, new_id: NewId) -> Request:
        """Raises `errors.InvalidJson`, `InvalidInput`, `InvalidValue` or `UnknownParameter`, each naming its param."""
        ...

    def decode_include(self, names: Iterable[str]) -> tuple[str, ...]:
        """What is to be written besides, in the words of `Request.include`. Raises `errors.InvalidValue`."""
        ...

    def encode_response(self, response: Response) -> bytes: ...

    def event_encoder(self, response: Response) -> EncodeEvent:
        """An encoder for one stream of this response's events (the response in whatever state it is now)."""
        ...

    def encode_error(self, failure: Failure) -> tuple[int, bytes]:
        """The HTTP status and the body."""
        ...
