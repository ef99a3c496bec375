"""Which ways to a model failed of late, and are left alone for a while."""

from collections.abc import Hashable

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.ports.world import Clock
from freddy.server.runtime import retrying

_LONGEST = 600.0
"""Seconds that a provider can ask to be left alone."""
_MOST = 10_000
"""Ways that are remembered: those with an organization's own key are many."""


class _Ill(Struct):
    failures: int = 0
    until: float = 0.0


class Health:
    """A way that has rested is tried again, and rests again at its first failure until it has answered once."""

    def __init__(self, clock: Clock, policy: retrying.Policy) -> None:
        self._clock = clock
        self._policy = policy
        self._ill: dict[Hashable, _Ill] = {}

    def rests(self, way: Hashable) -> bool:
        ill = self._ill.get(way)
        return ill is not None and ill.until > self._clock.monotonic()

    def answered(self, way: Hashable) -> None:
        if self._ill:
            self._ill.pop(way, None)

    def failed(self, way: Hashable, error: errors.FreddyError) -> None:
        if not retrying.blames(error):
            return
        if way not in self._ill and len(self._ill) >= _MOST:
            self._ill.pop(next(iter(self._ill)))
        ill = self._ill.setdefault(way, _Ill())
        ill.failures += 1
        now = self._clock.monotonic()
        if error.retry_after is not None:
            ill.until = now + min(error.retry_after, _LONGEST)
        elif ill.failures >= self._policy.failures:
            ill.until = now + self._policy.cooldown
