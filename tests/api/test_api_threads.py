"""Threads: made at first use, continued, kept apart, and untouched by what failed."""

import pytest
from gateway import spelled

from promises import promise
from upstream import Answer, Break, Fault, Gate, call, text


async def said(gateway, thread: str, **who) -> list[tuple[str, str]]:
    reply = await gateway.http(**who).get(f"/v1/threads/{thread}/messages", params={"order": "asc"})
    assert reply.status_code == 200, reply.text
    return [(message["role"], message["content"]) for message in reply.json()["data"]]


@promise(55, 56)
async def test_a_thread_is_made_at_its_first_use_under_the_id_of_the_caller(gateway):
    response = await gateway.ask("freddy", thread="thrd_session_001")
    assert (response["thread"], response["thread_id"]) == ("thrd_session_001", "thrd_session_001")
    thread = (await gateway.get("/v1/threads/thrd_session_001")).json()
    assert (thread["id"], thread["message_count"], thread["last_model_used"]) == (
        "thrd_session_001",
        2,
        response["model"],
    )


@promise(57, 60, 231)
async def test_without_a_thread_one_is_made_and_can_be_used_next(gateway, upstream):
    first = await gateway.ask("freddy", input="I am Ada.")
    assert first["thread"].startswith("thrd_")
    second = await gateway.ask("freddy", input="Who am I?", thread=first["thread"])
    assert second["thread"] == first["thread"]
    assert upstream.last.messages == [("user", "I am Ada."), ("assistant", "Hello there."), ("user", "Who am I?")]


@promise(52, 58, 59)
@pytest.mark.parametrize("streamed", [False, True])
async def test_input_and_output_are_appended_when_the_response_is_complete(gateway, upstream, streamed):
    gate = Gate()
    upstream.says(Answer(text("One"), gate), Answer(text("Two")))
    if streamed:
        async with gateway.listening(*spelled("freddy", stream=True, thread="t", input="First")) as stream:
            await gate.reached()
            assert await said(gateway, "t") == []
            gate.open()
            await stream.next("response.completed")
    else:
        gate.open()
        await gateway.ask("freddy", thread="t", input="First")
    assert await said(gateway, "t") == [("user", "First"), ("assistant", "One")]
    await gateway.ask("freddy", thread="t", input="Second")
    assert upstream.last.messages == [("user", "First"), ("assistant", "One"), ("user", "Second")]


@promise(61)
@pytest.mark.parametrize("name", ["thread", "threadId", "thread_id"])
async def test_a_thread_is_named_in_several_spellings(gateway, name):
    assert (await gateway.ask("freddy", **{name: "thrd_1"}))["thread"] == "thrd_1"


@promise(55)
async def test_a_thread_may_be_named_with_metadata(gateway):
    await gateway.ask("freddy", thread={"id": "thrd_1", "metadata": {"topic": "tea"}})
    assert (await gateway.get("/v1/threads/thrd_1")).json()["metadata"] == {"topic": "tea"}


async def test_calls_and_their_outputs_stay_in_the_thread(gateway, upstream):
    upstream.says(Answer(call("look", '{"at":"it"}', call_id="call_a")), Answer(text("Seen.")), Answer(text("Yes.")))
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
    await gateway.ask("freddy", thread="t", input="Look", tools=tools)
    output = {"type": "function_call_output", "call_id": "call_a", "output": "a cat"}
    await gateway.ask("freddy", thread="t", input=[output], tools=tools)
    await gateway.ask("freddy", thread="t", input="Sure?", tools=tools)
    assert [role for role, _ in upstream.last.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert upstream.last.body["messages"][1]["tool_calls"][0]["id"] == "call_a"
    assert upstream.last.body["messages"][2]["tool_call_id"] == "call_a"


@pytest.mark.parametrize(
    "failing",
    [Fault(500), Answer(text("Half"), Break("cut")), Answer(text("Half"), Break("end")), Break("reset")],
    ids=["refused", "cut", "unfinished", "reset"],
)
async def test_a_response_that_failed_leaves_its_thread_as_it_was(gateway, upstream, failing):
    await gateway.ask("freddy", thread="t", input="First")
    before = (await gateway.get("/v1/threads/t")).json()
    upstream.says(failing)
    reply = await gateway.post(*spelled("freddy", thread="t", input="Second"))
    assert reply.status_code == 502
    assert (await gateway.get("/v1/threads/t")).json() == before
    assert await said(gateway, "t") == [("user", "First"), ("assistant", "Hello there.")]
    await gateway.ask("freddy", thread="t", input="Third")
    assert upstream.last.messages == [("user", "First"), ("assistant", "Hello there."), ("user", "Third")]


async def test_a_cancelled_response_leaves_its_thread_as_it_was(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate))
    started = await gateway.ask("freddy", thread="t", background=True)
    await gate.reached()
    await gateway.post(f"/v1/model/response/{started['id']}/cancel")
    assert await said(gateway, "t") == []


async def test_two_organizations_use_the_same_thread_id_without_seeing_each_other(closed, upstream):
    ours, theirs = await closed.mint("org_a"), await closed.mint("org_b")
    for key, word in ((ours.secret, "tea"), (theirs.secret, "salt")):
        reply = await closed.post(*spelled("freddy", thread="same", input=f"I like {word}"), key=key)
        assert reply.status_code == 200
        assert reply.json()["thread"] == "same"
        assert len(upstream.last.messages) == 1
    assert (await said(closed, "same", key=ours.secret))[0] == ("user", "I like tea")
    assert (await said(closed, "same", key=theirs.secret))[0] == ("user", "I like salt")
    assert (await closed.delete("/v1/threads/same", key=theirs.secret)).status_code == 200
    assert len(await said(closed, "same", key=ours.secret)) == 2


@promise(63)
async def test_a_thread_and_a_previous_response_are_not_named_together(gateway):
    first = await gateway.ask("freddy")
    reply = await gateway.post(*spelled("freddy", thread="t", previous_response_id=first["id"]))
    assert reply.status_code == 422
    assert reply.json()["error"]["param"] == "previous_response_id"
    reply = await gateway.post(*spelled("openai", conversation="t", previous_response_id=first["id"]))
    assert reply.status_code == 400


async def test_a_thread_is_the_conversation_of_the_other_dialect(gateway, upstream):
    await gateway.ask("freddy", thread="t", input="First")
    response = await gateway.ask("openai", conversation="t", input="Second")
    assert response["conversation"] == {"id": "t"}
    assert [content for _, content in upstream.last.messages] == ["First", "Hello there.", "Second"]
    assert len(await said(gateway, "t")) == 4


async def test_a_conversation_that_is_not_there_is_not_made(gateway):
    reply = await gateway.post(*spelled("openai", conversation="conv_nowhere"))
    assert reply.status_code == 404
    assert reply.json()["error"]["param"] == "conversation"
    assert (await gateway.get("/v1/threads/conv_nowhere")).status_code == 404


@pytest.mark.parametrize("bad", ["", "a b", "../x", "x" * 129, "ü"])
async def test_an_id_that_fits_no_path_is_refused(gateway, bad):
    reply = await gateway.post(*spelled("freddy", thread=bad))
    assert reply.status_code == 422
    assert reply.json()["error"]["param"] == "thread"


async def test_threads_are_made_listed_changed_pinned_and_deleted(gateway):
    made = await gateway.post("/v1/threads", {"title": "Tea", "metadata": {"a": "b"}})
    assert made.status_code == 201
    thread = made.json()
    assert (thread["object"], thread["title"], thread["metadata"]) == ("thread", "Tea", {"a": "b"})
    other = (await gateway.post("/v1/threads", {"id": "thrd_b"})).json()
    assert (await gateway.post("/v1/threads", {"id": "thrd_b"})).status_code == 409
    listed = (await gateway.get("/v1/threads?limit=1&order=asc")).json()
    assert (len(listed["data"]), listed["has_more"]) == (1, True)
    rest = (await gateway.get(f"/v1/threads?order=asc&after={listed['last_id']}")).json()
    assert {listed["last_id"], *(one["id"] for one in rest["data"])} == {thread["id"], other["id"]}
    path = f"/v1/threads/{thread['id']}"
    changed = (await gateway.http().patch(path, json={"title": "Coffee"})).json()
    assert (changed["title"], changed["metadata"]) == ("Coffee", {"a": "b"})
    assert (await gateway.post(f"{path}/pin")).json()["is_pinned"] is True
    assert (await gateway.get(path)).json()["is_pinned"] is True
    assert (await gateway.post(f"{path}/unpin")).json()["is_pinned"] is False
    assert (await gateway.delete(path)).json() == {"id": thread["id"], "object": "thread.deleted", "deleted": True}
    assert (await gateway.get(path)).status_code == 404


async def test_the_responses_of_a_thread_go_with_it(gateway):
    response = await gateway.ask("freddy", thread="t")
    await gateway.delete("/v1/threads/t")
    assert (await gateway.get(f"/v1/model/response/{response['id']}")).status_code == 404
