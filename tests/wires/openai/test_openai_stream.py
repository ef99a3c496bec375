"""What OpenAI's Responses API streams becomes the same deltas however the bytes are cut, and however it breaks.

The recordings are written after the published types: every event in them is checked against those.
"""

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from freddy.server.core import deltas, errors, items, request, toolspec
from freddy.server.core.offers import of_caller
from freddy.server.core.profile import Profile
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.providers._sse import DataLines
from freddy.server.providers.openai.adapter import OpenAI, OpenAIProvider
from freddy.server.providers.openai.stream import Reader
from freddy_fakes import CountingIds, raw
from freddy_stream_rules import check_events

RECORDINGS = Path(__file__).parent / "recordings"
PUBLISHED = TypeAdapter(ResponseStreamEvent)
PROFILE = Profile(name="m", provider="vendor", reasoning=True)

PLAIN = deltas.Answering("gpt-4.1-2025-04-14")
THINKING = deltas.Answering("gpt-5-2025-08-07")
BEGAN = deltas.Began()
HIDDEN = deltas.Thinking(hidden=True)
URL = {"type": "url_citation", "start_index": 0, "end_index": 7, "title": "Sea", "url": "https://example.org/sea"}
FILE = {"type": "file_citation", "index": 3, "file_id": "file_1", "filename": "a.pdf"}

SAID = {
    "text": [
        PLAIN,
        BEGAN,
        deltas.Text("Grüezi"),
        deltas.Text(" 👋\n\nworld"),
        deltas.Stop("stop", Usage(19, 7, cached_tokens=4, cache_write_tokens=3)),
    ],
    "logprobs": [
        PLAIN,
        BEGAN,
        deltas.Text(
            "Hi",
            (
                items.Logprob(
                    "Hi",
                    -0.25,
                    (72, 105),
                    (items.TopLogprob("Hi", -0.25, (72, 105)), items.TopLogprob("Yo", -1.5, (89, 111))),
                ),
            ),
        ),
        deltas.Stop("stop", Usage(5, 1)),
    ],
    "reasoning-and-calls": [
        THINKING,
        HIDDEN,
        deltas.Reasoning("**Both", "summary", 0),
        deltas.Reasoning("** cities", "summary", 0),
        deltas.Reasoning("Then compare", "summary", 1),
        deltas.Signature("openai:vendor:rs_a:gAAAAone"),
        deltas.ToolCall(0, "", "get_weather", "call_Aa1"),
        deltas.ToolCall(0, '{"city":'),
        deltas.ToolCall(0, '"Bern"}'),
        deltas.ToolCall(1, "", "get_time", "call_Bb2"),
        deltas.ToolCall(1, "{}"),
        deltas.Stop("tool_calls", Usage(80, 130, reasoning_tokens=100)),
    ],
    "hidden-reasoning": [
        THINKING,
        HIDDEN,
        deltas.Signature("openai:vendor:rs_a:gAAAAone"),
        HIDDEN,
        deltas.Signature("openai:vendor:rs_b:gAAAAtwo"),
        BEGAN,
        deltas.Text("4"),
        deltas.Stop("stop", Usage(12, 200, reasoning_tokens=192)),
    ],
    "open-reasoning": [
        deltas.Answering("gpt-oss-120b"),
        HIDDEN,
        deltas.Reasoning("Two ", "text", 0),
        deltas.Reasoning("and two", "text", 0),
        deltas.Reasoning("Done", "text", 1),
        BEGAN,
        deltas.Text("4"),
        deltas.Stop("stop", Usage(12, 20, reasoning_tokens=10)),
    ],
    "custom-tool": [
        THINKING,
        deltas.Began("commentary"),
        deltas.Text("Patching."),
        deltas.ToolCall(0, "", "apply_patch", "call_Cc3"),
        deltas.ToolCall(0, r'{"input":"{\"input\":\"not a shell\"}"}'),
        deltas.Stop("tool_calls", Usage(30, 9)),
    ],
    "refusal": [
        PLAIN,
        BEGAN,
        deltas.Refusal("I cannot "),
        deltas.Refusal("help with that."),
        deltas.Stop("stop", Usage(8, 6)),
    ],
    "citations-and-hosted-tools": [
        PLAIN,
        BEGAN,
        deltas.Text("The sea"),
        deltas.Text(" is salt."),
        deltas.Annotated(items.Annotation("url_citation", raw(URL))),
        deltas.Annotated(items.Annotation("file_citation", raw(FILE))),
        deltas.Stop("stop", Usage(300, 8)),
    ],
    "several-messages": [
        THINKING,
        deltas.Began("commentary"),
        deltas.Text("Let me see. "),
        deltas.Began("final_answer"),
        deltas.Text("It is "),
        deltas.Text("four."),
        deltas.Refusal("No more."),
        deltas.Stop("stop", Usage(9, 9)),
    ],
    "length": [PLAIN, BEGAN, deltas.Text("The"), deltas.Text(" sea"), deltas.Stop("length", Usage(31, 16))],
    "content-filter": [PLAIN, BEGAN, deltas.Text("The"), deltas.Stop("content_filter", Usage(31, 1))],
}


class Recording:
    """The port `Wire` and its answer: says the same chunks to everyone who asks."""

    def __init__(self, *chunks: bytes, kind: str = "text/event-stream; charset=utf-8", status: int = 200) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": kind}
        self.asked: list[tuple[str, dict, Mapping[str, str]]] = []
        self.left = 0
        self._chunks = chunks

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> AsyncIterator["Recording"]:
        self.asked.append((path, json.loads(body), headers))
        try:
            yield self
        finally:
            self.left += 1

    async def read(self) -> bytes:
        return b"".join(self._chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class InTurn:
    """The port `Wire`: each answer serves one request."""

    def __init__(self, *answers: Recording) -> None:
        self.answers = answers
        self._left = list(answers)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]):
        return self._left.pop(0).post(path, body, headers)


def recording(name: str) -> bytes:
    return (RECORDINGS / f"{name}.sse").read_bytes()


def events_of(name: str) -> list[dict]:
    return [json.loads(data) for data in DataLines().feed(recording(name))]


def sse(*events: dict) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), raw(event)) for event in events)


async def hear(wire, profile: Profile = PROFILE, **asked) -> tuple[list[deltas.Delta], errors.FreddyError | None]:
    """What was said, and what ended it."""
    model = OpenAI(wire, profile, key="secret")
    said: list[deltas.Delta] = []
    try:
        async for batch in model.stream(Turn(**{"model": "m", "items": ()} | asked)):
            assert batch
            said += batch
    except errors.FreddyError as error:
        return said, error
    finally:
        for one in getattr(wire, "answers", (wire,)):
            assert one.left == len(one.asked) <= 1
    return said, None


def output_of(said: list[deltas.Delta], *tools: toolspec.Function) -> tuple[items.Item, ...]:
    return check_events(Transcript(index=0, new_id=CountingIds().new, offers=map(of_caller, tools)).feed(said))


@pytest.mark.parametrize("name", SAID)
def test_the_recordings_are_of_the_published_form(name):
    for place, event in enumerate(events_of(name)):
        PUBLISHED.validate_python(event)
        assert event["sequence_number"] == place


@pytest.mark.parametrize("name", SAID)
async def test_a_stream_is_understood(name):
    assert await hear(Recording(recording(name))) == (SAID[name], None)


@given(st.sampled_from(sorted(SAID)), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
async def test_any_chunking_of_the_bytes_gives_the_same_deltas(name, end, data):
    stream = recording(name).replace(b"\n", end)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[a:b] for a, b in itertools.pairwise([0, *places, len(stream)])]
    assert await hear(Recording(*chunks)) == (SAID[name], None)


@pytest.mark.parametrize("name", SAID)
async def test_byte_by_byte_gives_the_same_deltas(name):
    stream = recording(name)
    lines, reader = DataLines(), Reader("vendor")
    said = [delta for at in range(len(stream)) for delta in reader.read(lines.feed(stream[at : at + 1]))]
    assert [*said, reader.close()] == SAID[name]


@pytest.mark.parametrize("name", SAID)
async def test_streamed_and_whole_give_the_same_answer(name):
    whole = Recording(bytes(raw(events_of(name)[-1]["response"])), kind="application/json")
    said, error = await hear(whole, live=False)
    assert error is None
    assert output_of(said) == output_of(SAID[name])
    assert (said[0], said[-1]) == (SAID[name][0], SAID[name][-1])
    assert whole.asked[0][1]["stream"] is False


@pytest.mark.parametrize("left_out", ["delta", "added", "item.done", ".done", "annotation.added", "content_part"])
@pytest.mark.parametrize("name", sorted(SAID.keys() - {"hidden-reasoning", "reasoning-and-calls"}))
async def test_what_was_told_once_is_heard_once_whichever_events_are_left_out(name, left_out):
    events = events_of(name)
    kept = [event for event in events if not event["type"].endswith(left_out) and left_out not in event["type"]]
    said, error = await hear(Recording(sse(*kept)))
    assert error is None
    phased = left_out != "added"  # A message tells its phase as it begins.
    assert [unphased(one, phased=phased) for one in output_of(said)] == [
        unphased(one, phased=phased) for one in output_of(SAID[name])
    ]


def unphased(item: items.Item, *, phased: bool) -> items.Item:
    return item if phased or not isinstance(item, items.Message) else replace(item, phase=None)


async def test_an_unknown_event_is_skipped():
    events = events_of("text")
    odd = [{"type": "keepalive"}, {"type": "vendor:trace", "delta": {"x": 1}, "output_index": "no"}]
    assert await hear(Recording(sse(*events[:4], *odd, *events[4:]))) == (SAID["text"], None)


async def test_a_custom_tools_text_arrives_as_the_model_wrote_it():
    patch = toolspec.Function("apply_patch", form="custom")
    call = output_of(SAID["custom-tool"], patch)[-1]
    assert (call.form, call.arguments) == ("custom", '{"input":"not a shell"}')


async def test_a_custom_tools_text_that_was_cut_is_kept():
    events = events_of("custom-tool")
    at = next(place for place, event in enumerate(events) if event["type"].endswith("custom_tool_call_input.done"))
    response = events[-1]["response"] | {"incomplete_details": {"reason": "max_output_tokens"}}
    said, error = await hear(Recording(sse(*events[:at], {"type": "response.incomplete", "response": response})))
    assert error is None
    assert said[-1].reason == "length"
    call = output_of(said, toolspec.Function("apply_patch", form="custom"))[-1]
    assert (call.arguments, call.status) == ('{"input":"not a shell"}', "incomplete")


SCHEMAS = request.Output("json_schema", (request.Schema("a", raw({})), request.Schema("b", raw({}))))


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ('{"answer":{"a":{"b":1}}}', '{"a":{"b":1}}'),
        (' { "answer" : [1, 2] } \n', "[1, 2]"),
        ('{"answer":"}"}', '"}"'),
        ('{"answer":{}}', "{}"),
        ("no json: at all", "no json: at all"),
        ("short", "short"),
        ('{"other":1}', '{"other":1}'),
        ("{" * 100, "{" * 100),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_an_answer_to_one_of_several_schemas_comes_out_of_its_envelope(told, answer, size):
    place = {"item_id": "msg_a", "output_index": 0, "content_index": 0}
    pieces = [told[at : at + size] for at in range(0, len(told), size)]
    events = [{"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in pieces]
    done = {"type": "response.output_text.done", **place, "text": told, "logprobs": []}
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    said, error = await hear(Recording(sse(*events, done, end)), output=SCHEMAS)
    assert error is None
    assert "".join(delta.text for delta in said if isinstance(delta, deltas.Text)) == answer


async def test_the_request_goes_to_the_responses_path_with_the_key():
    wire = Recording(recording("text"))
    model = OpenAI(wire, PROFILE, key="secret", organization="org-1", project="proj_1")
    assert [batch async for batch in model.stream(Turn(model="m", items=()))]
    path, body, headers = wire.asked[0]
    assert (path, body["stream"], body["store"]) == ("/responses", True, False)
    assert headers == {
        "content-type": "application/json",
        "authorization": "Bearer secret",
        "openai-organization": "org-1",
        "openai-project": "proj_1",
    }


TEXT = sse(*events_of("text")[:5])


def failed(code: str, message: str = "boom") -> dict:
    return {"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": message}}}


BREAKS = {
    "cut": (b"", errors.ProviderFailed, "provider_error"),
    "done-without-an-end": (b"data: [DONE]\n\n", errors.ProviderFailed, "provider_error"),
    "cut-in-an-event": (b'data: {"type":"response.compl', errors.ProviderFailed, "provider_error"),
    "not-json": (b"data: nonsense\n\n", errors.ProviderFailed, "provider_error"),
    "not-utf8": (b"data: \xff\xfe\n\n", errors.ProviderFailed, "provider_error"),
    "not-an-object": (b"data: [1,2]\n\n", errors.ProviderFailed, "provider_error"),
    "not-an-event": (b"data: {}\n\n", errors.ProviderFailed, "provider_error"),
    "half-an-event": (b'data: {"type":"response.completed"}\n\n', errors.ProviderFailed, "provider_error"),
    "wrong-kinds": (
        b'data: {"type":"response.output_text.delta","delta":{"a":1}}\n\n',
        errors.ProviderFailed,
        "provider_error",
    ),
    "failed": (sse(failed("server_error")), errors.ProviderFailed, "provider_error"),
    "failed-without-a-word": (
        sse({"type": "response.failed", "response": {"error": None}}),
        errors.ProviderFailed,
        "provider_error",
    ),
    "failed-rate-limit": (sse(failed("rate_limit_exceeded")), errors.RateLimited, "rate_limit_exceeded"),
    "failed-context": (sse(failed("context_length_exceeded")), errors.ContextOverflow, "context_length_exceeded"),
    "failed-quota": (sse(failed("insufficient_quota")), errors.RateLimited, "insufficient_quota"),
    "failed-overload": (sse(failed("server_is_overloaded")), errors.ProviderUnavailable, "provider_unavailable"),
    "failed-policy": (sse(failed("bio_policy")), errors.InvalidRequest, "content_filter"),
    "failed-image": (sse(failed("invalid_image_url")), errors.InvalidRequest, "provider_rejected"),
    "failed-unknown": (sse(failed("something_new")), errors.ProviderFailed, "provider_error"),
    "failed-prompt": (sse(failed("invalid_prompt")), errors.InvalidRequest, "provider_rejected"),
    "flat-error": (
        sse({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None}),
        errors.RateLimited,
        "rate_limit_exceeded",
    ),
    "nested-error": (
        sse({"type": "error", "error": {"type": "invalid_request_error", "code": "context_length_exceeded"}}),
        errors.ContextOverflow,
        "context_length_exceeded",
    ),
    "error-then-failed": (
        sse({"type": "error", "error": {"type": "server_error", "code": None, "message": "x"}}, failed("bio_policy")),
        errors.ProviderFailed,
        "provider_error",
    ),
    "error-without-a-type": (b'data: {"error":{"message":"boom"}}\n\n', errors.ProviderFailed, "provider_error"),
}


@pytest.mark.parametrize("at_once", [True, False], ids=["in-one-chunk", "in-many"])
@pytest.mark.parametrize("name", BREAKS)
async def test_a_stream_that_breaks_is_no_answer_but_what_was_said_is_told(name, at_once):
    end, kind, code = BREAKS[name]
    end += sse(events_of("text")[-1]) if name.startswith(("not", "half", "wrong", "failed", "flat")) else b""
    chunks = [TEXT + end] if at_once else [TEXT, *(end[at : at + 7] for at in range(0, len(end), 7))]
    said, error = await hear(Recording(*chunks))
    assert said == [PLAIN, BEGAN, deltas.Text("Grüezi")]
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("how", ["cut", "error", "failed", "malformed"])
async def test_a_failure_at_any_event_is_never_a_completed_answer(name, how):
    events = events_of(name)
    ends = {
        "cut": b"",
        "error": sse({"type": "error", "code": "server_error", "message": "boom", "param": None}),
        "failed": sse(failed("server_error")),
        "malformed": b"data: {\n\n",
    }
    for place in range(len(events)):
        said, error = await hear(Recording(sse(*events[:place]) + ends[how]))
        assert type(error) is errors.ProviderFailed
        heard = [delta for delta in said if delta not in (BEGAN, HIDDEN)]
        told = [delta for delta in SAID[name] if delta not in (BEGAN, HIDDEN)]
        assert heard == told[: len(heard)] or name == "custom-tool"
        assert not any(isinstance(delta, deltas.Stop) for delta in said)


async def test_a_stream_cut_at_any_byte_ends_with_one_error_and_never_with_a_reason():
    stream = recording("reasoning-and-calls")
    end = stream.index(b"event: response.completed")
    for place in range(len(stream) - len(b"\n\n")):
        said, error = await hear(Recording(stream[:place]))
        assert type(error) is errors.ProviderFailed, place
        assert not any(isinstance(delta, deltas.Stop) for delta in said)
        if place <= end:
            assert error.message in ("vendor broke off in the middle of its answer", UNREADABLE_END)


UNREADABLE_END = "vendor answered what is not a response"


@pytest.mark.parametrize("reason", ["max_output_tokens", "max_messages", None])
async def test_an_answer_that_is_not_whole_and_not_filtered_is_too_short(reason):
    response = events_of("length")[-1]["response"] | {"incomplete_details": {"reason": reason}}
    said, error = await hear(Recording(sse({"type": "response.incomplete", "response": response})))
    assert (said[-1].reason, error) == ("length", None)


async def test_what_stands_after_the_end_is_not_read():
    assert await hear(Recording(recording("text") + sse(failed("server_error")))) == (SAID["text"], None)


@pytest.mark.parametrize(
    ("message", "seconds"),
    [("try again in 1.5s.", 1.5), ("try again in 20ms", 0.02), ("try again in 2m3s", 123.0), ("", None)],
)
async def test_a_rate_limit_in_a_stream_says_when_to_come_back(message, seconds):
    _, error = await hear(Recording(sse(failed("rate_limit_exceeded", f"Please {message}"))))
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"object":"response","status":"in_progress","output":[]}',
        b'{"object":"response","status":"cancelled","output":[]}',
        b'{"object":"response","status":"failed","error":{"code":"server_error","message":"x"},"output":[]}',
        b'{"object":"response","output":[]}',
        b'{"error":{"message":"overloaded","type":"server_error"}}',
    ],
)
async def test_a_whole_answer_that_is_none_is_a_failure_of_the_provider(body):
    said, error = await hear(Recording(body, kind="application/json"), live=False)
    assert (said, type(error)) == ([], errors.ProviderFailed)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"code": "context_length_exceeded"}, errors.ContextOverflow, "context_length_exceeded"),
        (400, {"param": "tools[0]"}, errors.InvalidRequest, "provider_rejected"),
        (401, {"message": "Incorrect API key: sk-abc"}, errors.ProviderFailed, "provider_authentication"),
        (404, {"code": "model_not_found"}, errors.ModelNotFound, "model_not_found"),
        (429, {"code": "rate_limit_exceeded"}, errors.RateLimited, "rate_limit_exceeded"),
        (429, {"code": "insufficient_quota"}, errors.RateLimited, "insufficient_quota"),
        (500, {"code": "server_error"}, errors.ProviderFailed, "provider_error"),
        (503, {}, errors.ProviderUnavailable, "provider_unavailable"),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_the_core(status, body, kind, code):
    told = json.dumps({"error": {"message": "no", "type": "some_error"} | body}).encode()
    said, error = await hear(Recording(told, kind="application/json", status=status))
    assert (said, type(error), error.code) == ([], kind, code)
    assert "sk-abc" not in f"{error.message} {error.details}"


async def test_an_empty_purse_is_told_from_too_many_requests():
    told = b'{"error":{"message":"no","type":"insufficient_quota","code":"insufficient_quota"}}'
    for wire in (Recording(told, status=429), Recording(sse(failed("insufficient_quota", "no")))):
        _, error = await hear(wire)
        assert (error.message, error.details) == ("vendor has no quota left", "no")


QUESTION = items.Message("msg_1", "user", (items.Text("Hi"),))
THOUGHT = items.Reasoning("rs_1", encrypted="openai:vendor:rs_a:gAAAAone")
REPLY = items.Message("msg_2", "assistant", (items.Text("Hello"),))
UNPAIRED = (
    b'{"error":{"message":"Item \'rs_a\' of type \'reasoning\' was provided without its required following item.",'
    b'"type":"invalid_request_error","param":"input","code":null}}'
)
UNREADABLE = b'{"error":{"message":"could not be verified","code":"invalid_encrypted_content"}}'


@pytest.mark.parametrize("refusal", [UNREADABLE, UNPAIRED], ids=["unreadable", "unpaired"])
async def test_thoughts_that_openai_cannot_read_any_more_are_left_out(refusal):
    wire = InTurn(Recording(refusal, kind="application/json", status=400), Recording(recording("text")))
    assert await hear(wire, items=(QUESTION, THOUGHT, REPLY, QUESTION)) == (SAID["text"], None)
    first, second = (answer.asked[0][1]["input"] for answer in wire.answers)
    assert [item["type"] for item in first] == ["message", "reasoning", "message", "message"]
    assert second == [item for item in first if item["type"] != "reasoning"]


async def test_without_thoughts_there_is_one_request_only():
    wire = InTurn(Recording(UNREADABLE, kind="application/json", status=400))
    said, error = await hear(wire, items=(QUESTION,))
    assert (said, type(error)) == ([], errors.InvalidRequest)


async def test_a_second_refusal_is_final():
    refusals = [Recording(UNREADABLE, kind="application/json", status=400) for _ in range(2)]
    said, error = await hear(InTurn(*refusals), items=(QUESTION, THOUGHT, REPLY))
    assert (said, type(error)) == ([], errors.InvalidRequest)


async def test_leaving_early_leaves_the_wire():
    wire = Recording(TEXT, TEXT)
    saying = OpenAI(wire, PROFILE).stream(Turn(model="m", items=()))
    assert await anext(saying) == [PLAIN, BEGAN, deltas.Text("Grüezi")]
    await saying.aclose()
    assert wire.left == 1


async def test_tokens_are_counted_by_openai():
    wire = Recording(b'{"object":"response.input_tokens","input_tokens":11}', kind="application/json")
    assert await OpenAI(wire, PROFILE).count(Turn(model="m", items=(QUESTION,), instructions="Be kind")) == 11
    path, body, _ = wire.asked[0]
    assert (path, body["instructions"]) == ("/responses/input_tokens", "Be kind")
    assert not body.keys() & {"store", "stream", "include", "max_output_tokens"}


async def test_a_deployment_that_does_not_count_leaves_the_tokens_open():
    assert await OpenAI(Recording(b"", status=404), PROFILE).count(Turn(model="m", items=())) is None


@pytest.mark.parametrize("answer", [Recording(b"nonsense"), Recording(b"{}", status=500)])
async def test_a_count_that_fails_is_a_failure_of_the_provider(answer):
    with pytest.raises(errors.ProviderFailed):
        await OpenAI(answer, PROFILE).count(Turn(model="m", items=()))


class Catalog(Recording):
    """The port `Wire`: lists models."""

    @asynccontextmanager
    async def get(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[Recording]:
        self.asked.append((path, {}, headers))
        yield self


def provider(wire, **more) -> OpenAIProvider:
    return OpenAIProvider(wire, "vendor", profile_of=lambda called: replace(PROFILE, name=called), **more)


async def test_a_provider_lists_its_models_in_their_order():
    wire = Catalog(b'{"object":"list","data":[{"id":"gpt-5","object":"model"},{"id":"o3"}]}', kind="application/json")
    assert await provider(wire, key="secret", organization="org-1").models() == ("gpt-5", "o3")
    headers = {"authorization": "Bearer secret", "openai-organization": "org-1"}
    assert wire.asked == [("/models", {}, headers)]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", errors.ProviderFailed),
        (200, b"{}", errors.ProviderFailed),
        (401, b"", errors.ProviderFailed),
        (429, b"", errors.RateLimited),
    ],
)
async def test_a_list_that_fails_is_an_error(status, body, kind):
    with pytest.raises(kind):
        await provider(Catalog(body, status=status)).models()


async def test_a_model_is_made_once_and_asked_with_the_key_of_whom_it_is_for():
    wire = Recording(recording("text"))
    vendor = provider(wire, key="ours", organization="org-1", project="proj_1")
    assert vendor.model("gpt-5") is vendor.model("gpt-5")
    assert vendor.model("gpt-5").profile == replace(PROFILE, name="gpt-5")
    for key in (None, "theirs"):
        assert [batch async for batch in vendor.model("gpt-5", key=key).stream(Turn(model="gpt-5", items=()))]
    ours, theirs = (headers for _, _, headers in wire.asked)
    assert (ours["authorization"], ours["openai-organization"]) == ("Bearer ours", "org-1")
    assert theirs == {"content-type": "application/json", "authorization": "Bearer theirs"}


def test_names_without_end_do_not_fill_the_memory():
    vendor = provider(Recording())
    first = vendor.model("a")
    for number in range(600):
        vendor.model(f"gpt-{number}")
    assert vendor.model("a") is not first
    assert vendor.model("gpt-599") is vendor.model("gpt-599")
