"""The conversations of the official OpenAI client: every method, and the types of what comes back."""

import asyncio

import httpx2
import openai
import pytest
from gateway import DEV_KEY, PLAIN
from openai.types.conversations import (
    Conversation,
    ConversationDeletedResource,
    ConversationItemList,
    Message,
)
from openai.types.responses import (
    ResponseFunctionToolCallItem,
    ResponseFunctionToolCallOutputItem,
    ResponseReasoningItem,
)

from simulators.script import PATIENCE, Answer, text

HELLO = {"type": "message", "role": "user", "content": "Hello"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
CALL = {"type": "function_call", "call_id": "call_1", "name": "now", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "12:00"}
ANSWER = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Noon", "annotations": []}],
}


def texts(items) -> list[str]:
    return [item.content[0].text for item in items if item.type == "message"]


async def test_the_async_client_has_every_method(stage):
    client = stage.gateway.openai()
    made = await client.conversations.create(items=[HELLO], metadata={"topic": "demo"})
    assert isinstance(made, Conversation)
    assert (made.object, made.metadata) == ("conversation", {"topic": "demo"})
    assert isinstance(made.created_at, int)
    assert await client.conversations.retrieve(made.id) == made
    changed = await client.conversations.update(made.id, metadata={"topic": "other"})
    assert isinstance(changed, Conversation)
    assert (changed.id, changed.created_at, changed.metadata) == (made.id, made.created_at, {"topic": "other"})

    added = await client.conversations.items.create(made.id, items=[THOUGHT, CALL, OUTPUT, ANSWER])
    assert isinstance(added, ConversationItemList)
    assert [type(item) for item in added.data] == [
        ResponseReasoningItem,
        ResponseFunctionToolCallItem,
        ResponseFunctionToolCallOutputItem,
        Message,
    ]
    assert (added.first_id, added.last_id, added.has_more) == (added.data[0].id, added.data[3].id, False)
    for item in added.data:
        one = await client.conversations.items.retrieve(item.id, conversation_id=made.id)
        assert one == item
    page = await client.conversations.items.list(made.id, order="asc", limit=2, include=["reasoning.encrypted_content"])
    assert ([item.type for item in page.data], page.has_more) == (["message", "reasoning"], True)
    assert [item.type async for item in page] == [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "message",
    ]
    newest = await client.conversations.items.list(made.id)
    assert newest.data[0].id == added.data[3].id
    left = await client.conversations.items.delete(added.data[3].id, conversation_id=made.id)
    assert left == changed
    with pytest.raises(openai.NotFoundError) as missing:
        await client.conversations.items.retrieve(added.data[3].id, conversation_id=made.id)
    assert missing.value.param == "item_id"

    gone = await client.conversations.delete(made.id)
    assert gone == ConversationDeletedResource(id=made.id, deleted=True, object="conversation.deleted")
    with pytest.raises(openai.NotFoundError) as missing:
        await client.conversations.retrieve(made.id)
    assert missing.value.code == "conversation_not_found"


async def test_the_sync_client_has_every_method(stage):
    def use():
        with openai.OpenAI(
            api_key=DEV_KEY,
            base_url=f"{stage.gateway.url}/v1",
            max_retries=0,
            timeout=PATIENCE,
            http_client=httpx2.Client(**PLAIN),
        ) as client:
            made = client.conversations.create(items=[HELLO])
            assert client.conversations.retrieve(made.id) == made
            assert client.conversations.update(made.id, metadata={"a": "b"}).metadata == {"a": "b"}
            added = client.conversations.items.create(made.id, items=[ANSWER], include=["message.output_text.logprobs"])
            one = client.conversations.items.retrieve(added.data[0].id, conversation_id=made.id)
            assert one == added.data[0]
            assert texts(client.conversations.items.list(made.id, order="asc", limit=1)) == ["Hello", "Noon"]
            assert client.conversations.items.delete(one.id, conversation_id=made.id).id == made.id
            assert texts(client.conversations.items.list(made.id)) == ["Hello"]
            assert client.conversations.delete(made.id).deleted

    await asyncio.to_thread(use)


async def test_a_response_goes_on_with_a_conversation(stage):
    stage.vendor.says(Answer(text("Hello Ada.")), Answer(text("Ada.")))
    client = stage.gateway.openai()
    made = await client.conversations.create()
    first = await client.responses.create(model=stage.model, input="I am Ada.", conversation=made.id)
    assert first.conversation.id == made.id
    await client.responses.create(model=stage.model, input="Who am I?", conversation=made.id)
    assert stage.told == [("user", "I am Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]
    page = await client.conversations.items.list(made.id, order="asc")
    assert texts(page.data) == ["I am Ada.", "Hello Ada.", "Who am I?", "Ada."]
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model=stage.model, input="Hi", conversation="conv_none")


async def test_what_is_wrong_is_told_in_the_clients_errors(stage):
    client = stage.gateway.openai()
    with pytest.raises(openai.BadRequestError) as refused:
        await client.conversations.create(items=[HELLO] * 21)
    assert refused.value.param == "items"
    with pytest.raises(openai.BadRequestError) as refused:
        await client.conversations.create(metadata={"k": "x" * 513})
    assert refused.value.param == "metadata"
