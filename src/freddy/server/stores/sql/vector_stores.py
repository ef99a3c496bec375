"""Keeps vector stores and their files, and the line of files that wait to be indexed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.filtering import Filter
from freddy.server.core.vector_stores import Batch, Chunk, FileFailure, FileStatus, Passage, StoreFile, VectorStore
from freddy.server.ports.stores import Page
from freddy.server.ports.vector_stores import Totals
from freddy.server.stores.sql import segments, statements, tables
from freddy.server.stores.sql import vector_store_rows as rows
from freddy.server.stores.sql.connection import Connection, Database, Taken
from freddy.server.stores.sql.paging import Listing
from freddy.server.stores.sql.statements import Statement, Value, param
from freddy.server.stores.sql.vector_store_rows import DAY, FILE_COLUMNS, STORE_COLUMNS
from freddy.server.stores.vectors.words import SEGMENT

if TYPE_CHECKING:
    from freddy.server.stores.sql.chunk_search import ChunkSearch, SearchPoints

_stores = tables.vector_stores
_files = tables.vector_store_files
_batches = tables.vector_store_batches
_segments = tables.vector_segments
_chunks = tables.vector_chunks
_AT_ONCE = 16
"""Ids that one statement looks for."""
_COUNTS: tuple[FileStatus, ...] = ("in_progress", "completed", "failed", "cancelled")
_SUMS = ("chunks", "bytes", *_COUNTS)

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

_ADD = Statement(_stores.insert().values(statements.params(_stores, leave_out=("number",))))
_HOW_MANY = Statement(sa.select(sa.func.count()).select_from(_stores).where(*_here))
_GET = Statement(sa.select(*STORE_COLUMNS).where(*_store))
_FIND = Statement(
    sa.select(*STORE_COLUMNS).where(_stores.c.id.in_([param(f"id_{place}") for place in range(_AT_ONCE)]), *_here)
)
_LIST = Listing(sa.select(*STORE_COLUMNS).where(*_here), key=(_stores.c.created_at, _stores.c.id), cursor=_stores.c.id)
_ALTERED = (
    "name", "description", "metadata", "access_mode", "expiry_days", "expires_at", "updated_at", "used_at",
)  # fmt: skip
_CHANGE = Statement(_stores.update().where(*_store).values({name: param(name) for name in _ALTERED}))
_HIDE = Statement(_stores.update().where(*_store).values(deleted=sa.true()).returning(_stores.c.number))
_DROP_FILES = Statement(_files.delete().where(_files.c.store_id == param("store_id")))
_DROP_BATCHES = Statement(_batches.delete().where(_batches.c.store_id == param("store_id")))
_TOUCH = Statement(
    _stores.update()
    .where(*_store, _stores.c.used_at < param("now"))
    # Of nothing, this is nothing.
    .values(used_at=param("now"), expires_at=_stores.c.expiry_days * sa.literal_column(str(DAY)) + param("now"))
)
_OLDER = Statement(
    sa.select(_stores.c.id).where(
        _stores.c.id.in_([param(f"id_{place}") for place in range(_AT_ONCE)]), *_here, _stores.c.used_at < param("now")
    )
)
_EXPIRED = Statement(
    sa.select(*STORE_COLUMNS)
    .where(_stores.c.expires_at <= param("now"), tables.STANDING)
    .order_by(_stores.c.expires_at)
    .limit(param("limit"))
)
_TOTALS = Statement(
    sa.select(
        sa.func.count(),
        sa.func.sum(_stores.c.in_progress + _stores.c.completed + _stores.c.failed + _stores.c.cancelled),
        sa.func.sum(_stores.c.chunks),
        sa.func.sum(_stores.c.bytes),
    ).where(*_here)
)
_PLACE = Statement(
    sa.select(_stores.c.number, _stores.c.version, *(_stores.c[name] for name in _COUNTS)).where(*_store)
)
# The sums go up and down by these, and what can be found is something else then.
_COUNT = Statement(
    _stores.update()
    .where(_stores.c.number == param("number"))
    .values(
        {name: _stores.c[name] + param(f"more_{name}") for name in _SUMS}
        | {"version": _stores.c.version + sa.literal_column("1")}
    )
)

_GET_FILE = Statement(sa.select(*FILE_COLUMNS).where(*_this))
_IN_STORE = (_files.c.store_id == param("store_id"), _files.c.organization_id == param("organization_id"))
_KNOWN = Statement(
    sa.select(*FILE_COLUMNS).where(
        *_IN_STORE, _files.c.file_id.in_([param(f"id_{place}") for place in range(_AT_ONCE)])
    )
)
_put = statements.insert(_files).values(statements.params(_files))
_PUT = Statement(
    _put.on_conflict_do_update(
        index_elements=_files.primary_key.columns,
        set_={column.name: _put.excluded[column.name] for column in _files.columns if not column.primary_key},
    )
)
_CHANGE_FILE = Statement(
    _files.update()
    .where(*_this)
    .values(statements.params(_files, leave_out=("store_id", "file_id", "organization_id")))
)
_LEASE = Statement(sa.select(_files.c.leased_until).where(*_this))
_REMOVE_FILE = Statement(_files.delete().where(*_this))
_EVERYWHERE = Statement(
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


_FILE_LISTS = {
    (by_status, by_batch): _listed(by_status=by_status, by_batch=by_batch)
    for by_status in (False, True)
    for by_batch in (False, True)
}

_ADD_BATCH = Statement(_batches.insert().values(statements.params(_batches)))
_batch = (
    _batches.c.id == param("batch_id"),
    _batches.c.store_id == param("store_id"),
    _batches.c.organization_id == param("organization_id"),
)
_GET_BATCH = Statement(sa.select(_batches.c.created_at, _batches.c.cancelled).where(*_batch))
_CANCEL_BATCH = Statement(_batches.update().where(*_batch).values(cancelled=sa.true()))
_of_batch = (*_IN_STORE, _files.c.batch_id == param("batch_id"))
_BATCH_COUNTS = Statement(sa.select(_files.c.status, sa.func.count()).where(*_of_batch).group_by(_files.c.status))
_UNFINISHED = Statement(sa.select(*FILE_COLUMNS).where(*_of_batch, tables.WAITING))

_free = sa.and_(tables.WAITING, _files.c.leased_until <= param("now"))
_ANY_FREE = Statement(sa.select(sa.literal(1)).select_from(_files).where(_free).limit(1))
_file = (_files.c.store_id, _files.c.file_id)
_CLAIM = Statement(
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
_REPORT = Statement(
    _files.update()
    .where(*_held)
    .values(progress=param("progress"), leased_until=param("until"), updated_at=param("now"))
)
# The row of the store is left alone here: who reads it and writes much stands in the way of all who count in it.
_HELD = Statement(sa.select(sa.literal_column("1")).select_from(_files).where(*_held))
_HELD_IN = Statement(
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
_END = Statement(
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
_CHUNKS = Statement(
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


class SqlVectorStores:
    """The port `VectorStores`.

    `memory` is how many bytes of vectors it keeps to search in, besides an eighth of that for what else it knows of the
    stores. With `points` the database searches the vectors of large stores itself; see `postgres.points.prepared`.
    """

    def __init__(self, database: Database, *, memory: int, points: "SearchPoints | None" = None) -> None:
        self._database = database
        self._memory = memory
        self._points = points
        self._search: ChunkSearch | None = None

    async def add(self, store: VectorStore, *, most: int) -> None:
        values = rows.store_values(store)

        async def work(connection: Connection) -> None:
            counted = await connection.one(_HOW_MANY, organization_id=store.organization_id)
            if counted and counted[0] >= most:
                raise errors.Conflict(
                    f"The organization has {most} vector stores, the most it may have.",
                    details="Delete a vector store that is no longer needed.",
                )
            try:
                await connection.run(_ADD, **values)
            except Taken as error:
                raise errors.Conflict(f"There is a vector store {store.id!r} already.", param="id") from error

        await self._database.write(work)

    async def get(self, organization_id: str, store_id: str) -> VectorStore | None:
        async def work(connection: Connection) -> VectorStore | None:
            row = await connection.one(_GET, organization_id=organization_id, store_id=store_id)
            return None if row is None else rows.store(row)

        return await self._database.read(work)

    async def find(self, organization_id: str, store_ids: Sequence[str]) -> Mapping[str, VectorStore]:
        async def work(connection: Connection) -> Mapping[str, VectorStore]:
            found: dict[str, VectorStore] = {}
            for ids in _in_parts(store_ids):
                for row in await connection.all(_FIND, organization_id=organization_id, **ids):
                    store = rows.store(row)
                    found[store.id] = store
            return found

        return await self._database.read(work) if store_ids else {}

    async def list(self, organization_id: str, page: Page) -> tuple[Sequence[VectorStore], bool]:
        async def work(connection: Connection) -> tuple[Sequence[VectorStore], bool]:
            found, more = await _LIST.page(connection, page, organization_id=organization_id)
            return [rows.store(row) for row in found], more

        return await self._database.read(work)

    async def change(
        self, organization_id: str, store_id: str, alter: Callable[[VectorStore], VectorStore]
    ) -> VectorStore | None:
        async def work(connection: Connection) -> VectorStore | None:
            row = await connection.one(_GET, organization_id=organization_id, store_id=store_id)
            if row is None:
                return None
            before = rows.store(row)
            altered = alter(before)
            after = replace(
                before,
                name=altered.name,
                description=altered.description,
                metadata=altered.metadata,
                access_mode=altered.access_mode,
                expiry=altered.expiry,
                updated_at=altered.updated_at,
                used_at=altered.used_at,
            )
            changes = rows.store_changes(after)
            await connection.run(_CHANGE, organization_id=organization_id, store_id=store_id, **changes)
            return after

        return await self._database.write(work)

    async def delete(self, organization_id: str, store_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            if await connection.one(_HIDE, organization_id=organization_id, store_id=store_id) is None:
                return False
            await connection.run(_DROP_FILES, store_id=store_id)
            await connection.run(_DROP_BATCHES, store_id=store_id)
            return True

        return await self._database.write(work)

    async def touch(self, organization_id: str, store_ids: Sequence[str], now: int) -> None:
        async def look(connection: Connection) -> list[str]:
            return [
                row[0]
                for ids in _in_parts(sorted(store_ids))
                for row in await connection.all(_OLDER, organization_id=organization_id, now=now, **ids)
            ]

        # Mostly somebody else did in the same second.
        older = await self._database.read(look)

        async def work(connection: Connection) -> None:
            scope: dict[str, Value] = {"organization_id": organization_id, "now": now}
            await connection.many(_TOUCH, [{**scope, "store_id": store_id} for store_id in older])

        if older:
            await self._database.write(work)

    async def expired(self, now: int, *, limit: int) -> Sequence[VectorStore]:
        async def work(connection: Connection) -> Sequence[VectorStore]:
            return [rows.store(row) for row in await connection.all(_EXPIRED, now=now, limit=limit)]

        return await self._database.read(work)

    async def totals(self, organization_id: str) -> Totals:
        async def work(connection: Connection) -> Totals:
            row = await connection.one(_TOTALS, organization_id=organization_id)
            return Totals(*(int(number or 0) for number in row or (0, 0, 0, 0)))

        return await self._database.read(work)

    async def add_files(self, files: Sequence[StoreFile], *, batch: Batch | None = None, most: int) -> None:
        first = batch or next(iter(files), None)
        if first is None:
            return
        scope: dict[str, Value] = {"organization_id": first.organization_id, "store_id": first.store_id}
        batch_id = None if batch is None else batch.id
        wanted = {file.file_id: replace(file, batch_id=batch_id or file.batch_id) for file in files}

        async def work(connection: Connection) -> None:
            place = await connection.one(_PLACE, **scope)
            if place is None:
                raise errors.NotFound(f"There is no vector store {first.store_id!r}.", param="vector_store_id")
            number, version, *counts = place
            known = [
                rows.file(row)
                for ids in _in_parts(list(wanted))
                for row in await connection.all(_KNOWN, **scope, **ids)
            ]
            if sum(counts) + len(wanted) - len(known) > most:
                raise errors.Conflict(
                    f"The vector store would have more than {most} files, the most it may have.",
                    details="Remove files that are no longer needed, or make another vector store.",
                )
            if batch is not None:
                await connection.run(_ADD_BATCH, **rows.batch_values(batch))
            for file in known:
                await segments.kill(connection, store=number, file_id=file.file_id)
            fresh = [replace(file, chunks=0, bytes=0, attempts=0, begun=version + 1) for file in wanted.values()]
            await connection.many(_PUT, [rows.file_values(file) | {"leased_until": 0} for file in fresh])
            await _count(connection, number, gone=known, come=fresh)

        await self._database.write(work)

    async def get_file(self, organization_id: str, store_id: str, file_id: str) -> StoreFile | None:
        async def work(connection: Connection) -> StoreFile | None:
            row = await connection.one(_GET_FILE, organization_id=organization_id, store_id=store_id, file_id=file_id)
            return None if row is None else rows.file(row)

        return await self._database.read(work)

    async def list_files(
        self,
        organization_id: str,
        store_id: str,
        page: Page,
        *,
        status: FileStatus | None = None,
        batch_id: str | None = None,
    ) -> tuple[Sequence[StoreFile], bool]:
        listing = _FILE_LISTS[status is not None, batch_id is not None]
        scope: dict[str, Value] = {"organization_id": organization_id, "store_id": store_id}
        if status is not None:
            scope["status"] = status
        if batch_id is not None:
            scope["batch_id"] = batch_id

        async def work(connection: Connection) -> tuple[Sequence[StoreFile], bool]:
            found, more = await listing.page(connection, page, **scope)
            return [rows.file(row) for row in found], more

        return await self._database.read(work)

    async def change_file(
        self, organization_id: str, store_id: str, file_id: str, alter: Callable[[StoreFile], StoreFile]
    ) -> StoreFile | None:
        scope: dict[str, Value] = {"organization_id": organization_id, "store_id": store_id}

        async def work(connection: Connection) -> StoreFile | None:
            row = await connection.one(_GET_FILE, **scope, file_id=file_id)
            place = await connection.one(_PLACE, **scope)
            if row is None or place is None:
                return None
            number, version, *_ = place
            before = rows.file(row)
            altered = alter(before)
            fixed = {"store_id": store_id, "file_id": file_id, "organization_id": organization_id}
            kept = {"chunks": before.chunks, "bytes": before.bytes, "attempts": before.attempts, "begun": before.begun}
            if altered.status != before.status:
                # What was written of it belongs to the status that it had; whoever is at it has lost it.
                await segments.kill(connection, store=number, file_id=file_id)
                kept = {"chunks": 0, "bytes": 0, "attempts": altered.attempts, "begun": version + 1}
            after = replace(altered, **fixed, **kept)
            lease = await connection.one(_LEASE, **scope, file_id=file_id)
            leased_until = lease[0] if lease and altered.status == before.status else 0
            await connection.run(_CHANGE_FILE, **rows.file_values(after), leased_until=leased_until)
            await _count(connection, number, gone=[before], come=[after])
            return after

        return await self._database.write(work)

    async def remove_file(self, organization_id: str, store_id: str, file_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            row = await connection.one(_GET_FILE, organization_id=organization_id, store_id=store_id, file_id=file_id)
            return row is not None and await _remove(connection, rows.file(row))

        return await self._database.write(work)

    async def forget_file(self, organization_id: str, file_id: str) -> int:
        async def look(connection: Connection) -> list[StoreFile]:
            found = await connection.all(_EVERYWHERE, organization_id=organization_id, file_id=file_id)
            return [rows.file(row) for row in found]

        async def work(connection: Connection) -> int:
            return sum([await _remove(connection, file) for file in await look(connection)])

        # Mostly there is nothing to write.
        return await self._database.write(work) if await self._database.read(look) else 0

    async def get_batch(self, organization_id: str, store_id: str, batch_id: str) -> Batch | None:
        return await self._database.read(lambda connection: _get_batch(connection, organization_id, store_id, batch_id))

    async def cancel_batch(self, organization_id: str, store_id: str, batch_id: str) -> Batch | None:
        scope: dict[str, Value] = {"organization_id": organization_id, "store_id": store_id}

        async def work(connection: Connection) -> Batch | None:
            place = await connection.one(_PLACE, **scope)
            if place is None:
                return None
            number, version, *_ = place
            before = [rows.file(row) for row in await connection.all(_UNFINISHED, **scope, batch_id=batch_id)]
            if before:  # one that is over stays as it ended
                await connection.run(_CANCEL_BATCH, **scope, batch_id=batch_id)
            after = [replace(file, status="cancelled", begun=version + 1) for file in before]
            for file in before:
                await segments.kill(connection, store=number, file_id=file.file_id)
            await connection.many(_PUT, [rows.file_values(file) | {"leased_until": 0} for file in after])
            if before:
                await _count(connection, number, gone=before, come=after)
            return await _get_batch(connection, organization_id, store_id, batch_id)

        return await self._database.write(work)

    async def claim(self, now: int, *, lease: int, limit: int, after: str = "") -> Sequence[StoreFile]:
        async def work(connection: Connection) -> Sequence[StoreFile]:
            taken = await connection.all(_CLAIM, now=now, until=now + lease, updated_at=now, limit=limit, after=after)
            files = [rows.file(row) for row in taken]
            for file in files:
                if file.attempts > 1:  # another may have written a part
                    held = await connection.one(_HELD_IN, **_claim(file))
                    assert held is not None
                    await segments.kill(connection, store=held[0], file_id=file.file_id)
            return sorted(files, key=lambda file: (file.created_at, file.file_id))

        # Mostly there is nothing to write.
        if not await self._database.read(lambda connection: connection.one(_ANY_FREE, now=now)):
            return []
        return await self._database.write(work)

    async def report(self, file: StoreFile, now: int, *, lease: int, progress: float) -> bool:
        async def work(connection: Connection) -> bool:
            held = await connection.run(_REPORT, **_claim(file), now=now, until=now + lease, progress=progress)
            return held > 0

        return await self._database.write(work)

    async def index(self, file: StoreFile, chunks: Sequence[Chunk], now: int) -> bool:
        held = await self._database.read(lambda connection: connection.one(_HELD_IN, **_claim(file)))
        if held is None:
            return False
        number, dimensions, begun = held
        if any(len(chunk.vector) != dimensions * 4 for chunk in chunks):
            raise errors.InvalidInput(
                f"The vectors for the file {file.file_id!r} have not the {dimensions} dimensions of its vector store.",
                details="Make them with the model that the vector store names.",
            )

        async def begin_anew(connection: Connection) -> None:
            if await connection.one(_HELD, **_claim(file)):
                await segments.kill(connection, store=number, file_id=file.file_id)

        if begun:  # by a call that did not come to its end
            await self._database.write(begin_anew)
        size = 0
        cut = segments.pieces(chunks)
        while (piece := await asyncio.to_thread(next, cut, None)) is not None:
            size += piece.size
            if not await self._database.write(_step(file, number, piece)):
                return False
        return await self._end(file, now, status="completed", chunks=len(chunks), bytes=size)

    async def fail(self, file: StoreFile, failure: FileFailure, now: int) -> bool:
        return await self._end(file, now, status="failed", failure=failure)

    async def _end(
        self,
        file: StoreFile,
        now: int,
        *,
        status: FileStatus,
        failure: FileFailure | None = None,
        chunks: int = 0,
        bytes: int = 0,  # noqa: A002
    ) -> bool:
        async def work(connection: Connection) -> bool:
            held = await connection.one(_HELD_IN, **_claim(file))
            if held is None:
                return False
            number, _, begun = held
            if failure is not None and begun:
                await segments.kill(connection, store=number, file_id=file.file_id)
            await connection.run(
                _END,
                **_claim(file),
                status=status,
                progress=1.0 if failure is None else file.progress,
                chunks=chunks,
                bytes=bytes,
                failure_code=None if failure is None else failure.code,
                failure_message=None if failure is None else failure.message,
                updated_at=now,
            )
            before = replace(file, status="in_progress", chunks=0, bytes=0)
            after = replace(before, status=status, chunks=chunks, bytes=bytes)
            await _count(connection, number, gone=[before], come=[after])
            return True

        return await self._database.write(work)

    async def chunks(self, organization_id: str, store_id: str, file_id: str) -> Sequence[Chunk]:
        async def work(connection: Connection) -> Sequence[Chunk]:
            found = await connection.all(_CHUNKS, organization_id=organization_id, store_id=store_id, file_id=file_id)
            return [Chunk(place=place, text=text, vector=b"", tokens=tokens) for place, text, tokens in found]

        return await self._database.read(work)

    async def nearest(
        self,
        organization_id: str,
        store_ids: Sequence[str],
        vector: bytes,
        *,
        limit: int,
        filter_: Filter | None = None,
    ) -> Sequence[Passage]:
        search = self._search or await self._searching()
        return await search.nearest(organization_id, store_ids, vector, limit=limit, filter_=filter_)

    async def matching(
        self,
        organization_id: str,
        store_ids: Sequence[str],
        text: str,
        *,
        limit: int,
        filter_: Filter | None = None,
    ) -> Sequence[Passage]:
        search = self._search or await self._searching()
        return await search.matching(organization_id, store_ids, text, limit=limit, filter_=filter_)

    async def sweep(self) -> bool:
        if await segments.sweep(self._database, self._points):
            return True
        return self._points is not None and await self._points.catch_up()

    async def _searching(self) -> "ChunkSearch":
        # For a moment nobody else would be served.
        made = await asyncio.to_thread(self._searcher)
        self._search = self._search or made
        return self._search

    def _searcher(self) -> "ChunkSearch":
        try:
            from freddy.server.stores.sql.chunk_search import ChunkSearch  # noqa: PLC0415 — imports numpy
        except ModuleNotFoundError as error:
            raise errors.StorageUnavailable(
                "Vector stores cannot be searched: numpy is not installed.",
                details="Run: pip install 'freddy-gateway[search]'",
            ) from error
        return ChunkSearch(self._database, memory=self._memory, points=self._points)


def _step(file: StoreFile, number: int, piece: segments.Piece) -> Callable[[Connection], Coroutine[Any, Any, bool]]:
    """The work that writes a segment of a claimed file."""

    async def work(connection: Connection) -> bool:
        if await connection.one(_HELD, **_claim(file)) is None:
            return False
        await segments.add(connection, piece, file, store=number)
        return True

    return work


def _claim(file: StoreFile) -> dict[str, Value]:
    """The values of `_held`."""
    return {
        "store_id": file.store_id,
        "file_id": file.file_id,
        "organization_id": file.organization_id,
        "begun": file.begun,
        "attempts": file.attempts,
    }


async def _remove(connection: Connection, file: StoreFile) -> bool:
    scope: dict[str, Value] = {"organization_id": file.organization_id, "store_id": file.store_id}
    place = await connection.one(_PLACE, **scope)
    if place is None or not await connection.run(_REMOVE_FILE, **scope, file_id=file.file_id):
        return False
    await segments.kill(connection, store=place[0], file_id=file.file_id)
    await _count(connection, place[0], gone=[file], come=[])
    return True


async def _count(connection: Connection, number: int, *, gone: Iterable[StoreFile], come: Iterable[StoreFile]) -> None:
    """Keeps the sums of a store right, and tells those who search it that it is another."""
    more: Counter[str] = Counter()
    for sign, files in ((-1, gone), (1, come)):
        for file in files:
            more[file.status] += sign
            more["chunks"] += sign * file.chunks
            more["bytes"] += sign * file.bytes
    await connection.run(_COUNT, number=number, **{f"more_{name}": more[name] for name in _SUMS})


async def _get_batch(connection: Connection, organization_id: str, store_id: str, batch_id: str) -> Batch | None:
    scope: dict[str, Value] = {"organization_id": organization_id, "store_id": store_id, "batch_id": batch_id}
    row = await connection.one(_GET_BATCH, **scope)
    if row is None:
        return None
    created_at, cancelled = row
    counts: dict[str, int] = dict(await connection.all(_BATCH_COUNTS, **scope))
    return Batch(
        id=batch_id,
        store_id=store_id,
        organization_id=organization_id,
        created_at=created_at,
        cancelled=bool(cancelled),
        in_progress=counts.get("in_progress", 0),
        completed=counts.get("completed", 0),
        failed=counts.get("failed", 0),
        cancelled_files=counts.get("cancelled", 0),
    )


def _in_parts(ids: Sequence[str]) -> Iterable[dict[str, Value]]:
    """The values of statements that look for `_AT_ONCE` ids."""
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        some += some[:1] * (_AT_ONCE - len(some))
        yield {f"id_{place}": each for place, each in enumerate(some)}
