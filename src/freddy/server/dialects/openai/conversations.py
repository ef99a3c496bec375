"""Owns how threads are written and read as OpenAI's conversations.

https://platform.openai.com/docs/api-reference/conversations
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import errors, ids, items
from freddy.server.core.threads import Thread
from freddy.server.dialects.openai import input as reading
from freddy.server.dialects.openai import items as writing
from freddy.server.dialects.openai import shapes
from freddy.server.dialects.openai.request import INCLUDABLE, checked_metadata

MOST_ITEMS: Final = 20
"""Of one request. https://platform.openai.com/docs/api-reference/conversations/create-items"""
_encode = msgspec.json.Encoder().encode


class NewConversation(Struct, frozen=True):
    metadata: dict[str, str]
    items: tuple[items.Item, ...]


class ConversationView(Struct, kw_only=True):
    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: dict[str, str]


class ConversationDeleted(Struct):
    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: bool = True


class ConversationItemList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: list[writing.Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


class _Create(Struct):
    items: list[Raw] | None = None
    metadata: dict[str, str] | None = None


class _Update(Struct):
    metadata: dict[str, str] | None


class _AddItems(Struct):
    items: list[Raw]


_CREATE = shapes.Shape(_Create)
_UPDATE = shapes.Shape(_Update)
_ADD_ITEMS = shapes.Shape(_AddItems)


def decode_create(body: bytes, new_id: ids.NewId) -> NewConversation:
    """An empty body asks for an empty conversation."""
    shapes.check_utf8(body)
    asked = _CREATE.read(body) if body.strip() else _Create()
    return NewConversation(checked_metadata(asked.metadata or {}), _items(asked.items or (), new_id))


def decode_update(body: bytes) -> dict[str, str]:
    """The metadata, in the place of the metadata there was."""
    shapes.check_utf8(body)
    return checked_metadata(_UPDATE.read(body).metadata or {})


def decode_items(body: bytes, new_id: ids.NewId) -> tuple[items.Item, ...]:
    shapes.check_utf8(body)
    asked = _ADD_ITEMS.read(body)
    if not asked.items:
        raise errors.InvalidValue("items", f"must be 1 to {MOST_ITEMS} items")
    return _items(asked.items, new_id)


def decode_include(names: Iterable[str]) -> writing.Show:
    """What is written besides for those who include it."""
    asked = {shapes.pick(INCLUDABLE, name, "include") for name in names}
    return writing.Show(
        encrypted="reasoning.encrypted" in asked,
        logprobs="message.logprobs" in asked,
        results="file_search.results" in asked,
    )


def encode_conversation(thread: Thread) -> bytes:
    return _encode(ConversationView(id=thread.id, created_at=thread.created_at, metadata=thread.metadata))


def encode_deleted(thread_id: str) -> bytes:
    return _encode(ConversationDeleted(thread_id))


def encode_item(item: items.Item, show: writing.Show) -> bytes:
    return _encode(writing.spell(item, show))


def encode_items(page: Sequence[items.Item], show: writing.Show, *, has_more: bool) -> bytes:
    return _encode(
        ConversationItemList(
            data=[writing.spell(item, show) for item in page],
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=has_more,
        )
    )


def _items(raws: Sequence[Raw], new_id: ids.NewId) -> tuple[items.Item, ...]:
    if len(raws) > MOST_ITEMS:
        raise errors.InvalidValue("items", f"must be at most {MOST_ITEMS} items at a time")
    return reading.decode(raws, new_id, at="items")
