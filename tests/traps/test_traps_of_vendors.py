"""What other servers get wrong with vendors: what they pass on, what they drop, and how often they ask."""

import json

import pytest
from gateway import UPSTREAM_KEY, serving, settings

from adapters import ADAPTERS, WIRES, Adapter
from freddy.server.config import settings as parts
from heard import heard
from seen import DIALECTS, answer, check_stream
from simulators.chat import Chat
from simulators.messages import Messages
from simulators.responses import Responses
from simulators.script import Answer, Fault, Plain, Raw, call, text, thought

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {"type": "function_call", "call_id": "call_a", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_a", "output": "-3 C"}
USER = {"role": "user", "content": "Weather?"}

REPLAYED = {
    "ids that are null": [USER, {**CALL, "id": None, "status": None}, {**OUTPUT, "id": None, "status": None}],
    "parts of an output": [
        USER,
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Cold."}]},
        {"role": "user", "content": "And now?"},
    ],
    "parts of an output with everything": [
        USER,
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Cold.", "annotations": [], "logprobs": []}],
        },
        {"role": "user", "content": "And now?"},
    ],
    "empty thinking": [USER, {"type": "reasoning", "id": "rs_1", "summary": []}, CALL, OUTPUT],
    "thinking with nulls": [
        USER,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": None,
            "encrypted_content": None,
            "status": None,
        },
        CALL,
        OUTPUT,
    ],
    "thinking without a summary": [
        USER,
        {"type": "reasoning", "id": "rs_1", "content": [{"type": "reasoning_text", "text": "Hm."}]},
        CALL,
        OUTPUT,
    ],
    "thinking of nobody knows whom": [
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABforeign"},
        CALL,
        OUTPUT,
    ],
    "thinking that led to nothing": [
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABforeign"},
        {"role": "user", "content": "Well?"},
    ],
    "an answer of no words": [
        USER,
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ""}]},
        {"role": "user", "content": "Well?"},
    ],
    "arguments of no words": [USER, {**CALL, "arguments": ""}, OUTPUT],
}


@pytest.mark.parametrize("name", REPLAYED)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_an_output_that_is_sent_back_is_an_input(adapter, gateway, upstream, name):
    """What a server said itself it refuses to read, or its vendor does."""
    reply = await gateway.post("/v1/responses", {"model": "thinker", "input": REPLAYED[name], "tools": [WEATHER]})
    assert reply.status_code == 200, reply.text
    assert heard(adapter.kind, upstream.last.body)["said"][0] == ("user", "text", "Weather?")


NO_FUNCTIONS = {
    "web_search": [{"type": "web_search"}],
    "a preview": [{"type": "web_search_preview"}],
    "custom": [{"type": "custom", "name": "patch"}],
    "namespace": [{"type": "namespace", "name": "crm", "description": "Customers.", "tools": [WEATHER]}],
    "local_shell": [{"type": "local_shell"}],
    "all at once": [{"type": "web_search"}, {"type": "custom", "name": "patch"}, WEATHER],
}


@pytest.mark.parametrize("name", NO_FUNCTIONS)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_tools_that_are_no_functions_are_no_fault(adapter, gateway, upstream, name):
    """`'type' of tool must be 'function'`."""
    reply = await gateway.post("/v1/responses", {"model": "plain", "input": "Hi", "tools": NO_FUNCTIONS[name]})
    assert reply.status_code == 200, reply.text
    assert [tool["type"] for tool in reply.json()["tools"]] == [tool["type"] for tool in NO_FUNCTIONS[name]]


SAME_INDEX = b"".join(
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"%b","type":"function",'
    b'"function":{"name":"get_weather","arguments":"{\\"city\\":\\"%b\\"}"}}]}}]}\n\n' % (call_id, city)
    for call_id, city in ((b"call_a", b"Oslo"), (b"call_b", b"Rome"))
)
NO_INDEX = SAME_INDEX.replace(b'"tool_calls":[{"index":0,', b'"tool_calls":[{')


@pytest.mark.parametrize("chunks", [SAME_INDEX, NO_INDEX], ids=["one index", "no index"])
@pytest.mark.parametrize("adapter", [ADAPTERS[2]], ids=["compatible"])
async def test_calls_at_once_stay_apart_where_the_vendor_does_not_count_them(adapter, gateway, upstream, chunks):
    """Calls that all have index 0 become one, or only the first is kept."""
    upstream.says(Answer(Raw(chunks), finish="tool_calls"))
    told = await gateway.told("openai", model="plain", tools=[WEATHER], parallel_tool_calls=True)
    check_stream(told, "openai")
    assert answer(told.last["response"])["items"] == [
        ("call", "call_a", "get_weather", {"city": "Oslo"}),
        ("call", "call_b", "get_weather", {"city": "Rome"}),
    ]


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_thought_that_led_to_nothing_is_not_in_the_way_of_the_next_question(adapter, gateway, upstream):
    """`Item of type 'reasoning' was provided without its required following item`."""
    upstream.says(Answer(thought("Hm, "), finish="length"), Answer(text("Yes.")))
    asked = {"model": "thinker", "reasoning": {"effort": "low"}}
    first = await gateway.ask("openai", **asked)
    assert first["status"] == "incomplete"
    second = await gateway.ask("openai", input="Go on.", previous_response_id=first["id"], **asked)
    assert answer(second)["items"] == [("message", ("output_text", "Yes."))]


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_model_that_does_not_think_can_go_on_from_one_that_does(adapter, gateway, upstream):
    upstream.says(
        Answer(thought("Hm."), call("get_weather", '{"city":"Oslo"}', call_id="call_a")), Answer(text("Cold."))
    )
    first = await gateway.ask("openai", model="thinker", tools=[WEATHER], reasoning={"effort": "low"})
    asked = {"model": "plain", "tools": [WEATHER], "previous_response_id": first["id"]}
    second = await gateway.ask("openai", input=[OUTPUT], **asked)
    assert answer(second)["items"] == [("message", ("output_text", "Cold."))]
    assert upstream.last.body["model"] == adapter.plain


@pytest.mark.parametrize("adapter", WIRES[:1], ids=["openai"])
async def test_thinking_that_the_vendor_can_no_longer_read_is_left_out(adapter, gateway, upstream):
    """`encrypted_content` of another deployment, or sealed with a key of long ago."""
    error = {"message": "could not be verified", "type": "invalid_request_error", "param": None}
    upstream.says(
        Answer(thought("Hm."), call("get_weather", '{"city":"Oslo"}', call_id="call_a")),
        Plain(json.dumps({"error": {**error, "code": "invalid_encrypted_content"}}).encode(), 400),
        Answer(text("Cold.")),
    )
    asked = {"model": "thinker", "tools": [WEATHER]}
    first = await gateway.ask("openai", **asked)
    second = await gateway.ask("openai", input=[OUTPUT], previous_response_id=first["id"], **asked)
    assert answer(second)["items"] == [("message", ("output_text", "Cold."))]
    thoughts = [("assistant", "thinking") in heard("openai", one.body)["said"] for one in upstream.calls]
    assert thoughts == [False, True, False]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
async def test_an_answer_in_a_form_does_not_hide_in_the_thinking(adapter, gateway, upstream):
    """`text.format` is ignored, or what it asks for is told as thinking."""
    upstream.says(Answer(thought("Is it {cold}?"), text('{"cold":', "true}")))
    form = {"type": "json_object"}
    told = await gateway.told("openai", model="thinker", input="JSON please", text={"format": form})
    seen = answer(told.last["response"])
    assert seen["items"] == [("message", ("output_text", '{"cold":true}'))]
    assert seen["thought"] == "Is it {cold}?"


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_many_answers_come_over_one_connection(adapter, tmp_path):
    """A new client for every request."""
    async with adapter.simulator(key=UPSTREAM_KEY, keep_alive=True) as upstream:
        async with serving(settings(tmp_path, upstream, models=adapter.served()), upstream) as gateway:
            for number in range(10):
                if number % 2:
                    await gateway.ask("openai", model="plain")
                else:
                    await gateway.told("freddy", model="plain")
            assert upstream.connections == 1
        assert upstream.complaints == []


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_one_request_is_one_question_to_the_vendor(adapter, gateway, upstream, streamed):
    """One request silently becomes three, and a fault takes many seconds to come back."""
    for status in (400, 401, 404, 500, 502):
        upstream.calls.clear()
        upstream.says(Fault(status))
        for dialect in DIALECTS[:1]:
            ask = gateway.told if streamed else gateway.ask
            with pytest.raises(AssertionError):
                await ask(dialect, model="plain")
        assert len(upstream.calls) == 1


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_the_limit_of_the_vendor_stays_one_and_says_when_to_come_back(adapter, gateway, upstream):
    """429 becomes 500, 502 or even 200, and `Retry-After` is lost."""
    for dialect in DIALECTS:
        for streamed in (False, True):
            upstream.says(Fault(429, "slow down", retry_after="60"))
            path = "/v1/responses" if dialect == "openai" else "/v1/model/response"
            body = {"model": "plain", ("input" if dialect == "openai" else "inputs"): "Hi", "stream": streamed}
            reply = await gateway.post(path, body)
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "60")
            assert reply.json()["error"]["type"] == "rate_limit_error"


OPENAI, ANTHROPIC, COMPATIBLE = WIRES
PAIRS = [(OPENAI, ANTHROPIC), (ANTHROPIC, COMPATIBLE), (COMPATIBLE, OPENAI), (ANTHROPIC, OPENAI)]
MADE = {"openai": Responses, "anthropic": Messages, "compatible": Chat}


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda one: one.name)
async def test_a_conversation_survives_a_change_of_vendor(tmp_path, first: Adapter, second: Adapter):
    """After a failover the next vendor knows nothing of what was said, called and thought before."""
    async with MADE[first.kind](key=UPSTREAM_KEY) as one, MADE[second.kind](key=UPSTREAM_KEY) as other:
        upstreams = tuple(
            parts.Upstream(name=name, kind=told.kind, url=told.url, key=UPSTREAM_KEY, models=("nothing",))
            for name, told in (("one", one), ("other", other))
        )
        ways = (
            parts.Candidate(upstream="one", model=first.thinker),
            parts.Candidate(upstream="other", model=second.thinker, order=1),
        )
        served = (parts.Served(name="either", candidates=ways, reasoning=True),)
        one.says(Answer(thought("Hm."), text("Let me look."), call("get_weather", '{"city":"Oslo"}', call_id="call_a")))
        one.says(Fault(500, "oops"))
        other.says(Answer(thought("So."), text("Cold.")))
        async with serving(settings(tmp_path, one, upstreams=upstreams, models=served), one) as gateway:
            asked = {"model": "either", "tools": [WEATHER], "reasoning": {"effort": "low"}}
            before = await gateway.ask("openai", input="Weather?", **asked)
            after = await gateway.told("openai", input=[OUTPUT], previous_response_id=before["id"], **asked)
        check_stream(after, "openai")
        assert answer(after.last["response"])["items"] == [("message", ("output_text", "Cold."))]
        told = heard(second.kind, other.last.body)["said"]
        assert told == [
            ("user", "text", "Weather?"),
            ("assistant", "text", "Let me look."),
            ("assistant", "call", "call_a", "get_weather", {"city": "Oslo"}),
            ("tool", "output", "call_a", "-3 C"),
        ]
        assert one.complaints == other.complaints == []
