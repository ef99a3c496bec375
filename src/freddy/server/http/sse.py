"""Tells a run's events to one listener, as server-sent events. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from collections.abc import Iterator, Sequence

from freddy.server.core.events import Event
from freddy.server.dialects.base import EncodeEvent

PING = b": ping\n\n"
LARGEST_SEND = 16 * 1024
"""Bytes sent at once: readers that cut each piece they get at its newlines must find whole events in it."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


def frames(first: int, events: Sequence[Event], encode: EncodeEvent) -> Iterator[bytes]:
    """The events that begin with number `first`, as pieces to send: each holds whole events."""
    piece: list[bytes] = []
    length = 0
    for number, event in enumerate(events, first):
        frame = encode(number, event)
        if length + len(frame) > LARGEST_SEND and piece:
            yield b"".join(piece)
            piece, length = [], 0
        piece.append(frame)
        length += len(frame)
    if length:
        yield b"".join(piece)
