"""What may be asked in the words of the Freddy API, what reaches the model of it, and what the answer looks like."""

import json
import sqlite3

import pytest
from gateway import spelled

from promises import promise
from upstream import MODEL, Answer, Fault, text, thought

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


async def read(gateway, upstream, inputs, **more) -> list[dict]:
    """The messages that the model is given for these inputs."""
    await gateway.ask("freddy", input=inputs, **more)
    return upstream.last.body["messages"]


@promise(36, 38, 41, 42, 43)
async def test_messages_of_every_role_reach_the_model_in_their_order(gateway, upstream):
    inputs = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "And?"},
    ]
    assert await read(gateway, upstream, inputs) == inputs


@promise(37)
@pytest.mark.parametrize("inputs", ["Hi", ["Hi"], [{"role": "user", "content": "Hi"}]])
async def test_a_text_alone_is_a_message_of_the_user(gateway, upstream, inputs):
    assert await read(gateway, upstream, inputs) == [{"role": "user", "content": "Hi"}]


@promise(44, 45)
async def test_several_texts_of_a_message_are_all_sent_in_their_order(gateway, upstream):
    (message,) = await read(gateway, upstream, [{"role": "user", "texts": [{"text": "One"}, {"text": "Two"}]}])
    assert message["content"] == [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]


@promise(47)
async def test_images_and_texts_stand_in_one_message(gateway, upstream):
    urls = ["https://example.com/a.png", "https://example.com/b.png"]
    inputs = [{"role": "user", "texts": [{"text": "Which?"}], "images": [{"url": url} for url in urls]}]
    (message,) = await read(gateway, upstream, inputs)
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "image_url"]
    assert [part["image_url"]["url"] for part in message["content"][1:]] == urls


@promise(51)
async def test_an_input_keeps_the_id_it_came_with(gateway):
    made = await gateway.ask("freddy", input=[{"id": "msg_mine", "role": "user", "content": "Hi"}])
    listed = (await gateway.get(f"/v1/responses/{made['id']}/input_items")).json()
    assert [item["id"] for item in listed["data"]] == ["msg_mine"]


async def test_the_same_input_may_be_sent_again_under_its_own_id(gateway, upstream):
    asked = [{"id": "msg_mine", "role": "user", "content": "Hi"}]
    for dialect in ("freddy", "openai", "freddy", "openai"):
        assert (await gateway.ask(dialect, input=asked))["status"] == "completed"


@promise(72)
async def test_nothing_is_streamed_unless_it_is_asked_for(gateway):
    for more in ({}, {"stream": False}, {"stream": None}):
        reply = await gateway.post(*spelled("freddy", **more))
        assert reply.headers["content-type"] == "application/json"


@promise(90, 283)
async def test_a_limit_in_synapses_is_a_limit_of_tokens(gateway, upstream):
    for name in ("max_output_synapses", "maxOutputSynapses", "max_output_tokens", "max_tokens"):
        response = await gateway.post("/v1/model/response", {"inputs": "Hi", name: 5})
        assert response.json()["max_output_synapses"] == 5
        assert upstream.last.body["max_tokens"] == 5


@promise(74, 87, 283, 284)
async def test_usage_is_told_by_component_to_those_who_ask(gateway, upstream):
    details = {"completion_tokens_details": {"reasoning_tokens": 3}}
    upstream.says(Answer(thought("Hm."), text("Hi"), details=details), Answer(text("Hi")))
    usage = (await gateway.ask("freddy", include=["usage.detailed"]))["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (11, 7, 18)
    assert (usage["neurons"]["input"], usage["neurons"]["total"]) == (11, 11)
    synapses = usage["synapses"]
    assert (synapses["output"], synapses["reasoning"], synapses["total"]) == (4, 3, 7)
    assert (await gateway.ask("freddy"))["usage"] == {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}


@promise(100, 101, 107)
@pytest.mark.parametrize(
    ("effort", "told"), [("off", "none"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("maximum", "high")]
)
async def test_an_effort_of_reasoning_is_asked_for_in_one_way(gateway, upstream, effort, told):
    for summary in ("auto", "concise", "detailed"):
        response = await gateway.ask("freddy", reasoning={"effort": effort, "summary": summary})
        assert upstream.last.body["reasoning_effort"] == told
        assert response["reasoning"]["effort"] == effort
    reply = await gateway.post(*spelled("freddy", reasoning={"effort": "some"}))
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "reasoning.effort")


@promise(215)
async def test_the_answer_can_be_asked_for_as_json(gateway, upstream):
    upstream.says(Answer(text("{}")))
    response = await gateway.ask("freddy", output_mode="json")
    assert upstream.last.body["response_format"] == {"type": "json_object"}
    assert response["output_mode"] == "json"
    assert (await gateway.ask("freddy"))["output_mode"] == "text"
    assert "response_format" not in upstream.last.body


@promise(215, 219)
async def test_the_answer_can_be_asked_for_in_a_schema(gateway, upstream):
    schema = {"id": "answer", "description": "Where.", "schema": SCHEMA}
    upstream.says(Answer(text('{"city": "Oslo"}')))
    await gateway.ask("freddy", output_mode="json_schema", json_schema=schema)
    asked = upstream.last.body["response_format"]["json_schema"]
    assert asked == {"name": "answer", "description": "Where.", "schema": SCHEMA, "strict": True}


@promise(221)
async def test_one_of_several_schemas_can_be_asked_for(gateway, upstream):
    schemas = [{"id": name, "schema": {**SCHEMA, "title": name}} for name in ("a", "b")]
    upstream.says(Answer(text('{"city": "Oslo"}')))
    await gateway.ask("freddy", output_mode="json_schema", json_schema=schemas)
    asked = upstream.last.body["response_format"]["json_schema"]
    assert asked["schema"] == {"anyOf": [schema["schema"] for schema in schemas]}


@promise(97)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_a_conversation_that_is_too_long_fails_or_loses_its_oldest(gateway, upstream, dialect):
    long = [{"role": role, "content": f"{role} {number}"} for number in range(4) for role in ("user", "assistant")]
    asked = [*long, {"role": "user", "content": "And now?"}]
    overflow = Fault(400, "too long", code="context_length_exceeded")
    upstream.says(overflow)
    reply = await gateway.post(*spelled(dialect, input=asked))
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_length_exceeded")
    upstream.says(overflow, Answer(text("Now.")))
    assert (await gateway.ask(dialect, input=asked, truncation="auto"))["status"] == "completed"
    assert [message["content"] for message in upstream.last.body["messages"]] == [
        *("user 2", "assistant 2", "user 3", "assistant 3"),
        "And now?",
    ]


@promise(216, 217)
@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({}, "json_schema"),
        ({"json_schema": {"schema": SCHEMA}}, "json_schema.id"),
        ({"json_schema": {"id": "a"}}, "json_schema.schema"),
        ({"json_schema": {"id": "a", "schema": "x"}}, "json_schema.schema"),
        ({"json_schema": [{"id": "a", "schema": SCHEMA}] * 2}, "json_schema"),
    ],
)
async def test_a_schema_needs_an_id_and_a_schema(gateway, more, param):
    reply = await gateway.post(*spelled("freddy", output_mode="json_schema", **more))
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)


@promise(124, 229, 230, 232, 233, 234, 237, 238, 239, 240)
async def test_an_answer_of_the_freddy_api_reads_like_its_documentation(gateway):
    response = await gateway.ask("freddy")
    assert response["id"].startswith("resp_")
    assert (response["object"], response["status"], response["model"]) == ("response", "completed", MODEL)
    assert response["created_at"] == response["createdAt"]
    assert isinstance(response["created_at"], int)
    (item,) = response["output"]
    assert item["id"].startswith("msg_")
    assert item == {
        "type": "message",
        "id": item["id"],
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello there.", "annotations": []}],
    }
    assert response["outputs"] == [{**item, "texts": [{"text": "Hello there."}]}]
    assert response["response"] == "Hello there."
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] == 18


@promise(222, 223, 226, 227)
async def test_what_is_not_asked_for_is_left_to_the_model(gateway, upstream):
    await gateway.ask("freddy")
    assert upstream.last.body.keys() == {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("camel", "snake", "value"),
    [
        ("topP", "top_p", 0.5),
        ("maxToolCalls", "max_tool_calls", 3),
        ("parallelToolCalls", "parallel_tool_calls", True),
        ("outputMode", "output_mode", "json"),
        ("threadContextMode", "thread_context_mode", "smart"),
    ],
)
async def test_every_field_is_known_in_camel_case_too(gateway, upstream, camel, snake, value):
    upstream.says(Answer(text("{}")))
    assert (await gateway.ask("freddy", **{camel: value}))[snake] == value
    reply = await gateway.post(*spelled("freddy", **{camel: value, snake: "other"}))
    assert reply.status_code == 422


@promise(6)
async def test_a_page_of_the_same_origin_needs_no_key_on_this_machine_and_no_other_page_gets_in(gateway):
    http = gateway.http(None)
    for origin, status in ((gateway.url, 200), ("https://elsewhere.example", 401), ("null", 401)):
        reply = await http.post("/v1/model/response", json={"inputs": "Hi"}, headers={"origin": origin})
        assert reply.status_code == status, origin


@pytest.mark.parametrize("header", [{"host": "["}, {"origin": "http://["}], ids=lambda header: next(iter(header)))
async def test_a_broken_address_in_a_header_is_no_address_of_this_machine(gateway, header):
    reply = await gateway.http(None).post("/v1/model/response", json={"inputs": "Hi"}, headers=header)
    assert reply.status_code == 401


@promise(12)
async def test_the_reference_says_which_version_it_describes(gateway):
    version = (await gateway.get("/health/live")).json()["version"]
    document = (await gateway.get("/openapi.json")).json()
    assert document["info"]["version"] == version
    assert {"/v1/model/response", "/v1/responses"} <= document["paths"].keys()
    assert version in (await gateway.get("/docs")).text


@promise(262)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_a_fault_of_the_server_itself_is_told_without_its_inside(gateway, dialect):
    made = await gateway.ask(dialect)
    connection = sqlite3.connect(gateway.settings.store.database)
    with connection:
        connection.execute("UPDATE responses SET request = '{\"nonsense\"'")
    connection.close()
    reply = await gateway.get(f"{spelled(dialect)[0]}/{made['id']}")
    assert reply.status_code == 500
    error = reply.json()["error"]
    assert (error["message"], error["type"]) == ("Internal server error", "server_error")
    assert error["code"] == ("internal_error" if dialect == "freddy" else "server_error")
    assert "nonsense" not in reply.text


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_cannot_be_kept_is_not_told_as_done(gateway, upstream, dialect, streamed):
    connection = sqlite3.connect(gateway.settings.store.database)
    with connection:
        connection.execute("ALTER TABLE responses RENAME TO gone")
    connection.close()
    reply = await gateway.post(*spelled(dialect, stream=streamed))
    assert reply.status_code in (500, 503)
    assert reply.json()["error"]["message"]
    assert "gone" not in reply.text
    if streamed:
        assert upstream.calls == []


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_is_sent_again_begins_nothing_anew(gateway, upstream, dialect, streamed):
    path, body = spelled(dialect, stream=streamed, input="Hi", store=True)
    headers = {"idempotency-key": "try-1"}
    first, again = [await gateway.http().post(path, json=body, headers=headers) for _ in range(2)]
    assert again.content == first.content
    assert len(upstream.calls) == 1
    other = await gateway.http().post(path, json={**body, "metadata": {"a": "b"}}, headers=headers)
    assert (other.status_code, other.json()["error"]["param"]) == (409, "Idempotency-Key")
    await gateway.http().post(path, json=body, headers={"idempotency-key": "try-2"})
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("stored", [True, False])
async def test_a_request_that_failed_may_be_sent_again(gateway, upstream, stored):
    upstream.says(Fault(503), Answer(text("Now.")))
    path, body = spelled("freddy", store=stored)
    headers = {"idempotency-key": "try-1"}
    replies = [await gateway.http().post(path, json=body, headers=headers) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [503, 200, 200]
    assert json.loads(replies[1].content) == json.loads(replies[2].content)
    assert len(upstream.calls) == 2
