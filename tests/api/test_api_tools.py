"""Tools that the server runs, seen from outside: several turns of a model in one request, in both dialects."""

import asyncio
import json
from typing import Any

import pytest
from gateway import Stream, serving, settings, spelled
from tool_stage import (
    ASKS,
    FIVE,
    PATHS,
    TWO_AND_THREE,
    FunctionServer,
    approval,
    both,
    called,
    calls,
    item,
    kinds,
    listed,
    mcp,
    offered,
    order,
    outputs,
    verified,
)

from freddy.server.config import Upstream as UpstreamSettings
from freddy.server.config import settings as parts
from freddy.server.world import SystemClock
from mcp_servers import PATIENCE as PATIENCE_OF_SERVERS
from mcp_servers import Ledger, python_server
from promises import promise
from seen import alike, check_stream
from simulators.messages import Messages
from simulators.responses import Responses
from simulators.script import Hidden
from upstream import PATIENCE, Answer, call, text

CITIES = {"type": "function", "name": "get_cities"}
TEMPERATURE = {"type": "function", "name": "get_temperature"}
REGION = '{"region":"europe"}'
NOWHERE = "http://127.0.0.1:9/mcp"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
_BEGINS = {"openai": ["created", "in_progress"], "freddy": ["created"]}
_MESSAGE = {
    "openai": [
        "output_item.added message",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done message",
    ],
    "freddy": [
        "output_item.added message",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "output_item.done message",
    ],
}
_LIST = [
    "output_item.added mcp_list_tools",
    "mcp_list_tools.in_progress",
    "mcp_list_tools.completed",
    "output_item.done mcp_list_tools",
]
_CALL = [
    "output_item.added mcp_call",
    "mcp_call.in_progress",
    "mcp_call_arguments.delta",
    "mcp_call_arguments.done",
    "mcp_call.completed",
    "output_item.done mcp_call",
]
_FUNCTION = [
    "output_item.added function_call",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done function_call",
    "output_item.added function_call_output",
    "output_item.done function_call_output",
]


@both
async def test_a_call_of_an_mcp_tool_is_told_event_by_event(gateway, upstream, server, dialect):
    upstream.says(Answer(calls()), FIVE)
    told = await gateway.told(dialect, tools=[mcp(server)])
    check_stream(told, dialect)
    assert order(told) == [*_BEGINS[dialect], *_LIST, *_CALL, *_MESSAGE[dialect], "completed"]
    begun, ended = (event["item"] for event in told.events if event.get("item", {}).get("type") == "mcp_call")
    assert (begun["status"], begun["arguments"], begun["output"], begun["error"]) == ("in_progress", "", None, None)
    assert (ended["status"], ended["arguments"], ended["output"]) == ("completed", TWO_AND_THREE, "5")
    first, last = (event["item"] for event in told.events if event.get("item", {}).get("type") == "mcp_list_tools")
    assert first["tools"] == []
    assert "add" in [tool["name"] for tool in last["tools"]]


@promise(120, 208)
async def test_a_function_of_the_server_is_told_event_by_event(gateway, upstream):
    upstream.says(Answer(calls("get_cities", REGION)), FIVE)
    told = await gateway.told("freddy", tools=[CITIES])
    check_stream(told, "freddy")
    assert order(told) == ["created", *_FUNCTION, *_MESSAGE["freddy"], "completed"]
    assert json.loads(item(told.last["response"], "function_call_output")["output"])["cities"][0] == "Paris"


@promise(112, 118, 119, 124)
@both
async def test_one_request_goes_on_through_many_calls_until_there_is_an_answer(gateway, upstream, server, dialect):
    """In both dialects a function of the caller's may stand beside those of the server."""
    tools = [mcp(server), WEATHER, {"type": "web_search"}]

    def script() -> None:
        upstream.says(
            Answer(calls(), usage=(10, 1)),
            Answer(text("Let me see."), calls("echo", '{"text":"six"}', "call_2"), usage=(20, 2)),
            Answer(text("Fi", "ve."), usage=(30, 3)),
        )

    script()
    whole = await gateway.ask(dialect, tools=tools)
    script()
    told = await gateway.told(dialect, tools=tools)
    check_stream(told, dialect)
    streamed = told.last["response"]
    assert kinds(whole) == ["mcp_list_tools", "mcp_call", "message", "mcp_call", "message"]
    assert alike(whole, "call_id") == alike(streamed, "call_id")
    for response in (whole, streamed):
        usage = response["usage"]
        assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (60, 6, 66)
        assert response["output"][-1]["content"][0]["text"] == "Five."
        assert await listed(gateway, response["id"], dialect) == response
    done = [event["item"] for event in told.of("response.output_item.done")]
    assert done == streamed["output"]
    assert outputs(upstream.last.body) == ["5", "six"]
    if dialect == "freddy":
        assert whole["response"].endswith("Five.")


@promise(121)
@both
async def test_calls_and_their_outputs_are_read_in_the_next_request(gateway, upstream, server, dialect):
    upstream.says(Answer(calls()), FIVE, Answer(text("As I said.")), Answer(text("As I said.")))
    first = await gateway.ask(dialect, tools=[mcp(server)])
    for tools in ([mcp(server)], []):
        await gateway.ask(dialect, input="Why?", previous_response_id=first["id"], tools=tools)
        roles = [message["role"] for message in upstream.last.body["messages"]]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]
        assert outputs(upstream.last.body) == ["5"]
    assert server.ledger.asked("tools/list") == 1


@promise(121)
async def test_calls_and_their_outputs_stay_in_a_thread(gateway, upstream):
    upstream.says(Answer(calls("get_cities", REGION)), FIVE, Answer(text("Rome.")))
    first = await gateway.ask("freddy", functions=[CITIES], thread="thread_of_cities")
    assert kinds(first) == ["function_call", "function_call_output", "message"]
    await gateway.ask("openai", input="Which is warmest?", conversation="thread_of_cities")
    assert [message["role"] for message in upstream.last.body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]
    assert "Madrid" in outputs(upstream.last.body)[0]


@both
async def test_a_stream_with_tools_is_told_again_from_any_place(gateway, opened, upstream, server, dialect):
    upstream.says(Answer(calls()), FIVE)
    told = await gateway.told(dialect, tools=[mcp(server)])
    response_id = told.last["response"]["id"]
    if dialect == "openai":
        for after in (0, 5, len(told.events) - 2):
            again = await gateway.get(f"/v1/responses/{response_id}?stream=true&starting_after={after}")
            replayed = Stream(again.content)
            assert [event["sequence_number"] for event in replayed.events] == list(range(after + 1, len(told.events)))
            assert replayed.last == told.last
    later = await opened()  # from the store: memory has forgotten it
    again = await later.get(f"{PATHS[dialect]}/{response_id}?stream=true")
    assert again.status_code == 200, again.text
    replayed = Stream(again.content)
    check_stream(replayed, dialect)
    assert [event["item"] for event in replayed.of("response.output_item.done")] == told.last["response"]["output"]
    assert replayed.last["response"] == told.last["response"]


@both
async def test_the_background_works_with_tools(gateway, upstream, server, dialect):
    upstream.says(Answer(calls()), FIVE)
    begun = await gateway.ask(dialect, tools=[mcp(server)], background=True)
    assert begun["status"] == "queued"
    await gateway.ended(begun["id"])
    ended = await listed(gateway, begun["id"], dialect)
    assert kinds(ended) == ["mcp_list_tools", "mcp_call", "message"]
    assert ended["status"] == "completed"


@both
async def test_a_run_that_is_cancelled_amid_a_tool_gives_the_call_up(gateway, upstream, server, dialect):
    upstream.says(Answer(calls("sleep", '{"seconds":600}')))
    begun = await gateway.ask(dialect, tools=[mcp(server)], background=True)
    await server.ledger.wait(lambda: bool(called(server, "sleep")))
    reply = await gateway.post(f"{PATHS[dialect]}/{begun['id']}/cancel")
    assert reply.status_code == 200, reply.text
    await server.ledger.wait(lambda: server.ledger.cancelled == ["sleep"])
    ended = await listed(gateway, begun["id"], dialect)
    assert ended["status"] == "cancelled"
    assert (kinds(ended), ended["output"][-1]["status"]) == (["mcp_list_tools", "mcp_call"], "incomplete")
    assert len(upstream.calls) == 1


@both
@pytest.mark.parametrize("store", [True, False], ids=["stored", "not stored"])
async def test_who_hangs_up_amid_a_tool_ends_the_call(gateway, upstream, server, dialect, store):
    upstream.says(Answer(calls("sleep", '{"seconds":600}')))
    body = spelled(dialect, stream=True, store=store, tools=[mcp(server)])
    async with gateway.listening(*body) as stream:
        await stream.next("response.mcp_call.in_progress")
        await server.ledger.wait(lambda: bool(called(server, "sleep")))
    await server.ledger.wait(lambda: server.ledger.cancelled == ["sleep"])
    assert len(upstream.calls) == 1


@promise(194)
@both
async def test_a_tool_that_fails_is_told_to_the_model_which_answers(gateway, upstream, server, dialect):
    upstream.says(Answer(calls("fail", '{"reason":"out of order"}')), FIVE)
    told = await gateway.told(dialect, tools=[mcp(server)])
    check_stream(told, dialect)
    assert "mcp_call.failed" in order(told)
    response = told.last["response"]
    assert response["status"] == "completed"
    failed = item(response, "mcp_call")
    assert (failed["status"], failed["output"]) == ("failed", None)
    assert "out of order" in json.dumps(failed["error"])
    assert "out of order" in outputs(upstream.last.body)[0]


@both
async def test_a_tool_has_its_time(opened, upstream, server, dialect):
    # What is done for the first time takes long on a slow machine.
    await (await opened()).ask(dialect, tools=[mcp(server)])
    gateway = await opened(tools=parts.Tools(seconds=2))
    upstream.says(Answer(calls("sleep", '{"seconds":600}')), FIVE)
    response = await gateway.ask(dialect, tools=[mcp(server)])
    assert item(response, "mcp_call")["status"] == "failed"
    assert "longer than 2 seconds" in outputs(upstream.last.body)[0]
    await server.ledger.wait(lambda: server.ledger.cancelled == ["sleep"])
    assert response["output"][-1]["content"][0]["text"] == "Five."


@promise(94, 95, 96)
@both
async def test_calls_beyond_the_limit_are_not_made_and_the_model_answers(gateway, upstream, server, dialect):
    upstream.says(
        Answer(calls(), calls("echo", '{"text":"no"}', "call_2", 1)),
        FIVE,
    )
    told = await gateway.told(dialect, tools=[mcp(server)], max_tool_calls=1, parallel_tool_calls=True)
    check_stream(told, dialect)
    response = told.last["response"]
    assert response["status"] == "completed"
    assert [one.tool for one in server.ledger.calls] == ["add"]
    made, ignored = outputs(upstream.last.body)
    assert made == "5"
    assert "limit of tool calls" in ignored
    assert offered(upstream.last.body) == []
    assert [one["status"] for one in response["output"] if one["type"] == "mcp_call"] == ["completed", "failed"]
    assert response["max_tool_calls"] == 1


CHOICES: list[Any] = [
    ("auto", "auto", None),
    ("none", "auto", []),
    ("required", "required", None),
    ({"type": "function", "name": "get_weather"}, "get_weather", None),
    ({"type": "mcp", "server_label": "sums", "name": "add"}, "add", None),
    ({"type": "mcp", "server_label": "sums"}, "required", ["add", "echo"]),
    ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]}, "auto", ["w"]),
    (
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "mcp", "server_label": "sums"}]},
        "required",
        ["add", "echo"],
    ),
]


@both
@pytest.mark.parametrize(("choice", "told", "among"), CHOICES, ids=str)
async def test_every_choice_of_tools_reaches_the_model_as_functions(
    gateway, upstream, server, dialect, choice, told, among
):
    tools = [mcp(server, allowed_tools=["add", "echo"]), WEATHER]
    await gateway.ask(dialect, tools=tools, tool_choice=choice)
    body = upstream.last.body
    chosen = body.get("tool_choice", "auto")
    if isinstance(chosen, dict) and chosen["type"] == "function":
        chosen = chosen["function"]["name"]
    if among is None:
        assert chosen == told
        assert offered(body) == ["add", "echo", "get_weather"]
    else:
        # Vendors that cannot be told which are offered no others.
        expected = ["get_weather"] if among == ["w"] else among
        if isinstance(chosen, dict):
            named = chosen["allowed_tools"]
            assert named["mode"] == told
            assert [tool["function"]["name"] for tool in named["tools"]] == expected
        else:
            assert chosen == told
            assert offered(body) == expected


@both
async def test_what_must_be_called_is_called_once_and_then_the_model_is_free(gateway, upstream, server, dialect):
    upstream.says(Answer(calls()), FIVE)
    response = await gateway.ask(dialect, tools=[mcp(server)], tool_choice="required")
    assert [one.body.get("tool_choice", "auto") for one in upstream.calls] == ["required", "auto"]
    assert response["tool_choice"] == "required"


def meeting(parties: int) -> Any:
    """A server whose tool `meet` returns once it was called so many times, and whose `alone` must be."""

    def build(ledger: Ledger) -> Any:
        from mcp.server.mcpserver import MCPServer

        server: MCPServer[Any] = MCPServer("stage", version="1")
        barrier = asyncio.Barrier(parties)
        running = 0

        @server.tool()
        async def meet() -> str:
            ledger.call("meet")
            async with asyncio.timeout(PATIENCE_OF_SERVERS):
                await barrier.wait()
            return "met"

        @server.tool()
        async def alone() -> str:
            nonlocal running
            ledger.call("alone")
            running += 1
            most = running
            for _ in range(20):
                await asyncio.sleep(0)
                most = max(most, running)
            running -= 1
            return f"{most} at once"

        return server

    return build


@both
async def test_calls_of_a_turn_are_made_at_once_where_they_may_be(gateway, upstream, dialect):
    async with python_server(build=meeting(3)) as server:
        upstream.says(Answer(*(calls("meet", "{}", f"call_{place}", place) for place in range(3))), FIVE)
        response = await gateway.ask(dialect, tools=[mcp(server)], parallel_tool_calls=True)
    assert [one["output"] for one in response["output"] if one["type"] == "mcp_call"] == ["met"] * 3
    assert [role for role, _ in upstream.last.messages] == ["user", "assistant", "tool", "tool", "tool"]


@promise(123)
@both
async def test_calls_of_a_turn_are_made_one_after_the_other_where_they_must_be(gateway, upstream, dialect):
    async with python_server(build=meeting(2)) as server:
        upstream.says(Answer(*(calls("alone", "{}", f"call_{place}", place) for place in range(3))), FIVE)
        response = await gateway.ask(dialect, tools=[mcp(server)], parallel_tool_calls=False)
    made = [one for one in response["output"] if one["type"] == "mcp_call"]
    assert [one["output"] for one in made] == ["1 at once"] * 3
    assert upstream.calls[0].body["parallel_tool_calls"] is False


async def test_a_strict_function_beside_a_tool_gets_arguments_that_fit(gateway, upstream, server):
    """The first turn calls the server, the second the caller's function: with arguments that do not fit, once."""
    strict = {**WEATHER, "strict": True}
    strict["parameters"] = {**WEATHER["parameters"], "additionalProperties": False}
    upstream.says(
        Answer(calls(), usage=(10, 1)),
        Answer(calls("get_weather", '{"town":"Oslo"}', "call_2"), usage=(10, 1)),
        Answer(calls("get_weather", '{"city":"Oslo"}', "call_3"), usage=(10, 1)),
    )
    told = await gateway.told("openai", tools=[mcp(server), strict])
    check_stream(told, "openai")
    response = told.last["response"]
    assert kinds(response) == ["mcp_list_tools", "mcp_call", "function_call"]
    assert json.loads(response["output"][-1]["arguments"]) == {"city": "Oslo"}
    assert response["usage"]["total_tokens"] == 33
    assert len(called(server)) == 1


# Functions


@promise(120, 208)
async def test_functions_of_the_server_run_there_and_come_back_to_callers_of_openai(gateway, upstream):
    upstream.says(
        Answer(calls("get_cities", REGION)),
        Answer(*(calls("get_temperature", f'{{"city":"{city}"}}', f"call_{city}") for city in ("Paris",))),
        Answer(text("Paris is mild.")),
    )
    answered = await gateway.ask("freddy", functions=[CITIES, TEMPERATURE], input="How warm is Europe?")
    assert kinds(answered) == [
        "function_call",
        "function_call_output",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert answered["response"] == "Paris is mild."
    assert answered["outputs"][0]["texts"][0]["text"] == "Paris is mild."
    assert json.loads(outputs(upstream.last.body)[1])["city"] == "Paris"
    upstream.says(Answer(calls("get_cities", REGION)))
    handed = await gateway.ask("openai", tools=[CITIES], input="How warm is Europe?")
    assert kinds(handed) == ["function_call"]
    assert handed["status"] == "completed"


async def test_a_function_that_the_server_does_not_have_comes_back_beside_one_that_it_has(gateway, upstream):
    upstream.says(
        Answer(calls("get_cities", REGION), calls("get_weather", '{"city":"Oslo"}', "call_2", 1)),
        Answer(text("Well.")),
    )
    first = await gateway.ask("freddy", tools=[CITIES, WEATHER], parallel_tool_calls=True)
    assert kinds(first) == ["function_call", "function_call", "function_call_output"]
    assert len(upstream.calls) == 1
    output = {"type": "function_call_output", "call_id": "call_2", "output": "12 degrees"}
    second = await gateway.ask(
        "freddy", tools=[CITIES, WEATHER], previous_response_id=first["id"], input=[output], parallel_tool_calls=True
    )
    assert second["response"] == "Well."
    assert sorted(outputs(upstream.last.body))[0] == "12 degrees"
    assert len(outputs(upstream.last.body)) == 2


FOLLOW_UPS = {
    "functionCall": (
        {"role": "assistant", "functionCall": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}},
        {"role": "function", "name": "get_weather", "content": "12 degrees"},
    ),
    "function_call": (
        {"role": "assistant", "function_call": {"name": "get_weather", "arguments": {"city": "Oslo"}}},
        {"role": "function", "name": "get_weather", "texts": [{"text": "12 degrees"}]},
    ),
    "tool_calls": (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_9",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_9", "content": "12 degrees"},
    ),
    "items": (
        {"type": "function_call", "call_id": "call_9", "name": "get_weather", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call_output", "call_id": "call_9", "output": "12 degrees"},
    ),
}


@promise(213, 214)
@pytest.mark.parametrize("spelling", FOLLOW_UPS)
async def test_an_output_is_handed_in_in_every_spelling(gateway, upstream, server, spelling):
    """Beside tools of the server, which the model goes on to call."""
    upstream.says(Answer(calls()), FIVE)
    inputs = [{"role": "user", "content": "How is Oslo?"}, *FOLLOW_UPS[spelling]]
    response = await gateway.ask("freddy", input=inputs, tools=[WEATHER, mcp(server)])
    assert response["response"] == "Five."
    assert outputs(upstream.last.body) == ["12 degrees", "5"]
    made = upstream.last.body["messages"][1]["tool_calls"][0]
    assert made["function"]["name"] == "get_weather"
    assert json.loads(made["function"]["arguments"]) == {"city": "Oslo"}


async def test_custom_and_namespaced_tools_stay_as_they_are_beside_those_of_the_server(gateway, upstream, server):
    patch = {"type": "custom", "name": "apply_patch", "description": "Patches"}
    group = {"type": "namespace", "name": "agents", "description": "Others", "tools": [{**WEATHER, "name": "spawn"}]}
    upstream.says(
        Answer(calls()),
        Answer(
            call("apply_patch", '{"input":"*** Begin"}', call_id="call_2"),
            call("spawn", '{"city":"Oslo"}', call_id="call_3", index=1),
        ),
    )
    told = await gateway.told("openai", tools=[mcp(server, allowed_tools=["add"]), patch, group])
    check_stream(told, "openai")
    response = told.last["response"]
    assert offered(upstream.calls[0].body) == ["add", "apply_patch", "spawn"]
    assert kinds(response) == ["mcp_list_tools", "mcp_call", "custom_tool_call", "function_call"]
    assert response["output"][2]["input"] == "*** Begin"
    assert (response["output"][3]["name"], response["output"][3]["namespace"]) == ("spawn", "agents")
    assert [tool["type"] for tool in response["tools"]] == ["mcp", "custom", "namespace"]


@pytest.fixture
async def stock():
    async with FunctionServer() as server:
        yield server


@promise(75, 80, 81)
async def test_a_registered_function_is_called_with_its_signature_and_tells_what_it_did(gateway, upstream, stock):
    parameters = {"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]}
    reply = await gateway.post(
        "/v1/functions",
        {"name": "stock_of", "description": "How much", "parameters": parameters, "url": stock.url},
    )
    assert reply.status_code == 201, reply.text
    secret = reply.json()["secret"]
    plain = {"type": "function", "name": "stock_of"}
    for include in ([], ["function_calls.logs"], ["function_calls.sources"], ["all"]):
        upstream.says(Answer(calls("stock_of", '{"article":"nails"}')), FIVE)
        response = await gateway.ask("freddy", tools=[plain], include=include)
        output = item(response, "function_call_output")
        assert output["output"] == "42 pieces"
        assert ("logs" in output) == (include in (["function_calls.logs"], ["all"]))
        assert ("source" in output) == (include in (["function_calls.sources"], ["all"]))
    assert output["source"] == f"registered {reply.json()['id']}"
    assert output["logs"]["status"] == "completed"
    assert output["logs"]["milliseconds"] >= 0
    function = upstream.last.body["tools"][0]["function"]
    assert (function["description"], function["parameters"]) == ("How much", parameters)
    heard = stock.heard[-1]
    assert verified(secret, heard.headers, heard.body, now=SystemClock().now())
    assert heard.told["arguments"] == {"article": "nails"}


async def test_functions_of_another_organization_are_not_called(opened, upstream, stock):
    closed = await opened(dev=parts.Development(mode="off"), network=parts.Network(allow_private=("127.0.0.0/8",)))
    ours, theirs = await closed.mint("org_ours"), await closed.mint("org_theirs")
    body = {"name": "stock_of", "url": stock.url, "parameters": {"type": "object"}}
    assert (await closed.post("/v1/functions", body, key=ours.secret)).status_code == 201
    plain = {"type": "function", "name": "stock_of"}
    for minted, expected in (
        (ours, ["function_call", "function_call_output", "message"]),
        (theirs, ["function_call"]),
    ):
        upstream.says(Answer(calls("stock_of", "{}")), *([FIVE] if minted is ours else []))
        reply = await closed.post(*spelled("freddy", tools=[plain]), key=minted.secret)
        assert kinds(reply.json()) == expected
    assert len(stock.heard) == 1


# A model that knows of no tools


@both
async def test_a_model_without_tools_is_told_of_them_in_words(opened, upstream, server, dialect):
    served = parts.Served(name="stage", candidates=(parts.Candidate(upstream="stage", model="stage"),), tools=False)
    gateway = await opened(models=(served,))
    upstream.says(
        Answer(text('<tool_call>\n{"name": "add", "arg', 'uments": {"a": 2, "b": 3}}\n</tool_call>')),
        FIVE,
    )
    told = await gateway.told(dialect, model="stage", tools=[mcp(server)])
    check_stream(told, dialect)
    response = told.last["response"]
    assert kinds(response) == ["mcp_list_tools", "mcp_call", "message"]
    assert item(response, "mcp_call")["output"] == "5"
    assert response["output"][-1]["content"][0]["text"] == "Five."
    assert all("tools" not in one.body for one in upstream.calls)
    assert "<tool_response>" in upstream.last.messages[-1][1]
    assert len(called(server)) == 1


async def test_functions_and_approvals_work_with_a_model_without_tools(opened, upstream, server):
    served = parts.Served(name="stage", candidates=(parts.Candidate(upstream="stage", model="stage"),), tools=False)
    gateway = await opened(models=(served,))
    ask = {"model": "stage", "tools": [CITIES, mcp(server, "always")]}
    upstream.says(
        Answer(text(f'<tool_call>\n{{"name": "get_cities", "arguments": {REGION}}}\n</tool_call>')),
        Answer(text(f'<tool_call>\n{{"name": "add", "arguments": {TWO_AND_THREE}}}\n</tool_call>')),
    )
    asked = await gateway.ask("freddy", **ask)
    assert kinds(asked) == ["mcp_list_tools", "function_call", "function_call_output", "approval_request"]
    assert asked["status"] == "requires_action"
    upstream.says(FIVE)
    answer = approval(item(asked, "approval_request")["id"])
    done = await gateway.ask("freddy", input=[answer], previous_response_id=asked["id"], **ask)
    assert kinds(done) == ["mcp_call", "message"]
    told = json.dumps(upstream.last.body["messages"])
    assert "Madrid" in told
    assert len(called(server)) == 1


async def test_two_callers_of_one_server_do_not_wait_for_each_other(gateway, upstream, server):
    """One sleeps in a tool while the other one is served."""
    upstream.says(Answer(calls("sleep", '{"seconds":600}')))
    slow = await gateway.ask("freddy", tools=[mcp(server)], background=True)
    await server.ledger.wait(lambda: bool(called(server, "sleep")))
    upstream.says(Answer(calls()), FIVE)
    quick = await gateway.ask("freddy", tools=[mcp(server)])
    assert quick["response"] == "Five."
    await gateway.post(f"/v1/model/response/{slow['id']}/cancel")
    await server.ledger.wait(lambda: server.ledger.cancelled == ["sleep"])


# Vendors with rules of their own


@pytest.fixture(params=[Responses, Messages], ids=lambda kind: kind.kind)
async def thinking(request, tmp_path):
    """A gateway before vendors whose models think, and want their thoughts back where they were."""
    async with request.param() as vendor:
        model = "gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5"
        stage = UpstreamSettings(
            name="stage", kind=vendor.kind, url=vendor.url, key="sk-vendor", models=("*",), default_model=model
        )
        async with serving(settings(tmp_path, vendor, upstreams=(stage,)), vendor) as gateway:
            yield gateway
        assert vendor.complaints == []


@both
async def test_thoughts_stand_before_the_calls_that_they_led_to(thinking, server, dialect):
    vendor = thinking.upstream
    vendor.says(
        Answer(Hidden(), calls(), calls("echo", '{"text":"six"}', "call_2", 1)),
        Answer(Hidden("dHdv"), calls("count", "{}", "call_3")),
        FIVE,
        Answer(text("As I said.")),
    )
    more = {
        "model": "gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5",
        "tools": [mcp(server)],
        "reasoning": {"effort": "high"},
    }
    told = await thinking.told(dialect, parallel_tool_calls=True, **more)
    check_stream(told, dialect)
    response = told.last["response"]
    assert response["status"] == "completed"
    assert [one["output"] for one in response["output"] if one["type"] == "mcp_call"] == ["5", "six", "1"]
    later = await thinking.ask(dialect, input="Why?", previous_response_id=response["id"], **more)
    assert later["output"][-1]["content"][0]["text"] == "As I said."


@both
@pytest.mark.parametrize("then", ["yes", "no", "else"])
async def test_thoughts_before_a_call_that_waits_do_no_harm(thinking, server, dialect, then):
    vendor = thinking.upstream
    more = {
        "model": "gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5",
        "tools": [mcp(server, "always")],
        "reasoning": {"effort": "high"},
    }
    vendor.says(Answer(Hidden(), calls()), FIVE)
    asked = await thinking.ask(dialect, **more)
    request = item(asked, ASKS[dialect])
    said = "Never mind" if then == "else" else [approval(request["id"], approve=then == "yes")]
    done = await thinking.ask(dialect, input=said, previous_response_id=asked["id"], **more)
    assert done["status"] == "completed", done
    assert done["output"][-1]["content"][0]["text"] == "Five."


@pytest.mark.parametrize("then", ["yes", "no", "else"])
async def test_thoughts_before_a_function_that_waits_do_no_harm(thinking, then):
    vendor = thinking.upstream
    more = {
        "model": "gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5",
        "tools": [{**CITIES, "require_approval": True}],
        "reasoning": {"effort": "high"},
    }
    vendor.says(Answer(Hidden(), calls("get_cities", REGION)), FIVE)
    asked = await thinking.ask("freddy", **more)
    request = item(asked, "approval_request")
    said = "Never mind" if then == "else" else [approval(request["id"], approve=then == "yes")]
    done = await thinking.ask("freddy", input=said, previous_response_id=asked["id"], **more)
    assert done["status"] == "completed", done
    assert done["response"] == "Five."


@both
async def test_a_run_is_cancelled_while_a_server_is_asked_for_its_tools(opened, upstream, dialect):
    # A connection in the making is given up when its time is over, not with the run.
    gateway = await opened(mcp=parts.Mcp(connect_seconds=5))
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        while await reader.read(65_536):
            pass
        left.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        begun = await gateway.ask(dialect, tools=[mcp(f"http://127.0.0.1:{port}/mcp")], background=True)
        async with asyncio.timeout(PATIENCE_OF_SERVERS):
            await asked.wait()
        await gateway.post(f"{PATHS[dialect]}/{begun['id']}/cancel")
        ended = await listed(gateway, begun["id"], dialect)
        assert (ended["status"], kinds(ended)) == ("cancelled", ["mcp_list_tools"])
        assert ended["output"][0]["error"]
        async with asyncio.timeout(PATIENCE):
            await left.wait()
    assert upstream.calls == []


async def test_what_tools_took_is_split_off_in_the_usage(gateway, upstream, server):
    upstream.says(Answer(calls(), usage=(100, 10)), Answer(text("Five."), usage=(200, 20)))
    response = await gateway.ask("freddy", tools=[mcp(server)], include=["usage.detailed"])
    neurons, synapses = response["usage"]["neurons"], response["usage"]["synapses"]
    assert neurons["total"] == sum(neurons[name] for name in ("input", "context", "system", "tools")) == 300
    assert synapses["total"] == sum(synapses[name] for name in ("output", "reasoning", "tool_execution")) == 30
    assert neurons["tools"] > 0
    assert synapses["tool_execution"] > 0


@both
@pytest.mark.parametrize("choice", ["required", {"type": "mcp", "server_label": "sums"}], ids=str)
async def test_what_must_be_called_and_is_not_there_is_not_asked_for(thinking, dialect, choice):
    vendor = thinking.upstream
    model = "gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5"
    vendor.says(FIVE)
    response = await thinking.ask(dialect, model=model, tools=[mcp(NOWHERE)], tool_choice=choice)
    assert kinds(response) == ["mcp_list_tools", "message"]
    assert "tools" not in vendor.last.body


def odd(ledger: Ledger) -> Any:
    """A server whose tools have names that no vendor takes."""
    from mcp.server.mcpserver import MCPServer

    server: MCPServer[Any] = MCPServer("stage", version="1")
    for name in ("files.read", "files_read", "9lives", "x" * 90):

        def tool(tool: str = name) -> str:
            return f"{tool[:12]} was here"

        server.add_tool(tool, name=name)
    return server


@both
async def test_tools_with_names_that_vendors_do_not_take_are_called(thinking, dialect):
    vendor = thinking.upstream
    model = "gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5"
    async with python_server(build=odd) as server:
        vendor.says(Answer(text("Hm.")))
        first = await thinking.ask(dialect, model=model, tools=[mcp(server)])
        names = [tool["name"] for tool in vendor.last.body["tools"]]
        assert len(set(names)) == 4
        assert "files_read" in names
        for name, own in zip(names, ("files.read", "files_read", "9lives", "x" * 90), strict=True):
            vendor.says(Answer(calls(name, "{}", f"call_of_{names.index(name)}")), FIVE)
            response = await thinking.ask(dialect, model=model, tools=[mcp(server)], previous_response_id=first["id"])
            made = item(response, "mcp_call")
            assert (made["name"], made["output"]) == (own, f"{own[:12]} was here")
            first = response


@both
async def test_a_model_that_gives_every_call_the_same_id_does_no_harm(thinking, server, dialect):
    vendor = thinking.upstream
    model = "gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5"
    vendor.says(Answer(calls()), Answer(calls("echo", '{"text":"six"}')), FIVE, Answer(calls("count", "{}")), FIVE)
    first = await thinking.ask(dialect, model=model, tools=[mcp(server)])
    second = await thinking.ask(dialect, model=model, tools=[mcp(server)], previous_response_id=first["id"])
    made = [one["output"] for one in (*first["output"], *second["output"]) if one["type"] == "mcp_call"]
    assert made == ["5", "six", "1"]


@both
@pytest.mark.parametrize("arguments", ['{"a":2,', '{"a":2}', '{"a":"two","b":3}', "[2,3]"])
async def test_arguments_that_do_not_fit_are_told_to_the_model(gateway, upstream, server, dialect, arguments):
    upstream.says(Answer(calls("add", arguments)), Answer(calls(call_id="call_2")), FIVE)
    response = await gateway.ask(dialect, tools=[mcp(server)])
    made = [one for one in response["output"] if one["type"] == "mcp_call"]
    assert [(one["status"], one["output"]) for one in made][1] == ("completed", "5")
    assert made[0]["status"] == "failed"
    assert outputs(upstream.last.body)[0].startswith("Error")
    assert response["output"][-1]["content"][0]["text"] == "Five."


@promise(207)
async def test_a_registered_function_that_asks_for_approval_itself_waits_for_it(gateway, upstream, stock):
    body = {"name": "stock_of", "url": stock.url, "parameters": {"type": "object"}, "require_approval": True}
    assert (await gateway.post("/v1/functions", body)).status_code == 201
    plain = {"type": "function", "name": "stock_of", "require_approval": False}
    upstream.says(Answer(calls("stock_of", "{}")), FIVE)
    asked = await gateway.ask("freddy", tools=[plain])
    assert asked["status"] == "requires_action"
    assert stock.heard == []
    request = item(asked, "approval_request")
    done = await gateway.ask("freddy", tools=[plain], previous_response_id=asked["id"], input=[approval(request["id"])])
    assert item(done, "function_call_output")["output"] == "42 pieces"
    assert len(stock.heard) == 1


# What others see of it


@both
async def test_a_run_is_joined_while_a_tool_works(gateway, upstream, dialect):
    """What was told before comes first, and then what happens; and a call that runs can be seen as such."""
    async with python_server(build=meeting(2)) as server:
        upstream.says(Answer(calls("meet", "{}")))
        begun = await gateway.ask(dialect, tools=[mcp(server)], background=True)
        await server.ledger.wait(lambda: bool(called(server, "meet")))
        running = await listed(gateway, begun["id"], dialect)
        assert running["status"] == "in_progress"
        assert kinds(running) == ["mcp_list_tools", "mcp_call"]
        assert running["output"][1]["status"] == "in_progress"
        async with gateway.listening(f"{PATHS[dialect]}/{begun['id']}?stream=true") as stream:
            kinds_told = [(await stream.next())["type"]]
            while kinds_told[-1] != "response.mcp_call_arguments.done":
                kinds_told.append((await stream.next())["type"])
            upstream.says(Answer(calls("meet", "{}")), FIVE, FIVE)
            async with asyncio.TaskGroup() as tasks:
                other = tasks.create_task(gateway.ask(dialect, tools=[mcp(server)]))
            while kinds_told[-1] != "response.completed":
                kinds_told.append((await stream.next())["type"])
    assert kinds_told.count("response.mcp_call.completed") == 1
    assert item(other.result(), "mcp_call")["output"] == "met"
    assert (await gateway.ended(begun["id"]))["status"] == "completed"


async def test_a_run_is_cancelled_by_its_thread_amid_a_tool(gateway, upstream, server):
    upstream.says(Answer(calls("sleep", '{"seconds":600}')))
    begun = await gateway.ask("freddy", tools=[mcp(server)], background=True, thread="thread_of_sleep")
    await server.ledger.wait(lambda: bool(called(server, "sleep")))
    reply = await gateway.post("/v1/model/response/thread_of_sleep/cancel")
    assert reply.json()["success"] is True, reply.text
    await server.ledger.wait(lambda: server.ledger.cancelled == ["sleep"])
    assert (await gateway.ended(begun["id"]))["status"] == "cancelled"
    upstream.says(Answer(text("Good morning.")))
    later = await gateway.ask("freddy", input="And now?", thread="thread_of_sleep", tools=[mcp(server)])
    assert later["response"] == "Good morning."


async def test_threads_and_lists_tell_of_calls(gateway, upstream, server):
    ask = {"thread": "thread_of_sums", "tools": [mcp(server, "always"), CITIES]}
    upstream.says(Answer(calls("get_cities", REGION)), Answer(calls(call_id="call_2")))
    asked = await gateway.ask("freddy", **ask)
    request = item(asked, "approval_request")
    upstream.says(FIVE)
    done = await gateway.ask("freddy", input=[approval(request["id"])], **ask)
    for path in (
        "/v1/threads/thread_of_sums",
        "/v1/threads/thread_of_sums/messages",
        "/v1/conversations/thread_of_sums/items",
        f"/v1/responses/{done['id']}/input_items",
        "/v1/responses",
        "/v1/model/response?thread=thread_of_sums",
    ):
        reply = await gateway.get(path)
        assert reply.status_code in (200, 405), f"{path}: {reply.text}"
    items = (await gateway.get("/v1/conversations/thread_of_sums/items?order=asc")).json()["data"]
    assert [one["type"] for one in items] == [
        "message",
        "mcp_list_tools",
        "function_call",
        "function_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "message",
    ]
    copied = await gateway.post("/v1/conversations", {"items": items})
    assert copied.status_code == 200, copied.text
    upstream.says(Answer(text("Five, I said.")))
    again = await gateway.ask("openai", input="Say again", conversation=copied.json()["id"])
    assert again["output"][-1]["content"][0]["text"] == "Five, I said."
    assert len(outputs(upstream.last.body)) == 2
    assert len(called(server)) == 1


async def test_the_python_client_streams_tools_and_answers_requests(gateway, upstream, server):
    async with gateway.freddy() as client:
        upstream.says(Answer(calls()), FIVE)
        async with client.responses.stream(inputs="2 and 3?", tools=[mcp(server, "always")]) as stream:
            seen = [event.type async for event in stream]
        assert seen[-1] == "response.completed"
        asked = await stream.get_final_response()
        assert asked.status == "requires_action"
        (request,) = [one for one in asked.items if one.type == "approval_request"]
        done = await client.responses.create(
            inputs=[approval(request.id)], tools=[mcp(server, "always")], previous_response_id=asked.id
        )
    assert done.output_text == "Five."
    assert [one.type for one in done.items] == ["mcp_call", "message"]
