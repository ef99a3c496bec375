"""The same answer, whoever gives it and however it comes: streamed or whole, in either dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from gateway import spelled

from adapters import ADAPTERS, WIRES
from promises import promise
from seen import DIALECTS, alike, answer, check_stream
from simulators.script import (
    Answer,
    Cited,
    Delivery,
    Hidden,
    Line,
    Next,
    call,
    custom,
    likely,
    refusal,
    text,
    thought,
)

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
NOW = {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}}
PATCH = {"type": "custom", "name": "patch"}
UNUSUAL = ("Zü", "rich 🏔", '️\n\n\t"quoted" \\ back \u2028 </think> data: [DONE]\n')


def message(*texts: str) -> tuple[Any, ...]:
    return ("message", *(("output_text", one) for one in texts))


@dataclass(frozen=True)
class Case:
    """`lines` of the model lead to `items`; `unlike` says by kind of wire what is different there."""

    lines: tuple[Line | list[Line], ...]
    items: tuple[Any, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)
    thought: str | None = None
    finish: str | None = None
    status: str = "completed"
    reason: str | None = None
    unlike: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dialects: tuple[str, ...] = DIALECTS
    model: str = "plain"

    def expected(self, kind: str) -> dict[str, Any]:
        told: dict[str, Any] = {"status": self.status, "items": list(self.items), "thought": self.thought}
        if self.reason:
            told["reason"] = self.reason
        return told | self.unlike.get(kind, {})


OSLO, ROME = ("call", "call_a", "get_weather", {"city": "Oslo"}), ("call", "call_b", "get_weather", {"city": "Rome"})
REFUSED = {"status": "incomplete", "reason": "content_filter"}
"""Anthropic ends the answer where it refuses, and explains."""
FILTERED = {
    "anthropic": {"items": [("message", ("output_text", "Half a"), ("refusal", "The provider refused to answer."))]}
}
"""To filter and to refuse are one thing there."""
MERGED = {"items": [message("Looking.Found.")]}
"""Other wires do not tell one message from the next."""

CASES = {
    "text": Case((text("Hello", " there."),), (message("Hello there."),)),
    "one piece": Case((text("Hello there."),), (message("Hello there."),)),
    "many pieces": Case((text(*("word " for _ in range(200))),), (message("word " * 200),)),
    "unusual text": Case((text(*UNUSUAL),), (message("".join(UNUSUAL)),)),
    "nothing": Case((), ()),
    "thinking": Case(
        (thought("Two ", "cities."), text("Oslo.")), (message("Oslo."),), thought="Two cities.", model="thinker"
    ),
    "hidden thinking": Case((Hidden(), text("Oslo.")), (message("Oslo."),), model="thinker"),
    "a refusal": Case(
        (refusal("I ", "won't."),), (("message", ("refusal", "I won't.")),), unlike={"anthropic": REFUSED}
    ),
    "a call": Case(
        (call("get_weather", '{"city"', ':"Oslo"}', call_id="call_a"),), (OSLO,), {"tools": [WEATHER]}
    ),
    "a call without arguments": Case(
        (call("now", call_id="call_a"),), (("call", "call_a", "now", {}),), {"tools": [NOW]}
    ),
    "words and a call": Case(
        (text("Let me ", "look."), call("get_weather", '{"city":"Oslo"}', call_id="call_a")),
        (message("Let me look."), OSLO),
        {"tools": [WEATHER]},
    ),
    "calls at once": Case(
        (
            call("get_weather", '{"city":', '"Oslo"}', call_id="call_a"),
            call("get_weather", '{"city":"Rome"}', call_id="call_b", index=1),
        ),
        (OSLO, ROME),
        {"tools": [WEATHER], "parallel_tool_calls": True},
    ),
    "thinking, words and calls": Case(
        (
            thought("Two ", "cities."),
            text("Let me look."),
            call("get_weather", '{"city":"Oslo"}', call_id="call_a"),
            call("get_weather", '{"city":"Rome"}', call_id="call_b", index=1),
        ),
        (message("Let me look."), OSLO, ROME),
        {"tools": [WEATHER], "parallel_tool_calls": True},
        thought="Two cities.",
        model="thinker",
    ),
    "a custom tool": Case(
        (custom("patch", "*** Begin ", 'Patch\n"a"\n', call_id="call_a"),),
        (("custom", "call_a", "patch", '*** Begin Patch\n"a"\n'),),
        {"tools": [PATCH]},
        dialects=("openai",),
    ),
    "several messages": Case(
        (Next("commentary"), text("Looking."), Next("final_answer"), text("Found.")),
        (message("Looking."), message("Found.")),
        unlike={"anthropic": MERGED, "compatible": MERGED},
    ),
    "cut by the limit": Case(
        (text("Half ", "a"),), (message("Half a"),), {"max_output_tokens": 16}, None, "length", "incomplete",
        "max_output_tokens",
    ),
    "cut in its thinking": Case(
        (thought("Half a"),), (), {}, "Half a", "length", "incomplete", "max_output_tokens", model="thinker"
    ),
    "cut by a filter": Case(
        (text("Half ", "a"),),
        (message("Half a"),),
        finish="content_filter",
        status="incomplete",
        reason="content_filter",
        unlike=FILTERED,
    ),
}  # fmt: skip


@promise(2, 4, 209, 212, 229, 240, 254)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
async def test_the_answer_is_the_same_streamed_or_whole_and_whoever_gives_it(adapter, gateway, upstream, name):
    case = CASES[name]
    for dialect in case.dialects:
        said = [Answer(*case.lines, finish=case.finish) for _ in range(2)]
        upstream.says(*said)
        asked = {"model": case.model, **case.asked}
        whole = await gateway.ask(dialect, **asked)
        told = await gateway.told(dialect, **asked)
        assert answer(whole) == case.expected(adapter.kind), dialect
        assert alike(told.last["response"]) == alike(whole), dialect
        check_stream(told, dialect)
        assert len(upstream.calls) == 2
        upstream.calls.clear()


@pytest.mark.parametrize("sizes", [(1,), (1, 3, 2, 7, 5), (4096,)], ids=["bytes", "odd pieces", "one piece"])
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
async def test_it_does_not_matter_where_the_bytes_of_an_answer_are_cut(adapter, gateway, upstream, sizes):
    lines = (
        thought("Zwei ", "Städte 🏔️."),
        text(*UNUSUAL),
        call("get_weather", '{"ci', 'ty":"Øslo"}', call_id="call_a"),
    )
    asked = {"model": "thinker", "tools": [WEATHER]}
    upstream.says(
        Answer(*lines), Answer(*lines, delivery=Delivery(sizes=sizes)), Answer(*lines, delivery=Delivery(sizes=sizes))
    )
    plainly = await gateway.ask("openai", **asked)
    assert alike(await gateway.ask("openai", **asked)) == alike(plainly)
    told = await gateway.told("openai", **asked)
    assert alike(told.last["response"]) == alike(plainly)
    assert answer(plainly)["thought"] == "Zwei Städte 🏔️."
    check_stream(told, "openai")


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_what_was_used_is_told_alike(adapter, gateway, upstream, streamed):
    counted = (20, 9, 4, 0, 3)
    upstream.says(*(Answer(text("Hi"), usage=counted) for _ in range(2)))
    asked = {"stream": True} if streamed else {}
    for dialect in DIALECTS:
        if streamed:
            usage = (await gateway.told(dialect)).last["response"]["usage"]
        else:
            usage = (await gateway.ask(dialect, **asked))["usage"]
        assert [usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")] == [20, 9, 29]
    assert usage["input_tokens_details"]["cached_tokens"] == 4
    assert usage["output_tokens_details"]["reasoning_tokens"] == 3


@pytest.mark.parametrize("adapter", ADAPTERS[1:], ids=lambda one: one.name)
async def test_what_was_written_to_the_cache_is_part_of_the_input(adapter, gateway, upstream):
    upstream.says(Answer(text("Hi"), usage=(20, 9, 4, 5, 0)))
    usage = (await gateway.ask("openai"))["usage"]
    assert usage["input_tokens"] == 20
    assert usage["input_tokens_details"]["cached_tokens"] == 4
    assert usage["input_tokens_details"]["cache_write_tokens"] == (5 if adapter.kind == "anthropic" else 0)


@pytest.mark.parametrize("adapter", [ADAPTERS[0], ADAPTERS[2]], ids=lambda one: one.name)
async def test_logprobs_are_told_alike_where_the_wire_has_them(adapter, gateway, upstream):
    upstream.says(*(Answer(likely("Yes", -0.1, Yes=-0.1, No=-2.3)) for _ in range(2)))
    asked = {"model": "plain", "top_logprobs": 2, "include": ["message.output_text.logprobs"]}
    whole = await gateway.ask("openai", **asked)
    told = await gateway.told("openai", **asked)
    assert alike(told.last["response"]) == alike(whole)
    (one,) = whole["output"][0]["content"][0]["logprobs"]
    assert (one["token"], one["logprob"]) == ("Yes", -0.1)
    assert [(rival["token"], rival["logprob"]) for rival in one["top_logprobs"]] == [("Yes", -0.1), ("No", -2.3)]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
async def test_a_remark_on_the_text_does_no_harm_and_is_kept_where_it_is_read(adapter, gateway, upstream):
    lines = (text("Oslo is cold."), Cited("https://example.org/oslo", "Oslo", 0, 4), text(" Rome is not."))
    upstream.says(*(Answer(*lines) for _ in range(2)))
    whole = await gateway.ask("openai")
    told = await gateway.told("openai")
    assert alike(told.last["response"]) == alike(whole)
    (part,) = whole["output"][0]["content"]
    assert part["text"] == "Oslo is cold. Rome is not."
    if adapter.kind == "openai":
        (remark,) = part["annotations"]
        assert (remark["type"], remark["url"]) == ("url_citation", "https://example.org/oslo")
    check_stream(told, "openai")


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
async def test_the_exact_name_of_the_model_is_told(adapter, gateway, upstream):
    upstream.says(*(Answer(text("Hi"), model="exactly-2026-02-03") for _ in range(2)))
    assert (await gateway.ask("freddy", model="plain"))["model"] == "exactly-2026-02-03"
    told = await gateway.told("openai", model="plain")
    assert told.last["response"]["model"] == "exactly-2026-02-03"
    assert [one.body["model"] for one in upstream.calls] == [adapter.plain] * 2


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
async def test_what_was_answered_is_what_is_kept(adapter, gateway, upstream):
    upstream.says(Answer(thought("Hm."), text("Yes."), call("get_weather", '{"city":"Oslo"}', call_id="call_a")))
    for dialect in DIALECTS:
        told = await gateway.told(dialect, model="thinker", tools=[WEATHER])
        kept = await gateway.get(f"{spelled(dialect)[0]}/{told.last['response']['id']}")
        assert kept.json() == told.last["response"]
