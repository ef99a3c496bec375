"""The real clock, the real source of ids, and how many files the system lets a process open."""

import os
import random
import time
from typing import Final

from freddy.server.core import ids

_UNBOUNDED: Final = 2**16
"""Where the system names no number of open files, or a larger one."""


def files_open_at_most() -> int:
    """How many this process may open by now: an operator may change it while it runs."""
    try:
        import resource  # noqa: PLC0415 -- Windows has none.
    except ImportError:
        return _UNBOUNDED
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNBOUNDED if soft == resource.RLIM_INFINITY else min(soft, _UNBOUNDED)


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
