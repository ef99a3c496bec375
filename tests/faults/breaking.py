"""A line between two that can be cut, stalled and reset."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Literal, Self

from freddy_process import BOUND

State = Literal["whole", "stalled", "down"]


class Line:
    """Listens on `port` and leads to `target`: the path of a socket, or a port of this machine.

    It lives in a thread of its own. What it says is said to all connections, and to those to come.
    """

    def __init__(self, target: str | int) -> None:
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._flows: asyncio.Event
        self._up = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self._say(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._say(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(BOUND)
        self._loop.close()

    def stall(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self._say(self._be("stalled"))

    def cut(self) -> None:
        """Every connection is reset, and new ones as well, until `mend`."""
        self._say(self._be("down"))

    def mend(self) -> None:
        self._say(self._be("whole"))

    def reset(self) -> None:
        """Every connection is reset. New ones are whole."""
        self._say(self._be("down"))
        self._say(self._be("whole"))

    def _say(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(BOUND)

    async def _open(self) -> None:
        self._flows = asyncio.Event()
        self._flows.set()
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._be("down")
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _be(self, state: State) -> None:
        self._up = state != "down"
        if state == "stalled":
            self._flows.clear()
        else:
            self._flows.set()
        if state == "down":
            for writer in tuple(self._writers):
                _reset(writer)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            _reset(writer)
            return
        self._writers.add(writer)
        try:
            there = (
                await asyncio.open_unix_connection(self._target)
                if isinstance(self._target, str)
                else await asyncio.open_connection("127.0.0.1", self._target)
            )
        except OSError:
            self._writers.discard(writer)
            _reset(writer)
            return
        self._writers.add(there[1])
        await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))
        self._writers -= {writer, there[1]}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """The other end is told at once, in the middle of whatever it sends."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # it is closed already
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
