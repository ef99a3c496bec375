"""The need to keep vector stores, their files and chunks, and to find chunks again. A method is one transaction.

Every look-up by id takes the organization. All raise `errors.StorageUnavailable` when nothing can be kept or read.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from freddy.server.core.filtering import Filter
from freddy.server.core.vector_stores import Batch, Chunk, FileFailure, FileStatus, Passage, StoreFile, VectorStore
from freddy.server.ports.stores import Page


class Totals(Struct, frozen=True):
    """What an organization has in all its stores."""

    stores: int
    files: int
    chunks: int
    bytes: int


class VectorStores(Protocol):
    async def add(self, store: VectorStore, *, most: int) -> None:
        """Raises `errors.Conflict` when the organization has `most` stores."""
        ...

    async def get(self, organization_id: str, store_id: str) -> VectorStore | None: ...

    async def find(self, organization_id: str, store_ids: Sequence[str]) -> Mapping[str, VectorStore]:
        """Those of them that are there."""
        ...

    async def list(self, organization_id: str, page: Page) -> tuple[Sequence[VectorStore], bool]:
        """By `created_at`, then id; and whether more follow."""
        ...

    async def change(
        self, organization_id: str, store_id: str, alter: Callable[[VectorStore], VectorStore]
    ) -> VectorStore | None:
        """Reads, alters and keeps it as one: nobody else comes between. Counts and bytes stay as they are."""
        ...

    async def delete(self, organization_id: str, store_id: str) -> bool:
        """Whether it was there. Its files, batches and chunks go with it: nobody finds them any more.

        What they take is given back by `sweep`.
        """
        ...

    async def touch(self, organization_id: str, store_ids: Sequence[str], now: int) -> None:
        """They were used."""
        ...

    async def expired(self, now: int, *, limit: int) -> Sequence[VectorStore]:
        """Stores whose time is over, of any organization."""
        ...

    async def totals(self, organization_id: str) -> Totals: ...

    async def add_files(self, files: Sequence[StoreFile], *, batch: Batch | None = None, most: int) -> None:
        """Puts files of one store in line to be indexed; one that is in the store already begins anew.

        Raises `errors.Conflict` when the store would have more than `most` files, and `errors.NotFound` when the store
        is gone: then none is added.
        """
        ...

    async def get_file(self, organization_id: str, store_id: str, file_id: str) -> StoreFile | None: ...

    async def list_files(
        self,
        organization_id: str,
        store_id: str,
        page: Page,
        *,
        status: FileStatus | None = None,
        batch_id: str | None = None,
    ) -> tuple[Sequence[StoreFile], bool]:
        """By `created_at`, then file id; and whether more follow."""
        ...

    async def change_file(
        self, organization_id: str, store_id: str, file_id: str, alter: Callable[[StoreFile], StoreFile]
    ) -> StoreFile | None:
        """As `change`; a status that is altered back to `in_progress` puts the file in line again."""
        ...

    async def remove_file(self, organization_id: str, store_id: str, file_id: str) -> bool:
        """Whether it was there. Its chunks go with it."""
        ...

    async def forget_file(self, organization_id: str, file_id: str) -> int:
        """Out of every store of the organization: the file was deleted. Returns of how many."""
        ...

    async def get_batch(self, organization_id: str, store_id: str, batch_id: str) -> Batch | None: ...

    async def cancel_batch(self, organization_id: str, store_id: str, batch_id: str) -> Batch | None:
        """Those of its files that are not indexed yet become `cancelled`."""
        ...

    async def claim(self, now: int, *, lease: int, limit: int, after: str = "") -> Sequence[StoreFile]:
        """Files in line that nobody is at, or whose worker was not heard of for its lease: the oldest first.

        Whoever says `after` which organization's the last one was gets those of the next one first, so that all have
        their turn. They are the caller's for `lease` seconds; each claim counts as an attempt.
        """
        ...

    async def report(self, file: StoreFile, now: int, *, lease: int, progress: float) -> bool:
        """Keeps hold of a claimed file. False where it was removed, cancelled, or claimed by another since."""
        ...

    async def index(self, file: StoreFile, chunks: Sequence[Chunk], now: int) -> bool:
        """Replaces the file's chunks by these and ends it as `completed`; False and nothing as with `report`."""
        ...

    async def fail(self, file: StoreFile, failure: FileFailure, now: int) -> bool:
        """Ends it as `failed`; False and nothing as with `report`."""
        ...

    async def chunks(self, organization_id: str, store_id: str, file_id: str) -> Sequence[Chunk]:
        """Those of a file, in their order; without vectors (empty)."""
        ...

    async def nearest(
        self,
        organization_id: str,
        store_ids: Sequence[str],
        vector: bytes,
        *,
        limit: int,
        filter_: Filter | None = None,
    ) -> Sequence[Passage]:
        """The chunks whose vectors are nearest to this one, the nearest first; `score` is the cosine, at least 0.

        Stores whose vectors have other dimensions have none.
        """
        ...

    async def matching(
        self,
        organization_id: str,
        store_ids: Sequence[str],
        text: str,
        *,
        limit: int,
        filter_: Filter | None = None,
    ) -> Sequence[Passage]:
        """The chunks with words of this text, the best first; `score` is BM25 or its like, scaled to 0..1 by the best.

        Any text is a question: it has no syntax.
        """
        ...

    async def sweep(self) -> bool:
        """Removes a part of what nobody finds any more, in a time that others hardly notice. Whether more may be left.

        Not what somebody is about to index.
        """
        ...
