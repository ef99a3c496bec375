"""Streams in both dialects: what is told, in what order, and that it is what the whole answer says."""

import json

import openresponses_types as open_responses
import pytest
from gateway import Stream, spelled
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from freddy.server.config import settings as parts
from promises import promise
from upstream import Answer, Gate, call, likely, refusal, text, thought

SDK_EVENT = TypeAdapter(ResponseStreamEvent)
OPEN_EVENTS = {
    next(iter(model.model_fields["type"].annotation)).value: model
    for name, model in vars(open_responses).items()
    if name.endswith("StreamingEvent")
}
DIALECTS = ("freddy", "openai")
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}},
}


def rich() -> Answer:
    """Thinking, words, and two calls at once."""
    return Answer(
        thought("Two ", "cities."),
        text("Let me ", "look."),
        call("get_weather", '{"city"', ':"Oslo"}', call_id="call_a"),
        call("get_weather", '{"city":"Rome"}', call_id="call_b", index=1),
        details={"completion_tokens_details": {"reasoning_tokens": 3}, "prompt_tokens_details": {"cached_tokens": 4}},
    )


def alike(value: object) -> object:
    """A response without what differs from one run to the next: ids and times."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in ("id", "created_at", "createdAt", "completed_at")}
        return {k: alike(v) for k, v in kept.items() if k not in ("thread", "thread_id", "conversation")}
    if isinstance(value, list):
        return [alike(one) for one in value]
    return value


@promise(1, 2, 4, 229, 254)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_stream_and_the_answer_hold_the_same_items(gateway, upstream, dialect):
    upstream.says(rich(), rich())
    asked = {"tools": [WEATHER], "parallel_tool_calls": True}
    whole = await gateway.ask(dialect, **asked)
    told = await gateway.told(dialect, **asked)
    streamed = told.last["response"]
    assert alike(streamed) == alike(whole)
    assert whole["status"] == "completed"
    assert [call_.body["stream"] for call_ in upstream.calls] == [False, True]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_the_stream_told_last_is_what_is_kept(gateway, upstream, dialect):
    upstream.says(rich())
    told = await gateway.told(dialect, tools=[WEATHER])
    path = spelled(dialect)[0]
    kept = await gateway.get(f"{path}/{told.last['response']['id']}")
    assert kept.json() == told.last["response"]


async def test_both_dialects_give_the_same_items(gateway, upstream):
    upstream.says(rich(), rich())
    ours = await gateway.ask("freddy", tools=[WEATHER])
    theirs = await gateway.ask("openai", tools=[WEATHER])
    assert [item["type"] for item in theirs["output"]] == ["reasoning", "message", "function_call", "function_call"]
    assert ours["reasoning"]["content"] == theirs["output"][0]["content"][0]["text"] == "Two cities."
    assert [item["type"] for item in ours["output"]] == ["message", "function_call", "function_call"]
    assert ours["output"][0]["content"][0]["text"] == theirs["output"][1]["content"][0]["text"] == "Let me look."
    for mine, other in zip(ours["output"][1:], theirs["output"][2:], strict=True):
        shared = ("type", "status", "call_id", "name", "arguments")
        assert {key: mine[key] for key in shared} == {key: other[key] for key in shared}
    assert [item["call_id"] for item in theirs["output"][2:]] == ["call_a", "call_b"]


@promise(254)
async def test_the_events_of_a_text_come_in_their_order_without_a_gap_and_under_one_id(gateway):
    told = await gateway.told("openai")
    assert told.types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in told.events] == list(range(10))
    assert len({event["response"]["id"] for event in told.events if "response" in event}) == 1
    items = {event.get("item_id") or event["item"]["id"] for event in told.events[2:-1]}
    assert items == {told.last["response"]["output"][0]["id"]}
    assert told.done


async def test_every_item_is_announced_before_its_pieces_and_done_after_them(gateway, upstream):
    upstream.says(rich())
    told = await gateway.told("openai", tools=[WEATHER])
    assert [event["sequence_number"] for event in told.events] == list(range(len(told.events)))
    begun: dict[int, str] = {}
    done: list[int] = []
    for event in told.events[2:-1]:
        place = event["output_index"]
        if event["type"] == "response.output_item.added":
            assert place == len(begun)
            begun[place] = event["item"]["id"]
            assert event["item"].get("status", "in_progress") == "in_progress"
            continue
        assert place in begun
        assert place not in done
        if event["type"] == "response.output_item.done":
            assert event["item"]["id"] == begun[place]
            assert event["item"] == told.last["response"]["output"][place]
            done.append(place)
        else:
            assert event["item_id"] == begun[place]
    assert done == list(begun) == [0, 1, 2, 3]


async def test_pieces_of_arguments_make_the_arguments(gateway, upstream):
    for dialect in DIALECTS:
        upstream.says(rich())
        told = await gateway.told(dialect, tools=[WEATHER])
        whole: dict[str, str] = {}
        for event in told.of("response.function_call_arguments.delta"):
            whole[event["item_id"]] = whole.get(event["item_id"], "") + event["delta"]
        assert {e["item_id"]: e["arguments"] for e in told.of("response.function_call_arguments.done")} == whole
        assert list(whole.values()) == ['{"city":"Oslo"}', '{"city":"Rome"}']


@promise(3, 241, 242, 243, 244, 245, 246, 247, 250)
@pytest.mark.parametrize(
    ("path", "more"), [("/v1/model/response", {"stream": True}), ("/v1/model/response/stream", {})]
)
async def test_a_stream_of_the_freddy_api_reads_like_its_documentation(gateway, path, more):
    reply = await gateway.post(path, {"model": "stage", "inputs": [{"role": "user", "content": "Hi"}], **more})
    told = Stream(reply.content)
    assert told.types == [
        "response.created",
        "response.output_item.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_item.done",
        "response.completed",
    ]
    created, added, first, second, done, _, completed = told.events
    assert (created["id"], created["status"]) == (completed["id"], "in_progress")
    assert (added["index"], added["item"]["type"], added["item"]["role"]) == (0, "message", "assistant")
    assert [(one["index"], one["delta"]) for one in (first, second)] == [(0, "Hello"), (0, " there.")]
    assert (done["index"], done["text"]) == (0, "Hello there.")
    assert (completed["status"], completed["usage"]["total_tokens"]) == ("completed", 18)
    assert not told.done
    numbers = [event["sequence_number"] for event in told.events]
    assert numbers == sorted(set(numbers))
    assert all(json.loads(line[6:]) for line in reply.text.split("\n") if line.startswith("data: "))


@promise(251)
async def test_long_answers_come_in_small_frames_that_are_whole(gateway, upstream):
    upstream.says(Answer(text(*("word " * 40 for _ in range(60)))))
    async with gateway.http().stream("POST", "/v1/model/response", json={"inputs": "Hi", "stream": True}) as reply:
        chunks = [chunk async for chunk in reply.aiter_raw()]
    told = Stream(b"".join(chunks))
    assert len(told.text) == 60 * 200
    assert max(len(frame) for frame in told.raw.split(b"\n\n") if b"output_text.delta" in frame) < 16 * 1024


@promise(252)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_words_are_heard_while_the_model_still_speaks(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(text("One"), gate, text(" two")))
    async with gateway.listening(*spelled(dialect, stream=True)) as stream:
        assert (await stream.next("response.output_text.delta"))["delta"] == "One"
        await gate.reached()
        gate.open()
        assert (await stream.next("response.output_text.delta"))["delta"] == " two"
        assert (await stream.next("response.completed"))["response"]["status"] == "completed"


@promise(111, 253)
async def test_open_thinking_is_streamed_as_thinking(gateway, upstream):
    upstream.says(Answer(thought("Hm, ", "yes."), text("Yes.")))
    told = await gateway.told("freddy")
    assert told.types[1:5] == ["thinking.started", "thinking.delta", "thinking.delta", "thinking.completed"]
    assert [event["delta"] for event in told.of("thinking.delta")] == ["Hm, ", "yes."]
    assert told.of("thinking.completed")[0]["text"] == "Hm, yes."
    # It is no item of the output: the first one is the answer.
    assert told.of("response.output_text.delta")[0]["index"] == 0
    assert told.last["response"]["output"][0]["content"][0]["text"] == "Yes."


async def test_a_refusal_is_told_as_one(gateway, upstream):
    upstream.says(Answer(refusal("I ", "won't.")), Answer(refusal("I ", "won't.")))
    told = await gateway.told("openai")
    assert [event["delta"] for event in told.of("response.refusal.delta")] == ["I ", "won't."]
    part = {"type": "refusal", "refusal": "I won't."}
    assert told.last["response"]["output"][0]["content"] == [part]
    assert (await gateway.ask("freddy"))["output"][0]["content"] == [part]


@promise(84, 224)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_logprobs_are_handed_on_to_those_who_ask(gateway, upstream, dialect):
    asks = {"freddy": {"logprobs": True, "top_logprobs": 2}, "openai": {"top_logprobs": 2}}[dialect]
    if dialect == "openai":
        asks["include"] = ["message.output_text.logprobs"]
    upstream.says(*(Answer(likely("Yes", -0.1, Yes=-0.1, No=-2.3)) for _ in range(2)), Answer(likely("Yes", -0.1)))
    whole = await gateway.ask(dialect, **asks)
    (probable,) = whole["output"][0]["content"][0]["logprobs"]
    assert probable == {
        "token": "Yes",
        "logprob": -0.1,
        "bytes": [89, 101, 115],
        "top_logprobs": [
            {"token": "Yes", "logprob": -0.1, "bytes": [89, 101, 115]},
            {"token": "No", "logprob": -2.3, "bytes": [78, 111]},
        ],
    }
    assert (upstream.last.body["logprobs"], upstream.last.body["top_logprobs"]) == (True, 2)
    told = await gateway.told(dialect, **asks)
    assert told.of("response.output_text.delta")[0]["logprobs"] == [probable]
    unasked = await gateway.ask(dialect)
    assert not unasked["output"][0]["content"][0].get("logprobs")
    assert "logprobs" not in upstream.last.body


@promise(265, 274)
async def test_answers_and_streams_fit_the_open_responses_specification(gateway, upstream):
    for answer in (Answer(text("Hi")), rich(), Answer(refusal("No.")), Answer(text("Hal"), finish="length")):
        upstream.says(answer, answer)
        asked = {"tools": [{**WEATHER, "description": "The weather.", "strict": False}]}
        whole = await gateway.ask("openai", **asked)
        open_responses.ResponseResource.model_validate(whole)
        Response.model_validate(whole)
        told = await gateway.told("openai", **asked)
        for event in told.events:
            SDK_EVENT.validate_python(event)
            # The specification and OpenAI call open thinking by different names; clients know OpenAI's.
            if not event["type"].startswith("response.reasoning_text."):
                OPEN_EVENTS[event["type"]].model_validate(event)


async def test_a_response_has_no_null_where_clients_expect_a_value(gateway):
    whole = await gateway.ask("openai")
    numbers = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs")
    assert all(isinstance(whole[name], int | float) for name in numbers)
    assert all(isinstance(whole[name], bool) for name in ("store", "background", "parallel_tool_calls"))
    assert (whole["service_tier"], whole["tool_choice"], whole["truncation"]) == ("default", "auto", "disabled")
    assert whole["metadata"] == {}
    assert "user" not in whole
    assert whole["usage"]["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert whole["usage"]["output_tokens_details"] == {"reasoning_tokens": 0}


@promise(91, 264)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_an_answer_that_was_stopped_is_incomplete_and_says_why(gateway, upstream, dialect, finish, reason):
    upstream.says(*(Answer(text("Half a"), finish=finish) for _ in range(2)))
    whole = await gateway.ask(dialect, max_output_tokens=16)
    told = await gateway.told(dialect, max_output_tokens=16)
    assert told.types[-1] == "response.incomplete"
    for response in (whole, told.last["response"]):
        assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
        assert response["output"][0]["status"] == "incomplete"
    assert upstream.last.body["max_tokens"] == 16


async def test_usage_is_estimated_where_the_upstream_does_not_count(gateway, upstream):
    upstream.says(Answer(text("Hello there."), usage=None))
    usage = (await gateway.ask("freddy"))["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_obfuscation_can_be_turned_off(gateway):
    padded = await gateway.told("openai")
    assert all("obfuscation" in event for event in padded.of("response.output_text.delta"))
    plain = await gateway.told("openai", stream_options={"include_obfuscation": False})
    assert not any("obfuscation" in event for event in plain.events)


async def test_a_silent_stream_is_kept_open_with_comments(opened, upstream):
    gateway = await opened(server=parts.Server(ping_seconds=0.02))
    gate = Gate()
    upstream.says(Answer(text("One"), gate))
    async with gateway.http().stream("POST", "/v1/model/response", json={"inputs": "Hi", "stream": True}) as reply:
        lines = reply.aiter_lines()
        async for line in lines:
            if line.startswith(":"):
                break
        assert line == ": ping"
        gate.open()
        assert [line async for line in lines if "response.completed" in line]
