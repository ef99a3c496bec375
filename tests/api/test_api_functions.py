"""Functions of the caller: handed to the model, called by it, answered in the next request."""

import json

import pytest
from gateway import spelled

from promises import promise
from upstream import Answer, call, text

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
        "required": ["city"],
    },
}
CLOSED = {
    **WEATHER,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
PLAIN = {key: value for key, value in WEATHER.items() if key != "type"}


def calls() -> Answer:
    return Answer(call("get_weather", '{"unit":"C",', '"city":"Oslo"}', call_id="call_a"))


@promise(201, 202, 204, 205, 209, 210, 271)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_a_function_reaches_the_model_and_its_call_the_caller(gateway, upstream, dialect):
    upstream.says(calls())
    response = await gateway.ask(dialect, tools=[WEATHER])
    (tool,) = upstream.last.body["tools"]
    # OpenAI behind an unknown server would refuse the whole request: an optional parameter is not strict to it.
    assert tool["function"] == ({"strict": False, **PLAIN} if dialect == "freddy" else PLAIN)
    assert response.get("warnings", []) == []
    (item,) = response["output"]
    assert (item["type"], item["name"], item["call_id"], item["status"]) == (
        "function_call",
        "get_weather",
        "call_a",
        "completed",
    )
    assert json.loads(item["arguments"]) == {"city": "Oslo", "unit": "C"}
    assert response["status"] == "completed"


@promise(211)
async def test_arguments_come_in_the_order_of_the_schema(gateway, upstream):
    upstream.says(calls(), calls())
    response = await gateway.ask("freddy", tools=[WEATHER])
    (item,) = response["outputs"]
    assert item["function"] == {"name": "get_weather", "arguments": '{"city":"Oslo","unit":"C"}'}
    told = await gateway.told("freddy", tools=[WEATHER])
    assert told.last["response"]["outputs"][0]["function"] == item["function"]


@promise(117, 212)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_calls_at_once_stay_apart(gateway, upstream, dialect):
    upstream.says(
        Answer(
            call("get_weather", '{"city":"Oslo"}', call_id="call_a"),
            call("get_weather", '{"city":"Rome"}', call_id="call_b", index=1),
        )
    )
    response = await gateway.ask(dialect, tools=[WEATHER], parallel_tool_calls=True)
    assert [(item["call_id"], item["arguments"]) for item in response["output"]] == [
        ("call_a", '{"city":"Oslo"}'),
        ("call_b", '{"city":"Rome"}'),
    ]
    assert upstream.last.body["parallel_tool_calls"] is True
    await gateway.ask(dialect, tools=[WEATHER], parallel_tool_calls=False)
    assert upstream.last.body["parallel_tool_calls"] is False


@promise(117)
async def test_calls_come_one_at_a_time_unless_the_freddy_api_is_told_otherwise(gateway, upstream):
    assert (await gateway.ask("freddy", tools=[WEATHER]))["parallel_tool_calls"] is False
    assert upstream.last.body["parallel_tool_calls"] is False
    assert (await gateway.ask("openai", tools=[WEATHER]))["parallel_tool_calls"] is True
    assert upstream.last.body["parallel_tool_calls"] is True


@promise(39, 40, 213, 214)
async def test_a_call_is_answered_by_a_message_of_role_function(gateway, upstream):
    upstream.says(Answer(text("12 degrees.")))
    response = await gateway.ask(
        "freddy",
        tools=[WEATHER],
        input=[
            {"role": "user", "texts": [{"text": "How is Oslo?"}]},
            {"role": "assistant", "functionCall": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}},
            {"role": "function", "name": "get_weather", "content": '{"degrees":12}'},
        ],
    )
    asked, called, told = upstream.last.body["messages"]
    (made,) = called["tool_calls"]
    assert (asked["content"], called["content"]) == ("How is Oslo?", None)
    assert made["function"] == {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    assert told == {"role": "tool", "tool_call_id": made["id"], "content": '{"degrees":12}'}
    assert response["outputs"][0]["texts"][0]["text"] == "12 degrees."
    assert response["output"][0]["content"][0]["text"] == "12 degrees."


async def test_a_call_is_answered_by_an_output_with_its_id(gateway, upstream):
    for dialect in ("freddy", "openai"):
        upstream.says(calls(), Answer(text("12 degrees.")))
        first = await gateway.ask(dialect, tools=[WEATHER], input="How is Oslo?")
        output = {"type": "function_call_output", "call_id": "call_a", "output": '{"degrees":12}'}
        user = {"role": "user", "content": "How is Oslo?"}
        second = await gateway.ask(dialect, tools=[WEATHER], input=[user, *first["output"], output])
        assert second["output"][0]["content"][0]["text"] == "12 degrees."
        assert [role for role, _ in upstream.last.messages] == ["user", "assistant", "tool"]
        assert upstream.last.body["messages"][2]["tool_call_id"] == "call_a"


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_an_output_that_answers_no_call_is_refused(gateway, upstream, dialect):
    output = {"type": "function_call_output", "call_id": "call_b", "output": "7 degrees"}
    upstream.says(calls())
    first = await gateway.ask(dialect, tools=[WEATHER])
    asked = len(upstream.calls)
    for more in ({}, {"previous_response_id": first["id"]}):
        reply = await gateway.post(*spelled(dialect, input=[output], tools=[WEATHER], **more))
        assert reply.status_code == 400, reply.text
        error = reply.json()["error"]
        assert error["param"] == ("input" if dialect == "openai" else "inputs")
        assert "call_b" in error["message"]
    assert len(upstream.calls) == asked


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_who_goes_on_without_answering_a_call_can_go_on(gateway, upstream, dialect):
    upstream.says(
        Answer(call("get_weather", '{"city":"Oslo"}', call_id="call_a")), Answer(text("Sure.")), Answer(text("Sure."))
    )
    first = await gateway.ask(dialect, tools=[WEATHER])
    say = {"role": "user", "content": "Never mind."}
    asked = {"type": "function_call", "call_id": "call_a", "name": "get_weather", "arguments": "{}"}
    for more in (
        {"input": [say], "previous_response_id": first["id"]},
        {"input": [{"role": "user", "content": "Hi"}, asked, say]},
    ):
        await gateway.ask(dialect, tools=[WEATHER], **more)
        # Vendors refuse a call without an output.
        assert [(one["role"], one["content"]) for one in upstream.last.body["messages"]] == [
            ("user", "Hi"),
            ("user", "Never mind."),
        ]


@promise(114, 115, 116)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_the_choice_of_tools_reaches_the_model(gateway, upstream, dialect):
    name = "toolChoice" if dialect == "freddy" else "tool_choice"
    for choice in ("none", "required", "auto"):
        await gateway.ask(dialect, tools=[WEATHER], **{name: choice})
        if choice == "none":
            assert "tools" not in upstream.last.body
        else:
            assert upstream.last.body.get("tool_choice", "auto") == choice
    await gateway.ask(dialect, tools=[WEATHER], **{name: {"type": "function", "name": "get_weather"}})
    named = {"type": "function", "function": {"name": "get_weather"}}
    assert upstream.last.body["tool_choice"] == named


@promise(113)
async def test_functions_are_tools(gateway, upstream):
    await gateway.ask("freddy", functions=[PLAIN])
    assert upstream.last.body["tools"][0]["function"]["name"] == "get_weather"


@promise(203)
@pytest.mark.parametrize(("dialect", "status"), [("freddy", 422), ("openai", 400)])
async def test_two_functions_of_one_name_are_refused(gateway, dialect, status):
    reply = await gateway.post(*spelled(dialect, tools=[WEATHER, WEATHER]))
    assert reply.status_code == status
    assert reply.json()["error"]["param"].startswith("tools")


@promise(206)
async def test_strictness_reaches_the_model(gateway, upstream):
    for given, wanted in ((None, True), (True, True), (False, False)):
        tool = CLOSED if given is None else CLOSED | {"strict": given}
        await gateway.ask("freddy", tools=[tool])
        assert upstream.last.body["tools"][0]["function"]["strict"] is wanted


async def test_a_call_that_needs_approval_says_so(gateway, upstream):
    upstream.says(calls())
    response = await gateway.ask("freddy", tools=[WEATHER | {"require_approval": True}])
    assert response["output"][0]["require_approval"] is True


async def test_tools_that_are_not_run_here_are_kept_from_the_model_and_handed_back(gateway, upstream):
    tools = [WEATHER, {"type": "web_search"}, {"type": "namespace", "name": "n", "tools": []}]
    response = await gateway.ask("openai", tools=tools)
    assert [tool["type"] for tool in response["tools"]] == ["function", "web_search", "namespace"]
    assert len(upstream.last.body["tools"]) == 1
    warned = await gateway.ask("freddy", tools=[{"type": "webSearch"}])
    assert warned["warnings"] == ["the tool web_search is not run by this server"]


async def test_a_custom_tool_speaks_free_text_in_both_directions(gateway, upstream):
    upstream.says(
        Answer(call("patch", '{"input":', '"*** Begin"}', call_id="call_a")),
        Answer(text("Done.")),
    )
    tool = {"type": "custom", "name": "patch", "description": "Changes files."}
    told = await gateway.told("openai", tools=[tool])
    (item,) = told.last["response"]["output"]
    assert (item["type"], item["input"], item["call_id"]) == ("custom_tool_call", "*** Begin", "call_a")
    assert [event["delta"] for event in told.of("response.custom_tool_call_input.delta")] == ["*** Begin"]
    output = {"type": "custom_tool_call_output", "call_id": "call_a", "output": "ok"}
    await gateway.ask("openai", tools=[tool], input=[output], previous_response_id=told.last["response"]["id"])
    assert [role for role, _ in upstream.last.messages] == ["user", "assistant", "tool"]
    assert json.loads(upstream.last.body["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {
        "input": "*** Begin"
    }
