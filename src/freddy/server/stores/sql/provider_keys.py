"""Keeps the sealed keys that organizations bring for upstreams."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from freddy.server.core.provider_keys import ProviderKey
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Statement, Value, param

_keys = tables.provider_keys
_this = (_keys.c.organization_id == param("organization_id"), _keys.c.upstream == param("upstream"))
_new = statements.insert(_keys).values(statements.params(_keys))

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
        async def work(connection: Connection) -> ProviderKey:
            (row,) = await connection.all(
                _PUT,
                organization_id=key.organization_id,
                upstream=key.upstream,
                sealed=key.sealed,
                hint=key.hint,
                created_at=key.created_at,
                updated_at=key.updated_at,
            )
            return _key(row)

        return await self._database.write(work)

    async def list(self, organization_id: str) -> Sequence[ProviderKey]:
        return await self._read(_LIST, organization_id=organization_id)

    async def list_all(self) -> Sequence[ProviderKey]:
        return await self._read(_LIST_ALL)

    async def reseal(self, key: ProviderKey, sealed: bytes) -> bool:
        return await self._write(
            _RESEAL, organization_id=key.organization_id, upstream=key.upstream, known=key.sealed, sealed=sealed
        )

    async def delete(self, organization_id: str, upstream: str) -> bool:
        return await self._write(_DELETE, organization_id=organization_id, upstream=upstream)

    async def _read(self, statement: Statement, **values: Value) -> Sequence[ProviderKey]:
        async def work(connection: Connection) -> Sequence[ProviderKey]:
            return [_key(row) for row in await connection.all(statement, **values)]

        return await self._database.read(work)

    async def _write(self, statement: Statement, **values: Value) -> bool:
        async def work(connection: Connection) -> bool:
            return await connection.run(statement, **values) > 0

        return await self._database.write(work)


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
