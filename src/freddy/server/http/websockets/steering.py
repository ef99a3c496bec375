"""What is said to responses in flight, and waits for the response after them."""

from collections.abc import Iterable, Sequence
from itertools import chain

from msgspec import Struct

from freddy.server.core import items
from freddy.server.dialects.openai import frames


class Steered(Struct, frozen=True):
    """Messages that were accepted for a response, and go to the one after it."""

    id: str
    steer: frames.Steer
    said: tuple[items.Item, ...]


class Steers:
    """Those of one connection: up to `most`, and of `most_bytes` together."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._left: dict[str, tuple[Steered, ...]] = {}
        """Those of responses that wait for their caller, by response."""

    def leave(self, response_id: str, steered: tuple[Steered, ...]) -> None:
        """They go along with the request that goes on from this response."""
        self._left[response_id] = steered

    def take(self, response_id: str | None) -> tuple[Steered, ...]:
        """What was left there, which is not there any more."""
        return self._left.pop(response_id or "", ())

    def refusal(self, steer: frames.Steer, in_flight: Iterable[Steered]) -> str | None:
        """Why there is no room for another. `in_flight` are those of responses that have not ended."""
        waiting = [*in_flight, *chain.from_iterable(self._left.values())]
        length = sum(len(bytes(one.steer.input)) for one in waiting) + len(bytes(steer.input))
        if len(waiting) < self._most and (not waiting or length <= self._most_bytes):
            return None
        return f"{len(waiting)} steers wait on this connection already"


def joined(left: Sequence[Steered], given: Sequence[items.Item]) -> tuple[items.Item, ...]:
    """What was said while a response waited for its caller, and what the caller says now.

    Results come first: models read them right behind the calls.
    """
    kinds = (items.FunctionOutput, items.ApprovalAnswer)
    place = next((place for place, item in enumerate(given) if not isinstance(item, kinds)), len(given))
    return (*given[:place], *(item for one in left for item in one.said), *given[place:])
