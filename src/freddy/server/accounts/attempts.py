"""Slows down who guesses passwords, by account and by address, in the memory of this process."""

import math
from collections import OrderedDict
from typing import Final

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.ports.world import Clock

_REMEMBERED = 20_000


class Allowance(Struct, frozen=True):
    """So many wrong attempts at once, and one more after so many seconds each."""

    attempts: int
    seconds: float


BOTH: Final = Allowance(5, 30.0)
"""Of one address on one account."""
ACCOUNT: Final = Allowance(50, 10.0)
"""Of all addresses on one account: more, so that a stranger can hardly lock its owner out."""
ADDRESS: Final = Allowance(100, 1.0)
"""Of one address, behind which many people may be."""


class Attempts:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wrong: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def begin(self, account: str, address: str) -> "Attempt":
        """Counts the attempt as a wrong one until it is known to be right: attempts at the same time count, too.

        Raises `errors.RateLimited`.
        """
        buckets = ((account, address), BOTH), ((account, ""), ACCOUNT), (("", address), ADDRESS)
        wait = max(self._wait(key, allowance) for key, allowance in buckets)
        if wait > 0:
            raise errors.RateLimited(
                "Too many wrong attempts",
                code="too_many_attempts",
                details=f"try again in {math.ceil(wait)} seconds",
                retry_after=math.ceil(wait),
            )
        for key, allowance in buckets:
            self._add(key, allowance, 1.0)
        return Attempt(self, buckets)

    def take_back(self, buckets: tuple[tuple[tuple[str, str], Allowance], ...]) -> None:
        for key, allowance in buckets:
            self._add(key, allowance, -1.0)

    def _level(self, key: tuple[str, str], allowance: Allowance) -> float:
        level, since = self._wrong.get(key, (0.0, 0.0))
        return max(0.0, level - (self._clock.monotonic() - since) / allowance.seconds)

    def _wait(self, key: tuple[str, str], allowance: Allowance) -> float:
        return (self._level(key, allowance) + 1 - allowance.attempts) * allowance.seconds

    def _add(self, key: tuple[str, str], allowance: Allowance, count: float) -> None:
        self._wrong[key] = (max(0.0, self._level(key, allowance) + count), self._clock.monotonic())
        self._wrong.move_to_end(key)
        if len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)


class Attempt:
    """One that goes on."""

    def __init__(self, attempts: Attempts, buckets: tuple[tuple[tuple[str, str], Allowance], ...]) -> None:
        self._attempts = attempts
        self._buckets = buckets

    def was_right(self) -> None:
        self._attempts.take_back(self._buckets)
