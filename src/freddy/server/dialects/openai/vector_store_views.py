"""Owns how vector stores, their files and what is found in them are told in OpenAI's shapes.

https://platform.openai.com/docs/api-reference/vector-stores
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import filtering
from freddy.server.core.stocking import Searched, has_expired
from freddy.server.core.vector_stores import (
    Batch,
    Chunk,
    FileFailure,
    FileStatus,
    StoreFile,
    StoreStatus,
    VectorStore,
)

_LastError: TypeAlias = Literal["server_error", "unsupported_file", "invalid_file"]
_encode = msgspec.json.Encoder().encode


class FileCounts(Struct):
    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class ExpiresAfter(Struct):
    anchor: Literal["last_active_at"]
    days: int


class StoreView(Struct, kw_only=True):
    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str
    description: str | None
    usage_bytes: int
    file_counts: FileCounts
    status: StoreStatus
    expires_after: ExpiresAfter | None
    expires_at: int | None
    last_active_at: int
    metadata: dict[str, str]


class StoreList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[StoreView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class StoreDeleted(Struct):
    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: bool = True


class LastError(Struct):
    code: _LastError
    message: str


class StaticSizes(Struct):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class StaticChunking(Struct):
    type: Literal["static"]
    static: StaticSizes


class StoreFileView(Struct, kw_only=True):
    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    usage_bytes: int
    vector_store_id: str
    status: FileStatus
    last_error: LastError | None
    chunking_strategy: StaticChunking
    attributes: dict[str, str | float | bool]


class StoreFileList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[StoreFileView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class StoreFileDeleted(Struct):
    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: bool = True


class FileBatch(Struct, kw_only=True):
    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: FileStatus
    file_counts: FileCounts


class TextContent(Struct):
    text: str
    type: Literal["text"] = "text"


class SearchResult(Struct, kw_only=True):
    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | float | bool]
    content: tuple[TextContent, ...]


class SearchResults(Struct, kw_only=True):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: tuple[str, ...]
    data: tuple[SearchResult, ...]
    has_more: bool = False
    next_page: None = None
    warnings: tuple[str, ...] | UnsetType = UNSET
    """What was not done as asked."""


class FileContent(Struct, kw_only=True):
    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: tuple[TextContent, ...]
    has_more: bool = False
    next_page: None = None


def encode_store(store: VectorStore, now: int) -> bytes:
    """`now` in Unix seconds."""
    return _encode(_store(store, now))


def encode_stores(stores: Sequence[VectorStore], now: int, *, has_more: bool) -> bytes:
    return _encode(
        StoreList(
            data=tuple(_store(store, now) for store in stores),
            first_id=stores[0].id if stores else None,
            last_id=stores[-1].id if stores else None,
            has_more=has_more,
        )
    )


def encode_deleted(store_id: str) -> bytes:
    return _encode(StoreDeleted(store_id))


def encode_file(file: StoreFile) -> bytes:
    return _encode(_stored(file))


def encode_files(files: Sequence[StoreFile], *, has_more: bool) -> bytes:
    return _encode(
        StoreFileList(
            data=tuple(_stored(file) for file in files),
            first_id=files[0].file_id if files else None,
            last_id=files[-1].file_id if files else None,
            has_more=has_more,
        )
    )


def encode_file_deleted(file_id: str) -> bytes:
    return _encode(StoreFileDeleted(file_id))


def encode_content(chunks: Sequence[Chunk]) -> bytes:
    return _encode(FileContent(data=tuple(TextContent(chunk.text) for chunk in chunks)))


def encode_batch(batch: Batch) -> bytes:
    counts = FileCounts(
        in_progress=batch.in_progress,
        completed=batch.completed,
        failed=batch.failed,
        cancelled=batch.cancelled_files,
        total=batch.in_progress + batch.completed + batch.failed + batch.cancelled_files,
    )
    return _encode(
        FileBatch(
            id=batch.id,
            created_at=batch.created_at,
            vector_store_id=batch.store_id,
            status=_batch_status(batch),
            file_counts=counts,
        )
    )


def encode_results(searched: Searched) -> bytes:
    return _encode(
        SearchResults(
            search_query=searched.queries,
            data=tuple(
                SearchResult(
                    file_id=passage.file_id,
                    filename=passage.filename,
                    score=passage.score,
                    attributes=filtering.spell(passage.attributes),
                    content=(TextContent(passage.text),),
                )
                for passage in searched.passages
            ),
            warnings=searched.notes or UNSET,
        )
    )


def _store(store: VectorStore, now: int) -> StoreView:
    return StoreView(
        id=store.id,
        created_at=store.created_at,
        name=store.name,
        description=store.description or None,
        usage_bytes=store.bytes,
        file_counts=FileCounts(
            in_progress=store.in_progress,
            completed=store.completed,
            failed=store.failed,
            cancelled=store.cancelled,
            total=store.files,
        ),
        status=_status(store, now),
        expires_after=None if store.expiry is None else ExpiresAfter("last_active_at", store.expiry.days),
        expires_at=store.expires_at,
        last_active_at=store.used_at,
        metadata=dict(store.metadata),
    )


def _status(store: VectorStore, now: int) -> StoreStatus:
    if has_expired(store, now):
        return "expired"
    return "in_progress" if store.in_progress else "completed"


def _stored(file: StoreFile) -> StoreFileView:
    return StoreFileView(
        id=file.file_id,
        created_at=file.created_at,
        usage_bytes=file.bytes,
        vector_store_id=file.store_id,
        status=file.status,
        last_error=None if file.failure is None else _last_error(file.failure),
        chunking_strategy=StaticChunking("static", StaticSizes(file.chunking.tokens, file.chunking.overlap)),
        attributes=filtering.spell(file.attributes),
    )


def _last_error(failure: FileFailure) -> LastError:
    # OpenAI's list is closed, and its clients check it: what an organization has no room for is none of the file's.
    return LastError("server_error" if failure.code == "quota_exceeded" else failure.code, failure.message)


def _batch_status(batch: Batch) -> FileStatus:
    if batch.cancelled:
        return "cancelled"
    if batch.in_progress:
        return "in_progress"
    # One file that failed is told by its count; a batch of which nothing came to anything has failed.
    return "failed" if batch.failed and not batch.completed else "completed"
