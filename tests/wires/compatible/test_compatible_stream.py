"""What vendors stream, as they really do, becomes the same deltas however the bytes are cut."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core import deltas, errors, items
from freddy.server.core.profile import Profile
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.providers._sse import DataLines
from freddy.server.providers.compatible.adapter import Compatible
from freddy.server.providers.compatible.stream import Reader
from freddy_fakes import CountingIds
from freddy_stream_rules import check_events

RECORDINGS = Path(__file__).parent / "recordings"

SAID = {
    "openai-text": [
        deltas.Answering("gpt-4.1-2025-04-14"),
        deltas.Text("Grüezi"),
        deltas.Text(" 👋\n\nworld"),
        deltas.Stop("stop", Usage(19, 7, cached_tokens=4, reasoning_tokens=2)),
    ],
    "openai-calls": [
        deltas.Answering("gpt-4.1-2025-04-14"),
        deltas.ToolCall(0, "", "get_weather", "call_Aa1"),
        deltas.ToolCall(0, '{"city":'),
        deltas.ToolCall(0, '"Bern"}'),
        deltas.ToolCall(1, "", "get_time", "call_Bb2"),
        deltas.ToolCall(1, "{}"),
        deltas.Stop("tool_calls", Usage(80, 30)),
    ],
    "openai-refusal": [
        deltas.Answering("gpt-4.1-2025-04-14"),
        deltas.Refusal("I cannot "),
        deltas.Refusal("help with that."),
        deltas.Stop("stop"),
    ],
    "openai-logprobs": [
        deltas.Answering("gpt-4.1-2025-04-14"),
        deltas.Text(
            "Hi",
            (
                items.Logprob(
                    "Hi",
                    -0.25,
                    (72, 105),
                    (items.TopLogprob("Hi", -0.25, (72, 105)), items.TopLogprob("Yo", -1.5)),
                ),
            ),
        ),
        deltas.Stop("length"),
    ],
    "llama-server": [
        deltas.Answering("smollm2-135m"),
        deltas.Text("The"),
        deltas.Text(" sea"),
        deltas.Stop("length", Usage(31, 2, cached_tokens=30)),
    ],
    "vllm-reasoning": [
        deltas.Answering("Qwen/Qwen3-8B"),
        deltas.Reasoning("Two and"),
        deltas.Reasoning(" two."),
        deltas.Reasoning(" Done."),
        deltas.Text("4"),
        deltas.Text("."),
        deltas.Stop("stop", Usage(12, 18)),
    ],
    "ollama-calls": [
        deltas.Answering("llama3.2"),
        deltas.Reasoning("Both."),
        deltas.ToolCall(0, '{"city":"Bern"}', "get_weather", "call_fxu3lx3r"),
        deltas.ToolCall(1, '{"city":"Basel"}', "get_weather", "call_q0bzc61g"),
        deltas.Stop("tool_calls", Usage(171, 40)),
    ],
    "no-index-calls": [
        deltas.Answering("some"),
        deltas.ToolCall(0, '{"x":1}', "a", "call_1"),
        deltas.ToolCall(1, "", "b", "call_2"),
        deltas.ToolCall(1, '{"y":2}'),
        deltas.ToolCall(2, "", "c"),
        deltas.Stop("tool_calls"),
    ],
    "bare": [deltas.Text("Hel"), deltas.Text("lo"), deltas.Stop("stop")],
}

TEXT = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'


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


async def hear(wire: Recording, **asked) -> tuple[list[deltas.Delta], errors.FreddyError | None]:
    """What was said, and what ended it."""
    model = Compatible(wire, Profile(name="m", provider="vendor"), key="secret")
    said: list[deltas.Delta] = []
    try:
        async for batch in model.stream(Turn(model="m", items=(), **asked)):
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
async def test_a_vendors_stream_is_understood(name):
    assert await hear(Recording(recording(name))) == (SAID[name], None)


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("end", [b"\r\n", b"\r"], ids=["crlf", "cr"])
async def test_a_stream_may_end_its_lines_as_it_likes(name, end):
    assert await hear(Recording(recording(name).replace(b"\n", end))) == (SAID[name], None)


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
    said += reader.read(lines.close())
    assert [*said, reader.close()] == SAID[name]


WHOLE = {
    "openai-text": {
        "model": "gpt-4.1-2025-04-14",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Grüezi 👋\n\nworld",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 19,
            "completion_tokens": 7,
            "total_tokens": 26,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    },
    "openai-calls": {
        "model": "gpt-4.1-2025-04-14",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_Aa1",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": '{"city":"Bern"}'},
                        },
                        {
                            "id": "call_Bb2",
                            "type": "function",
                            "function": {"name": "get_time", "arguments": "{}"},
                        },
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 80, "completion_tokens": 30, "total_tokens": 110},
    },
    "vllm-reasoning": {
        "model": "Qwen/Qwen3-8B",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "reasoning_content": "Two and two. Done.",
                    "content": "4.",
                    "tool_calls": [],
                },
                "finish_reason": "stop",
                "stop_reason": None,
            }
        ],
        "usage": {
            "prompt_tokens": 12,
            "total_tokens": 30,
            "completion_tokens": 18,
            "prompt_tokens_details": None,
        },
        "prompt_logprobs": None,
        "error": None,
    },
}


@pytest.mark.parametrize("name", WHOLE)
async def test_streamed_and_whole_give_the_same_answer(name):
    whole = Recording(json.dumps(WHOLE[name]).encode(), kind="application/json")
    said, error = await hear(whole, live=False)
    assert error is None
    assert output_of(said) == output_of(SAID[name])
    assert said[-1] == SAID[name][-1]
    assert whole.asked[0][1]["stream"] is False


async def test_the_request_goes_to_the_chat_path_with_the_key():
    wire = Recording(TEXT + END)
    await hear(wire)
    assert wire.asked == [
        (
            "/chat/completions",
            {"model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": True}},
            {"content-type": "application/json", "authorization": "Bearer secret"},
        )
    ]


async def test_a_vendor_that_does_not_count_leaves_the_usage_open():
    said, _ = await hear(Recording(TEXT + END))
    assert said[-1] == deltas.Stop("stop", None)


async def test_what_stands_after_the_end_is_not_read():
    said, error = await hear(Recording(TEXT + END + b"data: [DONE]\n\n" + TEXT))
    assert (said, error) == ([deltas.Text("Hi"), deltas.Stop("stop")], None)


async def test_only_the_first_choice_is_heard():
    other = b'data: {"choices":[{"index":1,"delta":{"content":"No"},"finish_reason":"length"}]}\n\n'
    said, error = await hear(Recording(TEXT + other + END))
    assert (said, error) == ([deltas.Text("Hi"), deltas.Stop("stop")], None)


@pytest.mark.parametrize("at_once", [True, False], ids=["in-one-chunk", "in-many"])
@pytest.mark.parametrize(
    ("end", "kind", "code"),
    [
        (b"", errors.ProviderFailed, "provider_error"),
        (b"data: [DONE]\n\n", errors.ProviderFailed, "provider_error"),
        (b'data: {"choices":[{"delta":{"cont', errors.ProviderFailed, "provider_error"),
        (b"data: nonsense\n\n" + END, errors.ProviderFailed, "provider_error"),
        (b"data: \xff\xfe\n\n" + END, errors.ProviderFailed, "provider_error"),
        (b"data: [1,2]\n\n" + END, errors.ProviderFailed, "provider_error"),
        (
            b'data: {"error":{"message":"boom","type":"server_error"}}\n\n' + END,
            errors.ProviderFailed,
            "provider_error",
        ),
        (b'data: {"error":"boom"}\n\ndata: [DONE]\n\n', errors.ProviderFailed, "provider_error"),
        (
            b'data: {"error":{"message":"slow down","code":"rate_limit_exceeded"}}\n\n',
            errors.RateLimited,
            "rate_limit_exceeded",
        ),
        (
            b'data: {"error":{"code":400,"message":"the request exceeds the available context size",'
            b'"type":"exceed_context_size_error"}}\n\n',
            errors.ContextOverflow,
            "context_length_exceeded",
        ),
    ],
    ids=[
        "cut",
        "done-without-a-reason",
        "cut-in-an-event",
        "not-json",
        "not-utf8",
        "not-an-object",
        "error-object",
        "error-text",
        "rate-limit",
        "context",
    ],
)
async def test_a_stream_that_breaks_is_no_answer_but_what_was_said_is_told(end, kind, code, at_once):
    chunks = [TEXT + end] if at_once else [TEXT, *(end[at : at + 7] for at in range(0, len(end), 7))]
    said, error = await hear(Recording(*chunks))
    assert said == [deltas.Text("Hi")]
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"choices":[]}', b'{"choices":[{"message":{"content":"Hi"}}]}']
)
async def test_a_whole_answer_that_is_none_is_a_failure_of_the_provider(body):
    _, error = await hear(Recording(body, kind="application/json"), live=False)
    assert type(error) is errors.ProviderFailed


async def test_an_error_object_in_a_whole_answer_is_a_failure():
    body = b'{"error":{"message":"Model is overloaded","type":"server_error"}}'
    said, error = await hear(Recording(body, kind="application/json"), live=False)
    assert (said, type(error), error.details) == ([], errors.ProviderFailed, "Model is overloaded")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":{"message":"bad","param":"messages"}}', errors.InvalidRequest),
        (400, b'{"error":{"message":"too long","code":"context_length_exceeded"}}', errors.ContextOverflow),
        (400, b'{"message":"This model\'s maximum context length is 4096 tokens."}', errors.ContextOverflow),
        (401, b'{"error":{"message":"Incorrect API key provided: sk-abc***xyz"}}', errors.ProviderFailed),
        (403, b"", errors.ProviderFailed),
        (404, b'{"error":"model \\"x\\" not found"}', errors.ModelNotFound),
        (408, b"", errors.ProviderTimeout),
        (413, b"<html>too large</html>", errors.TooLarge),
        (422, b'{"detail":[{"loc":["body"],"msg":"field required"}]}', errors.InvalidRequest),
        (429, b'{"error":{"message":"slow down"}}', errors.RateLimited),
        (500, b"\xff\xfe", errors.ProviderFailed),
        (502, b"<html>bad gateway</html>", errors.ProviderFailed),
        (
            503,
            b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}',
            errors.ProviderUnavailable,
        ),
        (504, b"", errors.ProviderTimeout),
        (529, b"", errors.ProviderUnavailable),
        (302, b"", errors.ProviderFailed),
    ],
)
async def test_a_vendors_refusal_is_told_in_the_words_of_the_core(status, body, kind):
    said, error = await hear(Recording(body, kind="application/json", status=status))
    assert (said, type(error)) == ([], kind)
    assert "sk-abc" not in f"{error.message} {error.details}"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "nan", "retry-after": "7"}, 7.0),
        ({}, None),
    ],
)
async def test_a_vendor_that_limits_the_rate_says_when_to_come_back(headers, seconds):
    wire = Recording(b"", status=429)
    wire.headers = headers
    _, error = await hear(wire)
    assert error.retry_after == seconds


async def test_leaving_early_leaves_the_wire():
    wire = Recording(TEXT, TEXT, END)
    model = Compatible(wire, Profile(name="m", provider="vendor"))
    saying = model.stream(Turn(model="m", items=()))
    assert await anext(saying) == [deltas.Text("Hi")]
    await saying.aclose()
    assert wire.left == 1


class Counter:
    """The port `Wire`, to a server that counts: answers by path."""

    def __init__(self, **answers: Recording) -> None:
        self._answers = answers

    def post(self, path: str, body: bytes, headers: Mapping[str, str]):
        return self._answers[path.strip("/").replace("-", "_")].post(path, body, headers)


async def test_tokens_are_counted_by_the_server_that_would_read_them():
    template = Recording(b'{"prompt":"<user>Hi"}', kind="application/json")
    tokens = Recording(b'{"tokens":[1,2,3]}', kind="application/json")
    counter = Counter(apply_template=template, tokenize=tokens)
    model = Compatible(Recording(), Profile(name="m", provider="vendor"), counter=counter)
    question = items.Message("msg_1", "user", (items.Text("Hi"),))
    assert await model.count(Turn(model="m", items=(question,))) == 3
    assert template.asked[0][1] == {"messages": [{"role": "user", "content": "Hi"}]}
    assert tokens.asked[0][1] == {"content": "<user>Hi"}


async def test_without_a_counter_nobody_knows_the_tokens_beforehand():
    model = Compatible(Recording(), Profile(name="m", provider="vendor"))
    assert await model.count(Turn(model="m", items=())) is None


@pytest.mark.parametrize("answer", [Recording(b"nonsense"), Recording(b"{}", status=500)])
async def test_a_counter_that_fails_is_a_failure_of_the_provider(answer):
    model = Compatible(Recording(), Profile(name="m", provider="vendor"), counter=Counter(apply_template=answer))
    with pytest.raises(errors.ProviderFailed):
        await model.count(Turn(model="m", items=()))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1), max_size=5), st.data())
def test_data_lines_come_out_as_they_went_in(payloads, data):
    stream = b"".join(f"data: {payload}\n\n".encode() for payload in payloads)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    lines = DataLines()
    told = [one for a, b in itertools.pairwise([0, *places, len(stream)]) for one in lines.feed(stream[a:b])]
    assert [one.decode() for one in [*told, *lines.close()]] == payloads


async def test_half_a_character_in_an_answer_costs_no_more_than_itself():
    halves = rb'data: {"choices":[{"delta":{"content":"a\\ud83d \ud83d"}}]}' + b"\n\n"
    halves += rb'data: {"choices":[{"delta":{"content":"\ude00b \ud83d\ude00"}}]}' + b"\n\n"
    said, error = await hear(Recording(halves + END))
    assert error is None
    assert said == [deltas.Text("a\\ud83d \ufffd"), deltas.Text("\ufffdb 😀"), deltas.Stop("stop")]


async def test_a_count_that_cannot_be_one_is_brought_within_bounds():
    usage = b'data: {"choices":null,"usage":{"prompt_tokens":-5,"completion_tokens":99999999999999999999999}}\n\n'
    said, error = await hear(Recording(TEXT + END + usage))
    assert error is None
    assert said[-1] == deltas.Stop("stop", Usage(0, 2**53))
