"""What strangers' servers say is kept on either database, whatever characters it has."""

from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from tool_stage import FIVE, PATHS, calls, item, mcp

from databases import fresh_database
from freddy.server.config import settings as parts
from mcp_servers import python_server
from stores_stage import library
from upstream import Answer

ODD = "nul \0, bell \a, \x7f, \u2028, \ufffe, \U0010ffff, e\u0301"


def odd(_: Any) -> Any:
    server: Any = MCPServer("odd", version="1")

    @server.tool(description=ODD, structured_output=False)
    def tell(text: str) -> str:
        return text + ODD

    @server.tool()
    def fail() -> str:
        raise ToolError(ODD)

    return server


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_odd_characters_of_a_server_are_kept(upstream, tmp_path, database, dialect):
    async with python_server(build=odd) as server, fresh_database() as url:
        store = {} if database == "sqlite" else {"store": parts.Store(database=url)}
        async with library(tmp_path, upstream, **store) as shelf:
            for name, arguments in (("tell", '{"text":"\\u0000"}'), ("fail", "{}")):
                upstream.says(Answer(calls(name, arguments)), FIVE)
                tools = [mcp(server)]
                answer = await shelf.gateway.ask(dialect, tools=tools)
                assert answer["status"] == "completed", answer
                kept = await shelf.gateway.get(f"{PATHS[dialect]}/{answer['id']}")
                assert kept.status_code == 200
                told = item(kept.json(), "mcp_call")
                assert told == item(answer, "mcp_call")
                assert "e\u0301" in str(told["output"] or told["error"])
                upstream.says(FIVE)
                again = await shelf.gateway.ask(dialect, tools=tools, previous_response_id=answer["id"])
                assert again["status"] == "completed"
