"""Keeps the sealed keys that organizations bring for upstreams."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from freddy.server.core.provider_keys import ProviderKey
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.statements import Statement, Value, param

_keys = tables.provider_keys
_this = (_keys.c.organization_id == param("organization_id"), _keys.c.upstream == param("upstream"))
_new = sqlite.insert(_keys).values(statements.params(_keys))

_PUT = Statement(
    _new.on_conflict_do_update(
        index_elements=["organization_id", "upstream"],
        set_={name: _new.excluded[name] for name in ("sealed", "hint", "updated_at")},
    ).returning(*_keys.c)
)
_LIST = Statement(
    sa.select(_keys).where(_keys.c.organization_id == param("organization_id")).order_by(_keys.c.upstream)
)
_LIST_ALL = Statement(sa.select(_keys).order_by(_keys.c.organization_id, _keys.c.upstream))
_RESEAL = Statement(_keys.update().where(*_this, _keys.c.sealed == param("known")).values({"sealed": param("sealed")}))
_DELETE = Statement(_keys.delete().where(*_this))


class SqlProviderKeys:
    """The port `ProviderKeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, key: ProviderKey) -> ProviderKey:
        values = _PUT.bind(
            organization_id=key.organization_id,
            upstream=key.upstream,
            sealed=key.sealed,
            hint=key.hint,
            created_at=key.created_at,
            updated_at=key.updated_at,
        )
        return _key(await self._database.write(lambda connection: connection.execute(_PUT.sql, values).fetchone()))

    async def list(self, organization_id: str) -> Sequence[ProviderKey]:
        return await self._read(_LIST, organization_id=organization_id)

    async def list_all(self) -> Sequence[ProviderKey]:
        return await self._read(_LIST_ALL)

    async def reseal(self, key: ProviderKey, sealed: bytes) -> bool:
        values = _RESEAL.bind(
            organization_id=key.organization_id, upstream=key.upstream, known=key.sealed, sealed=sealed
        )
        return await self._database.write(lambda connection: connection.execute(_RESEAL.sql, values).rowcount > 0)

    async def delete(self, organization_id: str, upstream: str) -> bool:
        values = _DELETE.bind(organization_id=organization_id, upstream=upstream)
        return await self._database.write(lambda connection: connection.execute(_DELETE.sql, values).rowcount > 0)

    async def _read(self, statement: Statement, **values: Value) -> Sequence[ProviderKey]:
        bound = statement.bind(**values)
        return await self._database.read(
            lambda connection: [_key(row) for row in connection.execute(statement.sql, bound)]
        )


def _key(row: Sequence[Any]) -> ProviderKey:
    organization_id, upstream, sealed, hint, created_at, updated_at = row
    return ProviderKey(
        organization_id=organization_id,
        upstream=upstream,
        sealed=sealed,
        hint=hint,
        created_at=created_at,
        updated_at=updated_at,
    )
