"""Keeps organizations and the digests of API keys."""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.accounts import About, ApiKey, Member, Organization, Scope
from freddy.server.core.assistants import Settings
from freddy.server.core.audit import Entry
from freddy.server.core.files import blob_of
from freddy.server.core.limits import Limits
from freddy.server.ports.stores import AlterKey, AlterOrganization
from freddy.server.stores.sql import audit, rows, statements, tables
from freddy.server.stores.sql.connection import Connection, Database, Taken
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_organizations = tables.organizations
_keys = tables.api_keys
_this_key = (_keys.c.organization_id == param("organization_id"), _keys.c.id == param("id"))
_key_changes = [column.name for column in _keys.columns if column.name not in ("id", "created_at")]

_ADD_ORGANIZATION = Statement(
    statements.insert(_organizations).values(statements.params(_organizations)).on_conflict_do_nothing()
)
_FIND_ORGANIZATION = Statement(sa.select(_organizations).where(_organizations.c.id == param("id")))
_in_order = sa.select(_organizations).order_by(_organizations.c.created_at, _organizations.c.id)
_LIST_ORGANIZATIONS = Statement(_in_order.where(_organizations.c.deleted_at.is_(None)))
_LIST_DELETED = Statement(_in_order.where(_organizations.c.deleted_at.is_not(None)))
_UPDATE_ORGANIZATION = Statement(
    _organizations.update()
    .where(_organizations.c.id == param("id"))
    .values({name: param(name) for name in ("name", "updated_at", "deleted_at", "data")})
)
_PURGE_ORGANIZATION = Statement(_organizations.delete().where(_organizations.c.id == param("id")))
_FILES = Statement(sa.select(tables.files.c.id).where(tables.files.c.organization_id == param("organization_id")))
_ORPHAN_BLOB = Statement(
    statements.insert(tables.orphan_blobs).values(statements.params(tables.orphan_blobs)).on_conflict_do_nothing()
)
_PURGES = [
    Statement(table.delete().where(table.c.organization_id == param("organization_id")))
    for table in reversed(tables.metadata.sorted_tables)
    if "organization_id" in table.c
]
"""Whatever names an organization, those first that refer to others. What names only such a row goes with it."""
_ADD_OWNER = Statement(
    statements.insert(tables.members).values(statements.params(tables.members)).on_conflict_do_nothing()
)
_ADD_KEY = Statement(_keys.insert().values(statements.params(_keys)))
_FIND_KEY = Statement(sa.select(_keys).where(_keys.c.digest == param("digest")))
_GET_KEY = Statement(sa.select(_keys).where(*_this_key))
_KEY = Statement(sa.select(_keys).where(_keys.c.id == param("id")))
_of_organization = sa.select(_keys).where(_keys.c.organization_id == param("organization_id"))
_LIST_KEYS = Statement(_of_organization.order_by(_keys.c.created_at, _keys.c.id))
_PAGE_KEYS = Statement(
    _of_organization.order_by(_keys.c.created_at.desc(), _keys.c.id.desc()).offset(param("skip")).limit(param("take"))
)
_COUNT_KEYS = Statement(_of_organization.with_only_columns(sa.func.count()))
_UPDATE_KEY = Statement(
    _keys.update().where(_keys.c.id == param("id")).values({name: param(name) for name in _key_changes})
)
_TOUCH_KEY = Statement(_keys.update().where(_keys.c.id == param("id")).values({"data": param("data")}))
_DELETE_KEY = Statement(_keys.delete().where(*_this_key))


class _OrganizationRest(Struct, frozen=True, omit_defaults=True):
    """What of an organization is never asked for alone."""

    limits: Limits | None = None
    about: About = About()
    defaults: Settings = Settings()


class _KeyRest(Struct, frozen=True, omit_defaults=True):
    """What of a key is never asked for alone."""

    paused_at: int | None = None
    deactivated_at: int | None = None
    last_used_at: int | None = None
    created_by: str | None = None
    limits: Limits | None = None
    metadata: dict[str, str] = {}


_organization_ids = msgspec.json.Decoder(tuple[str, ...])
_scopes = msgspec.json.Decoder(tuple[Scope, ...])
_organization_rest = msgspec.json.Decoder(_OrganizationRest)
_key_rest = msgspec.json.Decoder(_KeyRest)


async def insert_organization(connection: Connection, organization: Organization) -> bool:
    """Within a transaction of something else. Whether it was not there."""
    values = _organization_values(organization)
    return await connection.run(_ADD_ORGANIZATION, created_at=organization.created_at, **values) > 0


class SqlAccounts:
    """The port `AccountStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_organization(
        self,
        organization: Organization,
        *,
        owner: Member | None = None,
        key_id: str | None = None,
        told: Sequence[Entry] = (),
    ) -> None:
        async def work(connection: Connection) -> None:
            if not await insert_organization(connection, organization):
                return
            if owner is not None:
                await connection.run(_ADD_OWNER, **msgspec.structs.asdict(owner))
            if key_id is not None:
                row = await connection.one(_KEY, id=key_id)
                if row is None:
                    raise errors.NotFound(f"There is no API key {key_id!r}", param="key_id")
                key = _key(row)
                reaching = replace(key, organization_ids=(*key.organization_ids, organization.id))
                await connection.run(_UPDATE_KEY, id=key_id, **_key_values(reaching))
            await audit.keep(connection, told)

        await self._database.write(work)

    async def find_organization(self, organization_id: str) -> Organization | None:
        found = await self._rows(_FIND_ORGANIZATION, id=organization_id)
        return _organization(found[0]) if found else None

    async def list_organizations(self) -> Sequence[Organization]:
        return [_organization(row) for row in await self._rows(_LIST_ORGANIZATIONS)]

    async def list_deleted_organizations(self) -> Sequence[Organization]:
        return [_organization(row) for row in await self._rows(_LIST_DELETED)]

    async def change_organization(self, organization_id: str, alter: AlterOrganization) -> Organization | None:
        async def work(connection: Connection) -> Organization | None:
            row = await connection.one(_FIND_ORGANIZATION, id=organization_id)
            if row is None:
                return None
            altered, told = alter(_organization(row))
            await connection.run(_UPDATE_ORGANIZATION, **_organization_values(altered))
            await audit.keep(connection, told)
            return altered

        return await self._database.write(work)

    async def purge_organization(self, organization_id: str) -> int:
        async def work(connection: Connection) -> int:
            row = await connection.one(_FIND_ORGANIZATION, id=organization_id)
            if row is None or _organization(row).deleted_at is None:
                return 0
            files = await connection.all(_FILES, organization_id=organization_id)
            await connection.many(_ORPHAN_BLOB, [{"name": blob_of(file_id)} for (file_id,) in files])
            gone = 0
            for statement in _PURGES:
                gone += await connection.run(statement, organization_id=organization_id)
            return gone + await connection.run(_PURGE_ORGANIZATION, id=organization_id)

        return await self._database.write(work)

    async def add_key(self, key: ApiKey, *, told: Sequence[Entry] = ()) -> None:
        values = _key_values(key)

        async def work(connection: Connection) -> None:
            try:
                await connection.run(_ADD_KEY, id=key.id, created_at=key.created_at, **values)
            except Taken as error:
                raise errors.Conflict(f"There is a key {key.id!r}, or one with its secret, already.") from error
            await audit.keep(connection, told)

        await self._database.write(work)

    async def find_key(self, digest: bytes) -> ApiKey | None:
        found = await self._rows(_FIND_KEY, digest=digest)
        return _key(found[0]) if found else None

    async def get_key(self, organization_id: str, key_id: str) -> ApiKey | None:
        found = await self._rows(_GET_KEY, organization_id=organization_id, id=key_id)
        return _key(found[0]) if found else None

    async def list_keys(self, organization_id: str) -> Sequence[ApiKey]:
        return [_key(row) for row in await self._rows(_LIST_KEYS, organization_id=organization_id)]

    async def page_keys(self, organization_id: str, *, skip: int, take: int) -> tuple[Sequence[ApiKey], int]:
        async def work(connection: Connection) -> tuple[Sequence[ApiKey], int]:
            found = await connection.all(_PAGE_KEYS, organization_id=organization_id, skip=skip, take=take)
            total = await connection.one(_COUNT_KEYS, organization_id=organization_id)
            return [_key(row) for row in found], total[0] if total else 0

        return await self._database.read(work)

    async def change_key(self, organization_id: str, key_id: str, alter: AlterKey) -> ApiKey | None:
        async def work(connection: Connection) -> ApiKey | None:
            row = await connection.one(_GET_KEY, organization_id=organization_id, id=key_id)
            if row is None:
                return None
            altered, told = alter(_key(row))
            await connection.run(_UPDATE_KEY, id=key_id, **_key_values(altered))
            await audit.keep(connection, told)
            return altered

        return await self._database.write(work)

    async def update_key(self, key: ApiKey) -> bool:
        async def work(connection: Connection) -> bool:
            row = await connection.one(_KEY, id=key.id)
            if row is None:
                return False
            used = replace(key, last_used_at=_key(row).last_used_at)
            return await connection.run(_UPDATE_KEY, id=key.id, **_key_values(used)) > 0

        return await self._database.write(work)

    async def delete_key(self, organization_id: str, key_id: str, *, told: Sequence[Entry] = ()) -> ApiKey | None:
        async def work(connection: Connection) -> ApiKey | None:
            row = await connection.one(_GET_KEY, organization_id=organization_id, id=key_id)
            if row is None:
                return None
            await connection.run(_DELETE_KEY, organization_id=organization_id, id=key_id)
            await audit.keep(connection, told)
            return _key(row)

        return await self._database.write(work)

    async def touch_keys(self, used: Mapping[str, int]) -> None:
        async def work(connection: Connection) -> None:
            for key_id, at in used.items():
                row = await connection.one(_KEY, id=key_id)
                if row is None:
                    continue
                key = _key(row)
                if key.last_used_at is None or key.last_used_at < at:
                    await connection.run(_TOUCH_KEY, id=key_id, data=_key_data(replace(key, last_used_at=at)))

        await self._database.write(work)

    async def _rows(self, statement: Statement, **values: Value) -> list[Row]:
        async def work(connection: Connection) -> list[Row]:
            return await connection.all(statement, **values)

        return await self._database.read(work)


def _organization_values(organization: Organization) -> dict[str, Value]:
    return {
        "id": organization.id,
        "name": organization.name,
        "updated_at": organization.updated_at,
        "deleted_at": organization.deleted_at,
        "data": rows.text(_OrganizationRest(organization.limits, organization.about, organization.defaults)),
    }


def _organization(row: Row) -> Organization:
    organization_id, name, created_at, updated_at, deleted_at, data = row
    rest = _organization_rest.decode(data)
    return Organization(
        id=organization_id,
        name=name,
        created_at=created_at,
        updated_at=updated_at,
        deleted_at=deleted_at,
        limits=rest.limits,
        about=rest.about,
        defaults=rest.defaults,
    )


def _key_values(key: ApiKey) -> dict[str, Value]:
    return {
        "name": key.name,
        "prefix": key.prefix,
        "digest": key.digest,
        "organization_ids": rows.text(key.organization_ids),
        "scopes": rows.text(key.scopes),
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "organization_id": key.organization_ids[0],
        "data": _key_data(key),
    }


def _key_data(key: ApiKey) -> str:
    return rows.text(
        _KeyRest(
            paused_at=key.paused_at,
            deactivated_at=key.deactivated_at,
            last_used_at=key.last_used_at,
            created_by=key.created_by,
            limits=key.limits,
            metadata=key.metadata,
        )
    )


def _key(row: Row) -> ApiKey:
    (
        key_id, name, prefix, digest, organization_ids, scopes, created_at, expires_at, revoked_at,
        _, data,
    ) = row  # fmt: skip
    rest = _key_rest.decode(data)
    return ApiKey(
        id=key_id,
        name=name,
        prefix=prefix,
        digest=digest,
        organization_ids=_organization_ids.decode(organization_ids),
        scopes=_scopes.decode(scopes),
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        paused_at=rest.paused_at,
        deactivated_at=rest.deactivated_at,
        last_used_at=rest.last_used_at,
        created_by=rest.created_by,
        limits=rest.limits,
        metadata=rest.metadata,
    )
