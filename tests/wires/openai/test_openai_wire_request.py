"""A turn becomes the body of a request to OpenAI's Responses API, and the official client's types agree with it."""

import json
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from openai.types.responses import input_token_count_params, response_create_params
from pydantic import TypeAdapter

from freddy.server.core import errors, items, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.openai import schemas, seal
from freddy.server.providers.openai.request import body, call_id, counting
from freddy_fakes import raw
from promises import promise

PLAIN = Profile(name="m", provider="vendor", schemas=True)
ABLE = replace(PLAIN, images=True, audio=True, files=True)
THINKING = replace(ABLE, reasoning=True)
CREATE = TypeAdapter(response_create_params.ResponseCreateParamsNonStreaming)
KNOWN = frozenset(response_create_params.ResponseCreateParamsBase.__annotations__) | {"stream"}
COUNT = TypeAdapter(input_token_count_params.InputTokenCountParams)

CLOSED = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"city": {"type": "string"}}}
NOTHING = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
LOOKUP = toolspec.Function("lookup", "Looks up", raw(CLOSED), strict=True)
LOOSE = toolspec.Function("loose", None, raw(OPEN), strict=True)
NOW = toolspec.Function("now")
PATCH = toolspec.Function("patch", "Patches", form="custom", format=raw({"type": "text"}))
LOOKUP_OUT = {
    "type": "function",
    "name": "lookup",
    "parameters": CLOSED,
    "strict": True,
    "description": "Looks up",
}
LOOSE_OUT = {"type": "function", "name": "loose", "parameters": OPEN, "strict": False}
NOW_OUT = {"type": "function", "name": "now", "parameters": NOTHING, "strict": True}
PATCH_OUT = {"type": "custom", "name": "patch", "description": "Patches", "format": {"type": "text"}}
WHOLE = {"model": "m", "input": [], "stream": False, "store": False}


def exhaust(value: object) -> None:
    """Looks at everything: pydantic checks iterables only as they are read."""
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, str):
        for one in value:
            exhaust(one)


def told(turn: Turn, profile: Profile = ABLE, *, published: bool = True) -> dict:
    """The body, which the official client's types accept."""
    written = json.loads(body(turn, profile))
    assert written.keys() <= KNOWN
    if published:
        exhaust(CREATE.validate_python(written))
    return written


def ask(*said: items.Item, **asked) -> Turn:
    return Turn(**{"model": "m", "items": said, "live": False} | asked)


def message(role, *parts, item_id="msg_1", **more) -> items.Message:
    return items.Message(item_id, role, tuple(items.Text(p) if isinstance(p, str) else p for p in parts), **more)


def call(name, call_id, arguments="{}", **more) -> items.FunctionCall:
    return items.FunctionCall("fc_1", call_id, name, arguments, **more)


def output(call_id, *parts, **more) -> items.FunctionOutput:
    said = tuple(items.Text(p) if isinstance(p, str) else p for p in parts)
    return items.FunctionOutput("fco_1", call_id, said, **more)


def texts(role, *said: str) -> dict:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": one} for one in said]}


INPUT = {
    "one-of-each-role": (
        [message("system", "A"), message("developer", "B"), message("user", "C"), message("assistant", "D")],
        [
            texts("system", "A"),
            texts("developer", "B"),
            texts("user", "C"),
            {"type": "message", "role": "assistant", "content": "D"},
        ],
    ),
    "parts-of-a-user-in-their-order": (
        [
            message(
                "user",
                "What is this?",
                items.Image(url="https://example.org/cat.png", detail="low"),
                "And this?",
                items.Image(url="data:image/png;base64,AAAA"),
                items.File(data="data:application/pdf;base64,JVBE"),
                items.File(data="data:text/csv;base64,YSxi", filename="a.csv"),
                items.File(url="https://example.org/a.pdf"),
                items.Refusal("I cannot"),
            )
        ],
        [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": "https://example.org/cat.png", "detail": "low"},
                    {"type": "input_text", "text": "And this?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
                    {
                        "type": "input_file",
                        "file_data": "data:application/pdf;base64,JVBE",
                        "filename": "file.pdf",
                    },
                    {"type": "input_file", "file_data": "data:text/csv;base64,YSxi", "filename": "a.csv"},
                    {"type": "input_file", "file_url": "https://example.org/a.pdf"},
                    {"type": "input_text", "text": "I cannot"},
                ],
            }
        ],
    ),
    "an-assistants-texts-and-phase": (
        [message("assistant", "A", "B", phase="commentary")],
        [{"type": "message", "role": "assistant", "phase": "commentary", "content": "AB"}],
    ),
    "a-refusal": (
        [message("assistant", "Well", items.Refusal("I cannot"))],
        [
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "content": [
                    {"type": "output_text", "text": "Well", "annotations": []},
                    {"type": "refusal", "refusal": "I cannot"},
                ],
            }
        ],
    ),
    "calls-and-their-outputs": (
        [
            call("lookup", "call_a", '{"city":"Bern"}'),
            call("now", "call_b", ""),
            output("call_a", "rain", "y"),
            output("call_b", items.Image(url="https://example.org/now.png")),
        ],
        [
            {"type": "function_call", "call_id": "call_a", "name": "lookup", "arguments": '{"city":"Bern"}'},
            {"type": "function_call", "call_id": "call_b", "name": "now", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_a", "output": "rainy"},
            {
                "type": "function_call_output",
                "call_id": "call_b",
                "output": [{"type": "input_image", "image_url": "https://example.org/now.png", "detail": "auto"}],
            },
        ],
    ),
    "a-custom-call-and-its-output": (
        [call("patch", "call_a", "*** Begin", form="custom"), output("call_a", "Done")],
        [
            {"type": "custom_tool_call", "call_id": "call_a", "name": "patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "call_a", "output": "Done"},
        ],
    ),
    "items-of-other-kinds": (
        [items.Other("ws_1", "web_search_call", raw({})), message("user", "C")],
        [texts("user", "C")],
    ),
}


@pytest.mark.parametrize("name", INPUT)
def test_items_become_input(name):
    said, written = INPUT[name]
    assert told(ask(*said)) == WHOLE | {"input": written}


def test_audio_is_sent_as_it_came():
    said = message("user", items.Audio(data="UklG", format="mp3"), items.Audio(data="UklG"))
    # The published types of messages know no audio: only models whose profile says so are sent any.
    written = told(ask(said), published=False)["input"][0]["content"]
    assert written == [
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        items.Image(url="data:image/png;base64,AAAA"),
        items.Audio(data="UklG"),
        items.File(data="data:application/pdf;base64,JVBE"),
        items.File(url="https://example.org/a.pdf"),
    ],
)
def test_what_the_model_cannot_read_is_refused(part):
    with pytest.raises(errors.InvalidRequest) as refused:
        body(ask(message("user", part)), PLAIN)
    assert refused.value.code == "unsupported_input"


def test_audio_in_the_output_of_a_tool_is_refused():
    with pytest.raises(errors.InvalidRequest):
        body(ask(call("now", "call_a"), output("call_a", items.Audio(data="UklG"))), ABLE)


@pytest.mark.parametrize("part", [items.Image(file_id="f"), items.Audio(file_id="f"), items.File(file_id="f")])
def test_openai_is_never_asked_for_a_file_by_the_callers_id(part):
    with pytest.raises(errors.NotFound):
        body(ask(message("user", part)), ABLE)


OURS = items.Reasoning("rs_1", ("open",), ("Both",), seal.close("vendor", "rs_a", "gAAAAone"))
THOUGHT = {
    "type": "reasoning",
    "id": "rs_a",
    "summary": [{"type": "summary_text", "text": "Both"}],
    "encrypted_content": "gAAAAone",
}
FOLLOWED = {
    "a-message": ((OURS, message("assistant", "A")), 1),
    "a-call": ((OURS, call("now", "call_a")), 1),
    "more-thinking-and-a-call": ((OURS, OURS, call("now", "call_a")), 2),
    "a-question": ((OURS, message("user", "A")), 0),
    "an-output": ((OURS, output("call_a", "A")), 0),
    "nothing": ((OURS,), 0),
    "a-hosted-call": ((OURS, items.Other("ws_1", "web_search_call", raw({})), message("assistant", "A")), 0),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_thought_is_sent_with_what_it_was_thought_for_or_not_at_all(name):
    said, times = FOLLOWED[name]
    written = told(ask(*said), THINKING)["input"]
    assert [item for item in written if item["type"] == "reasoning"] == [THOUGHT] * times


@pytest.mark.parametrize(
    "encrypted",
    [None, "", "gAAAAone", "anthropic:sig", "openai:other:rs_a:gAAAAone", "openai:vendor:gAAAAone", "openai:vendor::x"],
)
def test_another_providers_thought_is_not_sent(encrypted):
    said = (items.Reasoning("rs_1", ("open",), encrypted=encrypted), message("assistant", "A"))
    assert [item["type"] for item in told(ask(*said), THINKING)["input"]] == ["message"]


def test_a_model_that_does_not_reason_is_sent_no_thoughts():
    assert [item["type"] for item in told(ask(OURS, message("assistant", "A")))["input"]] == ["message"]


@given(st.text(), st.text())
def test_call_ids_are_valid_and_stay_apart(one, other):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", call_id(one))
    assert (call_id(one) == call_id(other)) == (one == other)


@pytest.mark.parametrize("given_id", ["call_" + "x" * 60, "functions.now:0", ""])
def test_an_id_that_openai_refuses_is_the_same_for_a_call_and_its_output(given_id):
    written = told(ask(call("now", given_id), output(given_id, "1")))["input"]
    assert written[0]["call_id"] == written[1]["call_id"] != given_id


@pytest.mark.parametrize("given_id", ["item_1", "msg_" + "x" * 80])
def test_an_id_that_must_be_there_is_valid(given_id):
    written = told(ask(message("assistant", items.Refusal("no"), item_id=given_id)))["input"][0]
    assert re.fullmatch(r"msg_[0-9a-f]{48}", written["id"])


FORMAT = {"type": "json_schema", "name": "place", "schema": CLOSED, "strict": True, "description": "Where"}

ASKED = {
    "instructions": ({"instructions": "Be kind"}, {"instructions": "Be kind"}),
    "sampling": (
        {"sampling": request.Sampling(temperature=0.5, top_p=0.9)},
        {"temperature": 0.5, "top_p": 0.9},
    ),
    "what-this-api-does-not-have": (
        {"sampling": request.Sampling(seed=7, stop=("x",), presence_penalty=1, frequency_penalty=1)},
        {},
    ),
    "probabilities": (
        {"sampling": request.Sampling(logprobs=True, top_logprobs=3)},
        {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
    ),
    "a-limit": ({"max_output_tokens": 64}, {"max_output_tokens": 64}),
    "a-limit-below-the-lowest": ({"max_output_tokens": 1}, {"max_output_tokens": 16}),
    "a-cache-key": ({"cache_key": "thrd_1"}, {"prompt_cache_key": "thrd_1"}),
    "verbosity": ({"sampling": request.Sampling(verbosity="low")}, {"text": {"verbosity": "low"}}),
    "a-schema": (
        {"output": request.Output("json_schema", (request.Schema("place", raw(CLOSED), "Where"),))},
        {"text": {"format": FORMAT}},
    ),
    "a-schema-at-best": (
        {"output": request.Output("json_schema", (request.Schema("place", raw(CLOSED), "Where", strict=False),))},
        {"text": {"format": FORMAT | {"strict": False}}},
    ),
    "a-schema-that-strict-mode-refuses": (
        {"output": request.Output("json_schema", (request.Schema("place", raw(OPEN), "Where"),))},
        {"text": {"format": FORMAT | {"schema": OPEN, "strict": False}}},
    ),
    "several-schemas": (
        {
            "output": request.Output(
                "json_schema", (request.Schema("a", raw(CLOSED)), request.Schema("b", raw({"type": "null"})))
            )
        },
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "answer",
                    "strict": True,
                    "schema": {
                        "type": "object",
                        "properties": {"answer": {"anyOf": [CLOSED, {"type": "null"}]}},
                        "required": ["answer"],
                        "additionalProperties": False,
                    },
                }
            }
        },
    ),
    "tools": (
        {"tools": (LOOKUP, LOOSE, NOW, PATCH), "parallel_tool_calls": True},
        {
            "tools": [LOOKUP_OUT, LOOSE_OUT, NOW_OUT, PATCH_OUT],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
        },
    ),
    "no-tool": (
        {"tools": (NOW,), "tool_choice": "none"},
        {"tools": [NOW_OUT], "parallel_tool_calls": False, "tool_choice": "none"},
    ),
    "a-choice-without-tools": ({"tool_choice": "required"}, {}),
    "this-function": (
        {"tools": (NOW, PATCH), "tool_choice": toolspec.Named("now")},
        {
            "tools": [NOW_OUT, PATCH_OUT],
            "parallel_tool_calls": False,
            "tool_choice": {"type": "function", "name": "now"},
        },
    ),
    "these-tools": (
        {"tools": (NOW, PATCH), "tool_choice": toolspec.Allowed(("now", "patch"), "required")},
        {
            "tools": [NOW_OUT, PATCH_OUT],
            "parallel_tool_calls": False,
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "now"}, {"type": "custom", "name": "patch"}],
            },
        },
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_for_is_asked_of_openai(name):
    asked, fields = ASKED[name]
    assert told(ask(**asked)) == WHOLE | fields


@pytest.mark.parametrize("question", ["Where?", "Where, in Json?"])
def test_json_is_asked_for_in_words_too_as_openai_demands(question):
    written = told(ask(message("user", question), instructions="JSON", output=request.Output("json")))
    demand = [] if "Json" in question else [texts("developer", "Answer with a JSON object.")]
    assert written["input"] == [*demand, texts("user", question)]
    assert written["text"] == {"format": {"type": "json_object"}}


def test_a_turn_that_is_listened_to_is_streamed():
    assert json.loads(body(ask(live=True), PLAIN))["stream"] is True


def test_a_long_cache_key_is_shortened_to_one_of_its_own():
    keys = {told(ask(cache_key=f"{'x' * 80}{end}"))["prompt_cache_key"] for end in "ab"}
    assert len(keys) == 2
    assert all(len(key) <= 64 for key in keys)


def test_a_model_that_reasons_is_not_sampled_otherwise_and_returns_its_thoughts():
    sampling = request.Sampling(temperature=0.5, top_p=0.9, logprobs=True, top_logprobs=3)
    fixed = replace(THINKING, sampling=False)
    assert told(ask(sampling=sampling), fixed) == WHOLE | {"include": ["reasoning.encrypted_content"]}


@pytest.mark.parametrize(
    ("model", "effort", "sampled"),
    [
        ("gpt-4o", None, True),
        ("gpt-5-chat-latest", None, True),
        ("a-deployment", "high", True),
        ("gpt-5", "off", False),
        ("gpt-5.1", "off", True),
        ("gpt-5.4-mini", "off", True),
        ("gpt-5.4", None, False),
        ("gpt-5.4", "low", False),
        ("gpt-5.6-sol", "off", False),
        ("gpt-6-astra", "off", False),
        ("o3", None, False),
    ],
)
def test_a_model_is_sampled_as_its_family_allows(model, effort, sampled):
    sampling = request.Sampling(temperature=0.5, top_p=0.9, logprobs=True)
    written = told(ask(model=model, sampling=sampling, reasoning=request.Reasoning(effort)), THINKING)
    assert ({"temperature", "top_p", "top_logprobs"} <= written.keys()) is sampled
    assert ("message.output_text.logprobs" in written.get("include", ())) is sampled


def test_a_model_that_the_facts_say_is_not_sampled_is_not():
    written = told(ask(sampling=request.Sampling(temperature=0.5)), replace(PLAIN, sampling=False))
    assert "temperature" not in written


def test_a_model_that_does_not_reason_is_not_asked_to():
    assert told(ask(reasoning=request.Reasoning("high", "auto"))) == WHOLE


def test_a_summary_is_asked_for():
    written = told(ask(reasoning=request.Reasoning("high", "detailed")), THINKING)
    assert written["reasoning"] == {"effort": "high", "summary": "detailed"}


EFFORTS = ("off", "minimal", "low", "medium", "high", "xhigh", "max", "maximum")
LEVELS = {
    "gpt-5 gpt-5-mini ft:gpt-5-nano:x": "minimal minimal low medium high high high high",
    "gpt-5.1 gpt-5.1-2025-11-13": "none low low medium high high high high",
    "gpt-5.2 gpt-5.4-mini openai/gpt-5.5": "none low low medium high xhigh xhigh high",
    "gpt-5.6-sol": "none low low medium high xhigh max high",
    "gpt-6-astra gpt-6.2-sol": "low low low medium high xhigh max high",
    "gpt-5.1-codex-max gpt-5.3-codex": "low low low medium high xhigh xhigh high",
    "gpt-5-codex gpt-5.1-codex-mini": "low low low medium high high high high",
    "gpt-5.4-pro": "medium medium medium medium high xhigh xhigh high",
    "gpt-5.2-chat-latest": "medium medium medium medium medium medium medium medium",
    "o3 o4-mini": "low low low medium high high high high",
    "gpt-5-pro": "high high high high high high high high",
    "a-deployment": "low low low medium high high high high",
}


@promise(100)
@promise(102, 103, 104, 105, 106)
@pytest.mark.parametrize("models", LEVELS)
def test_every_effort_is_the_nearest_level_that_the_model_knows(models):
    for model in models.split():
        written = [told(ask(model=model, reasoning=request.Reasoning(e)), THINKING)["reasoning"] for e in EFFORTS]
        assert [one["effort"] for one in written] == LEVELS[models].split()


@promise(101)
@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.4", "gpt-4o", "a-deployment"])
def test_where_the_caller_says_nothing_the_models_own_default_stands(model):
    assert "reasoning" not in told(ask(model=model), THINKING)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "gpt-5-chat-latest"])
def test_a_model_known_not_to_reason_is_not_asked_to_whatever_its_profile_says(model):
    written = told(ask(OURS, message("assistant", "A"), model=model, reasoning=request.Reasoning("high")), THINKING)
    assert not written.keys() & {"reasoning", "include"}
    assert [item["type"] for item in written["input"]] == ["message"]


def test_reasoning_goes_on_after_a_turn_of_a_model_that_does_not_reason():
    said = (message("user", "A"), OURS, message("assistant", "B"), message("user", "C"), message("assistant", "D"))
    between = told(ask(*said, model="gpt-4o"), THINKING)["input"]
    again = told(ask(*said, message("user", "E"), model="gpt-5"), THINKING)["input"]
    assert [item["type"] for item in between] == ["message"] * 4
    assert [item["type"] for item in again] == ["message", "reasoning", *["message"] * 4]
    assert again[1] == THOUGHT


@promise(107)
@pytest.mark.parametrize(
    ("model", "told_as"), [("gpt-5.4", "concise"), ("gpt-6-astra", "concise"), ("o3", "auto"), ("gpt-5", "auto")]
)
def test_a_concise_summary_is_asked_of_those_who_make_them(model, told_as):
    written = told(ask(model=model, reasoning=request.Reasoning(summary="concise")), THINKING)
    assert written["reasoning"] == {"summary": told_as}


@pytest.mark.parametrize(("model", "sent"), [("gpt-4o", False), ("o3", False), ("gpt-5", True), ("a-deployment", True)])
def test_verbosity_is_told_to_those_who_have_it(model, sent):
    written = told(ask(model=model, sampling=request.Sampling(verbosity="low")), THINKING)
    assert (written.get("text") == {"verbosity": "low"}) is sent


def test_two_messages_of_a_turn_go_back_as_two_with_their_phases():
    said = (message("assistant", "A", phase="commentary"), message("assistant", "B", phase="final_answer"))
    assert [(one["phase"], one["content"]) for one in told(ask(*said))["input"]] == [
        ("commentary", "A"),
        ("final_answer", "B"),
    ]


def test_counting_asks_with_the_fields_that_count():
    turn = ask(message("user", "Hi"), tools=(NOW,), max_output_tokens=64, reasoning=request.Reasoning("high"))
    written = json.loads(counting(turn, THINKING))
    exhaust(COUNT.validate_python(written))
    assert written.keys() == {"model", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning"}


def closed(**properties) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (closed(), True),
        (closed(a={"type": "string", "description": "A", "enum": ["x"]}), True),
        (closed(a={"type": ["string", "null"], "format": "date"}), True),
        (closed(a={"type": "array", "items": closed(b={"type": "integer", "minimum": 1})}), True),
        (closed(a={"anyOf": [{"type": "null"}, closed()]}), True),
        (closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed()}}, True),
        (closed(a={"$ref": "#"}), True),
        (OPEN, False),
        ({"type": "object"}, False),
        ({"type": "string"}, False),
        ({"anyOf": [closed()]}, False),
        (True, False),
        (closed(a={"type": "string"}) | {"required": []}, False),
        (closed(a={"type": "string"}) | {"additionalProperties": True}, False),
        (closed(a={}), False),
        (closed(a={"type": "object"}), False),
        (closed(a={"type": "array", "items": OPEN}), False),
        (closed(a={"type": "string", "format": "uri"}), False),
        (closed(a={"type": "string", "default": "x"}), False),
        (closed(a={"$ref": "https://example.org"}), False),
        (closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": OPEN}}, False),
        (closed() | {"allOf": []}, False),
        (closed() | {"properties": [1]}, False),
        (closed() | {"required": [1]}, False),
    ],
)
def test_strict_mode_is_asked_for_where_the_schema_allows_it(schema, fits):
    tool = toolspec.Function("f", None, raw(schema if isinstance(schema, dict) else {}))
    assert schemas.strict(schema) is fits
    assert told(ask(tools=(tool,)), published=False)["tools"][0]["strict"] is fits


def test_references_still_lead_somewhere_when_several_schemas_become_one():
    first = closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed(b={"$ref": "#/$defs/A"})}}
    second = closed(a={"$ref": "#/$defs/A"}, me={"$ref": "#"}) | {"$defs": {"A": {"type": "null"}}}
    one = schemas.either((raw(first), raw(second)))
    assert one == closed(
        answer={
            "anyOf": [
                closed(a={"$ref": "#/$defs/0_A"}),
                closed(a={"$ref": "#/$defs/1_A"}, me={"$ref": "#/properties/answer/anyOf/1"}),
            ]
        }
    ) | {"$defs": {"0_A": closed(b={"$ref": "#/$defs/0_A"}), "1_A": {"type": "null"}}}
    assert schemas.strict(one)
