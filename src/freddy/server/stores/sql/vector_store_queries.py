"""What `vector_stores` asks the database, compiled."""

import sqlalchemy as sa

from freddy.server.core.vector_stores import FileStatus
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.paging import Listing
from freddy.server.stores.sql.statements import Statement, param
from freddy.server.stores.sql.vector_store_rows import DAY, FILE_COLUMNS, STORE_COLUMNS
from freddy.server.stores.vectors.words import SEGMENT

_stores = tables.vector_stores
_files = tables.vector_store_files
_batches = tables.vector_store_batches
_segments = tables.vector_segments
_chunks = tables.vector_chunks
AT_ONCE = 16
"""Ids that one statement looks for."""
_COUNTS: tuple[FileStatus, ...] = ("in_progress", "completed", "failed", "cancelled")
SUMS = ("chunks", "bytes", *_COUNTS)

_here = (_stores.c.organization_id == param("organization_id"), tables.STANDING)
_store = (_stores.c.id == param("store_id"), *_here)
_this = (
    _files.c.store_id == param("store_id"),
    _files.c.file_id == param("file_id"),
    _files.c.organization_id == param("organization_id"),
)
_held = (
    *_this,
    _files.c.status == sa.literal_column("'in_progress'"),
    _files.c.begun == param("begun"),
    _files.c.attempts == param("attempts"),
)

ADD = Statement(_stores.insert().values(statements.params(_stores, leave_out=("number",))))
HOW_MANY = Statement(sa.select(sa.func.count()).select_from(_stores).where(*_here))
GET = Statement(sa.select(*STORE_COLUMNS).where(*_store))
FIND = Statement(
    sa.select(*STORE_COLUMNS).where(_stores.c.id.in_([param(f"id_{place}") for place in range(AT_ONCE)]), *_here)
)
LIST = Listing(sa.select(*STORE_COLUMNS).where(*_here), key=(_stores.c.created_at, _stores.c.id), cursor=_stores.c.id)
_ALTERED = (
    "name", "description", "metadata", "access_mode", "expiry_days", "expires_at", "updated_at", "used_at",
)  # fmt: skip
CHANGE = Statement(_stores.update().where(*_store).values({name: param(name) for name in _ALTERED}))
HIDE = Statement(_stores.update().where(*_store).values(deleted=sa.true()).returning(_stores.c.number))
DROP_FILES = Statement(_files.delete().where(_files.c.store_id == param("store_id")))
DROP_BATCHES = Statement(_batches.delete().where(_batches.c.store_id == param("store_id")))
TOUCH = Statement(
    _stores.update()
    .where(*_store, _stores.c.used_at < param("now"))
    # Of nothing, this is nothing.
    .values(used_at=param("now"), expires_at=_stores.c.expiry_days * sa.literal_column(str(DAY)) + param("now"))
)
OLDER = Statement(
    sa.select(_stores.c.id).where(
        _stores.c.id.in_([param(f"id_{place}") for place in range(AT_ONCE)]), *_here, _stores.c.used_at < param("now")
    )
)
EXPIRED = Statement(
    sa.select(*STORE_COLUMNS)
    .where(_stores.c.expires_at <= param("now"), tables.STANDING)
    .order_by(_stores.c.expires_at)
    .limit(param("limit"))
)
TOTALS = Statement(
    sa.select(
        sa.func.count(),
        sa.func.sum(_stores.c.in_progress + _stores.c.completed + _stores.c.failed + _stores.c.cancelled),
        sa.func.sum(_stores.c.chunks),
        sa.func.sum(_stores.c.bytes),
    ).where(*_here)
)
PLACE = Statement(sa.select(_stores.c.number, _stores.c.version, *(_stores.c[name] for name in _COUNTS)).where(*_store))
# The sums go up and down by these, and what can be found is something else then.
COUNT = Statement(
    _stores.update()
    .where(_stores.c.number == param("number"))
    .values(
        {name: _stores.c[name] + param(f"more_{name}") for name in SUMS}
        | {"version": _stores.c.version + sa.literal_column("1")}
    )
)

GET_FILE = Statement(sa.select(*FILE_COLUMNS).where(*_this))
_IN_STORE = (_files.c.store_id == param("store_id"), _files.c.organization_id == param("organization_id"))
KNOWN = Statement(
    sa.select(*FILE_COLUMNS).where(*_IN_STORE, _files.c.file_id.in_([param(f"id_{place}") for place in range(AT_ONCE)]))
)
_put = statements.insert(_files).values(statements.params(_files))
PUT = Statement(
    _put.on_conflict_do_update(
        index_elements=_files.primary_key.columns,
        set_={column.name: _put.excluded[column.name] for column in _files.columns if not column.primary_key},
    )
)
CHANGE_FILE = Statement(
    _files.update()
    .where(*_this)
    .values(statements.params(_files, leave_out=("store_id", "file_id", "organization_id")))
)
LEASE = Statement(sa.select(_files.c.leased_until).where(*_this))
REMOVE_FILE = Statement(_files.delete().where(*_this))
EVERYWHERE = Statement(
    sa.select(*FILE_COLUMNS).where(
        _files.c.organization_id == param("organization_id"), _files.c.file_id == param("file_id")
    )
)


def _listed(*, by_status: bool, by_batch: bool) -> Listing:
    query = sa.select(*FILE_COLUMNS).where(*_IN_STORE)
    if by_status:
        query = query.where(_files.c.status == param("status"))
    if by_batch:
        query = query.where(_files.c.batch_id == param("batch_id"))
    return Listing(query, key=(_files.c.created_at, _files.c.file_id), cursor=_files.c.file_id)


FILE_LISTS = {
    (by_status, by_batch): _listed(by_status=by_status, by_batch=by_batch)
    for by_status in (False, True)
    for by_batch in (False, True)
}

ADD_BATCH = Statement(_batches.insert().values(statements.params(_batches)))
_batch = (
    _batches.c.id == param("batch_id"),
    _batches.c.store_id == param("store_id"),
    _batches.c.organization_id == param("organization_id"),
)
GET_BATCH = Statement(sa.select(_batches.c.created_at, _batches.c.cancelled).where(*_batch))
CANCEL_BATCH = Statement(_batches.update().where(*_batch).values(cancelled=sa.true()))
_of_batch = (*_IN_STORE, _files.c.batch_id == param("batch_id"))
BATCH_COUNTS = Statement(sa.select(_files.c.status, sa.func.count()).where(*_of_batch).group_by(_files.c.status))
UNFINISHED = Statement(sa.select(*FILE_COLUMNS).where(*_of_batch, tables.WAITING))

_free = sa.and_(tables.WAITING, _files.c.leased_until <= param("now"))
ANY_FREE = Statement(sa.select(sa.literal(1)).select_from(_files).where(_free).limit(1))
_file = (_files.c.store_id, _files.c.file_id)
CLAIM = Statement(
    _files.update()
    .where(
        sa.tuple_(*_file).in_(
            sa.select(*_file)
            .where(_free)
            .order_by(
                sa.case((_files.c.organization_id > param("after"), 0), else_=1),
                sa.case((param("after") == "", ""), else_=_files.c.organization_id),
                _files.c.created_at,
                _files.c.file_id,
            )
            .limit(param("limit"))
            # What another process takes just now is left to it.
            .with_for_update(skip_locked=True)
        )
    )
    .values(
        attempts=_files.c.attempts + sa.literal_column("1"), leased_until=param("until"), updated_at=param("updated_at")
    )
    .returning(*FILE_COLUMNS)
)
REPORT = Statement(
    _files.update()
    .where(*_held)
    .values(progress=param("progress"), leased_until=param("until"), updated_at=param("now"))
)
# The row of the store is left alone here: who reads it and writes much stands in the way of all who count in it.
HELD = Statement(sa.select(sa.literal_column("1")).select_from(_files).where(*_held))
HELD_IN = Statement(
    sa.select(
        _stores.c.number,
        _stores.c.dimensions,
        sa.exists().where(
            _segments.c.store == _stores.c.number, _segments.c.file_id == _files.c.file_id, sa.text("NOT dead")
        ),
    )
    .join_from(_files, _stores, _stores.c.id == _files.c.store_id)
    .where(*_held, tables.STANDING)
)
END = Statement(
    _files.update()
    .where(*_held)
    .values(
        {
            name: param(name)
            for name in ("status", "progress", "chunks", "bytes", "failure_code", "failure_message", "updated_at")
        }
    )
)
_low = _segments.c.number * sa.literal_column(str(SEGMENT))
CHUNKS = Statement(
    sa.select(_chunks.c.place, _chunks.c.text, _chunks.c.tokens)
    .join_from(_files, _stores, _stores.c.id == _files.c.store_id)
    .join(
        _segments,
        sa.and_(
            _segments.c.store == _stores.c.number,
            _segments.c.file_id == _files.c.file_id,
            _segments.c.begun == _files.c.begun,
            _segments.c.attempt == _files.c.attempts,
        ),
    )
    # By their ids, which have an index.
    .join(_chunks, _chunks.c.id.between(_low, _low + sa.literal_column(str(SEGMENT - 1))))
    .where(*_this, _files.c.status == "completed", tables.STANDING, sa.text("NOT dead"))
    .order_by(_chunks.c.place)
)
