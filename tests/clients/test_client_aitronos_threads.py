"""The platform's own client: its threads, its messages, branching, and stopping a stream by its thread."""

import asyncio
import datetime

import pytest
from aitronos import MessageInput
from aitronos.core.api_error import ApiError
from gateway import spelled

from upstream import Answer, Gate, text


async def organization(platform) -> str:
    thread = await platform.gateway.post("/v1/threads", {"id": "first"})
    await platform.gateway.delete("/v1/threads/first")
    return thread.json()["organization_id"]


async def ask(platform, thread: str, said: str, **more) -> dict:
    return await platform.client.responses.create_response(
        inputs=[{"role": "user", "content": said}], thread_id=thread, **more
    )


async def test_a_thread_is_created_got_and_changed(platform):
    threads, organization_id = platform.client.threads, await organization(platform)
    made = await threads.create_thread(
        organization_id=organization_id, title="Tea", metadata={"a": "b"}, visible_in_ui=False
    )
    assert made.id.startswith("thrd_")
    moment = datetime.datetime.fromisoformat(made.created_at)
    assert moment.tzinfo is not None
    assert made.model_dump() == {
        "id": made.id,
        "object": "thread",
        "created_at": made.created_at,
        "updated_at": made.created_at,
        "last_message_at": None,
        "metadata": {"a": "b"},
        "assistant_id": None,
        "organization_id": organization_id,
        "user_id": None,
        "title": "Tea",
        "status": "inactive",
        "message_count": 0,
        "visible_in_ui": False,
        "last_model_used": None,
        "is_pinned": False,
        "pinned_at": None,
        "space_ids": [],
    }
    assert await threads.get_thread(made.id) == made
    changed = await threads.update_thread(made.id, title="Coffee", metadata={"c": "d"}, visible_in_ui=True)
    assert (changed.title, changed.metadata, changed.visible_in_ui) == ("Coffee", {"c": "d"}, True)
    assert (await threads.update_thread(made.id, title="Cocoa")).metadata == {"c": "d"}


async def test_a_thread_is_bound_to_an_assistant(platform):
    organization_id = await organization(platform)
    assistants = [
        await platform.client.assistants.create_assistant(
            organization_id=organization_id, name=name, instructions="Be brief."
        )
        for name in ("One", "Two")
    ]
    first, second = (one.id for one in assistants)
    threads = platform.client.threads
    made = await threads.create_thread(organization_id=organization_id, assistant_id=first)
    assert made.assistant_id == first
    assert (await threads.update_thread(made.id, assistant_id=second)).assistant_id == second
    await ask(platform, made.id, "Hi")
    with pytest.raises(ApiError) as refused:
        await threads.update_thread(made.id, assistant_id=first)
    assert refused.value.status_code == 409
    with pytest.raises(ApiError) as refused:
        await ask(platform, made.id, "Hi", assistant_id=first)
    assert refused.value.status_code == 409
    listed = await threads.list_threads(assistant_id=second)
    assert [one.id for one in listed.data] == [made.id]


async def test_threads_are_listed_page_by_page(platform):
    threads, organization_id = platform.client.threads, await organization(platform)
    made = [
        (await threads.create_thread(organization_id=organization_id, title=f"T{number}", visible_in_ui=number != 2)).id
        for number in range(4)
    ]
    pinned = await threads.pin_thread(made[1])
    assert (pinned.id, pinned.is_pinned, pinned.message) == (made[1], True, "Thread pinned")
    assert pinned.pinned_at is not None
    page = await threads.list_threads(organization_id=organization_id, limit=2, order="desc", include_total=True)
    assert (page.object, page.limit, page.total, page.has_more) == ("list", 2, 4, True)
    assert page.data[0].id == made[1]
    assert (page.data[0].is_pinned, page.data[0].pinned_at) == (True, pinned.pinned_at)
    assert (page.first_id, page.last_id) == (page.data[0].id, page.data[1].id)
    rest = await threads.list_threads(limit=2, after=page.last_id)
    assert (rest.has_more, rest.total) == (False, None)
    assert {one.id for one in (*page.data, *rest.data)} == set(made)
    back = await threads.list_threads(limit=2, before=rest.first_id)
    assert [one.id for one in back.data] == [one.id for one in page.data]
    assert [one.id for one in (await threads.list_threads(visible_in_ui=False)).data] == [made[2]]
    assert [one.id for one in (await threads.list_threads(is_pinned=True)).data] == [made[1]]
    unpinned = await threads.unpin_thread(made[1])
    assert (unpinned.is_pinned, unpinned.pinned_at, unpinned.message) == (False, None, "Thread unpinned")
    assert (await threads.list_threads(is_pinned=True)).data == []


async def test_threads_are_deleted_one_by_one_and_all_at_once(platform):
    threads, organization_id = platform.client.threads, await organization(platform)
    made = [(await threads.create_thread(organization_id=organization_id)).id for _ in range(3)]
    await threads.delete_thread(made[0])
    with pytest.raises(ApiError) as missing:
        await threads.get_thread(made[0])
    assert missing.value.status_code == 404
    gone = await threads.delete_all_threads(organization_id=organization_id)
    assert (gone.deleted, gone.message) == (2, "Deleted 2 threads")
    assert (await threads.delete_all_threads()).deleted == 0


async def test_a_thread_gets_a_name(platform):
    threads, organization_id = platform.client.threads, await organization(platform)
    made = await threads.create_thread(organization_id=organization_id)
    named = await threads.generate_thread_name(
        made.id, messages=[MessageInput(role="user", content="How do foxes hunt? Tell me.")]
    )
    assert named["title"] == "How do foxes hunt?"
    await ask(platform, made.id, "And badgers?")
    assert (await threads.generate_thread_name(made.id))["title"] == "And badgers?"
    assert (await threads.get_thread(made.id)).title == "And badgers?"


async def test_messages_are_listed_changed_and_deleted(platform):
    messages = platform.client.messages
    await ask(platform, "t", "I am Ada.")
    await ask(platform, "t", "Who am I?")
    page = await messages.get_thread_messages("t", limit=3, order="asc")
    assert (page.object, page.has_more) == ("list", True)
    assert [(one.role, one.content) for one in page.data] == [
        ("user", "I am Ada."),
        ("assistant", "Hello there."),
        ("user", "Who am I?"),
    ]
    first = page.data[0]
    assert (first.thread_id, page.first_id, page.last_id) == ("t", first.id, page.data[2].id)
    assert isinstance(first.created_at, datetime.datetime)
    rest = await messages.get_thread_messages("t", order="asc", after=page.last_id, output_mode="text")
    assert [one.content for one in rest.data] == ["Hello there."]
    back = await messages.get_thread_messages("t", order="asc", before=rest.data[0].id)
    assert [one.id for one in back.data] == [one.id for one in page.data]
    changed = await messages.update_message("t", first.id, content="I am Eve.")
    assert (changed.id, changed.thread_id, changed.role, changed.content) == (first.id, "t", "user", "I am Eve.")
    assert changed.created_at == first.created_at
    deleted = await messages.delete_message("t", first.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (first.id, True, "thread.message.deleted")
    with pytest.raises(ApiError) as missing:
        await messages.delete_message("t", first.id)
    assert missing.value.status_code == 404


async def test_a_message_is_edited_and_asked_again(platform):
    await ask(platform, "t", "q1")
    await ask(platform, "t", "q2")
    listed = await platform.client.messages.get_thread_messages("t", order="asc")
    await ask(platform, "t", "better", edit_message_id=listed.data[2].id)
    now = await platform.client.messages.get_thread_messages("t", order="asc")
    assert [one.content for one in now.data if one.role == "user"] == ["q1", "better"]
    await ask(platform, "t", "instead", previous_message_id=listed.data[1].id)
    now = await platform.client.messages.get_thread_messages("t", order="asc")
    assert [one.content for one in now.data if one.role == "user"] == ["q1", "instead"]


async def test_a_stream_is_stopped_by_its_thread(platform):
    gate = Gate()
    platform.vendor.says(Answer(text("Half"), gate))
    async with platform.gateway.listening(*spelled("freddy", stream=True, thread="t", input="q")) as stream:
        await stream.next("response.output_text.delta")
        assert (await platform.client.threads.get_thread("t")).status == "streaming"
        stopped = await platform.client.responses.cancel_stream("t")
        await stream.next("response.cancelled")
    assert stopped.success
    assert stopped.cancel_mode == ("quick_edit" if stopped.elapsed_seconds < 5 else "keep_partial")
    quick = stopped.cancel_mode == "quick_edit"
    assert (stopped.user_message_deleted, stopped.assistant_response_deleted) == (quick, quick)
    assert stopped.partial_content_saved is not quick
    with pytest.raises(ApiError) as nothing:
        await platform.client.responses.cancel_stream("t")
    assert nothing.value.status_code == 404


async def test_the_synchronous_client_does_the_same(platform):
    organization_id = await organization(platform)

    def work() -> tuple[str, int, list[str]]:
        with platform.sync() as client:
            made = client.threads.create_thread(organization_id=organization_id, title="Tea")
            client.responses.create_response(inputs=[{"role": "user", "content": "Hi"}], thread_id=made.id)
            found = client.messages.get_thread_messages(made.id, order="asc")
            listed = client.threads.list_threads(include_total=True)
            return client.threads.get_thread(made.id).title, listed.total, [one.role for one in found.data]

    assert await asyncio.to_thread(work) == ("Tea", 1, ["user", "assistant"])
