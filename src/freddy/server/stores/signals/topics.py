"""Those of this process who listen, by what they listen to."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

LARGEST = 1024 * 1024
"""Bytes that a payload may have."""
_WORDS = 1_000
_BYTES = 8 * 1024 * 1024


def fitting(payload: bytes) -> bytes:
    """The payload, or an empty one in the place of a large one."""
    return payload if len(payload) <= LARGEST else b""


class QueuedHearing:
    """The port `Hearing`. One who is slow hears nothing of what is more than it holds, and that it is time to look."""

    def __init__(self) -> None:
        self._words: deque[bytes] = deque()
        self._bytes = 0
        self._missed = False
        self._come = asyncio.Event()

    async def next(self, seconds: float) -> bytes | None:
        if not self._come.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._come.wait()
            except TimeoutError:
                return None
        if self._missed:
            self.forgive()
            return None
        word = self._words.popleft()
        self._bytes -= len(word)
        if not self._words:
            self._come.clear()
        return word

    def put(self, payload: bytes) -> None:
        if len(self._words) >= _WORDS or self._bytes + len(payload) > _BYTES:
            self.miss()
            return
        self._words.append(payload)
        self._bytes += len(payload)
        self._come.set()

    def miss(self) -> None:
        """Words were lost. Those that wait say nothing that is not found by looking, which comes next."""
        self._words.clear()
        self._bytes = 0
        self._missed = True
        self._come.set()

    def forgive(self) -> None:
        """What was lost is of no interest."""
        self._missed = False
        if not self._words:
            self._come.clear()


class Topics:
    def __init__(self) -> None:
        self._heard: dict[str, set[QueuedHearing]] = {}

    def __contains__(self, topic: str) -> bool:
        return topic in self._heard

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._heard))

    @contextmanager
    def hear(self, topic: str) -> Iterator[QueuedHearing]:
        hearing = QueuedHearing()
        self._heard.setdefault(topic, set()).add(hearing)
        try:
            yield hearing
        finally:
            others = self._heard[topic]
            others.discard(hearing)
            if not others:
                del self._heard[topic]

    def tell(self, topic: str, payload: bytes) -> None:
        for hearing in self._heard.get(topic, ()):
            hearing.put(payload)

    def miss(self, topic: str) -> None:
        for hearing in self._heard.get(topic, ()):
            hearing.miss()
