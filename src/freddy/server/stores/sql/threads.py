"""Keeps threads, and reads the items of their responses."""

import sqlite3
from collections.abc import Sequence

import sqlalchemy as sa

from freddy.server.core import errors
from freddy.server.core.items import Item
from freddy.server.core.threads import Thread
from freddy.server.ports.stores import Page, ThreadItem
from freddy.server.stores.sql import rows, statements, tables
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.paging import Listing
from freddy.server.stores.sql.statements import Statement, param

_threads = tables.threads
_responses = tables.responses
_items = tables.items
_place = (_responses.c.seq, _items.c.direction, _items.c.position)
_this = (_threads.c.id == param("id"), _threads.c.organization_id == param("organization_id"))
_kept = (
    sa.select(_items.c.data, _responses.c.id, _responses.c.created_at)
    .join_from(_responses, _items, _items.c.response_id == _responses.c.id)
    .where(
        _responses.c.organization_id == param("organization_id"),
        _responses.c.thread_id == param("id"),
        _responses.c.status.in_(tables.SUCCEEDED),
    )
)
_message_count = (
    sa.select(sa.func.count())
    .join_from(_responses, _items, _items.c.response_id == _responses.c.id)
    .where(
        _responses.c.organization_id == _threads.c.organization_id,
        _responses.c.thread_id == _threads.c.id,
        _responses.c.status.in_(tables.SUCCEEDED),
        tables.MESSAGES,
    )
    .correlate(_threads)
    .scalar_subquery()
)
_counted = sa.select(*_threads.columns, _message_count)

_ADD = Statement(_threads.insert().values(statements.params(_threads)))
_GET = Statement(_counted.where(*_this))
_UPDATE = Statement(
    _threads.update()
    .where(*_this)
    .values(
        title=param("title"),
        metadata=param("metadata"),
        pinned_at=param("pinned_at"),
        updated_at=sa.case(
            (_threads.c.updated_at < param("updated_at"), param("updated_at")), else_=_threads.c.updated_at
        ),
    )
)
_DELETE = Statement(_threads.delete().where(*_this))
_ITEMS = Statement(_kept.with_only_columns(_items.c.data, maintain_column_froms=True).order_by(*_place))
_LIST = Listing(
    _counted.where(_threads.c.organization_id == param("organization_id")),
    key=(_threads.c.created_at, _threads.c.id),
    cursor=_threads.c.id,
)
_PAGE = Listing(_kept, key=_place, cursor=_items.c.id)


class SqlThreads:
    """The port `ThreadStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, thread: Thread) -> None:
        values = _ADD.bind(
            organization_id=thread.organization_id,
            id=thread.id,
            created_at=thread.created_at,
            updated_at=thread.updated_at,
            last_message_at=thread.last_message_at,
            title=thread.title,
            metadata=rows.text(thread.metadata),
            last_model=thread.last_model,
            pinned_at=thread.pinned_at,
        )

        def work(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(_ADD.sql, values)
            except sqlite3.IntegrityError as error:
                raise errors.Conflict(f"There is a thread {thread.id!r} already.", param="id") from error

        await self._database.write(work)

    async def get(self, organization_id: str, thread_id: str) -> Thread | None:
        values = _GET.bind(id=thread_id, organization_id=organization_id)

        def work(connection: sqlite3.Connection) -> Thread | None:
            row = connection.execute(_GET.sql, values).fetchone()
            return rows.thread(row) if row else None

        return await self._database.read(work)

    async def list(self, organization_id: str, page: Page) -> tuple[Sequence[Thread], bool]:
        def work(connection: sqlite3.Connection) -> tuple[Sequence[Thread], bool]:
            found, more = _LIST.page(connection, page, organization_id=organization_id)
            return [rows.thread(row) for row in found], more

        return await self._database.read(work)

    async def update(self, thread: Thread) -> bool:
        values = _UPDATE.bind(
            id=thread.id,
            organization_id=thread.organization_id,
            title=thread.title,
            metadata=rows.text(thread.metadata),
            pinned_at=thread.pinned_at,
            updated_at=thread.updated_at,
        )
        return await self._database.write(lambda connection: connection.execute(_UPDATE.sql, values).rowcount > 0)

    async def delete(self, organization_id: str, thread_id: str) -> bool:
        values = _DELETE.bind(id=thread_id, organization_id=organization_id)
        return await self._database.write(lambda connection: connection.execute(_DELETE.sql, values).rowcount > 0)

    async def items(self, organization_id: str, thread_id: str) -> Sequence[Item]:
        values = _ITEMS.bind(id=thread_id, organization_id=organization_id)
        return await self._database.read(
            lambda connection: [rows.item(data) for (data,) in connection.execute(_ITEMS.sql, values)]
        )

    async def page_items(self, organization_id: str, thread_id: str, page: Page) -> tuple[Sequence[ThreadItem], bool]:
        def work(connection: sqlite3.Connection) -> tuple[Sequence[ThreadItem], bool]:
            found, more = _PAGE.page(connection, page, id=thread_id, organization_id=organization_id)
            return [ThreadItem(rows.item(data), owner, at) for data, owner, at in found], more

        return await self._database.read(work)
