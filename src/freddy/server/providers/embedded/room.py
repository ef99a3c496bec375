"""Who may use the engine now: at most so many requests, and never more tokens than it can keep.

The engine keeps all requests in one memory; once that is full it fails every one of them, not only the last.
So nobody is let in for whom there is no room: https://github.com/ggml-org/llama.cpp/issues/23652
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from freddy.server.core import errors

RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    tokens: int
    admitted: asyncio.Future[None]


class Room:
    """First come, first served: a large request is not overtaken by small ones for ever."""

    def __init__(self, *, slots: int, tokens: int, queue: int) -> None:
        self._slots = slots
        self._tokens = tokens
        self._most = slots + queue
        self._inside = 0
        self._waiting: deque[_Waiter] = deque()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Counts who computes or waits. Raises `errors.RateLimited` when these are too many already."""
        if self._inside >= self._most:
            raise errors.RateLimited(
                "The embedded model is busy",
                details=f"{self._most} requests are being answered or wait already",
                retry_after=RETRY_SECONDS,
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @contextlib.asynccontextmanager
    async def taken(self, tokens: int) -> AsyncIterator[None]:
        """A slot and this many tokens, as soon as they are free. `tokens` is at most all there are."""
        waiter = _Waiter(tokens, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._admit()
        try:
            await waiter.admitted
            yield
        finally:
            if waiter.admitted.cancelled() or not waiter.admitted.done():
                self._waiting.remove(waiter)
            else:
                self._slots += 1
                self._tokens += tokens
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._slots and self._waiting[0].tokens <= self._tokens:
            waiter = self._waiting.popleft()
            self._slots -= 1
            self._tokens -= waiter.tokens
            waiter.admitted.set_result(None)
