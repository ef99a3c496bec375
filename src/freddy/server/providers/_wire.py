"""Calls vendors over HTTP with pooled connections, and says in the core's words what went wrong."""

import asyncio
import socket as sockets
import ssl
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from freddy.server.core import errors
from freddy.server.core.usage import Usage
from freddy.server.ports.wire import Limits
from freddy.server.providers._connection import Broken, Connection

_IDLE_SECONDS = 30.0
"""An unused connection is not trusted for longer: many servers close theirs after a minute."""
_KEPT = 256


class PooledWire:
    """One address. `base_url` is `http(s)://host[:port][/prefix]`; with `socket` the connection is that Unix socket."""

    def __init__(self, name: str, base_url: str, *, limits: Limits, socket: str | None = None) -> None:
        url = urlsplit(base_url)
        self._name = name
        self._secure = url.scheme == "https"
        self._host = url.hostname or "localhost"
        self._port = url.port or (443 if self._secure else 80)
        self._prefix = url.path.rstrip("/")
        self._netloc = url.netloc
        self._limits = limits
        self._socket = socket
        self._tls: ssl.SSLContext | None = None
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._open = False

    async def __aenter__(self) -> Self:
        if self._secure:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()
        # Closed transports say goodbye in the loop's next turn.
        await asyncio.sleep(0)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> "_Exchange":
        head = f"{self._head('POST', path, headers)}content-length: {len(body)}\r\n\r\n"
        return _Exchange(self, head.encode("latin-1") + body)

    def get(self, path: str, headers: Mapping[str, str]) -> "_Exchange":
        return _Exchange(self, f"{self._head('GET', path, headers)}\r\n".encode("latin-1"))

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {self._prefix}{path} HTTP/1.1\r\nhost: {self._netloc}\r\naccept-encoding: identity\r\n{told}"

    async def begin(self, request: bytes) -> Connection:
        """Sends the request over a connection, and waits for the head of the answer."""
        if not self._open:
            raise errors.ShuttingDown(f"The connection to {self._name} is closed")
        if (kept := self._take()) is not None:
            try:
                return await self._ask(kept, request)
            except Broken as broken:
                # Most likely the server had closed it while it was unused, and has not seen the request. If it has,
                # it is the request that breaks it: one more try, over a fresh connection, is enough.
                if broken.spoke:
                    raise self.fault(broken) from broken
        connection = await self._connect()
        try:
            return await self._ask(connection, request)
        except Broken as broken:
            fault = self.fault(broken)
            if not broken.garbled:
                # It was sent, and an answer in one piece has its head at its end: it may well have been read.
                fault.usage = Usage(estimated=True)
            raise fault from broken

    def give_back(self, connection: Connection) -> None:
        """A connection whose answer was read to its end is kept; any other is cut, which stops the vendor."""
        self._busy.discard(connection)
        # The embedded engine closes unused connections without a word, so none to a socket is kept.
        if self._open and self._socket is None and connection.reusable and len(self._idle) < _KEPT:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    async def piece(self, connection: Connection, began: float) -> bytes:
        """The next bytes of the body, within the limits."""
        left = began + self._limits.total - asyncio.get_running_loop().time()
        try:
            return await connection.piece(seconds=max(0.0, min(self._limits.idle, left)))
        except TimeoutError as error:
            raise errors.ProviderTimeout(f"{self._name} did not answer in time") from error
        except Broken as error:
            raise self.fault(error) from error

    def fault(self, broken: Broken) -> errors.ProviderFailed:
        if broken.garbled:
            return errors.ProviderFailed(f"{self._name} did not speak HTTP")
        return errors.ProviderFailed(f"{self._name} broke the connection off")

    def _take(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - _IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.alive and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    async def _ask(self, connection: Connection, request: bytes) -> Connection:
        self._busy.add(connection)
        try:
            connection.send(request)
            await connection.head(seconds=min(self._limits.first, self._limits.total))
        except TimeoutError as error:
            self._drop(connection)
            raise errors.ProviderTimeout(f"{self._name} did not answer in time") from error
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _drop(self, connection: Connection) -> None:
        self._busy.discard(connection)
        connection.close()

    async def _connect(self) -> Connection:
        loop, name = asyncio.get_running_loop(), self._name
        try:
            async with asyncio.timeout(self._limits.connect):
                if self._socket is not None:
                    _, connection = await loop.create_unix_connection(Connection, self._socket)
                else:
                    _, connection = await loop.create_connection(Connection, self._host, self._port, ssl=self._tls)
        except TimeoutError as error:
            raise errors.ProviderUnreachable(f"{name} could not be reached in time") from error
        except ssl.SSLError as error:
            raise errors.ProviderUnavailable(
                f"{name} could not be trusted", details="its TLS certificate was refused"
            ) from error
        except sockets.gaierror as error:
            raise errors.ProviderUnavailable(
                f"{name} could not be found", details="check the host name in the upstream's url"
            ) from error
        except OSError as error:
            raise errors.ProviderUnreachable(f"{name} could not be reached") from error
        return connection


class _Exchange:
    """A request and its answer: entering sends, leaving gives the connection back."""

    def __init__(self, wire: PooledWire, request: bytes) -> None:
        self._wire = wire
        self._request = request
        self._connection: Connection | None = None

    async def __aenter__(self) -> "_Answer":
        began = asyncio.get_running_loop().time()
        self._connection = await self._wire.begin(self._request)
        return _Answer(self._wire, self._connection, began)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._wire.give_back(self._connection)


class _Answer:
    def __init__(self, wire: PooledWire, connection: Connection, began: float) -> None:
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self._wire = wire
        self._connection = connection
        self._began = began

    async def read(self) -> bytes:
        pieces: list[bytes] = []
        while piece := await self._wire.piece(self._connection, self._began):
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        while piece := await self._wire.piece(self._connection, self._began):
            yield piece
