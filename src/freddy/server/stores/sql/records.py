"""Keeps configured things: assistants, rules, prompts, each with all its versions."""

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.ports.records import Kind, Record
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database, Taken
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_records = tables.records
_versions = tables.record_versions
_attachments = tables.attachments
_this = (_records.c.id == param("id"), _records.c.organization_id == param("organization_id"))
_in_version = (
    sa.select(
        _records.c.id,
        _records.c.organization_id,
        _records.c.kind,
        _versions.c.version,
        _versions.c.name,
        _versions.c.data,
        _records.c.created_at,
        _versions.c.created_at,
        _versions.c.created_by,
    )
    .join_from(_records, _versions, _versions.c.id == _records.c.id)
    .where(*_this)
)
_AT_ONCE = 16
"""Ids that one statement looks for."""

_ADD = Statement(_records.insert().values(statements.params(_records)))
_ADD_VERSION = Statement(_versions.insert().values(statements.params(_versions)))
_COUNT = Statement(
    sa.select(sa.func.count())
    .select_from(_records)
    .where(_records.c.organization_id == param("organization_id"), _records.c.kind == param("kind"))
)
_GET = Statement(sa.select(_records).where(*_this))
_GET_VERSION = Statement(_in_version.where(_versions.c.version == param("version")))
_FIND = Statement(
    sa.select(_records).where(
        _records.c.organization_id == param("organization_id"),
        _records.c.id.in_([param(f"id_{place}") for place in range(_AT_ONCE)]),
    )
)
_ALL = Statement(
    sa.select(_records)
    .where(_records.c.organization_id == param("organization_id"), _records.c.kind == param("kind"))
    .order_by(_records.c.created_at.desc(), _records.c.id.desc())
)
_CHANGE = Statement(
    _records.update().where(*_this).values({name: param(name) for name in ("version", "name", "data", "updated_at")})
)
_DELETE = Statement(_records.delete().where(*_this))
# What is attached *to* the record: what the record itself is attached to goes by the foreign key.
_DETACH = Statement(
    _attachments.delete().where(
        _attachments.c.organization_id == param("organization_id"),
        _attachments.c.entity_type == "assistant",
        _attachments.c.entity_id == param("id"),
    )
)
_VERSIONS = Statement(_in_version.order_by(_versions.c.version.desc()))


class SqlRecords:
    """The port `RecordStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: Record, *, most: int) -> None:
        await self._database.write(lambda connection: add_to(connection, record, most=most))

    async def get(self, organization_id: str, record_id: str, *, version: int | None = None) -> Record | None:
        async def work(connection: Connection) -> Record | None:
            if version is None:
                row = await connection.one(_GET, organization_id=organization_id, id=record_id)
            else:
                row = await connection.one(_GET_VERSION, organization_id=organization_id, id=record_id, version=version)
            return kept(row) if row else None

        return await self._database.read(work)

    async def find(self, organization_id: str, record_ids: Sequence[str]) -> Mapping[str, Record]:
        if not record_ids:
            return {}
        wanted = list(dict.fromkeys(record_ids))

        async def work(connection: Connection) -> Mapping[str, Record]:
            found: dict[str, Record] = {}
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                some += some[:1] * (_AT_ONCE - len(some))
                ids: dict[str, Value] = {f"id_{place}": each for place, each in enumerate(some)}
                for row in await connection.all(_FIND, organization_id=organization_id, **ids):
                    record = kept(row)
                    found[record.id] = record
            return found

        return await self._database.read(work)

    async def all(self, organization_id: str, kind: Kind) -> Sequence[Record]:
        async def work(connection: Connection) -> Sequence[Record]:
            rows = await connection.all(_ALL, organization_id=organization_id, kind=kind)
            return [kept(row) for row in rows]

        return await self._database.read(work)

    async def change(self, organization_id: str, record_id: str, alter: Callable[[Record], Record]) -> Record | None:
        async def work(connection: Connection) -> Record | None:
            row = await connection.one(_GET, organization_id=organization_id, id=record_id)
            if row is None:
                return None
            before = kept(row)
            altered = alter(before)
            if altered is before:
                return before
            version = before.version + 1
            await connection.run(
                _CHANGE,
                organization_id=organization_id,
                id=record_id,
                version=version,
                name=altered.name,
                data=altered.data.decode(),
                updated_at=altered.updated_at,
            )
            after = replace(
                before, version=version, name=altered.name, data=altered.data, updated_at=altered.updated_at
            )
            await connection.run(_ADD_VERSION, **_version_values(replace(after, created_by=altered.created_by)))
            return after

        return await self._database.write(work)

    async def delete(self, organization_id: str, record_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            if not await connection.run(_DELETE, organization_id=organization_id, id=record_id):
                return False
            await connection.run(_DETACH, organization_id=organization_id, id=record_id)
            return True

        return await self._database.write(work)

    async def versions(self, organization_id: str, record_id: str) -> Sequence[Record]:
        async def work(connection: Connection) -> Sequence[Record]:
            rows = await connection.all(_VERSIONS, organization_id=organization_id, id=record_id)
            return [kept(row) for row in rows]

        return await self._database.read(work)


async def add_to(connection: Connection, record: Record, *, most: int) -> None:
    """What `RecordStore.add` does, as a part of another work."""
    scope: dict[str, Value] = {"organization_id": record.organization_id, "kind": record.kind}
    counted = await connection.one(_COUNT, **scope)
    if counted and counted[0] >= most:
        raise errors.Conflict(
            f"The organization has {most} {record.kind}s, the most it may have.",
            details=f"Delete a {record.kind} that is no longer needed.",
        )
    try:
        await connection.run(_ADD, **_values(record))
    except Taken as error:
        raise errors.Conflict(f"There is a {record.kind} {record.id!r} already.", param="id") from error
    await connection.run(_ADD_VERSION, **_version_values(record))


def _values(record: Record) -> dict[str, Value]:
    return {
        "id": record.id,
        "organization_id": record.organization_id,
        "kind": record.kind,
        "version": record.version,
        "name": record.name,
        "data": record.data.decode(),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "created_by": record.created_by,
    }


def _version_values(record: Record) -> dict[str, Value]:
    return {
        "id": record.id,
        "version": record.version,
        "name": record.name,
        "data": record.data.decode(),
        "created_at": record.updated_at,
        "created_by": record.created_by,
    }


def kept(row: Row) -> Record:
    record_id, organization_id, kind, version, name, data, created_at, updated_at, created_by = row
    return Record(
        id=record_id,
        organization_id=organization_id,
        kind=kind,
        version=version,
        name=name,
        data=data.encode(),
        created_at=created_at,
        updated_at=updated_at,
        created_by=created_by,
    )
