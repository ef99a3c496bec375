"""Owns how threads and their messages are written and read: the bodies of /v1/threads."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import ids, items
from freddy.server.core.threads import LONGEST_TITLE, Change, Thread
from freddy.server.dialects.freddy import aliases, inputs
from freddy.server.dialects.freddy.fields import Fields, check_thread_id, read, too_deep

_LONGEST_TEXT: Final = 1_000_000
_encode = msgspec.json.Encoder().encode

Entry: TypeAlias = tuple[items.Item, str, int]
"""An item, the id of its response or entry, and when that was created (Unix seconds)."""


class NewThread(Struct, frozen=True):
    """What a caller may say of a thread that it makes."""

    id: str | None = None
    title: str | None = None
    metadata: dict[str, str] = {}
    organization_id: str | None = None
    assistant_id: str | None = None
    visible: bool = True
    messages: tuple[items.Item, ...] = ()


class ThreadView(Struct, kw_only=True):
    id: str
    object: Literal["thread"] = "thread"
    created_at: str
    updated_at: str
    last_message_at: str | None
    metadata: dict[str, str]
    assistant_id: str | None
    organization_id: str
    user_id: str | None
    title: str | None
    status: Literal["inactive", "streaming"]
    message_count: int
    visible_in_ui: bool
    last_model_used: str | None
    is_pinned: bool
    pinned_at: str | None
    space_ids: tuple[str, ...] = ()


class ThreadList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[ThreadView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool
    limit: int
    total: int | None


class Pin(Struct):
    id: str
    is_pinned: bool
    pinned_at: str | None
    message: str


class Deleted(Struct):
    id: str
    object: Literal["thread.deleted"] = "thread.deleted"
    deleted: bool = True


class AllDeleted(Struct):
    deleted: int
    message: str
    object: Literal["thread.deleted_all"] = "thread.deleted_all"


class Named(Struct):
    thread_id: str
    title: str | None
    name: str | None
    object: Literal["thread.name"] = "thread.name"


class MessageDeleted(Struct):
    id: str
    object: Literal["thread.message.deleted"] = "thread.message.deleted"
    deleted: Literal[True] = True


class Stopped(Struct, kw_only=True):
    """`quick_edit`: nothing of the request stays in the thread. `keep_partial`: what was said until then does."""

    success: Literal[True] = True
    response_id: str
    thread_id: str
    cancel_mode: Literal["quick_edit", "keep_partial"]
    elapsed_seconds: float
    user_message_deleted: bool
    assistant_response_deleted: bool
    partial_content_saved: bool


class Function(Struct):
    name: str
    arguments: str


class ToolCall(Struct):
    id: str
    type: Literal["function"]
    function: Function


class Attachment(Struct, omit_defaults=True):
    type: Literal["image", "audio", "file"]
    file_id: str | None = None
    url: str | None = None
    filename: str | None = None


class MessageView(Struct, kw_only=True):
    id: str
    object: Literal["thread.message"] = "thread.message"
    created_at: str
    thread_id: str
    response_id: str | None
    role: str
    content: str
    attachments: tuple[Attachment, ...] | UnsetType = UNSET
    tool_calls: tuple[ToolCall, ...] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class MessageList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[MessageView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool
    limit: int


def decode_thread_create(body: bytes, new_id: ids.NewId) -> NewThread:
    try:
        return _new_thread(Fields(read(body), aliases.NEW_THREAD), new_id)
    except RecursionError:
        raise too_deep() from None


def _new_thread(fields: Fields, new_id: ids.NewId) -> NewThread:
    thread_id = fields.string("id")
    if thread_id is not None:
        check_thread_id(fields.place("id"), thread_id)
    return NewThread(
        id=thread_id,
        title=_title(fields),
        metadata=fields.metadata() or {},
        organization_id=fields.identifier("organization_id"),
        assistant_id=fields.identifier("assistant_id"),
        visible=fields.flag("visible_in_ui", default=True),
        messages=inputs.decode(fields, new_id, "messages") if fields.get("messages") else (),
    )


def decode_thread_update(body: bytes) -> Change:
    fields = _read(body, aliases.THREAD)
    title, metadata = _title(fields), fields.metadata()
    assistant_id, visible = fields.identifier("assistant_id"), fields.boolean("visible_in_ui")
    return Change(
        title=title if fields.given("title") else UNSET,
        metadata=(metadata or {}) if fields.given("metadata") else UNSET,
        assistant_id=assistant_id if fields.given("assistant_id") else UNSET,
        visible=UNSET if visible is None else visible,
    )


def _title(fields: Fields) -> str | None:
    title = fields.string("title", most=LONGEST_TITLE)
    if title is not None and "\0" in title:  # not every database keeps it
        raise fields.wrong("title", "must not have the character U+0000 in it")
    return title


def decode_message_update(body: bytes) -> str:
    """The new text of a message."""
    fields = _read(body, aliases.THREAD_MESSAGE)
    if fields.get("metadata"):
        raise fields.wrong("metadata", "is not kept of a message: give it to the thread")
    content = fields.string("content", least=1, most=_LONGEST_TEXT)
    if content is None:
        raise fields.wrong("content", "must be the new text of the message")
    return content


def decode_naming(body: bytes) -> str | None:
    """The text that a thread is to be named after: what the user said first. None where no message is sent."""
    fields = _read(body, aliases.THREAD_NAME)
    first: str | None = None
    for place, each in fields.array("messages"):
        message = Fields(each, aliases.NAMED_MESSAGE, place, open_=True)
        role, content = message.string("role", least=1), message.string("content")
        if role is None:
            raise message.wrong("role", "must say whose message it is")
        if first is None and role == "user" and content and content.strip():
            first = content
    return first


def encode_thread(thread: Thread, *, busy: bool = False) -> bytes:
    return _encode(_view(thread, busy=busy))


def encode_threads(
    threads: Sequence[tuple[Thread, bool]], *, has_more: bool, limit: int, total: int | None = None
) -> bytes:
    """Each with whether a response is being made for it."""
    return _encode(
        ThreadList(
            data=tuple(_view(thread, busy=busy) for thread, busy in threads),
            first_id=threads[0][0].id if threads else None,
            last_id=threads[-1][0].id if threads else None,
            has_more=has_more,
            limit=limit,
            total=total,
        )
    )


def encode_pin(thread: Thread) -> bytes:
    pinned = thread.pinned_at is not None
    return _encode(Pin(thread.id, pinned, _time(thread.pinned_at), "Thread pinned" if pinned else "Thread unpinned"))


def encode_deleted(thread_id: str) -> bytes:
    return _encode(Deleted(thread_id))


def encode_all_deleted(count: int) -> bytes:
    return _encode(AllDeleted(count, "No thread was there" if not count else f"Deleted {count} threads"))


def encode_name(thread: Thread) -> bytes:
    return _encode(Named(thread.id, thread.title, thread.title))


def encode_message(thread_id: str, entry: Entry) -> bytes:
    return _encode(_message(thread_id, entry))


def encode_message_deleted(message_id: str) -> bytes:
    return _encode(MessageDeleted(message_id))


def encode_stopped(response_id: str, thread_id: str, *, seconds: float, kept: bool) -> bytes:
    """`kept`: what was said until then stays in the thread."""
    return _encode(
        Stopped(
            response_id=response_id,
            thread_id=thread_id,
            cancel_mode="keep_partial" if kept else "quick_edit",
            elapsed_seconds=round(seconds, 3),
            user_message_deleted=not kept,
            assistant_response_deleted=not kept,
            partial_content_saved=kept,
        )
    )


def encode_messages(thread_id: str, entries: Sequence[Entry], *, has_more: bool, limit: int) -> bytes:
    """The messages, calls and their outputs of a page."""
    views = (_message(thread_id, entry) for entry in entries)
    return _encode(
        MessageList(
            data=tuple(view for view in views if view is not None),
            first_id=entries[0][0].id if entries else None,
            last_id=entries[-1][0].id if entries else None,
            has_more=has_more,
            limit=limit,
        )
    )


def _read(body: bytes, names: aliases.Names) -> Fields:
    try:
        return Fields(read(body), names)
    except RecursionError:
        raise too_deep() from None


def _view(thread: Thread, *, busy: bool) -> ThreadView:
    return ThreadView(
        id=thread.id,
        created_at=_iso(thread.created_at),
        updated_at=_iso(thread.updated_at),
        last_message_at=_time(thread.last_message_at),
        metadata=thread.metadata,
        assistant_id=thread.assistant_id,
        organization_id=thread.organization_id,
        user_id=thread.user_id,
        title=thread.title,
        status="streaming" if busy else "inactive",
        message_count=thread.message_count,
        visible_in_ui=thread.visible,
        last_model_used=thread.last_model,
        is_pinned=thread.pinned_at is not None,
        pinned_at=_time(thread.pinned_at),
    )


def _message(thread_id: str, entry: Entry) -> MessageView | None:
    item, owner_id, created_at = entry
    view = MessageView(
        id=item.id,
        created_at=_iso(created_at),
        thread_id=thread_id,
        response_id=None if owner_id.startswith(f"{ids.ENTRY}_") else owner_id,
        role="assistant",
        content="",
    )
    match item:
        case items.Message():
            view.role, view.content = "system" if item.role == "developer" else item.role, _said(item.parts)
            view.attachments = _attachments(item.parts) or UNSET
        case items.FunctionCall():
            call = ToolCall(item.call_id, "function", Function(item.name, item.arguments))
            view.tool_calls = (call,)
        case items.FunctionOutput():
            view.role, view.content, view.tool_call_id = "tool", item.text, item.call_id
            view.name = item.name or UNSET
        case _:
            return None
    return view


def _said(parts: tuple[items.Part, ...]) -> str:
    """Texts and refusals. Several texts are paragraphs."""
    texts = [
        part.text if isinstance(part, items.Text) else part.refusal
        for part in parts
        if isinstance(part, (items.Text, items.Refusal))
    ]
    return "\n\n".join(texts)


def _attachments(parts: tuple[items.Part, ...]) -> tuple[Attachment, ...]:
    return tuple(attachment for part in parts if (attachment := _attachment(part)) is not None)


def _attachment(part: items.Part) -> Attachment | None:
    match part:
        case items.Image():
            # A data URL is the image itself: a list of messages is no place for it.
            url = None if part.url and part.url.startswith("data:") else part.url
            return Attachment("image", part.file_id, url)
        case items.Audio():
            return Attachment("audio", part.file_id)
        case items.File():
            return Attachment("file", part.file_id, part.url, part.filename)
        case _:
            return None


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else _iso(seconds)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
