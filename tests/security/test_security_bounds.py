"""What callers and their servers may take of a server that is everybody's."""

import asyncio
import gzip
import time
from typing import Any, Self

import pytest
from gateway import spelled
from mcp.server.mcpserver import MCPServer
from tool_stage import FIVE, both, item, mcp, offered, refused

from freddy.server.config import settings as parts
from freddy.server.core import errors
from freddy.server.core.networks import Opening
from freddy.server.outward import CheckedOutward
from freddy.server.ports.mcp import Server
from freddy.server.tools.mcp.servers import PooledMcpServers
from freddy.server.tools.mcp.terms import Terms
from freddy.server.world import SystemClock
from mcp_servers import ledger_lines, python_program, python_server
from stores_stage import library

LOOPBACK = Opening.of((), loopback=True)


def pool(**terms: Any) -> PooledMcpServers:
    return PooledMcpServers(CheckedOutward(LOOPBACK), clock=SystemClock(), terms=Terms(**terms))


class Paused:
    """How long the loop was away from everybody else, at the most."""

    async def __aenter__(self) -> Self:
        self.longest = 0.0
        self._watching = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            self.longest = max(self.longest, time.monotonic() - before)


class RawServer:
    """Answers every request with the same bytes of HTTP."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/mcp"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer)
            await writer.drain()
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def http(body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    lines = ("HTTP/1.1 200 OK", f"content-type: {kind}", f"content-length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("packings", [1, 3])
async def test_an_answer_that_was_packed_is_refused_before_it_is_unpacked(packings):
    body = b"0" * 50_000_000
    for _ in range(packings):
        body = gzip.compress(body, 1)
    async with (
        RawServer(http(body, f"content-encoding: {', '.join(['gzip'] * packings)}")) as server,
        pool() as servers,
    ):
        with pytest.raises(errors.ToolFailed, match="compressed"):
            await servers.tools(Server(organization_id="org_one", url=server.url))


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_an_answer_of_endless_small_values_does_not_keep_others_waiting(kind):
    body = b'{"jsonrpc":"2.0","id":1,"result":{"a":[' + b"{}," * 4_000_000 + b"0]}}"
    if kind == "text/event-stream":
        body = b"event: message\ndata: " + body + b"\n\n"
    async with RawServer(http(body, kind=kind)) as server, pool() as servers, Paused() as paused:
        with pytest.raises(errors.ToolFailed):
            await servers.tools(Server(organization_id="org_one", url=server.url))
    assert paused.longest < 2  # it took more than five where all of it was read


async def test_one_organization_leaves_sessions_for_the_others():
    async with python_server() as server, pool(sessions=4) as servers:

        def told(organization: str, token: str) -> Server:
            return Server(organization_id=organization, url=server.url, headers={"x-token": token})

        await servers.tools(told("org_other", "a"))
        async with asyncio.TaskGroup() as tasks:
            busy = [tasks.create_task(servers.call(told("org_greedy", n), "sleep", '{"seconds":600}')) for n in "ab"]
            await server.ledger.wait(lambda: sum(one.tool == "sleep" for one in server.ledger.calls) == 2)
            with pytest.raises(errors.ToolFailed, match="an organization may have"):
                await servers.tools(told("org_greedy", "c"))
            assert await servers.tools(told("org_other", "b"))
            assert await servers.tools(told("org_third", "c"))
            for one in busy:
                one.cancel()


async def test_a_program_is_not_started_again_for_headers_that_it_does_not_hear(upstream, tmp_path):
    ledger = tmp_path / "ledger"
    programs = {"sums": parts.McpProgram(command=tuple(python_program(ledger)))}
    async with library(tmp_path / "home", upstream, mcp=parts.Mcp(programs=programs)) as shelf:
        saved = await shelf.gateway.post("/v1/mcp-configurations", {"name": "Sums", "program": "sums"})
        assert saved.status_code == 201, saved.text
        for number in range(3):
            upstream.says(FIVE)
            tool = {
                "type": "mcp",
                "server_label": "sums",
                "configuration_id": saved.json()["id"],
                "headers": {"x-number": f"number-{number}"},
            }
            answer = await shelf.gateway.ask("openai", tools=[tool])
            assert answer["status"] == "completed"
    assert sum("pid" in line for line in ledger_lines(ledger)) == 1


MANY = [f"tool_{number:04}*" for number in range(129)]


@both
@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([mcp("https://mcp.example.com/mcp", allowed_tools=MANY)], "allowed_tools"),
        ([mcp("https://mcp.example.com/mcp", allowed_tools=["x" * 257])], "allowed_tools"),
        ([mcp("https://mcp.example.com/mcp", allowed_tools=MANY[:33])], "allowed_tools"),
        ([mcp("https://mcp.example.com/mcp", allowed_tools=["*a" * 9])], "allowed_tools"),
        ([mcp("https://mcp.example.com/mcp", {"never": {"tool_names": MANY}})], "require_approval"),
        ([mcp("https://mcp.example.com/mcp", server_label=f"s{number}") for number in range(33)], "tools[32]"),
        ([{"type": "file_search", "vector_store_ids": ["vs_1"]}] * 33, "tools"),
        ([{"type": "file_search", "vector_store_ids": [f"vs_{number}" for number in range(101)]}], "vector_store_ids"),
        (
            [{"type": "file_search", "vector_store_ids": [f"vs_{n}" for n in range(m, m + 60)]} for m in (0, 60)],
            "tools",
        ),
        ([{"type": "file_search", "vector_store_ids": ["vs_\0"]}], "vector_store_ids"),
        ([{"type": "file_search", "vector_store_ids": ["x" * 129]}], "vector_store_ids"),
    ],
    ids=[
        "names",
        "long",
        "patterns",
        "wildcards",
        "approvals",
        "servers",
        "searches",
        "stores",
        "together",
        "nul",
        "id",
    ],
)
async def test_a_request_names_no_more_than_can_be_looked_at(gateway, upstream, dialect, tools, param):
    reply = await gateway.post(*spelled(dialect, tools=tools))
    assert param in refused(reply, 422 if dialect == "freddy" else 400)["param"]
    assert upstream.calls == []


class Wide:
    """An MCP server whose tools have long descriptions."""

    def __init__(self, tools: int, letters: int) -> None:
        self.tools, self.letters = tools, letters

    def __call__(self, ledger: Any) -> Any:
        server: Any = MCPServer("wide", version="1")
        for number in range(self.tools):
            server.add_tool(lambda: "done", name=f"tool_{number:03}", description="d" * self.letters)
        return server


@both
async def test_a_model_is_not_given_more_tools_than_it_can_read(gateway, upstream, dialect):
    async with python_server(build=Wide(100, 10_000)) as wide:
        upstream.says(FIVE, FIVE)
        all_of_them = await gateway.ask(dialect, tools=[mcp(wide)])
        assert "allowed_tools" in item(all_of_them, "mcp_list_tools")["error"]
        assert offered(upstream.calls[0].body) == []
        some = await gateway.ask(dialect, tools=[mcp(wide, allowed_tools=["tool_00*"])])
        assert len(item(some, "mcp_list_tools")["tools"]) == len(offered(upstream.calls[1].body)) == 10


def doubling(levels: int) -> dict[str, Any]:
    """A schema of which each level is looked at twice as often as the one before it."""
    defs: dict[str, Any] = {f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)}
    return {"type": "object", "$defs": defs | {f"d{levels}": {"type": "object"}}, "allOf": [{"$ref": "#/$defs/d0"}]}


async def test_a_schema_that_would_never_be_done_is_not_kept(gateway):
    function = {"name": "stock", "url": "https://functions.example.com/x"}
    async with Paused() as paused:
        reply = await gateway.post("/v1/functions", function | {"parameters": doubling(40)})
    assert refused(reply, 422)["param"] == "parameters"
    made = await gateway.post("/v1/functions", function | {"parameters": {"type": "object", "properties": {}}})
    assert made.status_code == 201
    changed = await gateway.http().patch(f"/v1/functions/{made.json()['id']}", json={"parameters": doubling(40)})
    assert refused(changed, 422)["param"] == "parameters"
    assert paused.longest < 2


@pytest.mark.parametrize("depth", [150, 900, 5_000])
async def test_arguments_of_any_depth_are_looked_at_without_harm(gateway, depth):
    """A schema that leads back into itself follows them as deep as they are."""
    node = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "additionalProperties": False}
    function = {"name": "stock", "url": "http://127.0.0.1:9/x", "parameters": node}
    made = (await gateway.post("/v1/functions", function)).json()["id"]
    body = b'{"arguments":' + b'{"a":' * depth + b'{"c":1}' + b"}" * depth + b"}"
    async with Paused() as paused:
        reply = await gateway.http().post(f"/v1/functions/{made}/test", content=body)
    assert reply.status_code in (400, 422), reply.text
    assert paused.longest < 2


async def test_one_organization_does_not_keep_the_files_of_others_waiting(shelf):
    """It has many files in line before another comes with one: that one need not wait for all of them."""
    gateway = shelf.gateway
    other = (await gateway.mint("org_other")).secret
    files = [await shelf.uploaded(f"{number}.txt", f"the text of number {number}") for number in range(40)]
    greedy = (await gateway.post("/v1/vector_stores", {})).json()["id"]
    modest = (await gateway.post("/v1/vector_stores", {}, key=other)).json()["id"]
    one = await shelf.uploaded("one.txt", "the only text", key=other)
    shelf.embedder.held.clear()
    assert (await gateway.post(f"/v1/vector_stores/{greedy}/file_batches", {"file_ids": files})).status_code == 200
    assert (await gateway.post(f"/v1/vector_stores/{modest}/files", {"file_id": one}, key=other)).status_code == 200
    shelf.embedder.held.set()
    await shelf.ended(f"/v1/vector_stores/{modest}/files/{one}", key=other)
    counts = (await gateway.get(f"/v1/vector_stores/{greedy}")).json()["file_counts"]
    assert counts["completed"] < 20
