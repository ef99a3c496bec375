"""What Anthropic streams, in the form it publishes, becomes the same deltas however the bytes are cut."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from freddy.server.core import deltas, errors, items, request, toolspec
from freddy.server.core.offers import of_caller
from freddy.server.core.profile import Profile
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.providers._sse import DataLines
from freddy.server.providers.anthropic import marks
from freddy.server.providers.anthropic.adapter import Anthropic, AnthropicProvider
from freddy.server.providers.anthropic.stream import Reader
from freddy_fakes import CountingIds, raw
from freddy_stream_rules import check_events

RECORDINGS = Path(__file__).parent / "recordings"
SONNET = deltas.Answering("claude-sonnet-4-5-20250929")
HI = items.Message("msg_1", "user", (items.Text("Hi"),))
JSON = request.Output("json")

SAID = {
    "text": [SONNET, deltas.Text("Grüezi"), deltas.Text(" 👋\n\nworld"), deltas.Stop("stop", Usage(25, 15))],
    "calls": [
        SONNET,
        deltas.Text("Let me look."),
        deltas.ToolCall(0, "", "get_weather", "toolu_01A"),
        deltas.ToolCall(0, '{"city":'),
        deltas.ToolCall(0, '"Bern"}'),
        deltas.ToolCall(1, "", "get_time", "toolu_01B"),
        deltas.Stop("tool_calls", Usage(25, 89)),
    ],
    "thinking": [
        SONNET,
        deltas.Thinking(),
        deltas.Reasoning("Two and"),
        deltas.Reasoning(" two."),
        deltas.Signature(marks.signed("anthropic", "Two and two.", "EqQBCgIYAhIM")),
        deltas.Thinking(hidden=True),
        deltas.Signature(marks.redacted("anthropic", "EmwKAhgBEgy3")),
        deltas.Text("4"),
        deltas.Stop("stop", Usage(25, 40, reasoning_tokens=31)),
    ],
    "omitted-thinking": [
        deltas.Answering("claude-opus-4-7"),
        deltas.Thinking(),
        deltas.Signature(marks.signed("anthropic", "", "EosnCkYICxIM")),
        deltas.Text("4"),
        deltas.Stop("stop", Usage(25, 12)),
    ],
    "cached": [
        SONNET,
        deltas.Text("Hi"),
        deltas.Stop("stop", Usage(1204, 5, cached_tokens=1000, cache_write_tokens=200)),
    ],
    "length": [SONNET, deltas.Text("Once upon"), deltas.Stop("length", Usage(25, 2))],
    "window": [SONNET, deltas.Text("Once"), deltas.Stop("length", Usage(25, 1))],
    "stop-sequence": [SONNET, deltas.Text("1, 2"), deltas.Stop("stop", Usage(25, 5))],
    "pause": [SONNET, deltas.Text("Searching"), deltas.Stop("length", Usage(25, 4))],
    "refusal": [
        SONNET,
        deltas.Text("First"),
        deltas.Refusal("This could cause harm."),
        deltas.Stop("content_filter", Usage(25, 3)),
    ],
    "silent-refusal": [
        SONNET,
        deltas.Refusal("The provider refused to answer."),
        deltas.Stop("content_filter", Usage(25, 1)),
    ],
    "citations": [SONNET, deltas.Text("Green"), deltas.Stop("stop", Usage(25, 7))],
}


class Recording:
    """The port `Wire` and its answer: says the same chunks to everyone who asks."""

    def __init__(self, *chunks: bytes, kind: str = "text/event-stream; charset=utf-8", status: int = 200) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": kind}
        self.asked: list[tuple[str, object, Mapping[str, str]]] = []
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


def recording(name: str) -> bytes:
    return (RECORDINGS / f"{name}.sse").read_bytes()


def events(name: str) -> list[bytes]:
    """The events of a recording, each with the blank line that ends it."""
    return [event + b"\n\n" for event in recording(name).split(b"\n\n") if event]


def whole(name: str) -> bytes:
    """The message that the events of a recording make together, as a call without a stream answers it."""
    told, arguments = {}, {}
    for event in events(name):
        one = json.loads(event.split(b"data: ", 1)[1])
        match one["type"]:
            case "message_start":
                told = one["message"]
            case "content_block_start":
                told["content"].append(one["content_block"])
            case "content_block_delta":
                block, delta = told["content"][one["index"]], one["delta"]
                match delta["type"]:
                    case "text_delta" | "thinking_delta" | "signature_delta":
                        field = delta["type"].removesuffix("_delta")
                        block[field] += delta[field]
                    case "input_json_delta":
                        arguments[one["index"]] = arguments.get(one["index"], "") + delta["partial_json"]
                    case "citations_delta":
                        block["citations"].append(delta["citation"])
            case "message_delta":
                told |= one["delta"]
                told["usage"] |= one["usage"]
    for index, text in arguments.items():
        told["content"][index]["input"] = json.loads(text or "{}")
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


async def hear(wire: Recording, **asked) -> tuple[list[deltas.Delta], errors.FreddyError | None]:
    """What was said, and what ended it."""
    model = Anthropic(wire, Profile(name="m", provider="anthropic"), key="secret")
    said: list[deltas.Delta] = []
    try:
        async for batch in model.stream(Turn(**{"model": "m", "items": (HI,)} | asked)):
            assert batch
            # How often a vendor's count is told depends on how its bytes come.
            said += [delta for delta in batch if not isinstance(delta, deltas.Counted)]
    except errors.FreddyError as error:
        return said, error
    finally:
        assert wire.left == len(wire.asked) == 1
    return said, None


def output_of(said: list[deltas.Delta]) -> tuple[items.Item, ...]:
    return check_events(Transcript(index=0, new_id=CountingIds().new).feed(said))


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
    lines, reader = DataLines(), Reader("anthropic")
    said = [delta for at in range(len(stream)) for delta in reader.read(lines.feed(stream[at : at + 1]))]
    said += reader.read(lines.close())
    assert [*said, reader.close()] == SAID[name]


@pytest.mark.parametrize("name", SAID)
async def test_streamed_and_whole_give_the_same_answer(name):
    wire = Recording(whole(name), kind="application/json")
    said, error = await hear(wire, live=False)
    assert error is None
    assert output_of(said) == output_of(SAID[name])
    assert (said[0], said[-1]) == (SAID[name][0], SAID[name][-1])
    assert wire.asked[0][1]["stream"] is False


def test_a_thought_that_was_heard_is_sent_back_as_it_came():
    signed, redacted, _ = output_of(SAID["thinking"])
    assert (signed.hidden, redacted.hidden) == (False, True)
    assert marks.block("anthropic", signed.encrypted) == {
        "type": "thinking",
        "thinking": "Two and two.",
        "signature": "EqQBCgIYAhIM",
    }
    assert marks.block("anthropic", redacted.encrypted) == {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"}


async def test_the_request_goes_to_the_messages_path_with_key_and_version():
    wire = Recording(recording("text"))
    await hear(wire)
    assert wire.asked == [
        (
            "/messages",
            {
                "model": "m",
                "max_tokens": 8192,
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
                "stream": True,
            },
            {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": "secret"},
        )
    ]


@pytest.mark.parametrize("name", SAID)
async def test_a_stream_cut_after_any_event_is_no_answer(name):
    told = events(name)
    for count in range(len(told)):
        said, error = await hear(Recording(b"".join(told[:count])))
        assert type(error) is errors.ProviderFailed
        assert said == SAID[name][: len(said)]
        assert not any(isinstance(delta, deltas.Stop) for delta in said)


async def test_a_stream_cut_at_any_byte_ends_with_one_error_and_never_with_a_reason():
    stream = recording("thinking")
    for end in range(len(stream.rstrip(b"\n"))):
        said, error = await hear(Recording(stream[:end]))
        assert type(error) is errors.ProviderFailed, end
        assert not any(isinstance(delta, deltas.Stop) for delta in said)
        assert said == SAID["thinking"][: len(said)]


BREAKS = {
    "overloaded": (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        errors.ProviderUnavailable,
    ),
    "rate": (
        b'data: {"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}\n\n',
        errors.RateLimited,
    ),
    "api": (
        b'data: {"type":"error","error":{"type":"api_error","message":"Internal server error"}}\n\n',
        errors.ProviderFailed,
    ),
    "billing": (
        b'data: {"type":"error","error":{"type":"billing_error","message":"Pay"}}\n\n',
        errors.RateLimited,
    ),
    "timeout": (
        b'data: {"type":"error","error":{"type":"timeout_error","message":"Late"}}\n\n',
        errors.ProviderTimeout,
    ),
    "unknown": (b'data: {"type":"error","error":{"type":"new_error","message":"?"}}\n\n', errors.ProviderFailed),
    "nothing": (b'data: {"type":"error"}\n\n', errors.ProviderFailed),
    "garbled": (b'data: {"type":"error","error":7}\n\n', errors.ProviderFailed),
    "too-long": (
        b'data: {"type":"error","error":{"type":"invalid_request_error",'
        b'"message":"prompt is too long: 210000 tokens > 200000 maximum"}}\n\n',
        errors.ContextOverflow,
    ),
    "credentials": (
        b'data: {"type":"error","error":{"type":"authentication_error","message":"sk-abc"}}\n\n',
        errors.ProviderFailed,
    ),
    "not-json": (b"data: nonsense\n\n", errors.ProviderFailed),
    "not-utf8": (b'data: {"type":"\xff\xfe"}\n\n', errors.ProviderFailed),
    "not-an-object": (b"data: [1,2]\n\n", errors.ProviderFailed),
    "not-an-event": (b'data: {"type":7}\n\n', errors.ProviderFailed),
    "cut": (b'data: {"type":"content_block_del', errors.ProviderFailed),
}


@pytest.mark.parametrize("failure", BREAKS)
@pytest.mark.parametrize("at_once", [True, False], ids=["in-one-chunk", "in-many"])
async def test_a_failure_after_any_event_is_told_after_what_was_said(failure, at_once):
    bad, kind = BREAKS[failure]
    told = events("calls")
    for count in range(len(told)):
        rest = [] if failure == "cut" else told[count:]
        chunks = [*told[:count], bad, *rest]
        said, error = await hear(Recording(*([b"".join(chunks)] if at_once else chunks)))
        assert type(error) is kind
        assert "sk-abc" not in f"{error.message} {error.details}"
        assert said == SAID["calls"][: len(said)]
        assert not any(isinstance(delta, deltas.Stop) for delta in said)


async def test_an_end_without_a_reason_is_no_answer():
    without = [event for event in events("text") if b"message_delta" not in event]
    said, error = await hear(Recording(*without))
    assert type(error) is errors.ProviderFailed
    assert said == SAID["text"][:-1]


async def test_what_stands_after_the_end_is_not_read():
    assert await hear(Recording(recording("text") + events("text")[3])) == (SAID["text"], None)


async def test_an_end_without_a_blank_line_is_an_end():
    assert await hear(Recording(recording("text").rstrip(b"\n"))) == (SAID["text"], None)


async def test_a_reason_nobody_knows_is_the_end_of_the_answer():
    said, error = await hear(Recording(recording("text").replace(b"end_turn", b"new_reason")))
    assert (said, error) == (SAID["text"], None)


async def test_a_vendor_that_does_not_count_leaves_the_usage_open():
    told = b'{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}'
    assert await hear(Recording(told, kind="application/json")) == ([deltas.Text("Hi"), deltas.Stop("stop")], None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"type":"message","content":[]}',
        b'{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":null}',
        b'{"type":"error","error":{"type":"api_error","message":"Internal server error"}}',
    ],
)
async def test_a_whole_answer_that_is_none_is_a_failure_of_the_provider(body):
    _, error = await hear(Recording(body, kind="application/json"), live=False)
    assert type(error) is errors.ProviderFailed


def refused(kind: str, message: str) -> bytes:
    error = {"type": kind, "message": message}
    return json.dumps({"type": "error", "error": error, "request_id": "req_011"}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, refused("invalid_request_error", "messages: bad"), errors.InvalidRequest, "provider_rejected"),
        (
            400,
            refused("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            errors.ContextOverflow,
            "context_length_exceeded",
        ),
        (
            400,
            refused("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
            errors.ContextOverflow,
            "context_length_exceeded",
        ),
        (401, refused("authentication_error", "invalid sk-abc"), errors.ProviderFailed, "provider_authentication"),
        (403, refused("permission_error", "sk-abc may not"), errors.ProviderFailed, "provider_authentication"),
        (404, refused("not_found_error", "model: claude-0"), errors.ModelNotFound, "model_not_found"),
        (
            400,
            refused("invalid_request_error", "Your credit balance is too low"),
            errors.RateLimited,
            "insufficient_quota",
        ),
        (402, refused("billing_error", "Pay"), errors.RateLimited, "insufficient_quota"),
        (404, refused("not_found_error", "Not Found"), errors.ProviderFailed, "provider_error"),
        (409, refused("conflict_error", "Busy"), errors.ProviderUnavailable, "provider_unavailable"),
        (413, refused("request_too_large", "Request exceeds the maximum size"), errors.TooLarge, "request_too_large"),
        (429, refused("rate_limit_error", "Slow down"), errors.RateLimited, "rate_limit_exceeded"),
        (500, refused("api_error", "Internal server error"), errors.ProviderFailed, "provider_error"),
        (504, refused("timeout_error", "Late"), errors.ProviderTimeout, "provider_timeout"),
        (529, refused("overloaded_error", "Overloaded"), errors.ProviderUnavailable, "provider_unavailable"),
        (502, b"<html>bad gateway</html>", errors.ProviderFailed, "provider_error"),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_the_core(status, body, kind, code):
    wire = Recording(body, kind="application/json", status=status)
    wire.headers = {"content-type": "application/json", "retry-after": "7"}
    said, error = await hear(wire)
    assert (said, type(error)) == ([], kind)
    assert error.code == (code or error.code)
    assert error.retry_after == (7.0 if status in (409, 429, 529) else None)
    assert "sk-abc" not in f"{error.message} {error.details}"


ANSWERED = recording("calls").replace(b"get_weather", b"json")


async def test_the_arguments_of_the_answering_function_are_the_answer():
    said, error = await hear(Recording(ANSWERED), output=JSON, tools=(toolspec.Function("get_time"),))
    assert error is None
    assert said == [
        SONNET,
        deltas.Text('{"city":'),
        deltas.Text('"Bern"}'),
        deltas.ToolCall(0, "", "get_time", "toolu_01B"),
        deltas.Stop("tool_calls", Usage(25, 89)),
    ]


async def test_a_model_that_answers_without_the_function_is_heard():
    said, error = await hear(Recording(recording("text")), output=JSON)
    assert (said, error) == (SAID["text"], None)


@pytest.mark.parametrize("arguments", [b"{}", b'{"x":1}'])
async def test_an_answer_in_one_piece_is_the_answer_of_its_function(arguments):
    block = b'{"type":"tool_use","id":"toolu_1","name":"json","input":' + arguments + b"}"
    told = b'{"type":"message","content":[' + block + b',{"type":"text","text":"!"}],"stop_reason":"tool_use"}'
    said, error = await hear(Recording(told, kind="application/json"), output=JSON, live=False)
    assert (said, error) == ([deltas.Text(arguments.decode()), deltas.Stop("stop")], None)


async def test_a_custom_call_is_free_text_again():
    stream = recording("calls").replace(b"get_weather", b"patch").replace(b'\\"city\\":', b'\\"input\\":')
    said, _ = await hear(Recording(stream))
    tools = (toolspec.Function("patch", form="custom", format=raw({"type": "text"})),)
    output = check_events(Transcript(index=0, new_id=CountingIds().new, offers=map(of_caller, tools)).feed(said))
    assert [(one.name, one.arguments) for one in output[1:]] == [("patch", "Bern"), ("get_time", "{}")]


async def test_tokens_are_counted_by_the_vendor():
    wire = Recording(b'{"input_tokens":14}', kind="application/json")
    model = Anthropic(wire, Profile(name="m", provider="anthropic"))
    assert await model.count(Turn(model="m", items=(HI,))) == 14
    path, body, headers = wire.asked[0]
    assert (path, "x-api-key" in headers) == ("/messages/count_tokens", False)
    assert body == {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"{}", errors.ProviderFailed),
        (200, b"<html>", errors.ProviderFailed),
        (429, refused("rate_limit_error", "Slow down"), errors.RateLimited),
    ],
)
async def test_a_count_that_fails_is_an_error(status, body, kind):
    model = Anthropic(Recording(body, status=status), Profile(name="m", provider="anthropic"))
    with pytest.raises(kind):
        await model.count(Turn(model="m", items=(HI,)))


async def test_a_server_that_does_not_count_leaves_the_tokens_open():
    model = Anthropic(Recording(b"", status=404), Profile(name="m", provider="anthropic"))
    assert await model.count(Turn(model="m", items=(HI,))) is None


class InTurn:
    """The port `Wire`: each answer serves one request."""

    def __init__(self, *answers: Recording) -> None:
        self.answers = answers
        self._left = list(answers)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]):
        return self._left.pop(0).post(path, body, headers)

    def get(self, path: str, headers: Mapping[str, str]):
        return self._left.pop(0).post(path, b"null", headers)


THOUGHT = items.Reasoning("rs_1", encrypted=marks.signed("anthropic", "Hm.", "sig"))
ANSWER = items.Message("msg_2", "assistant", (items.Text("Hello"),))
CHANGED = refused("invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block")
THINKS = Profile(name="m", provider="anthropic", reasoning=True)


async def ask_again(*answers: Recording) -> tuple[list[deltas.Delta], list[object]]:
    wire = InTurn(*answers)
    said: list[deltas.Delta] = []
    async for batch in Anthropic(wire, THINKS).stream(Turn(model="m", items=(HI, THOUGHT, ANSWER, HI))):
        said += batch
    assert all(answer.left == 1 for answer in answers)
    return said, [answer.asked[0][1]["messages"][1]["content"] for answer in answers]


async def test_thoughts_that_the_vendor_refuses_are_left_out():
    said, told = await ask_again(Recording(CHANGED, status=400), Recording(recording("text")))
    assert said == SAID["text"]
    spoken = {"type": "text", "text": "Hello"}
    assert told == [[{"type": "thinking", "thinking": "Hm.", "signature": "sig"}, spoken], [spoken]]


async def test_a_second_refusal_is_final():
    with pytest.raises(errors.InvalidRequest):
        await ask_again(Recording(CHANGED, status=400), Recording(CHANGED, status=400))


async def test_another_refusal_is_not_answered():
    with pytest.raises(errors.InvalidRequest):
        await ask_again(Recording(refused("invalid_request_error", "max_tokens: too many"), status=400))


def provider(wire, **more) -> AnthropicProvider:
    return AnthropicProvider(wire, "anthropic", profile_of=lambda called: replace(THINKS, name=called), **more)


def page(*names: str, **more) -> Recording:
    told = {"data": [{"id": name, "type": "model"} for name in names], **more}
    return Recording(json.dumps(told).encode(), kind="application/json")


async def test_a_provider_lists_the_models_of_all_pages():
    first, second = page("a", "b", has_more=True, last_id="b/1"), page("c", has_more=False, last_id="c")
    assert await provider(InTurn(first, second), key="secret").models() == ("a", "b", "c")
    assert [answer.asked[0][0] for answer in (first, second)] == [
        "/models?limit=1000",
        "/models?limit=1000&after_id=b%2F1",
    ]
    assert first.asked[0][2] == {"anthropic-version": "2023-06-01", "x-api-key": "secret"}


async def test_a_list_without_an_end_is_left():
    pages = [page("a", has_more=True, last_id="a") for _ in range(40)]
    assert set(await provider(InTurn(*pages)).models()) == {"a"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", errors.ProviderFailed),
        (200, b"[]", errors.ProviderFailed),
        (403, b"", errors.ProviderFailed),
        (529, b"", errors.ProviderUnavailable),
    ],
)
async def test_a_list_that_fails_is_an_error(status, body, kind):
    with pytest.raises(kind):
        await provider(InTurn(Recording(body, status=status))).models()


async def test_a_model_is_made_once_and_asked_with_the_key_of_whom_it_is_for():
    wire = Recording(recording("text"))
    vendor = provider(wire, key="ours", betas=("context-1m-2025-08-07", "another"))
    assert vendor.model("claude") is vendor.model("claude")
    assert vendor.model("claude").profile == replace(THINKS, name="claude")
    for key in (None, "theirs"):
        assert [batch async for batch in vendor.model("claude", key=key).stream(Turn(model="m", items=(HI,)))]
    assert [headers["x-api-key"] for _, _, headers in wire.asked] == ["ours", "theirs"]
    assert wire.asked[0][2]["anthropic-beta"] == "context-1m-2025-08-07,another"
