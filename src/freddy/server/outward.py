"""Calls addresses that callers chose, and none that is not theirs to reach."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import httpcore2
import httpx2

from freddy.server.core import errors, networks
from freddy.server.core.networks import Opening
from freddy.server.ports.outward import Refused

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as texts. Raises OSError where it has none."""

_CONNECT_SECONDS: Final = 10.0
"""Where nobody says another."""
_KEPT_SECONDS: Final = 30.0
"""An idle connection stays open so long."""
_LOOKUPS: Final = 16
_LOOKUP_SECONDS: Final = 5.0
_TRIED: Final = 4
"""Addresses of a host that are tried, one after the other."""
_TRY_SECONDS: Final = 3.0
"""How long each is waited for while there is another."""
_MOST_CHARACTERS: Final = 2048
_MOST_REDIRECTS: Final = 5
_PORTS: Final = {"http": 80, "https": 443}


class CheckedOutward:
    """The port `Outward`. What is checked is what is called: a connection goes to one of the addresses that were looked
    at, and stays there for as long as it is kept, while `Host` and TLS go by the name.
    """

    def __init__(self, opening: Opening, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None) -> None:
        """`tls` None is what this machine trusts."""
        self._opening = opening
        self._resolve = resolve or _Resolver()
        self._tls = tls
        self._trusting = asyncio.Lock()

    def check(self, url: str, *, param: str) -> None:
        if not isinstance(url, str) or not 0 < len(url) <= _MOST_CHARACTERS:
            raise errors.InvalidValue(param, f"must be an address of at most {_MOST_CHARACTERS:,} characters")
        try:
            self._look(_read(url))
        except ValueError as error:
            raise errors.InvalidValue(param, f"cannot be called: {error}") from error

    def client(
        self, *, headers: Mapping[str, str] | None = None, timeout: httpx2.Timeout | float | None = None
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=_Transport(self),
            headers=headers,
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS) if timeout is None else timeout,
            trust_env=False,
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
        )

    def admit(self, url: httpx2.URL) -> None:
        """Raises `Refused` for what `check` refuses, just before it is called."""
        try:
            self._look(url)
        except ValueError as error:
            raise Refused(f"The address cannot be called: {error}") from error

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Those to which a connection may be made. Raises `Refused` where only one of them may not be reached: whoever
        says where a name is could send one in ten calls elsewhere.
        """
        try:
            literal = networks.read_host(host)
            if literal is not None:
                found = [str(literal)]
            else:
                async with asyncio.timeout(_LOOKUP_SECONDS):
                    found = list(dict.fromkeys(await self._resolve(host, port)))
        except ValueError as error:
            raise Refused(f"The address cannot be called: {error}") from error
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"Where {host!r} is was not told within {_LOOKUP_SECONDS:g} s") from error
        except OSError as error:
            raise httpcore2.ConnectError(f"There is no host {host!r}") from error
        if not found:
            raise httpcore2.ConnectError(f"There is no host {host!r}")
        if not self._opening.named(host):
            for one in found:
                self._reach(host, port, ipaddress.ip_address(one.partition("%")[0]))
        return found[:_TRIED]

    async def tls(self) -> ssl.SSLContext:
        """Reading the certificates takes long, and is done once."""
        async with self._trusting:
            if self._tls is None:
                self._tls = await asyncio.to_thread(ssl.create_default_context)
            return self._tls

    def _look(self, url: httpx2.URL) -> None:
        """Raises ValueError with what can be seen to be wrong without looking anything up."""
        if url.scheme not in _PORTS:
            raise ValueError("it must start with http:// or https://")
        if url.userinfo:
            raise ValueError("it must not hold a user or a password; give headers instead")
        host = url.raw_host.decode("ascii")
        port = _PORTS[url.scheme] if url.port is None else url.port
        literal = networks.read_host(host)
        if literal is None and not networks.is_name(host):
            raise ValueError("it has no name of a host that could be looked up")
        if port > 65535:
            raise ValueError("its port must be at most 65535")
        if networks.is_here(host, self._opening):
            raise ValueError(_closed(host))
        if literal is not None and not self._opening.admits(literal):
            if not networks.is_public(literal):
                raise ValueError(_closed(host))
            if networks.is_closed_port(port):
                raise ValueError(_closed_port(port))

    def _reach(self, host: str, port: int, address: networks.Address) -> None:
        if self._opening.admits(address):
            return
        if not networks.is_public(address):
            raise Refused(f"The address cannot be called: {_closed(host)}")
        if networks.is_closed_port(port):
            raise Refused(f"The address cannot be called: {_closed_port(port)}")


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, outward: CheckedOutward) -> None:
        self._outward = outward
        self._pool: httpcore2.AsyncConnectionPool | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._outward.admit(request.url)
        if self._pool is None:
            tls = await self._outward.tls()
            self._pool = self._pool or httpcore2.AsyncConnectionPool(
                ssl_context=tls,
                network_backend=_Pinning(self._outward),
                max_connections=None,
                keepalive_expiry=_KEPT_SECONDS,
            )
        url = request.url
        stream = request.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=stream,
            extensions=request.extensions,
        )
        with _translated():
            answer = await self._pool.handle_async_request(asked)
        headers = httpx2.Headers(answer.headers)
        if "location" in headers and not _stays(url, headers["location"]):
            # Without it the answer is only that: the client does not go there, and says status 302.
            del headers["location"]
        return httpx2.Response(answer.status, headers=headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for piece in self._answer.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        with _translated():
            await self._answer.aclose()


class _Pinning(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were checked. The pool keeps connections by the names for which they were made."""

    def __init__(self, outward: CheckedOutward) -> None:
        self._outward = outward
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                *others, last = await self._outward.addresses(host, port)
                for address in others:
                    try:
                        return await self._inner.connect_tcp(address, port, _TRY_SECONDS)
                    except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                        continue
                return await self._inner.connect_tcp(last, port, timeout)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host!r} could not be reached within {timeout} s") from error

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Resolver:
    """Asks the machine. The threads are its own: a name server that says nothing must not hold up those of others."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)


def _look_up(host: str, port: int) -> list[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _read(url: str) -> httpx2.URL:
    if any(character.isspace() or character == "\\" or not character.isprintable() for character in url):
        raise ValueError("it holds characters that addresses do not have")
    try:
        return httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ValueError("it is no address of the web") from error


def _stays(url: httpx2.URL, location: str) -> bool:
    """Whether a redirect leads to the same origin."""
    try:
        to = url.join(location)
    except (httpx2.InvalidURL, ValueError):
        return False
    return (to.scheme, to.raw_host, to.port, to.userinfo) == (url.scheme, url.raw_host, url.port, b"")


def _closed(host: str) -> str:
    return (
        f"{host!r} is in a private, local or reserved network. Whoever runs this server can open it with the setting "
        "`network.allow_private`"
    )


def _closed_port(port: int) -> str:
    return f"port {port} is for something else than HTTP"


@contextmanager
def _translated() -> Iterator[None]:
    """Failures of httpcore2 as those of httpx2, which have the same names."""
    try:
        yield
    except tuple(_TRANSLATIONS) as error:
        raise _TRANSLATIONS[type(error)](str(error)) from error


_TRANSLATIONS: Final[Mapping[type[Exception], type[httpx2.TransportError]]] = {
    httpcore2.ConnectError: httpx2.ConnectError,
    httpcore2.ConnectTimeout: httpx2.ConnectTimeout,
    httpcore2.ReadError: httpx2.ReadError,
    httpcore2.ReadTimeout: httpx2.ReadTimeout,
    httpcore2.WriteError: httpx2.WriteError,
    httpcore2.WriteTimeout: httpx2.WriteTimeout,
    httpcore2.PoolTimeout: httpx2.PoolTimeout,
    httpcore2.LocalProtocolError: httpx2.LocalProtocolError,
    httpcore2.RemoteProtocolError: httpx2.RemoteProtocolError,
    httpcore2.UnsupportedProtocol: httpx2.UnsupportedProtocol,
}
