"""The same question, whoever is asked: history, pictures, tools, limits and forms reach every vendor in its own words.

That each request fits what the vendor publishes is for the simulators to say: a test ends only where none complained.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from gateway import spelled

from adapters import ADAPTERS, WIRES
from heard import IMAGE, heard
from promises import promise
from seen import DIALECTS, answer
from simulators.script import Answer, call, custom, text, thought

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
LOOSE = {**WEATHER, "strict": False}
TIME = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}}
PATCH = {"type": "custom", "name": "patch", "description": "Changes files."}
USER, MODEL, TOOL = "user", "assistant", "tool"


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def called(call_id: str, city: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "get_weather", "arguments": json.dumps({"city": city})}


def output(call_id: str, what: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": what}


@dataclass(frozen=True)
class Case:
    """What is asked in the OpenAI dialect, and what of it each vendor must hear."""

    asked: Mapping[str, Any]
    heard: Mapping[str, Any]
    freddy: Mapping[str, Any] | None = field(default=None)
    """The same in the other dialect; None where that spells it alike."""
    only: tuple[str, ...] = ("openai", "anthropic", "compatible")


ASK_OSLO = [user("Weather?"), called("call_a", "Oslo"), output("call_a", "-3 C")]
HEARD_OSLO = [
    (USER, "text", "Weather?"),
    (MODEL, "call", "call_a", "get_weather", {"city": "Oslo"}),
    (TOOL, "output", "call_a", "-3 C"),
]
CASES = {
    "a text": Case({"input": "Hi"}, {"said": [(USER, "text", "Hi")], "system": "", "tools": []}),
    "a history": Case(
        {"input": [user("One?"), {"role": "assistant", "content": "1."}, user("Two?")]},
        {"said": [(USER, "text", "One?"), (MODEL, "text", "1."), (USER, "text", "Two?")]},
    ),
    "two of a kind": Case(
        {"input": [user("One."), user("Two.")]}, {"said": [(USER, "text", "One."), (USER, "text", "Two.")]}
    ),
    "it begins with the model": Case(
        {"input": [{"role": "assistant", "content": "Welcome."}, user("Hi")]},
        {"said": [(MODEL, "text", "Welcome."), (USER, "text", "Hi")]},
        only=("openai", "compatible"),
    ),
    "instructions": Case(
        {"input": "Hi", "instructions": "Be short."}, {"system": "Be short.", "said": [(USER, "text", "Hi")]}
    ),
    "a system message": Case(
        {"input": [{"role": "system", "content": "Be short."}, user("Hi")]},
        {"system": "Be short.", "said": [(USER, "text", "Hi")]},
    ),
    "a picture": Case(
        {"input": [user([{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": IMAGE}])]},
        {"said": [(USER, "text", "What?"), (USER, "image", IMAGE)]},
        freddy={"inputs": [{"role": "user", "texts": [{"text": "What?"}], "images": [{"url": IMAGE}]}]},
    ),
    "two pictures": Case(
        {"input": [user([{"type": "input_image", "image_url": IMAGE}, {"type": "input_image", "image_url": IMAGE}])]},
        {"said": [(USER, "image", IMAGE), (USER, "image", IMAGE)]},
        freddy={"inputs": [{"role": "user", "images": [{"url": IMAGE}, {"url": IMAGE}]}]},
    ),
    "tools": Case({"tools": [WEATHER, TIME]}, {"tools": ["get_weather", "get_time"], "choice": "auto"}),
    # What the vendor says then are no arguments that fit.
    "no choice of tools": Case({"tools": [LOOSE], "tool_choice": "required"}, {"choice": "required"}),
    "one of the tools": Case(
        {"tools": [WEATHER, TIME], "tool_choice": {"type": "function", "name": "get_time"}}, {"choice": "get_time"}
    ),
    "none of the tools": Case({"tools": [WEATHER], "tool_choice": "none"}, {"choice": "none"}),
    "what a function gave back": Case(
        {"input": ASK_OSLO, "tools": [WEATHER]}, {"said": HEARD_OSLO, "tools": ["get_weather"]}
    ),
    "what functions gave back at once": Case(
        {
            "input": [
                user("Weather?"),
                called("call_a", "Oslo"),
                called("call_b", "Rome"),
                output("call_a", "-3 C"),
                output("call_b", "20 C"),
            ],
            "tools": [WEATHER],
            "parallel_tool_calls": True,
        },
        {
            "said": [
                (USER, "text", "Weather?"),
                (MODEL, "call", "call_a", "get_weather", {"city": "Oslo"}),
                (MODEL, "call", "call_b", "get_weather", {"city": "Rome"}),
                (TOOL, "output", "call_a", "-3 C"),
                (TOOL, "output", "call_b", "20 C"),
            ]
        },
    ),
    "a limit": Case({"max_output_tokens": 500}, {"limit": 500}),
}


@promise(41, 42, 47)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_the_vendor_hears_what_the_caller_said(adapter, gateway, upstream, name):
    case = CASES[name]
    for dialect in DIALECTS:
        asked = {"model": "plain", **(case.freddy if dialect == "freddy" and case.freddy else case.asked)}
        path, body = spelled(dialect, **asked)
        reply = await gateway.post(path, body)
        assert reply.status_code == 200, reply.text
        told = heard(adapter.kind, upstream.last.body)
        expected = dict(case.heard)
        if adapter.kind not in case.only:
            told["said"], expected["said"] = told["said"][-1:], expected["said"][-1:]
        if expected.get("choice") == "none" and not told["tools"]:
            told["choice"] = "none"  # No tools, no choice.
        assert {key: told[key] for key in expected} == expected, dialect


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_sampling_reaches_the_vendor_within_its_bounds(adapter, gateway, upstream):
    for dialect in DIALECTS:
        await gateway.ask(dialect, model="plain", temperature=1.5)
        assert upstream.last.body["temperature"] == min(1.5, adapter.max_temperature)
        await gateway.ask(dialect, model="plain", top_p=0.5)
        assert upstream.last.body["top_p"] == 0.5


@promise(228)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_verbosity_reaches_models_that_take_it_and_is_named_elsewhere(adapter, gateway, upstream):
    reply = await gateway.ask("freddy", model="thinker", verbosity="low")
    if adapter.kind == "openai":
        assert upstream.last.body["text"] == {"verbosity": "low"}
        assert reply.get("warnings", []) == []
    else:
        assert "verbosity" not in upstream.last.body
        assert any("verbosity" in warning for warning in reply["warnings"])


EFFORTS = {
    "low": ("minimal", 2_500),
    "medium": ("medium", 10_000),
    "high": ("high", 25_000),
    "maximum": ("high", 50_000),
}
"""As the documentation has it: OpenAI's effort, and Anthropic's tokens for thinking."""


@promise(100, 101, 103, 104, 105, 106)
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_effort_reaches_the_vendor_in_its_own_measure(adapter, gateway, upstream, effort):
    level, budget = EFFORTS[effort]
    await gateway.ask("freddy", model="thinker", reasoning={"effort": effort})
    body = upstream.last.body
    match adapter.kind:
        case "openai":
            assert body["reasoning"]["effort"] == level
        case "anthropic":
            assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
            assert body["max_tokens"] > budget
        case _:
            assert body["reasoning_effort"] in ("low", "medium", "high")


@promise(102)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_no_effort_is_no_thinking_as_far_as_the_vendor_can(adapter, gateway, upstream):
    await gateway.ask("freddy", model="thinker", reasoning={"effort": "off"})
    body = upstream.last.body
    assert body.get("reasoning", {"effort": "none"})["effort"] in ("none", "minimal")
    assert body.get("thinking", {"type": "disabled"}) == {"type": "disabled"}
    assert body.get("reasoning_effort", "none") in ("none", "minimal", "low")


FORM = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "cold": {"type": "boolean"}},
    "required": ["city", "cold"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
@pytest.mark.parametrize("mode", ["json", "json_schema"])
async def test_an_answer_in_a_form_is_that_and_nothing_else(adapter, gateway, upstream, mode, streamed):
    upstream.says(*(Answer(text('{"city":', '"Oslo",', '"cold":true}')) for _ in range(2)))
    schema = {"type": "json_schema", "name": "weather", "schema": FORM, "strict": True}
    forms: dict[str, dict[str, Any]] = {
        "openai": {"text": {"format": {"type": "json_object"} if mode == "json" else schema}},
        "freddy": {"output_mode": "json"}
        if mode == "json"
        else {"output_mode": mode, "json_schema": {"id": "weather", "schema": FORM, "strict": True}},
    }
    for dialect in DIALECTS:
        asked = {"model": "plain", "input": "Is it cold in Oslo?", **forms[dialect]}
        if streamed:
            told = (await gateway.told(dialect, **asked)).last["response"]
        else:
            told = await gateway.ask(dialect, **asked)
        ((kind, (part, said)),) = answer(told)["items"]
        assert (told["status"], kind, part) == ("completed", "message", "output_text")
        assert json.loads(said) == {"city": "Oslo", "cold": True}
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_metadata_comes_back_untouched_and_is_no_vendors_business(adapter, gateway, upstream):
    metadata = {"ticket": "4711", "who": "Zoë", "empty": ""}
    for dialect in DIALECTS:
        assert (await gateway.ask(dialect, metadata=metadata))["metadata"] == metadata
        assert (await gateway.told(dialect, metadata=metadata)).last["response"]["metadata"] == metadata
    assert not any("metadata" in one.body for one in upstream.calls)


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_call_and_its_output_go_on_from_the_response_before(adapter, gateway, upstream):
    upstream.says(
        Answer(thought("Hm."), text("Let me look."), call("get_weather", '{"city":"Oslo"}', call_id="call_a")),
        Answer(text("Cold.")),
    )
    asked = {"model": "thinker", "tools": [WEATHER], "reasoning": {"effort": "low"}}
    first = await gateway.ask("openai", input="Weather in Oslo?", instructions="Be short.", **asked)
    second = await gateway.ask("openai", input=[output("call_a", "-3 C")], previous_response_id=first["id"], **asked)
    assert answer(second)["items"] == [("message", ("output_text", "Cold."))]
    told = heard(adapter.kind, upstream.last.body)
    assert told["system"] == "", "instructions hold for one response"
    assert [part for part in told["said"] if part[1] != "thinking"] == [
        (USER, "text", "Weather in Oslo?"),
        (MODEL, "text", "Let me look."),
        (MODEL, "call", "call_a", "get_weather", {"city": "Oslo"}),
        (TOOL, "output", "call_a", "-3 C"),
    ]
    # Who must see its own thinking again sees it, where it stood.
    assert ((MODEL, "thinking") in told["said"]) == (adapter.kind != "compatible")


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_call_id_that_a_vendor_does_not_take_is_changed_the_same_way_on_both_sides(adapter, gateway, upstream):
    odd = ("call.with:signs", "x" * 80, "call_plain")
    said = [user("Weather?"), *(called(one, "Oslo") for one in odd), *(output(one, one) for one in odd)]
    await gateway.ask("openai", model="plain", input=said, tools=[WEATHER])
    told = heard(adapter.kind, upstream.last.body)["said"]
    asked, answered = [one[2] for one in told if one[1] == "call"], [one[2] for one in told if one[1] == "output"]
    assert asked == answered
    assert len(set(asked)) == 3
    assert asked[2] == "call_plain"
    assert [one[3] for one in told if one[1] == "output"] == list(odd)
    if adapter.kind != "compatible":
        assert all(len(one) <= 64 and one.replace("_", "").replace("-", "").isalnum() for one in asked)


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_custom_tool_goes_there_and_back(adapter, gateway, upstream):
    free = '*** Begin Patch\n"é"\n'
    upstream.says(*(Answer(custom("patch", free[:7], free[7:], call_id="call_a")) for _ in range(2)))
    asked = {"model": "plain", "input": "Fix it.", "tools": [PATCH]}
    told = await gateway.told("openai", **asked)
    (made,) = told.last["response"]["output"]
    assert (made["type"], made["input"]) == ("custom_tool_call", free)
    assert "".join(event["delta"] for event in told.of("response.custom_tool_call_input.delta")) == free
    back = {"type": "custom_tool_call_output", "call_id": "call_a", "output": "Done."}
    await gateway.ask("openai", **asked | {"input": [user("Fix it."), made, back]})
    assert heard(adapter.kind, upstream.last.body)["said"][1:] == [
        (MODEL, "call", "call_a", "patch", {"input": free}),
        (TOOL, "output", "call_a", "Done."),
    ]


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_an_answer_can_be_sent_back_as_it_came(adapter, gateway, upstream):
    """Every item of an output is an input, with its ids, its nulls and its empty lists."""
    lines = (thought("Hm."), text("Let me look."), call("get_weather", '{"city":"Oslo"}', call_id="call_a"))
    upstream.says(Answer(*lines), Answer(text("Cold.")))
    asked = {"model": "thinker", "tools": [WEATHER], "include": ["reasoning.encrypted_content"], "store": False}
    asked["reasoning"] = {"effort": "low"}
    first = await gateway.ask("openai", input="Weather?", **asked)
    said = [user("Weather?"), *first["output"], output("call_a", "-3 C")]
    second = await gateway.ask("openai", input=said, **asked)
    assert answer(second)["items"] == [("message", ("output_text", "Cold."))]
    told = heard(adapter.kind, upstream.last.body)["said"]
    assert [one[:2] for one in told if one[1] != "thinking"] == [
        (USER, "text"),
        (MODEL, "text"),
        (MODEL, "call"),
        (TOOL, "output"),
    ]
    assert ((MODEL, "thinking") in told) == (adapter.kind != "compatible")
