"""A turn becomes the body of a message. The expected bodies were held against the types of Anthropic's own client."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core import errors, items, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.anthropic import marks
from freddy.server.providers.anthropic.request import answers, body, count_body
from freddy.server.providers.anthropic.unmet import unmet
from freddy_fakes import raw
from promises import promise

PLAIN = Profile(name="m", provider="anthropic", max_temperature=1.0)
ABLE = Profile(
    name="m", provider="anthropic", images=True, files=True, reasoning=True, schemas=True, max_temperature=1.0
)

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOSED = {**SCHEMA, "additionalProperties": False}
LOOKUP = toolspec.Function("lookup", "Looks up", raw(SCHEMA))
STRICT = toolspec.Function("lookup", None, raw(SCHEMA), strict=True)
NOW = toolspec.Function("now")
PATCH = toolspec.Function("patch", "Patches", form="custom", format=raw({"type": "text"}))
LOOKUP_OUT = {"name": "lookup", "description": "Looks up", "input_schema": SCHEMA}
NOW_OUT = {"name": "now", "input_schema": {"type": "object", "properties": {}}}
PATCH_OUT = {
    "name": "patch",
    "description": "Patches",
    "input_schema": {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    },
}
ONE = {"disable_parallel_tool_use": True}
HI = items.Message("msg_1", "user", (items.Text("Hi"),))
HI_OUT = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
GO_ON = {"role": "user", "content": [{"type": "text", "text": "Continue."}]}
HASHED = "call_d1d70fd6c39a564942cb6ebab5ccc306"


def ask(*said: items.Item, **asked) -> Turn:
    return Turn(**{"model": "m", "items": said or (HI,), "live": False} | asked)


def told(turn: Turn, profile: Profile = ABLE) -> dict:
    return json.loads(body(turn, profile))


def message(role, *parts) -> items.Message:
    return items.Message("msg_1", role, tuple(items.Text(p) if isinstance(p, str) else p for p in parts))


def call(name, call_id, arguments="{}", **more) -> items.FunctionCall:
    return items.FunctionCall("fc_1", call_id, name, arguments, **more)


def output(call_id, *parts) -> items.FunctionOutput:
    return items.FunctionOutput("fco_1", call_id, tuple(items.Text(p) if isinstance(p, str) else p for p in parts))


def thought(text, signature="sig", **more) -> items.Reasoning:
    return items.Reasoning("rs_1", texts=(text,), encrypted=marks.signed("anthropic", text, signature), **more)


def says(role, *blocks) -> dict:
    return {"role": role, "content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]}


def use(name, call_id, **arguments) -> dict:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id, *texts) -> dict:
    told = {"type": "tool_result", "tool_use_id": call_id}
    return told | ({"content": [{"type": "text", "text": text} for text in texts]} if texts else {})


MESSAGES = {
    "one-of-each-role": (
        [message("system", "A"), message("user", "B"), message("assistant", "C"), message("user", "D")],
        [says("user", "B"), says("assistant", "C"), says("user", "D")],
    ),
    "the-same-role-twice": (
        [message("user", "A"), message("user", "B"), message("assistant", "C", "D"), message("user", "E")],
        [says("user", "A", "B"), says("assistant", "C", "D"), says("user", "E")],
    ),
    "nothing-said": (
        [message("user", "A"), message("user", ""), message("assistant", " \n"), message("user", "B")],
        [says("user", "A", "B")],
    ),
    "an-assistant-first-and-last": ([message("assistant", "A")], [GO_ON, says("assistant", "A"), GO_ON]),
    "no-conversation": ([message("developer", "Be brief.")], [GO_ON]),
    "a-refusal": (
        [HI, message("assistant", items.Refusal("I cannot")), message("user", "Why?")],
        [HI_OUT, says("assistant", "I cannot"), says("user", "Why?")],
    ),
    "images": (
        [
            message(
                "user",
                "See",
                items.Image(url="https://example.org/cat.png", detail="low"),
                items.Image(url="data:image/png;base64,AAAA"),
                items.Image(url="data:image/jpg;base64,BBBB"),
            )
        ],
        [
            says(
                "user",
                "See",
                {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "BBBB"}},
            )
        ],
    ),
    "files": (
        [
            message(
                "user",
                items.File(data="data:application/pdf;base64,JVBE", filename="a.pdf"),
                items.File(data="JVBE"),
                items.File(url="https://example.org/b.pdf"),
                items.File(data="data:text/plain;charset=utf-8;base64,R3LDvGV6aQ==", filename="c.txt"),
            )
        ],
        [
            says(
                "user",
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                    "title": "a.pdf",
                },
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
                {"type": "document", "source": {"type": "url", "url": "https://example.org/b.pdf"}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "Grüezi"},
                    "title": "c.txt",
                },
            )
        ],
    ),
    "calls-and-outputs": (
        [
            HI,
            message("assistant", "Looking."),
            call("a", "1", '{"x": 1}'),
            call("b", "2", ""),
            output("2", "B"),
            output("1", "A", "A"),
            message("user", "And?"),
        ],
        [
            HI_OUT,
            says("assistant", "Looking.", use("a", "1", x=1), use("b", "2")),
            says("user", result("1", "A", "A"), result("2", "B"), "And?"),
        ],
    ),
    "one-call-after-the-other": (
        [HI, call("a", "1"), output("1", "A"), call("b", "2"), output("2", "B")],
        [
            HI_OUT,
            says("assistant", use("a", "1")),
            says("user", result("1", "A")),
            says("assistant", use("b", "2")),
            says("user", result("2", "B")),
        ],
    ),
    "a-user-who-speaks-first": (
        [HI, call("a", "1"), message("user", "Wait"), output("1", "A")],
        [HI_OUT, says("assistant", use("a", "1")), says("user", result("1", "A"), "Wait")],
    ),
    "a-late-output": (
        [
            HI,
            call("a", "1"),
            call("b", "2"),
            output("1", "A"),
            message("assistant", "So far"),
            output("2"),
            message("user", "Go"),
        ],
        [
            HI_OUT,
            says("assistant", use("a", "1"), use("b", "2")),
            says("user", result("1", "A"), result("2")),
            says("assistant", "So far"),
            says("user", "Go"),
        ],
    ),
    "an-unanswered-call": (
        [HI, call("a", "1")],
        [
            HI_OUT,
            says("assistant", use("a", "1")),
            says("user", {**result("1", "x"), "content": "The call was not answered.", "is_error": True}),
        ],
    ),
    "an-output-without-its-call": ([HI, output("9", "A")], [says("user", "Hi", "A")]),
    "an-output-with-an-image": (
        [HI, call("a", "1"), output("1", items.Image(url="https://example.org/a.png"))],
        [
            HI_OUT,
            says("assistant", use("a", "1")),
            says(
                "user",
                result("1")
                | {"content": [{"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}]},
            ),
        ],
    ),
    "a-custom-call": (
        [HI, call("patch", "1", "*** Begin", form="custom"), output("1", "ok")],
        [HI_OUT, says("assistant", use("patch", "1", input="*** Begin")), says("user", result("1", "ok"))],
    ),
    "broken-arguments": (
        [HI, call("a", "1", '{"x":'), output("1"), call("a", "2", "[1]"), output("2")],
        [
            HI_OUT,
            says("assistant", use("a", "1", arguments='{"x":')),
            says("user", result("1")),
            says("assistant", use("a", "2", arguments="[1]")),
            says("user", result("2")),
        ],
    ),
    "a-call-id-the-vendor-refuses": (
        [HI, call("a", "functions.a:0"), output("functions.a:0", "A")],
        [HI_OUT, says("assistant", use("a", HASHED)), says("user", result(HASHED, "A"))],
    ),
    "thoughts": (
        [
            HI,
            thought("Hm."),
            items.Reasoning("rs_2", encrypted=marks.redacted("anthropic", "data")),
            call("a", "1"),
            output("1", "A"),
            thought(""),
            message("assistant", "Done"),
            message("user", "Thanks"),
        ],
        [
            HI_OUT,
            says(
                "assistant",
                {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
                {"type": "redacted_thinking", "data": "data"},
                use("a", "1"),
            ),
            says("user", result("1", "A")),
            says("assistant", {"type": "thinking", "thinking": "", "signature": "sig"}, "Done"),
            says("user", "Thanks"),
        ],
    ),
    "thoughts-of-others": (
        [
            HI,
            items.Reasoning("rs_1", texts=("Hm.",), encrypted="gAAAAABo"),
            items.Reasoning("rs_2", texts=("Hm.",)),
            items.Reasoning("rs_3", texts=("Hm.",), encrypted="openai:anthropic:rs_a:gAAAAone"),
            items.Reasoning("rs_4", texts=("Hm.",), encrypted=marks.signed("another", "Hm.", "sig")),
            items.Reasoning("rs_5", encrypted=marks.redacted("another", "data")),
            items.Reasoning("rs_6", encrypted="anthropic:anthropic:thinking:bm90IHppcHBlZA==:sig"),
            items.Reasoning("rs_7", encrypted="anthropic:anthropic:thinking:?:sig"),
            items.Reasoning("rs_8", encrypted=marks.signed("anthropic", "Hm.", "")),
            items.Reasoning("rs_9", encrypted="anthropic:anthropic:novel:x:y"),
            message("assistant", "Hello"),
            message("user", "Go"),
        ],
        [HI_OUT, says("assistant", "Hello"), says("user", "Go")],
    ),
    "thoughts-whose-text-was-changed-or-lost": (
        [
            HI,
            items.Reasoning("rs_1", texts=("Changed.",), encrypted=marks.signed("anthropic", "Hm: ja.", "sig:1")),
            items.Reasoning("rs_2", encrypted=marks.signed("anthropic", "So.", "sig")),
            message("assistant", "Hello"),
            message("user", "Go"),
        ],
        [
            HI_OUT,
            says(
                "assistant",
                {"type": "thinking", "thinking": "Hm: ja.", "signature": "sig:1"},
                {"type": "thinking", "thinking": "So.", "signature": "sig"},
                "Hello",
            ),
            says("user", "Go"),
        ],
    ),
    "a-thought-that-led-nowhere": ([HI, thought("Hm."), message("user", "Go")], [says("user", "Hi", "Go")]),
    "items-the-wire-has-no-place-for": ([HI, items.Other("x", "web_search_call", raw({}))], [HI_OUT]),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_items_become_messages(name):
    said, expected = MESSAGES[name]
    assert told(ask(*said))["messages"] == expected


def test_all_that_stands_above_the_conversation_is_the_system_text():
    turn = ask(message("developer", "B"), HI, message("system", "C"), instructions="A")
    assert told(turn)["system"] == "A\n\nB\n\nC"


def test_a_turn_without_wishes_is_a_small_body():
    assert told(ask(), PLAIN) == {"model": "m", "max_tokens": 8192, "messages": [HI_OUT], "stream": False}


S = request.Sampling
SCHEMA_A = request.Schema("place", raw(SCHEMA))
SCHEMA_B = request.Schema("time", raw({"type": "object", "properties": {"at": {"type": "integer", "minimum": 0}}}))
LOOSE = request.Schema("place", raw(SCHEMA), "A place", strict=False)
GUIDE = "Give your final answer only by calling place."

UNASKED = {"max_tokens": 33_192, "stream": True}
"""Room for thinking that nobody asked for."""

OPTIONS = {
    "live": ({"live": True}, {"stream": True}),
    "sampling": (
        {"sampling": S(temperature=1.7, seed=7, presence_penalty=1, stop=("END", " "), logprobs=True)},
        {"temperature": 1.0, "stop_sequences": ["END"]},
    ),
    "top_p": ({"sampling": S(top_p=0.5)}, {"top_p": 0.5}),
    "both-samplers": ({"sampling": S(temperature=0.2, top_p=0.5)}, {"temperature": 0.2}),
    "both-samplers-of-old": (
        {"model": "claude-3-5-sonnet-20241022", "sampling": S(temperature=0.2, top_p=0.5)},
        {"model": "claude-3-5-sonnet-20241022", "temperature": 0.2, "top_p": 0.5},
    ),
    "limit": ({"max_output_tokens": 50}, {"max_tokens": 50}),
    "a-long-answer-is-streamed": ({"max_output_tokens": 30_000}, {"max_tokens": 30_000, "stream": True}),
    "tools": (
        {"tools": (LOOKUP, NOW, PATCH), "parallel_tool_calls": True},
        {"tools": [LOOKUP_OUT, NOW_OUT, PATCH_OUT], "tool_choice": {"type": "auto"}},
    ),
    "one-call-at-a-time": ({"tools": (NOW,)}, {"tools": [NOW_OUT], "tool_choice": {"type": "auto", **ONE}}),
    "strict-tool": (
        {"tools": (STRICT,), "parallel_tool_calls": True},
        {
            "tools": [{"name": "lookup", "input_schema": CLOSED, "strict": True}],
            "tool_choice": {"type": "auto"},
        },
    ),
    "no-tool": (
        {"tools": (NOW,), "tool_choice": "none"},
        {"tools": [NOW_OUT], "tool_choice": {"type": "none"}},
    ),
    "some-tool": (
        {"tools": (NOW,), "tool_choice": "required", "parallel_tool_calls": True},
        {"tools": [NOW_OUT], "tool_choice": {"type": "any"}},
    ),
    "this-tool": (
        {"tools": (LOOKUP, NOW), "tool_choice": toolspec.Named("now")},
        {"tools": [LOOKUP_OUT, NOW_OUT], "tool_choice": {"type": "tool", "name": "now", **ONE}},
    ),
    "one-of-these-tools": (
        {"tools": (LOOKUP, NOW), "tool_choice": toolspec.Allowed(("now",), "required")},
        {"tools": [NOW_OUT], "tool_choice": {"type": "any", **ONE}},
    ),
    "calls-of-tools-that-are-gone": (
        {"items": (call("a", "1"), output("1"))},
        {
            "messages": [GO_ON, says("assistant", use("a", "1")), says("user", result("1"))],
            "tools": [{"name": "a", "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "none"},
        },
    ),
    "a-schema": (
        {"output": request.Output("json_schema", (SCHEMA_A,))},
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    ),
    "several-schemas": (
        {"output": request.Output("json_schema", (SCHEMA_A, SCHEMA_B))},
        {
            "output_config": {
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "anyOf": [
                            CLOSED,
                            {
                                "type": "object",
                                "properties": {"at": {"type": "integer", "description": "{minimum: 0}"}},
                                "additionalProperties": False,
                            },
                        ]
                    },
                }
            }
        },
    ),
    "a-loose-schema": (
        {"output": request.Output("json_schema", (LOOSE,))},
        {
            "tools": [{"name": "place", "description": "A place", "input_schema": SCHEMA}],
            "tool_choice": {"type": "any", **ONE},
        },
    ),
    "a-loose-schema-and-thinking": (
        {"output": request.Output("json_schema", (LOOSE,)), "reasoning": request.Reasoning("low")},
        {
            "system": GUIDE,
            "tools": [{"name": "place", "description": "A place", "input_schema": SCHEMA}],
            "tool_choice": {"type": "auto", **ONE},
            "max_tokens": 10_692,
            "thinking": {"type": "enabled", "budget_tokens": 2500},
        },
    ),
    "json": (
        {"output": request.Output("json"), "tools": (NOW,)},
        {
            "tools": [
                NOW_OUT,
                {
                    "name": "json",
                    "description": "Gives the answer, as a JSON object.",
                    "input_schema": {"type": "object"},
                },
            ],
            "tool_choice": {"type": "any", **ONE},
        },
    ),
    "json-after-a-call": (
        {"output": request.Output("json"), "tools": (NOW,), "tool_choice": "required"},
        {"tools": [NOW_OUT], "tool_choice": {"type": "any", **ONE}},
    ),
    "thinking": (
        {
            "reasoning": request.Reasoning("medium"),
            "sampling": S(temperature=0.3, top_p=0.5),
            "tools": (NOW,),
            "tool_choice": "required",
        },
        {
            "max_tokens": 18_192,
            "thinking": {"type": "enabled", "budget_tokens": 10_000},
            "tools": [NOW_OUT],
            "tool_choice": {"type": "auto", **ONE},
        },
    ),
    "thinking-and-most-of-top_p": (
        {"reasoning": request.Reasoning("low"), "sampling": S(top_p=0.97)},
        {"max_tokens": 10_692, "thinking": {"type": "enabled", "budget_tokens": 2500}, "top_p": 0.97},
    ),
    "adaptive-thinking": (
        {
            "model": "claude-opus-4-7",
            "reasoning": request.Reasoning("maximum"),
            "sampling": S(temperature=0.3, top_p=0.5),
            "output": request.Output("json_schema", (SCHEMA_A,)),
        },
        {
            "model": "claude-opus-4-7",
            "max_tokens": 58_192,
            "stream": True,
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": CLOSED}},
        },
    ),
    "no-thinking-where-it-is-the-rule": (
        {"model": "claude-sonnet-5", "reasoning": request.Reasoning("off")},
        {"model": "claude-sonnet-5", "thinking": {"type": "disabled"}},
    ),
    "a-forced-call-where-thinking-is-the-rule": (
        {"model": "claude-opus-5", "tools": (NOW,), "tool_choice": "required"},
        {
            "model": "claude-opus-5",
            "thinking": {"type": "disabled"},
            "tools": [NOW_OUT],
            "tool_choice": {"type": "any", **ONE},
        },
    ),
    "a-forced-call-where-thinking-is-a-must": (
        {"model": "claude-opus-5-5", "tools": (NOW,), "tool_choice": "required", "reasoning": request.Reasoning("off")},
        {
            "model": "claude-opus-5-5",
            "tools": [NOW_OUT],
            "tool_choice": {"type": "auto", **ONE},
            "output_config": {"effort": "low"},
            **UNASKED,
        },
    ),
    "no-thinking-but-between-calls": (
        {
            "model": "claude-sonnet-5-5",
            "tools": (NOW,),
            "tool_choice": "required",
            "reasoning": request.Reasoning("off"),
        },
        {
            "model": "claude-sonnet-5-5",
            "thinking": {"type": "between_tools"},
            "tools": [NOW_OUT],
            "tool_choice": {"type": "auto", **ONE},
        },
    ),
    "no-thinking-of-the-smallest": (
        {"model": "claude-haiku-5-5", "reasoning": request.Reasoning("off")},
        {"model": "claude-haiku-5-5", "thinking": {"type": "disabled"}},
    ),
    "no-thinking-where-nothing-is-the-rule": (
        {"model": "claude-opus-4-8", "reasoning": request.Reasoning("off")},
        {"model": "claude-opus-4-8"},
    ),
    "a-thinker-of-whom-nothing-is-asked": (
        {"model": "claude-fable-5-1", "sampling": S(temperature=0.3)},
        {"model": "claude-fable-5-1", "thinking": {"type": "adaptive", "display": "summarized"}, **UNASKED},
    ),
    "a-model-without-samplers": (
        {"model": "claude-opus-4-7", "sampling": S(temperature=0.3, top_p=0.99)},
        {"model": "claude-opus-4-7"},
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_asked_for_is_told(name):
    asked, expected = OPTIONS[name]
    plain = {"model": "m", "max_tokens": 8192, "messages": [HI_OUT], "stream": False}
    assert told(ask(**asked)) == plain | expected


BUDGETS = {
    "minimal": 2_500,
    "low": 2_500,
    "medium": 10_000,
    "high": 25_000,
    "xhigh": 50_000,
    "max": 50_000,
    "maximum": 50_000,
}


@promise(100)
@promise(103, 104, 105, 106)
@pytest.mark.parametrize("effort", BUDGETS)
def test_an_effort_is_a_budget_below_the_limit(effort):
    written = told(ask(reasoning=request.Reasoning(effort)))
    assert written["thinking"] == {"type": "enabled", "budget_tokens": BUDGETS[effort]}
    assert written["max_tokens"] == BUDGETS[effort] + 8192


@promise(100)
@pytest.mark.parametrize(
    ("effort", "word"),
    [
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "xhigh"),
        ("max", "max"),
        ("maximum", "max"),
    ],
)
@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-opus-5-5", "claude-sonnet-5"])
def test_a_model_without_budgets_is_asked_for_an_effort(model, effort, word):
    written = told(ask(model=model, reasoning=request.Reasoning(effort)))
    assert written["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert written["output_config"] == {"effort": word}


@promise(107)
@promise(108)
@pytest.mark.parametrize("summary", ["auto", "concise", "detailed"])
def test_a_summary_is_no_matter_of_anthropics_and_no_error(summary):
    assert told(ask(reasoning=request.Reasoning("high", summary))) == told(ask(reasoning=request.Reasoning("high")))
    assert told(ask(reasoning=request.Reasoning(summary=summary))) == told(ask())


@pytest.mark.parametrize("model", ["claude-3-5-sonnet-20241022", "claude-3-haiku-20240307"])
def test_a_model_known_not_to_think_is_not_asked_to_whatever_its_profile_says(model):
    said = (HI, thought("Hm."), call("a", "1"), output("1"))
    written = told(ask(*said, model=model, reasoning=request.Reasoning("high")))
    assert "thinking" not in written
    assert written["messages"][1] == says("assistant", use("a", "1"))


@promise(102)
@pytest.mark.parametrize("effort", [None, "off"])
def test_without_an_effort_nothing_is_thought(effort):
    assert "thinking" not in told(ask(reasoning=request.Reasoning(effort)))


def test_a_model_that_does_not_think_is_not_asked_to():
    written = told(ask(thought("Hm."), message("assistant", "Hi"), HI, reasoning=request.Reasoning("high")), PLAIN)
    assert "thinking" not in written
    assert written["messages"] == [GO_ON, says("assistant", "Hi"), HI_OUT]
    assert written["max_tokens"] == 8192


@pytest.mark.parametrize(
    ("limit", "most", "told_limit", "budget"),
    [
        (4_000, None, 4_000, 3_000),
        (1_366, None, 1_366, 1_025),
        (1_300, None, 1_300, None),
        (10, None, 10, None),
        (None, 64_000, 64_000, 50_000),
        (None, 32_000, 32_000, 24_000),
        (90_000, 32_000, 32_000, 24_000),
    ],
)
def test_a_limit_lowers_the_budget(limit, most, told_limit, budget):
    profile = Profile(name="m", provider="anthropic", reasoning=True, output_tokens=most)
    written = told(ask(max_output_tokens=limit, reasoning=request.Reasoning("maximum")), profile)
    assert written["max_tokens"] == told_limit
    assert written.get("thinking", {}).get("budget_tokens") == budget


def test_thinking_waits_while_calls_made_without_it_are_open():
    effort = request.Reasoning("low")
    without = (HI, call("a", "1"), output("1"))
    assert "thinking" not in told(ask(*without, reasoning=effort))
    assert "thinking" in told(ask(*without, message("assistant", "A"), HI, reasoning=effort))
    assert "thinking" in told(ask(HI, thought("Hm."), call("a", "1"), output("1"), reasoning=effort))
    assert "thinking" in told(
        ask(HI, thought("Hm."), call("a", "1"), output("1"), call("a", "2"), output("2"), reasoning=effort)
    )
    assert "thinking" in told(ask(*without, model="claude-opus-4-8", reasoning=effort))


def test_what_is_counted_is_what_is_sent():
    asked = {"tools": (NOW,), "reasoning": request.Reasoning("low"), "instructions": "A"}
    sent, counted = told(ask(**asked)), json.loads(count_body(ask(**asked), ABLE))
    assert counted == {name: sent[name] for name in sent if name not in ("max_tokens", "stream")}


def test_an_answering_function_never_takes_the_name_of_a_tool():
    turn = ask(output=request.Output("json"), tools=(toolspec.Function("json"),))
    assert answers(turn, ABLE) == {"json_answer"}
    assert answers(ask(output=request.Output("json_schema", (SCHEMA_A,))), ABLE) == frozenset()
    assert answers(ask(output=request.Output("json_schema", (SCHEMA_A,))), PLAIN) == {"place"}


def test_definitions_of_several_schemas_keep_apart():
    tree = {"$defs": {"node": {"type": "object"}}, "type": "array", "items": {"$ref": "#/$defs/node"}}
    schemas = (request.Schema("a", raw(tree)), request.Schema("b", raw(tree)))
    node = {"type": "object", "properties": {}, "additionalProperties": False}
    assert told(ask(output=request.Output("json_schema", schemas)))["output_config"]["format"]["schema"] == {
        "anyOf": [
            {"type": "array", "items": {"$ref": "#/$defs/s0_node"}},
            {"type": "array", "items": {"$ref": "#/$defs/s1_node"}},
        ],
        "$defs": {"s0_node": node, "s1_node": node},
    }


@pytest.mark.parametrize(
    ("part", "profile", "kind", "code"),
    [
        (items.Image(url="https://a/b.png"), PLAIN, errors.InvalidRequest, "unsupported_input"),
        (items.File(data="data:application/pdf;base64,JV"), PLAIN, errors.InvalidRequest, "unsupported_input"),
        (items.Audio(data="UklG"), ABLE, errors.InvalidRequest, "unsupported_input"),
        (items.Image(url="data:image/tiff;base64,AA"), ABLE, errors.InvalidRequest, "unsupported_input"),
        (items.Image(url="data:image/png,AA"), ABLE, errors.InvalidRequest, "unsupported_input"),
        (items.File(data="data:application/zip;base64,AA"), ABLE, errors.InvalidRequest, "unsupported_input"),
        (items.File(data="data:text/plain;base64,/w=="), ABLE, errors.InvalidRequest, "unsupported_input"),
        (items.File(data="data:text/plain;base64,?"), ABLE, errors.InvalidRequest, "unsupported_input"),
        (items.Image(file_id="file_1"), ABLE, errors.NotFound, "file_not_found"),
        (items.File(file_id="file_1"), ABLE, errors.NotFound, "file_not_found"),
    ],
)
def test_what_the_model_cannot_read_is_refused(part, profile, kind, code):
    with pytest.raises(kind) as caught:
        body(ask(message("user", part)), profile)
    assert caught.value.code == code


def test_a_loose_schema_must_be_an_objects():
    turn = ask(output=request.Output("json_schema", (request.Schema("a", raw({"type": "array"})),)))
    with pytest.raises(errors.InvalidRequest) as caught:
        body(turn, PLAIN)
    assert caught.value.code == "unsupported_schema"


def test_calls_counted_anew_in_every_answer_keep_apart():
    said = (HI, call("a", "0"), output("0", "A"), call("a", "0"), output("0", "B"))
    first, one, second, two = told(ask(*said))["messages"][1:]
    ids = [first["content"][0]["id"], second["content"][0]["id"]]
    assert ids[0] == "0" != ids[1]
    assert [one["content"], two["content"]] == [[result(ids[0], "A")], [result(ids[1], "B")]]


ITEMS = st.one_of(
    st.builds(message, st.sampled_from(["user", "assistant", "system", "developer"]), st.text(max_size=3)),
    st.builds(call, st.just("f"), st.sampled_from(["a", "b.c", "x" * 80])),
    st.builds(output, st.sampled_from(["a", "b.c", "x" * 80]), st.text(max_size=3)),
    st.builds(thought, st.text(max_size=3)),
    st.just(items.Reasoning("rs_1", encrypted=marks.redacted("anthropic", "data"))),
)


@given(st.lists(ITEMS, max_size=12), st.sampled_from([None, "low"]))
def test_any_conversation_keeps_the_vendors_rules(said, effort):
    written = told(ask(items=tuple(said), reasoning=request.Reasoning(effort)))
    turns = written["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2) + ["user"]
    ids = []
    for at, turn in enumerate(turns):
        kinds = [block["type"] for block in turn["content"]]
        assert kinds
        assert all(block["text"].strip() for block in turn["content"] if block["type"] == "text")
        if turn["role"] == "assistant":
            assert kinds[-1] not in ("thinking", "redacted_thinking")
            calls = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
            following = turns[at + 1]["content"]
            assert [block.get("tool_use_id") for block in following[: len(calls)]] == calls
            ids += calls
        else:
            before = turns[at - 1]["content"] if at else []
            assert kinds.count("tool_result") == sum(block["type"] == "tool_use" for block in before)
    assert len(ids) == len(set(ids))
    assert all(len(one) <= 64 and one.replace("-", "").replace("_", "").isalnum() for one in ids)
    assert "tools" in written or not ids


@pytest.mark.parametrize(("form", "said"), [({"type": "text"}, 0), ({"type": "grammar", "syntax": "lark"}, 1)])
def test_a_grammar_of_a_custom_tool_is_named_as_left_out(form, said):
    tool = toolspec.Function("patch", "Patches", form="custom", format=raw(form))
    asked = Turn(model="claude-sonnet-4-20250514", items=(), tools=(tool,))
    assert sum("format of the tool patch" in one for one in unmet(asked, PLAIN)) == said
