"""Upstreams that fail: before the first word, in the middle, and without a word."""

import asyncio

import pytest
from gateway import Stream, spelled

from freddy.server.config import Upstream as UpstreamSettings
from freddy.server.config import settings as parts
from promises import promise
from upstream import Answer, Break, Fault, Gate, Raw, text

DIALECTS = ("freddy", "openai")
PATHS = {"freddy": "/v1/model/response", "openai": "/v1/responses"}
TERMINAL = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")

BEFORE = {
    "refused": (Fault(400, "bad stop"), 400, "provider_rejected", "invalid_request_error"),
    "its key": (Fault(401, "key sk-upstream-0123456789 is wrong"), 502, "provider_authentication", "server_error"),
    "no model": (Fault(404, "no such model"), 404, "model_not_found", "invalid_request_error"),
    "too long": (
        Fault(400, "too long", code="context_length_exceeded"),
        400,
        "context_length_exceeded",
        "invalid_request_error",
    ),
    "too many": (Fault(429, "slow down", retry_after="7"), 429, "rate_limit_exceeded", "rate_limit_error"),
    "broken": (Fault(500, "oops"), 502, "provider_error", "server_error"),
    "away": (Fault(503, "later", retry_after="3"), 503, "provider_unavailable", "service_unavailable_error"),
    "late": (Fault(504, "late"), 504, "provider_timeout", "server_error"),
    "reset": (Break("reset"), 502, "provider_error", "server_error"),
    "closed": (Break("cut"), 502, "provider_error", "server_error"),
}


@promise(255, 261, 263, 264)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", BEFORE)
async def test_a_failure_before_the_first_word_is_an_http_status(gateway, upstream, dialect, streamed, case):
    reply, status, code, kind = BEFORE[case]
    upstream.says(reply)
    answer = await gateway.post(*spelled(dialect, stream=streamed))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    if dialect == "freddy":
        assert (error["type"], error["code"]) == (kind, code)
    else:
        family = "server_error" if status >= 500 else kind
        assert (error["type"], error["code"]) == (family, "server_error" if status >= 500 else code)
        assert error.keys() == {"message", "type", "param", "code"}
    assert "sk-upstream" not in answer.text
    assert len(upstream.calls) == 1, "nothing is tried again in silence"
    waits = getattr(reply, "headers", {}).get("retry-after")
    assert answer.headers.get("retry-after") == waits


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_response_that_failed_can_be_looked_at(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(gate, Break("cut")))
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(gateway.post(*spelled(dialect)))
        await gate.reached()
        (name,) = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("resp_")]
        gate.open()
    assert asking.result().status_code == 502
    kept = (await gateway.get(f"{PATHS[dialect]}/{name}")).json()
    assert kept["status"] == "failed"
    assert kept["error"]["code"] == ("provider_error" if dialect == "freddy" else "server_error")


MIDDLE = {
    "cut": Break("cut"),
    "reset": Break("reset"),
    "ended": Break("end"),
    "malformed": Raw(b"data: {oops\n\n"),
    "error": Raw(b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", MIDDLE)
async def test_a_failure_in_the_middle_is_told_and_is_never_a_completion(gateway, upstream, dialect, case):
    upstream.says(Answer(text("Half", " of"), MIDDLE[case]))
    told = await gateway.told(dialect)
    assert told.text == "Half of"
    assert [kind for kind in told.types if kind in TERMINAL] == ["response.failed"]
    assert told.types[-2:] == ["error", "response.failed"]
    error, failed = told.events[-2:]
    assert error["message"] == error["error"]["message"]
    assert error["code"] == error["error"]["code"]
    response = failed["response"]
    assert response["status"] == "failed"
    assert response["output"][0]["content"][0]["text"] == "Half of"
    assert response["output"][0]["status"] == "incomplete"
    assert (await gateway.get(f"{PATHS[dialect]}/{response['id']}")).json() == response
    assert told.done == (dialect == "openai")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_a_whole_answer_that_breaks_off_is_an_error(gateway, upstream, dialect, how):
    upstream.says(Answer(text("Half"), Break(how)))
    assert (await gateway.post(*spelled(dialect))).status_code == 502


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_limit_of_the_upstream_in_the_middle_keeps_its_name(gateway, upstream, dialect):
    data = b'data: {"error":{"message":"slow down","code":"rate_limit_exceeded"}}\n\n'
    upstream.says(Answer(text("Half"), Raw(data)))
    told = await gateway.told(dialect)
    assert told.events[-2]["code"] == "rate_limit_exceeded"
    assert told.last["response"]["error"]["code"] == "rate_limit_exceeded"


@promise(263)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_upstream_that_is_not_there_is_unavailable(opened, unused_port, dialect, streamed):
    nowhere = UpstreamSettings(name="stage", url=f"http://127.0.0.1:{unused_port}/v1", default_model="stage")
    gateway = await opened(upstreams=(nowhere,))
    reply = await gateway.post(*spelled(dialect, stream=streamed))
    assert reply.status_code == 503
    error = reply.json()["error"]
    assert error["code"] == ("provider_unavailable" if dialect == "freddy" else "server_error")
    assert "stage" in error["message"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_upstream_that_does_not_answer_in_time_is_a_timeout(opened, upstream, dialect, streamed):
    waits = {"first_token_seconds": 0.1} if streamed else {"total_seconds": 0.1}
    gateway = await opened(timeouts=parts.Timeouts(**waits))
    upstream.says(Answer(Gate()))
    reply = await gateway.post(*spelled(dialect, stream=streamed))
    assert reply.status_code == 504
    await upstream.last.let_go()


async def test_an_upstream_that_falls_silent_is_a_timeout(opened, upstream):
    gateway = await opened(timeouts=parts.Timeouts(idle_seconds=0.1))
    upstream.says(Answer(text("Half"), Gate()))
    told = await gateway.told("freddy")
    assert told.events[-2]["code"] == "provider_timeout"
    assert told.last["response"]["response"] == "Half"
    await upstream.last.let_go()


async def test_an_upstream_that_does_not_speak_json_failed(gateway, upstream):
    upstream.says(Answer(Raw(b"data: <html>\n\n")))
    reply = await gateway.post(*spelled("freddy", stream=True))
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "provider_error")


async def test_an_empty_answer_is_an_answer(gateway, upstream):
    upstream.says(Answer(), Answer())
    assert (await gateway.ask("freddy"))["response"] == ""
    told = await gateway.told("openai")
    assert told.last["response"]["status"] == "completed"


async def test_a_failed_stream_can_be_told_again(gateway, upstream):
    upstream.says(Answer(text("Half"), Break("cut")))
    told = await gateway.told("openai")
    again = Stream((await gateway.get(f"/v1/responses/{told.last['response']['id']}?stream=true")).content)
    assert again.events == told.events
