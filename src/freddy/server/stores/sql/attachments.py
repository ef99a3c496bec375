"""Keeps what rules are attached to."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from freddy.server.core import errors
from freddy.server.core.rules import Attachment, Entity
from freddy.server.ports.records import Record
from freddy.server.stores.sql import records, statements, tables
from freddy.server.stores.sql.connection import Connection, Database, Taken
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_attachments = tables.attachments
_records = tables.records
_own = _attachments.c.organization_id == param("organization_id")
_of_rule = (_own, _attachments.c.rule_id == param("rule_id"))
_of_entity = (
    _own,
    _attachments.c.entity_type == param("entity_type"),
    _attachments.c.entity_id == param("entity_id"),
)
_this = (*_of_entity, _attachments.c.rule_id == param("rule_id"))


def _listed(*conditions: sa.ColumnElement[Any]) -> Statement:
    order = (_attachments.c.priority.desc(), _attachments.c.created_at, _attachments.c.id)
    return Statement(sa.select(_attachments).where(*conditions).order_by(*order))


_ADD = Statement(_attachments.insert().values(statements.params(_attachments)))
_RULE = Statement(
    sa.select(_records.c.id).where(
        _records.c.id == param("rule_id"),
        _records.c.organization_id == param("organization_id"),
        _records.c.kind == "rule",
    )
)
_COUNT = Statement(sa.select(sa.func.count()).select_from(_attachments).where(*_of_rule))
_GET = Statement(sa.select(_attachments).where(*_this))
_ALL = _listed(_own)
_OF_RULE = _listed(*_of_rule)
_OF_ENTITY = _listed(*_of_entity)
_CHANGE = Statement(
    _attachments.update()
    .where(*_this)
    .values({name: param(name) for name in ("priority", "character_limit", "active", "updated_at")})
)
_DELETE = Statement(_attachments.delete().where(*_this))
# A text within JSON has its quotation marks escaped: this can only be the field itself.
_is_public = (_records.c.kind == "rule", _records.c.data.like('%"is_public":true%'))
_PUBLIC = Statement(sa.select(_records).where(*_is_public).order_by(_records.c.created_at.desc(), _records.c.id.desc()))
_PUBLIC_RULE = Statement(sa.select(_records).where(*_is_public, _records.c.id == param("rule_id")))


class SqlAttachments:
    """The port `AttachmentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_rule(self, rule: Record, attachments: Sequence[Attachment], *, most: int) -> None:
        async def work(connection: Connection) -> None:
            await records.add_to(connection, rule, most=most)
            await connection.many(_ADD, [_values(one) for one in attachments])

        await self._database.write(work)

    async def add(self, attachment: Attachment, *, most: int) -> None:
        scope: dict[str, Value] = {"organization_id": attachment.organization_id, "rule_id": attachment.rule_id}

        async def work(connection: Connection) -> None:
            if await connection.one(_RULE, **scope) is None:
                raise errors.NotFound(f"There is no rule {attachment.rule_id!r}", param="rule_id")
            counted = await connection.one(_COUNT, **scope)
            if counted and counted[0] >= most:
                raise errors.Conflict(
                    f"The rule has {most} attachments, the most it may have",
                    details="detach it from what no longer needs it, or attach it to the organization",
                )
            try:
                await connection.run(_ADD, **_values(attachment))
            except Taken as error:
                raise errors.Conflict(
                    f"The rule is attached to the {attachment.entity_type} {attachment.entity_id!r} already",
                    param="entity_id",
                    details="change that attachment with PUT",
                ) from error

        await self._database.write(work)

    async def get(
        self, organization_id: str, rule_id: str, *, entity_type: Entity, entity_id: str
    ) -> Attachment | None:
        place = _place(organization_id, rule_id, entity_type, entity_id)

        async def work(connection: Connection) -> Attachment | None:
            row = await connection.one(_GET, **place)
            return _attachment(row) if row else None

        return await self._database.read(work)

    async def all(self, organization_id: str) -> Sequence[Attachment]:
        return await self._read(_ALL, organization_id=organization_id)

    async def of_rule(self, organization_id: str, rule_id: str) -> Sequence[Attachment]:
        return await self._read(_OF_RULE, organization_id=organization_id, rule_id=rule_id)

    async def of_entity(self, organization_id: str, entity_type: Entity, entity_id: str) -> Sequence[Attachment]:
        return await self._read(
            _OF_ENTITY, organization_id=organization_id, entity_type=entity_type, entity_id=entity_id
        )

    async def change(
        self,
        organization_id: str,
        rule_id: str,
        *,
        entity_type: Entity,
        entity_id: str,
        alter: Callable[[Attachment], Attachment],
    ) -> Attachment | None:
        place = _place(organization_id, rule_id, entity_type, entity_id)

        async def work(connection: Connection) -> Attachment | None:
            row = await connection.one(_GET, **place)
            if row is None:
                return None
            altered = alter(_attachment(row))
            await connection.run(
                _CHANGE,
                **place,
                priority=altered.priority,
                character_limit=altered.character_limit,
                active=altered.active,
                updated_at=altered.updated_at,
            )
            return altered

        return await self._database.write(work)

    async def delete(
        self, organization_id: str, rule_id: str, *, entity_type: Entity, entity_id: str
    ) -> Attachment | None:
        place = _place(organization_id, rule_id, entity_type, entity_id)

        async def work(connection: Connection) -> Attachment | None:
            row = await connection.one(_GET, **place)
            if row is None or not await connection.run(_DELETE, **place):
                return None
            return _attachment(row)

        return await self._database.write(work)

    async def public(self) -> Sequence[Record]:
        async def work(connection: Connection) -> Sequence[Record]:
            return [records.kept(row) for row in await connection.all(_PUBLIC)]

        return await self._database.read(work)

    async def public_rule(self, rule_id: str) -> Record | None:
        async def work(connection: Connection) -> Record | None:
            row = await connection.one(_PUBLIC_RULE, rule_id=rule_id)
            return records.kept(row) if row else None

        return await self._database.read(work)

    async def _read(self, statement: Statement, **scope: Value) -> Sequence[Attachment]:
        async def work(connection: Connection) -> Sequence[Attachment]:
            return [_attachment(row) for row in await connection.all(statement, **scope)]

        return await self._database.read(work)


def _place(organization_id: str, rule_id: str, entity_type: Entity, entity_id: str) -> Mapping[str, Value]:
    return {
        "organization_id": organization_id,
        "rule_id": rule_id,
        "entity_type": entity_type,
        "entity_id": entity_id,
    }


def _values(attachment: Attachment) -> dict[str, Value]:
    return {
        "id": attachment.id,
        "organization_id": attachment.organization_id,
        "rule_id": attachment.rule_id,
        "entity_type": attachment.entity_type,
        "entity_id": attachment.entity_id,
        "priority": attachment.priority,
        "character_limit": attachment.character_limit,
        "active": attachment.active,
        "created_at": attachment.created_at,
        "updated_at": attachment.updated_at,
        "created_by": attachment.created_by,
    }


def _attachment(row: Row) -> Attachment:
    (
        attachment_id,
        organization_id,
        rule_id,
        entity_type,
        entity_id,
        priority,
        character_limit,
        active,
        created_at,
        updated_at,
        created_by,
    ) = row
    return Attachment(
        id=attachment_id,
        organization_id=organization_id,
        rule_id=rule_id,
        entity_type=entity_type,
        entity_id=entity_id,
        priority=priority,
        character_limit=character_limit,
        active=bool(active),
        created_at=created_at,
        updated_at=updated_at,
        created_by=created_by,
    )
