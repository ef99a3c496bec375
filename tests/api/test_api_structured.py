"""Answers of a given form, through the door: put right once, else failed, and never complete with something else."""

import json
from typing import Any

import pytest
from gateway import UPSTREAM_KEY, spelled

from freddy.server.config import Upstream as UpstreamSettings
from promises import promise
from upstream import Answer, Gate, call, refusal, text

DIALECTS = ("freddy", "openai")
ROAD = {
    "type": "object",
    "properties": {"km": {"type": "integer"}},
    "required": ["km"],
    "additionalProperties": False,
}
RIVER = {"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]}
GOOD, BAD = '{"km":7}', '{"km":"seven"}'
MESSAGE = "The answer of stage does not have the form that was asked for"
FAULT = 'at $.km: the value is not of type "integer"'


def form(dialect: str, schema: Any = ROAD, *, strict: bool | None = True) -> dict[str, Any]:
    told = {} if strict is None else {"strict": strict}
    if dialect == "openai":
        return {"text": {"format": {"type": "json_schema", "name": "road", "schema": schema, **told}}}
    described = {"id": "road", "description": "How long a road is.", "schema": schema, **told}
    return {"output_mode": "json_schema", "json_schema": described}


def json_mode(dialect: str) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_object"}}} if dialect == "openai" else {"output_mode": "json"}


def said(response: dict[str, Any]) -> str:
    (message,) = response["output"]
    return "".join(part["text"] for part in message["content"])


@promise(215, 216, 217, 219)
@promise(218)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_that_fits_is_complete(gateway, upstream, dialect):
    upstream.says(Answer(text('{"km"', ":7}")))
    response = await gateway.ask(dialect, **form(dialect))
    assert response["status"] == "completed"
    assert said(response) == GOOD
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_answer_that_does_not_fit_is_put_right_once(gateway, upstream, dialect, streamed):
    upstream.says(Answer(text('{"km":', '"seven"}')), Answer(text('{"km"', ":7}")))
    if streamed:
        told = await gateway.told(dialect, **form(dialect))
        assert told.text == GOOD
        assert told.types.count("response.output_item.added") == 1
        response = told.last["response"]
        assert told.last["type"] == "response.completed"
    else:
        response = await gateway.ask(dialect, **form(dialect))
    assert response["status"] == "completed"
    assert said(response) == GOOD
    first, second = upstream.calls
    assert second.messages[: len(first.messages)] == first.messages
    (bad, complaint) = second.messages[len(first.messages) :]
    assert bad == ("assistant", BAD)
    assert complaint[0] == "user"
    assert f"- {FAULT}\n" in complaint[1]
    assert {**first.body, "messages": ()} == {**second.body, "messages": ()}
    # Both answers were paid for.
    usage = response["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (22, 14)


@promise(220)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("mode", ["schema", "json"])
async def test_an_answer_that_stays_wrong_is_a_bad_gateway(gateway, upstream, dialect, mode):
    asked = form(dialect) if mode == "schema" else json_mode(dialect)
    upstream.says(Answer(text("Seven.")), Answer(text("Seven, I said.")))
    answer = await gateway.post(*spelled(dialect, **asked))
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert error["type"] == "server_error"
    assert MESSAGE in error["message"]
    assert "Seven" not in answer.text
    assert len(upstream.calls) == 2
    if dialect == "freddy":
        assert error["code"] == "invalid_output"
        assert error["details"].startswith("it is not JSON")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_of_an_answer_that_stays_wrong_never_completes(gateway, upstream, dialect):
    upstream.says(Answer(text(BAD)), Answer(text(BAD)))
    reply = await gateway.post(*spelled(dialect, stream=True, **form(dialect)))
    # Nothing was said before it failed, so it may still be told by the status.
    assert reply.status_code == 502
    assert b"response.completed" not in reply.content
    assert MESSAGE in reply.json()["error"]["message"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_failed_response_says_why_and_what_it_took(gateway, upstream, dialect):
    upstream.says(Answer(text(BAD)), Answer(text(BAD)))
    path, body = spelled(dialect, background=True, **form(dialect))
    begun = (await gateway.post(path, body)).json()
    ended = await gateway.ended(begun["id"])
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "invalid_output"
    assert ended["output"] == []
    assert ended["usage"]["output_tokens"] == 14


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_json_mode_takes_any_object_out_of_its_wrapping(gateway, upstream, dialect):
    upstream.says(Answer(text("Here it is:\n", "```json\n", GOOD, "\n```")))
    assert said(await gateway.ask(dialect, **json_mode(dialect))) == GOOD
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_best_effort_is_told_as_it_comes(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(text("Seven"), gate, text(" km.")))
    path, body = spelled(dialect, stream=True, **form(dialect, strict=False))
    async with gateway.listening(path, body) as told:
        assert (await told.next("response.output_text.delta"))["delta"] == "Seven"
        gate.open()
        assert (await told.next("response.completed"))["response"]["status"] == "completed"
    assert len(upstream.calls) == 1


async def test_strict_is_the_default_of_the_freddy_dialect_and_best_effort_that_of_openai(gateway, upstream):
    upstream.says(Answer(text("Seven.")), Answer(text("Seven.")))
    assert (await gateway.post(*spelled("freddy", **form("freddy", strict=None)))).status_code == 502
    upstream.says(Answer(text("Seven.")))
    assert said(await gateway.ask("openai", **form("openai", strict=None))) == "Seven."


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_guaranteed_form_is_told_as_it_comes_and_still_looked_at(opened, upstream, dialect):
    sure = UpstreamSettings(
        name="stage", vendor="llama.cpp", url=upstream.url, key=UPSTREAM_KEY, models=("stage",), default_model="stage"
    )
    gateway = await opened(upstreams=(sure,))
    gate = Gate()
    upstream.says(Answer(text('{"km":'), gate, text('"seven"}')))
    path, body = spelled(dialect, stream=True, **form(dialect))
    async with gateway.listening(path, body) as told:
        assert (await told.next("response.output_text.delta"))["delta"] == '{"km":'
        gate.open()
        failed = (await told.next("response.failed"))["response"]
    assert failed["status"] == "failed"
    assert failed["output"][0]["status"] == "incomplete"
    assert MESSAGE in failed["error"]["message"]
    assert len(upstream.calls) == 1


@promise(221)
async def test_of_several_schemas_the_model_selects_one(gateway, upstream):
    several = [
        {"id": "road", "description": "A road.", "schema": ROAD},
        {"id": "river", "description": "A river.", "schema": RIVER},
    ]
    upstream.says(Answer(text("The Tejo.")), Answer(text('{"river":"Tejo"}')))
    response = await gateway.ask("freddy", output_mode="json_schema", json_schema=several)
    assert said(response) == '{"river":"Tejo"}'
    complaint = upstream.last.messages[-1][1]
    assert "it is not JSON" in complaint
    upstream.says(Answer(text('{"km":7,"river":"Tejo"}')))
    response = await gateway.ask("freddy", json_schema=several)
    assert json.loads(said(response)) == {"km": 7, "river": "Tejo"}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_is_cut_off_is_incomplete(gateway, upstream, dialect):
    upstream.says(Answer(text('{"km"'), finish="length"))
    response = await gateway.ask(dialect, max_output_tokens=16, **form(dialect))
    assert response["status"] == "incomplete"
    assert said(response) == '{"km"'
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refusal_is_not_put_right(gateway, upstream, dialect):
    upstream.says(Answer(refusal("I will not.")))
    response = await gateway.ask(dialect, **form(dialect))
    assert response["status"] == "completed"
    assert "I will not." in json.dumps(response["output"])
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_call_comes_before_the_answer(gateway, upstream, dialect):
    upstream.says(Answer(call("look", "{}", call_id="call_1"), finish="tool_calls"))
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    response = await gateway.ask(dialect, tools=[tool], **form(dialect))
    assert [item["type"] for item in response["output"]] == ["function_call"]
    assert len(upstream.calls) == 1


@promise(219)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("strict", [True, False])
async def test_what_is_no_json_schema_is_refused_before_anyone_is_asked(gateway, upstream, streamed, strict):
    wrong = {"type": "objekt"}
    answer = await gateway.post(*spelled("freddy", stream=streamed, **form("freddy", wrong, strict=strict)))
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "json_schema.schema")
    assert error["details"].startswith("the schema 'road' must be a JSON Schema of Draft 2020-12 (at #/type: ")

    answer = await gateway.post(*spelled("openai", stream=streamed, **form("openai", wrong, strict=strict)))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "text.format.schema")
    assert "the schema 'road' must be a JSON Schema" in error["message"]
    assert upstream.calls == []


async def test_the_schema_that_is_wrong_among_several_is_named(gateway, upstream):
    several = [{"id": "road", "schema": ROAD}, {"id": "far", "schema": {"$ref": "https://example.com/road.json"}}]
    error = (await gateway.post(*spelled("freddy", json_schema=several))).json()["error"]
    assert error["param"] == "json_schema[1].schema"
    assert error["details"].startswith("the schema 'far' must refer only to its own parts")
    assert upstream.calls == []


async def test_the_official_client_reads_what_it_asked_for(gateway, upstream):
    pydantic = pytest.importorskip("pydantic")

    class Road(pydantic.BaseModel):
        km: int

    upstream.says(Answer(text("Seven.")), Answer(text(GOOD)))
    answer = await gateway.openai().responses.parse(model="stage", input="How far?", text_format=Road)
    assert answer.output_parsed == Road(km=7)
