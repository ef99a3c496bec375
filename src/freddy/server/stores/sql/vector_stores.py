"""Keeps vector stores and their files, and the line of files that wait to be indexed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.filtering import Filter
from freddy.server.core.vector_stores import Batch, Chunk, FileFailure, FileStatus, Passage, StoreFile, VectorStore
from freddy.server.ports.stores import Page
from freddy.server.ports.vector_stores import Totals
from freddy.server.stores.sql import segments
from freddy.server.stores.sql import vector_store_queries as queries
from freddy.server.stores.sql import vector_store_rows as rows
from freddy.server.stores.sql.connection import Connection, Database, Taken
from freddy.server.stores.sql.statements import Value

if TYPE_CHECKING:
    from freddy.server.stores.sql.chunk_search import ChunkSearch, SearchPoints


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
            counted = await connection.one(queries.HOW_MANY, organization_id=store.organization_id)
            if counted and counted[0] >= most:
                raise errors.Conflict(
                    f"The organization has {most} vector stores, the most it may have.",
                    details="Delete a vector store that is no longer needed.",
                )
            try:
                await connection.run(queries.ADD, **values)
            except Taken as error:
                raise errors.Conflict(f"There is a vector store {store.id!r} already.", param="id") from error

        await self._database.write(work)

    async def get(self, organization_id: str, store_id: str) -> VectorStore | None:
        async def work(connection: Connection) -> VectorStore | None:
            row = await connection.one(queries.GET, organization_id=organization_id, store_id=store_id)
            return None if row is None else rows.store(row)

        return await self._database.read(work)

    async def find(self, organization_id: str, store_ids: Sequence[str]) -> Mapping[str, VectorStore]:
        async def work(connection: Connection) -> Mapping[str, VectorStore]:
            found: dict[str, VectorStore] = {}
            for ids in _in_parts(store_ids):
                for row in await connection.all(queries.FIND, organization_id=organization_id, **ids):
                    store = rows.store(row)
                    found[store.id] = store
            return found

        return await self._database.read(work) if store_ids else {}

    async def list(self, organization_id: str, page: Page) -> tuple[Sequence[VectorStore], bool]:
        async def work(connection: Connection) -> tuple[Sequence[VectorStore], bool]:
            found, more = await queries.LIST.page(connection, page, organization_id=organization_id)
            return [rows.store(row) for row in found], more

        return await self._database.read(work)

    async def change(
        self, organization_id: str, store_id: str, alter: Callable[[VectorStore], VectorStore]
    ) -> VectorStore | None:
        async def work(connection: Connection) -> VectorStore | None:
            row = await connection.one(queries.GET, organization_id=organization_id, store_id=store_id)
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
            await connection.run(queries.CHANGE, organization_id=organization_id, store_id=store_id, **changes)
            return after

        return await self._database.write(work)

    async def delete(self, organization_id: str, store_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            if await connection.one(queries.HIDE, organization_id=organization_id, store_id=store_id) is None:
                return False
            await connection.run(queries.DROP_FILES, store_id=store_id)
            await connection.run(queries.DROP_BATCHES, store_id=store_id)
            return True

        return await self._database.write(work)

    async def touch(self, organization_id: str, store_ids: Sequence[str], now: int) -> None:
        async def look(connection: Connection) -> list[str]:
            return [
                row[0]
                for ids in _in_parts(sorted(store_ids))
                for row in await connection.all(queries.OLDER, organization_id=organization_id, now=now, **ids)
            ]

        # Mostly somebody else did in the same second.
        older = await self._database.read(look)

        async def work(connection: Connection) -> None:
            scope: dict[str, Value] = {"organization_id": organization_id, "now": now}
            await connection.many(queries.TOUCH, [{**scope, "store_id": store_id} for store_id in older])

        if older:
            await self._database.write(work)

    async def expired(self, now: int, *, limit: int) -> Sequence[VectorStore]:
        async def work(connection: Connection) -> Sequence[VectorStore]:
            return [rows.store(row) for row in await connection.all(queries.EXPIRED, now=now, limit=limit)]

        return await self._database.read(work)

    async def totals(self, organization_id: str) -> Totals:
        async def work(connection: Connection) -> Totals:
            row = await connection.one(queries.TOTALS, organization_id=organization_id)
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
            place = await connection.one(queries.PLACE, **scope)
            if place is None:
                raise errors.NotFound(f"There is no vector store {first.store_id!r}.", param="vector_store_id")
            number, version, *counts = place
            known = [
                rows.file(row)
                for ids in _in_parts(list(wanted))
                for row in await connection.all(queries.KNOWN, **scope, **ids)
            ]
            if sum(counts) + len(wanted) - len(known) > most:
                raise errors.Conflict(
                    f"The vector store would have more than {most} files, the most it may have.",
                    details="Remove files that are no longer needed, or make another vector store.",
                )
            if batch is not None:
                await connection.run(queries.ADD_BATCH, **rows.batch_values(batch))
            for file in known:
                await segments.kill(connection, store=number, file_id=file.file_id)
            fresh = [replace(file, chunks=0, bytes=0, attempts=0, begun=version + 1) for file in wanted.values()]
            await connection.many(queries.PUT, [rows.file_values(file) | {"leased_until": 0} for file in fresh])
            await _count(connection, number, gone=known, come=fresh)

        await self._database.write(work)

    async def get_file(self, organization_id: str, store_id: str, file_id: str) -> StoreFile | None:
        async def work(connection: Connection) -> StoreFile | None:
            row = await connection.one(
                queries.GET_FILE, organization_id=organization_id, store_id=store_id, file_id=file_id
            )
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
        listing = queries.FILE_LISTS[status is not None, batch_id is not None]
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
            row = await connection.one(queries.GET_FILE, **scope, file_id=file_id)
            place = await connection.one(queries.PLACE, **scope)
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
            lease = await connection.one(queries.LEASE, **scope, file_id=file_id)
            leased_until = lease[0] if lease and altered.status == before.status else 0
            await connection.run(queries.CHANGE_FILE, **rows.file_values(after), leased_until=leased_until)
            await _count(connection, number, gone=[before], come=[after])
            return after

        return await self._database.write(work)

    async def remove_file(self, organization_id: str, store_id: str, file_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            row = await connection.one(
                queries.GET_FILE, organization_id=organization_id, store_id=store_id, file_id=file_id
            )
            return row is not None and await _remove(connection, rows.file(row))

        return await self._database.write(work)

    async def forget_file(self, organization_id: str, file_id: str) -> int:
        async def look(connection: Connection) -> list[StoreFile]:
            found = await connection.all(queries.EVERYWHERE, organization_id=organization_id, file_id=file_id)
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
            place = await connection.one(queries.PLACE, **scope)
            if place is None:
                return None
            number, version, *_ = place
            before = [rows.file(row) for row in await connection.all(queries.UNFINISHED, **scope, batch_id=batch_id)]
            if before:  # one that is over stays as it ended
                await connection.run(queries.CANCEL_BATCH, **scope, batch_id=batch_id)
            after = [replace(file, status="cancelled", begun=version + 1) for file in before]
            for file in before:
                await segments.kill(connection, store=number, file_id=file.file_id)
            await connection.many(queries.PUT, [rows.file_values(file) | {"leased_until": 0} for file in after])
            if before:
                await _count(connection, number, gone=before, come=after)
            return await _get_batch(connection, organization_id, store_id, batch_id)

        return await self._database.write(work)

    async def claim(self, now: int, *, lease: int, limit: int, after: str = "") -> Sequence[StoreFile]:
        async def work(connection: Connection) -> Sequence[StoreFile]:
            taken = await connection.all(
                queries.CLAIM, now=now, until=now + lease, updated_at=now, limit=limit, after=after
            )
            files = [rows.file(row) for row in taken]
            for file in files:
                if file.attempts > 1:  # another may have written a part
                    held = await connection.one(queries.HELD_IN, **_claim(file))
                    assert held is not None
                    await segments.kill(connection, store=held[0], file_id=file.file_id)
            return sorted(files, key=lambda file: (file.created_at, file.file_id))

        # Mostly there is nothing to write.
        if not await self._database.read(lambda connection: connection.one(queries.ANY_FREE, now=now)):
            return []
        return await self._database.write(work)

    async def report(self, file: StoreFile, now: int, *, lease: int, progress: float) -> bool:
        async def work(connection: Connection) -> bool:
            held = await connection.run(queries.REPORT, **_claim(file), now=now, until=now + lease, progress=progress)
            return held > 0

        return await self._database.write(work)

    async def index(self, file: StoreFile, chunks: Sequence[Chunk], now: int) -> bool:
        held = await self._database.read(lambda connection: connection.one(queries.HELD_IN, **_claim(file)))
        if held is None:
            return False
        number, dimensions, begun = held
        if any(len(chunk.vector) != dimensions * 4 for chunk in chunks):
            raise errors.InvalidInput(
                f"The vectors for the file {file.file_id!r} have not the {dimensions} dimensions of its vector store.",
                details="Make them with the model that the vector store names.",
            )

        async def begin_anew(connection: Connection) -> None:
            if await connection.one(queries.HELD, **_claim(file)):
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
            held = await connection.one(queries.HELD_IN, **_claim(file))
            if held is None:
                return False
            number, _, begun = held
            if failure is not None and begun:
                await segments.kill(connection, store=number, file_id=file.file_id)
            await connection.run(
                queries.END,
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
            found = await connection.all(
                queries.CHUNKS, organization_id=organization_id, store_id=store_id, file_id=file_id
            )
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
        if await connection.one(queries.HELD, **_claim(file)) is None:
            return False
        await segments.add(connection, piece, file, store=number)
        return True

    return work


def _claim(file: StoreFile) -> dict[str, Value]:
    """The values that statements about a file that is held ask for."""
    return {
        "store_id": file.store_id,
        "file_id": file.file_id,
        "organization_id": file.organization_id,
        "begun": file.begun,
        "attempts": file.attempts,
    }


async def _remove(connection: Connection, file: StoreFile) -> bool:
    scope: dict[str, Value] = {"organization_id": file.organization_id, "store_id": file.store_id}
    place = await connection.one(queries.PLACE, **scope)
    if place is None or not await connection.run(queries.REMOVE_FILE, **scope, file_id=file.file_id):
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
    await connection.run(queries.COUNT, number=number, **{f"more_{name}": more[name] for name in queries.SUMS})


async def _get_batch(connection: Connection, organization_id: str, store_id: str, batch_id: str) -> Batch | None:
    scope: dict[str, Value] = {"organization_id": organization_id, "store_id": store_id, "batch_id": batch_id}
    row = await connection.one(queries.GET_BATCH, **scope)
    if row is None:
        return None
    created_at, cancelled = row
    counts: dict[str, int] = dict(await connection.all(queries.BATCH_COUNTS, **scope))
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
    """The values of statements that look for `queries.AT_ONCE` ids."""
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), queries.AT_ONCE):
        some = wanted[start : start + queries.AT_ONCE]
        some += some[:1] * (queries.AT_ONCE - len(some))
        yield {f"id_{place}": each for place, each in enumerate(some)}
