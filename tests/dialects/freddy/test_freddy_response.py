"""The response object: the shape all clients share, and the mirrors for each."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from freddy.server.core import errors, items, toolspec
from freddy.server.core.request import Reasoning, Request, Sampling
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.dialects.freddy import FREDDY, aliases
from freddy.server.dialects.freddy.response import Units, usage_view
from freddy_fakes import CountingIds
from promises import promise

EXAMPLES = Path(__file__).parent / "examples"
REQUEST = Request(model="gpt-4.1", input=(), max_tool_calls=20)
HELLO = items.Message("msg_67ccd2bf17f0", "assistant", (items.Text("Hello! How can I help you?"),))
RESPONSE = Response(
    id="resp_67ccd2bed1ec8190",
    organization_id="org_1",
    created_at=1741476542,
    completed_at=1741476543,
    status="completed",
    model="gpt-4.1-2025-04-14",
    request=REQUEST,
    thread_id="thrd_1",
    output=(HELLO,),
    usage=Usage(10, 8, reasoning_tokens=3),
)


def told(response: Response) -> dict:
    return json.loads(FREDDY.encode_response(response))


def made(*output: items.Item, **request: object) -> dict:
    return told(replace(RESPONSE, output=output, request=replace(REQUEST, **request)))


def other(kind: str, **fields: object) -> items.Other:
    data = {"type": kind, "id": f"{kind}_1", **fields}
    return items.Other(f"{kind}_1", kind, msgspec.Raw(json.dumps(data).encode()))


def holds(ours: object, theirs: object) -> bool:
    """Whether ours says all that theirs says."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and all(key in ours and holds(ours[key], value) for key, value in theirs.items())
    if isinstance(theirs, list):
        return (
            isinstance(ours, list)
            and len(ours) == len(theirs)
            and all(holds(mine, yours) for mine, yours in zip(ours, theirs, strict=True))
        )
    return ours == theirs


@promise(229, 230, 231, 232, 234, 238, 239, 240)
def test_a_response_is_told_whole():
    message = {
        "type": "message",
        "id": "msg_67ccd2bf17f0",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello! How can I help you?", "annotations": []}],
    }
    assert told(RESPONSE) == {
        "id": "resp_67ccd2bed1ec8190",
        "object": "response",
        "created_at": 1741476542,
        "createdAt": 1741476542,
        "completed_at": 1741476543,
        "status": "completed",
        "model": "gpt-4.1-2025-04-14",
        "output": [message],
        "outputs": [{**message, "texts": [{"text": "Hello! How can I help you?"}]}],
        "response": "Hello! How can I help you?",
        "thread": "thrd_1",
        "thread_id": "thrd_1",
        "previous_response_id": None,
        "organization_id": "org_1",
        "assistant_id": None,
        "usage": {"input_tokens": 10, "output_tokens": 8, "total_tokens": 18},
        "reasoning": None,
        "metadata": {},
        "incomplete_details": None,
        "error": None,
        "warnings": [],
        "temperature": None,
        "top_p": None,
        "max_output_synapses": None,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "max_tool_calls": 20,
        "output_mode": "text",
        "thread_context_mode": "recent",
        "truncation": "disabled",
        "store": True,
        "background": False,
    }


def message_of(sample: dict) -> items.Message:
    item = sample["output"][-1]
    return items.Message(item.get("id", "msg_1"), "assistant", (items.Text(item["content"][0]["text"]),))


@promise(124, 233, 237)
@pytest.mark.parametrize(
    "file",
    [
        "seed000-basic-request.response.json",
        "seed001-response-200.json",
        "seed002-standard-output.response.json",
    ],
)
def test_the_published_answers_are_held_by_ours(file):
    sample = json.loads((EXAMPLES / file).read_bytes())
    usage = sample["usage"]
    response = replace(
        RESPONSE,
        id=sample["id"],
        model=sample["model"],
        output=(message_of(sample),),
        usage=Usage(usage["input_tokens"], usage["output_tokens"]),
    )

    assert holds(told(response), sample)


def test_the_published_tool_call_comes_before_the_message_it_led_to():
    sample = json.loads((EXAMPLES / "seed002-tool-call-output.response.json").read_bytes())
    call = items.Other("ws_1", "tool_call", msgspec.Raw(json.dumps(sample["output"][0]).encode()))

    answer = made(call, message_of(sample))

    assert holds(answer, sample)
    assert [item["type"] for item in answer["outputs"]] == ["message", "tool_call"]


def test_outputs_tell_the_deliverables_first():
    before = items.Message("msg_0", "assistant", (items.Text("Let me draw."),))
    thought = items.Reasoning("rs_1", texts=("Hm.",))
    answer = made(thought, before, other("tool_call"), other("image", imageUrl="https://x"), HELLO)

    assert [item["id"] for item in answer["output"]] == ["msg_0", "tool_call_1", "image_1", HELLO.id]
    assert [item["id"] for item in answer["outputs"]] == ["image_1", HELLO.id, "msg_0", "tool_call_1"]
    assert answer["outputs"][1]["texts"] == [{"text": HELLO.text}]
    assert answer["response"] == HELLO.text


@promise(82)
def test_the_images_of_a_request_are_told_to_those_who_ask():
    shown = items.Message(
        "msg_1", "user", (items.Text("See"), items.Image(url="https://a.test/x.png"), items.Image(file_id="file_1"))
    )
    answer = made(HELLO, input=(shown,), include=("message.input_images",))
    assert answer["input_images"] == [
        {"message_id": "msg_1", "url": "https://a.test/x.png", "file_id": None, "fileId": None},
        {"message_id": "msg_1", "url": "/v1/files/file_1/content", "file_id": "file_1", "fileId": "file_1"},
    ]
    assert "input_images" not in made(HELLO, input=(shown,))


@promise(85)
def test_reasoning_is_told_beside_the_output():
    thought = items.Reasoning("rs_1", texts=("One.", "Two."), encrypted="xyz")

    answer = made(thought, HELLO, reasoning=Reasoning("high"))
    assert answer["reasoning"] == {"effort": "high", "summary": None, "content": "One.\n\nTwo."}
    assert [item["type"] for item in answer["output"]] == ["message"]

    answer = made(items.Reasoning("rs_1", summaries=("S",), encrypted="xyz"), include=("reasoning.encrypted",))
    assert answer["reasoning"] == {
        "effort": None,
        "summary": "S",
        "content": None,
        "encrypted_content": answer["reasoning"]["encrypted_content"],
    }


@promise(101)
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("off", "off"),
        ("low", "low"),
        ("minimal", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "xhigh"),
        ("maximum", "maximum"),
        ("max", "maximum"),
    ],
)
def test_an_effort_is_read_back_as_it_was_asked_for(asked, told):
    assert made(reasoning=Reasoning(aliases.EFFORTS[asked]))["reasoning"]["effort"] == told


def test_what_was_thought_is_handed_back_to_where_it_stood():
    hello = replace(HELLO, phase="commentary")
    output = (
        items.Reasoning("rs_1", texts=("One.",), encrypted="a"),
        items.Reasoning("rs_2", encrypted="b", hidden=True),
        hello,
        items.Reasoning("rs_3", summaries=("S",), encrypted="c"),
        items.FunctionCall("fc_1", "call_1", "ping", "{}"),
        items.Reasoning("rs_4", texts=("Not signed.",)),
    )
    answer = made(*output, include=("reasoning.encrypted",))
    recalled = {"type": "reasoning", **answer["reasoning"]}
    answered = {"type": "function_call_output", "call_id": "call_1", "output": "pong"}

    request = FREDDY.decode_request(
        json.dumps({"inputs": ["Ping", recalled, *answer["output"], answered]}).encode(), CountingIds().new
    )

    question, *back, pong = request.input
    assert [(type(item), getattr(item, "encrypted", None)) for item in back] == [
        (items.Reasoning, "a"),
        (items.Reasoning, "b"),
        (items.Message, None),
        (items.Reasoning, "c"),
        (items.FunctionCall, None),
    ]
    assert [replace(item, id="") for item in back if isinstance(item, items.Reasoning)] == [
        replace(item, id="") for item in output if isinstance(item, items.Reasoning) and item.encrypted
    ]
    assert back[2] == hello
    assert isinstance(question, items.Message)
    assert isinstance(pong, items.FunctionOutput)


@pytest.mark.parametrize("packed", ["xyz", "freddy:?", "freddy:e30=", "freddy:", "openai:us:rs_a:gAAAA"])
def test_what_others_encrypted_is_left_to_the_providers(packed):
    asked = {"inputs": ["Hi", {"type": "reasoning", "encrypted_content": packed}, "Go"]}
    _, thought, _ = FREDDY.decode_request(json.dumps(asked).encode(), CountingIds().new).input
    assert (thought.encrypted, thought.texts) == (packed, ())


def test_thoughts_alone_are_no_question():
    asked = {"inputs": [{"type": "reasoning", "encrypted_content": "xyz"}]}
    with pytest.raises(errors.InvalidInput):
        FREDDY.decode_request(json.dumps(asked).encode(), CountingIds().new)


SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"to":{},"subject":{},"body":{}}}')
TOOLS = (toolspec.Function("send", parameters=SCHEMA, require_approval=True), toolspec.Function("ping"))


@promise(209, 210)
def test_a_function_call_is_told_flat_and_nested():
    answer = made(items.FunctionCall("fc_1", "call_1", "ping", "{}"), tools=TOOLS)

    assert answer["output"] == [
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "call_id": "call_1",
            "name": "ping",
            "arguments": "{}",
            "function": {"name": "ping", "arguments": "{}"},
        }
    ]
    assert answer["outputs"] == answer["output"]
    assert answer["response"] == ""


@promise(211)
@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ('{"body": "b", "x": 1, "to": "t"}', '{"to":"t","body":"b","x":1}'),
        ('{"to": 1,  "body": 10000000000000000000000000000000001}', None),
        ('{"body":', None),
        ("[1]", None),
        ('"free text"', None),
    ],
)
def test_arguments_are_in_the_order_of_the_schema(arguments, wanted):
    (call,) = made(items.FunctionCall("fc_1", "call_1", "send", arguments), tools=TOOLS)["output"]

    assert call["arguments"] == call["function"]["arguments"] == (wanted or arguments)
    assert call["require_approval"] is True


def test_a_custom_call_is_told_as_json():
    (call,) = made(items.FunctionCall("ctc_1", "call_1", "patch", "*** Begin", form="custom"))["output"]

    assert json.loads(call["arguments"]) == {"input": "*** Begin"}


def test_outputs_of_functions_and_refusals_are_told():
    refusal = items.Message("msg_1", "assistant", (items.Refusal("No."),), "incomplete")
    output = items.FunctionOutput("fco_1", "call_1", (items.Text("7"),), name="f")

    assert made(output, refusal)["output"] == [
        {
            "type": "function_call_output",
            "id": "fco_1",
            "status": "completed",
            "call_id": "call_1",
            "name": "f",
            "output": "7",
        },
        {
            "type": "message",
            "id": "msg_1",
            "status": "incomplete",
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "No."}],
        },
    ]


LOGPROBS = (items.Logprob("Hi", -0.5, (72, 105), (items.TopLogprob("Yo", -1.5, (89, 111)),)),)
SAID = items.Message("msg_1", "assistant", (items.Text("Hi", logprobs=LOGPROBS),))


@promise(84, 224)
@pytest.mark.parametrize(
    "asked",
    [{"include": ("message.logprobs",)}, {"include": ("all",)}, {"sampling": Sampling(logprobs=True)}],
)
def test_probabilities_are_told_when_asked_for(asked):
    (part,) = made(SAID, **asked)["output"][0]["content"]

    assert part["logprobs"] == [
        {
            "token": "Hi",
            "logprob": -0.5,
            "bytes": [72, 105],
            "top_logprobs": [{"token": "Yo", "logprob": -1.5, "bytes": [89, 111]}],
        }
    ]
    assert "logprobs" not in made(SAID)["output"][0]["content"][0]


@promise(87, 283, 284)
@pytest.mark.parametrize("include", ["usage.detailed", "all"])
def test_usage_is_told_in_neurons_and_synapses_when_asked_for(include):
    assert made(HELLO, include=(include,))["usage"] == {
        "input_tokens": 10,
        "output_tokens": 8,
        "total_tokens": 18,
        "neurons": {"input": 10, "context": None, "system": None, "tools": None, "total": 10},
        "synapses": {"output": 5, "reasoning": 3, "tool_execution": None, "total": 8},
        "cost": None,
        "estimated": False,
    }


def test_a_neuron_may_be_several_tokens():
    response = replace(RESPONSE, request=replace(REQUEST, include=("all",)))

    view = usage_view(response, Units(tokens_per_neuron=10, tokens_per_synapse=4))

    assert view is not None
    assert (view.neurons.total, view.synapses.total) == (1, 2)


def test_a_failed_response_says_why():
    failure = errors.ProviderTimeout("The provider did not answer in time").as_failure()
    answer = told(replace(RESPONSE, status="failed", output=(), usage=None, failure=failure))

    assert (answer["status"], answer["output"], answer["usage"]) == ("failed", [], None)
    assert answer["error"] == {
        "message": "The provider did not answer in time",
        "type": "server_error",
        "code": "provider_timeout",
    }


@promise(91)
def test_a_cut_response_says_what_cut_it():
    answer = told(replace(RESPONSE, status="incomplete", incomplete_reason="max_output_tokens"))

    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}


def test_what_has_no_effect_is_handed_back():
    echo = {
        "prompt": msgspec.Raw(b'{"id":"p"}'),
        "tool_choice": msgspec.Raw(b'{"type":"web_search"}'),
        "service_tier": msgspec.Raw(b'"flex"'),
    }
    answer = made(HELLO, echo=echo)

    assert (answer["prompt"], answer["tool_choice"]) == ({"id": "p"}, {"type": "web_search"})
    assert "service_tier" not in answer


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("none", "none"),
        (toolspec.Named("f"), {"type": "function", "name": "f"}),
        (
            toolspec.Allowed(("f",), "required"),
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
)
def test_the_choice_of_tools_is_told(choice, wire):
    assert made(HELLO, tool_choice=choice)["tool_choice"] == wire


def test_every_part_of_an_answer_can_be_told():
    parts = (
        items.Text("Hi", (items.Annotation("url_citation", msgspec.Raw(b'{"type":"url_citation"}')),)),
        items.Image(url="https://x/y.png"),
        items.Audio(data="AAAA", format="wav"),
        items.File(file_id="file_1", filename="a.pdf"),
    )
    (message,) = made(items.Message("msg_1", "assistant", parts))["output"]

    assert message["content"] == [
        {"type": "output_text", "text": "Hi", "annotations": [{"type": "url_citation"}]},
        {"type": "image", "url": "https://x/y.png"},
        {"type": "audio", "data": "AAAA", "format": "wav"},
        {"type": "file", "file_id": "file_1", "filename": "a.pdf"},
    ]
