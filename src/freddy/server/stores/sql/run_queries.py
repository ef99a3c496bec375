"""What `runs` asks the database, compiled."""

import sqlalchemy as sa

from freddy.server.stores.sql import rows, statements, tables
from freddy.server.stores.sql.statements import Statement, param

_responses = tables.responses
_items = tables.items
_runs = tables.runs
_log = tables.run_log
_workers = tables.workers
_ENTRY = ("place", "first", "told", "events")
_ONE: sa.ColumnClause[int] = sa.literal_column("1", sa.Integer)

_this = _runs.c.response_id == param("response_id")
_going_on = _runs.c.ended_at.is_(None)
_held = (_this, _runs.c.worker_id == param("worker_id"), _runs.c.fence == param("fence"), _going_on)

# Only for a worker that is known: what another claims is taken from it by whoever notices, and begun once more.
_known = sa.select(_workers.c.id).where(_workers.c.id == param("worker_id"))
ADD = Statement(
    _runs.insert()
    .values({**statements.params(_runs, leave_out=("stop", "ended_at")), "worker_id": _known.scalar_subquery()})
    .returning(_runs.c.worker_id)
)

ANY_QUEUED = Statement(sa.select(sa.literal(1)).select_from(_runs).where(tables.QUEUED).limit(1))
HOW_MANY_QUEUED = Statement(sa.select(sa.func.count()).select_from(_runs).where(tables.QUEUED))
_key_id = sa.select(_responses.c.key_id).where(_responses.c.id == _runs.c.response_id).scalar_subquery()


def _is_none_of(held: str, *words: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether the words, after one another, are no line of the text `held`.

    A list as one value is the same on every database: without the line, it would be another text.
    """
    line: sa.ColumnElement[str] = sa.literal("\n")
    for place, word in enumerate(words):
        line = line + word if not place else line + sa.literal(" ") + word
    return sa.func.replace(param(held), line + sa.literal("\n"), "") == param(held)


_begun = sa.exists().where(_responses.c.id == _runs.c.response_id, _responses.c.status != "queued")
_not_held = (
    _is_none_of("runs", _runs.c.response_id),
    sa.or_(
        _runs.c.stop.is_not(None),
        sa.and_(
            _is_none_of("organizations", _runs.c.organization_id),
            _is_none_of("keys", _runs.c.organization_id, sa.func.coalesce(_key_id, "")),
        ),
        _begun,
    ),
)
_not_held_queued = (tables.QUEUED, *_not_held)
# Who is held may have many runs in line: they are looked through in a read, and only what it finds is claimed.
NOT_HELD = Statement(sa.select(_runs.c.response_id).where(*_not_held_queued).order_by(_runs.c.seq).limit(param("most")))


def _claiming(*which: sa.ColumnElement[bool] | sa.TextClause) -> Statement:
    queued = sa.select(_runs.c.response_id).where(*which, _known.exists()).order_by(_runs.c.seq).limit(param("most"))
    # What another process takes just now is left to it.
    free = _runs.c.response_id.in_(queued.with_for_update(skip_locked=True))
    claimed = _runs.update().where(free).values(worker_id=param("worker_id"), fence=_runs.c.fence + _ONE)
    names = ("seq", "response_id", "organization_id", "fence", "losses", "stop", "plan")
    return Statement(claimed.returning(*(_runs.c[name] for name in names)))


CLAIM = _claiming(tables.QUEUED)
CLAIM_ONE = _claiming(tables.QUEUED, _runs.c.response_id == param("response_id"))
_to_be_stopped = (tables.QUEUED, _runs.c.stop.is_not(None), _is_none_of("runs", _runs.c.response_id))
ANY_TO_BE_STOPPED = Statement(sa.select(sa.literal(1)).select_from(_runs).where(*_to_be_stopped).limit(1))
CLAIM_TO_BE_STOPPED = _claiming(*_to_be_stopped)
GET = Statement(sa.select(*rows.RESPONSE).where(_responses.c.id == param("response_id")))
INPUT = Statement(
    sa.select(_items.c.direction, _items.c.data)
    .where(_items.c.owner_id == param("response_id"), _items.c.direction == "in")
    .order_by(_items.c.position)
)

_log_params = {column.name: sa.type_coerce(param(column.name), column.type) for column in _log.columns}
# One statement looks at the claim and writes. The row of the run is locked until the transaction ends: whoever takes
# the run meanwhile waits, and whoever has taken it is seen.
RECORD = Statement(
    statements.insert(_log)
    .from_select(
        list(_log_params),
        sa.select(*(value.label(name) for name, value in _log_params.items()))
        .select_from(_runs)
        .where(*_held)
        .with_for_update(),
    )
    .on_conflict_do_nothing()
)
HELD = Statement(sa.select(_ONE).select_from(_runs).where(*_held).with_for_update())
WRITTEN_BY = Statement(
    sa.select(_log.c.fence).where(_log.c.response_id == param("response_id"), _log.c.place == param("place"))
)
ADD_ENTRY = Statement(statements.insert(_log).values(statements.params(_log)).on_conflict_do_nothing())
BEGIN = Statement(
    _responses.update()
    .where(_responses.c.id == param("response_id"), _responses.c.status == "queued")
    .values(status="in_progress")
)
END = Statement(_runs.update().where(*_held).values(ended_at=param("ended_at"), plan=sa.null()))
ENDED_BY = Statement(sa.select(_runs.c.worker_id, _runs.c.fence).where(_this, _runs.c.ended_at.is_not(None)))
RELEASE = Statement(_runs.update().where(*_held).values(worker_id=sa.null(), losses=_runs.c.losses + param("losses")))
IS_QUEUED = Statement(sa.select(_ONE).select_from(_runs).where(_this, tables.QUEUED))
OUTCOME = Statement(sa.select(_responses.c.outcome).where(_responses.c.id == param("response_id")))
FORGET_LOG = Statement(_log.delete().where(_log.c.response_id == param("response_id")))
LOG = Statement(
    sa.select(*(_log.c[name] for name in _ENTRY))
    .where(_log.c.response_id == param("response_id"), _log.c.place > param("after"))
    .order_by(_log.c.place)
    .limit(param("most"))
)
STOP = Statement(
    _runs.update()
    .where(_this, _runs.c.organization_id == param("organization_id"), _going_on)
    .values(stop=param("stop"))
)

BEAT = Statement(
    _workers.update().where(_workers.c.id == param("worker_id")).values(beats=_workers.c.beats + _ONE)
    .returning(_workers.c.beats)
)  # fmt: skip
BE_KNOWN = Statement(_workers.insert().values(id=param("worker_id"), beats=param("beats")))
_its_runs = (_runs.c.worker_id == param("worker_id"), tables.PERFORMED)
HELD_BY = Statement(sa.select(_runs.c.response_id, _runs.c.fence, _runs.c.stop).where(*_its_runs))
PULSES = Statement(sa.select(_workers.c.id, _workers.c.beats).order_by(_workers.c.id))
_worker = _workers.c.id == param("worker_id")
BURY = Statement(_workers.delete().where(_worker, _workers.c.beats == param("beats")))
IS_KNOWN = Statement(sa.select(_ONE).select_from(_workers).where(_worker))
LEAVE = Statement(_workers.delete().where(_worker))
_freed = {"worker_id": sa.null(), "losses": _runs.c.losses + _ONE}
LOSE_ALL = Statement(_runs.update().where(*_its_runs).values(_freed))
RELEASE_ALL = Statement(_runs.update().where(*_its_runs).values(worker_id=sa.null()))
_lost = sa.select(_responses.c.id, _responses.c.outcome).where(
    tables.UNFINISHED, ~sa.exists().where(_runs.c.response_id == _responses.c.id)
)
LOST = Statement(_lost.where(_responses.c.performer == param("worker_id")))
# Nothing is in no list, hence twice negated.
LOST_BY_UNKNOWN = Statement(_lost.where(~sa.exists().where(_workers.c.id == _responses.c.performer)))
_unknown_has = (tables.PERFORMED, ~sa.exists().where(_workers.c.id == _runs.c.worker_id))
HELD_BY_UNKNOWN = Statement(sa.select(_ONE).select_from(_runs).where(*_unknown_has).limit(1))
LOSE_OF_UNKNOWN = Statement(_runs.update().where(*_unknown_has).values(_freed))

EXPIRE = Statement(
    _runs.delete().where(
        _runs.c.response_id.in_(
            sa.select(_runs.c.response_id)
            .where(tables.OVER, _runs.c.ended_at < param("before"))
            .order_by(_runs.c.ended_at)
            .limit(param("most"))
        )
    )
)
