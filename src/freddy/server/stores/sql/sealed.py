"""Goes through the rows that hold something sealed beside what they are for."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from freddy.server.ports.sealer import Name
from freddy.server.stores.sql import tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Statement, param


class SqlSealedRows:
    """The port `SealedRows`: the rows of a table in which a column is filled."""

    def __init__(self, database: Database, *, id_: sa.Column[str], data: sa.Column[bytes]) -> None:
        """`id_` names a row within its organization."""
        table = id_.table
        organization_id = table.c.organization_id
        this = (organization_id == param("organization_id"), id_ == param("id"))
        self._database = database
        self._names = Statement(sa.select(organization_id, id_).where(data.is_not(None)).order_by(organization_id, id_))
        self._get = Statement(sa.select(data).where(*this, data.is_not(None)))
        self._change = Statement(
            sa.update(table).where(*this, data == param("before")).values({data.name: param("after")})
        )

    async def names(self) -> Sequence[Name]:
        async def work(connection: Connection) -> Sequence[Name]:
            return [(organization_id, id_) for organization_id, id_ in await connection.all(self._names)]

        return await self._database.read(work)

    async def get(self, name: Name) -> bytes | None:
        return await self._database.read(lambda connection: self._data(connection, name))

    async def change(self, name: Name, alter: Callable[[bytes], bytes]) -> None:
        organization_id, id_ = name

        async def work(connection: Connection) -> None:
            before = await self._data(connection, name)
            if before is not None:
                after = alter(before)
                await connection.run(self._change, organization_id=organization_id, id=id_, before=before, after=after)

        await self._database.write(work)

    async def _data(self, connection: Connection, name: Name) -> bytes | None:
        organization_id, id_ = name
        row = await connection.one(self._get, organization_id=organization_id, id=id_)
        return None if row is None else bytes(row[0])


def plans(database: Database) -> SqlSealedRows:
    """Of runs that are not over."""
    return SqlSealedRows(database, id_=tables.runs.c.response_id, data=tables.runs.c.plan)


def answers(database: Database) -> SqlSealedRows:
    """To requests with an idempotency key, by that."""
    return SqlSealedRows(database, id_=tables.repeats.c.key, data=tables.repeats.c.answer)
