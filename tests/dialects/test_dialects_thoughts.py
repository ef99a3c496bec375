"""What a model thought goes to callers who keep the conversation, and comes back to whom it is from, and only there."""

import json

import pytest
from msgspec.structs import replace

from freddy.server.core import deltas, items
from freddy.server.core.profile import Profile
from freddy.server.core.request import Effort
from freddy.server.core.response import Response
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.openai import OPENAI
from freddy.server.providers.anthropic import marks
from freddy.server.providers.anthropic import request as anthropic
from freddy.server.providers.openai import request as openai
from freddy.server.providers.openai import seal
from freddy_fakes import CountingIds
from promises import promise

ANTHROPIC = [
    deltas.Thinking(),
    deltas.Reasoning("Two and "),
    deltas.Reasoning("two."),
    deltas.Signature(marks.signed("us", "Two and two.", "sig")),
    deltas.Thinking(hidden=True),
    deltas.Signature(marks.redacted("us", "data")),
]
OPENAI_THOUGHT = [
    deltas.Thinking(hidden=True),
    deltas.Reasoning("In short", "summary"),
    deltas.Signature(seal.close("us", "rs_a", "gAAAAone")),
]
LED_TO = [
    deltas.Began("commentary"),
    deltas.Text("Let me see."),
    deltas.ToolCall(0, "{}", "now", "call_1"),
    deltas.Stop("tool_calls"),
]
OF_ANTHROPIC = [
    {"type": "thinking", "thinking": "Two and two.", "signature": "sig"},
    {"type": "redacted_thinking", "data": "data"},
]
OF_OPENAI = [
    {
        "type": "reasoning",
        "id": "rs_a",
        "summary": [{"type": "summary_text", "text": "In short"}],
        "encrypted_content": "gAAAAone",
    }
]


def handed_back(dialect, said, *, bare: bool = False) -> tuple[items.Item, ...]:
    """The items of a conversation that a caller of the dialect kept; `bare` callers keep no texts of thinking."""
    new_id = CountingIds().new
    freddy = dialect is FREDDY
    include = "reasoning.encrypted" if freddy else "reasoning.encrypted_content"
    begun = {"model": "m", "store": False, "include": [include]}
    asked = begun | ({"inputs": ["Hi"]} if freddy else {"input": "Hi"})
    transcript = Transcript(index=0, new_id=new_id)
    told = [one for one in transcript.feed([deltas.Chosen("us"), *said, *LED_TO]) if hasattr(one, "item")]
    output = tuple(one.item for one in told if one.item.status != "in_progress")
    response = Response(
        id="resp_1",
        organization_id="org_1",
        created_at=0,
        status="completed",
        model="m",
        request=dialect.decode_request(json.dumps(asked).encode(), new_id),
        output=output,
    )
    answer = json.loads(dialect.encode_response(response))
    kept = answer["output"]
    if freddy:
        thought = {"type": "reasoning", **answer["reasoning"]}
        kept = [{**thought, "content": None, "summary": None} if bare else thought, *kept]
    elif bare:
        kept = [{name: one[name] for name in one if name != "content" or one["type"] == "message"} for one in kept]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "noon"}
    again = begun | ({"inputs": ["Hi", *kept, result]} if freddy else {"input": [*asked_of("Hi"), *kept, result]})
    return dialect.decode_request(json.dumps(again).encode(), new_id).input


def asked_of(text: str) -> list[dict]:
    return [{"type": "message", "role": "user", "content": text}]


def turn(said: tuple[items.Item, ...]) -> Turn:
    return Turn(model="m", items=said)


def by_anthropic(said: tuple[items.Item, ...], provider: str = "us") -> list[dict]:
    """The blocks of the assistant in what Anthropic is sent."""
    profile = Profile(name="m", provider=provider, reasoning=True)
    messages = json.loads(anthropic.body(turn(said), profile))["messages"]
    return [block for message in messages if message["role"] == "assistant" for block in message["content"]]


def by_openai(said: tuple[items.Item, ...], provider: str = "us") -> list[dict]:
    profile = Profile(name="m", provider=provider, reasoning=True)
    return json.loads(openai.body(turn(said), profile))["input"]


@pytest.mark.parametrize("bare", [False, True], ids=["all-of-it", "without-its-text"])
@pytest.mark.parametrize("dialect", [FREDDY, OPENAI], ids=["freddy", "openai"])
def test_thinking_goes_back_to_anthropic_as_it_came_with_the_call_that_it_led_to(dialect, bare):
    blocks = by_anthropic(handed_back(dialect, ANTHROPIC, bare=bare))
    assert blocks == [
        *OF_ANTHROPIC,
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "call_1", "name": "now", "input": {}},
    ]


@pytest.mark.parametrize("dialect", [FREDDY, OPENAI], ids=["freddy", "openai"])
def test_reasoning_and_phases_go_back_to_openai_as_they_came(dialect):
    written = by_openai(handed_back(dialect, OPENAI_THOUGHT))
    assert written[1:4] == [
        *OF_OPENAI,
        {"type": "message", "role": "assistant", "phase": "commentary", "content": "Let me see."},
        {"type": "function_call", "call_id": "call_1", "name": "now", "arguments": "{}"},
    ]


@pytest.mark.parametrize("dialect", [FREDDY, OPENAI], ids=["freddy", "openai"])
@pytest.mark.parametrize("said", [ANTHROPIC, OPENAI_THOUGHT], ids=["of-anthropic", "of-openai"])
def test_what_one_provider_thought_never_reaches_another(dialect, said):
    kept = handed_back(dialect, said)
    thoughts = ("thinking", "redacted_thinking", "reasoning")
    others = [by_anthropic(kept, "another"), by_openai(kept, "another")]
    others.append(by_openai(kept) if said is ANTHROPIC else by_anthropic(kept))
    for written in others:
        assert [one for one in written if one["type"] in thoughts] == []
        assert written


EFFORTS: dict[Effort, tuple[str, str]] = {
    "off": ("off", "none"),
    "minimal": ("low", "minimal"),
    "low": ("low", "low"),
    "medium": ("medium", "medium"),
    "high": ("high", "high"),
    "xhigh": ("xhigh", "xhigh"),
    "max": ("maximum", "max"),
    "maximum": ("maximum", "high"),
}


@pytest.mark.parametrize("effort", EFFORTS)
def test_an_effort_is_told_in_the_words_of_the_dialect_that_asks(effort):
    request = FREDDY.decode_request(b'{"inputs":"Hi","reasoning":{"effort":"low"}}', CountingIds().new)
    request = replace(request, reasoning=replace(request.reasoning, effort=effort))
    made = Response(id="resp_1", organization_id="org_1", created_at=0, status="completed", model="m", request=request)
    told = tuple(json.loads(one.encode_response(made))["reasoning"]["effort"] for one in (FREDDY, OPENAI))
    assert told == EFFORTS[effort]


@promise(101)
@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max"])
def test_openais_own_efforts_keep_their_own_meaning(effort):
    body = json.dumps({"model": "m", "input": "Hi", "reasoning": {"effort": effort}}).encode()
    request = OPENAI.decode_request(body, CountingIds().new)
    assert request.reasoning.effort == {"none": "off"}.get(effort, effort)
    made = Response(id="resp_1", organization_id="org_1", created_at=0, status="completed", model="m", request=request)
    assert json.loads(OPENAI.encode_response(made))["reasoning"] == {"effort": effort, "summary": None}


@promise(107)
@pytest.mark.parametrize("summary", ["auto", "concise", "detailed"])
def test_a_summary_is_asked_for_and_read_back_in_both_dialects(summary):
    asked = {"reasoning": {"effort": "high", "summary": summary}, "model": "m"}
    for dialect, more in ((FREDDY, {"inputs": "Hi"}), (OPENAI, {"input": "Hi"})):
        request = dialect.decode_request(json.dumps(asked | more).encode(), CountingIds().new)
        assert request.reasoning.summary == summary


def test_a_summary_comes_back_in_each_dialects_own_place():
    output = tuple(item for item in handed_back(OPENAI, OPENAI_THOUGHT) if isinstance(item, items.Reasoning))
    request = FREDDY.decode_request(b'{"inputs":"Hi","reasoning":{"summary":"auto"}}', CountingIds().new)
    made = Response(
        id="resp_1",
        organization_id="org_1",
        created_at=0,
        status="completed",
        model="m",
        request=request,
        output=output,
    )
    assert json.loads(FREDDY.encode_response(made))["reasoning"]["summary"] == "In short"
    assert json.loads(OPENAI.encode_response(made))["output"][0]["summary"] == [
        {"type": "summary_text", "text": "In short"}
    ]


def test_openais_summary_is_streamed_as_openai_streams_it():
    request = OPENAI.decode_request(b'{"model":"m","input":"Hi"}', CountingIds().new)
    response = Response(
        id="resp_1", organization_id="org_1", created_at=0, status="in_progress", model="m", request=request
    )
    encode = OPENAI.event_encoder(response)
    told = Transcript(index=0, new_id=CountingIds().new).feed(OPENAI_THOUGHT)
    frames = [frame for number, one in enumerate(told) if (frame := encode(number, one))]
    assert [frame.split(b"\n", 1)[0].decode().removeprefix("event: response.") for frame in frames] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
