"""Conversations: threads in OpenAI's shapes, their items, and what is refused."""

import pytest

from upstream import Answer, text

PATH = "/v1/conversations"


def said(words: str, role: str = "user") -> dict:
    return {"type": "message", "role": role, "content": words}


async def made(gateway, **fields) -> dict:
    reply = await gateway.http().post(PATH, json=fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def listed(gateway, conversation: str, **query) -> dict:
    reply = await gateway.http().get(f"{PATH}/{conversation}/items", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def words(page: dict) -> list[str]:
    return [item["content"][0]["text"] for item in page["data"]]


async def test_a_conversation_is_made_with_items_and_metadata(gateway):
    conversation = await made(gateway, metadata={"topic": "demo"}, items=[said("Hello"), said("Hi", "assistant")])
    assert conversation.keys() == {"id", "object", "created_at", "metadata"}
    assert (conversation["object"], conversation["metadata"]) == ("conversation", {"topic": "demo"})
    assert isinstance(conversation["created_at"], int)
    page = await listed(gateway, conversation["id"], order="asc")
    assert [(item["type"], item["role"], item["status"]) for item in page["data"]] == [
        ("message", "user", "completed"),
        ("message", "assistant", "completed"),
    ]
    assert [item["content"][0]["type"] for item in page["data"]] == ["input_text", "output_text"]
    assert (page["object"], page["has_more"]) == ("list", False)
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][1]["id"])


async def test_an_empty_body_makes_an_empty_conversation(gateway):
    reply = await gateway.http().post(PATH)
    assert reply.status_code == 200
    conversation = reply.json()["id"]
    page = await listed(gateway, conversation)
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_metadata_is_replaced_as_a_whole(gateway):
    conversation = await made(gateway, metadata={"a": "1", "b": "2"})
    where = f"{PATH}/{conversation['id']}"
    reply = await gateway.http().post(where, json={"metadata": {"c": "3"}})
    assert reply.json() == {**conversation, "metadata": {"c": "3"}}
    assert (await gateway.http().get(where)).json() == reply.json()
    assert (await gateway.http().post(where, json={"metadata": None})).json()["metadata"] == {}


async def test_a_deleted_conversation_is_gone(gateway):
    conversation = await made(gateway, items=[said("Hello")])
    where = f"{PATH}/{conversation['id']}"
    deleted = await gateway.http().delete(where)
    assert deleted.json() == {"id": conversation["id"], "object": "conversation.deleted", "deleted": True}
    for reply in (await gateway.http().get(where), await gateway.http().delete(where)):
        assert reply.status_code == 404


async def test_items_are_added_read_one_by_one_and_deleted(gateway):
    conversation = await made(gateway)
    where = f"{PATH}/{conversation['id']}/items"
    added = (
        await gateway.http().post(
            where,
            json={
                "items": [
                    said("What time is it?"),
                    {"type": "function_call", "call_id": "call_1", "name": "now", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "call_1", "output": "12:00"},
                    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Noon."}]},
                ]
            },
        )
    ).json()
    assert [item["type"] for item in added["data"]] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert (added["object"], added["has_more"]) == ("list", False)
    for item in added["data"]:
        assert (await gateway.http().get(f"{where}/{item['id']}")).json() == item
    assert (await listed(gateway, conversation["id"], order="asc"))["data"] == added["data"]
    gone = added["data"][3]["id"]
    assert (await gateway.http().delete(f"{where}/{gone}")).json() == conversation
    assert (await gateway.http().get(f"{where}/{gone}")).status_code == 404
    assert [item["type"] for item in (await listed(gateway, conversation["id"], order="asc"))["data"]] == [
        "message",
        "function_call",
        "function_call_output",
    ]


async def test_items_are_told_page_by_page(gateway):
    conversation = (await made(gateway, items=[said(str(number)) for number in range(5)]))["id"]
    newest = await listed(gateway, conversation, limit=2)
    assert (words(newest), newest["has_more"]) == (["4", "3"], True)
    older = await listed(gateway, conversation, limit=2, after=newest["last_id"])
    assert (words(older), older["has_more"]) == (["2", "1"], True)
    last = await listed(gateway, conversation, limit=2, after=older["last_id"])
    assert (words(last), last["has_more"]) == (["0"], False)
    assert words(await listed(gateway, conversation, order="asc", limit=3)) == ["0", "1", "2"]


async def test_a_reference_among_the_items_stands_for_the_item_it_names(gateway):
    first = await made(gateway, items=[said("Hello")])
    item = (await listed(gateway, first["id"]))["data"][0]
    second = await made(gateway, items=[{"type": "item_reference", "id": item["id"]}])
    assert (await listed(gateway, second["id"]))["data"] == [item]
    reply = await gateway.http().post(PATH, json={"items": [{"type": "item_reference", "id": "msg_none"}]})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "items")


async def test_a_conversation_goes_on_with_responses(gateway, upstream):
    upstream.says(Answer(text("Hello Ada.")), Answer(text("Ada.")))
    conversation = (await made(gateway, items=[said("Be brief.", "developer")]))["id"]
    first = await gateway.ask("openai", input="I am Ada.", conversation=conversation)
    assert first["conversation"] == {"id": conversation}
    await gateway.ask("openai", input="Who am I?", conversation={"id": conversation})
    assert upstream.last.messages[1:] == [("user", "I am Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]
    assert "Be brief." in str(upstream.last.messages[0])
    assert words(await listed(gateway, conversation, order="asc")) == [
        "Be brief.",
        "I am Ada.",
        "Hello Ada.",
        "Who am I?",
        "Ada.",
    ]


async def test_a_conversation_is_a_thread_of_the_other_dialect_and_the_other_way_round(gateway):
    conversation = (await made(gateway, metadata={"k": "v"}, items=[said("Hello")]))["id"]
    thread = (await gateway.http().get(f"/v1/threads/{conversation}")).json()
    assert (thread["id"], thread["metadata"], thread["message_count"]) == (conversation, {"k": "v"}, 1)
    await gateway.ask("freddy", input="More", thread=conversation)
    assert words(await listed(gateway, conversation, order="asc"))[:2] == ["Hello", "More"]
    await gateway.ask("freddy", input="Hi", thread="thrd_mine")
    assert words(await listed(gateway, "thrd_mine", order="asc"))[0] == "Hi"
    assert (await gateway.http().get(f"{PATH}/thrd_mine")).json()["object"] == "conversation"


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"items": [said("x")] * 21}, 400, "items"),
        ({"items": {}}, 400, "items"),
        ({"items": ["x"]}, 400, "items[0]"),
        ({"items": [{"type": "message", "role": "nobody", "content": "x"}]}, 400, "items[0].role"),
        ({"metadata": {str(number): "x" for number in range(17)}}, 400, "metadata"),
        ({"metadata": {"k" * 65: "x"}}, 400, "metadata"),
        ({"metadata": {"k": "x" * 513}}, 400, "metadata"),
        ({"metadata": {"k": 1}}, 400, "metadata"),
        ({"metadata": "x"}, 400, "metadata"),
    ],
)
async def test_what_does_not_fit_is_refused_in_openais_shape(gateway, fields, status, param):
    reply = await gateway.http().post(PATH, json=fields)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (status, "invalid_request_error")
    assert error["param"].startswith(param)
    assert error["message"]


async def test_the_most_that_fits_is_accepted(gateway):
    metadata = {f"{number:064d}": "x" * 512 for number in range(16)}
    conversation = await made(gateway, items=[said("x")] * 20, metadata=metadata)
    assert conversation["metadata"] == metadata


async def test_no_items_are_no_addition(gateway):
    conversation = (await made(gateway))["id"]
    for fields in ({}, {"items": []}, {"items": None}):
        reply = await gateway.http().post(f"{PATH}/{conversation}/items", json=fields)
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == "items"


async def test_what_to_include_is_checked(gateway):
    conversation = (await made(gateway, items=[said("x")]))["id"]
    include = {"include[]": "message.output_text.logprobs"}
    assert (await gateway.http().get(f"{PATH}/{conversation}/items", params=include)).status_code == 200
    reply = await gateway.http().get(f"{PATH}/{conversation}/items", params={"include": "everything"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "include")
    reply = await gateway.http().get(f"{PATH}/{conversation}/items", params={"limit": 101})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "limit")


async def test_sealed_thoughts_are_told_to_those_who_include_them(gateway):
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    conversation = (await made(gateway, items=[thought, said("Hi", "assistant")]))["id"]
    plain = (await listed(gateway, conversation, order="asc"))["data"][0]
    assert "encrypted_content" not in plain
    told = (await listed(gateway, conversation, order="asc", include="reasoning.encrypted_content"))["data"][0]
    assert told["encrypted_content"] == "sealed"


@pytest.mark.parametrize("stranger", [False, True], ids=["unknown", "of-others"])
async def test_what_is_not_there_and_what_belongs_to_others_are_told_alike(gateway, stranger):
    mine = await made(gateway, items=[said("Hello")])
    item = (await listed(gateway, mine["id"]))["data"][0]["id"]
    conversation = mine["id"] if stranger else "conv_none"
    http = gateway.http((await gateway.mint("org_others")).secret) if stranger else gateway.http()
    where = f"{PATH}/{conversation}"
    replies = [
        await http.get(where),
        await http.post(where, json={"metadata": {}}),
        await http.delete(where),
        await http.get(f"{where}/items"),
        await http.post(f"{where}/items", json={"items": [said("x")]}),
        await http.get(f"{where}/items/{item}"),
        await http.delete(f"{where}/items/{item}"),
    ]
    for reply in replies:
        assert reply.status_code == 404
        assert reply.json() == {
            "error": {
                "message": f"Conversation with id {conversation!r} not found",
                "type": "invalid_request_error",
                "param": "conversation_id",
                "code": "conversation_not_found",
            }
        }
    assert (await gateway.http().get(f"{PATH}/{mine['id']}/items/msg_none")).json()["error"]["param"] == "item_id"
