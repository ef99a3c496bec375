import json

import httpx2
import openai
import openresponses_types as open_responses
import pytest
from msgspec import Raw
from openai.types.responses import ResponseStreamEvent
from openai_samples import SCENES, STOP, data, decode, frames, response_to, run
from pydantic import TypeAdapter

from freddy.server.core import deltas, events, items
from freddy.server.dialects.openai import OPENAI, EventEncoder
from promises import promise

SDK_EVENT = TypeAdapter(ResponseStreamEvent)
OPEN_EVENTS = {
    next(iter(model.model_fields["type"].annotation)).value: model
    for name, model in vars(open_responses).items()
    if name.endswith("StreamingEvent")
}


def client(sent: list[bytes]) -> openai.OpenAI:
    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, content=b"".join([*sent, OPENAI.end_of_stream]))

    return openai.OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def final(scene: str):
    """What the SDK's own accumulator makes of a stream."""
    with (
        client(frames(SCENES[scene])) as sdk,
        sdk.responses.stream(model="m", input="Hi") as stream,
    ):
        return stream.get_final_response()


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_each_told_event_is_one_whole_frame_and_the_numbers_have_no_gap(scene):
    told = SCENES[scene]
    sent = frames(told)
    assert len(sent) == sum(not isinstance(event, events.UNTOLD) for event in told)
    for number, frame in enumerate(sent):
        name, body = frame.decode().removesuffix("\n\n").split("\n")
        written = json.loads(body.removeprefix("data: "))
        assert list(written)[:2] == ["type", "sequence_number"]
        assert name == f"event: {written['type']}"
        assert written["sequence_number"] == number


@promise(254)
@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_event_fits_the_types_of_the_openai_sdk(scene):
    for frame in frames(SCENES[scene]):
        written = data(frame)
        event = SDK_EVENT.validate_json(json.dumps(written), strict=True)
        assert event.type == written["type"]
        # The union is tried in order: the right member leaves nothing over but what the types forgot.
        assert set(event.model_extra or {}) <= {"obfuscation", "error"}


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_event_fits_the_types_of_open_responses(scene):
    for frame in frames(SCENES[scene]):
        written = data(frame)
        # Where the two contradict each other OpenAI's clients win: Open Responses says
        # `response.reasoning.delta` and knows neither custom calls nor custom tools.
        if written["type"].startswith(("response.reasoning_text.", "response.custom_tool_call_input.")):
            continue
        if written.get("item", {}).get("type") == "custom_tool_call":
            continue
        if "response" in written:
            response = written["response"]
            response["tools"] = [tool for tool in response["tools"] if tool["type"] == "function"]
            response["output"] = [item for item in response["output"] if item["type"] != "custom_tool_call"]
        OPEN_EVENTS[written["type"]].model_validate(written)


@promise(254)
def test_a_text_answer_is_told_in_the_order_that_openai_tells_it():
    assert [data(frame)["type"] for frame in frames(SCENES["text"])] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_the_response_begins_in_progress_and_empty():
    begun = data(frames(SCENES["text"])[0])["response"]
    assert (begun["id"], begun["status"], begun["output"], begun["usage"]) == (
        "resp_1",
        "in_progress",
        [],
        None,
    )
    assert begun["completed_at"] is None


def test_the_end_of_a_stream_is_the_response_as_it_is_retrieved():
    for scene in SCENES.keys() - {"cancelled"}:
        ended = SCENES[scene][-1].response
        assert data(frames(SCENES[scene])[-1])["response"] == json.loads(OPENAI.encode_response(ended))


def test_one_id_per_item_from_its_beginning_to_its_end():
    for scene, told in SCENES.items():
        places: dict[int, set[str]] = {}
        for frame in frames(told):
            written = data(frame)
            if "output_index" in written:
                item_id = written["item"]["id"] if "item" in written else written["item_id"]
                places.setdefault(written["output_index"], set()).add(item_id)
        assert all(len(ids) == 1 for ids in places.values()), scene


def test_the_sdk_builds_a_text_with_its_citation():
    message = final("text").output[0]
    assert message.content[0].text == "Hello"
    assert message.content[0].annotations[0].url == "https://a.b"


def test_the_sdk_builds_logprobs():
    assert final("text with logprobs").output[0].content[0].logprobs[0].top_logprobs[0].token == "Yo"
    delta = next(data(frame) for frame in frames(SCENES["text with logprobs"]) if b"text.delta" in frame)
    assert delta["logprobs"][0]["bytes"] == [72, 105]


def test_the_sdk_builds_a_refusal():
    assert final("refusal").output[0].content[0].refusal == "I cannot."


def test_the_sdk_builds_reasoning_with_a_summary():
    reasoning, message = final("reasoning with summary").output
    assert [part.text for part in reasoning.summary] == ["Look", "Then"]
    assert (reasoning.encrypted_content, reasoning.content) == ("c2VjcmV0", None)
    assert message.content[0].text == "Done"


def test_the_sdk_builds_reasoning_with_its_text():
    reasoning, message = final("reasoning with text").output
    assert ([part.text for part in reasoning.content], reasoning.summary) == (["Hmm ok"], [])
    assert message.content[0].text == "Done"


def test_the_sdk_builds_two_parallel_calls():
    calls = final("two parallel calls").output
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [
        ("call_a", "weather", '{"a":1}'),
        ("call_b", "weather", '{"b":2}'),
    ]


def test_the_sdk_builds_a_custom_call():
    call = final("custom call").output[0]
    assert (call.type, call.name, call.input) == ("custom_tool_call", "patch", "*** Begin")


def test_a_length_cut_ends_as_incomplete_and_never_as_completed():
    written = [data(frame) for frame in frames(SCENES["length cut"])]
    assert written[-1]["type"] == "response.incomplete"
    assert written[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert written[-1]["response"]["output"][0]["status"] == "incomplete"
    with client(frames(SCENES["length cut"])) as sdk:
        last = list(sdk.responses.create(model="m", input="Hi", stream=True))[-1]
    assert last.response.output_text == "Hel"


def test_a_failure_is_raised_by_the_sdk_with_its_message():
    with (
        client(frames(SCENES["failure"])) as sdk,
        pytest.raises(openai.APIError, match=r"Please try again in 1\.5s") as caught,
    ):
        list(sdk.responses.create(model="m", input="Hi", stream=True))
    assert caught.value.code == "rate_limit_exceeded"


def test_a_failure_is_told_nested_and_flat_and_then_by_the_response():
    error, failed = (data(frame) for frame in frames(SCENES["failure"])[-2:])
    message = "Too many requests. Please try again in 1.5s."
    code = "rate_limit_exceeded"
    assert error == {
        "type": "error",
        "sequence_number": error["sequence_number"],
        "code": code,
        "message": message,
        "param": None,
        "error": {"type": "rate_limit_error", "code": code, "message": message, "param": None},
    }
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": code, "message": message}


def test_a_cancelled_stream_ends_with_an_event_that_every_client_knows():
    ended = data(frames(SCENES["cancelled"])[-1])
    assert ended["type"] == "response.failed"
    assert ended["response"]["status"] == "cancelled"
    assert ended["response"]["error"]["message"] == "The response was cancelled."


def test_a_delta_and_its_filler_are_a_multiple_of_sixteen_characters():
    texts = ["", "a", "Hello", "ä" * 15, "x" * 16, "🙂" * 33, '"\\\n']
    told = run(decode(), *(deltas.Text(text) for text in texts), STOP)
    written = [data(frame) for frame in frames(told) if b"text.delta" in frame]
    assert [event["delta"] for event in written] == texts
    assert all(len(event["delta"] + event["obfuscation"]) % 16 == 0 for event in written)


def test_every_kind_of_delta_has_a_filler_unless_the_caller_declines():
    plain = decode(stream_options={"include_obfuscation": False})
    for told in SCENES.values():
        for frame in frames(told):
            assert ("obfuscation" in data(frame)) == (b".delta" in frame)
        assert not any(b"obfuscation" in frame for frame in frames(told, response_to(plain)))


def test_a_replay_may_overrule_what_the_request_said_of_fillers():
    delta = events.TextDelta(0, "msg_1", 0, "a")
    assert b"obfuscation" not in EventEncoder(response_to(decode()), obfuscate=False)(0, delta)


def test_deltas_of_parts_that_take_turns_name_their_own_part():
    encode = OPENAI.event_encoder(response_to(decode()))
    for index, item_id, part in ((0, "msg_1", 0), (0, "msg_1", 1), (1, "msg_2", 0), (0, "msg_1", 0)):
        written = data(encode(0, events.TextDelta(index, item_id, part, "x")))
        assert (written["output_index"], written["item_id"], written["content_index"]) == (
            index,
            item_id,
            part,
        )


def test_what_is_not_told_has_no_frame():
    encode = OPENAI.event_encoder(response_to(decode()))
    assert encode(0, events.TurnDone("stop")) == b""
    assert encode(0, events.Cancelled()) == b""


def test_an_item_of_another_kind_is_told_as_it_was_kept():
    raw = b'{"type":"image_generation_call","id":"ig_1","status":"completed","result":"x"}'
    encode = OPENAI.event_encoder(response_to(decode()))
    frame = encode(3, events.ItemDone(0, items.Other("ig_1", "image_generation_call", Raw(raw))))
    assert data(frame)["item"] == json.loads(raw)


def test_a_queued_response_says_so_when_it_is_created():
    queued = response_to(decode(background=True), status="queued", usage=None)
    encode = OPENAI.event_encoder(queued)
    assert data(encode(0, events.Created(queued)))["response"]["status"] == "queued"
