"""Keeps organizations and the digests of API keys."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from freddy.server.core import errors
from freddy.server.core.accounts import ApiKey, Organization, Scope
from freddy.server.stores.sql import rows, statements, tables
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_organizations = tables.organizations
_keys = tables.api_keys

_ADD_ORGANIZATION = Statement(
    sqlite.insert(_organizations).values(statements.params(_organizations)).on_conflict_do_nothing()
)
_LIST_ORGANIZATIONS = Statement(sa.select(_organizations).order_by(_organizations.c.created_at, _organizations.c.id))
_ADD_KEY = Statement(_keys.insert().values(statements.params(_keys)))
_FIND_KEY = Statement(sa.select(_keys).where(_keys.c.digest == param("digest")))
_LIST_KEYS = Statement(sa.select(_keys).order_by(_keys.c.created_at, _keys.c.id))
_UPDATE_KEY = Statement(
    _keys.update()
    .where(_keys.c.id == param("id"))
    .values({name: param(name) for name in ("name", "organization_ids", "scopes", "expires_at", "revoked_at")})
)
_organization_ids = msgspec.json.Decoder(tuple[str, ...])
_scopes = msgspec.json.Decoder(tuple[Scope, ...])


class SqlAccounts:
    """The port `AccountStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_organization(self, organization: Organization) -> None:
        values = _ADD_ORGANIZATION.bind(id=organization.id, name=organization.name, created_at=organization.created_at)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_ADD_ORGANIZATION.sql, values)

        await self._database.write(work)

    async def list_organizations(self) -> Sequence[Organization]:
        return [_organization(row) for row in await self._rows(_LIST_ORGANIZATIONS)]

    async def add_key(self, key: ApiKey) -> None:
        values = _ADD_KEY.bind(
            id=key.id, prefix=key.prefix, digest=key.digest, created_at=key.created_at, **_changeable(key)
        )

        def work(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(_ADD_KEY.sql, values)
            except sqlite3.IntegrityError as error:
                raise errors.Conflict(f"There is a key {key.id!r}, or one with its secret, already.") from error

        await self._database.write(work)

    async def find_key(self, digest: bytes) -> ApiKey | None:
        found = await self._rows(_FIND_KEY, digest=digest)
        return _key(found[0]) if found else None

    async def list_keys(self, organization_id: str) -> Sequence[ApiKey]:
        keys = [_key(row) for row in await self._rows(_LIST_KEYS)]
        return [key for key in keys if organization_id in key.organization_ids]

    async def update_key(self, key: ApiKey) -> bool:
        values = _UPDATE_KEY.bind(id=key.id, **_changeable(key))
        return await self._database.write(lambda connection: connection.execute(_UPDATE_KEY.sql, values).rowcount > 0)

    async def _rows(self, statement: Statement, **values: Value) -> list[Row]:
        bound = statement.bind(**values)
        return await self._database.read(lambda connection: connection.execute(statement.sql, bound).fetchall())


def _changeable(key: ApiKey) -> dict[str, Value]:
    return {
        "name": key.name,
        "organization_ids": rows.text(key.organization_ids),
        "scopes": rows.text(key.scopes),
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _organization(row: Sequence[Any]) -> Organization:
    organization_id, name, created_at = row
    return Organization(id=organization_id, name=name, created_at=created_at)


def _key(row: Sequence[Any]) -> ApiKey:
    key_id, name, prefix, digest, organization_ids, scopes, created_at, expires_at, revoked_at = row
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
    )
