"""Notices clients that leave, and tells whoever works for them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from starlette.types import Receive, Send

from freddy.server.http.body import ClientGone


class Hangups:
    """Owns the tasks that listen for clients to leave; they end with it."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def watch(self, receive: Receive) -> "_Watch":
        """What stands in the context is broken off with `ClientGone` when the client leaves. The body must be read."""
        return _Watch(self, receive)

    @asynccontextmanager
    async def pinging(self, send: Send, ping: bytes, *, seconds: float) -> AsyncIterator[None]:
        """Sends `ping` every so often, so that proxies do not take a silent stream for a dead one."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(seconds)
                await send({"type": "http.response.body", "body": ping, "more_body": True})

        heart = self.start(beat())
        try:
            yield
        finally:
            heart.cancel()

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Watch:
    def __init__(self, hangups: Hangups, receive: Receive) -> None:
        self._hangups = hangups
        self._receive = receive
        self._gone = False

    async def __aenter__(self) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        self._worker = worker
        self._listener = self._hangups.start(self._listen())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError):
            self._worker.uncancel()
            raise ClientGone from None

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._worker.cancel()
