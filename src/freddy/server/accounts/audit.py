"""Remembers administrative changes, and tells them to who may know."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from freddy.server.core import ids
from freddy.server.core.accounts import Caller, Member, User
from freddy.server.core.audit import ActorType, Change, Entry, changes, length
from freddy.server.core.rules import Attachment
from freddy.server.ports.audit import AuditStore, Wanted
from freddy.server.ports.records import Record
from freddy.server.ports.stores import Page
from freddy.server.ports.world import Clock, IdSource

_ACTIONS: Final[Mapping[str, str]] = {"created": "create", "updated": "update", "deleted": "delete"}
_ATTACHING: Final[Mapping[str, str]] = {"created": "attach", "updated": "update_attachment", "deleted": "detach"}


class Audit:
    """Where a store takes entries, an `entry` is kept with the change; elsewhere it is `record`ed right after."""

    def __init__(self, store: AuditStore, *, clock: Clock, ids_from: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids_from

    def entry(
        self,
        caller: Caller | None,
        action: str,
        *,
        organization_id: str,
        resource_type: str,
        resource_id: str,
        name: str | None = None,
        changes: Sequence[Change] = (),
    ) -> Entry:
        """Without a caller it is the command line that acts."""
        actor_type, actor_id = _actor(caller)
        return Entry(
            id=self._ids.new(ids.AUDIT),
            organization_id=organization_id,
            at=int(self._clock.now()),
            actor_type=actor_type,
            actor_id=actor_id,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            resource_name=name,
            changes=tuple(changes),
        )

    def of_user(self, caller: Caller | None, action: str, user: User, members: Sequence[Member]) -> list[Entry]:
        """What is done to an account is told in each of its user's organizations."""
        return [
            self.entry(
                caller,
                action,
                organization_id=member.organization_id,
                resource_type="user",
                resource_id=user.id,
                name=user.email,
            )
            for member in members
        ]

    async def record(
        self,
        caller: Caller,
        action: str,
        *,
        resource_type: str,
        resource_id: str,
        name: str | None = None,
        changes: Sequence[Change] = (),
    ) -> None:
        """Keeps an entry for the caller's organization. `core.audit.changes` makes the changes."""
        entry = self.entry(
            caller,
            action,
            organization_id=caller.organization_id,
            resource_type=resource_type,
            resource_id=resource_id,
            name=name,
            changes=changes,
        )
        await self._store.add((entry,))

    async def changed(
        self, caller: Caller, action: str, kind: str, before: Record | None, after: Record | None
    ) -> None:
        """Keeps that a configured thing was changed: of its texts and lists how long they are, and no more."""
        record = after or before
        if record is None:
            return
        entry = self.entry(
            caller,
            f"{kind}.{_ACTIONS.get(action, action)}",
            organization_id=record.organization_id,
            resource_type=kind,
            resource_id=record.id,
            name=record.name,
            changes=_differences(before, after),
        )
        await self._store.add((entry,))

    async def attached(self, caller: Caller, action: str, before: Attachment | None, after: Attachment | None) -> None:
        """Keeps that a rule was attached to something, or is there in another way or no more."""
        one = after or before
        if one is None:
            return
        entry = self.entry(
            caller,
            f"rule.{_ATTACHING.get(action, action)}",
            organization_id=one.organization_id,
            resource_type="rule",
            resource_id=one.rule_id,
            changes=changes(_of(before), _of(after)),
        )
        await self._store.add((entry,))

    async def page(self, organization_id: str, wanted: Wanted, page: Page) -> tuple[Sequence[Entry], bool]:
        return await self._store.page(organization_id, wanted, page)

    async def slice(self, organization_id: str, wanted: Wanted, *, skip: int, take: int) -> tuple[Sequence[Entry], int]:
        return await self._store.slice(organization_id, wanted, skip=skip, take=take)


def _of(attachment: Attachment | None) -> dict[str, object]:
    if attachment is None:
        return {}
    return {
        "entity": f"{attachment.entity_type} {attachment.entity_id}",
        "priority": attachment.priority,
        "character_limit": attachment.character_limit,
        "active": attachment.active,
    }


def _differences(before: Record | None, after: Record | None) -> tuple[Change, ...]:
    old, new = _fields(before), _fields(after)
    return tuple(
        Change(name, _shown(old.get(name)), _shown(new.get(name)))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _fields(record: Record | None) -> dict[str, object]:
    if record is None:
        return {}
    return {**msgspec.json.decode(record.data, type=dict[str, object]), "name": Named(record.name)}


def _shown(value: object) -> str | None:
    """Numbers and switches as they are. Any text may be what somebody tells a model."""
    match value:
        case None:
            return None
        case Named():
            return value.name
        case str():
            return length(value)
        case list() | dict():
            return f"{len(value)} entries"
        case _:
            return msgspec.json.encode(value).decode()


class Named(Struct, frozen=True):
    """The one text of a thing that may be told."""

    name: str


def _actor(caller: Caller | None) -> tuple[ActorType, str | None]:
    if caller is None:
        return "cli", None
    if caller.user_id is not None:
        return "user", caller.user_id
    if caller.key_id is not None:
        return "key", caller.key_id
    return "development", None
