"""The examples that use tools, with a simulated OpenAI that calls them and real tools behind the server."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_examples import run
from test_examples_vendors import SETTINGS

from freddy_process import Served, serving
from mcp_servers import PythonServer, python_server
from promises import promise
from simulators.aside import Aside
from simulators.messages import Messages
from simulators.responses import Responses
from simulators.script import Answer, Call, call, text

ALL = sorted((Path(__file__).parent / "programs" / "tools").iterdir())
ARGUMENTS = {
    "get_current_weather": {"unit": "fahrenheit", "location": "San Francisco, CA"},
    "send_email": {"to": "john@example.com", "subject": "Q4 report", "body": "Here it is."},
    "get_weather": {"city": "Paris"},
    "get_stock_price": {"symbol": "AAPL"},
    "get_news": {"topic": "technology"},
    "get_cities": {"region": "europe"},
    "get_temperature": {"city": "Paris"},
    "file_search": {"query": "authentication keys"},
    "add": {"a": 2, "b": 3},
}
"""What the model calls, where it is offered; some with keys in another order than the schema's."""
FIRST = ("get_current_weather", "send_email", "get_weather", "get_cities", "get_temperature", "file_search", "add")


def model(asked: Call) -> Answer:
    """Calls what it is offered and has not called yet, one after the other, and then answers."""
    offered = {tool["name"] for tool in asked.body.get("tools", ()) if tool["type"] == "function"}
    called = {item["name"] for item in asked.body["input"] if item.get("type") == "function_call"}
    for name in FIRST:
        if name in offered and name not in called:
            return Answer(call(name, json.dumps(ARGUMENTS[name]), call_id=f"call_{name}"))
    return Answer(text("Light ", "leaves."))


class Tools:
    """A server before the simulated vendor; the configuration of the examples leads to a real MCP server."""

    def __init__(self, server: Served, openai: Responses, mcp: PythonServer) -> None:
        self.server = server
        self.openai = openai
        self.mcp = mcp


@contextmanager
def _mcp() -> Iterator[PythonServer]:
    """The server in a loop of its own: the examples are programs, and nobody else runs one here."""
    started, over = threading.Event(), asyncio.Event()
    found: list[tuple[PythonServer, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with python_server() as server:
            found.append((server, asyncio.get_running_loop()))
            started.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    server, loop = found[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    home = tmp_path_factory.mktemp("examples") / "home"
    home.mkdir()
    openai, anthropic = Responses(answering=model), Messages(answering=model)
    file = home / "freddy.toml"
    with _mcp() as mcp, Aside(openai, anthropic):
        file.write_text(SETTINGS.format(openai=openai.url, anthropic=anthropic.url))
        with serving(home, FREDDY_CONFIG=str(file), FREDDY_DEV_MCP_URL=mcp.url) as server:
            yield Tools(server, openai, mcp)


def of(*numbers: int) -> list[Path]:
    return [path for path in ALL if int(path.name[:3]) in numbers]


@promise(112)
@pytest.mark.xdist_group("examples-tools")
@pytest.mark.parametrize("program", ALL, ids=lambda program: program.stem)
def test_an_example_with_tools_runs_unchanged(program: Path, tools: Tools):
    run(program, tools.server)
    assert tools.openai.complaints == []


@promise(120, 119)
@pytest.mark.xdist_group("examples-tools")
@pytest.mark.parametrize("program", of(81, 82, 83), ids=lambda program: program.stem)
def test_the_agentic_examples_are_answered_by_the_servers_own_functions(program: Path, tools: Tools):
    before = len(tools.openai.calls)
    printed = run(program, tools.server)
    assert "leaves." in printed
    turns = tools.openai.calls[before:]
    outputs = [item["output"] for item in turns[2].body["input"] if item.get("type") == "function_call_output"]
    assert "Paris" in outputs[0]
    assert "mean" in outputs[1]


@promise(190, 199)
@pytest.mark.xdist_group("examples-tools")
@pytest.mark.parametrize("program", of(28, 29), ids=lambda program: program.stem)
def test_a_saved_server_is_asked_for_its_tools_and_its_calls_wait_for_approval(program: Path, tools: Tools):
    calls = len(tools.mcp.ledger.calls)
    printed = run(program, tools.server)
    # The list is remembered from one program to the next.
    assert tools.mcp.ledger.asked("tools/list") >= 1
    assert len(tools.mcp.ledger.calls) == calls
    if program.suffix == ".sh":
        assert '"status":"requires_action"' in printed


@promise(132)
@pytest.mark.xdist_group("examples-tools")
@pytest.mark.parametrize("program", of(37, 40), ids=lambda program: program.stem)
def test_the_documentation_is_searched(program: Path, tools: Tools):
    printed = run(program, tools.server)
    assert "leaves." in printed
    outputs = [item for item in tools.openai.last.body["input"] if item.get("type") == "function_call_output"]
    assert "API key" in outputs[-1]["output"]


@promise(211)
@pytest.mark.xdist_group("examples-tools")
@pytest.mark.parametrize("program", of(74), ids=lambda program: program.stem)
def test_arguments_come_in_the_order_of_the_schema(program: Path, tools: Tools):
    run(program, tools.server)
    outputs = [item for item in tools.openai.last.body["input"] if item.get("type") == "function_call_output"]
    told = json.loads(outputs[-1]["output"])
    assert (told["location"], told["unit"]) == ("San Francisco, CA", "fahrenheit")
