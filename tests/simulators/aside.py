"""Runs simulators in a thread of their own, for tests whose server is another process."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Self

from simulators.server import Simulator

BOUND = 30.0


class Aside:
    """`ending` is called in the thread before the simulators end: it lets go what waits."""

    def __init__(self, *simulators: Simulator, ending: Callable[[], None] | None = None) -> None:
        self._simulators = simulators
        self._ending = ending or (lambda: None)
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)))
        self._thread.start()
        assert ready.wait(BOUND)
        return self

    def __exit__(self, *_: object) -> None:
        self.tell(self._ended.set)
        self._thread.join(BOUND)

    def tell(self, what: Callable[[], None]) -> None:
        """Has this called in the thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(what)

    async def _run(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            for simulator in self._simulators:
                await stack.enter_async_context(simulator)
            ready.set()
            await self._ended.wait()
            self._ending()
