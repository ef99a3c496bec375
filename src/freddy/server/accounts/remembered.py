"""Remembers for seconds what was looked up, so that most requests cost no look-up."""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from freddy.server.ports.world import Clock

T = TypeVar("T")
K = TypeVar("K", str, bytes)

_MOST: Final = 10_000


class Remembered(Generic[K, T]):
    """What another process changes is seen after `seconds`, what this one changes at once: it says `forget`.

    What is not there is not remembered: there is no end of it.
    """

    def __init__(self, clock: Clock, *, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._known: dict[K, tuple[float, T]] = {}
        self._changes = 0

    async def get(self, key: K, look: Callable[[K], Awaitable[T | None]]) -> T | None:
        """Raises what `look` raises."""
        known = self._known.get(key)
        if known is not None and known[0] > self._clock.monotonic():
            return known[1]
        changes = self._changes
        found = await look(key)
        if found is not None and changes == self._changes:  # else what was read may be of before the change
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = (self._clock.monotonic() + self._seconds, found)
        return found

    def forget(self, key: K | None = None) -> None:
        """The one of this key has changed; or without a key something has, and all is forgotten."""
        self._changes += 1
        if key is None:
            self._known.clear()
        else:
            self._known.pop(key, None)
