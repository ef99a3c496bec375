"""A server that speaks what it is told to, byte by byte, and sees what happens to its connections."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from freddy_fakes import PATIENCE

Talk = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One connection of a client. A talk that returns leaves it open for the next request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def request(self) -> bool:
        """Reads a request; False when the client is gone."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((first, headers, body))
        return True

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    def head(self, kind: str = "text/event-stream") -> None:
        self.say(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())

    def chunk(self, data: bytes) -> None:
        self.say(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def whole(self, data: bytes, status: str = "200 OK") -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}"
        self.say(head.encode() + b"\r\n\r\n" + data)

    async def sent(self) -> None:
        """Lets the client read what was said, as both share the event loop."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def gone(self) -> None:
        """Returns when the client closed the connection."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionError:
            pass

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Breaks the connection off without a goodbye."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


class RawServer:
    """Talks the same way in every connection, for every request. `left` is set when a client closed one."""

    def __init__(self, talk: Talk, *, path: str | None = None) -> None:
        self.connections: list[Connection] = []
        self.left = asyncio.Event()
        self._talk = talk
        self._path = path
        self._tasks: list[asyncio.Task[None] | None] = []

    async def __aenter__(self) -> Self:
        if self._path is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        else:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self.connections:
            connection.close()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(task for task in self._tasks if task is not None), return_exceptions=True)
            await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.connections.append(connection)
        self._tasks.append(asyncio.current_task())
        try:
            while await connection.request():
                await self._talk(connection)
        finally:
            self.left.set()
            writer.close()
