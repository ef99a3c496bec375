"""Keeps files: what is known of them, not their content."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from freddy.server.core import errors
from freddy.server.core.files import File, blob_of
from freddy.server.ports.stores import FilePage
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.engine import Database
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
_REMOVE = Statement(_files.delete().where(_files.c.id == param("id")))
_ORPHANS = Statement(sa.select(_orphans.c.name).order_by(_orphans.c.name))
_ADD_ORPHAN = Statement(_orphans.insert().prefix_with("OR IGNORE", dialect="sqlite").values(name=param("name")))
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
        taken, values = _TAKEN.bind(id=file_id), _ADD_ORPHAN.bind(name=blob_of(file_id))

        def work(connection: sqlite3.Connection) -> None:
            if (
                connection.execute(_TAKEN.sql, taken).fetchone()
                or not connection.execute(_ADD_ORPHAN.sql, values).rowcount
            ):
                raise errors.Conflict(f"There is a file {file_id!r} already, or it is being uploaded.", param="file_id")

        await self._database.write(work)

    async def add(self, files: Sequence[File]) -> None:
        rows = [_ADD.bind(**{name: getattr(file, name) for name in _order}) for file in files]
        claimed = [_FORGET.bind(name=file.blob) for file in files]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_ADD.sql, rows)
            connection.executemany(_FORGET.sql, claimed)

        await self._database.write(work)

    async def find(self, organization_id: str, file_ids: Sequence[str], now: int) -> Mapping[str, File]:
        wanted = [_GET.bind(id=file_id, organization_id=organization_id, now=now) for file_id in file_ids]

        def work(connection: sqlite3.Connection) -> Mapping[str, File]:
            rows = (connection.execute(_GET.sql, values).fetchone() for values in wanted)
            return {file.id: file for file in map(_file, filter(None, rows))}

        return await self._database.read(work)

    async def list(self, organization_id: str, page: FilePage, now: int) -> tuple[Sequence[File], bool]:
        descending = page.order == "desc"
        statement = _LISTS[page.order, page.purpose is not None]
        values = statement.bind(
            organization_id=organization_id,
            now=now,
            low=_LOWEST if descending else (page.after or _LOWEST),
            high=(page.after or _HIGHEST) if descending else _HIGHEST,
            purpose=page.purpose,
            limit=page.limit + 1,
            skip=page.skip,
        )

        def work(connection: sqlite3.Connection) -> tuple[Sequence[File], bool]:
            found = [_file(row) for row in connection.execute(statement.sql, values)]
            return found[: page.limit], len(found) > page.limit

        return await self._database.read(work)

    async def count(self, organization_id: str, now: int) -> int:
        values = _COUNT.bind(organization_id=organization_id, now=now)
        return await self._database.read(lambda connection: int(connection.execute(_COUNT.sql, values).fetchone()[0]))

    async def delete(self, organization_id: str, file_id: str, now: int) -> bool:
        values = _DELETE.bind(id=file_id, organization_id=organization_id, now=now)

        def work(connection: sqlite3.Connection) -> bool:
            gone = connection.execute(_DELETE.sql, values).rowcount > 0
            if gone:
                connection.execute(_ADD_ORPHAN.sql, _ADD_ORPHAN.bind(name=blob_of(file_id)))
            return gone

        return await self._database.write(work)

    async def expire(self, now: int) -> int:
        values = _EXPIRED.bind(now=now)

        def look(connection: sqlite3.Connection) -> list[str]:
            return [file_id for (file_id,) in connection.execute(_EXPIRED.sql, values)]

        def work(connection: sqlite3.Connection) -> int:
            expired = look(connection)
            connection.executemany(_REMOVE.sql, [_REMOVE.bind(id=file_id) for file_id in expired])
            connection.executemany(_ADD_ORPHAN.sql, [_ADD_ORPHAN.bind(name=blob_of(file_id)) for file_id in expired])
            return len(expired)

        # Mostly there is nothing to write.
        return await self._database.write(work) if await self._database.read(look) else 0

    async def orphans(self) -> Sequence[str]:
        return await self._database.read(lambda connection: [name for (name,) in connection.execute(_ORPHANS.sql, ())])

    async def forget(self, blobs: Sequence[str]) -> None:
        values = [_FORGET.bind(name=name) for name in blobs]
        await self._database.write(lambda connection: connection.executemany(_FORGET.sql, values))


def _file(row: Sequence[Any]) -> File:
    return File(**dict(zip(_order, row, strict=True)))
