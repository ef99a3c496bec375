"""Owns what is remembered of administrative changes: who changed what, from what to what."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

ActorType: TypeAlias = Literal["user", "key", "development", "cli"]
LONGEST: Final = 256
"""Characters that are kept of a value."""


class Change(Struct, frozen=True):
    """A field, as texts: None is no value."""

    field: str
    old: str | None = None
    new: str | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """One change. `at` is in Unix seconds; ids sort by it. `actor_id` is None for the command line."""

    id: str
    organization_id: str
    at: int
    actor_type: ActorType
    actor_id: str | None = None
    action: str
    """What was done to what: `key.create`, `member.update`."""
    resource_type: str
    resource_id: str
    resource_name: str | None = None
    changes: tuple[Change, ...] = ()


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> tuple[Change, ...]:
    """The fields that differ. Hand over no secret and no text of a rule, a prompt or instructions: `length` of them."""
    names = [*new, *(name for name in old if name not in new)]
    return tuple(
        Change(name, _text(old.get(name)), _text(new.get(name))) for name in names if old.get(name) != new.get(name)
    )


def length(text: str | None) -> str | None:
    """What may be told of a text that is not to be repeated."""
    return None if text is None else f"{len(text)} characters"


def _text(value: object) -> str | None:
    if value is None:
        return None
    told = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"
