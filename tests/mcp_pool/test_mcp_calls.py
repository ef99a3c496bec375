"""What comes of a call of a tool, at real servers over every transport."""

import asyncio
import sys

import pytest
from mcp.server.lowlevel import Server as LowServer
from mcp_stage import at, pool, text
from mcp_types import ListToolsResult, Tool, ToolAnnotations

from freddy.server.core import errors, items
from freddy.server.ports.mcp import Server
from freddy.server.ports.tools import Answer
from freddy.server.tools.mcp.terms import Program
from freddy_fakes import FixedClock
from mcp_servers import BLOB, PATIENCE, PIXEL, SOUND, everything, everything_program, python_program, python_server

STAGES = [("streamable_http", False), ("streamable_http", True), ("sse", False)]
stages = pytest.mark.parametrize(("transport", "legacy"), STAGES, ids=["streamable", "legacy", "sse"])


@stages
async def test_tools_are_listed_and_called_over_every_transport(transport, legacy):
    async with python_server(transport, legacy=legacy) as server, pool() as servers:
        tools = {tool.name: tool for tool in await servers.tools(at(server))}
        assert tools["add"].description == "Adds two numbers."
        assert tools["add"].read_only
        assert not tools["echo"].read_only
        assert b'"required":["a","b"]' in bytes(tools["add"].input_schema)
        assert b'"readOnlyHint":true' in bytes(tools["add"].annotations)
        assert text(await servers.call(at(server), "add", '{"a": 1, "b": 2}')) == "3"
        assert [(call.tool, call.arguments) for call in server.ledger.calls] == [("add", {"a": 1, "b": 2})]


async def test_a_program_is_called_over_its_pipes(tmp_path):
    program = Program(command=tuple(python_program(tmp_path / "ledger")))
    async with pool(programs={"stage": program}) as servers:
        server = Server(organization_id="org_one", program="stage")
        assert "add" in {tool.name for tool in await servers.tools(server)}
        assert text(await servers.call(server, "add", '{"a": 1, "b": 2}')) == "3"


async def test_the_reference_server_of_node_is_called_over_http():
    async with everything() as url, pool() as servers:
        names = {tool.name for tool in await servers.tools(at(url))}
        assert {"echo", "get-sum", "get-tiny-image"} <= names
        assert text(await servers.call(at(url), "echo", '{"message": "hi"}')) == "Echo: hi"
        picture = await servers.call(at(url), "get-tiny-image", "{}")
        assert [part.url[:22] for part in picture.parts if isinstance(part, items.Image)] == ["data:image/png;base64,"]
        links = await servers.call(at(url), "get-resource-links", '{"count": 2}')
        assert text(links).count("Resource demo://") == 2
        # It tells of its progress meanwhile, and of nothing that anybody here would hear.
        slow = await servers.call(at(url), "trigger-long-running-operation", '{"duration": 0.5, "steps": 5}')
        assert "completed" in text(slow)
        wrong = await servers.call(at(url), "get-sum", '{"a": "one"}')
        assert wrong.error is not None
        assert "get-sum" in wrong.error


async def test_the_reference_server_of_node_is_called_over_sse():
    async with everything("sse") as url, pool() as servers:
        assert text(await servers.call(at(url), "get-sum", '{"a": 1, "b": 2}')) == "The sum of 1 and 2 is 3."


async def test_the_reference_server_of_node_is_called_as_a_program():
    command = await asyncio.to_thread(everything_program)
    async with pool(programs={"everything": Program(command=tuple(command))}) as servers:
        server = Server(organization_id="org_one", program="everything")
        assert text(await servers.call(server, "echo", '{"message": "hi"}')) == "Echo: hi"


async def test_each_kind_of_content_becomes_a_part():
    async with python_server() as server, pool() as servers:
        assert await servers.call(at(server), "picture", "") == Answer(
            parts=(items.Image(url=f"data:image/png;base64,{PIXEL}"),)
        )
        assert await servers.call(at(server), "sound", "{}") == Answer(parts=(items.Audio(data=SOUND, format="wav"),))
        assert await servers.call(at(server), "pages", "{}") == Answer(
            parts=(
                items.Text("Resource notes://one:\nFirst page."),
                items.File(data=f"data:application/octet-stream;base64,{BLOB}", filename="two.bin"),
                items.Text("Resource notes://three: Third page"),
            )
        )
        assert await servers.call(at(server), "table", "{}") == Answer(parts=(items.Text('{"rows":[1,2]}'),))


async def test_what_the_tool_says_went_wrong_is_the_error_of_the_answer():
    async with python_server() as server, pool() as servers:
        failed = await servers.call(at(server), "fail", '{"reason": "the shop is closed"}')
        assert failed.error is not None
        assert "the shop is closed" in failed.error
        assert not failed.parts


@stages
async def test_what_the_server_refuses_is_the_error_of_the_answer(transport, legacy):
    async with python_server(transport, legacy=legacy) as server, pool() as servers:
        refused = await servers.call(at(server), "juggle", "{}")
        assert refused.error is not None
        assert "juggle" in refused.error


@pytest.mark.parametrize(
    "arguments", ["[1]", "{", "3", '"a"', '{"a": "\\ud800"}', '{"a": ' + "[" * 200 + "]" * 200 + "}", "[" * 100_000]
)
async def test_arguments_that_are_no_object_are_not_sent(arguments):
    async with python_server() as server, pool() as servers:
        refused = await servers.call(at(server), "add", arguments)
        assert refused.error == "The arguments are not a JSON object, or nested too deeply."
        assert server.ledger.requests == []


@stages
async def test_nobody_answers_the_questions_of_a_tool(transport, legacy):
    async with python_server(transport, legacy=legacy) as server, pool() as servers:
        asked = await servers.call(at(server), "ask", "{}")
        assert asked.error is not None
        assert text(await servers.call(at(server), "echo", '{"text": "still here"}')) == "still here"


@pytest.mark.parametrize("legacy", [False, True], ids=["streamable", "legacy"])
async def test_a_long_answer_is_cut_with_a_note(legacy):
    async with python_server(legacy=legacy) as server, pool(result_bytes=1024) as servers:
        long = text(await servers.call(at(server), "big", '{"letters": 3000}'))
        assert long == "x" * 1024 + "\n[Cut: the answer is longer than 1,024 bytes.]"


@stages
async def test_a_call_that_takes_too_long_is_given_up_at_the_server(transport, legacy):
    async with python_server(transport, legacy=legacy) as server, pool(call_seconds=1) as servers:
        with pytest.raises(errors.ToolFailed, match=r"127\.0\.0\.1 did not answer within 1 seconds"):
            await servers.call(at(server), "sleep", '{"seconds": 600}')
        await server.ledger.wait(lambda: server.ledger.cancelled == ["sleep"])


@stages
async def test_who_gives_up_waiting_ends_the_call_at_the_server_and_leaves_the_session_usable(transport, legacy):
    async with python_server(transport, legacy=legacy) as server, pool() as servers:
        async with asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(servers.call(at(server), "sleep", '{"seconds": 600}'))
            await server.ledger.wait(lambda: len(server.ledger.calls) == 1)
            calling.cancel()
            await server.ledger.wait(lambda: server.ledger.cancelled == ["sleep"])
        assert calling.cancelled()
        assert text(await servers.call(at(server), "echo", '{"text": "still here"}')) == "still here"
        openings = server.ledger.asked("initialize") if legacy else server.ledger.asked("server/discover")
        assert openings == (2 if transport == "sse" else 1)  # the first was tried on the newer transport


def _paging(ledger):
    """Five pages of 300 tools, with some that nobody should show to a model."""

    async def pages(_context, params):
        page = int(params.cursor) if params is not None and params.cursor else 0
        ledger.call("list", page=page)
        tools = [Tool(name=f"tool_{page * 300 + number}", input_schema={"type": "object"}) for number in range(300)]
        if page == 0:
            tools[1].description = "d" * 20_000
            tools[2].input_schema = {"type": "object", "title": "t" * 70_000}
            tools[3].name = "n" * 300
            tools[4].name = "tool_0"
            tools[5].annotations = ToolAnnotations(title="t" * 5000)
        return ListToolsResult(tools=tools, next_cursor=None if page == 4 else str(page + 1))

    return LowServer("pages", on_list_tools=pages)


async def test_all_pages_of_a_list_are_read_up_to_a_thousand_tools_and_what_is_too_large_is_left_out(caplog):
    async with python_server(build=_paging) as server, pool() as servers:
        names = [tool.name for tool in await servers.tools(at(server))]
        assert len(names) == 1000
        assert names[:2] == ["tool_0", "tool_6"]
        assert [call.arguments["page"] for call in server.ledger.calls] == [0, 1, 2, 3]
    (left_out,) = [record for record in caplog.records if record.message == "mcp_tools_left_out"]
    assert vars(left_out)["left_out"] == 200


async def test_a_list_is_asked_for_once_and_again_when_it_is_old():
    clock = FixedClock()
    async with python_server() as server, pool(clock=clock, list_seconds=60, idle_seconds=3600) as servers:
        first = await asyncio.gather(*(servers.tools(at(server)) for _ in range(5)))
        assert all(tools == first[0] for tools in first)
        clock.advance(59)
        await servers.tools(at(server))
        assert server.ledger.asked("tools/list") == 1
        clock.advance(2)
        await servers.tools(at(server))
        assert server.ledger.asked("tools/list") == 2
        await servers.tools(at(server), fresh=True)
        assert server.ledger.asked("tools/list") == 3


@stages
async def test_a_server_that_says_its_tools_changed_is_asked_again(transport, legacy):
    async with python_server(transport, legacy=legacy) as server, pool() as servers:
        before = await servers.tools(at(server))
        news = "GET" if legacy else "POST"
        await server.ledger.wait(
            lambda: any(
                seen.method == news and (legacy or seen.rpc == "subscriptions/listen")
                for seen in server.ledger.requests
            )
        )
        await servers.call(at(server), "grow", '{"name": "extra"}')
        async with asyncio.timeout(PATIENCE):
            while len(await servers.tools(at(server))) == len(before):  # noqa: ASYNC110 nobody tells the test
                await asyncio.sleep(0)
        assert "extra" in {tool.name for tool in await servers.tools(at(server))}


async def test_without_the_package_it_says_how_to_get_it(tmp_path):
    script = tmp_path / "without.py"
    script.write_text(
        "import asyncio, sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mcp' or name.startswith('mcp.'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "from freddy.server.core import errors\n"
        "from freddy.server.ports.mcp import Server\n"
        "from freddy.server.tools.mcp.servers import PooledMcpServers\n"
        "from freddy.server.world import SystemClock\n"
        "async def main():\n"
        "    async with PooledMcpServers(None, clock=SystemClock()) as servers:\n"
        "        try:\n"
        "            await servers.tools(Server(organization_id='org', url='https://mcp.example.com/mcp'))\n"
        "        except errors.ToolFailed as error:\n"
        "            print(error.message, error.details)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, script, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert b"mcp.example.com" in said
    assert b"pip install 'freddy-gateway[server,mcp]'" in said
