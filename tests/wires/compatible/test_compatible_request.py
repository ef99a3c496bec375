"""A turn becomes the body of a chat completion, and the official client's types agree with it."""

import json

import pytest
from msgspec.structs import replace
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter

from freddy.server.core import errors, items, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.compatible import form
from freddy.server.providers.compatible.request import body
from freddy_fakes import raw

PLAIN = Profile(name="m", provider="vendor")
ABLE = Profile(name="m", provider="vendor", images=True, audio=True, files=True, reasoning=True, schemas=True)
OFFICIAL = TypeAdapter(completion_create_params.CompletionCreateParams)

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOSED = {**SCHEMA, "required": [*SCHEMA["properties"]], "additionalProperties": False}
LOOKUP = toolspec.Function("lookup", "Looks up", raw(CLOSED), strict=True)
NOW = toolspec.Function("now")
PATCH = toolspec.Function("patch", "Patches", form="custom", format=raw({"type": "text"}))
LOOKUP_OUT = {
    "type": "function",
    "function": {"name": "lookup", "description": "Looks up", "parameters": CLOSED, "strict": True},
}
NOW_OUT = {
    "type": "function",
    "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
}
PATCH_OUT = {
    "type": "function",
    "function": {
        "name": "patch",
        "description": "Patches",
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": False,
        },
    },
}
WHOLE = {"model": "m", "messages": [], "stream": False}


def told(turn: Turn, profile: Profile = ABLE) -> dict:
    """The body, which the official client's types accept."""
    written = json.loads(body(turn, profile))
    OFFICIAL.validate_python(written | {"messages": written["messages"] or [{"role": "user", "content": ""}]})
    return written


def ask(*said: items.Item, **asked) -> Turn:
    return Turn(**{"model": "m", "items": said, "live": False} | asked)


def message(role, *parts) -> items.Message:
    return items.Message("msg_1", role, tuple(items.Text(p) if isinstance(p, str) else p for p in parts))


def call(name, call_id, arguments="{}", **more) -> items.FunctionCall:
    return items.FunctionCall("fc_1", call_id, name, arguments, **more)


def output(call_id, *parts) -> items.FunctionOutput:
    return items.FunctionOutput("fco_1", call_id, tuple(items.Text(p) if isinstance(p, str) else p for p in parts))


MESSAGES = {
    "one-of-each-role": (
        [message("system", "A"), message("developer", "B"), message("user", "C"), message("assistant", "D")],
        [
            {"role": "system", "content": "A"},
            {"role": "system", "content": "B"},
            {"role": "user", "content": "C"},
            {"role": "assistant", "content": "D"},
        ],
    ),
    "parts-of-a-user": (
        [
            message(
                "user",
                "What is this?",
                items.Image(url="https://example.org/cat.png", detail="low"),
                items.Image(url="data:image/png;base64,AAAA"),
                items.Audio(data="UklG", format="mp3"),
                items.File(data="data:application/pdf;base64,JVBE", filename="a.pdf"),
            )
        ],
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "https://example.org/cat.png", "detail": "low"},
                    },
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
                    },
                ],
            }
        ],
    ),
    "texts-of-an-assistant": (
        [message("assistant", "A", "B")],
        [{"role": "assistant", "content": "AB"}],
    ),
    "a-refusal": (
        [message("assistant", items.Refusal("I cannot"))],
        [{"role": "assistant", "content": "I cannot"}],
    ),
    "text-and-calls-of-one-answer-and-their-outputs": (
        [
            message("user", "Both?"),
            items.Reasoning("rs_1", ("Hm",)),
            message("assistant", "Let me see"),
            call("lookup", "call_a", '{"city":"Bern"}'),
            items.Reasoning("rs_2", encrypted="sealed"),
            call("lookup", "call_b", '{"city":"Basel"}'),
            output("call_a", "rain"),
            output("call_b", "su", "n"),
            message("assistant", "Rain and sun"),
        ],
        [
            {"role": "user", "content": "Both?"},
            {
                "role": "assistant",
                "content": "Let me see",
                "tool_calls": [
                    {
                        "id": "call_a",
                        "type": "function",
                        "function": {"name": "lookup", "arguments": '{"city":"Bern"}'},
                    },
                    {
                        "id": "call_b",
                        "type": "function",
                        "function": {"name": "lookup", "arguments": '{"city":"Basel"}'},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "call_a", "content": "rain"},
            {"role": "tool", "tool_call_id": "call_b", "content": "sun"},
            {"role": "assistant", "content": "Rain and sun"},
        ],
    ),
    "calls-of-two-answers": (
        [call("now", "call_a"), output("call_a", "1"), call("now", "call_b"), output("call_b", "2")],
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "call_a", "content": "1"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_b", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "call_b", "content": "2"},
        ],
    ),
    "a-custom-call-in-its-shell": (
        [call("patch", "call_a", 'say "hi"\n', form="custom")],
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_a",
                        "type": "function",
                        "function": {"name": "patch", "arguments": '{"input":"say \\"hi\\"\\n"}'},
                    }
                ],
            }
        ],
    ),
    "what-the-wire-has-no-place-for": (
        [items.Other("item_1", "compaction", raw({"type": "compaction"})), items.Reasoning("rs_1", ("Hm",))],
        [],
    ),
    "an-empty-output": ([output("call_a")], [{"role": "tool", "tool_call_id": "call_a", "content": ""}]),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_items_become_messages(name):
    said, messages = MESSAGES[name]
    assert told(ask(*said)) == WHOLE | {"messages": messages}


def test_what_tools_show_is_shown_by_the_user_after_all_of_their_outputs():
    picture = items.Image(url="https://example.org/a.png")
    turn = ask(output("call_a", "see", picture), output("call_b", "no picture"), message("user", "And?"))
    assert told(turn)["messages"] == [
        {"role": "tool", "tool_call_id": "call_a", "content": "see"},
        {"role": "tool", "tool_call_id": "call_b", "content": "no picture"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "This came out of the call call_a:"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            ],
        },
        {"role": "user", "content": "And?"},
    ]


def test_instructions_stand_before_everything():
    assert told(ask(message("user", "Hi"), instructions="Be brief"))["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Hi"},
    ]


ASKED = {
    "nothing": ({}, {}),
    "a-stream": ({"live": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    "sampling": (
        {
            "sampling": request.Sampling(
                temperature=0.0,
                top_p=0.9,
                presence_penalty=-1.0,
                frequency_penalty=1.5,
                logprobs=True,
                top_logprobs=3,
                seed=7,
                stop=("END", "STOP"),
            ),
            "max_output_tokens": 64,
        },
        {
            "temperature": 0.0,
            "top_p": 0.9,
            "presence_penalty": -1.0,
            "frequency_penalty": 1.5,
            "logprobs": True,
            "top_logprobs": 3,
            "seed": 7,
            "stop": ["END", "STOP"],
            "max_tokens": 64,
        },
    ),
    "json": (
        {"output": request.Output("json"), "instructions": "In JSON, please"},
        {
            "messages": [{"role": "system", "content": "In JSON, please"}],
            "response_format": {"type": "json_object"},
        },
    ),
    "json-that-nobody-speaks-of": (
        {"output": request.Output("json"), "instructions": "Be brief"},
        {
            "messages": [{"role": "system", "content": f"Be brief\n\n{form.JSON}"}],
            "response_format": {"type": "json_object"},
        },
    ),
    "a-schema": (
        {"output": request.Output("json_schema", (request.Schema("place", raw(SCHEMA), "Where"),))},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "place", "description": "Where", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    "several-schemas": (
        {
            "output": request.Output(
                "json_schema", (request.Schema("a", raw(SCHEMA)), request.Schema("b", raw({"type": "null"})))
            )
        },
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "answer",
                    "schema": {"anyOf": [SCHEMA, {"type": "null"}]},
                    "strict": True,
                },
            }
        },
    ),
    "tools": (
        {"tools": (LOOKUP, NOW, PATCH), "parallel_tool_calls": True},
        {"tools": [LOOKUP_OUT, NOW_OUT, PATCH_OUT], "parallel_tool_calls": True},
    ),
    "one-call-at-a-time": ({"tools": (NOW,)}, {"tools": [NOW_OUT], "parallel_tool_calls": False}),
    "no-tool": ({"tools": (NOW,), "tool_choice": "none"}, {}),
    "a-choice-without-tools": ({"tool_choice": "required"}, {}),
    "any-tool": (
        {"tools": (NOW,), "tool_choice": "required", "parallel_tool_calls": True},
        {"tools": [NOW_OUT], "tool_choice": "required", "parallel_tool_calls": True},
    ),
    "this-tool": (
        {"tools": (NOW, PATCH), "tool_choice": toolspec.Named("patch"), "parallel_tool_calls": True},
        {
            "tools": [NOW_OUT, PATCH_OUT],
            "tool_choice": {"type": "function", "function": {"name": "patch"}},
            "parallel_tool_calls": True,
        },
    ),
    "these-tools": (
        {"tools": (NOW, PATCH), "tool_choice": toolspec.Allowed(("now",)), "parallel_tool_calls": True},
        {"tools": [NOW_OUT], "parallel_tool_calls": True},
    ),
    "one-of-these-tools": (
        {
            "tools": (NOW, PATCH),
            "tool_choice": toolspec.Allowed(("now",), "required"),
            "parallel_tool_calls": True,
        },
        {"tools": [NOW_OUT], "tool_choice": "required", "parallel_tool_calls": True},
    ),
    "no-thinking": ({"reasoning": request.Reasoning("off")}, {"reasoning_effort": "none"}),
    "some-thinking": ({"reasoning": request.Reasoning("low")}, {"reasoning_effort": "low"}),
    "all-the-thinking": ({"reasoning": request.Reasoning("maximum")}, {"reasoning_effort": "high"}),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_for_is_asked_of_the_vendor(name):
    asked, fields = ASKED[name]
    assert told(ask(**asked)) == WHOLE | fields


def test_strict_is_not_asked_for_with_a_schema_that_openai_behind_it_would_refuse():
    open_ = toolspec.Function("lookup", "Looks up", raw(SCHEMA), strict=True)
    [tool] = told(ask(tools=(open_,)))["tools"]
    assert tool["function"]["strict"] is False


def test_a_model_that_does_not_think_is_not_asked_to():
    assert told(ask(reasoning=request.Reasoning("high")), PLAIN) == WHOLE


def test_a_temperature_above_the_models_highest_is_lowered():
    mild = replace(PLAIN, max_temperature=1.0)
    assert told(ask(sampling=request.Sampling(temperature=1.7)), mild) == WHOLE | {"temperature": 1.0}


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (items.Image(url="https://example.org/a.png"), "images"),
        (items.Audio(data="UklG"), "audio"),
        (items.File(data="data:text/plain;base64,QQ=="), "files"),
    ],
)
def test_a_part_that_the_model_cannot_read_is_refused(part, what):
    with pytest.raises(errors.InvalidRequest, match=f"does not read {what}") as refused:
        body(ask(message("user", part)), PLAIN)
    assert refused.value.code == "unsupported_input"


@pytest.mark.parametrize(
    "part", [items.Image(file_id="file_1"), items.Audio(file_id="file_1"), items.File(file_id="file_1")]
)
def test_a_file_that_is_not_here_is_not_found(part):
    with pytest.raises(errors.NotFound) as missing:
        body(ask(message("user", part)), ABLE)
    assert missing.value.code == "file_not_found"
