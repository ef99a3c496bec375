"""Owns the noun thread: a kept conversation, where its items stand, and what it is called."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core import errors, items

Spot: TypeAlias = tuple[int, str, int]
"""Where an item stands in its thread: the place of its entry, `in` or `out`, and its position there. Spots sort."""

LONGEST_TITLE: Final = 200
_LONGEST_NAME: Final = 60
_BLANKS: Final = re.compile(r"[\s\0]+")
_SENTENCE: Final = re.compile(r"(?<=[.!?…。！？])\s+|(?<=[。！？])")


class Thread(Struct, frozen=True, kw_only=True):
    """Times are Unix seconds. `places` counts the entries that were ever added to it."""

    id: str
    organization_id: str
    created_at: int
    updated_at: int
    last_message_at: int | None = None
    title: str | None = None
    metadata: dict[str, str] = {}
    last_model: str | None = None
    message_count: int = 0
    places: int = 0
    pinned_at: int | None = None
    assistant_id: str | None = None
    """Bound by the first request that has one; other assistants are refused after that."""
    user_id: str | None = None
    visible: bool = True
    """Whether people should be shown it in lists."""


class Branch(Struct, frozen=True):
    """Where a request leaves its thread: what stands at `spot` and after it, up to the place `seen`, gives way."""

    spot: Spot
    seen: int


class Change(Struct, frozen=True, kw_only=True):
    """What is to be different in a thread; `UNSET` stays as it is, None is taken away."""

    title: str | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    assistant_id: str | UnsetType | None = UNSET
    visible: bool | UnsetType = UNSET


def changed(thread: Thread, change: Change, now: int) -> Thread:
    """Raises `errors.Conflict` for another assistant once the thread has an entry."""
    return replace(
        thread,
        updated_at=now,
        title=thread.title if change.title is UNSET else change.title,
        metadata=thread.metadata if change.metadata is UNSET else change.metadata,
        assistant_id=thread.assistant_id if change.assistant_id is UNSET else rebound(thread, change.assistant_id),
        visible=thread.visible if change.visible is UNSET else change.visible,
    )


def after(spot: Spot) -> Spot:
    """The first spot behind this one."""
    place, direction, position = spot
    return place, direction, position + 1


def check_assistant(thread: Thread, assistant_id: str | None, param: str = "assistant_id") -> None:
    """Raises `errors.Conflict` where the thread is bound to another assistant."""
    if assistant_id is not None and thread.assistant_id not in (None, assistant_id):
        raise errors.Conflict(
            f"The thread {thread.id!r} is bound to the assistant {thread.assistant_id!r}, "
            f"not to {assistant_id[:100]!r}",
            param=param,
            code="thread_bound",
            details="leave assistant_id out, or begin another thread",
        )


def rebound(thread: Thread, assistant_id: str | None) -> str | None:
    """The assistant that the thread is to be bound to. Raises `errors.Conflict` once it has an entry."""
    if assistant_id != thread.assistant_id and thread.places:
        raise errors.Conflict(
            f"The thread {thread.id!r} has messages: it stays with the assistant {thread.assistant_id!r}, "
            f"and is not given to {assistant_id and assistant_id[:100]!r}",
            param="assistant_id",
            code="thread_bound",
            details="begin another thread for another assistant",
        )
    return assistant_id


def gone_with(item: items.Item, before: Sequence[items.Item], calls: Iterable[items.Item]) -> frozenset[str]:
    """The ids of the items that make no sense without this one.

    A call and its output: a model asked without one of them refuses. And what was thought for it: `before` are the
    items right before it in the same response, `calls` all calls and outputs of the thread.
    """
    gone = set()
    for thought in reversed(before):
        if not isinstance(thought, items.Reasoning):
            break
        gone.add(thought.id)
    if isinstance(item, items.FunctionCall | items.FunctionOutput):
        gone |= {
            one.id
            for one in calls
            if isinstance(one, items.FunctionCall | items.FunctionOutput) and one.call_id == item.call_id
        }
    return frozenset(gone - {item.id})


def with_text(message: items.Message, text: str) -> items.Message:
    """The message with another text, where its first one stood; images, sounds and files stay."""
    parts: list[items.Part] = []
    said = False
    for part in message.parts:
        if not isinstance(part, items.Text | items.Refusal):
            parts.append(part)
        elif not said:
            parts.append(items.Text(text))
            said = True
    return replace(message, parts=tuple(parts) if said else (items.Text(text), *parts))


def name(text: str) -> str:
    """A name for a conversation that begins with this text: its first sentence, cut at a word where it is too long."""
    plain = _BLANKS.sub(" ", text).strip()
    sentence = _SENTENCE.split(plain, maxsplit=1)[0].rstrip(" .,;:。")
    if len(sentence) <= _LONGEST_NAME:
        return sentence
    cut = sentence[: _LONGEST_NAME - 1]
    whole, _, _ = cut.rpartition(" ")
    return (whole or cut).rstrip(" .,;:") + "…"
