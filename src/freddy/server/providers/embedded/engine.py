"""The embedded engine as its owner sees it: one address that answers, whatever happens behind it."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from freddy.server.providers.embedded.child import Address, Limits
from freddy.server.providers.embedded.faults import EngineUnavailable
from freddy.server.providers.embedded.keeper import Choice, Keeper, Means, Patience, State

LONGEST_SOCKET = 90
ABSENT = EngineUnavailable("no embedded model is set up", "run: freddy models pull smollm2-135m")


class Engine:
    """`async with Engine(choice)`: started in the background, kept alive, gone at the end."""

    def __init__(
        self,
        choice: Choice | None,
        *,
        limits: Limits | None = None,
        patience: Patience | None = None,
        environment: Mapping[str, str] | None = None,
        grace: float = 60.0,
        directory: Path | None = None,
        tcp: bool = sys.platform == "win32",
    ) -> None:
        """`grace`: how long the requests of a replaced model may still take. `environment`: the
        processes' environment; `None` hands on this process's. `directory`: where the folder of
        sockets is made; `tcp`: no sockets but loopback."""
        self._choice = choice
        self._means = Means(None, limits or Limits(), patience or Patience(), environment)
        self._grace = grace
        self._directory = directory
        self._tcp = tcp
        self._current: Keeper | None = None
        self._tasks = asyncio.TaskGroup()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._serial = 0
        self._switching = asyncio.Lock()

    async def __aenter__(self) -> Self:
        if not self._tcp:
            directory = await asyncio.to_thread(_folder, self._directory)
            self._means = replace(self._means, directory=directory)
        await self._tasks.__aenter__()
        if self._choice:
            self._current = self._keep(self._choice)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running.values():
            task.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            self._current = None
            if self._means.directory:
                await asyncio.to_thread(shutil.rmtree, self._means.directory, ignore_errors=True)

    @property
    def state(self) -> State:
        return self._current.state if self._current else State("absent")

    @property
    def choice(self) -> Choice | None:
        """The model that answers, or is about to."""
        return self._current.choice if self._current else None

    @property
    def context(self) -> int:
        """Tokens that one request may take where the model itself allows it."""
        return self._means.limits.context

    @property
    def address(self) -> Address | None:
        """Where the engine listens now; requests should take a `lease` instead."""
        return self._current.address if self._current else None

    @property
    def pid(self) -> int | None:
        return self._current.pid if self._current else None

    async def wait_ready(self, timeout: float) -> Address:  # noqa: ASYNC109 (one bound, named)
        async with self.lease(timeout) as address:
            return address

    @contextlib.asynccontextmanager
    async def lease(self, timeout: float) -> AsyncIterator[Address]:  # noqa: ASYNC109
        """The engine for one request: waits until it is ready, or says why it is not."""
        keeper = self._current
        if keeper is None:
            raise ABSENT
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(timeout):
                    address = await stack.enter_async_context(keeper.lease())
            except TimeoutError:
                reason = keeper.state.reason or f"the model {keeper.choice.name!r} is starting"
                cure = keeper.state.cure or "try again in a moment"
                raise EngineUnavailable(reason, cure) from None
            yield address

    async def left(self, address: Address, *, within: float) -> bool:
        """Whether the engine is no longer at this address: a dead one is noticed a moment later."""
        keeper = self._current
        if keeper is None:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await keeper.wait(lambda: keeper.address != address)
        return keeper.address != address

    async def switch(self, choice: Choice) -> State:
        """Another model, without a gap: the old one answers until the new one is ready, and then
        ends what it has begun. Raises `EngineUnavailable` when the new one fails; the old stays."""
        async with self._switching:
            keeper, old = self._keep(choice), self._current
            if old is None:
                self._current = keeper
            try:
                await keeper.wait_ready()
            except BaseException:
                if old:
                    self._running.pop(keeper.serial).cancel()
                raise
            self._current = keeper
            if old:
                self._tasks.create_task(self._retire(old))
            return keeper.state

    def _keep(self, choice: Choice) -> Keeper:
        self._serial += 1
        keeper = Keeper(choice, self._means, self._serial)
        self._running[keeper.serial] = self._tasks.create_task(keeper.run())
        return keeper

    async def _retire(self, keeper: Keeper) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                await keeper.wait(lambda: keeper.leases == 0)
        self._running.pop(keeper.serial).cancel()


def _folder(parent: Path | None) -> Path:
    """A folder of our own with a path short enough for a socket's name (104 bytes on macOS)."""
    made = Path(tempfile.mkdtemp(prefix="freddy-", dir=parent))
    if len(bytes(made)) <= LONGEST_SOCKET:
        return made
    made.rmdir()
    return Path(tempfile.mkdtemp(prefix="freddy-", dir="/tmp"))
