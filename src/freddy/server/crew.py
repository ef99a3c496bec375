"""Keeps several workers at work on one socket: starts them, replaces those that die, renews them, and ends them.

It is a process of its own and stays small: it imports nothing of what serves a request.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from freddy.server import front, logs
from freddy.server.config import Settings, dev_key

_log = logs.get(__name__)

_STEADY = 60.0
"""A worker that lived for so many seconds died of something else than its start."""
_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before a worker is started again, by how many in its place died young, one after the other."""
_ATTEMPTS = 6
"""So often in vain, with no other worker at work, and the server gives up: then whoever keeps it hears of it."""


def serve(settings: Settings, command: Sequence[str]) -> int:
    """The exit code. `command` starts one worker; what it is handed comes behind it."""
    if problem := _problem(settings):
        return front.refuse(problem)
    if settings.model.name != "none":
        _log.warning("embedded_model_in_every_worker", workers=settings.server.workers, model=settings.model.name)
    if settings.limits.redis_url is None:
        _log.warning("limits_counted_in_every_worker", workers=settings.server.workers, cure="FREDDY_REDIS_URL")
    try:
        shared, *own = front.listeners(settings, front.metrics_ports(settings))
    except OSError as error:
        return front.refuse(str(error))
    with contextlib.ExitStack() as stack:
        for each in (shared, *own):
            stack.enter_context(contextlib.closing(each))
        return asyncio.run(_Crew(settings, command, shared, own).work())


def _problem(settings: Settings) -> str | None:
    workers = settings.server.workers
    if sys.platform == "win32":
        return "server.workers must be 1 on Windows, where processes cannot share a socket in this way"
    if isinstance(settings.store.database, Path):
        return (
            f"server.workers is {workers}, but an SQLite database belongs to one process: "
            "set FREDDY_DATABASE to the address of a PostgreSQL database, or FREDDY_WORKERS=1"
        )
    if settings.model.name == "auto":
        return (
            f"server.workers is {workers}, and each worker would load the embedded model: set FREDDY_MODEL=none, "
            "or name the model that each is to have; to share one, serve it by another process and make it an upstream"
        )
    return None


class _Worker(Struct, frozen=True, eq=False):
    """`line` ends when either side does."""

    process: asyncio.subprocess.Process
    line: socket.socket
    began: float

    def stop(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class _Crew:
    def __init__(
        self, settings: Settings, command: Sequence[str], shared: socket.socket, own: Sequence[socket.socket]
    ) -> None:
        self._settings = settings
        self._command = command
        self._shared = shared
        self._own = own
        self._at_work: dict[int, _Worker] = {}
        """By place: those that are ready, and are not to leave."""
        self._all: set[_Worker] = set()
        """Those that are starting, at work or leaving."""
        self._places = [asyncio.Lock() for _ in range(settings.server.workers)]
        """Held while somebody is sought for the place."""
        self._stops = 0
        self._stopping = asyncio.Event()
        self._renewing = False
        self._failed = False
        self._on_terminal = _is_terminal()

    async def work(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        async with asyncio.TaskGroup() as self._tasks:
            if await self._begin():
                key = dev_key(self._settings) if self._settings.development else None
                front.greet(self._settings, self._shared, key)
                for place in range(len(self._places)):
                    self._tasks.create_task(self._keep(place))
            else:
                self._fail("a worker did not start")
        return int(self._failed)

    async def _begin(self) -> bool:
        # The first makes what all of them need: the tables, the keys.
        if not await self._start(0):
            return False
        return all(await asyncio.gather(*map(self._start, range(1, len(self._places)))))

    def stop(self) -> None:
        """As for one process: the first time what runs may end, the second time it is cut, the third time killed."""
        self._stops += 1
        self._stopping.set()
        for worker in self._all:
            worker.stop() if self._stops < 3 else worker.kill()

    async def _keep(self, place: int) -> None:
        """Sees to it that somebody is at work in this place, until all are to end."""
        young = 0
        while not self._stopping.is_set():
            worker = self._at_work[place]
            code = await worker.process.wait()
            async with self._places[place]:
                if self._stopping.is_set() or self._at_work[place] is not worker:
                    continue
                del self._at_work[place]
                lived = asyncio.get_running_loop().time() - worker.began
                young = 0 if lived >= _STEADY else young + 1
                _log.error("worker_died", place=place, pid=worker.process.pid, code=code, seconds=round(lived, 1))
                while not await self._replaced(place, young):
                    if self._stopping.is_set():
                        return
                    young += 1
                    if young > _ATTEMPTS and not self._at_work:
                        self._fail("no worker starts any more")
                        return

    async def _replaced(self, place: int, young: int) -> bool:
        pause = _PAUSES[min(young, len(_PAUSES)) - 1] if young else 0.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()
        return await self._start(place)

    def _hang_up(self) -> None:
        """SIGHUP renews the workers. It also comes when the terminal is closed; then all of it ends."""
        if self._on_terminal and not _is_terminal():
            self.stop()
        elif not self._renewing and not self._stopping.is_set():
            self._tasks.create_task(self._renew())

    async def _renew(self) -> None:
        """One by one: the new one is ready before the old one leaves."""
        self._renewing = True
        for place, lock in enumerate(self._places):
            async with lock:
                old = self._at_work.get(place)
                if old is None or not await self._start(place):
                    break
                old.stop()
                await old.process.wait()
        else:
            _log.info("workers_renewed", workers=len(self._places))
        self._renewing = False

    async def _start(self, place: int) -> bool:
        """Whether a worker is ready in this place, beside one that was there or in its stead."""
        if self._stopping.is_set():
            return False
        ours, theirs = socket.socketpair()
        with contextlib.closing(theirs):
            files = [theirs, self._shared, *self._own[place : place + 1]]
            numbers = [each.fileno() for each in files]
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    ",".join(map(str, numbers)),
                    pass_fds=numbers,
                    # Ctrl-C at a terminal goes to all processes of the group: only this one is to hear it.
                    start_new_session=True,
                )
            except OSError as error:
                # As where the machine has no room for one process more: those at work go on.
                ours.close()
                _log.error("worker_not_started", place=place, reason=error.strerror)
                return False
        ours.setblocking(False)  # noqa: FBT003
        loop = asyncio.get_running_loop()
        worker = _Worker(process, ours, loop.time())
        self._all.add(worker)
        if self._stopping.is_set():
            worker.stop()
        ready = await loop.sock_recv(ours, 16)
        self._tasks.create_task(self._see_off(worker))
        if not ready:
            _log.error("worker_not_ready", place=place, pid=process.pid, code=await process.wait())
            return False
        self._at_work[place] = worker
        _log.info("worker_ready", place=place, pid=process.pid, seconds=round(loop.time() - worker.began, 2))
        return True

    async def _see_off(self, worker: _Worker) -> None:
        await worker.process.wait()
        self._all.discard(worker)
        worker.line.close()

    def _fail(self, why: str) -> None:
        if not self._stopping.is_set():
            self._failed = True
            _log.error("workers_failed", reason=why)
            self.stop()


def _is_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False
