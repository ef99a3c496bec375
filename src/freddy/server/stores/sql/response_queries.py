"""What `responses` asks the database, compiled."""

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from freddy.server.stores.sql import rows, statements, tables
from freddy.server.stores.sql.paging import Listing
from freddy.server.stores.sql.statements import Statement, param

LONGEST_CHAIN = 10_000

_responses = tables.responses
_items = tables.items
_threads = tables.threads
_this = (_responses.c.id == param("id"), _responses.c.organization_id == param("organization_id"))


def _chain() -> sa.CTE:
    """The response and those it continues, with their distance from it."""
    first = sa.select(
        _responses.c.id,
        _responses.c.previous_response_id.label("previous"),
        sa.literal_column("0").label("distance"),
    )
    links = first.where(*_this).cte("links", recursive=True)
    return links.union_all(
        sa.select(
            _responses.c.id,
            _responses.c.previous_response_id,
            links.c.distance + sa.literal_column("1"),
        ).where(
            _responses.c.id == links.c.previous,
            _responses.c.organization_id == param("organization_id"),
            links.c.distance < LONGEST_CHAIN - 1,
        )
    )


_links = _chain()

ADD_THREAD = Statement(sqlite.insert(_threads).values(statements.params(_threads)).on_conflict_do_nothing())
_added = sqlite.insert(_responses).values(statements.params(_responses, leave_out=("seq",)))
ADD = Statement(_added)
ADD_ONCE = Statement(_added.on_conflict_do_nothing(index_elements=["id"]))
END = Statement(
    _responses.update()
    .where(*_this)
    .values({name: param(name) for name in ("status", "model", "provider", "completed_at", "outcome")})
)
TOUCH_THREAD = Statement(
    _threads.update()
    .where(
        _threads.c.id == param("id"),
        _threads.c.organization_id == param("organization_id"),
        # Of two responses that end out of order, the later one stands.
        sa.func.coalesce(_threads.c.last_message_at, 0) <= param("now"),
    )
    .values(
        last_message_at=param("now"),
        last_model=param("last_model"),
        updated_at=sa.case((_threads.c.updated_at < param("now"), param("now")), else_=_threads.c.updated_at),
    )
)
OWNER = Statement(sa.select(_responses.c.organization_id).where(_responses.c.id == param("id")))
KEPT = Statement(sa.select(_items.c.position).where(_items.c.response_id == param("id"), _items.c.direction == "out"))
GET = Statement(sa.select(*rows.RESPONSE).where(*_this))
PARTS = Statement(
    sa.select(_items.c.direction, _items.c.data)
    .where(_items.c.response_id == param("id"))
    .order_by(_items.c.direction, _items.c.position)
)
DELETE = Statement(_responses.delete().where(*_this))
FIND = Statement(
    sa.select(_items.c.data)
    .where(_items.c.id == param("id"), _items.c.organization_id == param("organization_id"))
    .limit(1)
)
CHAIN = Statement(
    sa.select(*rows.RESPONSE)
    .join_from(_links, _responses, _responses.c.id == _links.c.id)
    .order_by(_links.c.distance.desc())
)
CHAIN_PARTS = Statement(
    sa.select(_items.c.response_id, _items.c.direction, _items.c.data)
    .join_from(_links, _items, _items.c.response_id == _links.c.id)
    .order_by(_items.c.response_id, _items.c.direction, _items.c.position)
)
UNFINISHED = Statement(sa.select(_responses.c.id, _responses.c.outcome).where(tables.UNFINISHED))
FAIL = Statement(
    _responses.update()
    .where(_responses.c.id == param("id"))
    .values(status="failed", completed_at=param("completed_at"), outcome=param("outcome"))
)
INPUT = Listing(
    sa.select(_items.c.data).where(
        _items.c.response_id == param("id"),
        _items.c.organization_id == param("organization_id"),
        _items.c.direction == "in",
    ),
    key=(_items.c.position,),
    cursor=_items.c.id,
)
