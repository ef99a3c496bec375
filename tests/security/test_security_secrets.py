"""What a server or a function is told in confidence comes back nowhere, even where that server repeats it."""

import logging
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from tool_stage import FIVE, PATHS, both, calls, files_below, item, mcp

from mcp_servers import python_server
from upstream import Answer

TOKEN = "token-of-the-mcp-server-0123456789"
HEADER = "header of the mcp server 0123456789"


def repeating(_: Any) -> Any:
    """An MCP server that repeats what it hears: in its list, in results and in failures."""
    server: Any = MCPServer("parrot", version="1")

    def heard(ctx: Context[Any, Any]) -> str:
        return " / ".join(f"{name}: {value}" for name, value in (ctx.headers or {}).items())

    @server.tool(description=f"Wants {TOKEN} and {HEADER}.")
    def tell(ctx: Context[Any, Any], secret: str = HEADER) -> str:
        return heard(ctx)

    @server.tool()
    def fail(ctx: Context[Any, Any]) -> str:
        raise ToolError(f"not allowed with {heard(ctx)}")

    return server


@both
async def test_what_a_server_repeats_of_its_secrets_is_hidden(gateway, upstream, tmp_path, caplog, dialect):
    caplog.set_level(logging.DEBUG)
    async with python_server(build=repeating, token=TOKEN) as server:
        tool = mcp(server, authorization=TOKEN, headers={"x-team": HEADER})
        for name in ("tell", "fail"):
            upstream.says(Answer(calls(name, "{}")), FIVE)
            answer = await gateway.ask(dialect, tools=[tool])
            assert "***REDACTED***" in str(item(answer, "mcp_call"))
        upstream.says(Answer(calls("tell", "{}")), FIVE)
        streamed = await gateway.told(dialect, tools=[tool])
        kept = await gateway.get(f"{PATHS[dialect]}/{answer['id']}")
    said = [str(answer), streamed.raw.decode(), kept.text, str([one.body for one in upstream.calls]), caplog.text]
    said += [str(vars(record)) for record in caplog.records if not record.name.startswith(("mcp.", "uvicorn"))]
    said.append(files_below(tmp_path).decode(errors="replace"))
    for text in said:
        assert TOKEN not in text
        assert HEADER not in text


async def test_secrets_of_a_tool_that_stands_where_none_belongs_are_not_kept(gateway, tmp_path):
    inner = {"type": "mcp", "server_label": "x", "server_url": "https://mcp.example.com/", "authorization": TOKEN}
    tools = [{"type": "namespace", "name": "group", "tools": [inner, {"type": "function", "name": "f"}]}]
    answer = await gateway.ask("openai", tools=tools)
    assert "authorization" not in answer["tools"][0]["tools"][0]
    assert TOKEN not in str(answer)
    assert TOKEN.encode() not in files_below(tmp_path)


async def test_a_failure_that_repeats_the_secrets_of_a_saved_server_is_told_without_them(gateway, tmp_path):
    async with python_server(build=repeating, token=TOKEN) as server:
        saved = await gateway.post(
            "/v1/mcp-configurations",
            {
                "name": "Parrot",
                "server_url": server.url,
                "auth_type": "bearer_token",
                "credentials": {"token": TOKEN},
                "headers": {"x-team": HEADER},
            },
        )
        path = f"/v1/mcp-configurations/{saved.json()['id']}"
        told = [saved.text, (await gateway.post(f"{path}/test")).text, (await gateway.get(path)).text]
        await gateway.http().patch(path, json={"credentials": {"token": TOKEN + "-old"}})
        server.refuse = 401
        told += [(await gateway.post(f"{path}/test")).text, (await gateway.get("/v1/mcp/servers")).text]
        audit = await gateway.get("/v1/organizations/org_local/audit-log")
        assert audit.status_code == 200
        told.append(audit.text)
    told.append(files_below(tmp_path).decode(errors="replace"))
    for text in told:
        assert TOKEN not in text
        assert HEADER not in text
