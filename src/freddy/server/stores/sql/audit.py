"""Keeps the audit log."""

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
import sqlalchemy as sa

from freddy.server.core.audit import Change, Entry
from freddy.server.ports.audit import Wanted
from freddy.server.ports.stores import Page
from freddy.server.stores.sql import rows, statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.paging import Listing
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_audit = tables.audit
_ADD = Statement(_audit.insert().values(statements.params(_audit)))
_changes = msgspec.json.Decoder(tuple[Change, ...])
_CONDITIONS: Mapping[str, sa.ColumnElement[bool]] = {
    "action": _audit.c.action == param("action"),
    "actor_id": _audit.c.actor_id == param("actor_id"),
    "resource_type": _audit.c.resource_type == param("resource_type"),
    "resource_id": _audit.c.resource_id == param("resource_id"),
    "user_id": sa.or_(
        sa.and_(_audit.c.actor_type == "user", _audit.c.actor_id == param("user_id")),
        sa.and_(_audit.c.resource_type.in_(("user", "member")), _audit.c.resource_id == param("user_id")),
    ),
    "since": _audit.c.at >= param("since"),
    "until": _audit.c.at < param("until"),
}


async def keep(connection: Connection, told: Sequence[Entry]) -> None:
    """Adds entries within a transaction of something else."""
    for entry in told:
        await connection.run(
            _ADD,
            id=entry.id,
            organization_id=entry.organization_id,
            at=entry.at,
            actor_type=entry.actor_type,
            actor_id=entry.actor_id,
            action=entry.action,
            resource_type=entry.resource_type,
            resource_id=entry.resource_id,
            resource_name=entry.resource_name,
            changes=rows.text(entry.changes),
        )


class SqlAudit:
    """The port `AuditStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entries: Sequence[Entry]) -> None:
        async def work(connection: Connection) -> None:
            await keep(connection, entries)

        await self._database.write(work)

    async def page(self, organization_id: str, wanted: Wanted, page: Page) -> tuple[Sequence[Entry], bool]:
        values = _given(wanted)

        async def work(connection: Connection) -> tuple[Sequence[Entry], bool]:
            found, more = await _listing(tuple(values)).page(
                connection, page, organization_id=organization_id, **values
            )
            return [_entry(row) for row in found], more

        return await self._database.read(work)

    async def slice(self, organization_id: str, wanted: Wanted, *, skip: int, take: int) -> tuple[Sequence[Entry], int]:
        values = _given(wanted)
        some, count = _slices(tuple(values))

        async def work(connection: Connection) -> tuple[Sequence[Entry], int]:
            found = await connection.all(some, organization_id=organization_id, **values, skip=skip, take=take)
            total = await connection.one(count, organization_id=organization_id, **values)
            return [_entry(row) for row in found], total[0] if total else 0

        return await self._database.read(work)


def _given(wanted: Wanted) -> dict[str, Value]:
    return {name: value for name in _CONDITIONS if (value := getattr(wanted, name)) is not None}


def _chosen(names: tuple[str, ...]) -> sa.Select[tuple[object, ...]]:
    conditions = [_CONDITIONS[name] for name in names]
    return sa.select(_audit).where(_audit.c.organization_id == param("organization_id"), *conditions)


@cache
def _listing(names: tuple[str, ...]) -> Listing:
    # Keys begin with a number: see `paging`.
    return Listing(_chosen(names), key=(_audit.c.at, _audit.c.id), cursor=_audit.c.id)


@cache
def _slices(names: tuple[str, ...]) -> tuple[Statement, Statement]:
    """The entries from `skip` on, and how many there are."""
    chosen = _chosen(names)
    some = chosen.order_by(_audit.c.at.desc(), _audit.c.id.desc()).offset(param("skip")).limit(param("take"))
    return Statement(some), Statement(chosen.with_only_columns(sa.func.count()))


def _entry(row: Row) -> Entry:
    (
        entry_id, organization_id, at, actor_type, actor_id, action,
        resource_type, resource_id, resource_name, changes,
    ) = row  # fmt: skip
    return Entry(
        id=entry_id,
        organization_id=organization_id,
        at=at,
        actor_type=actor_type,
        actor_id=actor_id,
        action=action,
        resource_type=resource_type,
        resource_id=resource_id,
        resource_name=resource_name,
        changes=_changes.decode(changes),
    )
