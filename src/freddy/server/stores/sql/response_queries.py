"""What `responses` asks the database, compiled."""

from functools import lru_cache

import sqlalchemy as sa

from freddy.server.stores.sql import rows, statements, tables
from freddy.server.stores.sql.paging import Listing
from freddy.server.stores.sql.statements import Statement, param

LONGEST_CHAIN = 10_000
INTERRUPTED = "interrupted"
"""The code of the failure of responses whose process is gone."""

_responses = tables.responses
_items = tables.items
_threads = tables.threads
_entries = tables.entries
_labels = tables.labels
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
            links.c.distance < param("furthest"),
        )
    )


_links = _chain()

ADD_THREAD = Statement(statements.insert(_threads).values(statements.params(_threads)).on_conflict_do_nothing())
# A thread that was seen and is not there any more was deleted: then the response is in none. One with fewer places
# than were seen is another one of the same id.
_its_thread = (
    sa.select(_threads.c.id)
    .where(
        _threads.c.id == param("thread_id"),
        _threads.c.organization_id == param("organization_id"),
        _threads.c.places >= param("seen"),
    )
    .scalar_subquery()
)
_added = statements.insert(_responses).values(
    {**statements.params(_responses, leave_out=("seq", "thread_id")), "thread_id": _its_thread}
)
ADD = Statement(_added.returning(_responses.c.seq))
ADD_ONCE = Statement(_added.on_conflict_do_nothing(index_elements=["id"]).returning(_responses.c.thread_id))
# One that was taken for lost, and was made by another living process after all, has its end when that comes. Texts
# within JSON have their quotation marks escaped: this can only be the code itself.
_taken_for_lost = sa.and_(_responses.c.status == "failed", _responses.c.outcome.like(f'%"code":"{INTERRUPTED}"%'))
END = Statement(
    _responses.update()
    .where(*_this, sa.or_(tables.UNFINISHED, _taken_for_lost))
    .values({name: param(name) for name in ("status", "model", "provider", "completed_at", "outcome")})
    .returning(_responses.c.thread_id)
)
OWNER = Statement(sa.select(_responses.c.organization_id).where(_responses.c.id == param("id")))
KEPT = Statement(sa.select(_items.c.position).where(_items.c.owner_id == param("id"), _items.c.direction == "out"))
GET = Statement(sa.select(*rows.RESPONSE).where(*_this))
PARTS = Statement(
    sa.select(_items.c.direction, _items.c.data)
    .where(_items.c.owner_id == param("id"))
    .order_by(_items.c.direction, _items.c.position)
)
DELETE = Statement(_responses.delete().where(*_this).returning(_responses.c.thread_id))
DELETE_ITEMS = Statement(
    _items.delete().where(_items.c.owner_id == param("id")).returning(_items.c.type, _items.c.hidden)
)
DELETE_ENTRY = Statement(
    _entries.delete().where(_entries.c.owner_id == param("id"), _entries.c.organization_id == param("organization_id"))
)
DELETE_LABELS = Statement(
    _labels.delete().where(
        _labels.c.organization_id == param("organization_id"), _labels.c.kind == "response", _labels.c.id == param("id")
    )
)
FIND = Statement(
    sa.select(_items.c.data)
    .where(_items.c.id == param("id"), _items.c.organization_id == param("organization_id"))
    .limit(1)
)
_in_own_response = sa.exists().where(_responses.c.id == _items.c.owner_id, _responses.c.user_id == param("user_id"))
_in_own_thread = sa.exists().where(
    _entries.c.owner_id == _items.c.owner_id,
    _threads.c.organization_id == _entries.c.organization_id,
    _threads.c.id == _entries.c.thread_id,
    _threads.c.user_id == param("user_id"),
)
FIND_OWN = Statement(
    sa.select(_items.c.data)
    .where(
        _items.c.id == param("id"),
        _items.c.organization_id == param("organization_id"),
        sa.or_(_in_own_response, _in_own_thread),
    )
    .limit(1)
)
_first_links = (
    sa.select(_links.c.id, _links.c.distance).order_by(_links.c.distance.desc()).limit(param("limit")).subquery()
)


def _linked(links: sa.FromClause) -> Statement:
    """The responses of the links, oldest first."""
    responses = sa.select(*rows.RESPONSE).join_from(links, _responses, _responses.c.id == links.c.id)
    return Statement(responses.order_by(links.c.distance.desc()))


CHAIN, CHAIN_START = _linked(_links), _linked(_first_links)
CHAIN_PARTS = Statement(
    sa.select(_items.c.owner_id, _items.c.direction, _items.c.data)
    .join_from(_links, _items, _items.c.owner_id == _links.c.id)
    .order_by(_items.c.owner_id, _items.c.direction, _items.c.position)
)
FAIL = Statement(
    _responses.update()
    .where(_responses.c.id == param("id"))
    .values(status="failed", completed_at=param("completed_at"), outcome=param("outcome"))
)
INPUT = Listing(
    sa.select(_items.c.data).where(
        _items.c.owner_id == param("id"),
        _items.c.organization_id == param("organization_id"),
        _items.c.direction == "in",
    ),
    key=(_items.c.position,),
    cursor=_items.c.id,
)


@lru_cache(maxsize=128)
def listing(asked: frozenset[str], pairs: int) -> Listing:
    """The responses of an organization that have these columns as asked, and so many pairs of metadata."""
    query = sa.select(*rows.RESPONSE).where(_responses.c.organization_id == param("organization_id"))
    query = query.where(*(_responses.c[name] == param(name) for name in sorted(asked)))
    query = query.where(*(rows.labelled("response", _responses.c.id, place) for place in range(pairs)))
    return Listing(query, key=(_responses.c.seq,), cursor=_responses.c.id)
