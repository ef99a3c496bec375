"""The use-cases of vector stores: make them, fill them, look into them, let them go."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core import errors, filtering, ids
from freddy.server.core.accounts import Caller
from freddy.server.core.files import File, known_id
from freddy.server.core.stocking import (
    LARGEST_CHUNK,
    LONGEST_LIFE,
    MOST_AT_ONCE,
    MOST_QUERIES,
    MOST_RESULTS,
    SMALLEST_CHUNK,
    NewFile,
    NewStore,
    Search,
    Searched,
    StoreChange,
    has_expired,
)
from freddy.server.core.vector_stores import (
    Attribute,
    Batch,
    Chunk,
    Chunking,
    Expiry,
    FileStatus,
    StoreFile,
    VectorStore,
)
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.metering import Meter
from freddy.server.knowledge.retrieval import Retrieval, expired, missing
from freddy.server.ports.embedder import Embedders
from freddy.server.ports.stores import Page
from freddy.server.ports.vector_stores import Totals, VectorStores
from freddy.server.ports.world import Clock, IdSource

_SWEPT: Final = 100
"""Stores that are looked at together."""


class Quotas(Struct, frozen=True, kw_only=True):
    """What an organization may have: `stores`, `bytes` in all of them (text and vectors); and a store, and a file."""

    stores: int = 1_000
    store_files: int = 10_000
    bytes: int = 10 * 2**30
    file_bytes: int = 100 * 2**20


class Knowledge:
    """The vector stores of organizations. Those of organizations out of the caller's reach are not there.

    `added` is called when files wait to be indexed; `chunking` is how files are cut where nobody says.
    """

    def __init__(
        self,
        *,
        stores: VectorStores,
        files: Files,
        embedders: Embedders,
        retrieval: Retrieval,
        meter: Meter,
        clock: Clock,
        ids: IdSource,
        quotas: Quotas,
        chunking: Chunking,
        added: Callable[[], None],
    ) -> None:
        self._stores = stores
        self._files = files
        self._embedders = embedders
        self._retrieval = retrieval
        self._meter = meter
        self._clock = clock
        self._ids = ids
        self._quotas = quotas
        self._chunking = chunking
        self._added = added

    async def create(self, caller: Caller, new: NewStore) -> VectorStore:
        """Raises `errors.NotFound` for files and an embedder that are not there, `errors.Conflict` for too many stores,
        and what the embedder raises that has to be asked for its dimensions."""
        _check_life(new.expiry)
        name = self._embedders.default if new.embedder is None else new.embedder
        embedder = self._embedders.find(name)
        found = await self._wanted(caller.organization_id, new.files, param="file_ids")
        now = self._now()
        store = VectorStore(
            id=self._ids.new(ids.VECTOR_STORE),
            organization_id=caller.organization_id,
            name=new.name,
            description=new.description,
            metadata=new.metadata,
            access_mode=new.access_mode,
            embedder=embedder.name,
            dimensions=await self._meter.dimensions(embedder, caller.organization_id),
            expiry=new.expiry,
            created_at=now,
            updated_at=now,
            used_at=now,
            created_by=_author(caller),
        )
        try:
            await self._stores.add(store, most=self._quotas.stores)
        except errors.Conflict:
            raise errors.Conflict(
                f"The organization has {self._quotas.stores:,} vector stores, and may have no more",
                code="too_many_vector_stores",
                details="delete one, or raise `knowledge.max_stores`",
            ) from None
        if not found:
            return store
        await self._add(caller, store, found, new.files)
        return await self._stores.get(store.organization_id, store.id) or store

    async def get(self, caller: Caller, store_id: str) -> VectorStore:
        """Raises `errors.NotFound`."""
        for organization_id in caller.reach:
            store = await self._stores.get(organization_id, store_id)
            if store is not None:
                return store
        raise missing(store_id)

    async def list(self, caller: Caller, page: Page) -> tuple[Sequence[VectorStore], bool]:
        """A page, and whether more follow. Raises `errors.InvalidValue` for a cursor that is none of them."""
        return await self._stores.list(caller.organization_id, page)

    async def change(
        self, caller: Caller, store_id: str, change: StoreChange | Callable[[VectorStore], StoreChange]
    ) -> VectorStore:
        """What the change depends on is told to it, where it is a function. Raises `errors.NotFound`."""

        def altered(store: VectorStore) -> VectorStore:
            wanted = change if isinstance(change, StoreChange) else change(store)
            if wanted.expiry is not UNSET:
                _check_life(wanted.expiry)
            return replace(
                store,
                name=_or(wanted.name, store.name),
                description=_or(wanted.description, store.description),
                metadata=store.metadata if wanted.metadata is UNSET else wanted.metadata,
                access_mode=store.access_mode if wanted.access_mode is UNSET else wanted.access_mode,
                expiry=store.expiry if wanted.expiry is UNSET else wanted.expiry,
                updated_at=max(self._now(), store.updated_at),
            )

        for organization_id in caller.reach:
            store = await self._stores.change(organization_id, store_id, altered)
            if store is not None:
                return store
        raise missing(store_id)

    async def delete(self, caller: Caller, store_id: str) -> VectorStore:
        """What was there. The files themselves stay. Raises `errors.NotFound`."""
        store = await self.get(caller, store_id)
        if not await self._stores.delete(store.organization_id, store.id):
            raise missing(store_id)
        return store

    async def add_file(self, caller: Caller, store_id: str, new: NewFile) -> StoreFile:
        """As `add_files`."""
        (file,) = await self.add_files(caller, store_id, [new])
        return file

    async def add_files(
        self, caller: Caller, store_id: str, several: Sequence[NewFile], *, param: str = "file_id"
    ) -> Sequence[StoreFile]:
        """Puts them in line to be indexed, all of them or none. One that is in the store already begins anew.

        Raises `errors.NotFound` for a store or a file that is not there, `errors.Conflict` where the store or the
        organization has no room, and `errors.TooLarge` for a file.
        """
        store = await self._usable(caller, store_id)
        return await self._add(caller, store, await self._wanted(store.organization_id, several, param=param), several)

    async def add_batch(self, caller: Caller, store_id: str, several: Sequence[NewFile]) -> Batch:
        """As `add_files`, with a batch that tells of them together."""
        store = await self._usable(caller, store_id)
        found = await self._wanted(store.organization_id, several, param="file_ids")
        batch = Batch(
            id=self._ids.new(ids.FILE_BATCH),
            store_id=store.id,
            organization_id=store.organization_id,
            created_at=self._now(),
        )
        added = await self._add(caller, store, found, several, batch=batch)
        kept = await self._stores.get_batch(store.organization_id, store.id, batch.id)
        return kept or replace(batch, in_progress=len(added))

    async def get_file(self, caller: Caller, store_id: str, file_id: str) -> StoreFile:
        """Raises `errors.NotFound` for the store and for the file."""
        store = await self.get(caller, store_id)
        file = await self._stores.get_file(store.organization_id, store.id, known_id(file_id))
        if file is None:
            raise _not_in_it(file_id)
        return file

    async def list_files(
        self,
        caller: Caller,
        store_id: str,
        page: Page,
        *,
        status: FileStatus | None = None,
        batch_id: str | None = None,
    ) -> tuple[Sequence[StoreFile], bool]:
        """A page, and whether more follow. Raises `errors.NotFound` for the store and for the batch."""
        store = await self.get(caller, store_id)
        if batch_id is not None:
            await self._batch(store, batch_id)
        return await self._stores.list_files(store.organization_id, store.id, page, status=status, batch_id=batch_id)

    async def set_attributes(
        self, caller: Caller, store_id: str, file_id: str, attributes: Mapping[str, Attribute]
    ) -> StoreFile:
        """They replace those there were, for searches from now on. Raises `errors.NotFound`."""
        kept = _attributes(attributes)
        now = self._now()
        return await self._change_file(
            caller, store_id, file_id, lambda file: replace(file, attributes=kept, updated_at=max(now, file.updated_at))
        )

    async def retry(self, caller: Caller, store_id: str, file_id: str) -> StoreFile:
        """Puts a file in line again that failed or was cancelled; one that is in line stays there.

        Raises `errors.NotFound`, and `errors.Conflict` for one that is indexed.
        """
        now = self._now()

        def again(file: StoreFile) -> StoreFile:
            if file.status == "completed":
                raise errors.Conflict(
                    f"The file {file.file_id!r} is indexed: there is nothing to try again",
                    param="file_id",
                    details="add it to the store once more to index it anew",
                )
            if file.status == "in_progress":
                return file
            return replace(
                file,
                status="in_progress",
                failure=None,
                progress=0.0,
                attempts=0,
                updated_at=max(now, file.updated_at),
            )

        file = await self._change_file(caller, store_id, file_id, again)
        self._added()
        return file

    async def remove_file(self, caller: Caller, store_id: str, file_id: str) -> None:
        """Out of the store: the file itself stays. Raises `errors.NotFound`."""
        store = await self.get(caller, store_id)
        if not await self._stores.remove_file(store.organization_id, store.id, known_id(file_id)):
            raise _not_in_it(file_id)

    async def content(self, caller: Caller, store_id: str, file_id: str) -> tuple[StoreFile, Sequence[Chunk]]:
        """The file, and its chunks in their order: none before it is indexed. Raises `errors.NotFound`."""
        file = await self.get_file(caller, store_id, file_id)
        return file, await self._stores.chunks(file.organization_id, file.store_id, file.file_id)

    async def get_batch(self, caller: Caller, store_id: str, batch_id: str) -> Batch:
        """Raises `errors.NotFound` for the store and for the batch."""
        return await self._batch(await self.get(caller, store_id), batch_id)

    async def cancel_batch(self, caller: Caller, store_id: str, batch_id: str) -> Batch:
        """What is indexed stays. Raises `errors.NotFound`."""
        store = await self.get(caller, store_id)
        batch = await self._stores.cancel_batch(store.organization_id, store.id, batch_id)
        if batch is None:
            raise _no_batch(batch_id)
        return batch

    async def search(self, caller: Caller, store_id: str, search: Search) -> Searched:
        """The passages that answer best. Raises `errors.NotFound`, `InvalidValue`, and `InvalidRequest` for a store
        whose time is over."""
        if not 1 <= search.most <= MOST_RESULTS:
            raise errors.InvalidValue("max_num_results", f"must be between 1 and {MOST_RESULTS}")
        if not 0 <= search.least_score <= 1:
            raise errors.InvalidValue("ranking_options.score_threshold", "must be between 0 and 1")
        if not 1 <= len(search.queries) <= MOST_QUERIES or not all(query.strip() for query in search.queries):
            raise errors.InvalidValue("query", f"must be a text that is not blank, or 1 to {MOST_QUERIES} of them")
        store = await self._usable(caller, store_id)
        return await self._retrieval.passages(store.organization_id, {store.id: store}, search)

    async def usage(self, caller: Caller) -> tuple[Totals, Sequence[VectorStore]]:
        """What the organization has in all its stores, and the stores."""
        totals = await self._stores.totals(caller.organization_id)
        stores: list[VectorStore] = []
        more = True
        while more and len(stores) < self._quotas.stores:
            page = Page(limit=_SWEPT, after=stores[-1].id if stores else None)
            part, more = await self._stores.list(caller.organization_id, page)
            stores += part
        return totals, stores

    async def forgotten(self, organization_id: str, file_id: str) -> None:
        """A file was deleted: no store has it any more."""
        await self._stores.forget_file(organization_id, known_id(file_id))

    async def sweep(self) -> None:
        """Removes the stores whose time is over, and gives back what nobody finds any more."""
        while expired := await self._stores.expired(self._now(), limit=_SWEPT):
            gone = [await self._stores.delete(store.organization_id, store.id) for store in expired]
            if not any(gone):
                # Somebody else sweeps.
                break
        while await self._stores.sweep():
            pass

    async def _usable(self, caller: Caller, store_id: str) -> VectorStore:
        store = await self.get(caller, store_id)
        if has_expired(store, self._now()):
            raise expired(store_id)
        return store

    async def _wanted(self, organization_id: str, several: Sequence[NewFile], *, param: str) -> Mapping[str, File]:
        """The files, by the ids as they were given, checked as far as they can be before somebody reads them."""
        if len(several) > MOST_AT_ONCE:
            raise errors.InvalidValue(param, f"must be at most {MOST_AT_ONCE:,} files at once")
        for new in several:
            _attributes(new.attributes)
            _check_sizes(new.chunking)
        wanted = [new.file_id for new in several]
        if not wanted:
            return {}
        found = await self._files.there(organization_id, wanted)
        for file_id in wanted:
            if file_id not in found:
                raise errors.NotFound(f"There is no file {file_id[:100]!r}", param=param, code="file_not_found")
            if found[file_id].size > self._quotas.file_bytes:
                raise errors.TooLarge(
                    f"The file {found[file_id].filename!r} is larger than {self._quotas.file_bytes:,} bytes",
                    param=param,
                    code="file_too_large",
                    details="split it, or raise `knowledge.max_file_bytes`",
                )
        return found

    async def _add(
        self,
        caller: Caller,
        store: VectorStore,
        found: Mapping[str, File],
        several: Sequence[NewFile],
        *,
        batch: Batch | None = None,
    ) -> Sequence[StoreFile]:
        totals = await self._stores.totals(store.organization_id)
        if totals.bytes >= self._quotas.bytes:
            raise errors.Conflict(
                f"The vector stores of the organization take {totals.bytes:,} bytes, and may take no more than "
                f"{self._quotas.bytes:,}",
                code="vector_stores_full",
                details="remove files or stores, or raise `knowledge.max_bytes`",
            )
        now = self._now()
        # By their own ids: one that was named twice is added once.
        files = {
            found[new.file_id].id: StoreFile(
                store_id=store.id,
                file_id=found[new.file_id].id,
                organization_id=store.organization_id,
                filename=found[new.file_id].filename,
                attributes=_attributes(new.attributes),
                chunking=new.chunking or self._chunking,
                batch_id=batch.id if batch else None,
                created_at=now,
                updated_at=now,
                created_by=_author(caller),
            )
            for new in several
        }
        try:
            await self._stores.add_files(list(files.values()), batch=batch, most=self._quotas.store_files)
        except errors.NotFound:
            raise missing(store.id) from None
        except errors.Conflict:
            raise errors.Conflict(
                f"A vector store may have no more than {self._quotas.store_files:,} files",
                code="vector_store_full",
                details="remove files, make another store, or raise `knowledge.max_store_files`",
            ) from None
        await self._stores.touch(store.organization_id, [store.id], now)
        self._added()
        return list(files.values())

    async def _change_file(
        self, caller: Caller, store_id: str, file_id: str, alter: Callable[[StoreFile], StoreFile]
    ) -> StoreFile:
        store = await self.get(caller, store_id)
        file = await self._stores.change_file(store.organization_id, store.id, known_id(file_id), alter)
        if file is None:
            raise _not_in_it(file_id)
        return file

    async def _batch(self, store: VectorStore, batch_id: str) -> Batch:
        batch = await self._stores.get_batch(store.organization_id, store.id, batch_id)
        if batch is None:
            raise _no_batch(batch_id)
        return batch

    def _now(self) -> int:
        return int(self._clock.now())


def _not_in_it(file_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"The vector store has no file {file_id[:100]!r}", param="file_id", code="vector_store_file_not_found"
    )


def _no_batch(batch_id: str) -> errors.NotFound:
    return errors.NotFound(f"There is no batch {batch_id[:100]!r}", param="batch_id", code="file_batch_not_found")


def _author(caller: Caller) -> str | None:
    return caller.user_id or caller.key_id


def _or(given: str | UnsetType, kept: str) -> str:
    return kept if given is UNSET else given


def _attributes(given: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return filtering.attributes(dict(given), "attributes")


def _check_life(expiry: Expiry | None) -> None:
    if expiry is not None and not 1 <= expiry.days <= LONGEST_LIFE:
        raise errors.InvalidValue("expires_after.days", f"must be between 1 and {LONGEST_LIFE}")


def _check_sizes(chunking: Chunking | None) -> None:
    at = "chunking_strategy.static"
    if chunking is None:
        return
    if not SMALLEST_CHUNK <= chunking.tokens <= LARGEST_CHUNK:
        raise errors.InvalidValue(
            f"{at}.max_chunk_size_tokens", f"must be between {SMALLEST_CHUNK} and {LARGEST_CHUNK}"
        )
    if not 0 <= chunking.overlap <= chunking.tokens // 2:
        raise errors.InvalidValue(
            f"{at}.chunk_overlap_tokens", f"must be at most {chunking.tokens // 2}, half of the chunk"
        )
