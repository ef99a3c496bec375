import json

import msgspec
import pytest
from msgspec import Raw
from openai_samples import counter, decode

from freddy.server.core import errors, items, toolspec
from freddy.server.core.request import Output, PromptRef, Reasoning, Request, Sampling, Schema, ThreadRef
from freddy.server.dialects.openai import OPENAI


def test_the_smallest_request_has_openais_defaults():
    assert decode() == Request(
        model="m",
        input=(items.Message("msg_1", "user", (items.Text("Hi"),)),),
        parallel_tool_calls=True,
        context_mode="full",
        given=("context_mode",),
    )


def test_every_parameter_has_its_place():
    schema = {"type": "object", "properties": {}}
    made = decode(
        input=[{"role": "user", "content": "Hi"}],
        instructions="Be kind.",
        stream=True,
        store=True,
        background=True,
        temperature=1,
        top_p=0.5,
        presence_penalty=-2,
        frequency_penalty=2,
        top_logprobs=3,
        seed=7,
        max_output_tokens=16,
        max_tool_calls=2,
        tools=[{"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": False}],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        text={
            "format": {"type": "json_schema", "name": "s", "schema": schema, "strict": True},
            "verbosity": "low",
        },
        reasoning={"effort": "none", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        metadata={"a": "b"},
        truncation="auto",
        conversation={"id": "conv_1"},
        prompt={"id": "pmpt_1", "version": "2"},
        user="u",
        service_tier="flex",
        prompt_cache_key="k",
        client_metadata={"x": 1},
        something_new=[1],
    )
    raw_schema = Raw(json.dumps(schema).encode())
    assert made == Request(
        model="m",
        input=(items.Message("msg_1", "user", (items.Text("Hi"),)),),
        instructions="Be kind.",
        stream=True,
        background=True,
        sampling=Sampling(
            temperature=1.0,
            top_p=0.5,
            presence_penalty=-2.0,
            frequency_penalty=2.0,
            logprobs=True,
            top_logprobs=3,
            seed=7,
            verbosity="low",
        ),
        max_output_tokens=16,
        max_tool_calls=2,
        tools=(toolspec.Function("f", "d", raw_schema, False),),
        tool_choice=toolspec.Named("f"),
        parallel_tool_calls=False,
        output=Output("json_schema", (Schema("s", raw_schema),)),
        reasoning=Reasoning("off", "auto"),
        include=("reasoning.encrypted",),
        metadata={"a": "b"},
        truncation="auto",
        thread=ThreadRef("conv_1", must_exist=True),
        prompt=PromptRef("pmpt_1", version="2"),
        cache_key="k",
        context_mode="full",
        given=("context_mode", "logprobs", "max_tool_calls", "output", "parallel_tool_calls", "store", "truncation"),
        echo={
            "prompt": Raw(b'{"id": "pmpt_1", "version": "2"}'),
            "user": Raw(b'"u"'),
            "prompt_cache_key": Raw(b'"k"'),
        },
    )


def test_null_is_as_good_as_absent():
    nulls = dict.fromkeys(
        [
            "instructions",
            "stream",
            "store",
            "background",
            "temperature",
            "top_p",
            "top_logprobs",
            "max_output_tokens",
            "max_tool_calls",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "text",
            "reasoning",
            "include",
            "metadata",
            "truncation",
            "previous_response_id",
            "conversation",
            "prompt",
            "stream_options",
            "user",
            "safety_identifier",
        ]
    )
    assert decode(**nulls) == decode()


def test_every_kind_of_message_and_part_is_read():
    logprob = {"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}
    citation = {"type": "file_citation", "file_id": "f", "index": 0, "filename": "n"}
    made = decode(
        input=[
            {"role": "developer", "content": "Be kind."},
            {"type": "message", "role": "system", "content": [{"type": "text", "text": "t"}]},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": "https://a.b/c.png", "detail": "low"},
                    {"type": "input_image", "image_url": {"url": "data:x"}, "file_id": None},
                    {"type": "input_image", "file_id": "file_1", "detail": None},
                    {"type": "input_file", "file_data": "data:y", "filename": "a.pdf"},
                    {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}},
                ],
            },
            {
                "id": "msg_theirs",
                "type": "message",
                "role": "assistant",
                "status": "incomplete",
                "phase": "commentary",
                "content": [
                    {"type": "output_text", "text": "b", "annotations": [citation], "logprobs": [logprob]},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
        ]
    )
    assert made.input == (
        items.Message("msg_1", "developer", (items.Text("Be kind."),)),
        items.Message("msg_2", "system", (items.Text("t"),)),
        items.Message(
            "msg_3",
            "user",
            (
                items.Text("a"),
                items.Image(url="https://a.b/c.png", detail="low"),
                items.Image(url="data:x"),
                items.Image(file_id="file_1"),
                items.File(data="data:y", filename="a.pdf"),
                items.Audio(data="eA==", format="wav"),
            ),
        ),
        items.Message(
            "msg_theirs",
            "assistant",
            (
                items.Text(
                    "b",
                    (items.Annotation("file_citation", Raw(json.dumps(citation).encode())),),
                    (items.Logprob("a", -1.0, (97,)),),
                ),
                items.Refusal("no"),
            ),
            "incomplete",
            "commentary",
        ),
    )


def test_calls_outputs_and_reasoning_are_read_with_and_without_their_ids():
    made = decode(
        input=[
            {"type": "reasoning", "id": None, "summary": [], "encrypted_content": "x"},
            {"type": "reasoning", "id": "rs_a", "content": [{"type": "reasoning_text", "text": "hm"}]},
            {
                "type": "function_call",
                "id": None,
                "call_id": "c1",
                "name": "f",
                "arguments": "{}",
                "status": None,
            },
            {"type": "function_call_output", "call_id": "c1", "output": "4"},
            {"type": "custom_tool_call", "id": "ctc_a", "call_id": "c2", "name": "p", "input": "go"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": "a"}, {"type": "input_image", "file_id": "f"}],
            },
        ]
    )
    assert made.input == (
        items.Reasoning("rs_1", encrypted="x"),
        items.Reasoning("rs_a", texts=("hm",)),
        items.FunctionCall("fc_2", "c1", "f", "{}"),
        items.FunctionOutput("fco_3", "c1", (items.Text("4"),)),
        items.FunctionCall("ctc_a", "c2", "p", "go", form="custom"),
        items.FunctionOutput("fco_4", "c2", (items.Text("a"), items.Image(file_id="f")), form="custom"),
    )


def test_items_that_this_server_does_not_know_are_kept_as_they_came():
    search = b'{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search"}}'
    body = b'{"model":"m","input":[%s,{"type":"from_2031","x":[1e400]},{"id":"msg_9"}]}' % search
    assert OPENAI.decode_request(body, counter()).input == (
        items.Other("ws_1", "web_search_call", Raw(search)),
        items.Other("item_1", "from_2031", Raw(b'{"type":"from_2031","x":[1e400],"id":"item_1"}')),
        items.Other("msg_9", "item_reference", Raw(b'{"id":"msg_9"}')),
    )


def test_the_tools_of_a_namespace_are_laid_flat_and_a_shared_name_gets_the_namespace_before_it():
    namespace = {
        "type": "namespace",
        "name": "b",
        "description": "",
        "tools": [{"type": "function", "name": "f"}],
    }
    made = decode(
        tools=[{"type": "function", "name": "f"}, namespace, {"type": "custom", "name": "p"}],
        input=[{"type": "function_call", "call_id": "c", "name": "f", "namespace": "b", "arguments": "{}"}],
    )
    assert made.tools == (
        toolspec.Function("f"),
        toolspec.Other("namespace", Raw(json.dumps(namespace).encode())),
        toolspec.Function("b--f", namespace="b"),
        toolspec.Function("p", form="custom"),
    )
    assert made.input == (items.FunctionCall("fc_1", "c", "b--f", "{}", namespace="b"),)


def test_a_function_nested_as_in_chat_completions_is_read():
    made = decode(tools=[{"type": "function", "function": {"name": "f", "parameters": None}}])
    assert made.tools == (toolspec.Function("f"),)


@pytest.mark.parametrize(
    ("choice", "want"),
    [
        ("required", "required"),
        ({"type": "custom", "name": "p"}, toolspec.Named("p")),
        ({"type": "function", "function": {"name": "f"}}, toolspec.Named("f")),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            toolspec.Allowed(("f",), "required"),
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "image_generation"}]}, "none"),
        ({"type": "web_search"}, "auto"),
        ({"type": "code_interpreter"}, "auto"),
    ],
)
def test_a_tool_choice_is_read(choice, want):
    tools = [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}]
    assert decode(tools=tools, tool_choice=choice).tool_choice == want


@pytest.mark.parametrize(
    "tool",
    [
        "web_search",
        "web_search_preview",
        "code_interpreter",
        "image_generation",
        "computer",
        "computer_use_preview",
        "local_shell",
        "shell",
        "apply_patch",
        "tool_search",
        "programmatic_tool_calling",
        "new_one",
    ],
)
def test_no_tool_that_is_not_run_here_is_refused(tool):
    raw = json.dumps({"type": tool, "name": 5}).encode()
    assert decode(tools=[{"type": tool, "name": 5}]).tools == (toolspec.Other(tool, Raw(raw)),)


def test_input_may_be_left_out_where_a_history_speaks():
    assert decode(input=None, previous_response_id="resp_0").input == ()
    assert decode(input=[], conversation="conv_1").input == ()


def test_instructions_that_come_back_as_a_list_are_joined():
    made = decode(instructions=[{"role": "developer", "content": "a"}, {"role": "system", "content": "b"}])
    assert made.instructions == "a\n\nb"


def test_an_id_too_long_to_keep_is_replaced():
    made = decode(input=[{"role": "user", "content": "a", "id": "x" * 400}])
    assert made.input[0].id == "msg_1"


FAULTS = [
    ({"model": None}, "model", 400, "missing_required_parameter"),
    ({"model": 5}, "model", 422, "invalid_value"),
    ({"input": None}, "input", 400, "missing_required_parameter"),
    ({"input": []}, "input", 400, "invalid_input"),
    ({"input": ""}, "input", 400, "invalid_input"),
    ({"input": 5}, "input", 422, "invalid_value"),
    ({"input": ["a"]}, "input[0]", 422, "invalid_value"),
    ({"input": [{}]}, "input[0].type", 400, "missing_required_parameter"),
    ({"input": [{"role": "user"}]}, "input[0].content", 400, "missing_required_parameter"),
    ({"input": [{"role": "critic", "content": "a"}]}, "input[0].role", 422, "invalid_value"),
    (
        {"input": [{"role": "user", "content": [{"type": "x"}]}]},
        "input[0].content[0].type",
        422,
        "invalid_value",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        "input[0].content[0].text",
        400,
        "missing_required_parameter",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": 1}]}]},
        "input[0].content[0].text",
        422,
        "invalid_value",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        "input[0].content[0]",
        422,
        "invalid_value",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f", "detail": "x"}]}]},
        "input[0].content[0].detail",
        422,
        "invalid_value",
    ),
    ({"input": [{"type": "function_call_output"}]}, "input[0].call_id", 400, "missing_required_parameter"),
    ({"temperature": 2.1}, "temperature", 422, "invalid_value"),
    ({"temperature": "hot"}, "temperature", 422, "invalid_value"),
    ({"top_p": -0.1}, "top_p", 422, "invalid_value"),
    ({"presence_penalty": 3}, "presence_penalty", 422, "invalid_value"),
    ({"top_logprobs": 21}, "top_logprobs", 422, "invalid_value"),
    ({"max_output_tokens": 0}, "max_output_tokens", 422, "invalid_value"),
    ({"include": ["usage.detailed"]}, "include[0]", 422, "invalid_value"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata", 422, "invalid_value"),
    ({"metadata": {"k" * 65: ""}}, "metadata", 422, "invalid_value"),
    ({"metadata": {"k": "v" * 513}}, "metadata", 422, "invalid_value"),
    ({"metadata": {"k": "v\0"}}, "metadata", 422, "invalid_value"),
    ({"truncation": "some"}, "truncation", 422, "invalid_value"),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort", 422, "invalid_value"),
    ({"reasoning": {"generate_summary": "x"}}, "reasoning.generate_summary", 422, "invalid_value"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type", 422, "invalid_value"),
    ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", 400, "missing_required_parameter"),
    ({"text": {"verbosity": "x"}}, "text.verbosity", 422, "invalid_value"),
    ({"tools": [{"type": "function"}]}, "tools[0].name", 400, "missing_required_parameter"),
    ({"tools": [{"name": "f"}]}, "tools[0].type", 400, "missing_required_parameter"),
    (
        {"tools": [{"type": "function", "name": "f", "parameters": 5}]},
        "tools[0].parameters",
        422,
        "invalid_value",
    ),
    ({"tools": [{"type": "function", "name": "f"}] * 2}, "tools[1].name", 422, "invalid_value"),
    ({"tool_choice": "any"}, "tool_choice", 422, "invalid_value"),
    ({"tool_choice": {"type": "function", "name": "g"}}, "tool_choice", 400, "invalid_value"),
    ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.tools", 422, "invalid_value"),
    (
        {"previous_response_id": "resp_0", "conversation": "conv_0"},
        "previous_response_id",
        400,
        "mutually_exclusive_parameters",
    ),
    ({"background": True, "store": False}, "background", 400, "invalid_value"),
    ({"conversation": ""}, "conversation", 422, "invalid_value"),
    ({"prompt": {}}, "prompt.id", 400, "missing_required_parameter"),
    ({"user": 5}, "user", 422, "invalid_value"),
]


@pytest.mark.parametrize(("body", "param", "status", "code"), FAULTS, ids=lambda value: str(value)[:60])
def test_a_fault_names_its_parameter(body, param, status, code):
    with pytest.raises(errors.FreddyError) as caught:
        decode(**body)
    fault = caught.value
    assert (fault.param, fault.status, fault.code) == (param, status, code)
    assert fault.__cause__ is None


def test_a_wrong_type_is_told_with_its_cure():
    with pytest.raises(errors.InvalidValue) as caught:
        decode(input=[{"role": "user", "content": 5}])
    assert caught.value.details == "input[0].content must be a string or a list"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "at byte 0"),
        (b'{"model":secret}', "at byte 9"),
        (b'{"model":"secret', "at byte 16"),
        (b'{"x":"\xff"}', "at byte 6"),
        (b'{"model":"m","input":[{"type":"x","a":"\\ud800secret"}]}', ""),
        (b'{"x":' + b"[" * 100_000, "nested too deeply"),
        (b"[1]", "must be a JSON object"),
    ],
    ids=repr,
)
def test_a_body_that_is_no_json_is_told_by_its_place_and_never_by_its_content(body, where):
    with pytest.raises(errors.InvalidJson) as caught:
        OPENAI.decode_request(body, counter())
    assert where in caught.value.message
    assert "secret" not in caught.value.message


def test_what_the_codex_cli_sends_is_accepted():
    function = {"type": "function", "strict": False, "parameters": {"type": "object", "properties": {}}}
    names = ["exec_command", "write_stdin", "update_plan", "request_user_input", "view_image", "a", "b"]
    agents = {
        "type": "namespace",
        "name": "multi_agent_v1",
        "description": "Agents",
        "tools": [{**function, "name": "spawn_agent"}, {**function, "name": "wait_agent"}],
    }
    said = [
        {"type": "message", "id": f"msg_{n}", "role": role, "content": [{"type": "input_text", "text": "x"}]}
        for n, role in enumerate(["developer", "developer", "user", "user"])
    ]
    made = OPENAI.decode_request(
        msgspec.json.encode(
            {
                "type": "response.create",
                "model": "gpt-5.4",
                "instructions": "You are Codex.",
                "input": [
                    *said,
                    {
                        "type": "reasoning",
                        "id": "rs_1",
                        "summary": [],
                        "content": None,
                        "encrypted_content": "e",
                    },
                    {
                        "type": "function_call",
                        "id": "fc_1",
                        "name": "spawn_agent",
                        "namespace": "multi_agent_v1",
                        "arguments": "{}",
                        "call_id": "call_1",
                    },
                    {
                        "type": "function_call_output",
                        "id": "fco_0198-77",
                        "call_id": "call_1",
                        "output": "ok",
                    },
                ],
                "tools": [
                    *({**function, "name": name, "description": name} for name in names),
                    agents,
                    {"type": "web_search", "external_web_access": True},
                ],
                "tool_choice": "auto",
                "parallel_tool_calls": True,
                "reasoning": {"summary": "auto"},
                "store": False,
                "stream": True,
                "generate": False,
                "include": ["reasoning.encrypted_content"],
                "prompt_cache_key": "0198",
                "client_metadata": {"x-codex-installation-id": "i"},
            }
        ),
        counter(),
    )
    assert [item.id for item in made.input] == [f"msg_{n}" for n in range(4)] + [
        "rs_1",
        "fc_1",
        "fco_0198-77",
    ]
    functions = [tool for tool in made.tools if isinstance(tool, toolspec.Function)]
    assert [tool.name for tool in functions] == [*names, "spawn_agent", "wait_agent"]
    assert [tool.type for tool in made.tools if isinstance(tool, toolspec.Other)] == [
        "namespace",
        "web_search",
    ]
    assert (made.stream, made.store) == (True, False)
