"""The stream: what is told, in which frames, under which numbers."""

import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from msgspec.structs import replace

from freddy.server.core import deltas, errors, events, items, toolspec
from freddy.server.core.offers import of_caller
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.transcript import Transcript
from freddy.server.core.usage import Usage
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.freddy.events import FRAME
from promises import promise

EXAMPLES = Path(__file__).parent / "examples"
REQUEST = Request(model="m", input=())
RESPONSE = Response(
    id="resp_abc123",
    organization_id="org_1",
    created_at=1741476542,
    status="in_progress",
    model="m",
    request=REQUEST,
    thread_id="thrd_1",
)


def run(new_id, *said: deltas.Delta, response: Response = RESPONSE) -> list[events.Event]:
    """The events of a run of one turn."""
    functions = tuple(tool for tool in response.request.tools if isinstance(tool, toolspec.Function))
    transcript = Transcript(index=0, new_id=new_id, offers=map(of_caller, functions))
    happened: list[events.Event] = [events.Created(response), events.InProgress(response)]
    happened += transcript.feed(said)
    output = tuple(event.item for event in happened if isinstance(event, events.ItemDone))
    ended = replace(response, status="completed", output=output, usage=Usage(10, 8))
    return [*happened, events.Finished(ended)]


def frames(happened: list[events.Event], response: Response = RESPONSE) -> list[bytes]:
    encode = FREDDY.event_encoder(response)
    return [frame for number, event in enumerate(happened) if (frame := encode(number, event))]


def read(frame: bytes) -> dict:
    """The data of a frame, after a look at its form."""
    assert frame.endswith(b"\n\n")
    name, data = frame.decode().removesuffix("\n\n").split("\n")
    value = json.loads(data.removeprefix("data: "))
    assert name == f"event: {value['type']}"
    return value


def told(happened: list[events.Event], response: Response = RESPONSE) -> list[dict]:
    return [read(frame) for frame in frames(happened, response)]


def kinds(happened: list[events.Event], response: Response = RESPONSE) -> list[str]:
    return [data["type"] for data in told(happened, response)]


SAID = (deltas.Text("Hello"), deltas.Text("! How can I help you?"), deltas.Stop("stop"))


@promise(241, 242, 243, 244, 245, 246, 247)
def test_a_text_answer_is_told_whole(new_id):
    happened = run(new_id, *SAID)
    final = happened[-1]
    assert isinstance(final, events.Finished)
    place = {"index": 0, "output_index": 0}
    message = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    about = {
        "id": "resp_abc123",
        "object": "response",
        "created_at": 1741476542,
        "model": "m",
        "thread": "thrd_1",
        "thread_id": "thrd_1",
    }
    text = "Hello! How can I help you?"
    assert told(happened) == [
        {"type": "response.created", "sequence_number": 0, **about, "status": "in_progress"},
        {"type": "response.output_item.added", "sequence_number": 2, **place, "item": message},
        {
            "type": "response.output_text.delta",
            "sequence_number": 4,
            **place,
            "item_id": "msg_1",
            "content_index": 0,
            "delta": "Hello",
        },
        {
            "type": "response.output_text.delta",
            "sequence_number": 5,
            **place,
            "item_id": "msg_1",
            "content_index": 0,
            "delta": "! How can I help you?",
        },
        {
            "type": "response.output_text.done",
            "sequence_number": 6,
            **place,
            "item_id": "msg_1",
            "content_index": 0,
            "text": text,
        },
        {
            "type": "response.output_item.done",
            "sequence_number": 8,
            **place,
            "item": {
                **message,
                "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            },
        },
        {
            "type": "response.completed",
            "sequence_number": 10,
            **about,
            "status": "completed",
            "usage": {"input_tokens": 10, "output_tokens": 8, "total_tokens": 18},
            "response": json.loads(FREDDY.encode_response(final.response)),
        },
    ]


@promise(250)
def test_the_published_stream_is_held_by_ours(new_id):
    blocks = (EXAMPLES / "seed001-stream.sse").read_text().strip().split("\n\n")
    sample = [
        {"type": block.split("\n")[0].removeprefix("event: ")} | json.loads(block.split("\n")[1].removeprefix("data: "))
        for block in blocks
    ]
    said = (deltas.Text("Hello"), deltas.Text("! How can I"), deltas.Text(" help you?"), deltas.Stop("stop"))

    ours = iter(told(run(new_id, *said)))

    for theirs in sample:
        item = theirs.pop("item", {})
        assert any(theirs.items() <= data.items() and item.items() <= data.get("item", {}).items() for data in ours)


def test_nothing_follows_the_last_event():
    assert FREDDY.end_of_stream == b""


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("completed", "response.completed"),
        ("requires_action", "response.completed"),
        ("incomplete", "response.incomplete"),
        ("failed", "response.failed"),
        ("cancelled", "response.cancelled"),
    ],
)
def test_the_last_event_is_named_for_how_it_ended(status, name):
    (data,) = told([events.Finished(replace(RESPONSE, status=status))])

    assert (data["type"], data["status"], data["response"]["status"]) == (name, status, status)


def test_a_failure_is_told_before_the_end():
    failure = errors.ProviderFailed("The provider broke off", param="model").as_failure()
    error, failed = told([events.Failed(failure), events.Finished(replace(RESPONSE, status="failed", failure=failure))])
    fault = {
        "message": "The provider broke off",
        "type": "server_error",
        "code": "provider_error",
        "param": "model",
    }

    assert error == {
        "type": "error",
        "sequence_number": 0,
        "error": fault,
        "message": "The provider broke off",
        "code": "provider_error",
    }
    assert (failed["status"], failed["error"], failed["response"]["error"]) == ("failed", fault, fault)


THOUGHT = (
    deltas.Reasoning("Let me "),
    deltas.Reasoning("see."),
    deltas.Text("42"),
    deltas.Stop("stop"),
)


@promise(111, 253)
def test_visible_thinking_is_told_as_it_comes(new_id):
    thinker = replace(RESPONSE, provider="embedded")
    happened = run(new_id, *THOUGHT, response=thinker)

    thinking = [data for data in told(happened, thinker) if data["type"].startswith("thinking")]

    about = {"provider": "embedded", "item_id": "rs_1"}
    assert [(data.pop("sequence_number") and data) for data in thinking] == [
        {"type": "thinking.started", **about},
        {"type": "thinking.delta", **about, "delta": "Let me "},
        {"type": "thinking.delta", **about, "delta": "see."},
        {"type": "thinking.completed", **about, "text": "Let me see."},
    ]


@promise(253)
@promise(110)
def test_hidden_reasoning_is_told_only_in_its_start_and_its_end(new_id):
    thinker = replace(RESPONSE, provider="openai")
    begun = deltas.Thinking(hidden=True)
    short = (deltas.Reasoning("In ", "summary"), deltas.Reasoning("short.", "summary"))
    for said, more in (
        ((begun, deltas.Signature("xyz")), {}),
        ((begun, *short, deltas.Signature("xyz")), {"summary": "In short."}),
        (short, {"summary": "In short."}),
    ):
        happened = run(new_id, *said, deltas.Text("42"), deltas.Stop("stop"), response=thinker)
        started, completed = (data for data in told(happened, thinker) if data["type"].startswith("reasoning"))
        assert (started["type"], started["provider"]) == ("reasoning.started", "openai")
        assert completed == {
            "type": "reasoning.completed",
            "sequence_number": completed["sequence_number"],
            "provider": "openai",
            "item_id": started["item_id"],
            **more,
        }


def test_the_start_of_hidden_reasoning_is_told_at_once(new_id):
    (added,) = Transcript(index=0, new_id=new_id).feed([deltas.Chosen("us"), deltas.Thinking(hidden=True)])
    (started,) = told([added], replace(RESPONSE, provider="nobody"))
    assert started == {
        "type": "reasoning.started",
        "sequence_number": 0,
        "provider": "us",
        "item_id": added.item.id,
    }


def test_each_thought_is_told_by_what_it_is_itself(new_id):
    said = (
        deltas.Chosen("claude"),
        deltas.Thinking(),
        deltas.Reasoning("Hm."),
        deltas.Signature("a"),
        deltas.Thinking(hidden=True),
        deltas.Signature("b"),
        deltas.Text("42"),
        deltas.Stop("stop"),
    )
    happened = run(new_id, *said)
    names = [data["type"] for data in told(happened)]
    assert [name for name in names if name.startswith(("thinking", "reasoning"))] == [
        "thinking.started",
        "thinking.delta",
        "thinking.completed",
        "reasoning.started",
        "reasoning.completed",
    ]
    assert {data["provider"] for data in told(happened) if "provider" in data} == {"claude"}


def test_thinking_that_shows_itself_after_all_keeps_the_names_it_began_with(new_id):
    said = (deltas.Thinking(hidden=True), deltas.Reasoning("Hm."), deltas.Text("42"), deltas.Stop("stop"))
    thinking = [data for data in told(run(new_id, *said)) if data["type"].startswith(("thinking", "reasoning"))]
    assert [(data["type"], data.get("delta"), data.get("text")) for data in thinking] == [
        ("reasoning.started", None, None),
        ("reasoning.delta", "Hm.", None),
        ("reasoning.completed", None, "Hm."),
    ]


def test_a_listener_who_comes_amid_hidden_reasoning_hears_of_its_end(new_id):
    begun, done = Transcript(index=0, new_id=new_id).feed([deltas.Thinking(hidden=True), deltas.Signature("x")])
    (completed,) = told([done], replace(RESPONSE, provider="us"))
    assert (completed["type"], completed["item_id"]) == ("reasoning.completed", begun.item.id)


def test_items_are_numbered_as_the_output_holds_them(new_id):
    call = deltas.ToolCall(0, '{"a":1}', "f", "call_1")
    said = (deltas.Reasoning("Hm."), deltas.Text("Hi"), call, deltas.Stop("tool_calls"))
    happened = run(new_id, *said)
    final = happened[-1]
    assert isinstance(final, events.Finished)
    output = json.loads(FREDDY.encode_response(final.response))["output"]

    data = told(happened)

    assert [item["type"] for item in output] == ["message", "function_call"]
    for each in data:
        if "index" in each:
            item_id = each.get("item_id") or each["item"]["id"]
            assert output[each["index"]]["id"] == output[each["output_index"]]["id"] == item_id
    assert {each["index"] for each in data if "index" in each} == {0, 1}


def test_a_listener_who_comes_late_hears_the_same_numbers(new_id):
    happened = run(new_id, *THOUGHT)
    whole = frames(happened)
    done = next(place for place, event in enumerate(happened) if isinstance(event, events.ItemDone))
    known = replace(RESPONSE, output=(happened[done].item,))

    encode = FREDDY.event_encoder(known)
    late = [frame for number, event in enumerate(happened) if number > done and (frame := encode(number, event))]

    assert late == whole[-len(late) :]
    assert late


def test_a_function_call_is_told_in_pieces_and_whole(new_id):
    schema = msgspec.Raw(b'{"properties":{"a":{},"b":{}}}')
    request = replace(REQUEST, tools=(toolspec.Function("f", parameters=schema),))
    response = replace(RESPONSE, request=request)
    happened = run(
        new_id,
        deltas.ToolCall(0, '{"b":', "f", "call_1"),
        deltas.ToolCall(0, '2,"a":1}'),
        deltas.Stop("tool_calls"),
        response=response,
    )

    data = told(happened, response)

    assert [each["type"] for each in data] == [
        "response.created",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert data[2]["delta"] + data[3]["delta"] == '{"b":2,"a":1}'
    assert (data[4]["name"], data[4]["arguments"]) == ("f", '{"a":1,"b":2}')
    assert data[5]["item"] == data[6]["response"]["output"][0]


def test_a_custom_call_is_told_as_json(new_id):
    request = replace(REQUEST, tools=(toolspec.Function("patch", form="custom"),))
    response = replace(RESPONSE, request=request)
    call = deltas.ToolCall(0, '{"input":"*** Begin"}', "patch", "call_1")

    data = told(run(new_id, call, deltas.Stop("tool_calls"), response=response), response)

    assert data[2]["delta"] == data[3]["arguments"] == '{"input":"*** Begin"}'


def test_refusals_and_annotations_are_told(new_id):
    annotation = items.Annotation("url_citation", msgspec.Raw(b'{"type":"url_citation","url":"https://x"}'))
    happened = run(new_id, deltas.Text("Hi"), deltas.Annotated(annotation), deltas.Refusal("No."), deltas.Stop("stop"))

    data = {each["type"]: each for each in told(happened)}

    assert data["response.output_text.annotation.added"]["annotation"]["url"] == "https://x"
    assert data["response.refusal.delta"]["delta"] == "No."
    assert data["response.refusal.done"]["refusal"] == "No."
    assert data["response.refusal.done"]["content_index"] == 1


def test_probabilities_are_told_only_when_asked_for(new_id):
    said = (deltas.Text("Hi", (items.Logprob("Hi", -0.5),)), deltas.Stop("stop"))
    asking = replace(RESPONSE, request=replace(REQUEST, include=("message.logprobs",)))
    wanted = [{"token": "Hi", "logprob": -0.5, "bytes": [], "top_logprobs": []}]

    assert [each.get("logprobs") for each in told(run(new_id, *said), asking) if "text" in each["type"]] == [
        wanted,
        wanted,
    ]
    assert not any("logprobs" in each for each in told(run(new_id, *said)))


def test_what_has_no_name_here_is_not_told():
    encode = FREDDY.event_encoder(RESPONSE)
    silent = [
        events.InProgress(RESPONSE),
        events.PartAdded(0, "msg_1", 0, items.Text("")),
        events.PartDone(0, "msg_1", 0, items.Text("Hi")),
        events.ReasoningPartAdded(0, "rs_1", 0, "text"),
        events.ReasoningDone(0, "rs_1", 0, "Hm", "text"),
        events.ReasoningPartDone(0, "rs_1", 0, "Hm", "text"),
        events.TurnDone("stop"),
        events.Cancelled(),
    ]

    assert [encode(0, event) for event in silent] == [b""] * len(silent)
    assert {type(event) for event in silent} < set(get_args(events.Event))


@promise(250)
def test_a_line_break_in_a_text_does_not_break_the_frame(new_id):
    text = 'a\nb\r\n\u2028c"d\\'

    deltas_told = [
        each["delta"] for each in told(run(new_id, deltas.Text(text), deltas.Stop("stop"))) if "delta" in each
    ]

    assert deltas_told == [text]


@promise(251)
def test_a_long_answer_ends_in_a_frame_without_mirrors(new_id):
    for size, mirrored in ((1_000, True), (8_000, False), (50_000, False)):
        happened = run(new_id, deltas.Text("x" * size), deltas.Stop("stop"))
        last = frames(happened)[-1]
        response = read(last)["response"]
        assert ("outputs" in response, "response" in response) == (mirrored, mirrored)
        assert response["output"][0]["content"][0]["text"] == "x" * size
        assert len(last) < FRAME or size > 10_000
