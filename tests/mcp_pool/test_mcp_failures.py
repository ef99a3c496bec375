"""What is said when an MCP server gives nothing: plain words, and no more than its host."""

import asyncio
import gzip
import logging
import socket

import httpx2
import pytest
from mcp_stage import ClosedOutward, at, bearer, pool, text
from test_mcp_calls import stages

from freddy.server.core import errors
from freddy.server.core.networks import Opening
from freddy.server.outward import CheckedOutward
from freddy.server.ports.mcp import Server
from freddy.server.tools.mcp import failures
from freddy.server.tools.mcp.exchange import Exchange, Wire, current
from mcp_servers import python_server

SECRET = "/mcp/s3cret?key=s3cret"


def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("transport", ["auto", "streamable_http", "sse"])
async def test_nobody_is_there(transport):
    async with pool() as servers:
        with pytest.raises(errors.ToolFailed) as failed:
            await servers.tools(at(nobody() + SECRET, transport=transport))
        assert failed.value.message == "The MCP server 127.0.0.1 could not be reached"
        assert "s3cret" not in repr(failed.value) + str(failed.value.details)


async def test_a_server_that_gives_nothing_is_logged_without_its_path(caplog):
    caplog.set_level(logging.INFO, "freddy")
    async with pool() as servers:
        with pytest.raises(errors.ToolFailed):
            await servers.call(at(nobody() + SECRET), "echo", '{"text": "hush"}')
    (record,) = [one for one in caplog.records if one.getMessage() == "mcp_failed"]
    assert (record.server, record.reason) == ("127.0.0.1", "The MCP server 127.0.0.1 could not be reached")
    assert all("s3cret" not in str(one.__dict__) and "hush" not in str(one.__dict__) for one in caplog.records)


@stages
async def test_a_server_that_wants_a_token_says_so_and_takes_it(transport, legacy):
    async with python_server(transport, legacy=legacy, token="right") as server, pool() as servers:
        for headers in ({}, bearer("wrong")):
            with pytest.raises(errors.ToolFailed, match=r"wants authorization, or another.*401") as failed:
                await servers.call(at(server, headers=headers), "echo", '{"text": "a"}')
            assert "authorization" in str(failed.value.details)
        given = await servers.call(at(server, headers=bearer("right")), "echo", '{"text": "a"}')
        assert text(given) == "a"
        assert len(server.ledger.calls) == 1


@stages
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_status_in_the_middle_of_a_session_is_told(transport, legacy, status):
    async with python_server(transport, legacy=legacy) as server, pool() as servers:
        await servers.call(at(server), "echo", '{"text": "a"}')
        server.refuse = status
        with pytest.raises(errors.ToolFailed, match=f"HTTP status {status}"):
            await servers.call(at(server), "echo", '{"text": "b"}')
        server.refuse = None
        assert text(await servers.call(at(server), "echo", '{"text": "c"}')) == "c"
        assert len(server.ledger.calls) == 2


@pytest.mark.parametrize("status", [301, 403, 404, 405, 500])
async def test_a_status_at_the_beginning_is_told(status):
    async with python_server(refuse=status) as server, pool() as servers:
        with pytest.raises(errors.ToolFailed, match=f"127\\.0\\.0\\.1 .*HTTP status {status}"):
            await servers.tools(at(server))
        tried_both = any(seen.method == "GET" for seen in server.ledger.requests)
        assert tried_both == (status in (404, 405))


async def test_a_transport_that_is_named_is_the_only_one_that_is_tried():
    async with python_server("sse") as old, python_server() as new, pool() as servers:
        for server, transport in ((old, "streamable_http"), (new, "sse")):
            with pytest.raises(errors.ToolFailed, match="HTTP status 40"):
                await servers.tools(at(server, transport=transport))
        assert {seen.method for seen in old.ledger.requests} == {"POST"}
        assert {seen.method for seen in new.ledger.requests} == {"GET"}
        assert await servers.tools(at(old, transport="sse"))
        assert await servers.tools(at(new, transport="streamable_http"))


async def test_an_address_that_may_not_be_called_is_named_with_the_cure():
    async with pool(outward=ClosedOutward()) as servers:
        with pytest.raises(errors.ToolFailed, match=r"intranet\.example may not be called from here") as failed:
            await servers.tools(at("https://intranet.example/mcp"))
        assert "operator's allow-list" in str(failed.value.details)


async def test_what_calls_outward_for_real_is_enough_for_many_calls_at_once_and_keeps_to_its_networks():
    async with python_server() as server:
        async with pool(outward=CheckedOutward(Opening(loopback=True))) as servers:
            asked = (servers.call(at(server), "sleep", '{"seconds": 0.1}') for _ in range(30))
            assert {text(answer) for answer in await asyncio.gather(*asked)} == {"Slept."}
        async with pool(outward=CheckedOutward(Opening())) as servers:
            with pytest.raises(errors.ToolFailed, match="may not be called from here"):
                await servers.tools(at(server))
    assert len(server.ledger.calls) == 30


async def test_a_server_that_says_nothing_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with pool(connect_seconds=0.5) as servers:
            with pytest.raises(errors.ToolFailed, match="did not answer"):
                await servers.tools(at(f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"))


async def test_headers_that_cannot_be_sent_are_refused_without_repeating_them():
    async with python_server() as server, pool() as servers:
        with pytest.raises(errors.ToolFailed, match="cannot be asked with these headers") as failed:
            await servers.tools(at(server, headers={"X-Key": "s3cret\r\nX-Other: 1"}))
        assert "s3cret" not in repr(failed.value) + str(failed.value.__cause__)


async def test_a_page_that_is_no_mcp_server_is_told_apart():
    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<p>Hello</p>"})

    class Page:
        def streamable_http_app(self):
            return page

    async with python_server(build=lambda _: Page()) as server, pool() as servers:
        with pytest.raises(errors.ToolFailed, match="did not answer as the protocol says"):
            await servers.tools(at(server))


@pytest.mark.parametrize("url", ["http://[::1", "no address", "https://"])
async def test_an_address_that_is_none_is_told_like_any_other_failure(url):
    async with pool() as servers:
        with pytest.raises(errors.ToolFailed, match="The MCP server"):
            await servers.tools(at(url))


def test_a_server_is_called_by_its_host_or_by_the_name_of_its_program():
    assert (
        failures.place(Server(organization_id="o", url="https://u:p@mcp.example.com:8443/a?key=b")) == "mcp.example.com"
    )
    assert failures.place(Server(organization_id="o", program="notes")) == "'notes'"


# The wire alone: what the SDK would make too much or too little of.


async def _through(answering, *, most=1000, settled=True, broken=None, method="POST", **request):
    """What the SDK would see of one request, and the exchange."""
    wire = Wire(httpx2.AsyncClient(transport=httpx2.MockTransport(answering)), most=most, broken=broken)
    wire.settled = settled
    exchange = Exchange()
    exchange.handed = True
    token = current.set(exchange)
    try:
        async with httpx2.AsyncClient(transport=wire) as client:
            try:
                return await client.request(method, "http://stage/mcp", **request), exchange
            except (httpx2.RequestError, httpx2.StreamError) as error:
                return error, exchange
    finally:
        current.reset(token)


def _breaking(kind):
    def answering(_):
        raise kind("")

    return answering


async def test_a_connection_that_fails_in_a_session_answers_this_request_alone():
    answer, exchange = await _through(_breaking(httpx2.ConnectError))
    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == "unreachable"
    assert exchange.unsent
    answer, exchange = await _through(_breaking(httpx2.ReadError))
    assert answer.status_code == 502
    assert not exchange.unsent


async def test_a_connection_that_fails_while_a_session_opens_ends_the_attempt():
    error, exchange = await _through(_breaking(httpx2.ConnectError), settled=False)
    assert isinstance(error, httpx2.ConnectError)
    assert exchange.error is error


async def test_the_failure_of_a_later_listening_says_nothing_about_the_call():
    """A call was answered halfway, and nobody is there to tell the rest: it was sent all the same."""
    exchange = Exchange()
    exchange.handed, exchange.status = True, 200
    wire = Wire(httpx2.AsyncClient(transport=httpx2.MockTransport(_breaking(httpx2.ConnectError))), most=10)
    token = current.set(exchange)
    async with httpx2.AsyncClient(transport=wire) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("http://stage/mcp")
    current.reset(token)
    assert not exchange.unsent


async def test_an_answer_that_is_too_large_is_not_read():
    error, exchange = await _through(lambda _: httpx2.Response(200, json={"a": "x" * 1000}))
    assert isinstance(error, httpx2.StreamError)
    assert exchange.too_large


async def test_a_compressed_answer_is_not_read():
    packed = gzip.compress(b"x" * 100_000)
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    _, exchange = await _through(lambda _: httpx2.Response(200, headers=headers, content=packed))
    assert isinstance(exchange.error, httpx2.DecodingError)


@pytest.mark.parametrize(
    ("status", "body", "expired"),
    [
        (404, "", True),
        (400, '{"error": {"message": "Bad Request: No valid session ID provided"}}', True),
        (400, '{"error": {"message": "Bad Request: no such method"}}', False),
        (500, "session", False),
    ],
)
async def test_a_session_is_over_where_the_server_says_so(status, body, expired):
    headers = {"mcp-session-id": "one"}
    answer, exchange = await _through(lambda _: httpx2.Response(status, text=body), headers=headers)
    assert answer.status_code == status
    assert answer.text == body
    assert exchange.expired == exchange.unsent == expired
    _, exchange = await _through(lambda _: httpx2.Response(status, text=body))
    assert not exchange.expired  # it was never in one


async def test_what_the_old_transport_keeps_to_itself_ends_the_session():
    broke = []
    answer, exchange = await _through(lambda _: httpx2.Response(401), broken=lambda _: broke.append(1))
    assert answer.status_code == exchange.status == 401
    error, _ = await _through(_breaking(httpx2.ReadError), broken=lambda _: broke.append(2))
    assert isinstance(error, httpx2.ReadError)
    await _through(lambda _: httpx2.Response(202), broken=lambda _: broke.append(3))
    await _through(lambda _: httpx2.Response(202, text="x" * 2000), broken=lambda _: broke.append(4))
    await _through(lambda _: httpx2.Response(200), broken=lambda _: broke.append(5), method="GET")
    assert broke == [1, 2, 4, 5]
