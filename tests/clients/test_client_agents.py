"""The OpenAI Agents SDK, unmodified, before each kind of vendor: tools, handoffs, sessions, hosted MCP, file search."""

import dataclasses

import pytest
from agents import (
    Agent,
    FileSearchTool,
    HostedMCPTool,
    MCPToolApprovalFunctionResult,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    SQLiteSession,
    function_tool,
)

from mcp_servers import python_server
from promises import promise
from simulators.script import Answer, call, text
from stores_stage import library

QUIET = RunConfig(tracing_disabled=True)


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"12 degrees in {city}"


@pytest.fixture
async def searching(stage, tmp_path):
    """The stage with somebody who makes vectors."""
    async with library(tmp_path / "library", stage.vendor, upstreams=stage.gateway.settings.upstreams) as shelf:
        yield dataclasses.replace(stage, gateway=shelf.gateway)


def model(stage) -> OpenAIResponsesModel:
    return OpenAIResponsesModel(stage.model, stage.gateway.openai())


def agent(stage, name: str = "Fox", **options) -> Agent:
    return Agent(name=name, model=model(stage), **options)


def asking(server) -> HostedMCPTool:
    """A tool whose every call is approved."""
    return HostedMCPTool(
        tool_config={
            "type": "mcp",
            "server_label": "sums",
            "server_url": server.url,
            "require_approval": "always",
        },
        on_approval_request=lambda _: {"approve": True},
    )


@promise(275)
async def test_its_function_tools_are_called(stage):
    stage.vendor.says(Answer(call("get_weather", '{"city":"Oslo"}', call_id="call_1")), Answer(text("It is mild.")))
    made = agent(stage, instructions="Be brief.", tools=[get_weather])
    result = await Runner.run(made, "Oslo?", run_config=QUIET)
    assert result.final_output == "It is mild."
    assert stage.told[-1] == ("output", "12 degrees in Oslo")


async def test_its_streams_are_read(stage):
    stage.vendor.says(Answer(call("get_weather", '{"city":"Oslo"}', call_id="call_1")), Answer(text("It is ", "mild.")))
    result = Runner.run_streamed(agent(stage, tools=[get_weather]), "Oslo?", run_config=QUIET)
    kinds = [event.type async for event in result.stream_events()]
    assert result.final_output == "It is mild."
    assert {"raw_response_event", "run_item_stream_event", "agent_updated_stream_event"} == set(kinds)


async def test_an_agent_hands_over_to_another(stage):
    stage.vendor.says(Answer(call("transfer_to_hare", "{}", call_id="call_1")), Answer(text("I am the hare.")))
    hare = agent(stage, "Hare", instructions="You are the hare.")
    result = await Runner.run(agent(stage, handoffs=[hare]), "Hare, please", run_config=QUIET)
    assert result.final_output == "I am the hare."
    assert result.last_agent.name == "Hare"


@pytest.mark.parametrize("kind", ["conversation", "sqlite"])
async def test_its_sessions_remember(stage, kind):
    stage.vendor.says(Answer(text("Hello Ada.")), Answer(text("You are Ada.")))
    session = (
        OpenAIConversationsSession(openai_client=stage.gateway.openai())
        if kind == "conversation"
        else SQLiteSession("s")
    )
    made = agent(stage)
    await Runner.run(made, "I am Ada", session=session, run_config=QUIET)
    result = await Runner.run(made, "Who am I?", session=session, run_config=QUIET)
    assert result.final_output == "You are Ada."
    assert stage.told == [("user", "I am Ada"), ("assistant", "Hello Ada."), ("user", "Who am I?")]
    assert len(await session.get_items()) == 4


@promise(191, 193, 197, 199)
async def test_its_hosted_mcp_tools_run_on_the_server(stage):
    async with python_server() as server:
        stage.vendor.says(Answer(call("add", '{"a":2,"b":3}', call_id="call_1")), Answer(text("Five.")))
        tool = HostedMCPTool(
            tool_config={
                "type": "mcp",
                "server_label": "sums",
                "server_url": server.url,
                "authorization": "s3cret",
                "allowed_tools": ["add"],
                "require_approval": "never",
            }
        )
        result = await Runner.run(agent(stage, tools=[tool]), "2 and 3?", run_config=QUIET)
    assert result.final_output == "Five."
    assert [item.type for item in result.raw_responses[0].output] == ["mcp_list_tools", "mcp_call", "message"]
    listed, called, _ = result.raw_responses[0].output
    assert [tool.name for tool in listed.tools] == ["add"]
    assert (called.name, called.arguments, called.output, called.error) == ("add", '{"a":2,"b":3}', "5", None)
    assert "Bearer s3cret" in str(server.ledger)
    assert stage.told[-1] == ("output", "5")


@pytest.mark.parametrize("approve", [True, False])
async def test_it_approves_calls_or_does_not(stage, approve):
    async with python_server() as server:
        stage.vendor.says(Answer(call("add", '{"a":2,"b":3}', call_id="call_1")), Answer(text("Well.")))

        def decide(_) -> MCPToolApprovalFunctionResult:
            return {"approve": approve} if approve else {"approve": False, "reason": "too dear"}

        tool = HostedMCPTool(
            tool_config={
                "type": "mcp",
                "server_label": "sums",
                "server_url": server.url,
                "require_approval": "always",
            },
            on_approval_request=decide,
        )
        result = await Runner.run(agent(stage, tools=[tool]), "2 and 3?", run_config=QUIET)
        calls = [one for one in server.ledger.calls if one.tool == "add"]
    assert result.final_output == "Well."
    assert len(calls) == approve
    said = stage.told[-1]
    assert said[0] == "output"
    assert said[1] == "5" if approve else "too dear" in said[1]


async def test_it_streams_hosted_tools_and_what_waits_for_a_yes(stage):
    async with python_server() as server:
        stage.vendor.says(Answer(call("add", '{"a":2,"b":3}', call_id="call_1")), Answer(text("Fi", "ve.")))
        result = Runner.run_streamed(agent(stage, tools=[asking(server)]), "2 and 3?", run_config=QUIET)
        names = [event.name async for event in result.stream_events() if event.type == "run_item_stream_event"]
    assert result.final_output == "Five."
    assert [one.tool for one in server.ledger.calls] == ["add"]
    assert "mcp_approval_requested" in names
    assert "message_output_created" in names


@pytest.mark.parametrize("kind", ["conversation", "sqlite"])
async def test_its_sessions_remember_hosted_tools(stage, kind):
    """What the server did comes back to it as input: listed tools, requests, answers, and calls."""
    async with python_server() as server:
        stage.vendor.says(
            Answer(call("add", '{"a":2,"b":3}', call_id="call_1")),
            Answer(text("Five.")),
            Answer(call("add", '{"a":4,"b":4}', call_id="call_2")),
            Answer(text("Eight.")),
        )
        made = agent(stage, tools=[asking(server)])
        session = (
            OpenAIConversationsSession(openai_client=stage.gateway.openai())
            if kind == "conversation"
            else SQLiteSession("s")
        )
        first = await Runner.run(made, "2 and 3?", session=session, run_config=QUIET)
        second = await Runner.run(made, "4 and 4?", session=session, run_config=QUIET)
        calls = [one.arguments for one in server.ledger.calls]
    assert (first.final_output, second.final_output) == ("Five.", "Eight.")
    assert calls == [{"a": 2, "b": 3}, {"a": 4, "b": 4}]
    assert [told[1] for told in stage.told if told[0] == "output"] == ["5", "8"]
    assert [told for told in stage.told if told[0] == "user"] == [("user", "2 and 3?"), ("user", "4 and 4?")]
    assert server.ledger.asked("tools/list") == 1


@promise(131)
async def test_its_file_search_finds_passages(searching):
    stage = searching
    client = stage.gateway.openai()
    file = await client.files.create(file=("sky.txt", b"The sky over Oslo is green on Mondays."), purpose="assistants")
    store = await client.vector_stores.create(name="Skies")
    await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=50)
    stage.vendor.says(
        Answer(call("file_search", '{"query":"sky Oslo"}', call_id="call_1")), Answer(text("Green on Mondays."))
    )
    tool = FileSearchTool(vector_store_ids=[store.id], include_search_results=True)
    result = await Runner.run(agent(stage, tools=[tool]), "The sky over Oslo?", run_config=QUIET)
    searched, message = result.raw_responses[0].output
    assert searched.queries == ["sky Oslo"]
    assert [one.filename for one in searched.results] == ["sky.txt"]
    (citation,) = message.content[0].annotations
    assert (citation.type, citation.file_id, citation.filename) == ("file_citation", file.id, "sky.txt")
