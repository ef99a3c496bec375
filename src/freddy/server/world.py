"""The real clock and the real source of ids."""

import os
import random
import time

from freddy.server.core import ids


class SystemClock:
    def now(self) -> float:
        return time.time()  # noqa: TID251 -- this is the clock that others take.

    def monotonic(self) -> float:
        return time.monotonic()


class SystemChance:
    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 it only spreads waits

    def __call__(self) -> float:
        return self._random.random()


class RandomIds:
    """Draws its randomness in blocks: an id costs no system call."""

    _BLOCK = 4096

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def new(self, prefix: str) -> str:
        if self._used + 8 > len(self._pool):
            self._pool, self._used = os.urandom(self._BLOCK), 0
        self._used += 8
        randomness = self._pool[self._used - 8 : self._used]
        return ids.write(prefix, time.time_ns() // 1_000_000, randomness)
