"""Calls through real sockets: who is connected to, what is said there, and where redirects may lead."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from freddy.server.core.networks import Opening
from freddy.server.outward import CheckedOutward
from freddy.server.ports.outward import Refused
from simulators import certificate

Answering = Callable[[str, dict[str, str]], str]
OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HERE = Opening.of(["127.0.0.1"])


class Listening:
    """A server that keeps connections and answers as it is told."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.heads: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rest = head.strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
                await reader.readexactly(int(headers.get("content-length", 0)))
                self.heads.append((line, headers))
                writer.write(self.answering(line.split()[1], headers).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(
    answering: Answering = lambda _path, _headers: OK, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Listening]:
    one = Listening(answering)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()


def always(*found: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(found)

    return resolve


def redirect(to: str, status: int = 302) -> str:
    return f"HTTP/1.1 {status} Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"


async def test_a_call_goes_to_the_checked_address_and_names_the_host():
    async with listening() as server, CheckedOutward(HERE, resolve=always("127.0.0.1")).client() as client:
        answer = await client.get(f"http://there.example:{server.port}/path?a=b", headers={"x-one": "1"})
        assert answer.text == "ok"
    line, headers = server.heads[0]
    assert line == "GET /path?a=b HTTP/1.1"
    assert headers["host"] == f"there.example:{server.port}"
    assert headers["x-one"] == "1"


async def test_a_kept_connection_stays_where_it_was_checked_and_a_new_one_is_checked_again():
    looked_up: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["10.0.0.1"]

    outward = CheckedOutward(HERE, resolve=resolve)
    async with listening() as server:
        url = f"http://there.example:{server.port}/"
        async with outward.client() as client:
            for _ in range(3):
                assert (await client.get(url)).status_code == 200
        assert (server.connections, len(looked_up)) == (1, 1)
        async with outward.client() as client:
            with pytest.raises(Refused):
                await client.get(url)
        assert server.connections == 1


async def test_the_next_address_is_tried_where_one_does_not_answer():
    outward = CheckedOutward(Opening.of(["127.0.0.0/8"]), resolve=always("127.0.0.2", "127.0.0.1"))
    async with listening() as server, outward.client() as client:
        assert (await client.get(f"http://there.example:{server.port}/")).status_code == 200


async def test_a_host_that_is_opened_by_name_is_reached_wherever_it_is():
    outward = CheckedOutward(Opening.of(["mcp.internal"]), resolve=always("127.0.0.1"))
    async with listening() as server, outward.client() as client:
        assert (await client.get(f"http://mcp.internal:{server.port}/")).status_code == 200
        with pytest.raises(Refused):
            await client.get(f"http://other.internal:{server.port}/")


async def test_local_development_reaches_this_machine_by_its_real_name():
    async with listening() as server, CheckedOutward(Opening.of([], loopback=True)).client() as client:
        assert (await client.get(f"http://localhost:{server.port}/")).status_code == 200


async def test_a_redirect_within_the_origin_is_followed():
    def answering(path: str, _headers: dict[str, str]) -> str:
        return redirect("/there", 307) if path == "/" else OK

    async with listening(answering) as server, CheckedOutward(HERE, resolve=always("127.0.0.1")).client() as client:
        answer = await client.post(f"http://there.example:{server.port}/", content=b"body")
    assert answer.text == "ok"
    assert [line for line, _ in server.heads] == ["POST / HTTP/1.1", "POST /there HTTP/1.1"]


@pytest.mark.parametrize(
    "to",
    [
        "http://other.example:{port}/",
        "http://127.0.0.1:{port}/",
        "https://there.example:{port}/",
        "//169.254.169.254/",
        "http://there.example:1/",
        "http://user@there.example:{port}/",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
async def test_a_redirect_elsewhere_is_only_an_answer(to):
    def answering(_path: str, headers: dict[str, str]) -> str:
        return redirect(to.format(port=headers["host"].partition(":")[2]))

    async with listening(answering) as server, CheckedOutward(HERE, resolve=always("127.0.0.1")).client() as client:
        answer = await client.get(f"http://there.example:{server.port}/")
    assert answer.status_code == 302
    assert "location" not in answer.headers
    assert len(server.heads) == 1


async def test_redirects_that_never_end_do():
    async with (
        listening(lambda _path, _headers: redirect("/")) as server,
        CheckedOutward(HERE, resolve=always("127.0.0.1")).client() as client,
    ):
        with pytest.raises(httpx2.TooManyRedirects):
            await client.get(f"http://there.example:{server.port}/")
    assert len(server.heads) == 6


async def test_tls_goes_by_the_name_and_not_by_the_address():
    asked: list[str | None] = []
    serving, trusting = certificate.pair("there.example")
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    outward = CheckedOutward(HERE, resolve=always("127.0.0.1"), tls=trusting)
    async with listening(tls=serving) as server, outward.client() as client:
        assert (await client.get(f"https://there.example:{server.port}/")).text == "ok"
        # The same address under another name is another server: its connection is not the kept one.
        with pytest.raises(httpx2.ConnectError, match=r"(?i)certificate"):
            await client.get(f"https://other.example:{server.port}/")
    assert asked == ["there.example", "other.example"]
    assert len(server.heads) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused():
    outward = CheckedOutward(HERE, resolve=always("127.0.0.1"))
    async with listening(tls=certificate.context()) as server, outward.client() as client:
        with pytest.raises(httpx2.ConnectError, match=r"(?i)certificate"):
            await client.get(f"https://127.0.0.1:{server.port}/")
    assert server.heads == []


async def test_a_name_server_that_says_nothing_is_not_waited_for():
    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async with CheckedOutward(Opening(), resolve=resolve).client(timeout=0.2) as client:
        with pytest.raises(httpx2.ConnectTimeout):
            await client.get("http://there.example/")


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    async with listening() as proxy, listening() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with CheckedOutward(HERE, resolve=always("127.0.0.1")).client() as client:
            await client.get(f"http://there.example:{server.port}/")
    assert (proxy.connections, server.connections) == (0, 1)


async def test_a_server_that_breaks_off_is_told_apart_from_one_that_is_not_there():
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with CheckedOutward(HERE, resolve=always("127.0.0.1")).client() as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(f"http://there.example:{port}/")
        server.close()
        await server.wait_closed()
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"http://there.example:{port}/")
