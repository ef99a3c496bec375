"""Runs the house behind a socket until somebody stops it."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from freddy.server import logs
from freddy.server.config import Settings, checks
from freddy.server.core import errors
from freddy.server.runtime.host import Host
from freddy.server.wiring import House, open_house

_IDLE_SECONDS = 75
"""How long an unused connection is kept: longer than the pools of common clients keep theirs."""
_DELIVERY_SECONDS = 5
"""At shutdown, how long callers may take to read what is left when their runs have ended."""

_GARBAGE_THRESHOLD = 20_000
"""New objects between two searches for garbage: Python's own number makes one for every few requests."""


def serve(settings: Settings) -> int:
    """The exit code. Everything that can be wrong at start is told in a sentence on stderr."""
    logs.configure(settings.log.level, settings.log.format)
    try:
        listener = _listen(settings.server.host, settings.server.port)
    except OSError as error:
        return _refuse(
            f"cannot listen on {settings.server.host}:{settings.server.port}: {error.strerror or error}; "
            "choose another with FREDDY_PORT, or stop what is there"
        )
    with contextlib.closing(listener), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(_serve(settings, listener))
        except errors.FreddyError as error:
            return _refuse(_told(error, settings))
        except OSError as error:
            return _refuse(str(error))


async def _serve(settings: Settings, listener: socket.socket) -> int:
    async with open_house(settings) as house:
        server = _Server(
            uvicorn.Config(
                house.app,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=round(settings.server.shutdown_seconds) + _DELIVERY_SECONDS,
            ),
            house.host,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, server.stop)
        # What the start has made stays: looking through it again and again for garbage is time for nothing.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD)
        _greet(settings, house, listener)
        await server.serve(sockets=[listener])
    return 0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, host: Host) -> None:
        super().__init__(config)
        self._host = host
        self._cut = False

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


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio's own loop sends small pieces at once (TCP_NODELAY) only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)  # noqa: FBT003
    return listener


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 -- Windows has none.
    except ImportError:
        return None
    return uvloop.new_event_loop


def _greet(settings: Settings, house: House, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = settings.server.public_url or f"http://{shown}:{port}"
    lines = [f"Freddy listens on {url} (reference: {url}/docs)"]
    if house.development_key is not None:
        lines += [
            "",
            "Local development mode: only this machine reaches it, and no key is asked for.",
            f"  key   {house.development_key}",
            "  try   curl " + url + "/v1/model/response \\",
            f"          -H 'Authorization: Bearer {house.development_key}' -H 'Content-Type: application/json' \\",
            '          -d \'{"inputs": "Say hello in one sentence."}\'',
        ]
    else:
        lines.append("Keys are made with: freddy keys create NAME")
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def _told(error: errors.FreddyError, settings: Settings) -> str:
    place = checks.without_password(str(settings.store.database))
    message = error.message.rstrip(".")
    if isinstance(error, errors.StorageUnavailable) and place not in message:
        message = f"{message} ({place})"
    return f"{message}: {error.details}" if error.details else message


def _refuse(problem: str) -> int:
    sys.stderr.write(f"freddy: {problem}\n")
    return 1
