"""Runs the house behind a socket until somebody stops it."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial

import uvicorn
from msgspec import Struct
from starlette.types import ASGIApp

from freddy.server import front, logs
from freddy.server.config import Settings, checks
from freddy.server.core import errors
from freddy.server.http.apart import metrics_apart, operations_alone
from freddy.server.http.websockets import listening
from freddy.server.runtime.host import Host
from freddy.server.wiring import open_house

_IDLE_SECONDS = 75
"""How long an unused connection is kept: longer than the pools of common clients keep theirs."""
_DELIVERY_SECONDS = 5
"""At shutdown, how long callers may take to read what is left when their runs have ended."""
_LEAVE_SECONDS = 1.0
"""For so long a worker that leaves answers on connections that are open, and closes each with its answer: the caller's
next request goes to another worker, and none is lost between an answer and the end of its connection.
"""
_AGAIN_SECONDS = 1.0
"""Where no connection can be taken, as when too many files are open, for so long none is tried."""

_GARBAGE_THRESHOLD = 20_000
"""New objects between two searches for garbage: Python's own number makes one for every few requests."""

READY = b"ready"


class Handed(Struct, frozen=True):
    """What a worker has of the process that keeps it: open files, by their numbers.

    `shared` is the socket on which all workers listen, `own` the one that leads to this worker alone, and `line` is
    told when it is ready; where `line` ends, so does the worker.
    """

    line: int
    shared: int
    own: int | None = None


def serve(settings: Settings) -> int:
    """The exit code. Everything that can be wrong at start is told in a sentence on stderr."""
    try:
        listeners = front.listeners(settings, front.metrics_ports(settings))
    except OSError as error:
        return front.refuse(str(error))
    with contextlib.ExitStack() as stack:
        for each in listeners:
            stack.enter_context(contextlib.closing(each))
        return performed(settings, partial(_serve, settings, listeners))


def serve_handed(settings: Settings, handed: Handed) -> int:
    """The same as one of several workers."""
    with contextlib.ExitStack() as stack:
        line, shared, *own = (
            stack.enter_context(contextlib.closing(socket.socket(fileno=number)))
            for number in (handed.line, handed.shared, handed.own)
            if number is not None
        )
        return performed(settings, partial(_serve_handed, settings, line=line, shared=shared, own=own))


def work(settings: Settings) -> int:
    """The exit code. Without callers: it performs what others accept, and tells how it is where a port is set."""
    ports = front.metrics_ports(settings)[:1]
    with contextlib.ExitStack() as stack:
        try:
            told = [stack.enter_context(contextlib.closing(front.listen(settings.server.host, one))) for one in ports]
        except OSError as error:
            return front.refuse(f"cannot listen on {settings.server.host}:{ports[0]}: {error.strerror or error}")
        return performed(settings, partial(_work, settings, told))


def performed(settings: Settings, work: Callable[[], Coroutine[None, None, int]]) -> int:
    """The exit code of the work, or 1 with a sentence on stderr for what kept it from being done."""
    logs.configure(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(work())
        except errors.FreddyError as error:
            return front.refuse(_told(error, settings))
        except OSError as error:
            return front.refuse(str(error))


def settle() -> None:
    """What the start has made stays: looking through it for garbage, even once, is time for next to nothing."""
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    gc.enable()
    # Whoever opens a generator closes it: the loop need not write each of them down, at every request a dozen.
    sys.set_asyncgen_hooks(firstiter=None)


async def _serve(settings: Settings, listeners: list[socket.socket]) -> int:
    async with open_house(settings) as house:
        server = _Server(_config(settings, house.app), house.host)
        server.stop_at_signals()
        settle()
        front.greet(settings, listeners[0], house.development_key)
        await server.serve(sockets=listeners)
    return 0


async def _serve_handed(
    settings: Settings, *, line: socket.socket, shared: socket.socket, own: list[socket.socket]
) -> int:
    async with open_house(settings) as house:
        port = own[0].getsockname()[1] if own else None
        server = _SharingServer(_config(settings, metrics_apart(house.app, port)), house.host, shared, line)
        server.stop_at_signals()
        settle()
        await server.serve(sockets=own)
    return 0


async def _work(settings: Settings, told: list[socket.socket]) -> int:
    async with open_house(settings) as house:
        server = _Server(_config(settings, operations_alone(house.app)), house.host)
        server.stop_at_signals()
        settle()
        front.greet_worker(settings, told)
        await server.serve(sockets=told)
    return 0


def _config(settings: Settings, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        **listening.options(max_bytes=settings.server.max_body_bytes, ping_seconds=settings.server.ping_seconds),
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=round(settings.server.shutdown_seconds) + _DELIVERY_SECONDS,
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, host: Host) -> None:
        super().__init__(config)
        self._host = host
        self._cut = False

    def stop_at_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self.stop)

    def stop(self) -> None:
        """The first time, what runs may end; the second time it is cut; the third time nobody is told."""
        if self.should_exit:
            self.force_exit = self._cut
            self._cut = True
            self._host.hurry()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Both at once: runs that outlast their grace must end while their callers are still connected.
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._host.drain())
            await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again when it ends, before the house could be closed.
        yield


class _SharingServer(_Server):
    """Takes connections one by one from a socket on which other processes listen, too.

    uvloop takes all that wait at once: of a burst, one process would get everything.
    """

    def __init__(self, config: uvicorn.Config, host: Host, shared: socket.socket, line: socket.socket) -> None:
        super().__init__(config, host)
        self._shared = shared
        self._line = line
        self._arriving: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets or [])
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._shared, self._accept)
        self._loop.add_reader(self._line, self._hear)
        self._line.send(READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop.remove_reader(self._shared)
        self._loop.remove_reader(self._line)
        self._shared.close()
        if self._arriving:
            await asyncio.wait(self._arriving)
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        until = self._loop.time() + _LEAVE_SECONDS
        # uvicorn tells nobody when a connection has closed.
        while self.server_state.connections and not self._cut and self._loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def _hear(self) -> None:
        """The process that keeps this one says nothing: the line ends when it does."""
        self._loop.remove_reader(self._line)
        if not self.should_exit:
            self.stop()

    def _accept(self) -> None:
        try:
            connection, _ = self._shared.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # Another process was sooner, or the caller has gone.
        except OSError as error:
            logs.get(__name__).error("no_connection_taken", reason=error.strerror)
            self._loop.remove_reader(self._shared)
            self._loop.call_later(_AGAIN_SECONDS, self._resume)
            return
        connection.setblocking(False)  # noqa: FBT003
        task = self._loop.create_task(self._arrive(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _resume(self) -> None:
        if not self.should_exit:
            self._loop.add_reader(self._shared, self._accept)

    async def _arrive(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 -- Windows has none.
    except ImportError:
        return None
    return uvloop.new_event_loop


def _told(error: errors.FreddyError, settings: Settings) -> str:
    place = checks.without_password(str(settings.store.database))
    message = error.message.rstrip(".")
    if isinstance(error, errors.StorageUnavailable) and place not in message:
        message = f"{message} ({place})"
    return f"{message}: {error.details}" if error.details else message
