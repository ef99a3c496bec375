"""Calls vendors through an HTTP proxy, with aiohttp: slower than `_wire`, which knows the direct way only."""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self

import aiohttp

from freddy.server.core import errors
from freddy.server.ports.wire import Limits

_READ_BYTES = 256 * 1024


class ProxiedWire:
    """One address behind `proxy`. `base_url` is `http(s)://host[:port][/prefix]`."""

    def __init__(self, name: str, base_url: str, *, limits: Limits, proxy: str) -> None:
        self._name = name
        self._base_url = base_url.rstrip("/")
        self._limits = limits
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
            read_bufsize=_READ_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> AbstractAsyncContextManager["_Answer"]:
        return self._exchange("POST", path, headers, body=body)

    def get(self, path: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager["_Answer"]:
        return self._exchange("GET", path, headers)

    @asynccontextmanager
    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], *, body: bytes | None = None
    ) -> AsyncIterator["_Answer"]:
        if self._session is None:
            raise errors.ShuttingDown(f"The connection to {self._name} is closed")
        timeout = aiohttp.ClientTimeout(total=self._limits.total, sock_connect=self._limits.connect)
        # aiohttp sends a stream in pieces; it warns of large bytes, which it would copy at once.
        data = io.BytesIO(body) if body is not None and len(body) > _READ_BYTES else body
        try:
            async with asyncio.timeout(self._limits.first):
                response = await self._session.request(
                    method,
                    self._base_url + path,
                    data=data,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                    proxy=self._proxy,
                )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self.fault(error) from error
        try:
            yield _Answer(response, self)
        finally:
            # A body that was read to its end gives its connection back; any other is cut, which stops the vendor.
            if response.connection is not None:
                response.close()

    @property
    def idle_seconds(self) -> float:
        return self._limits.idle

    def fault(self, error: Exception) -> errors.FreddyError:
        name = self._name
        match error:
            case aiohttp.ClientConnectorDNSError():
                return errors.ProviderUnavailable(
                    f"{name} could not be found", details="check the host name in the upstream's url"
                )
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
                return errors.ProviderUnavailable(
                    f"{name} could not be trusted", details="its TLS certificate was refused"
                )
            case aiohttp.ConnectionTimeoutError():
                return errors.ProviderUnreachable(f"{name} could not be reached in time")
            case TimeoutError():
                return errors.ProviderTimeout(f"{name} did not answer in time")
            case aiohttp.ClientConnectorError():
                return errors.ProviderUnreachable(f"{name} could not be reached")
            case (
                aiohttp.ClientPayloadError()
                | aiohttp.ServerDisconnectedError()
                | aiohttp.ClientOSError()
                | ConnectionError()
            ):
                return errors.ProviderFailed(f"{name} broke the connection off")
            case _:
                return errors.ProviderFailed(f"{name} did not speak HTTP")


class _Answer:
    def __init__(self, response: aiohttp.ClientResponse, wire: ProxiedWire) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = _LowerCase(response.headers)
        self._response = response
        self._wire = wire

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while True:
                chunk = content.read_nowait() if content.total_bytes and not content.at_eof() else b""
                if not chunk:
                    async with asyncio.timeout(self._wire.idle_seconds):
                        chunk = await content.readany()
                if not chunk:
                    return
                yield chunk
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self._wire.fault(error) from error


class _LowerCase(Mapping[str, str]):
    """aiohttp's headers already ignore case; this gives them the type of a plain mapping."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)
