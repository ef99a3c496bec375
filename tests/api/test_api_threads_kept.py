"""Threads as people use them: filtered, named, their messages changed, branched, bound, stopped, and deleted."""

import asyncio

import pytest
from gateway import spelled

from promises import promise
from upstream import Answer, Fault, Gate, call, text


async def told(gateway, thread: str, **query) -> list[dict]:
    reply = await gateway.http().get(f"/v1/threads/{thread}/messages", params={"order": "asc", **query})
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


async def said(gateway, thread: str) -> str:
    return " ".join(message["content"] for message in await told(gateway, thread))


async def listed(gateway, **query) -> list[str]:
    reply = await gateway.http().get("/v1/threads", params=query)
    assert reply.status_code == 200, reply.text
    return [thread["id"] for thread in reply.json()["data"]]


def refused(reply, status: int, param: str | None = None) -> dict:
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    if param is not None:
        assert error["param"] == param
    return error


async def patch(gateway, path: str, body: object):
    return await gateway.http().patch(path, json=body)


# Making, finding and changing


async def test_a_thread_is_made_with_all_that_can_be_said_of_it(gateway):
    made = await gateway.post(
        "/v1/threads",
        {
            "title": "Tea",
            "metadata": {"a": "b"},
            "visible_in_ui": False,
            "messages": [
                {"role": "user", "content": "I like tea."},
                {"role": "assistant", "content": "Noted."},
            ],
        },
    )
    assert made.status_code == 201, made.text
    thread = made.json()
    assert thread["last_message_at"] == thread["created_at"] == thread["updated_at"]
    assert thread == thread | {
        "object": "thread",
        "title": "Tea",
        "metadata": {"a": "b"},
        "assistant_id": None,
        "user_id": None,
        "status": "inactive",
        "message_count": 2,
        "visible_in_ui": False,
        "is_pinned": False,
        "pinned_at": None,
        "space_ids": [],
    }
    first, second = await told(gateway, thread["id"])
    assert (first["role"], first["content"], first["response_id"]) == ("user", "I like tea.", None)
    assert (second["role"], second["content"]) == ("assistant", "Noted.")


async def test_the_first_messages_are_read_by_the_model(gateway, upstream):
    body = {"id": "t", "messages": [{"role": "user", "content": "I like tea."}]}
    await gateway.post("/v1/threads", body)
    await gateway.ask("freddy", thread="t", input="What do I like?")
    assert upstream.last.messages == [("user", "I like tea."), ("user", "What do I like?")]


@promise(92)
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"title": "x" * 201}, "title"),
        ({"metadata": {f"k{n}": "v" for n in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"visible_in_ui": "yes"}, "visible_in_ui"),
        ({"messages": 1}, "messages"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role"),
        ({"assistant_id": ""}, "assistant_id"),
    ],
)
async def test_what_cannot_be_is_refused(gateway, body, param):
    refused(await gateway.post("/v1/threads", body), 422, param)
    if "messages" not in body:
        await gateway.post("/v1/threads", {"id": "t"})
        refused(await patch(gateway, "/v1/threads/t", body), 422, param)
        assert (await gateway.get("/v1/threads/t")).json()["title"] is None


async def test_of_changes_at_the_same_time_none_is_lost(gateway):
    await gateway.post("/v1/threads", {"id": "t"})
    path = "/v1/threads/t"
    await asyncio.gather(
        patch(gateway, path, {"title": "Tea"}),
        patch(gateway, path, {"metadata": {"a": "b"}}),
        patch(gateway, path, {"visible_in_ui": False}),
        gateway.post(f"{path}/pin"),
    )
    thread = (await gateway.get(path)).json()
    assert (thread["title"], thread["metadata"], thread["visible_in_ui"], thread["is_pinned"]) == (
        "Tea",
        {"a": "b"},
        False,
        True,
    )


@promise(93)
async def test_threads_are_found_by_metadata_and_marks(gateway):
    for name, body in {
        "a": {"metadata": {"team": "red", "x": "1"}},
        "b": {"metadata": {"team": "red"}, "visible_in_ui": False},
        "c": {"metadata": {"team": "blue"}},
    }.items():
        await gateway.post("/v1/threads", {"id": name, **body})
    await gateway.post("/v1/threads/c/pin")
    assert set(await listed(gateway)) == {"a", "b", "c"}
    assert (await listed(gateway))[0] == "c"
    assert set(await listed(gateway, **{"metadata[team]": "red"})) == {"a", "b"}
    assert await listed(gateway, **{"metadata[team]": "red", "metadata[x]": "1"}) == ["a"]
    assert await listed(gateway, metadata='{"team":"red","x":"1"}') == ["a"]
    assert await listed(gateway, **{"metadata[team]": "green"}) == []
    assert await listed(gateway, visible_in_ui="false") == ["b"]
    assert await listed(gateway, is_pinned="true") == ["c"]
    assert set(await listed(gateway, is_pinned="false")) == {"a", "b"}
    assert await listed(gateway, assistant_id="asst_1") == []
    page = (await gateway.get("/v1/threads?limit=1&include_total=true&metadata[team]=red")).json()
    assert (page["total"], page["has_more"], page["limit"]) == (2, True, 1)
    assert (await gateway.get("/v1/threads")).json()["total"] is None


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("metadata=[1]", "metadata"),
        ("metadata={", "metadata"),
        ('metadata={"a":1}', "metadata"),
        ("metadata[a]=1&metadata[a]=2", "metadata[a]"),
        ("is_pinned=maybe", "is_pinned"),
        ("limit=0", "limit"),
        ("after=nothing", "after"),
        ("&".join(f"metadata[k{n}]=v" for n in range(17)), "metadata"),
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(gateway, query, param):
    refused(await gateway.get(f"/v1/threads?{query}"), 422, param)


async def test_a_thread_is_named_after_what_was_said_first(gateway):
    await gateway.ask("freddy", thread="t", input="How do foxes hunt in winter? I saw one today.")
    named = (await gateway.post("/v1/threads/t/generateName", {})).json()
    assert named == {
        "thread_id": "t",
        "title": "How do foxes hunt in winter?",
        "name": "How do foxes hunt in winter?",
        "object": "thread.name",
    }
    assert (await gateway.get("/v1/threads/t")).json()["title"] == "How do foxes hunt in winter?"
    sent = {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "word " * 40}]}
    named = (await gateway.post("/v1/threads/t/generateName", sent)).json()
    assert named["title"] == "word word word word word word word word word word word…"


async def test_a_thread_without_a_word_has_no_name(gateway):
    await gateway.post("/v1/threads", {"id": "t"})
    error = refused(await gateway.post("/v1/threads/t/generateName"), 400, "messages")
    assert error["code"] == "no_messages"
    refused(await gateway.post("/v1/threads/t/generateName?stream=true"), 422, "stream")
    refused(await gateway.post("/v1/threads/none/generateName"), 404, "thread_id")


async def test_all_threads_are_deleted_at_once(gateway):
    for number in range(3):
        await gateway.ask("freddy", thread=f"t{number}")
    assert (await gateway.delete("/v1/threads")).json()["deleted"] == 3
    assert (await gateway.delete("/v1/threads")).json()["deleted"] == 0
    assert await listed(gateway) == []


# Messages


async def test_a_message_is_changed_and_read_so_from_then_on(gateway, upstream):
    response = await gateway.ask("freddy", thread="t", input="I am Ada.")
    asked, answer = await told(gateway, "t")
    path = "/v1/threads/t/messages"
    changed = (await patch(gateway, f"{path}/{asked['id']}", {"content": "I am Eve."})).json()
    assert changed == asked | {"content": "I am Eve."}
    await patch(gateway, f"{path}/{answer['id']}", {"content": "Hello Eve."})
    await gateway.ask("freddy", thread="t", input="Who am I?")
    assert upstream.last.messages == [("user", "I am Eve."), ("assistant", "Hello Eve."), ("user", "Who am I?")]
    kept = (await gateway.get(f"/v1/model/response/{response['id']}")).json()
    assert kept["response"] == "Hello Eve."


async def test_the_images_of_a_message_stay_when_its_text_is_changed(gateway):
    image = {"type": "image", "image_url": "https://example.com/fox.png"}
    content = [{"type": "text", "text": "What"}, image, {"type": "text", "text": "is this?"}]
    await gateway.post("/v1/threads", {"id": "t", "messages": [{"role": "user", "content": content}]})
    [message] = await told(gateway, "t")
    path = f"/v1/threads/t/messages/{message['id']}"
    changed = (await patch(gateway, path, {"content": "Is this a fox?"})).json()
    assert changed["content"] == "Is this a fox?"
    assert changed["attachments"] == [{"type": "image", "url": "https://example.com/fox.png"}]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "content"),
        ({"content": ""}, 422, "content"),
        ({"content": 1}, 422, "content"),
        ({"content": "x", "metadata": {"a": "b"}}, 422, "metadata"),
        ({"text": "x"}, 400, "text"),
    ],
)
async def test_a_change_that_makes_no_sense_changes_nothing(gateway, body, status, param):
    await gateway.ask("freddy", thread="t", input="Hi")
    before = await told(gateway, "t")
    refused(await patch(gateway, f"/v1/threads/t/messages/{before[0]['id']}", body), status, param)
    assert await told(gateway, "t") == before


async def test_only_messages_of_user_and_assistant_are_changed(gateway, upstream):
    upstream.says(Answer(call("look", "{}", call_id="call_a")))
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
    inputs = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Look"}]
    await gateway.ask("freddy", thread="t", input=inputs, tools=tools)
    system, _, called = await told(gateway, "t")
    for message in (system, called):
        path = f"/v1/threads/t/messages/{message['id']}"
        refused(await patch(gateway, path, {"content": "x"}), 403, "message_id")


async def test_a_deleted_message_is_gone_for_good_and_its_answer_stays(gateway, upstream):
    response = await gateway.ask("freddy", thread="t", input="My secret is 42.")
    asked, answer = await told(gateway, "t")
    path = f"/v1/threads/t/messages/{asked['id']}"
    assert (await gateway.delete(path)).json() == {
        "id": asked["id"],
        "object": "thread.message.deleted",
        "deleted": True,
    }
    assert await told(gateway, "t") == [answer]
    items = (await gateway.get(f"/v1/responses/{response['id']}/input_items")).json()["data"]
    assert items == []
    assert (await gateway.get("/v1/threads/t")).json()["message_count"] == 1
    error = refused(await gateway.delete(path), 404, "message_id")
    assert error["code"] == "message_not_found"
    await gateway.ask("freddy", thread="t", input="Well?")
    assert upstream.last.messages == [("assistant", "Hello there."), ("user", "Well?")]


async def test_a_deleted_call_takes_its_output_along(gateway, upstream):
    upstream.says(Answer(call("look", "{}", call_id="call_a")), Answer(text("Seen.")))
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
    await gateway.ask("freddy", thread="t", input="Look", tools=tools)
    output = {"type": "function_call_output", "call_id": "call_a", "output": "a cat"}
    await gateway.ask("freddy", thread="t", input=[output], tools=tools)
    _, called, _, _ = await told(gateway, "t")
    await gateway.delete(f"/v1/threads/t/messages/{called['id']}")
    assert [message["content"] for message in await told(gateway, "t")] == ["Look", "Seen."]


async def test_pages_of_messages_are_full(gateway, upstream):
    for number in range(5):
        await gateway.ask("freddy", thread="t", input=f"q{number}")
    page = (await gateway.get("/v1/threads/t/messages?limit=4")).json()
    assert (len(page["data"]), page["has_more"]) == (4, True)
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
    rest = (await gateway.get(f"/v1/threads/t/messages?limit=6&after={page['last_id']}")).json()
    assert (len(rest["data"]), rest["has_more"]) == (6, False)


# Branches


async def test_an_edited_message_takes_the_place_of_all_that_followed(gateway, upstream):
    upstream.says(Answer(text("A1")), Answer(text("A2")), Answer(text("A3")), Answer(text("A4")))
    await gateway.ask("freddy", thread="t", input="q1")
    second = await gateway.ask("freddy", thread="t", input="q2")
    edited = (await told(gateway, "t"))[2]
    await gateway.ask("freddy", thread="t", input="better", edit_message_id=edited["id"])
    assert upstream.last.messages == [("user", "q1"), ("assistant", "A1"), ("user", "better")]
    assert await said(gateway, "t") == "q1 A1 better A3"
    assert (await gateway.get("/v1/threads/t")).json()["message_count"] == 4
    assert (await gateway.get(f"/v1/model/response/{second['id']}")).json()["response"] == "A2"
    reply = await gateway.post(*spelled("freddy", thread="t", editMessageId=edited["id"]))
    refused(reply, 404, "edit_message_id")


async def test_a_request_may_follow_an_earlier_message(gateway, upstream):
    upstream.says(Answer(text("A1")), Answer(text("A2")), Answer(text("A3")))
    await gateway.ask("freddy", thread="t", input="q1")
    await gateway.ask("freddy", thread="t", input="q2")
    answer = (await told(gateway, "t"))[1]
    await gateway.ask("freddy", thread="t", input="q3", previous_message_id=answer["id"])
    assert upstream.last.messages == [("user", "q1"), ("assistant", "A1"), ("user", "q3")]
    assert await said(gateway, "t") == "q1 A1 q3 A3"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_branch_that_fails_leaves_the_thread_as_it_was(gateway, upstream, streamed):
    await gateway.ask("freddy", thread="t", input="q1")
    before = await told(gateway, "t")
    upstream.says(Fault(500))
    path, body = spelled("freddy", thread="t", input="no", edit_message_id=before[0]["id"], stream=streamed)
    assert (await gateway.post(path, body)).status_code == 502
    assert await told(gateway, "t") == before


@pytest.mark.parametrize("name", ["edit_message_id", "previous_message_id"])
async def test_a_message_that_is_not_in_the_thread_is_not_found(gateway, name):
    await gateway.ask("freddy", thread="t", input="q1")
    await gateway.ask("freddy", thread="elsewhere", input="q1")
    foreign = (await told(gateway, "elsewhere"))[0]["id"]
    for thread in ("t", "not-there"):
        for message_id in (foreign, "msg_nothing"):
            reply = await gateway.post(*spelled("freddy", thread=thread, **{name: message_id}))
            error = refused(reply, 404, name)
            assert error["code"] == "message_not_found"
    assert (await gateway.get("/v1/threads/not-there")).status_code == 404


# Assistants


async def assistants(gateway) -> list[str]:
    made = [
        await gateway.post("/v1/assistants", {"name": f"Assistant {n}", "instructions": f"You are {n}."}) for n in "ab"
    ]
    return [one.json()["id"] for one in made]


async def test_a_thread_is_bound_by_the_first_request_with_an_assistant(gateway, upstream):
    first, second = await assistants(gateway)
    await gateway.ask("freddy", thread="t", assistant_id=first)
    assert (await gateway.get("/v1/threads/t")).json()["assistant_id"] == first
    assert await listed(gateway, assistant_id=first) == ["t"]
    reply = await gateway.post(*spelled("freddy", thread="t", assistant_id=second))
    error = refused(reply, 409, "assistant_id")
    assert error["code"] == "thread_bound"
    assert first in error["message"]
    assert second in error["message"]
    await gateway.ask("freddy", thread="t", assistant_id=first)
    await gateway.ask("freddy", thread="t")
    assert upstream.last.messages[0] == ("system", "You are a.")


async def test_an_assistant_may_be_changed_until_the_first_message(gateway):
    first, second = await assistants(gateway)
    made = await gateway.post("/v1/threads", {"id": "t", "assistant_id": first})
    assert made.json()["assistant_id"] == first
    changed = await patch(gateway, "/v1/threads/t", {"assistant_id": second})
    assert changed.json()["assistant_id"] == second
    refused(await gateway.post(*spelled("freddy", thread="t", assistant_id=first)), 409, "assistant_id")
    await gateway.ask("freddy", thread="t")
    for other in (first, None):
        reply = await patch(gateway, "/v1/threads/t", {"assistant_id": other, "title": "x"})
        assert refused(reply, 409, "assistant_id")["code"] == "thread_bound"
    same = (await patch(gateway, "/v1/threads/t", {"assistant_id": second, "title": "Same"})).json()
    assert (same["assistant_id"], same["title"]) == (second, "Same")


async def test_an_assistant_that_is_not_there_is_bound_to_nothing(gateway):
    error = refused(await gateway.post("/v1/threads", {"id": "t", "assistant_id": "asst_none"}), 404, "assistant_id")
    assert error["code"] == "assistant_not_found"
    await gateway.post("/v1/threads", {"id": "t"})
    refused(await patch(gateway, "/v1/threads/t", {"assistant_id": "asst_none"}), 404, "assistant_id")


# Stopping, and threads that go


async def test_a_stream_is_stopped_by_its_thread(gateway, upstream):
    await gateway.ask("freddy", thread="t", input="q1")
    before = await told(gateway, "t")
    upstream.says(Answer(text("Half"), Gate()))
    async with gateway.listening(*spelled("freddy", stream=True, thread="t", input="q2")) as stream:
        begun = await stream.next("response.created")
        await stream.next("response.output_text.delta")
        assert (await gateway.get("/v1/threads/t")).json()["status"] == "streaming"
        stopped = (await gateway.post("/v1/model/response/t/cancel")).json()
        await stream.next("response.cancelled")
    seconds = stopped.pop("elapsed_seconds")
    assert seconds >= 0
    if seconds < 5:
        assert stopped == {
            "success": True,
            "response_id": begun["id"],
            "thread_id": "t",
            "cancel_mode": "quick_edit",
            "user_message_deleted": True,
            "assistant_response_deleted": True,
            "partial_content_saved": False,
        }
        assert await told(gateway, "t") == before
    assert (await gateway.get("/v1/threads/t")).json()["status"] == "inactive"
    refused(await gateway.post("/v1/model/response/t/cancel"), 404, "response_id")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_response_outlives_its_thread(gateway, upstream, streamed):
    gate = Gate()
    await gateway.ask("freddy", thread="t", input="q1")
    upstream.says(Answer(gate, text("Late")))
    asking = asyncio.ensure_future(gateway.post(*spelled("freddy", thread="t", input="q2", stream=streamed)))
    await gate.reached()
    assert (await gateway.delete("/v1/threads/t")).status_code == 200
    gate.open()
    reply = await asking
    assert reply.status_code == 200
    if not streamed:
        kept = (await gateway.get(f"/v1/model/response/{reply.json()['id']}")).json()
        assert (kept["status"], kept["response"], kept["thread"]) == ("completed", "Late", None)
    assert (await gateway.get("/v1/threads/t")).status_code == 404


# The list of responses


@promise(93)
async def test_responses_are_listed_and_found(gateway, upstream):
    first = await gateway.ask("freddy", thread="t", metadata={"team": "red"})
    second = await gateway.ask("freddy", thread="t", metadata={"team": "red", "x": "1"}, model="stage-2")
    third = await gateway.ask("freddy", metadata={"team": "blue"})
    upstream.says(Fault(500))
    await gateway.post(*spelled("freddy", thread="t"))

    async def ids(**query) -> list[str]:
        reply = await gateway.http().get("/v1/model/response", params=query)
        assert reply.status_code == 200, reply.text
        return [response["id"] for response in reply.json()["data"]]

    assert (await ids())[1:] == [third["id"], second["id"], first["id"]]
    assert await ids(order="asc", status="completed") == [first["id"], second["id"], third["id"]]
    assert await ids(thread="t", status="completed") == [second["id"], first["id"]]
    assert len(await ids(status="failed")) == 1
    assert len(await ids(model=second["model"])) == 3
    assert await ids(model="another") == []
    assert await ids(**{"metadata[team]": "red"}) == [second["id"], first["id"]]
    assert await ids(metadata='{"team":"red","x":"1"}') == [second["id"]]
    page = (await gateway.get(f"/v1/model/response?limit=1&after={third['id']}")).json()
    kept = (await gateway.get(f"/v1/model/response/{second['id']}")).json()
    assert page == {
        "object": "list",
        "data": [kept],
        "first_id": second["id"],
        "last_id": second["id"],
        "has_more": True,
        "limit": 1,
    }
    refused(await gateway.get("/v1/model/response?status=lost"), 422, "status")
    await gateway.delete(f"/v1/model/response/{second['id']}")
    assert await ids(metadata='{"x":"1"}') == []


async def test_many_requests_at_once_never_mix_in_their_thread(gateway, upstream):
    upstream.says(*(Answer(text(f"a{number}")) if number % 3 else Fault(500) for number in range(12)))
    replies = await asyncio.gather(
        *(
            gateway.post(*spelled("freddy", thread="t", input=f"q{number}", stream=number % 2 == 0))
            for number in range(12)
        )
    )
    succeeded = sum(reply.status_code == 200 for reply in replies)
    messages = await told(gateway, "t")
    assert [message["role"] for message in messages] == ["user", "assistant"] * succeeded
    for asked, answer in zip(messages[::2], messages[1::2], strict=True):
        assert asked["response_id"] == answer["response_id"]
    assert len({message["content"] for message in messages}) == 2 * succeeded
    assert (await gateway.get("/v1/threads/t")).json()["message_count"] == 2 * succeeded


async def test_the_client_of_the_house_does_all_of_it(gateway, upstream):
    client = gateway.freddy()
    thread = await client.threads.create(
        title="Foxes", metadata={"team": "red"}, visible_in_ui=False, messages=[{"role": "user", "content": "Hi."}]
    )
    response = await client.responses.create(thread=thread.id, inputs="My fox is called Reineke.", metadata={"n": "1"})
    messages = [message async for message in await client.threads.messages(thread.id, order="asc", limit=2)]
    assert [message.content for message in messages] == ["Hi.", "My fox is called Reineke.", "Hello there."]
    changed = await client.threads.update_message(thread.id, messages[1].id, content="My fox is called Renard.")
    assert (changed.content, changed.response_id) == ("My fox is called Renard.", response.id)
    assert (await client.threads.delete_message(thread.id, messages[0].id)).deleted
    assert (await client.threads.generate_name(thread.id)).title == "My fox is called Renard"
    await client.responses.create(thread=thread.id, inputs="Hers?", edit_message_id=messages[1].id)
    assert (await client.threads.pin(thread.id)).is_pinned
    updated = await client.threads.update(thread.id, visible_in_ui=True)
    assert (updated.is_pinned, updated.visible_in_ui, updated.message_count) == (True, True, 2)
    page = await client.threads.list(metadata={"team": "red"}, is_pinned=True, visible_in_ui=True, include_total=True)
    assert ([one.id for one in page.data], page.raw["total"]) == ([thread.id], 1)
    assert not (await client.threads.unpin(thread.id)).is_pinned
    found = await client.responses.list(thread=thread.id, status="completed", metadata={"n": "1"})
    assert [one.id async for one in found] == [response.id]
    upstream.says(Answer(text("Half"), Gate()))
    async with client.responses.stream(thread=thread.id, inputs="Go on") as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                stopped = await client.threads.stop(thread.id)
    assert (stopped.thread_id, stopped.success) == (thread.id, True)
    assert (await client.threads.delete_all()).deleted == 1
