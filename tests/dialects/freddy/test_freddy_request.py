"""The body of a request: its spellings, its defaults, its mistakes."""

import contextlib
import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freddy.server.core import errors, items, toolspec
from freddy.server.core.request import Compaction, Output, PromptRef, Reasoning, Request, Sampling, Schema, ThreadRef
from freddy.server.dialects.freddy import FREDDY, aliases, threads
from freddy_fakes import CountingIds
from promises import promise

HI = items.Message("msg_1", "user", (items.Text("Hi"),))


def decode(body: object) -> Request:
    counts: Counter[str] = Counter()

    def new_id(prefix: str) -> str:
        counts[prefix] += 1
        return f"{prefix}_{counts[prefix]}"

    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return FREDDY.decode_request(text, new_id)


def with_inputs(*inputs: object) -> tuple[items.Item, ...]:
    return decode({"inputs": list(inputs)}).input


def refused(body: object) -> errors.FreddyError:
    with pytest.raises(errors.FreddyError) as raised:
        decode(body)
    return raised.value


@promise(32, 117, 206, 215)
def test_the_smallest_request_has_every_default():
    assert decode({"inputs": "Hi"}) == Request(model="", input=(HI,), max_tool_calls=20, thread=ThreadRef())


def test_a_request_may_say_everything():
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    body = {
        "model": "gpt-5",
        "inputs": [{"role": "user", "content": "Hi"}],
        "instructions": "Be brief.",
        "temperature": 1,
        "top_p": 0.5,
        "presence_penalty": -2,
        "frequency_penalty": 2,
        "logprobs": True,
        "top_logprobs": 3,
        "seed": 7,
        "stop": "END",
        "verbosity": "low",
        "output_mode": "json_schema",
        "json_schema": {"id": "answer", "description": "An answer", "schema": schema, "strict": False},
        "reasoning": {"effort": "maximum", "summary": "concise"},
        "max_output_synapses": 5,
        "tools": [{"type": "function", "name": "f", "parameters": schema, "require_approval": True}],
        "functions": [{"name": "g", "description": "G", "strict": False}],
        "tool_choice": {"type": "function", "name": "g"},
        "parallel_tool_calls": True,
        "max_tool_calls": 0,
        "thread": {"id": "thrd_x", "metadata": {"k": "v"}},
        "thread_context_mode": "smart",
        "truncation": "auto",
        "context_management": [{"type": "compaction", "compact_threshold": 2000}],
        "store": True,
        "stream": True,
        "background": True,
        "include": ["all", "usage.detailed", "all"],
        "metadata": {"a": "b"},
        "organization_id": "org_1",
        "assistant_id": "asst_1",
        "rules": ["rule_1"],
        "disable_rules": True,
        "rule_context": {"requestType": "chat", "mood": "dry"},
        "prompt": {"id": "prompt_1", "variables": {"n": 1}, "version": "2"},
        "personal_connectors_enabled": False,
    }
    raw = msgspec.Raw
    wire = json.dumps(schema, separators=(",", ":")).encode()
    request = decode(body)
    assert readable(request) == readable(
        Request(
            model="gpt-5",
            input=(HI,),
            instructions="Be brief.",
            sampling=Sampling(1.0, 0.5, -2.0, 2.0, True, 3, 7, ("END",), "low"),
            output=Output("json_schema", (Schema("answer", raw(wire), "An answer", False),)),
            reasoning=Reasoning("maximum", "concise"),
            max_output_tokens=5,
            tools=(
                toolspec.Function("f", None, raw(wire), True, True, True),
                toolspec.Function("g", "G", None, False, hosted=True),
            ),
            tool_choice=toolspec.Named("g"),
            parallel_tool_calls=True,
            max_tool_calls=0,
            thread=ThreadRef("thrd_x", {"k": "v"}),
            context_mode="smart",
            truncation="auto",
            compaction=Compaction(2000),
            stream=True,
            background=True,
            include=("all", "usage.detailed"),
            metadata={"a": "b"},
            organization_id="org_1",
            assistant_id="asst_1",
            rules=("rule_1",),
            disable_rules=True,
            rule_context=raw(b'{"request_type":"chat","mood":"dry"}'),
            prompt=PromptRef("prompt_1", raw(b'{"n":1}'), "2"),
            given=(
                "context_mode",
                "logprobs",
                "max_tool_calls",
                "output",
                "parallel_tool_calls",
                "stop",
                "store",
                "truncation",
            ),
            echo={
                "personal_connectors_enabled": raw(b"false"),
                "prompt": raw(b'{"id":"prompt_1","variables":{"n":1},"version":"2"}'),
            },
        )
    )


def readable(value: object) -> object:
    """JSON of a request: raw values compare by their text."""
    return json.loads(msgspec.json.encode(value))


# --- Spellings --------------------------------------------------------------------------------

CALLED = {"role": "assistant", "function_call": {"name": "f", "id": "call_1", "arguments": "{}"}}
TOOL = {"type": "function", "name": "f", "description": "F", "parameters": {"a": 1}, "strict": False}
CHOICE = {"type": "allowed_tools", "tools": [{"name": "f"}]}
MCP = {"type": "mcp", "server_label": "d", "server_url": "https://a.example/mcp"}
SEARCH = {"type": "file_search", "vector_store_ids": ["vs_1"]}
SCHEMA = {"id": "s", "description": "S", "schema": {"a": 1}, "strict": False}


def tool(**fields: object) -> dict:
    return {"inputs": "Hi", "tools": [{"type": "function", "name": "f", **fields}]}


def part(kind: str, **fields: object) -> dict:
    return {"inputs": [{"role": "user", "content": [{"type": kind, **fields}, "and"]}]}


def message(**fields: object) -> dict:
    return {"inputs": [{"role": "user", "content": "Hi", **fields}]}


def ask(**fields: object) -> dict:
    return {"inputs": "Hi", **fields}


# For each table, for each name: bodies with a value under the given spelling, the second one different.
SPELLED = {
    "request": {
        **{
            name: lambda key, value=value: ask(**{key: value})
            for name, value in {
                "organization_id": "org_1",
                "assistant_id": "asst_1",
                "rules": ["rule_1"],
                "disable_rules": True,
                "rule_context": {"requestType": "chat"},
                "model": "m",
                "instructions": "x",
                "prompt": {"id": "prompt_1"},
                "thread_context_mode": "full",
                "previous_response_id": "resp_1",
                "truncation": "auto",
                "context_management": [{"type": "compaction", "compact_threshold": 2000}],
                "stream": True,
                "background": True,
                "store": False,
                "include": ["all"],
                "metadata": {"a": "b"},
                "max_tool_calls": 1,
                "reasoning": {"effort": "low"},
                "tools": [TOOL],
                "functions": [TOOL],
                "parallel_tool_calls": True,
                "personal_connectors_enabled": True,
                "output_mode": "json",
                "json_schema": SCHEMA,
                "response_format": "json",
                "temperature": 0.5,
                "top_p": 0.5,
                "presence_penalty": 0.5,
                "frequency_penalty": 0.5,
                "logprobs": True,
                "verbosity": "low",
                "seed": 1,
                "stop": ["x"],
                "skill_ids": ["s"],
                "system_tools": {"web_search": {"mode": "off"}},
                "vector_store_ids": ["vs_1"],
                "workflow_id": None,
                "space_id": "space_1",
                "edit_message_id": None,
                "previous_message_id": None,
                "thread": "thrd_1",
                "max_output_synapses": 9,
            }.items()
        },
        "inputs": lambda key: {key: "Hi"},
        "tool_choice": lambda key: ask(tools=[TOOL], **{key: "required"}),
        "top_logprobs": lambda key: ask(logprobs=True, **{key: 2}),
    },
    "input": {
        "type": lambda key: message(**{key: "message"}),
        "id": lambda key: message(**{key: "msg_x"}),
        "role": lambda key: {"inputs": [{key: "system", "content": "Hi"}]},
        "content": lambda key: {"inputs": [{"role": "user", key: "Hi"}]},
        "texts": lambda key: message(**{key: [{"text": "more"}]}),
        "images": lambda key: message(**{key: [{"file_id": "file_1"}]}),
        "audio": lambda key: message(**{key: [{"file_id": "file_1"}]}),
        "files": lambda key: message(**{key: [{"file_id": "file_1"}]}),
        "name": lambda key: {"inputs": [CALLED, {"role": "function", key: "f", "content": "1"}]},
        "function_call": lambda key: {"inputs": [{"role": "assistant", key: CALLED["function_call"]}]},
        "tool_calls": lambda key: {"inputs": [{"role": "assistant", key: [CALLED["function_call"]]}]},
        "arguments": lambda key: {"inputs": [{"type": "function_call", "name": "f", key: "{}"}]},
        "output": lambda key: {"inputs": [{"type": "function_call_output", "call_id": "call_9", key: "1"}]},
        "function": lambda key: {"inputs": [{"type": "function_call", key: {"name": "f"}}]},
        "object": lambda key: message(**{key: "x"}),
        "status": lambda key: message(**{key: "completed"}),
        "require_approval": lambda key: message(**{key: True}),
        "phase": lambda key: message(**{key: "x"}),
        "source": lambda key: message(**{key: "built-in"}),
        "logs": lambda key: message(**{key: {"milliseconds": 1}}),
        "call_id": lambda key: {"inputs": [{"role": "tool", key: "call_9", "content": "1"}]},
    },
    "part": {
        "type": lambda key: {"inputs": [{"role": "user", "content": [{key: "text", "text": "Hi"}]}]},
        "text": lambda key: part("text", **{key: "Hi"}),
        "refusal": lambda key: part("refusal", **{key: "No"}),
        "file_id": lambda key: part("image", **{key: "file_1"}),
        "detail": lambda key: part("image", file_id="file_1", **{key: "low"}),
        "input_audio": lambda key: part("audio", **{key: {"data": "AAAA", "format": "wav"}}),
        "format": lambda key: part("audio", data="AAAA", **{key: "wav"}),
        "file": lambda key: part("file", **{key: {"file_id": "file_1"}}),
        "filename": lambda key: part("file", file_id="file_1", **{key: "a.pdf"}),
        "annotations": lambda key: part("text", text="Hi", **{key: []}),
        "logprobs": lambda key: part("text", text="Hi", **{key: []}),
        "url": lambda key: part("image", **{key: "https://example.com/a.png"}),
        "data": lambda key: part("file", **{key: "data:text/plain;base64,AA"}),
    },
    "call": {
        name: lambda key, name=name, value=value: {
            "inputs": [
                {
                    "role": "assistant",
                    "function_call": {**({} if name in ("name", "function") else {"name": "f"}), key: value},
                }
            ]
        }
        for name, value in {
            "type": "function",
            "name": "f",
            "arguments": '{"a":1}',
            "function": {"name": "f"},
            "id": "call_1",
        }.items()
    },
    "function": {
        name: lambda key, value=value: {
            "inputs": "Hi",
            "tools": [{"type": "function", "function": {"name": "f", key: value}}],
        }
        for name, value in {
            "name": "f",
            "description": "F",
            "parameters": {"a": 1},
            "strict": False,
            "require_approval": True,
        }.items()
    },
    "function_tool": {
        "type": lambda key: {"inputs": "Hi", "tools": [{key: "function", "name": "f"}]},
        "name": lambda key: {"inputs": "Hi", "tools": [{"type": "function", key: "f"}]},
        "description": lambda key: tool(**{key: "F"}),
        "parameters": lambda key: tool(**{key: {"a": 1}}),
        "strict": lambda key: tool(**{key: False}),
        "require_approval": lambda key: tool(**{key: True}),
        "function": lambda key: {"inputs": "Hi", "tools": [{"type": "function", key: {"name": "f"}}]},
    },
    "tool_choice": {
        name: lambda key, value=value: ask(tools=[TOOL], tool_choice={**CHOICE, key: value})
        for name, value in {
            "type": "allowed_tools",
            "tools": [{"name": "f"}],
            "mode": "required",
            "name": "f",
            "function": {"name": "f"},
            "server_label": "d",
        }.items()
    },
    "mcp_tool": {
        name: lambda key, name=name, value=value: ask(
            tools=[
                {
                    **{k: v for k, v in MCP.items() if k != name and (name != "configuration_id" or k != "server_url")},
                    key: value,
                }
            ]
        )
        for name, value in {
            **MCP,
            "configuration_id": "mcp_config_1",
            "server_description": "D",
            "authorization": "t",
            "headers": {"X-Key": "k"},
            "allowed_tools": ["a"],
            "require_approval": "never",
        }.items()
    },
    "file_search_tool": {
        name: lambda key, name=name, value=value: ask(
            tools=[{**{k: v for k, v in SEARCH.items() if k != name}, key: value}]
        )
        for name, value in {
            **SEARCH,
            "filters": {"year": 2026},
            "max_num_results": 3,
            "ranking_options": {"ranker": "hybrid"},
        }.items()
    },
    "ranking_options": {
        name: lambda key, value=value: ask(tools=[{**SEARCH, "ranking_options": {key: value}}])
        for name, value in {
            "ranker": "semantic",
            "score_threshold": 0.5,
            "hybrid_search": {"embedding_weight": 2, "text_weight": 1},
        }.items()
    },
    "thread_ref": {
        "id": lambda key: ask(thread={key: "thrd_1"}),
        "metadata": lambda key: ask(thread={key: {"a": "b"}}),
    },
    "reasoning": {
        "effort": lambda key: ask(reasoning={key: "off"}),
        "summary": lambda key: ask(reasoning={key: "auto"}),
    },
    "recalled": {
        "type": lambda key: ask(inputs=[{key: "reasoning"}, "Hi"]),
        **{
            name: lambda key: ask(inputs=[{"type": "reasoning", key: "x"}, "Hi"])
            for name in ("id", "effort", "summary", "content", "encrypted_content")
        },
    },
    "schema": {
        name: lambda key, name=name: ask(
            json_schema={**{k: v for k, v in SCHEMA.items() if k != name}, key: SCHEMA[name]}
        )
        for name in SCHEMA
    },
    "response_format": {
        **{
            name: lambda key, name=name: ask(
                response_format={
                    "type": "json_schema",
                    **{k: v for k, v in SCHEMA.items() if k != name},
                    key: SCHEMA[name],
                }
            )
            for name in SCHEMA
        },
        "type": lambda key: ask(response_format={key: "json"}),
        "json_schema": lambda key: ask(response_format={"type": "json_schema", key: SCHEMA}),
    },
    "prompt": {
        "id": lambda key: ask(prompt={key: "prompt_1"}),
        "variables": lambda key: ask(prompt={"id": "prompt_1", key: {"a": 1}}),
        "version": lambda key: ask(prompt={"id": "prompt_1", key: "2"}),
    },
    "rule_context": {
        "request_type": lambda key: ask(rule_context={key: "chat"}),
        "user_expertise": lambda key: ask(rule_context={key: "expert"}),
        "output_format": lambda key: ask(rule_context={key: "markdown"}),
        "target_audience": lambda key: ask(rule_context={key: "developers"}),
    },
}
SPELLINGS = [
    (table, spelling, name)
    for table, names in aliases.TABLES.items()
    if table != "thread"
    for spelling, name in names.items()
    if name != "connector_id"  # there are none yet
]


def without_echoed_names(request: Request) -> object:
    # A prompt and a tool choice are handed back as they came, in the caller's own spelling.
    return readable(msgspec.structs.replace(request, echo={}))


@pytest.mark.parametrize(("table", "spelling", "name"), SPELLINGS, ids=lambda value: value)
def test_every_spelling_of_a_key_means_the_same(table, spelling, name):
    body = SPELLED[table][name]

    assert without_echoed_names(decode(body(spelling))) == without_echoed_names(decode(body(name)))


@pytest.mark.parametrize("name", sorted(set(aliases.REQUEST.values()) - {"inputs"}))
def test_two_spellings_of_one_key_must_say_the_same(name):
    others = [spelling for spelling, canonical in aliases.REQUEST.items() if canonical == name != spelling]
    for other in others:
        once = SPELLED["request"][name](name)
        if once[name] is None:
            continue
        decode({**once, other: once[name]})  # the same value twice is no contradiction
        failure = refused({**once, other: "something else"})
        assert isinstance(failure, errors.InvalidValue)
        assert failure.param == other
        assert name in str(failure.details)


def test_a_null_is_an_absent_field():
    nulls = dict.fromkeys(set(aliases.REQUEST) - {"inputs"})

    assert decode({"inputs": "Hi", **nulls}) == decode({"inputs": "Hi"})


@pytest.mark.parametrize(("spelling", "kind"), aliases.TOOL_TYPES.items())
def test_every_spelling_of_a_tool_type_is_known(spelling, kind):
    needed = {"mcp": MCP, "file_search": SEARCH}.get(kind, {"name": "f"})
    (spec,) = decode(ask(tools=[{**needed, "type": spelling}])).tools

    served = {toolspec.Function: "function", toolspec.Mcp: "mcp", toolspec.FileSearch: "file_search"}
    assert (spec.type if isinstance(spec, toolspec.Other) else served[type(spec)]) == kind


@promise(101)
@promise(101)
@pytest.mark.parametrize(("spelling", "effort"), aliases.EFFORTS.items())
def test_every_spelling_of_an_effort_is_known(spelling, effort):
    assert decode(ask(reasoning={"effort": spelling})).reasoning == Reasoning(effort)


@promise(101)
@promise(103, 106)
@pytest.mark.parametrize(
    ("effort", "meant"),
    [("off", "off"), ("low", "minimal"), ("medium", "medium"), ("high", "high"), ("maximum", "maximum")],
)
def test_the_documented_efforts_stand_for_the_measures_of_their_own(effort, meant):
    assert decode(ask(reasoning={"effort": effort})).reasoning == Reasoning(meant)


@promise(101)
@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({}, Reasoning("medium")),
        ({"summary": "auto"}, Reasoning("medium", "auto")),
        ({"effort": None, "summary": "off"}, Reasoning("medium")),
        (None, Reasoning()),
    ],
)
def test_who_asks_for_reasoning_without_an_effort_gets_a_medium_one(asked, meant):
    assert decode(ask(reasoning=asked)).reasoning == meant


@promise(74)
@pytest.mark.parametrize("name", aliases.INCLUDE)
def test_every_documented_include_is_kept(name):
    assert decode(ask(include=[name])).include == (name,)


# --- Inputs -----------------------------------------------------------------------------------


@promise(43, 44, 45, 47)
def test_content_comes_before_texts_images_audio_and_files():
    assert with_inputs(
        {
            "role": "user",
            "files": [{"fileId": "file_f"}],
            "audio": [{"file_id": "file_a"}],
            "images": [{"imageUrl": "https://x/y.png"}],
            "texts": [{"text": "two"}, {"text": "three"}],
            "content": "one",
            "id": "msg_mine",
        }
    ) == (
        items.Message(
            "msg_mine",
            "user",
            (
                items.Text("one"),
                items.Text("two"),
                items.Text("three"),
                items.Image(url="https://x/y.png"),
                items.Audio(file_id="file_a"),
                items.File(file_id="file_f"),
            ),
        ),
    )


def test_content_may_be_parts_in_the_ways_of_other_apis():
    assert with_inputs(
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                {"type": "input_image", "file_id": "file_1"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_id": "file_2"}},
                {"type": "input_file", "file_url": "https://x/y.pdf"},
                {"text": "b"},
                "c",
            ],
        }
    ) == (
        items.Message(
            "msg_1",
            "user",
            (
                items.Text("a"),
                items.Image(url="https://x/y.png", detail="low"),
                items.Image(file_id="file_1"),
                items.Audio(data="AAAA", format="wav"),
                items.File(file_id="file_2"),
                items.File(url="https://x/y.pdf"),
                items.Text("b"),
                items.Text("c"),
            ),
        ),
    )


@promise(39, 40, 213)
def test_the_published_follow_up_joins_the_output_to_its_call_by_name():
    inputs = with_inputs(
        {"role": "user", "texts": [{"text": "Weather?"}]},
        {"role": "assistant", "functionCall": {"name": "get", "arguments": '{"location":"SF"}'}},
        {"role": "function", "name": "get", "content": '{"temperature":72}'},
    )

    assert inputs[1:] == (
        items.FunctionCall("fc_1", "call_1", "get", '{"location":"SF"}'),
        items.FunctionOutput("fco_1", "call_1", (items.Text('{"temperature":72}'),), name="get"),
    )


def test_outputs_with_only_a_name_answer_the_oldest_open_call_of_that_name():
    inputs = with_inputs(
        {"role": "assistant", "functionCall": {"name": "get", "arguments": {"n": 1}}},
        {"role": "assistant", "function_call": {"id": "call_b", "name": "get", "arguments": '{"n":2}'}},
        {"role": "assistant", "functionCall": {"name": "get"}},
        {"role": "tool", "toolCallId": "call_b", "content": "second"},
        {"role": "function", "name": "get", "content": "first"},
        {"role": "function", "name": "get", "content": {"third": [3]}},
    )

    assert [(call.call_id, call.arguments) for call in inputs[:3]] == [
        ("call_1", '{"n":1}'),
        ("call_b", '{"n":2}'),
        ("call_2", "{}"),
    ]
    assert [(output.call_id, output.text) for output in inputs[3:]] == [
        ("call_b", "second"),
        ("call_1", "first"),
        ("call_2", '{"third":[3]}'),
    ]


def test_output_items_may_be_sent_back_as_inputs():
    inputs = with_inputs(
        {
            "type": "function_call",
            "id": "fc_x",
            "status": "completed",
            "call_id": "call_x",
            "name": "f",
            "arguments": "{}",
            "function": {"name": "f", "arguments": "{}"},
        },
        {"type": "function_call_output", "call_id": "call_x", "output": "7"},
        {
            "type": "message",
            "id": "msg_x",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Seven.", "annotations": []}],
        },
    )

    assert inputs == (
        items.FunctionCall("fc_x", "call_x", "f", "{}"),
        items.FunctionOutput("fco_1", "call_x", (items.Text("7"),)),
        items.Message("msg_x", "assistant", (items.Text("Seven."),)),
    )


def test_calls_of_chat_completions_are_understood():
    inputs = with_inputs(
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [{"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_x", "content": [{"type": "text", "text": "7"}]},
    )

    assert inputs == (
        items.Message("msg_1", "assistant", (items.Text("Let me look."),)),
        items.FunctionCall("fc_1", "call_x", "f", "{}"),
        items.FunctionOutput("fco_1", "call_x", (items.Text("7"),)),
    )


@promise(53, 257)
@pytest.mark.parametrize(
    "inputs",
    [
        None,
        [],
        "",
        [{"role": "user"}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "texts": []}, {"role": "system", "texts": [{"text": ""}]}],
    ],
)
def test_inputs_without_any_content_are_refused(inputs):
    failure = refused({"inputs": inputs})

    assert type(failure) is errors.InvalidInput
    assert (failure.message, failure.param) == ("No valid input messages found", "inputs")


# --- Threads ----------------------------------------------------------------------------------


@promise(55, 57)
@pytest.mark.parametrize(
    ("fields", "thread"),
    [
        ({}, ThreadRef()),
        ({"thread": None}, ThreadRef()),
        ({"thread": "thrd_session_001"}, ThreadRef("thrd_session_001")),
        ({"threadId": "t"}, ThreadRef("t")),
        ({"thread": {}}, ThreadRef()),
        ({"thread": {"metadata": {"a": "b"}}}, ThreadRef(None, {"a": "b"})),
        ({"store": False}, None),
        ({"store": False, "thread": "t"}, ThreadRef("t")),
        ({"previous_response_id": "resp_1"}, None),
    ],
)
def test_a_new_thread_is_made_unless_the_request_says_otherwise(fields, thread):
    assert decode(ask(**fields)).thread == thread


@promise(63)
def test_a_thread_and_a_previous_response_exclude_each_other():
    failure = refused(ask(previous_response_id="resp_1", threadId="thrd_1"))

    assert isinstance(failure, errors.InvalidValue)
    assert failure.details == "previous_response_id cannot be used together with threadId"


# --- Tools ------------------------------------------------------------------------------------


@promise(114)
@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("f", toolspec.Named("f")),
        ({"name": "f"}, toolspec.Named("f")),
        ({"type": "function", "name": "f"}, toolspec.Named("f")),
        ({"type": "function", "function": {"name": "f"}}, toolspec.Named("f")),
        ({"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}, toolspec.Allowed(("f",))),
        ({"type": "webSearch"}, "auto"),
        ("web_search", "auto"),
    ],
)
def test_a_tool_choice_may_be_a_word_or_an_object(choice, meant):
    request = decode(ask(tools=[TOOL, {"type": "web_search"}], toolChoice=choice))

    assert request.tool_choice == meant
    hosted = "earch" in str(choice)
    assert {name: bytes(value) for name, value in request.echo.items()} == (
        {"tool_choice": b'{"type":"web_search"}'} if hosted else {}
    )


def test_personal_connectors_may_be_turned_on_and_off_for_a_request():
    def kinds(**fields: object) -> list[str]:
        return [spec.type for spec in decode(ask(**fields)).tools]

    tools = [{"type": "personalConnector"}]
    assert kinds(personal_connectors_enabled=True) == ["personal_connector"]
    assert kinds(personal_connectors_enabled=True, tools=tools) == ["personal_connector"]
    assert kinds(personal_connectors_enabled=False, tools=tools) == []


def test_credentials_of_mcp_servers_are_told_to_the_server_alone():
    secrets = {"authorization": "s3cret", "headers": {"X-API-Key": "s3cret"}}
    (spec,) = decode(ask(tools=[{**MCP, **secrets}])).tools

    assert isinstance(spec, toolspec.Mcp)
    assert (spec.authorization, spec.headers) == ("s3cret", {"X-API-Key": "s3cret"})
    assert "s3cret" not in str(readable(spec.told))


def test_the_keys_of_a_schema_keep_their_order():
    (spec,) = decode(ask(tools=[{**TOOL, "parameters": {"properties": {"z": {}, "a": {}}}}])).tools

    assert isinstance(spec, toolspec.Function)
    assert bytes(spec.parameters) == b'{"properties":{"z":{},"a":{}}}'


# --- Mistakes ---------------------------------------------------------------------------------

NOT_A_NAME = "must be 1 to 64 letters, digits, _ or -, and not begin with a digit or -"


@promise(222, 223, 225, 226, 227, 260)
@pytest.mark.parametrize(
    ("body", "param", "details"),
    [
        (ask(temperature=2.5), "temperature", "temperature must be between 0 and 2"),
        (ask(temperature="hot"), "temperature", "temperature must be a number between 0 and 2"),
        (ask(temperature=True), "temperature", "temperature must be a number between 0 and 2"),
        (ask(topP=-0.1), "topP", "topP must be between 0 and 1"),
        (ask(presence_penalty=3), "presence_penalty", "presence_penalty must be between -2 and 2"),
        (ask(frequency_penalty=-3), "frequency_penalty", "frequency_penalty must be between -2 and 2"),
        (ask(max_output_synapses=0), "max_output_synapses", "max_output_synapses must be at least 1"),
        (ask(maxTokens=1.5), "maxTokens", "maxTokens must be an integer"),
        (ask(max_tool_calls=-1), "max_tool_calls", "max_tool_calls must be at least 0"),
        (ask(top_logprobs=2), "top_logprobs", "top_logprobs may be given only when logprobs is true"),
        (ask(logprobs=True, top_logprobs=21), "top_logprobs", "top_logprobs must be between 0 and 20"),
        (ask(logprobs=1), "logprobs", "logprobs must be true or false"),
        (ask(verbosity="loud"), "verbosity", "verbosity must be one of low, medium, high"),
        (ask(stop=["a"] * 5), "stop", "stop must be at most 4 strings, none of them empty"),
        (ask(stream="yes"), "stream", "stream must be true or false"),
        (ask(model=7), "model", "model must be a string"),
        (ask(model=""), "model", "model must not be empty"),
        (ask(rules=["a", 1]), "rules[1]", "rules[1] must be a string"),
        (ask(metadata={str(n): "" for n in range(17)}), "metadata", "metadata must have at most 16 pairs"),
        (ask(metadata={"a": "b\0"}), "metadata", "metadata must not have the character U+0000 in it"),
        (ask(metadata={"\0": "b"}), "metadata", "metadata must not have the character U+0000 in it"),
        (ask(metadata={"k" * 65: ""}), "metadata", "metadata must have keys of at most 64 characters"),
        (
            ask(metadata={"k": "v" * 513}),
            "metadata.k",
            "metadata.k must be at most 512 characters long",
        ),
        (ask(metadata={"k": 1}), "metadata.k", "metadata.k must be a string"),
        (ask(thread="a/b"), "thread", "thread must be 1 to 128 letters, digits, _, -, . or :"),
        (ask(thread=5), "thread", "thread must be a string or an object"),
        (
            ask(thread={"metadata": {"k": 1}}),
            "thread.metadata.k",
            "thread.metadata.k must be a string",
        ),
        (ask(reasoning={"effort": "huge"}), "reasoning.effort", None),
        (ask(thread_context_mode="old"), "thread_context_mode", None),
        (ask(output_mode="xml"), "output_mode", None),
        (
            ask(output_mode="json_schema"),
            "json_schema",
            "json_schema is required when output_mode is json_schema",
        ),
        (ask(output_mode="json", json_schema=SCHEMA), "json_schema", None),
        (ask(json_schema={"schema": {}}), "json_schema.id", None),
        (
            ask(json_schema=[{"id": "a"}]),
            "json_schema[0].schema",
            "json_schema[0].schema must be a JSON Schema object",
        ),
        (ask(json_schema=[SCHEMA, SCHEMA]), "json_schema", "json_schema must have unique ids"),
        (ask(output_mode="text", response_format="json"), "response_format", None),
        (ask(rule_context=[]), "rule_context", "rule_context must be an object"),
        (ask(rule_context={"user_expertise": "guru"}), "rule_context.user_expertise", None),
        (ask(prompt={}), "prompt.id", "prompt.id must name the prompt template"),
        (ask(workflow_id="wf_1"), "workflow_id", "workflow_id is not supported by this server: leave it out"),
        (
            ask(edit_message_id="msg_1"),
            "edit_message_id",
            "edit_message_id needs the thread that the message is in: send thread, too",
        ),
        (ask(previous_message_id="msg_1", thread={}), "previous_message_id", None),
        (
            ask(edit_message_id="msg_1", previousMessageId="msg_2", thread="t"),
            "previousMessageId",
            "previousMessageId cannot be used together with edit_message_id",
        ),
        (
            ask(edit_message_id="msg_1", previous_response_id="resp_1"),
            "previous_response_id",
            "previous_response_id cannot be used together with edit_message_id",
        ),
        (ask(tools={}), "tools", "tools must be an array"),
        (ask(tools=["x"]), "tools[0]", "tools[0] must be an object"),
        (
            ask(tools=[{"type": "telepathy"}]),
            "tools[0].type",
            "tools[0].type must be one of function, file_search, web_search, code_interpreter, "
            "image_generation, computer_use_preview, personal_connector, streamline, mcp",
        ),
        (ask(functions=[{"type": "web_search"}]), "functions[0].type", None),
        (ask(tools=[{"type": "function"}]), "tools[0].name", f"tools[0].name {NOT_A_NAME}"),
        (
            ask(tools=[{"type": "function", "function": {"name": "1a"}}]),
            "tools[0].function.name",
            f"tools[0].function.name {NOT_A_NAME}",
        ),
        (ask(tools=[TOOL, TOOL]), "tools", "tools must have unique names: f is there twice"),
        (ask(tools=[TOOL], functions=[TOOL]), "tools", "tools must have unique names: f is there twice"),
        (ask(tools=[{**TOOL, "parameters": 1}]), "tools[0].parameters", None),
        (ask(tools=[{**TOOL, "description": "x" * 1025}]), "tools[0].description", None),
        (
            ask(tools=[{"type": "web_search"}] * 129),
            "tools",
            "tools must hold at most 128 tools",
        ),
        (ask(tool_choice="required"), "tool_choice", "tool_choice asks for a tool, and tools has none"),
        (ask(toolChoice={"name": "g"}, tools=[TOOL]), "toolChoice", None),
        (ask(toolChoice=[]), "toolChoice", "toolChoice must be an object"),
        ({"inputs": 5}, "inputs", "inputs must be an array"),
        ({"inputs": [5]}, "inputs[0]", "inputs[0] must be an object"),
        (
            {"inputs": [{"role": "robot"}]},
            "inputs[0].role",
            "inputs[0].role must be one of user, assistant, system, developer, function, tool",
        ),
        (
            {"inputs": [{"role": "user", "texts": [{"text": "a"}, {"text": 1}]}]},
            "inputs[0].texts[1].text",
            "inputs[0].texts[1].text must be a string",
        ),
        (
            {"inputs": [{"role": "user", "images": [{}]}]},
            "inputs[0].images[0]",
            "inputs[0].images[0] must have exactly one of file_id, url",
        ),
        (
            {"inputs": [{"role": "user", "images": [{"imageUrl": "file:///etc/passwd"}]}]},
            "inputs[0].images[0].imageUrl",
            "inputs[0].images[0].imageUrl must be an http, https or data URL",
        ),
        ({"inputs": [{"role": "user", "content": 1}]}, "inputs[0].content", None),
        ({"inputs": [{"role": "user", "content": [{"type": "smell"}]}]}, "inputs[0].content[0].type", None),
        ({"inputs": [{"role": "user", "functionCall": {"name": "f"}}]}, "inputs[0].functionCall", None),
        ({"inputs": [{"role": "function", "content": "1"}]}, "inputs[0].call_id", None),
        ({"inputs": [{"role": "function", "name": "f", "content": "1"}]}, "inputs[0].name", None),
        (
            {
                "inputs": [
                    {"role": "user", "content": "a", "id": "x"},
                    {"role": "user", "content": "b", "id": "x"},
                ]
            },
            "inputs[1].id",
            "inputs[1].id must be unique within inputs",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_place_and_the_cure(body, param, details):
    failure = refused(body)

    assert type(failure) is errors.InvalidValue
    assert failure.status == 422
    assert failure.param == param
    assert str(failure.details).startswith(f"{param} ")
    assert details is None or failure.details == details


@promise(89)
def test_an_unknown_include_is_told_which_ones_there_are():
    failure = refused(ask(include=["all", "everything"]))

    assert (type(failure), failure.param) == (errors.InvalidValue, "include")
    assert all(name in str(failure.details) for name in aliases.INCLUDE)


@pytest.mark.parametrize(
    ("body", "param", "details"),
    [
        (ask(temprature=1), "temprature", "did you mean temperature?"),
        (ask(zzz=1), "zzz", None),
        (message(text="x"), "inputs[0].text", "did you mean inputs[0].texts?"),
        (ask(reasoning={"efort": "low"}), "reasoning.efort", "did you mean reasoning.effort?"),
        (tool(paramaters={}), "tools[0].paramaters", "did you mean tools[0].parameters?"),
    ],
)
def test_an_unknown_key_is_refused_with_a_guess(body, param, details):
    failure = refused(body)

    assert type(failure) is errors.UnknownParameter
    assert (failure.status, failure.param, failure.details) == (400, param, details)


@pytest.mark.parametrize(
    ("body", "kind", "details"),
    [
        (b'{"inputs": "s3cret" "x"}', errors.InvalidJson, "JSON is malformed: expected ',' or '}' (byte 20)"),
        (b'{"inputs": "s3cret', errors.InvalidJson, "Input data was truncated (of 18 bytes)"),
        (b'{"inputs": "\xff"}', errors.InvalidJson, "not UTF-8 (byte 12)"),
        (b'{"temperature": NaN}', errors.InvalidJson, "JSON is malformed: invalid character (byte 16)"),
        (b"[" * 100_000, errors.InvalidJson, "it is nested too deeply"),
        (b'["s3cret"]', errors.InvalidInput, None),
        (b"null", errors.InvalidInput, None),
    ],
)
def test_a_body_that_is_no_object_is_refused_without_its_content(body, kind, details):
    failure = refused(body)

    assert type(failure) is kind
    assert failure.status == 400
    assert failure.details == details
    assert "s3cret" not in failure.message


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}", b"\xef\xbb\xbf{}"])
def test_an_empty_body_has_no_inputs(body):
    assert refused(body).message == "No valid input messages found"


def test_a_byte_order_mark_is_no_mistake():
    assert decode(b'\xef\xbb\xbf{"inputs":"Hi"}').input == (HI,)


def test_integers_of_any_size_survive_in_a_schema():
    huge = 10**40

    (spec,) = decode(ask(tools=[{**TOOL, "parameters": {"maximum": huge}}])).tools

    assert isinstance(spec, toolspec.Function)
    assert json.loads(bytes(spec.parameters)) == {"maximum": huge}


# --- Anything at all --------------------------------------------------------------------------

KEYS = st.sampled_from(sorted({key for names in aliases.TABLES.values() for key in names}))
WORDS = st.sampled_from(
    ["user", "assistant", "function", "tool", "text", "image", "f", "auto", "", "json_schema", "mcp"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4), VALUES)
def test_no_json_whatever_raises_anything_but_our_errors(body, inputs):
    def create(text: bytes) -> threads.NewThread:
        return threads.decode_thread_create(text, CountingIds().new)

    for each in (
        {"inputs": "Hi", **body},
        {"inputs": inputs, **body},
        {"inputs": [inputs], "tools": [inputs]},
    ):
        text = json.dumps(each).encode()
        for read in (decode, create, threads.decode_thread_update):
            try:
                read(text)
            except errors.FreddyError as failure:
                FREDDY.encode_error(failure.as_failure())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_no_bytes_whatever_raise_anything_but_our_errors(body):
    with pytest.raises(errors.FreddyError):
        decode(body)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000))
def test_no_depth_raises_anything_but_our_errors(depth):
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        deep = opening * depth + "1" * (opening != "[") + closing * depth
        for key in ("tools", "rule_context", "ruleContext"):
            text = f'{{"inputs":"Hi","{key}":{deep},"rule_context":{deep}}}'
            with contextlib.suppress(errors.FreddyError):
                decode(text.encode())
