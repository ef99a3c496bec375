"""A server that dies while a tool is waited for, or works: what was approved is done once, and nothing twice."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from freddy_process import serving, stream_events
from mcp_servers import PythonServer, python_server
from simulators.aside import Aside
from simulators.chat import Chat
from simulators.script import Answer, Call, Reply, call, text

PATHS = {"freddy": "/v1/model/response", "openai": "/v1/responses"}
both = pytest.mark.parametrize("dialect", PATHS)


def answering(asked: Call) -> Reply:
    """Calls the tool that the user named with the arguments behind it, and answers once it has read an output."""
    last = asked.body["messages"][-1]
    if last["role"] == "tool":
        return Answer(text("It said ", last["content"]))
    name, _, arguments = last["content"].partition(" ")
    return Answer(call(name, arguments, call_id="call_1"))


def tool(server: PythonServer, approval: str) -> dict[str, Any]:
    return {"type": "mcp", "server_label": "sums", "server_url": server.url, "require_approval": approval}


def body(dialect: str, said: Any, **more: Any) -> dict[str, Any]:
    return {"input": said, "model": "m", **more} if dialect == "openai" else {"inputs": said, **more}


async def post(client: httpx2.AsyncClient, dialect: str, said: Any, **more: Any) -> httpx2.Response:
    return await client.post(PATHS[dialect], json=body(dialect, said, **more))


def answer_to(response: dict[str, Any], *, approve: bool = True) -> list[dict[str, Any]]:
    (request,) = [one for one in response["output"] if one["type"].endswith("approval_request")]
    return [{"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve}]


@both
async def test_an_approval_that_was_asked_for_before_a_power_cut_is_given_after_it(tmp_path: Path, dialect: str):
    home, other = tmp_path / "home", "openai" if dialect == "freddy" else "freddy"
    async with python_server() as tools:
        with Aside(upstream := Chat(answering=answering)):
            sums = tool(tools, "always")
            with serving(home, FREDDY_UPSTREAM_URL=upstream.url) as server:
                async with server.asynchronous() as client:
                    asked = (await post(client, dialect, 'add {"a":2,"b":3}', tools=[sums])).json()
                server.kill()
            assert tools.ledger.calls == []
            with serving(home, FREDDY_UPSTREAM_URL=upstream.url) as server:
                async with server.asynchronous() as client:
                    yes = {"tools": [sums], "previous_response_id": asked["id"]}
                    done = await post(client, other, answer_to(asked), **yes)
                    assert done.status_code == 200, done.text
                    assert done.json()["output"][-1]["content"][0]["text"] == "It said 5"
                    again = await post(client, dialect, answer_to(asked), **yes)
                    assert again.status_code == 409, again.text
                server.kill()
            with serving(home, FREDDY_UPSTREAM_URL=upstream.url) as server:
                async with server.asynchronous() as client:
                    later = await post(client, dialect, answer_to(asked), **yes)
                    assert later.status_code == 409, later.text
    assert [one.tool for one in tools.ledger.calls] == ["add"]
    assert tools.ledger.asked("tools/list") == 1


@both
async def test_a_call_that_a_power_cut_interrupted_is_not_made_again(tmp_path: Path, dialect: str):
    home = tmp_path / "home"
    async with python_server() as tools:
        with Aside(upstream := Chat(answering=answering)):
            sums = tool(tools, "always")
            with serving(home, FREDDY_UPSTREAM_URL=upstream.url) as server:
                async with server.asynchronous() as client:
                    asked = (await post(client, dialect, 'sleep {"seconds":600}', tools=[sums])).json()
                    yes = {"tools": [sums], "previous_response_id": asked["id"]}
                    begun = await post(client, dialect, answer_to(asked), background=True, **yes)
                    assert begun.status_code in (200, 202), begun.text
                    await tools.ledger.wait(lambda: bool(tools.ledger.calls))
                server.kill()
            with serving(home, FREDDY_UPSTREAM_URL=upstream.url) as server:
                async with server.asynchronous() as client:
                    path = f"{PATHS[dialect]}/{begun.json()['id']}"
                    told = stream_events((await client.get(f"{path}?stream=true")).text)
                    assert told[-1]["type"] == "response.completed"
                    ended = (await client.get(path)).json()
                    (made,) = [one for one in ended["output"] if one["type"] == "mcp_call"]
                    assert made["status"] in ("incomplete", "failed")
                    # It may have been made: whether it is to be made once more is asked, and the first yes is used up.
                    (anew,) = [one for one in ended["output"] if one["type"].endswith("approval_request")]
                    assert anew["name"] == "sleep"
                    again = await post(client, dialect, answer_to(asked), **yes)
                    assert again.status_code == 409, again.text
                    # The conversation goes on without it.
                    on = await post(client, dialect, 'add {"a":2,"b":3}', **{**yes, "tools": [tool(tools, "never")]})
                    assert on.json()["output"][-1]["content"][0]["text"] == "It said 5"
    assert [one.tool for one in tools.ledger.calls] == ["sleep", "add"]


async def test_a_server_that_is_stopped_gives_up_the_calls_that_it_waits_for(tmp_path: Path):
    home = tmp_path / "home"
    async with python_server() as tools:
        with (
            Aside(upstream := Chat(answering=answering)),
            serving(home, FREDDY_UPSTREAM_URL=upstream.url, FREDDY_SHUTDOWN_SECONDS="1") as server,
        ):
            async with server.asynchronous() as client:
                said = 'sleep {"seconds":600}'
                begun = await post(client, "openai", said, tools=[tool(tools, "never")], background=True)
                assert begun.status_code == 200, begun.text
                await tools.ledger.wait(lambda: bool(tools.ledger.calls))
            server.process.terminate()
            assert server.wait_ended() == 0
            await tools.ledger.wait(lambda: tools.ledger.cancelled == ["sleep"])
        # The response was not given up: the next server goes on with it.
        with Aside(upstream := Chat(answering=answering)), serving(home, FREDDY_UPSTREAM_URL=upstream.url) as server:
            async with server.asynchronous() as client:
                await tools.ledger.wait(lambda: len(tools.ledger.calls) == 2)
                ended = (await client.post(f"/v1/responses/{begun.json()['id']}/cancel")).json()
                assert ended["status"] == "cancelled"
                assert ended["output"][-1]["status"] == "incomplete"
