"""Going on from a response, and asking that nothing be kept."""

import pytest
from gateway import spelled

from promises import promise
from upstream import Answer, Break, Gate, call, text, thought

DIALECTS = ("freddy", "openai")
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]


@promise(62)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_response_goes_on_from_the_one_before_it(gateway, upstream, dialect):
    upstream.says(Answer(thought("Hm."), text("Hello, Ada.")), Answer(text("Ada.")), Answer(text("Ada!")))
    first = await gateway.ask(dialect, input="I am Ada.")
    second = await gateway.ask(dialect, input="Who am I?", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    await gateway.ask(dialect, input="Louder!", previous_response_id=second["id"])
    assert upstream.last.messages == [
        ("user", "I am Ada."),
        ("assistant", "Hello, Ada."),
        ("user", "Who am I?"),
        ("assistant", "Ada."),
        ("user", "Louder!"),
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_chain_may_fork(gateway, upstream, dialect):
    first = await gateway.ask(dialect, input="One")
    for word in ("left", "right"):
        await gateway.ask(dialect, input=word, previous_response_id=first["id"])
        assert [content for _, content in upstream.last.messages] == ["One", "Hello there.", word]


async def test_a_chain_leads_from_one_dialect_to_the_other(gateway, upstream):
    first = await gateway.ask("freddy", input="One")
    second = await gateway.ask("openai", input="Two", previous_response_id=first["id"])
    third = await gateway.ask("freddy", input="Three", previous_response_id=second["id"])
    assert third["thread"] is None
    assert [content for role, content in upstream.last.messages if role == "user"] == ["One", "Two", "Three"]


@promise(62)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_calls_and_their_outputs_stay_in_the_chain(gateway, upstream, dialect):
    upstream.says(
        Answer(call("look", '{"at":1}', call_id="a"), call("look", '{"at":2}', call_id="b", index=1)),
        Answer(text("Seen.")),
        Answer(text("Sure.")),
    )
    first = await gateway.ask(dialect, input="Look", tools=TOOLS, parallel_tool_calls=True)
    outputs = [{"type": "function_call_output", "call_id": name, "output": f"saw {name}"} for name in ("a", "b")]
    second = await gateway.ask(dialect, input=outputs, tools=TOOLS, previous_response_id=first["id"])
    await gateway.ask(dialect, input="Sure?", tools=TOOLS, previous_response_id=second["id"])
    asked, called, one, two, seen, again = upstream.last.body["messages"]
    assert [each["id"] for each in called["tool_calls"]] == ["a", "b"]
    assert [(each["tool_call_id"], each["content"]) for each in (one, two)] == [("a", "saw a"), ("b", "saw b")]
    assert [asked["content"], seen["content"], again["content"]] == ["Look", "Seen.", "Sure?"]


@promise(64)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_instructions_hold_for_their_own_response_only(gateway, upstream, dialect):
    first = await gateway.ask(dialect, input="One", instructions="Speak like a pirate.")
    second = await gateway.ask(dialect, input="Two", previous_response_id=first["id"])
    assert [role for role, _ in upstream.last.messages] == ["user", "assistant", "user"]
    await gateway.ask(dialect, input="Three", previous_response_id=second["id"], instructions="Be brief.")
    assert [message for message in upstream.last.messages if message[0] == "system"] == [("system", "Be brief.")]


@promise(64)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_new_instructions_take_the_place_of_earlier_system_messages(gateway, upstream, dialect):
    first = await gateway.ask(
        dialect, input=[{"role": "system", "content": "Be long."}, {"role": "user", "content": "One"}]
    )
    await gateway.ask(dialect, input="Two", previous_response_id=first["id"], instructions="Be brief.")
    assert [content for role, content in upstream.last.messages if role == "system"] == ["Be brief."]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_response_that_does_not_exist_cannot_be_continued(gateway, upstream, dialect):
    reply = await gateway.post(*spelled(dialect, previous_response_id="resp_bogus"))
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "previous_response_not_found"
    assert reply.json()["error"]["param"] == "previous_response_id"
    assert upstream.calls == []


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_response_of_another_organization_cannot_be_continued(closed, upstream, dialect):
    ours, theirs = await closed.mint("org_a"), await closed.mint("org_b")
    first = (await closed.post(*spelled(dialect), key=ours.secret)).json()
    missing = await closed.post(*spelled(dialect, previous_response_id="resp_bogus"), key=theirs.secret)
    foreign = await closed.post(*spelled(dialect, previous_response_id=first["id"]), key=theirs.secret)
    assert foreign.status_code == 400
    assert foreign.text == missing.text.replace("resp_bogus", first["id"])
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_response_that_still_runs_cannot_be_continued(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(gate, text("One")))
    first = await gateway.ask(dialect, background=True)
    reply = await gateway.post(*spelled(dialect, previous_response_id=first["id"]))
    assert reply.status_code == 409
    assert reply.json()["error"]["param"] == "previous_response_id"
    gate.open()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_is_not_to_be_stored_is_not_there_afterwards(gateway, dialect, streamed):
    if streamed:
        response = (await gateway.told(dialect, store=False)).last["response"]
    else:
        response = await gateway.ask(dialect, store=False)
    assert response["store"] is False
    assert response["output"][0]["content"][0]["text"] == "Hello there."
    assert response.get("thread") is None
    for path in ("/v1/model/response", "/v1/responses"):
        assert (await gateway.get(f"{path}/{response['id']}")).status_code == 404
    assert (await gateway.get(f"/v1/responses/{response['id']}/input_items")).status_code == 404
    assert (await gateway.post(f"/v1/model/response/{response['id']}/cancel")).status_code == 404
    assert (await gateway.delete(f"/v1/responses/{response['id']}")).status_code == 404
    reply = await gateway.post(*spelled(dialect, previous_response_id=response["id"]))
    assert reply.status_code == 400


async def test_nothing_of_what_is_not_to_be_stored_is_in_the_files(gateway):
    await gateway.ask("openai", input="the word is xylophone", store=False)
    home = gateway.settings.home
    assert not [file for file in home.rglob("*") if file.is_file() and b"xylophone" in file.read_bytes()]
    await gateway.ask("openai", input="the word is xylophone")
    assert [file for file in home.rglob("*") if file.is_file() and b"xylophone" in file.read_bytes()]


async def test_a_background_response_must_be_stored(gateway):
    for dialect, param in (("freddy", "store"), ("openai", "background")):
        reply = await gateway.post(*spelled(dialect, background=True, store=False))
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_items_can_be_named_instead_of_sent(gateway, upstream):
    first = await gateway.ask("openai", input="One")
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    await gateway.ask("openai", input=[reference, {"role": "user", "content": "Two"}])
    assert upstream.last.messages == [("assistant", "Hello there."), ("user", "Two")]
    reply = await gateway.post(*spelled("openai", input=[{"type": "item_reference", "id": "msg_bogus"}]))
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "input")


async def test_a_failed_response_can_be_continued_from_what_it_said(gateway, upstream):
    upstream.says(Answer(text("Half"), Break("cut")))
    told = await gateway.told("openai", input="One")
    failed = told.last["response"]
    assert failed["status"] == "failed"
    await gateway.ask("openai", input="Two", previous_response_id=failed["id"])
    assert [content for _, content in upstream.last.messages] == ["One", "Half", "Two"]
