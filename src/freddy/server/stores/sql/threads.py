"""Keeps threads, and reads and changes their items."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from freddy.server.core import errors, items
from freddy.server.core.items import Item
from freddy.server.core.threads import Branch, Spot, Thread, after, gone_with
from freddy.server.ports.stores import ANY_THREAD, Order, Page, PlacedItem, ThreadFilter
from freddy.server.stores.sql import entries, rows, statements, tables
from freddy.server.stores.sql.connection import Connection, Database, Taken
from freddy.server.stores.sql.paging import Listing
from freddy.server.stores.sql.response_queries import DELETE_LABELS as DELETE_LABELS_OF_RESPONSE
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_threads = tables.threads
_responses = tables.responses
_entries = tables.entries
_items = tables.items
_labels = tables.labels
_ASKED = ("user_id", "assistant_id", "visible")
_CALL, _OUTPUT, _THOUGHT = (rows.tag(kind) for kind in (items.FunctionCall, items.FunctionOutput, items.Reasoning))
_FIRST: Spot = (0, "", 0)
_LAST: Spot = (2**31 - 1, "", 0)

_ADD = Statement(_threads.insert().values(statements.params(_threads)))
_GET = Statement(sa.select(_threads).where(*entries.THIS))
_CHANGE = Statement(
    _threads.update()
    .where(*entries.THIS)
    .values({name: param(name) for name in ("title", "metadata", "pinned_at", "assistant_id", "visible", "updated_at")})
)
_SOME = Statement(
    sa.select(_threads.c.id).where(_threads.c.organization_id == param("organization_id")).limit(param("limit"))
)
_SOME_OF_USER = Statement(
    sa.select(_threads.c.id)
    .where(_threads.c.organization_id == param("organization_id"), _threads.c.user_id == param("user_id"))
    .limit(param("limit"))
)

_its_responses = (_responses.c.organization_id == param("organization_id"), _responses.c.thread_id == param("id"))
_its_entries = (_entries.c.organization_id == param("organization_id"), _entries.c.thread_id == param("id"))
_LEAVE = Statement(_responses.update().where(*_its_responses, tables.UNFINISHED).values(thread_id=sa.null()))
_DELETE = [
    Statement(described)
    for described in (
        _items.delete().where(_items.c.owner_id.in_(sa.select(_responses.c.id).where(*_its_responses))),
        _items.delete().where(_items.c.owner_id.in_(sa.select(_entries.c.owner_id).where(*_its_entries))),
        _responses.delete().where(*_its_responses),
        _entries.delete().where(*_its_entries),
    )
]
_RESPONSES = Statement(sa.select(_responses.c.id).where(*_its_responses))
_DELETE_LABELS = Statement(
    _labels.delete().where(
        _labels.c.organization_id == param("organization_id"), _labels.c.kind == "thread", _labels.c.id == param("id")
    )
)
_DELETE_THREAD = Statement(_threads.delete().where(*entries.THIS))

_spot = (_entries.c.place, _items.c.direction, _items.c.position)
_downwards = [column.desc() for column in _spot]
_kept = (
    sa.select(*rows.PLACED)
    .join_from(_entries, _items, _items.c.owner_id == _entries.c.owner_id)
    .where(*_its_entries, entries.VISIBLE)
)
_told = _kept.where(_items.c.type.in_((entries.MESSAGE, _CALL, _OUTPUT)))
_at = sa.tuple_(*(param(name) for name in ("place", "direction", "position")))
_ITEMS = Statement(_kept.order_by(*_spot))
_TAIL = Statement(
    _kept.where(_entries.c.place <= param("place"), sa.tuple_(*_spot) < _at).order_by(*_downwards).limit(param("limit"))
)
_HEAD = Statement(
    _kept.where(_entries.c.place >= param("place"), sa.tuple_(*_spot) > _at).order_by(*_spot).limit(param("limit"))
)


def _called_so() -> Statement:
    """The items of an id, with their entries looked up for each.

    As a join, PostgreSQL without statistics goes through the whole thread.
    """
    place, created_at = (
        sa.select(column).where(*_its_entries, _entries.c.owner_id == _items.c.owner_id).correlate(_items).limit(1)
        for column in (_entries.c.place, _entries.c.created_at)
    )
    found = (
        sa.select(
            _items.c.data,
            _items.c.owner_id,
            created_at.scalar_subquery().label("created_at"),
            place.scalar_subquery().label("place"),
            _items.c.direction,
            _items.c.position,
        )
        .where(_items.c.id == param("item_id"), _items.c.organization_id == param("organization_id"), entries.VISIBLE)
        .subquery()
    )
    return Statement(sa.select(found).where(found.c.place.is_not(None)))


_CALLED = _called_so()


def _between(query: sa.Select[Any], *, order: Order) -> Statement:
    low, high = (
        sa.tuple_(*(param(f"{side}_{name}") for name in ("place", "direction", "position"))) for side in ("low", "high")
    )
    within = query.where(
        # Implied, and what an index can use.
        _entries.c.place >= param("low_place"),
        _entries.c.place <= param("high_place"),
        sa.tuple_(*_spot) > low,
        sa.tuple_(*_spot) < high,
    )
    return Statement(within.order_by(*(_spot if order == "asc" else _downwards)).limit(param("limit")))


_PAGES: dict[tuple[bool, Order], Statement] = {
    (messages, order): _between(_told if messages else _kept, order=order)
    for messages in (False, True)
    for order in ("asc", "desc")
}
_BEFORE = Statement(
    _kept.where(
        _items.c.owner_id == param("owner_id"),
        _items.c.direction == param("direction"),
        _items.c.position < param("position"),
    ).order_by(_items.c.position)
)
_CALLS = Statement(_kept.where(_items.c.type.in_((_CALL, _OUTPUT))))
_this_item = (
    _items.c.owner_id == param("owner_id"),
    _items.c.direction == param("direction"),
    _items.c.position == param("position"),
)
_CHANGE_ITEM = Statement(_items.update().where(*_this_item).values(data=param("data"), type=param("type")))
_DELETE_ITEM = Statement(_items.delete().where(*_this_item))


class SqlThreads:
    """The port `ThreadStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, thread: Thread, items: Sequence[Item] = (), *, entry_id: str = "") -> None:
        values = rows.thread_values(thread)
        labels = rows.label_rows(thread.organization_id, "thread", thread.id, thread.metadata)
        organization_id, now = thread.organization_id, thread.created_at

        async def work(connection: Connection) -> None:
            try:
                await connection.run(_ADD, **values)
            except Taken as error:
                raise errors.Conflict(f"There is a thread {thread.id!r} already.", param="id") from error
            await connection.many(rows.INSERT_LABEL, labels)
            if items:
                await _append(connection, organization_id, thread.id, items, entry_id=entry_id, now=now)

        await self._database.write(work)

    async def get(self, organization_id: str, thread_id: str) -> Thread | None:
        async def work(connection: Connection) -> Thread | None:
            row = await connection.one(_GET, id=thread_id, organization_id=organization_id)
            return rows.thread(row) if row else None

        return await self._database.read(work)

    async def list(
        self, organization_id: str, page: Page, having: ThreadFilter = ANY_THREAD
    ) -> tuple[Sequence[Thread], bool]:
        asked, scope = _scope(organization_id, having)
        wanted = (True, False) if having.pinned is None else (having.pinned,)
        sections = [(pinned, _listing(asked, len(having.metadata), pinned=pinned)) for pinned in wanted]

        async def work(connection: Connection) -> tuple[Sequence[Thread], bool]:
            found, more = await _page(connection, page, sections, scope)
            return [rows.thread(row) for row in found], more

        return await self._database.read(work)

    async def count(self, organization_id: str, having: ThreadFilter = ANY_THREAD) -> int:
        asked, scope = _scope(organization_id, having)
        statement = _counting(asked, len(having.metadata), pinned=having.pinned)

        async def work(connection: Connection) -> int:
            row = await connection.one(statement, **scope)
            return int(row[0]) if row else 0

        return await self._database.read(work)

    async def change(self, organization_id: str, thread_id: str, alter: Callable[[Thread], Thread]) -> Thread | None:
        async def work(connection: Connection) -> Thread | None:
            row = await connection.one(_GET, id=thread_id, organization_id=organization_id)
            if row is None:
                return None
            before = rows.thread(row)
            altered = alter(before)
            altered = replace(altered, updated_at=max(before.updated_at, altered.updated_at))
            await connection.run(_CHANGE, **rows.thread_values(altered))
            if altered.metadata != before.metadata:
                await connection.run(_DELETE_LABELS, id=thread_id, organization_id=organization_id)
                labels = rows.label_rows(organization_id, "thread", thread_id, altered.metadata)
                await connection.many(rows.INSERT_LABEL, labels)
            return altered

        return await self._database.write(work)

    async def delete(self, organization_id: str, thread_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            return await _delete(connection, organization_id, thread_id)

        return await self._database.write(work)

    async def delete_some(self, organization_id: str, *, user_id: str | None, limit: int) -> int:
        statement = _SOME if user_id is None else _SOME_OF_USER
        whose: dict[str, Value] = {} if user_id is None else {"user_id": user_id}

        async def work(connection: Connection) -> int:
            found = await connection.all(statement, organization_id=organization_id, limit=limit, **whose)
            for (thread_id,) in found:
                await _delete(connection, organization_id, thread_id)
            return len(found)

        return await self._database.write(work)

    async def items(self, organization_id: str, thread_id: str) -> Sequence[Item]:
        async def work(connection: Connection) -> Sequence[Item]:
            found = await connection.all(_ITEMS, id=thread_id, organization_id=organization_id)
            return [rows.item(row[0]) for row in found]

        return await self._database.read(work)

    async def tail(
        self, organization_id: str, thread_id: str, *, before: Spot | None = None, limit: int
    ) -> Sequence[PlacedItem]:
        return await self._run_of(_TAIL, organization_id, thread_id, spot=before or _LAST, limit=limit)

    async def head(
        self, organization_id: str, thread_id: str, *, after: Spot | None = None, limit: int
    ) -> Sequence[PlacedItem]:
        return await self._run_of(_HEAD, organization_id, thread_id, spot=after or _FIRST, limit=limit)

    async def _run_of(
        self, statement: Statement, organization_id: str, thread_id: str, *, spot: Spot, limit: int
    ) -> Sequence[PlacedItem]:
        place, direction, position = spot

        async def work(connection: Connection) -> Sequence[PlacedItem]:
            found = await connection.all(
                statement,
                organization_id=organization_id,
                id=thread_id,
                place=place,
                direction=direction,
                position=position,
                limit=limit,
            )
            return [rows.placed(row) for row in found]

        return await self._database.read(work)

    async def page_items(
        self, organization_id: str, thread_id: str, page: Page, *, messages: bool = False
    ) -> tuple[Sequence[PlacedItem], bool]:
        backwards = page.before is not None and page.after is None
        ascending = page.order == "asc"
        statement = _PAGES[messages, "asc" if ascending is not backwards else "desc"]

        async def work(connection: Connection) -> tuple[Sequence[PlacedItem], bool]:
            after = await _spots(connection, organization_id, thread_id, page.after, side="after")
            before = await _spots(connection, organization_id, thread_id, page.before, side="before")
            lower, higher = (after, before) if ascending else (before, after)
            # Where an id is there twice, the nearer place would list what is between them for ever.
            bounds = _bounds(max(lower, default=_FIRST), min(higher, default=_LAST))
            scope: dict[str, Value] = {"organization_id": organization_id, "id": thread_id, "limit": page.limit + 1}
            found = [rows.placed(row) for row in await connection.all(statement, **scope, **bounds)]
            told = found[: page.limit]
            return (told[::-1] if backwards else told), len(found) > page.limit

        return await self._database.read(work)

    async def item(self, organization_id: str, thread_id: str, item_id: str) -> PlacedItem | None:
        async def work(connection: Connection) -> PlacedItem | None:
            return await _find(connection, organization_id, thread_id, item_id)

        return await self._database.read(work)

    async def branch(self, organization_id: str, thread_id: str, message_id: str, *, behind: bool) -> Branch | None:
        async def work(connection: Connection) -> Branch | None:
            thread = await connection.one(_GET, id=thread_id, organization_id=organization_id)
            found = await _find(connection, organization_id, thread_id, message_id)
            if thread is None or found is None or not isinstance(found.item, items.Message):
                return None
            seen = rows.thread(thread).places
            if behind:
                return Branch(after(found.spot), seen)
            spot = found.spot
            for thought in reversed(await _before(connection, organization_id, thread_id, found)):
                if not isinstance(thought.item, items.Reasoning):
                    break
                spot = thought.spot
            return Branch(spot, seen)

        return await self._database.read(work)

    async def append(
        self, organization_id: str, thread_id: str, items: Sequence[Item], *, entry_id: str, now: int
    ) -> int | None:
        async def work(connection: Connection) -> int | None:
            return await _append(connection, organization_id, thread_id, items, entry_id=entry_id, now=now)

        return await self._database.write(work)

    async def change_item(
        self, organization_id: str, thread_id: str, item_id: str, alter: Callable[[Item], Item], *, now: int
    ) -> PlacedItem | None:
        async def work(connection: Connection) -> PlacedItem | None:
            found = await _find(connection, organization_id, thread_id, item_id)
            if found is None:
                return None
            altered = alter(found.item)
            await connection.run(_CHANGE_ITEM, **_key(found), data=rows.text(altered), type=rows.tag(type(altered)))
            await entries.take(connection, organization_id, thread_id, 0, now=now)
            return PlacedItem(altered, found.owner_id, found.created_at, found.spot)

        return await self._database.write(work)

    async def delete_item(self, organization_id: str, thread_id: str, item_id: str, *, now: int) -> bool:
        async def work(connection: Connection) -> bool:
            found = await _find(connection, organization_id, thread_id, item_id)
            if found is None:
                return False
            others = await _before(connection, organization_id, thread_id, found)
            thoughts = [one.item for one in others]
            if isinstance(found.item, items.FunctionCall | items.FunctionOutput):
                calls = await connection.all(_CALLS, organization_id=organization_id, id=thread_id)
                others = [*others, *(rows.placed(row) for row in calls)]
            gone = gone_with(found.item, thoughts, [one.item for one in others])
            going = [found, *(one for one in others if one.item.id in gone)]
            await connection.many(_DELETE_ITEM, [_key(one) for one in going])
            lost = entries.messages([found.item])
            await entries.take(connection, organization_id, thread_id, lost, now=now)
            return True

        return await self._database.write(work)


async def _called(connection: Connection, organization_id: str, thread_id: str, item_id: str) -> Sequence[PlacedItem]:
    found = await connection.all(_CALLED, id=thread_id, organization_id=organization_id, item_id=item_id)
    return [rows.placed(row) for row in found]


async def _find(connection: Connection, organization_id: str, thread_id: str, item_id: str) -> PlacedItem | None:
    found = await _called(connection, organization_id, thread_id, item_id)
    return max(found, key=lambda one: one.spot, default=None)


async def _spots(
    connection: Connection, organization_id: str, thread_id: str, cursor: str | None, *, side: str
) -> Sequence[Spot]:
    """Where the item stands that a page is next to. Raises `errors.InvalidValue` where it is not there."""
    if cursor is None:
        return ()
    found = await _called(connection, organization_id, thread_id, cursor)
    if not found:
        raise errors.InvalidValue(side, "must be the id of an entry of this list")
    return [one.spot for one in found]


def _bounds(low: Spot, high: Spot) -> dict[str, Value]:
    return {
        "low_place": low[0],
        "low_direction": low[1],
        "low_position": low[2],
        "high_place": high[0],
        "high_direction": high[1],
        "high_position": high[2],
    }


async def _before(
    connection: Connection, organization_id: str, thread_id: str, item: PlacedItem
) -> Sequence[PlacedItem]:
    """The items before it in the same entry, and on the same side of it."""
    found = await connection.all(_BEFORE, organization_id=organization_id, id=thread_id, **_key(item))
    return [rows.placed(row) for row in found]


def _key(item: PlacedItem) -> dict[str, Value]:
    _, direction, position = item.spot
    return {"owner_id": item.owner_id, "direction": direction, "position": position}


async def _append(
    connection: Connection, organization_id: str, thread_id: str, items: Sequence[Item], *, entry_id: str, now: int
) -> int | None:
    place = await entries.append(connection, organization_id, thread_id, entry_id, items, created_at=now, now=now)
    if place is not None:
        await connection.many(
            rows.INSERT_ITEM,
            [
                rows.item_row(
                    item, owner_id=entry_id, organization_id=organization_id, direction="in", position=position
                )
                for position, item in enumerate(items)
            ],
        )
    return place


async def _delete(connection: Connection, organization_id: str, thread_id: str) -> bool:
    this: dict[str, Value] = {"organization_id": organization_id, "id": thread_id}
    await connection.run(_LEAVE, **this)
    gone = [{"organization_id": organization_id, "id": row[0]} for row in await connection.all(_RESPONSES, **this)]
    await connection.many(DELETE_LABELS_OF_RESPONSE, gone)
    for statement in _DELETE:
        await connection.run(statement, **this)
    await connection.run(_DELETE_LABELS, **this)
    return await connection.run(_DELETE_THREAD, **this) > 0


def _scope(organization_id: str, having: ThreadFilter) -> tuple[frozenset[str], dict[str, Value]]:
    """The columns that a filter asks for, and the values of its statement."""
    asked = {name: value for name in _ASKED if (value := getattr(having, name)) is not None}
    return frozenset(asked), {"organization_id": organization_id, **asked, **rows.label_values(having.metadata)}


def _having(asked: frozenset[str], pairs: int, *, pinned: bool | None) -> list[sa.ColumnElement[bool]]:
    conditions = [_threads.c.organization_id == param("organization_id")]
    conditions += [_threads.c[name] == param(name) for name in sorted(asked)]
    conditions += [rows.labelled("thread", _threads.c.id, place) for place in range(pairs)]
    if pinned is not None:
        conditions.append(_threads.c.pinned_at.is_not(None) if pinned else _threads.c.pinned_at.is_(None))
    return conditions


@lru_cache(maxsize=128)
def _listing(asked: frozenset[str], pairs: int, *, pinned: bool) -> Listing:
    query = sa.select(_threads).where(*_having(asked, pairs, pinned=pinned))
    first = _threads.c.pinned_at if pinned else _threads.c.created_at
    return Listing(query, key=(first, _threads.c.id), cursor=_threads.c.id)


@lru_cache(maxsize=128)
def _counting(asked: frozenset[str], pairs: int, *, pinned: bool | None) -> Statement:
    return Statement(sa.select(sa.func.count()).select_from(_threads).where(*_having(asked, pairs, pinned=pinned)))


async def _page(
    connection: Connection, page: Page, sections: Sequence[tuple[bool, Listing]], scope: dict[str, Value]
) -> tuple[list[Row], bool]:
    """A page of sections that follow each other: of what is pinned, whatever the order, the last one is the first."""
    side, cursor = ("after", page.after) if page.after is not None else ("before", page.before)
    if page.after is not None and page.before is not None:
        raise errors.InvalidValue("before", "cannot be used together with after")
    backwards = page.before is not None
    ordered = list(reversed(sections)) if backwards else list(sections)
    at: bool | None = None
    if cursor is not None:
        thread = await connection.one(_GET, id=cursor, organization_id=scope["organization_id"])
        at = thread is not None and rows.thread(thread).pinned_at is not None
        if thread is None or at not in dict(sections):
            raise errors.InvalidValue(side, "must be the id of an entry of this list")
        ordered = ordered[[pinned for pinned, _ in ordered].index(at) :]
    found: list[Row] = []
    for pinned, listing in ordered:
        left = page.limit - len(found)
        order = "desc" if pinned else page.order
        if pinned is at:
            part = replace(page, order=order, limit=left)
        elif backwards:  # its end, from behind
            part = Page(limit=max(left, 1), order="asc" if order == "desc" else "desc")
        else:
            part = Page(limit=max(left, 1), order=order)
        more_found, more = await listing.page(connection, part, **scope)
        if not left:
            return found, bool(more_found)
        if backwards and pinned is not at:
            more_found.reverse()
        found = more_found + found if backwards else found + more_found
        if more:
            return found, True
    return found, False
