"""Owns how vector stores are written and read under /v1/organizations/{organization}/vector-stores."""

import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import errors, filtering
from freddy.server.core.files import MOST, File, display_name, known_id
from freddy.server.core.vector_stores import AccessMode, Attribute, Chunking, Expiry, FileStatus, StoreFile, VectorStore
from freddy.server.dialects.freddy.aliases import Names, camel
from freddy.server.dialects.freddy.fields import Fields, read, too_deep
from freddy.server.resources.base import LONGEST_NAME

LONGEST_DESCRIPTION: Final = 2_000
LONGEST_LIFE: Final = 365
"""Days."""
SMALLEST_CHUNK: Final = 100
LARGEST_CHUNK: Final = 4_096
MOST_FILES: Final = 2_000
"""That are added at once."""
ACCESS_MODES: Final[dict[str, AccessMode]] = {
    "public": "public",
    "organization": "organization",
    "department": "department",
    "private": "private",
}
SCOPING: Final = ("flowplate_project_id", "flow_id")
"""Kept in the metadata under these names, and told as fields besides."""
Status: TypeAlias = Literal["pending", "processing", "completed", "failed"]
Sort: TypeAlias = Literal["created_at", "updated_at", "name"]
SORTS: Final[dict[str, Sort]] = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "name": "name",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
_STATUSES: Final[dict[str, frozenset[FileStatus]]] = {
    "pending": frozenset(("in_progress",)),
    "processing": frozenset(("in_progress",)),
    "completed": frozenset(("completed",)),
    "failed": frozenset(("failed", "cancelled")),
    "in_progress": frozenset(("in_progress",)),
    "cancelled": frozenset(("cancelled",)),
}
_COLORS: Final = ("#3B82F6", "#10B981", "#F59E0B", "#EF4444", "#8B5CF6", "#EC4899", "#14B8A6", "#F97316")
_MIB: Final = 1024 * 1024
_DATA: Final = ";base64,"
_encode = msgspec.json.Encoder().encode


def _names(*canonical: str, **aliases: tuple[str, ...]) -> Names:
    every = {name: (name, *aliases.get(name, ())) for name in (*canonical, *aliases)}
    return {spelling: name for name, all_ in every.items() for each in all_ for spelling in (each, camel(each))}


STORE: Final = _names(
    "name",
    "description",
    "access_mode",
    "access_departments",
    "access_users",
    "metadata",
    "expires_after",
    "embedding_model",
    "organization_id",
    *SCOPING,
)
_EXPIRY: Final = _names("anchor", "days")
_ADDED: Final = _names("file_id", "file_ids", "attributes", "chunking_strategy")
_CHUNKING: Final = _names("type", "static")
_SIZES: Final = _names("max_chunk_size_tokens", "chunk_overlap_tokens")
_RETRY: Final = _names("reset_error")
_BATCH: Final = _names("files")
_SENT: Final = _names(filename=("file_name", "original_filename"), content=("data",), mime_type=("content_type",))


class NewStore(Struct, frozen=True, kw_only=True):
    """`embedder` None is the server's usual one."""

    name: str
    description: str
    access_mode: AccessMode
    metadata: Mapping[str, str]
    expiry: Expiry | None
    embedder: str | None


class StoreChange(Struct, frozen=True, kw_only=True):
    """What is to be different; `UNSET` stays as it is. `scoping` is for the metadata: None takes a pair away."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    access_mode: AccessMode | UnsetType = UNSET
    metadata: Mapping[str, str] | UnsetType = UNSET
    expiry: Expiry | UnsetType | None = UNSET
    scoping: Mapping[str, str | None] = {}

    def metadata_after(self, before: Mapping[str, str]) -> dict[str, str]:
        """Raises `errors.InvalidValue` where there would be too much."""
        if self.metadata is UNSET:
            kept: Mapping[str, str] = before
        else:
            kept = {key: value for key, value in before.items() if key in SCOPING} | dict(self.metadata)
        after: dict[str, str | None] = {**kept, **self.scoping}
        return _bounded({key: value for key, value in after.items() if value is not None})


class Added(Struct, frozen=True, kw_only=True):
    """Files for a store; `alone` where one was asked for by its own name."""

    file_ids: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    chunking: Chunking
    alone: bool


class Sent(Struct, frozen=True):
    """A file that came with the request; `content` None was not base64."""

    filename: str
    media_type: str | None
    content: bytes | None


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


def decode_new(body: bytes) -> NewStore:
    """Raises `errors.InvalidValue`, `errors.InvalidRequest` and `errors.UnknownParameter`."""
    fields = _fields(body, STORE)
    name = fields.string("name", least=1, most=LONGEST_NAME)
    if name is None:
        raise errors.InvalidRequest(
            "Missing required parameter: 'name'", param="name", code="missing_required_parameter"
        )
    _open_to_all(fields)
    scoping = {key: value for key, value in _scoping(fields).items() if value is not None}
    return NewStore(
        name=_kept(fields, "name", name),
        description=_kept(fields, "description", fields.string("description", most=LONGEST_DESCRIPTION) or ""),
        access_mode=fields.choice("access_mode", ACCESS_MODES) or "organization",
        metadata=_bounded((fields.metadata() or {}) | scoping),
        expiry=_expiry(fields),
        embedder=fields.string("embedding_model", least=1, most=LONGEST_NAME),
    )


def decode_change(body: bytes) -> StoreChange:
    """What is null goes, but for the name and the access mode: null leaves those."""
    fields = _fields(body, STORE)
    if fields.given("embedding_model"):
        raise fields.wrong("embedding_model", "cannot be changed: make another store")
    _open_to_all(fields)
    name = fields.string("name", least=1, most=LONGEST_NAME)
    description = fields.string("description", most=LONGEST_DESCRIPTION) or ""
    metadata, expiry = fields.metadata() or {}, _expiry(fields)
    return StoreChange(
        name=UNSET if name is None else _kept(fields, "name", name),
        description=_kept(fields, "description", description) if fields.given("description") else UNSET,
        access_mode=fields.choice("access_mode", ACCESS_MODES) or UNSET,
        metadata=metadata if fields.given("metadata") else UNSET,
        expiry=expiry if fields.given("expires_after") else UNSET,
        scoping=_scoping(fields),
    )


def decode_added(body: bytes) -> Added:
    fields = _fields(body, _ADDED)
    file_id = fields.identifier("file_id")
    file_ids = fields.strings("file_ids")
    if (file_id is None) == (not file_ids):
        raise fields.wrong("file_id", "is needed, or file_ids: one of them")
    if len(file_ids) > MOST_FILES:
        raise fields.wrong("file_ids", f"must be at most {MOST_FILES}")
    attributes = fields.get("attributes")
    wanted = file_ids or (file_id or "",)
    if any("\0" in each or len(each) > LONGEST_NAME for each in wanted):
        raise fields.wrong("file_ids" if file_ids else "file_id", "must be the id of a file")
    return Added(
        file_ids=tuple(dict.fromkeys(known_id(each) for each in wanted)),
        attributes={} if attributes is None else filtering.attributes(attributes, fields.place("attributes")),
        chunking=_chunking(fields),
        alone=file_id is not None,
    )


def decode_retry(body: bytes) -> None:
    """`reset_error` changes nothing: an error goes when the file is tried again."""
    _fields(body, _RETRY).boolean("reset_error")


def decode_sent(body: bytes) -> Sequence[Sent]:
    fields = _fields(body, _BATCH)
    given = fields.array("files")
    if not 1 <= len(given) <= MOST:
        raise fields.wrong("files", f"must have 1 to {MOST} files")
    return [_sent(Fields(each, _SENT, place)) for place, each in given]


def decode_statuses(given: str) -> frozenset[FileStatus]:
    """Of a list: one or more with commas between them. Raises `errors.InvalidValue`."""
    found: frozenset[FileStatus] = frozenset()
    for word in given.split(","):
        if word.strip() not in _STATUSES:
            raise errors.InvalidValue("status", f"must be one or more of {', '.join(_STATUSES)}")
        found |= _STATUSES[word.strip()]
    return found


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
    status = _status(file)
    return _encode(
        VectorStoreFileStatusAnswer(
            message=_SAID[status],
            data=VectorStoreFileStatus(
                vector_store_file_id=_association(file),
                file_id=file.file_id,
                vector_store_id=file.store_id,
                status=status,
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
        status=_status(file),
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


def _fields(body: bytes, names: Names) -> Fields:
    try:
        return Fields(read(body), names)
    except RecursionError:
        raise too_deep() from None


def _open_to_all(fields: Fields) -> None:
    """Raises `errors.InvalidValue`: who believes that others are kept out must not be left in that belief."""
    for name, cure in (
        ("access_departments", "there are no departments here"),
        ("access_users", "an access mode holds for the whole organization"),
    ):
        if fields.strings(name):
            raise fields.wrong(name, f"must be empty: {cure}")


def _scoping(fields: Fields) -> dict[str, str | None]:
    found = {}
    for name in SCOPING:
        if fields.given(name):
            value = fields.string(name, most=LONGEST_NAME)
            found[name] = None if value is None else _kept(fields, name, value)
    return found


def _bounded(metadata: dict[str, str]) -> dict[str, str]:
    if len(metadata) > 16:
        raise errors.InvalidValue("metadata", f"must have at most 16 pairs, with {' and '.join(SCOPING)}")
    return metadata


def _kept(fields: Fields, name: str, value: str) -> str:
    if "\0" in value:  # not every database keeps it
        raise fields.wrong(name, "must not have the character U+0000 in it")
    return value


def _expiry(fields: Fields) -> Expiry | None:
    given = fields.get("expires_after")
    if given is None:
        return None
    expiry = Fields(given, _EXPIRY, fields.place("expires_after"))
    if expiry.string("anchor") not in (None, "last_active_at"):
        raise expiry.wrong("anchor", "must be last_active_at")
    days = expiry.integer("days", 1, LONGEST_LIFE)
    if days is None:
        raise expiry.wrong("days", f"must be between 1 and {LONGEST_LIFE}")
    return Expiry(days)


def _chunking(fields: Fields) -> Chunking:
    given = fields.get("chunking_strategy")
    if given is None:
        return Chunking()
    strategy = Fields(given, _CHUNKING, fields.place("chunking_strategy"))
    kind = strategy.string("type") or "static"
    if kind == "auto":
        return Chunking()
    if kind != "static":
        raise strategy.wrong("type", "must be auto or static")
    sizes = Fields(strategy.get("static"), _SIZES, strategy.place("static"))
    tokens = sizes.integer("max_chunk_size_tokens", SMALLEST_CHUNK, LARGEST_CHUNK)
    if tokens is None:
        raise sizes.wrong("max_chunk_size_tokens", f"must be between {SMALLEST_CHUNK} and {LARGEST_CHUNK}")
    overlap = sizes.integer("chunk_overlap_tokens", 0, tokens // 2)
    return Chunking(tokens, tokens // 2 if overlap is None else overlap)


def _sent(fields: Fields) -> Sent:
    filename = fields.string("filename", least=1, most=1024)
    content = fields.string("content", least=1)
    if filename is None:
        raise fields.wrong("filename", "is needed")
    if content is None:
        raise fields.wrong("content", "is needed, in base64")
    return Sent(display_name(filename), fields.string("mime_type", most=LONGEST_NAME), _bytes(content))


def _bytes(content: str) -> bytes | None:
    """Also of a data URL, and of lines."""
    head, mark, rest = content.partition(_DATA) if content.startswith("data:") else ("", "", content)
    text = rest if mark else head or rest
    try:
        return binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def _store(store: VectorStore, now: int) -> VectorStoreView:
    return VectorStoreView(
        id=store.id,
        name=store.name,
        description=store.description or None,
        organization_id=store.organization_id,
        created_by=store.created_by or "",
        created_at=_iso(store.created_at),
        updated_at=_iso(store.updated_at),
        is_active=store.expires_at is None or store.expires_at > now,
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
        processing_status=_status(file),
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


def _status(file: StoreFile) -> Status:
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
