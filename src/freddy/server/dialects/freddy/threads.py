"""Owns how threads and their messages are written and read: the bodies of /v1/threads."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import items
from freddy.server.core.threads import Thread
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy.fields import Fields, check_thread_id, read, too_deep

_TITLE: Final = 200
_encode = msgspec.json.Encoder().encode

Entry: TypeAlias = tuple[items.Item, str, int]
"""An item, the id of its response, and when that was created (Unix seconds)."""


class NewThread(Struct, frozen=True):
    """What a caller may say of a thread that it makes."""

    id: str | None = None
    title: str | None = None
    metadata: dict[str, str] = {}
    organization_id: str | None = None


class ThreadChange(Struct, frozen=True):
    """What is to be different; `UNSET` stays as it is, a title of None is taken away."""

    title: str | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


class ThreadView(Struct, kw_only=True):
    id: str
    object: Literal["thread"] = "thread"
    created_at: str
    updated_at: str
    last_message_at: str | None
    metadata: dict[str, str]
    assistant_id: None = None
    organization_id: str
    user_id: None = None
    title: str | None
    status: Literal["inactive"] = "inactive"
    message_count: int
    visible_in_ui: bool = True
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
    total: None = None


class Pin(Struct):
    id: str
    is_pinned: bool
    pinned_at: str | None
    message: str


class Deleted(Struct):
    id: str
    object: Literal["thread.deleted"] = "thread.deleted"
    deleted: bool = True


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
    response_id: str
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


def decode_thread_create(body: bytes) -> NewThread:
    fields = _read(body)
    new_id = fields.string("id")
    if new_id is not None:
        check_thread_id(fields.place("id"), new_id)
    return NewThread(
        id=new_id,
        title=fields.string("title", most=_TITLE),
        metadata=fields.metadata() or {},
        organization_id=fields.identifier("organization_id"),
    )


def decode_thread_update(body: bytes) -> ThreadChange:
    fields = _read(body)
    title, metadata = fields.string("title", most=_TITLE), fields.metadata()
    return ThreadChange(
        title=title if fields.given("title") else UNSET,
        metadata=(metadata or {}) if fields.given("metadata") else UNSET,
    )


def encode_thread(thread: Thread) -> bytes:
    return _encode(_view(thread))


def encode_threads(threads: Sequence[Thread], *, has_more: bool, limit: int) -> bytes:
    return _encode(
        ThreadList(
            data=tuple(_view(thread) for thread in threads),
            first_id=threads[0].id if threads else None,
            last_id=threads[-1].id if threads else None,
            has_more=has_more,
            limit=limit,
        )
    )


def encode_pin(thread: Thread) -> bytes:
    pinned = thread.pinned_at is not None
    return _encode(Pin(thread.id, pinned, _time(thread.pinned_at), "Thread pinned" if pinned else "Thread unpinned"))


def encode_deleted(thread_id: str) -> bytes:
    return _encode(Deleted(thread_id))


def encode_messages(thread_id: str, entries: Sequence[Entry], *, has_more: bool, limit: int) -> bytes:
    """The messages of a page of items. The cursors are ids of the page's items, of hidden ones, too."""
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


def _read(body: bytes) -> Fields:
    try:
        return Fields(read(body), aliases.THREAD)
    except RecursionError:
        raise too_deep() from None


def _view(thread: Thread) -> ThreadView:
    return ThreadView(
        id=thread.id,
        created_at=_iso(thread.created_at),
        updated_at=_iso(thread.updated_at),
        last_message_at=_time(thread.last_message_at),
        metadata=thread.metadata,
        organization_id=thread.organization_id,
        title=thread.title,
        message_count=thread.message_count,
        last_model_used=thread.last_model,
        is_pinned=thread.pinned_at is not None,
        pinned_at=_time(thread.pinned_at),
    )


def _message(thread_id: str, entry: Entry) -> MessageView | None:
    item, response_id, created_at = entry
    view = MessageView(
        id=item.id,
        created_at=_iso(created_at),
        thread_id=thread_id,
        response_id=response_id,
        role="assistant",
        content="",
    )
    match item:
        case items.Message():
            view.role, view.content = item.role, _said(item.parts)
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
