"""Owns how vector stores and their files are told under /v1/organizations/{organization}/vector-stores."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import Struct

from freddy.server.core import filtering
from freddy.server.core.files import File
from freddy.server.core.stocking import has_expired
from freddy.server.core.vector_stores import AccessMode, StoreFile, VectorStore

SCOPING: Final = ("flowplate_project_id", "flow_id")
"""Kept in the metadata under these names, and told as fields besides."""
Status: TypeAlias = Literal["pending", "processing", "completed", "failed"]
_COLORS: Final = ("#3B82F6", "#10B981", "#F59E0B", "#EF4444", "#8B5CF6", "#EC4899", "#14B8A6", "#F97316")
_MIB: Final = 1024 * 1024
_encode = msgspec.json.Encoder().encode


class Failed(Struct, frozen=True):
    """A file that was sent and not kept."""

    filename: str
    code: str
    message: str


class VectorStoreView(Struct, kw_only=True):
    id: str
    object: Literal["vector_store"] = "vector_store"
    name: str
    description: str | None
    organization_id: str
    created_by: str
    created_at: str
    updated_at: str
    is_active: bool
    access_mode: AccessMode
    access_departments: tuple[str, ...] = ()
    access_users: tuple[str, ...] = ()
    file_count: int
    data_size: int
    flowplate_project_id: str | None
    flow_id: str | None
    metadata: dict[str, str]
    embedding_model: str
    last_used_at: str
    expires_at: str | None


class VectorStoreAnswer(Struct, kw_only=True):
    success: bool = True
    message: str
    data: VectorStoreView


class VectorStores(Struct, kw_only=True):
    success: bool = True
    message: str
    data: tuple[VectorStoreView, ...]
    total: int


class VectorStoreRemoved(Struct, kw_only=True):
    success: bool = True
    message: str
    id: str
    deleted: bool = True


class VectorStoreUse(Struct, kw_only=True):
    vector_store_id: str
    vector_store_name: str
    data_size_bytes: int
    data_size_mb: float
    file_count: int
    usage_percentage: float
    color: str


class VectorStoreUsage(Struct, kw_only=True):
    total_size_bytes: int
    total_size_mb: float
    total_files: int
    vector_store_count: int
    vector_stores: tuple[VectorStoreUse, ...]


class VectorStoreUsageAnswer(Struct, kw_only=True):
    success: bool = True
    message: str
    data: VectorStoreUsage


class VectorStoreFileView(Struct, kw_only=True):
    id: str
    vector_store_id: str
    file_id: str
    added_by: str | None
    added_by_api_key_id: str | None
    added_at: str
    processing_status: Status
    progress: float
    processing_started_at: None = None
    processing_completed_at: str | None
    error_message: str | None
    chunk_count: int
    embedding_model: str
    file_name: str
    file_size: int | None
    mime_type: str | None
    attributes: dict[str, str | float | bool]
    estimated_completion_seconds: None = None


class VectorStoreFileAnswer(Struct, kw_only=True):
    success: bool = True
    message: str
    data: VectorStoreFileView


class VectorStoreFilePage(Struct, kw_only=True):
    total: int
    page: int
    page_size: int
    total_pages: int
    files: tuple[VectorStoreFileView, ...]


class VectorStoreFilesAnswer(Struct, kw_only=True):
    success: bool = True
    message: str
    data: VectorStoreFilePage


class VectorStoreFilesAdded(Struct, kw_only=True):
    files: tuple[VectorStoreFileView, ...]
    total_added: int


class VectorStoreFilesAddedAnswer(Struct, kw_only=True):
    success: bool = True
    message: str
    data: VectorStoreFilesAdded


class VectorStoreUploadFailure(Struct):
    filename: str
    code: str
    message: str


class VectorStoreUpload(Struct, kw_only=True):
    success: bool
    message: str
    files: tuple[VectorStoreFileView, ...]
    total_uploaded: int
    total_failed: int
    errors: tuple[VectorStoreUploadFailure, ...]


class VectorStoreFileStatus(Struct, kw_only=True):
    vector_store_file_id: str
    file_id: str
    vector_store_id: str
    status: Status
    progress: float
    chunk_count: int
    embedding_model: str
    error_message: str | None
    processing_started_at: None = None
    processing_completed_at: str | None
    added_at: str


class VectorStoreFileStatusAnswer(Struct, kw_only=True):
    success: bool = True
    message: str
    data: VectorStoreFileStatus


class VectorStoreFileLogEntry(Struct, kw_only=True):
    timestamp: str
    level: Literal["info", "error"]
    message: str


class VectorStoreFileLog(Struct, kw_only=True):
    vector_store_file_id: str
    file_id: str
    vector_store_id: str
    status: Status
    attempts: int
    logs: tuple[VectorStoreFileLogEntry, ...]


class VectorStoreFileLogAnswer(Struct, kw_only=True):
    success: bool = True
    message: str
    data: VectorStoreFileLog


def encode_store(store: VectorStore, message: str, *, now: int) -> bytes:
    """`now` in Unix seconds."""
    return _encode(VectorStoreAnswer(message=message, data=_store(store, now)))


def encode_stores(stores: Sequence[VectorStore], *, total: int, now: int) -> bytes:
    """A part of `total` stores."""
    told = tuple(_store(store, now) for store in stores)
    return _encode(VectorStores(message=f"{len(told)} of {_count(total, 'vector store')}", data=told, total=total))


def encode_deleted(message: str, removed: str) -> bytes:
    return _encode(VectorStoreRemoved(message=message, id=removed))


def encode_usage(stores: Sequence[VectorStore]) -> bytes:
    total = sum(store.bytes for store in stores)
    largest_first = sorted(stores, key=lambda store: store.bytes, reverse=True)
    uses = tuple(
        VectorStoreUse(
            vector_store_id=store.id,
            vector_store_name=store.name,
            data_size_bytes=store.bytes,
            data_size_mb=_mib(store.bytes),
            file_count=store.files,
            usage_percentage=round(100 * store.bytes / total, 2) if total else 0.0,
            color=_COLORS[place % len(_COLORS)],
        )
        for place, store in enumerate(largest_first)
    )
    return _encode(
        VectorStoreUsageAnswer(
            message=f"Usage of {_count(len(stores), 'vector store')}",
            data=VectorStoreUsage(
                total_size_bytes=total,
                total_size_mb=_mib(total),
                total_files=sum(store.files for store in stores),
                vector_store_count=len(stores),
                vector_stores=uses,
            ),
        )
    )


def encode_file(file: StoreFile, store: VectorStore, uploaded: File | None, message: str) -> bytes:
    """`uploaded` is the file itself, where it is still there."""
    return _encode(VectorStoreFileAnswer(message=message, data=_file(file, store, uploaded)))


def encode_added(files: Sequence[StoreFile], store: VectorStore, uploaded: Mapping[str, File]) -> bytes:
    told = _files(files, store, uploaded)
    added = VectorStoreFilesAdded(files=told, total_added=len(told))
    return _encode(VectorStoreFilesAddedAnswer(message=f"{_count(len(told), 'file')} added", data=added))


def encode_files(
    files: Sequence[StoreFile], store: VectorStore, uploaded: Mapping[str, File], *, total: int, page: int, size: int
) -> bytes:
    told = _files(files, store, uploaded)
    return _encode(
        VectorStoreFilesAnswer(
            message=f"{len(told)} of {_count(total, 'file')}",
            data=VectorStoreFilePage(total=total, page=page, page_size=size, total_pages=-(-total // size), files=told),
        )
    )


def encode_upload(
    files: Sequence[StoreFile], store: VectorStore, uploaded: Mapping[str, File], *, failed: Sequence[Failed]
) -> bytes:
    told = _files(files, store, uploaded)
    return _encode(
        VectorStoreUpload(
            success=not failed,
            message=f"{_count(len(told), 'file')} uploaded" + (f", {len(failed)} failed" if failed else ""),
            files=told,
            total_uploaded=len(told),
            total_failed=len(failed),
            errors=tuple(VectorStoreUploadFailure(each.filename, each.code, each.message) for each in failed),
        )
    )


def encode_status(file: StoreFile, store: VectorStore) -> bytes:
    how_far = status_of(file)
    return _encode(
        VectorStoreFileStatusAnswer(
            message=_SAID[how_far],
            data=VectorStoreFileStatus(
                vector_store_file_id=_association(file),
                file_id=file.file_id,
                vector_store_id=file.store_id,
                status=how_far,
                progress=file.progress,
                chunk_count=file.chunks,
                embedding_model=store.embedder,
                error_message=_error(file),
                processing_completed_at=_ended_at(file),
                added_at=_iso(file.created_at),
            ),
        )
    )


def encode_log(file: StoreFile) -> bytes:
    log = VectorStoreFileLog(
        vector_store_file_id=_association(file),
        file_id=file.file_id,
        vector_store_id=file.store_id,
        status=status_of(file),
        attempts=file.attempts,
        logs=tuple(_entries(file)),
    )
    return _encode(VectorStoreFileLogAnswer(message=_count(len(log.logs), "entry", "entries"), data=log))


_SAID: Final[Mapping[Status, str]] = {
    "pending": "The file waits to be processed",
    "processing": "The file is being processed",
    "completed": "The file is ready to be searched",
    "failed": "The file could not be processed",
}


def _store(store: VectorStore, now: int) -> VectorStoreView:
    return VectorStoreView(
        id=store.id,
        name=store.name,
        description=store.description or None,
        organization_id=store.organization_id,
        created_by=store.created_by or "",
        created_at=_iso(store.created_at),
        updated_at=_iso(store.updated_at),
        is_active=not has_expired(store, now),
        access_mode=store.access_mode,
        file_count=store.files,
        data_size=store.bytes,
        flowplate_project_id=store.metadata.get("flowplate_project_id"),
        flow_id=store.metadata.get("flow_id"),
        metadata={key: value for key, value in store.metadata.items() if key not in SCOPING},
        embedding_model=store.embedder,
        last_used_at=_iso(store.used_at),
        expires_at=None if store.expires_at is None else _iso(store.expires_at),
    )


def _files(
    files: Sequence[StoreFile], store: VectorStore, uploaded: Mapping[str, File]
) -> tuple[VectorStoreFileView, ...]:
    return tuple(_file(file, store, uploaded.get(file.file_id)) for file in files)


def _file(file: StoreFile, store: VectorStore, uploaded: File | None) -> VectorStoreFileView:
    by_key = file.created_by is not None and file.created_by.startswith("key_")
    return VectorStoreFileView(
        id=_association(file),
        vector_store_id=file.store_id,
        file_id=file.file_id,
        added_by=None if by_key else file.created_by,
        added_by_api_key_id=file.created_by if by_key else None,
        added_at=_iso(file.created_at),
        processing_status=status_of(file),
        progress=file.progress,
        processing_completed_at=_ended_at(file),
        error_message=_error(file),
        chunk_count=file.chunks,
        embedding_model=store.embedder,
        file_name=file.filename,
        file_size=None if uploaded is None else uploaded.size,
        mime_type=None if uploaded is None else uploaded.media_type,
        attributes=filtering.spell(file.attributes),
    )


def _association(file: StoreFile) -> str:
    """One and the same for a file as long as it is in the store."""
    return f"vsf_{file.store_id.removeprefix('vs_')}_{file.file_id.removeprefix('file_')}"


def status_of(file: StoreFile) -> Status:
    match file.status:
        case "in_progress":
            return "processing" if file.attempts else "pending"
        case "completed":
            return "completed"
        case "failed" | "cancelled":
            return "failed"
        case _:
            assert_never(file.status)


def _error(file: StoreFile) -> str | None:
    if file.status == "cancelled":
        return "It was cancelled before it was processed"
    return None if file.failure is None else file.failure.message


def _ended_at(file: StoreFile) -> str | None:
    return None if file.status == "in_progress" else _iso(file.updated_at)


def _entries(file: StoreFile) -> list[VectorStoreFileLogEntry]:
    entries = [VectorStoreFileLogEntry(timestamp=_iso(file.created_at), level="info", message="Added to the store")]

    def add(level: Literal["info", "error"], message: str) -> None:
        entries.append(VectorStoreFileLogEntry(timestamp=_iso(file.updated_at), level=level, message=message))

    match file.status:
        case "in_progress":
            if file.attempts:
                add("info", f"Being processed: {file.progress:.0%} done, in attempt {file.attempts}")
        case "completed":
            add("info", f"Processed: {_count(file.chunks, 'chunk')}, {file.bytes:,} bytes")
        case "failed":
            code = "server_error" if file.failure is None else file.failure.code
            add("error", f"Failed after {_count(file.attempts, 'attempt')} ({code}): {_error(file) or 'unknown'}")
        case "cancelled":
            add("info", "Cancelled")
        case _:
            assert_never(file.status)
    return entries


def _count(number: int, noun: str, nouns: str | None = None) -> str:
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"


def _mib(size: int) -> float:
    return round(size / _MIB, 2)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
