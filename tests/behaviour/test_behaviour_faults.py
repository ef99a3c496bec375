"""Upstreams that fail, on every wire: what a caller is told, before the first word and after it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from gateway import Stream, spelled

from adapters import ADAPTERS, WIRES
from freddy.server.config import settings as parts
from seen import DIALECTS, check_stream
from simulators.script import (
    PATIENCE,
    Answer,
    Break,
    Delivery,
    Failed,
    Fault,
    Garbage,
    Gate,
    Line,
    Plain,
    Raw,
    Reply,
    call,
    text,
)
from simulators.server import untrusted

QUICK = {"timeouts": parts.Timeouts(first_token_seconds=0.2, idle_seconds=0.2)}
QUICKLY_WHOLE = {"timeouts": parts.Timeouts(first_token_seconds=0.2, idle_seconds=0.2, total_seconds=0.3)}
"""An answer in one piece has no first word before its last."""
FADING = {"timeouts": parts.Timeouts(idle_seconds=0.2)}
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


@dataclass(frozen=True)
class Before:
    """A reply that leads to this status and code; `unlike` says by kind of wire where it leads instead."""

    reply: Reply
    status: int
    code: str
    unlike: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    waits: str | None = None

    def expected(self, kind: str) -> tuple[int, str]:
        return self.unlike.get(kind, (self.status, self.code))


BROKEN = (502, "provider_error")
AWAY = (503, "provider_unavailable")
HTML = b"<!doctype html><title>502 Bad Gateway</title>"

BEFORE = {
    "a request that it refuses": Before(Fault(400, "bad stop"), 400, "provider_rejected"),
    "a request that it cannot process": Before(Fault(422, "bad stop"), 400, "provider_rejected"),
    "a body that it finds too large": Before(Fault(413, "too large"), 413, "request_too_large"),
    "a key that it refuses": Before(Fault(401, "key sk-upstream-0123456789 is wrong"), 502, "provider_authentication"),
    "a key that may not": Before(Fault(403, "not for you"), 502, "provider_authentication"),
    "a model that it does not have": Before(Fault(404, "no such model"), 404, "model_not_found"),
    "too long a context": Before(
        Fault(400, "too long", code="context_length_exceeded"), 400, "context_length_exceeded"
    ),
    "too many requests": Before(Fault(429, "slow down", retry_after="60"), 429, "rate_limit_exceeded", waits="60"),
    "too many requests, and no word when to come back": Before(Fault(429, "slow down"), 429, "rate_limit_exceeded"),
    "a fault of its own": Before(Fault(500, "oops"), *BROKEN),
    "a bad gateway": Before(Fault(502, "oops"), *BROKEN),
    "a gateway's page": Before(Plain(HTML, 502, "text/html"), *BROKEN),
    "out of service": Before(Fault(503, "later", retry_after="60"), *AWAY, waits="60"),
    "out of service, and no word when to come back": Before(Fault(503, "later"), *AWAY),
    "overloaded": Before(Fault(529, "later"), *AWAY),
    "too late": Before(Fault(504, "late"), 504, "provider_timeout"),
    "a status nobody knows": Before(Fault(599, "?"), *BROKEN),
    "somewhere else": Before(Plain(b"", 302, "text/html"), *BROKEN),
    "a reset": Before(Break("reset"), *BROKEN),
    "a hang-up": Before(Break("cut"), *BROKEN),
    "no HTTP": Before(Garbage(b"SSH-2.0-OpenSSH_9.6\r\n"), *BROKEN),
    "no HTTP at all": Before(Garbage(b"\x00\xff\x16\x03\x01" * 20), *BROKEN),
    "half a head": Before(Garbage(b"HTTP/1.1 200 OK\r\ncontent-ty"), *BROKEN),
    "a length that is no number": Before(Garbage(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}"), *BROKEN),
    "a chunk that is none": Before(
        Garbage(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"), *BROKEN
    ),
    "an empty body": Before(Plain(b""), *BROKEN),
    "a page": Before(Plain(HTML, 200, "text/html"), *BROKEN),
    "half a JSON object": Before(Plain(b'{"id":"x","choices":[{"mess'), *BROKEN),
    "a JSON text": Before(Plain(b'"hello"'), *BROKEN),
    "another JSON object": Before(Plain(b'{"hello":"there"}'), *BROKEN),
    "bytes that are no text": Before(Plain(b'{"model":"\xff\xfe"}'), *BROKEN),
    "an error with status 200": Before(Plain(b'{"error":{"message":"oops","type":"server_error"}}'), *BROKEN),
}


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_failure_before_the_first_word_is_an_http_status(adapter, gateway, upstream, name):
    case = BEFORE[name]
    status, code = case.expected(adapter.kind)
    for dialect in DIALECTS:
        for streamed in (False, True):
            upstream.calls.clear()
            upstream.says(case.reply)
            reply = await gateway.post(*spelled(dialect, model="plain", stream=streamed))
            where = f"{dialect}, {'streamed' if streamed else 'whole'}"
            assert reply.status_code == status, f"{where}: {reply.text}"
            assert reply.headers["content-type"] == "application/json"
            error = reply.json()["error"]
            assert error["code"] == ("server_error" if dialect == "openai" and status >= 500 else code), where
            assert error["message"]
            assert reply.headers.get("retry-after") == case.waits
            assert "sk-upstream" not in reply.text
            assert len(upstream.calls) == 1, "nothing is tried again in silence"


STREAMS = {
    "nothing at all": Answer(text("Never"), delivery=Delivery(most_events=0, how="end")),
    "a cut before its first word": Answer(text("Never"), delivery=Delivery(most_events=1, how="cut")),
    "a reset before its first word": Answer(text("Never"), delivery=Delivery(most_events=1, how="reset")),
    "an end before its first word": Answer(text("Never"), delivery=Delivery(most_events=1, how="end")),
    "a page for a stream": Answer(Raw(b"data: <html>\n\n")),
    "half a JSON object": Answer(Raw(b'data: {"type":"response.output_te\n\n'), text("Never")),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_stream_that_fails_before_its_first_word_is_an_http_status(adapter, gateway, upstream, name):
    for dialect in DIALECTS:
        upstream.says(STREAMS[name])
        reply = await gateway.post(*spelled(dialect, model="plain", stream=True))
        assert reply.status_code == 502, reply.text
        assert reply.json()["error"]["code"] == ("provider_error" if dialect == "freddy" else "server_error")
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("place", ["its head", "its first word"])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_silence_before_the_first_word_is_a_timeout(adapter, opened, upstream, place, streamed):
    gateway = await opened(**(QUICK if streamed else QUICKLY_WHOLE))
    for dialect in DIALECTS:
        silent = Answer(delivery=Delivery(gate=Gate())) if place == "its head" else Answer(Gate(), text("Never"))
        upstream.says(silent)
        reply = await gateway.post(*spelled(dialect, model="plain", stream=streamed))
        assert reply.status_code == 504, reply.text
        assert reply.json()["error"]["code"] == ("provider_timeout" if dialect == "freddy" else "server_error")
        await upstream.last.let_go()
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_who_cannot_be_reached_or_trusted_is_unavailable(adapter, opened, unused_port, streamed):
    once = parts.Routing(retries=0)
    async with untrusted() as other:
        for url in (f"http://127.0.0.1:{unused_port}/v1", other):
            away = parts.Upstream(name="stage", kind=adapter.kind, url=url, default_model="stage")
            gateway = await opened(upstreams=(away,), models=(), routing=once)
            for dialect in DIALECTS:
                reply = await gateway.post(*spelled(dialect, stream=streamed))
                assert reply.status_code == 503, reply.text
                error = reply.json()["error"]
                assert error["code"] == ("provider_unavailable" if dialect == "freddy" else "server_error")
                assert "stage" in error["message"]


@dataclass(frozen=True)
class Middle:
    """A line in the middle of a stream, and the code of the error that follows it."""

    line: Line
    code: str = "provider_error"
    unlike: Mapping[str, str] = field(default_factory=dict)

    def expected(self, kind: str) -> str:
        return self.unlike.get(kind, self.code)


MIDDLE = {
    "a cut": Middle(Break("cut")),
    "a reset": Middle(Break("reset")),
    "an end": Middle(Break("end")),
    "no JSON": Middle(Raw(b"data: {oops\n\n")),
    "half a JSON object": Middle(Raw(b'data: {"type":"content_block_delta","choices":[{"del\n\n')),
    "a page": Middle(Raw(b"data: <html>\n\n")),
    "its own error": Middle(Failed("server")),
    "too much for it": Middle(
        Failed("overloaded"),
        unlike={"openai": "provider_unavailable", "anthropic": "provider_unavailable"},
    ),
    "too many requests": Middle(Failed("rate_limit"), "rate_limit_exceeded"),
}


@pytest.mark.parametrize("name", MIDDLE)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_failure_in_the_middle_is_told_and_is_never_a_completion(adapter, gateway, upstream, name):
    case = MIDDLE[name]
    for dialect in DIALECTS:
        upstream.says(Answer(text("Half", " of"), case.line, text(" it")))
        told = await gateway.told(dialect, model="plain")
        assert_failed(told, dialect, case.expected(adapter.kind))
        response = told.last["response"]
        assert (await gateway.get(f"{spelled(dialect)[0]}/{response['id']}")).json() == response
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_bytes_that_are_no_text_are_passed_over_or_are_the_end(adapter, gateway, upstream):
    for dialect in DIALECTS:
        upstream.says(Answer(text("Half", " of"), Raw(b'data: {"type":"\xff\xfe","choices":[]}\n\n'), text(" it")))
        told = await gateway.told(dialect, model="plain")
        if told.types[-1] == "response.completed":
            assert told.text == "Half of it"
        else:
            assert_failed(told, dialect, "provider_error")


@pytest.mark.parametrize("adapter", [ADAPTERS[0]], ids=["openai"])
async def test_a_response_that_failed_at_the_vendor_failed(adapter, gateway, upstream):
    for dialect in DIALECTS:
        upstream.says(Answer(text("Half", " of"), Failed("server", quietly=True)))
        assert_failed(await gateway.told(dialect, model="plain"), dialect, "provider_error")


def assert_failed(told: Stream, dialect: str, code: str) -> None:
    """The words that came are kept, and the end is an error and a failed response."""
    assert told.text == "Half of"
    assert told.types[-2:] == ["error", "response.failed"]
    check_stream_end(told, dialect)
    error, failed = told.events[-2:]
    openai = code if code == "rate_limit_exceeded" else "server_error"
    assert error["code"] == (code if dialect == "freddy" else openai)
    response = failed["response"]
    assert response["status"] == "failed"
    assert response["error"]["code"] == error["code"]
    (item,) = response["output"]
    assert item["content"][0]["text"] == "Half of"
    assert item["status"] == "incomplete"


def check_stream_end(told: Stream, dialect: str) -> None:
    """One terminal event, and nothing after it."""
    ends = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
    assert [kind for kind in told.types if kind in ends] == [told.types[-1]]
    assert told.done == (dialect == "openai")


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_silence_in_the_middle_is_a_timeout_that_keeps_what_was_said(adapter, opened, upstream):
    gateway = await opened(**FADING)
    for dialect in DIALECTS:
        upstream.says(Answer(text("Half", " of"), Gate(), text(" it")))
        assert_failed(await gateway.told(dialect, model="plain"), dialect, "provider_timeout")
        await upstream.last.let_go()


HARMLESS = {
    "a comment": b": ping\n\n",
    "many comments": b": ping\n\n" * 100,
    "an event nobody knows": b'event: response.sparkle\ndata: {"type":"response.sparkle","sequence_number":3}\n\n',
    "a ping": b'event: ping\ndata: {"type":"ping"}\n\n',
    "a keep-alive": b'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n',
    "fields nobody knows": b"retry: 3000\nid: 7\nfoo: bar\n\n",
    "blank lines": b"\n\n\n\n",
}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_what_says_nothing_does_no_harm(adapter, gateway, upstream, name):
    for dialect in DIALECTS:
        upstream.says(Answer(Raw(HARMLESS[name]), text("Hello"), Raw(HARMLESS[name]), text(" there.")))
        told = await gateway.told(dialect, model="plain")
        check_stream(told, dialect)
        assert (told.text, told.last["response"]["status"]) == ("Hello there.", "completed")


SAID = (text("Oslo ", "is ", "cold."), call("get_weather", '{"city"', ':"Rome"}', call_id="call_a"))
WHOLE_TEXT, ARGUMENTS = "Oslo is cold.", '{"city":"Rome"}'
FEW_EVENTS, MANY_EVENTS = 1, 60


@pytest.mark.parametrize("how", ["cut", "reset", "end"])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_stream_that_is_cut_after_any_event_never_counts_as_whole(adapter, gateway, upstream, how):
    completed = []
    for events in range(FEW_EVENTS, MANY_EVENTS):
        upstream.says(Answer(*SAID, delivery=Delivery(most_events=events, how=how)))
        completed.append(await ends_well(gateway, upstream))
        if len(completed) > 3 and all(completed[-3:]):
            break
    assert not completed[0]
    assert completed == sorted(completed), "an answer is whole at one place and at every later one"
    assert completed[-1]


@pytest.mark.parametrize("step", [0, 1, 2, 3])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_stream_that_is_cut_after_any_byte_never_counts_as_whole(adapter, gateway, upstream, step):
    """Every 61st byte, from another one in each test."""
    length = 0
    async with asyncio.timeout(60):
        for most in range(1 + 17 * step, 8000, 61):
            upstream.says(Answer(*SAID, delivery=Delivery(most_bytes=most)))
            whole = await ends_well(gateway, upstream)
            if whole:
                length = most
                break
    assert length > 500 or adapter.kind == "compatible"


async def ends_well(gateway, upstream) -> bool:
    """Whether the answer counts as whole; then it has to be."""
    upstream.calls.clear()
    reply = await gateway.post(*spelled("openai", model="plain", stream=True, tools=[WEATHER], store=False))
    assert len(upstream.calls) == 1
    if reply.status_code != 200:
        assert reply.status_code == 502
        return False
    told = Stream(reply.content)
    check_stream_end(told, "openai")
    assert WHOLE_TEXT.startswith(told.text)
    response = told.last["response"]
    if response["status"] == "failed":
        assert all(item["status"] == "completed" for item in response["output"][:-1])
        return False
    assert response["status"] == "completed"
    message, made = response["output"]
    assert message["content"][0]["text"] == WHOLE_TEXT
    assert made["arguments"] == ARGUMENTS
    return True


@pytest.mark.parametrize("how", ["cut", "reset"])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_an_answer_in_one_piece_that_is_cut_is_no_answer(adapter, gateway, upstream, how):
    for most in (0, 1, 40, 200):
        for dialect in DIALECTS:
            upstream.says(Answer(text("Hello there."), delivery=Delivery(most_bytes=most, how=how)))
            reply = await gateway.post(*spelled(dialect, model="plain"))
            assert reply.status_code == 502, reply.text
    assert len(upstream.calls) == 8


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_line_of_megabytes_is_a_line(adapter, gateway, upstream):
    long = "long " * 600_000
    for dialect in DIALECTS:
        upstream.says(Answer(text(long), delivery=Delivery(sizes=(60_000,))), Answer(text(long)))
        told = await gateway.told(dialect, model="plain")
        assert told.text == long
        whole = await gateway.ask(dialect, model="plain")
        assert whole["output"][0]["content"][0]["text"] == long


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_caller_who_leaves_stops_the_vendor(adapter, gateway, upstream, streamed):
    for dialect in DIALECTS:
        gate = Gate()
        upstream.says(Answer(text("Half"), gate, text(" of it")))
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(gateway.post(*spelled(dialect, model="plain", stream=streamed)))
            await gate.reached()
            asking.cancel()
        await upstream.last.let_go()
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_after_every_failure_the_next_answer_is_a_whole_one(adapter, gateway, upstream):
    async with asyncio.timeout(12 * PATIENCE):
        for case in (*BEFORE.values(), *STREAMS.values()):
            upstream.says(case.reply if isinstance(case, Before) else case)
            failed = await gateway.post(*spelled("freddy", model="plain", stream=True))
            assert failed.status_code >= 400
            assert (await gateway.ask("freddy", model="plain"))["response"] == "Hello there."
