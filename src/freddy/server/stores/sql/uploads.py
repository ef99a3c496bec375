"""Keeps files: what is known of them, not their content."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from freddy.server.core import errors
from freddy.server.core.files import File, blob_of
from freddy.server.ports.stores import FilePage
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Statement, param

_files = tables.files
_orphans = tables.orphan_blobs
_alive = sa.or_(_files.c.expires_at.is_(None), _files.c.expires_at > param("now"))
_mine = sa.and_(_files.c.organization_id == param("organization_id"), _alive)
_order = [column.name for column in _files.columns]
_LOWEST, _HIGHEST = "", "\U0010ffff"

_ADD = Statement(_files.insert().values(statements.params(_files)))
_GET = Statement(sa.select(*_files.columns).where(_files.c.id == param("id"), _mine))
_TAKEN = Statement(sa.select(_files.c.id).where(_files.c.id == param("id")))
_COUNT = Statement(sa.select(sa.func.count()).where(_mine))
_DELETE = Statement(_files.delete().where(_files.c.id == param("id"), _mine))
_EXPIRED = Statement(sa.select(_files.c.id).where(_files.c.expires_at <= param("now")))
_EXPIRED_OF = Statement(sa.select(_files.c.organization_id, _files.c.id).where(_files.c.expires_at <= param("now")))
_REMOVE = Statement(_files.delete().where(_files.c.id == param("id")))
_ORPHANS = Statement(sa.select(_orphans.c.name).order_by(_orphans.c.name))
_ADD_ORPHAN = Statement(statements.insert(_orphans).values(name=param("name")).on_conflict_do_nothing())
_FORGET = Statement(_orphans.delete().where(_orphans.c.name == param("name")))


def _listing(*, descending: bool, by_purpose: bool) -> Statement:
    query = sa.select(*_files.columns).where(_mine, _files.c.id > param("low"), _files.c.id < param("high"))
    if by_purpose:
        query = query.where(_files.c.purpose == param("purpose"))
    order = _files.c.id.desc() if descending else _files.c.id
    return Statement(query.order_by(order).limit(param("limit")).offset(param("skip")))


_LISTS = {
    (order, by_purpose): _listing(descending=order == "desc", by_purpose=by_purpose)
    for order in ("asc", "desc")
    for by_purpose in (False, True)
}


class SqlFiles:
    """The port `FileStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, file_id: str) -> None:
        async def work(connection: Connection) -> None:
            if await connection.one(_TAKEN, id=file_id) or not await connection.run(_ADD_ORPHAN, name=blob_of(file_id)):
                raise errors.Conflict(f"There is a file {file_id!r} already, or it is being uploaded.", param="file_id")

        await self._database.write(work)

    async def add(self, files: Sequence[File]) -> None:
        async def work(connection: Connection) -> None:
            await connection.many(_ADD, [{name: getattr(file, name) for name in _order} for file in files])
            await connection.many(_FORGET, [{"name": file.blob} for file in files])

        await self._database.write(work)

    async def find(self, organization_id: str, file_ids: Sequence[str], now: int) -> Mapping[str, File]:
        async def work(connection: Connection) -> Mapping[str, File]:
            found = {}
            for file_id in file_ids:
                row = await connection.one(_GET, id=file_id, organization_id=organization_id, now=now)
                if row:
                    found[file_id] = _file(row)
            return found

        return await self._database.read(work)

    async def list(self, organization_id: str, page: FilePage, now: int) -> tuple[Sequence[File], bool]:
        descending = page.order == "desc"
        statement = _LISTS[page.order, page.purpose is not None]

        async def work(connection: Connection) -> tuple[Sequence[File], bool]:
            rows = await connection.all(
                statement,
                organization_id=organization_id,
                now=now,
                low=_LOWEST if descending else (page.after or _LOWEST),
                high=(page.after or _HIGHEST) if descending else _HIGHEST,
                purpose=page.purpose,
                limit=page.limit + 1,
                skip=page.skip,
            )
            return [_file(row) for row in rows[: page.limit]], len(rows) > page.limit

        return await self._database.read(work)

    async def count(self, organization_id: str, now: int) -> int:
        async def work(connection: Connection) -> int:
            ((count,),) = await connection.all(_COUNT, organization_id=organization_id, now=now)
            return int(count)

        return await self._database.read(work)

    async def delete(self, organization_id: str, file_id: str, now: int) -> bool:
        async def work(connection: Connection) -> bool:
            gone = await connection.run(_DELETE, id=file_id, organization_id=organization_id, now=now) > 0
            if gone:
                await connection.run(_ADD_ORPHAN, name=blob_of(file_id))
            return gone

        return await self._database.write(work)

    async def expired(self, now: int) -> Sequence[tuple[str, str]]:
        async def work(connection: Connection) -> Sequence[tuple[str, str]]:
            return [(organization_id, id_) for organization_id, id_ in await connection.all(_EXPIRED_OF, now=now)]

        return await self._database.read(work)

    async def expire(self, now: int) -> int:
        async def look(connection: Connection) -> list[str]:
            return [file_id for (file_id,) in await connection.all(_EXPIRED, now=now)]

        async def work(connection: Connection) -> int:
            expired = await look(connection)
            await connection.many(_REMOVE, [{"id": file_id} for file_id in expired])
            await connection.many(_ADD_ORPHAN, [{"name": blob_of(file_id)} for file_id in expired])
            return len(expired)

        # Mostly there is nothing to write.
        return await self._database.write(work) if await self._database.read(look) else 0

    async def orphans(self) -> Sequence[str]:
        async def work(connection: Connection) -> Sequence[str]:
            return [name for (name,) in await connection.all(_ORPHANS)]

        return await self._database.read(work)

    async def forget(self, blobs: Sequence[str]) -> None:
        async def work(connection: Connection) -> None:
            await connection.many(_FORGET, [{"name": name} for name in blobs])

        await self._database.write(work)


def _file(row: Sequence[Any]) -> File:
    return File(**dict(zip(_order, row, strict=True)))
