"""Adds entries to threads, and hides what gives way to them."""

from collections.abc import Sequence

import sqlalchemy as sa

from freddy.server.core import items
from freddy.server.core.threads import Spot
from freddy.server.stores.sql import rows, statements, tables
from freddy.server.stores.sql.connection import Connection
from freddy.server.stores.sql.statements import Statement, param

_threads = tables.threads
_entries = tables.entries
_items = tables.items
_now = sa.type_coerce(param("now"), sa.BigInteger)
VISIBLE = sa.not_(_items.c.hidden)
MESSAGE = rows.tag(items.Message)

THIS = (_threads.c.id == param("id"), _threads.c.organization_id == param("organization_id"))
_moved = sa.case((_threads.c.updated_at < _now, _now), else_=_threads.c.updated_at)
_last = sa.func.coalesce(_threads.c.last_message_at, sa.literal_column("0"))

_APPEND = Statement(
    _threads.update()
    # A thread with fewer places than were seen is another one of the same id.
    .where(*THIS, _threads.c.places >= param("seen"))
    .values(
        places=_threads.c.places + sa.literal_column("1"),
        message_count=_threads.c.message_count + param("messages"),
        last_message_at=sa.case((_last <= _now, _now), else_=_threads.c.last_message_at),
        # Clocks of several servers may differ: of two responses the later one stands.
        last_model=sa.case(
            (_last <= _now, sa.func.coalesce(param("model"), _threads.c.last_model)), else_=_threads.c.last_model
        ),
        updated_at=_moved,
        assistant_id=sa.func.coalesce(_threads.c.assistant_id, param("assistant_id")),
    )
    .returning(_threads.c.places)
)
ADD_ENTRY = Statement(_entries.insert().values(statements.params(_entries)))
_in_thread = (_entries.c.organization_id == param("organization_id"), _entries.c.thread_id == param("id"))
_HIDE_BEHIND = Statement(
    _items.update()
    .where(
        _items.c.owner_id.in_(
            sa.select(_entries.c.owner_id).where(
                *_in_thread, _entries.c.place > param("place"), _entries.c.place <= param("seen")
            )
        ),
        VISIBLE,
    )
    .values(hidden=sa.true())
    .returning(_items.c.type)
)
_HIDE_FROM = Statement(
    _items.update()
    .where(
        _items.c.owner_id.in_(sa.select(_entries.c.owner_id).where(*_in_thread, _entries.c.place == param("place"))),
        sa.or_(
            _items.c.direction > param("direction"),
            sa.and_(_items.c.direction == param("direction"), _items.c.position >= param("position")),
        ),
        VISIBLE,
    )
    .values(hidden=sa.true())
    .returning(_items.c.type)
)
_FEWER = Statement(
    _threads.update().where(*THIS).values(message_count=_threads.c.message_count - param("messages"), updated_at=_moved)
)


def messages(of: Sequence[items.Item]) -> int:
    return sum(isinstance(item, items.Message) and not items.is_broken_off(item) for item in of)


async def append(
    connection: Connection,
    organization_id: str,
    thread_id: str,
    owner_id: str,
    added: Sequence[items.Item],
    *,
    created_at: int,
    now: int,
    model: str | None = None,
    assistant_id: str | None = None,
    seen: int = 0,
    spot: Spot | None = None,
) -> int | None:
    """The new entry's place, or None where there is no such thread. The items are kept by the caller.

    The row of the thread comes first: whoever else adds to it waits here, so places are in the order of commits.
    """
    row = await connection.one(
        _APPEND,
        id=thread_id,
        organization_id=organization_id,
        seen=seen,
        messages=messages(added),
        now=now,
        model=model,
        assistant_id=assistant_id,
    )
    if row is None:
        return None
    place: int = row[0]
    if spot is not None:
        await _hide(connection, organization_id, thread_id, spot=spot, seen=seen, now=now)
    await connection.run(
        ADD_ENTRY,
        organization_id=organization_id,
        thread_id=thread_id,
        place=place,
        owner_id=owner_id,
        created_at=created_at,
    )
    return place


async def _hide(
    connection: Connection, organization_id: str, thread_id: str, *, spot: Spot, seen: int, now: int
) -> None:
    place, direction, position = spot
    hidden = await connection.all(
        _HIDE_BEHIND, organization_id=organization_id, id=thread_id, place=place, seen=seen
    ) + await connection.all(
        _HIDE_FROM,
        organization_id=organization_id,
        id=thread_id,
        place=place,
        direction=direction,
        position=position,
    )
    gone = sum(kind == MESSAGE for (kind,) in hidden)
    if gone:
        await take(connection, organization_id, thread_id, gone, now=now)


async def take(connection: Connection, organization_id: str, thread_id: str, gone: int, *, now: int) -> None:
    """The thread has so many messages less, and was changed."""
    await connection.run(_FEWER, organization_id=organization_id, id=thread_id, messages=gone, now=now)
