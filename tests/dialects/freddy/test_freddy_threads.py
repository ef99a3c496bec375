"""Threads and their messages, as the published client reads and writes them."""

import json

import pytest

from freddy.server.core import errors, items
from freddy.server.core.threads import Change, Thread
from freddy.server.dialects.freddy import aliases, threads
from freddy_fakes import CountingIds

THREAD = Thread(id="thrd_1", organization_id="org_1", created_at=1741476542, updated_at=1741476543)


def test_a_new_thread_is_told_whole():
    assert json.loads(threads.encode_thread(THREAD)) == {
        "id": "thrd_1",
        "object": "thread",
        "created_at": "2025-03-08T23:29:02Z",
        "updated_at": "2025-03-08T23:29:03Z",
        "last_message_at": None,
        "metadata": {},
        "assistant_id": None,
        "organization_id": "org_1",
        "user_id": None,
        "title": None,
        "status": "inactive",
        "message_count": 0,
        "visible_in_ui": True,
        "last_model_used": None,
        "is_pinned": False,
        "pinned_at": None,
        "space_ids": [],
    }


def test_a_used_thread_tells_its_use():
    used = Thread(
        id="thrd_1",
        organization_id="org_1",
        created_at=0,
        updated_at=1,
        last_message_at=2,
        title="Weather",
        metadata={"a": "b"},
        last_model="m",
        message_count=4,
        pinned_at=3,
    )
    told = json.loads(threads.encode_thread(used))

    assert (told["last_message_at"], told["pinned_at"]) == ("1970-01-01T00:00:02Z", "1970-01-01T00:00:03Z")
    assert (told["title"], told["metadata"], told["last_model_used"]) == ("Weather", {"a": "b"}, "m")
    assert (told["message_count"], told["is_pinned"]) == (4, True)
    assert json.loads(threads.encode_pin(used)) == {
        "id": "thrd_1",
        "is_pinned": True,
        "pinned_at": "1970-01-01T00:00:03Z",
        "message": "Thread pinned",
    }


def test_a_page_of_threads_has_cursors():
    other = Thread(id="thrd_2", organization_id="org_1", created_at=0, updated_at=0)

    page = json.loads(threads.encode_threads([(THREAD, True), (other, False)], has_more=True, limit=2))

    told = [(thread["id"], thread["status"]) for thread in page.pop("data")]
    assert told == [("thrd_1", "streaming"), ("thrd_2", "inactive")]
    assert page == {
        "object": "list",
        "first_id": "thrd_1",
        "last_id": "thrd_2",
        "has_more": True,
        "limit": 2,
        "total": None,
    }
    empty = json.loads(threads.encode_threads([], has_more=False, limit=20))
    assert (empty["data"], empty["first_id"], empty["last_id"]) == ([], None, None)


def test_a_deleted_thread_leaves_a_receipt():
    assert json.loads(threads.encode_deleted("thrd_1")) == {
        "id": "thrd_1",
        "object": "thread.deleted",
        "deleted": True,
    }


def test_messages_are_told_with_what_belongs_to_them():
    question = items.Message(
        "msg_1",
        "user",
        (
            items.Text("What is this?"),
            items.Text("Be quick."),
            items.Image(file_id="file_1"),
            items.Image(url="data:image/png;base64,AA"),
            items.Audio(file_id="file_2"),
            items.File(url="https://x/y.pdf", filename="y.pdf"),
        ),
    )
    page = [
        (question, "resp_1", 0),
        (items.Reasoning("rs_1", texts=("Hm.",)), "resp_1", 0),
        (items.FunctionCall("fc_1", "call_1", "look", "{}"), "resp_1", 1),
        (items.FunctionOutput("fco_1", "call_1", (items.Text("a cat"),), name="look"), "resp_2", 2),
        (items.Message("msg_2", "assistant", (items.Refusal("No."),)), "resp_2", 3),
        (items.Reasoning("rs_2"), "resp_2", 3),
    ]

    told = json.loads(threads.encode_messages("thrd_1", page, has_more=False, limit=20))

    def message(item_id: str, response: str, second: int, role: str, content: str, **more: object) -> dict:
        return {
            "id": item_id,
            "object": "thread.message",
            "created_at": f"1970-01-01T00:00:0{second}Z",
            "thread_id": "thrd_1",
            "response_id": response,
            "role": role,
            "content": content,
            **more,
        }

    assert told == {
        "object": "list",
        "data": [
            message(
                "msg_1",
                "resp_1",
                0,
                "user",
                "What is this?\n\nBe quick.",
                attachments=[
                    {"type": "image", "file_id": "file_1"},
                    {"type": "image"},
                    {"type": "audio", "file_id": "file_2"},
                    {"type": "file", "url": "https://x/y.pdf", "filename": "y.pdf"},
                ],
            ),
            message(
                "fc_1",
                "resp_1",
                1,
                "assistant",
                "",
                tool_calls=[{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            ),
            message("fco_1", "resp_2", 2, "tool", "a cat", tool_call_id="call_1", name="look"),
            message("msg_2", "resp_2", 3, "assistant", "No."),
        ],
        "first_id": "msg_1",
        "last_id": "rs_2",
        "has_more": False,
        "limit": 20,
    }


def create(body: bytes) -> threads.NewThread:
    return threads.decode_thread_create(body, CountingIds().new)


def test_a_thread_may_be_made_with_nothing():
    assert create(b"") == threads.NewThread()


def test_a_thread_may_be_made_as_the_published_client_does_it():
    body = {
        "organization_id": "org_1",
        "title": "Weather",
        "metadata": {"a": "b"},
        "assistantId": "asst_1",
        "visible_in_ui": False,
    }
    assert create(json.dumps(body).encode()) == threads.NewThread(
        title="Weather", metadata={"a": "b"}, organization_id="org_1", assistant_id="asst_1", visible=False
    )


def test_only_what_is_given_is_changed():
    def change(body: dict) -> Change:
        return threads.decode_thread_update(json.dumps(body).encode())

    assert change({}) == Change()
    assert change({"title": "T"}) == Change(title="T")
    assert change({"title": None, "metadata": None}) == Change(title=None, metadata={})
    assert change({"metadata": {"a": "b"}}) == Change(metadata={"a": "b"})


@pytest.mark.parametrize(("spelling", "name"), aliases.THREAD.items())
def test_every_spelling_of_a_thread_key_means_the_same(spelling, name):
    value = {"metadata": {"a": "b"}, "visible_in_ui": False}.get(name, "x")

    assert create(json.dumps({spelling: value}).encode()) == (create(json.dumps({name: value}).encode()))


@pytest.mark.parametrize(
    ("body", "param", "details"),
    [
        ({"title": "x" * 201}, "title", "title must be at most 200 characters long"),
        ({"title": "a\0"}, "title", "title must not have the character U+0000 in it"),
        ({"title": 1}, "title", "title must be a string"),
        ({"metadata": {"k": 1}}, "metadata.k", "metadata.k must be a string"),
        ({"id": "a b"}, "id", "id must be 1 to 128 letters, digits, _, -, . or :"),
        ({"titel": "x"}, "titel", "did you mean title?"),
    ],
)
def test_a_wrong_thread_is_refused_with_its_place_and_the_cure(body, param, details):
    with pytest.raises(errors.FreddyError) as raised:
        create(json.dumps(body).encode())

    assert (raised.value.param, raised.value.details) == (param, details)
