"""Owns how the audit log is written, and how entries of it are asked for."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from freddy.server.core.audit import Entry
from freddy.server.dialects.freddy import accounts
from freddy.server.dialects.freddy.fields import Fields

CHANGE_LOGS: Final = accounts.names("skip", "take", "start_date", "end_date", "resource_type", "action")
_MOST: Final = 100
_encode = msgspec.json.Encoder().encode


class Asked(Struct, frozen=True, kw_only=True):
    """Times are Unix seconds: from the first to before the second."""

    skip: int = 0
    take: int = 20
    since: int | None = None
    until: int | None = None
    resource_type: str | None = None
    action: str | None = None


class ChangeView(Struct):
    field: str
    old_value: str | None
    new_value: str | None


class AuditEntryView(Struct, kw_only=True):
    object: Literal["audit_entry"] = "audit_entry"
    id: str
    organization_id: str
    timestamp: str
    actor_type: str
    actor_id: str | None
    action: str
    resource_type: str
    resource_id: str
    resource_name: str | None
    changes: tuple[ChangeView, ...]


class AuditLog(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[AuditEntryView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ChangeLogView(Struct, kw_only=True):
    id: str
    user_id: str
    user_name: str
    user_email: str
    action: str
    timestamp: str
    resource_type: str
    resource_id: str
    resource_name: str
    changes: tuple[ChangeView, ...]


class ChangeLogList(Struct, kw_only=True):
    logs: tuple[ChangeLogView, ...]
    total_count: int
    skip: int
    take: int


def decode_asked(body: bytes) -> Asked:
    return accounts.decoded(body, CHANGE_LOGS, _asked)


def encode_log(entries: Sequence[Entry], *, has_more: bool) -> bytes:
    return _encode(
        AuditLog(
            data=tuple(_view(entry) for entry in entries),
            first_id=entries[0].id if entries else None,
            last_id=entries[-1].id if entries else None,
            has_more=has_more,
        )
    )


def encode_change_logs(
    entries: Sequence[Entry], people: Mapping[str, tuple[str, str]], *, total: int, asked: Asked
) -> bytes:
    """`people` has name and e-mail address by the user's id."""
    logs = tuple(_change_log(entry, people) for entry in entries)
    return _encode(ChangeLogList(logs=logs, total_count=total, skip=asked.skip, take=asked.take))


def _asked(fields: Fields) -> Asked:
    return Asked(
        skip=fields.integer("skip", 0) or 0,
        take=fields.integer("take", 1, _MOST) or 20,
        since=accounts.moment(fields, "start_date"),
        until=accounts.moment(fields, "end_date"),
        resource_type=fields.string("resource_type", most=accounts.LONGEST_NAME),
        action=fields.string("action", most=accounts.LONGEST_NAME),
    )


def _changes(entry: Entry) -> tuple[ChangeView, ...]:
    return tuple(ChangeView(change.field, change.old, change.new) for change in entry.changes)


def _view(entry: Entry) -> AuditEntryView:
    return AuditEntryView(
        id=entry.id,
        organization_id=entry.organization_id,
        timestamp=accounts.iso(entry.at),
        actor_type=entry.actor_type,
        actor_id=entry.actor_id,
        action=entry.action,
        resource_type=entry.resource_type,
        resource_id=entry.resource_id,
        resource_name=entry.resource_name,
        changes=_changes(entry),
    )


def _change_log(entry: Entry, people: Mapping[str, tuple[str, str]]) -> ChangeLogView:
    # What no user did has the key, or the word for the command line, in the user's place.
    actor = entry.actor_id or entry.actor_type
    name, email = people.get(actor, (actor, ""))
    return ChangeLogView(
        id=entry.id,
        user_id=actor,
        user_name=name,
        user_email=email,
        action=entry.action,
        timestamp=accounts.iso(entry.at),
        resource_type=entry.resource_type,
        resource_id=entry.resource_id,
        resource_name=entry.resource_name or "",
        changes=_changes(entry),
    )
