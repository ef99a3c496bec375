"""What tests of tools share: the tools of requests, answers that call them, and what can be read of both sides."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "functions"))

from functions_stage import FunctionServer, verified
from gateway import DEV_KEY, Gateway, Stream

from mcp_servers import Called, PythonServer, python_server
from simulators.script import Line
from stores_stage import HANDBOOK, Library, library
from upstream import Answer, call, text

__all__ = ["HANDBOOK", "FunctionServer", "Library", "library", "verified"]

Json = dict[str, Any]

PATHS = {"freddy": "/v1/model/response", "openai": "/v1/responses"}
ASKS = {"freddy": "approval_request", "openai": "mcp_approval_request"}
"""How each dialect calls an item that asks for approval."""
both = pytest.mark.parametrize("dialect", ["freddy", "openai"])
TWO_AND_THREE = '{"a":2,"b":3}'
FIVE = Answer(text("Fi", "ve."))


def mcp(server: PythonServer | str, approval: Any = "never", **more: Any) -> Json:
    """The tool of a request; `approval` is its `require_approval`."""
    url = server if isinstance(server, str) else server.url
    return {"type": "mcp", "server_label": "sums", "server_url": url, "require_approval": approval, **more}


def calls(name: str = "add", arguments: str = TWO_AND_THREE, call_id: str = "call_1", index: int = 0) -> list[Line]:
    return call(name, arguments, call_id=call_id, index=index)


def approval(request_id: str, *, approve: bool = True, **more: Any) -> Json:
    """An answer to a request for approval, as both dialects take it."""
    return {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve, **more}


def kinds(response: Json) -> list[str]:
    return [item["type"] for item in response["output"]]


def item(response: Json, kind: str) -> Json:
    """The one item of this type."""
    (found,) = [one for one in response["output"] if one["type"] == kind]
    return found


def order(told: Stream) -> list[str]:
    """The types of the events without `response.`; those of whole items with the type of the item."""
    return [
        f"{kind} {event['item']['type']}" if "item" in event else kind
        for event in told.events
        for kind in [event["type"].removeprefix("response.")]
    ]


def outputs(asked: Json) -> list[Any]:
    """What a chat model read of its calls."""
    return [message["content"] for message in asked["messages"] if message["role"] == "tool"]


def offered(asked: Json) -> list[str]:
    """The names of the functions that a chat model was offered."""
    return [tool["function"]["name"] for tool in asked.get("tools", ())]


async def listed(gateway: Gateway, response_id: str, dialect: str, *, key: str = DEV_KEY) -> Json:
    """The response as it is kept."""
    reply = await gateway.get(f"{PATHS[dialect]}/{response_id}", key=key)
    assert reply.status_code == 200, reply.text
    return reply.json()


def refused(reply: Any, status: int) -> Json:
    """The error of an answer that is one."""
    assert reply.status_code == status, reply.text
    return reply.json()["error"]


def files_below(home: Path) -> bytes:
    """The content of all files there: the database, its log, and everything else."""
    return b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())


@contextlib.asynccontextmanager
async def sums(**options: Any) -> AsyncIterator[PythonServer]:
    async with python_server(**options) as server:
        yield server


def called(server: PythonServer, tool: str = "add") -> list[Called]:
    return [one for one in server.ledger.calls if one.tool == tool]
