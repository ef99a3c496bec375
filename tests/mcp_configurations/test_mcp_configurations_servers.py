"""Saved configurations and real MCP servers: what they are told, and what a test of a connection finds."""

import socket

import pytest
from gateway import serving, settings
from mcp_configurations_stage import served

from freddy.server.core.networks import Opening
from freddy.server.outward import CheckedOutward
from freddy.server.tools.mcp.servers import PooledMcpServers
from freddy.server.tools.mcp.terms import Program
from freddy.server.world import SystemClock
from mcp_servers import python_program, python_server
from upstream import Upstream

PATH = "/v1/mcp-configurations"
TOKEN = "secret-token-0123456789"


@pytest.fixture
async def gateway(tmp_path):
    """Its operator lets this machine be called, and one program be run."""
    outward = CheckedOutward(Opening(loopback=True))
    programs = {"github": Program(command=tuple(python_program(tmp_path / "ledger")))}
    async with (
        Upstream() as upstream,
        PooledMcpServers(outward, clock=SystemClock(), programs=programs) as servers,
        serving(settings(tmp_path, upstream), upstream) as gateway,
        served(gateway, servers, outward=outward),
    ):
        yield gateway


async def outcome(gateway, **fields) -> dict:
    saved = await gateway.post(PATH, {"name": "Stage", **fields})
    assert saved.status_code == 201, saved.text
    reply = await gateway.post(f"{PATH}/{saved.json()['id']}/test")
    assert reply.status_code == 200, reply.text
    assert TOKEN not in reply.text
    return reply.json()


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
@pytest.mark.parametrize("saved", ["auto", "as it is"])
async def test_a_server_tells_its_tools_over_each_transport(gateway, transport, saved):
    async with python_server(transport) as server:
        told = await outcome(gateway, server_url=server.url, transport_type=transport if saved != "auto" else "auto")
    assert (told["success"], told["status"]) == (True, "connected")
    assert {"add", "echo", "whoami"} <= set(told["available_tools"])


async def test_a_server_is_told_the_token_and_the_headers(gateway):
    async with python_server(token=TOKEN) as server:
        told = await outcome(
            gateway,
            server_url=server.url,
            auth_type="oauth",
            credentials={"token": TOKEN},
            headers={"X-Team": "tea"},
        )
        assert told["success"] is True
        assert {seen.headers.get("x-team") for seen in server.ledger.requests} == {"tea"}
        refused = await outcome(
            gateway, server_url=server.url, auth_type="api_key", credentials={"api_key": TOKEN, "header_name": "X-Key"}
        )
        assert server.ledger.requests[-1].headers["x-key"] == TOKEN
    assert (refused["success"], refused["status"], refused["available_tools"]) == (False, "error", [])
    assert "401" in refused["message"]


async def test_a_test_asks_anew_each_time(gateway):
    async with python_server() as server:
        saved = await gateway.post(PATH, {"name": "Stage", "server_url": server.url})
        path = f"{PATH}/{saved.json()['id']}/test"
        assert (await gateway.post(path)).json()["success"] is True
        assert (await gateway.post(path)).json()["success"] is True
        assert server.ledger.asked("tools/list") == 2
    assert (await gateway.post(path)).json()["success"] is False


async def test_a_program_tells_its_tools(gateway):
    told = await outcome(gateway, program="github")
    assert told["success"] is True
    assert "add" in told["available_tools"]


async def test_where_nobody_is_the_answer_says_so(gateway):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = await outcome(gateway, server_url=f"http://127.0.0.1:{port}/mcp")
    assert (told["success"], told["status"], told["available_tools"]) == (False, "error", [])
    assert "127.0.0.1" in told["message"]


async def test_an_address_out_of_reach_is_not_saved(gateway):
    reply = await gateway.post(PATH, {"name": "Cloud", "server_url": "http://169.254.169.254/mcp"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "server_url")
