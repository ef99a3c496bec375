"""Tells what happens to whoever listens in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from freddy.server.ports.signals import Hearing
from freddy.server.stores.signals.topics import Topics, fitting


class MemorySignals:
    """The port `Signals`. It belongs to one event loop. There is nothing in it to open or to close."""

    def __init__(self) -> None:
        self._topics = Topics()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def tell(self, topic: str, payload: bytes = b"") -> None:
        self._topics.tell(topic, fitting(payload))

    @asynccontextmanager
    async def hear(self, topic: str) -> AsyncIterator[Hearing]:
        with self._topics.hear(topic) as hearing:
            yield hearing
