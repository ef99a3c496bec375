"""Owns how vector stores are written and read in OpenAI's shapes.

https://platform.openai.com/docs/api-reference/vector-stores
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import errors, filtering
from freddy.server.core.files import known_id
from freddy.server.core.filtering import Filter
from freddy.server.core.vector_stores import (
    Attribute,
    Batch,
    Chunk,
    Chunking,
    Expiry,
    FileFailure,
    FileStatus,
    Passage,
    Ranker,
    StoreFile,
    StoreStatus,
    VectorStore,
)
from freddy.server.dialects.openai import shapes
from freddy.server.dialects.openai.request import checked_metadata
from freddy.server.resources.base import LONGEST_NAME

LONGEST_DESCRIPTION: Final = 2_000
LONGEST_QUERY: Final = 8_000
"""Characters: more than an embedder reads."""
MOST_QUERIES: Final = 8
MOST_RESULTS: Final = 50
DEFAULT_RESULTS: Final = 10
MOST_FILES: Final = 500
"""That a store is made with."""
MOST_OF_BATCH: Final = 2_000
LONGEST_LIFE: Final = 365
"""Days."""
SMALLEST_CHUNK: Final = 100
LARGEST_CHUNK: Final = 4_096
RANKERS: Final[Mapping[str, Ranker | None]] = {
    "auto": None,
    "default-2024-11-15": None,
    "default_2024_08_21": None,
    "default": None,
    "none": "semantic",
    "semantic": "semantic",
    "lexical": "lexical",
    "hybrid": "hybrid",
}
"""OpenAI's names, then those of this server. None leaves it to the server."""
STATUSES: tuple[FileStatus, ...] = get_args(FileStatus)
_LONGEST_ID: Final = 128
_LastError: TypeAlias = Literal["server_error", "unsupported_file", "invalid_file"]
_T = TypeVar("_T")
_encode = msgspec.json.Encoder().encode


class NewFile(Struct, frozen=True):
    """A file that is to be put into a store."""

    file_id: str
    attributes: Mapping[str, Attribute] = {}
    chunking: Chunking = Chunking()


class NewStore(Struct, frozen=True, kw_only=True):
    """`embedder` None is the server's usual one."""

    name: str = ""
    description: str = ""
    metadata: Mapping[str, str] = {}
    expiry: Expiry | None = None
    files: tuple[NewFile, ...] = ()
    embedder: str | None = None
    organization_id: str | None = None


class StoreChange(Struct, frozen=True, kw_only=True):
    """What is to be different; `UNSET` stays as it is."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    metadata: Mapping[str, str] | UnsetType = UNSET
    expiry: Expiry | UnsetType | None = UNSET


class Search(Struct, frozen=True, kw_only=True):
    """`ranker` None is the server's usual one."""

    queries: tuple[str, ...]
    filter_: Filter | None
    most: int
    ranker: Ranker | None
    least_score: float


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


class FileContent(Struct, kw_only=True):
    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: tuple[TextContent, ...]
    has_more: bool = False
    next_page: None = None


class _Expiry(Struct):
    anchor: str
    days: int


class _Sizes(Struct):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class _Chunking(Struct):
    type: str
    static: _Sizes | None = None


class _Create(Struct):
    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] | None = None
    expires_after: _Expiry | None = None
    file_ids: list[str] | None = None
    chunking_strategy: _Chunking | None = None
    embedding_model: str | None = None
    organization_id: str | None = None


class _Update(Struct):
    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] | UnsetType | None = UNSET
    expires_after: _Expiry | UnsetType | None = UNSET


class _File(Struct):
    file_id: str
    attributes: dict[str, object] | None = None
    chunking_strategy: _Chunking | None = None


class _UpdateFile(Struct):
    attributes: dict[str, object] | None


class _Batch(Struct):
    file_ids: list[str] | None = None
    files: list[_File] | None = None
    attributes: dict[str, object] | None = None
    chunking_strategy: _Chunking | None = None


class _Ranking(Struct):
    ranker: str | None = None
    score_threshold: float | None = None


class _Search(Struct):
    query: str | list[str]
    filters: dict[str, object] | None = None
    max_num_results: int | None = None
    ranking_options: _Ranking | None = None


_CREATE = shapes.Shape(_Create)
_UPDATE = shapes.Shape(_Update)
_FILE = shapes.Shape(_File)
_UPDATE_FILE = shapes.Shape(_UpdateFile)
_BATCH = shapes.Shape(_Batch)
_SEARCH = shapes.Shape(_Search)


def decode_create(body: bytes) -> NewStore:
    """An empty body asks for an empty store without a name."""
    asked = _read(_CREATE, body) if body.strip() else _Create()
    file_ids = asked.file_ids or ()
    if len(file_ids) > MOST_FILES:
        raise errors.InvalidValue("file_ids", f"must be at most {MOST_FILES}: add the others in a batch")
    chunking = _chunking(asked.chunking_strategy, "chunking_strategy")
    return NewStore(
        name=_text(asked.name, "name", most=LONGEST_NAME),
        description=_text(asked.description, "description", most=LONGEST_DESCRIPTION),
        metadata=checked_metadata(asked.metadata or {}),
        expiry=_expiry(asked.expires_after),
        files=_each(file_ids, {}, chunking),
        embedder=asked.embedding_model,
        organization_id=asked.organization_id,
    )


def decode_update(body: bytes) -> StoreChange:
    """What is null goes, but for the name and the description: null is none of either."""
    asked = _read(_UPDATE, body)
    return StoreChange(
        name=UNSET if asked.name is None else _text(asked.name, "name", most=LONGEST_NAME),
        description=UNSET
        if asked.description is None
        else _text(asked.description, "description", most=LONGEST_DESCRIPTION),
        metadata=UNSET if asked.metadata is UNSET else checked_metadata(asked.metadata or {}),
        expiry=UNSET if asked.expires_after is UNSET else _expiry(asked.expires_after),
    )


def decode_file(body: bytes) -> NewFile:
    return _file(_read(_FILE, body), "")


def decode_file_update(body: bytes) -> Mapping[str, Attribute]:
    """The attributes, in the place of those there were."""
    return filtering.attributes(_read(_UPDATE_FILE, body).attributes or {}, "attributes")


def decode_batch(body: bytes) -> tuple[NewFile, ...]:
    asked = _read(_BATCH, body)
    if asked.file_ids and asked.files:
        raise errors.InvalidValue("files", "and file_ids are two ways to say the same: send one")
    given = asked.files or asked.file_ids
    if not given:
        raise shapes.missing("file_ids")
    if len(given) > MOST_OF_BATCH:
        raise errors.InvalidValue("files" if asked.files else "file_ids", f"must be at most {MOST_OF_BATCH}")
    if asked.files:
        return _once(tuple(_file(each, f"files[{index}].") for index, each in enumerate(asked.files)))
    attributes = filtering.attributes(asked.attributes or {}, "attributes")
    return _each(asked.file_ids or (), attributes, _chunking(asked.chunking_strategy, "chunking_strategy"))


def decode_search(body: bytes) -> Search:
    """`rewrite_query` is let pass: queries are taken as they are."""
    asked = _read(_SEARCH, body)
    queries = (asked.query,) if isinstance(asked.query, str) else tuple(asked.query)
    if not 1 <= len(queries) <= MOST_QUERIES:
        raise errors.InvalidValue("query", f"must be a text, or 1 to {MOST_QUERIES} of them")
    if not all(1 <= len(query) <= LONGEST_QUERY and not query.isspace() for query in queries):
        raise errors.InvalidValue("query", f"must be 1 to {LONGEST_QUERY} characters long, and not blank")
    most = DEFAULT_RESULTS if asked.max_num_results is None else asked.max_num_results
    if not 1 <= most <= MOST_RESULTS:
        raise errors.InvalidValue("max_num_results", f"must be between 1 and {MOST_RESULTS}")
    ranking = asked.ranking_options or _Ranking()
    least = ranking.score_threshold or 0.0
    if not 0 <= least <= 1:
        raise errors.InvalidValue("ranking_options.score_threshold", "must be between 0 and 1")
    return Search(
        queries=tuple(query.replace("\0", " ") for query in queries),
        filter_=filtering.decode(asked.filters, "filters") if asked.filters else None,
        most=most,
        ranker=shapes.pick(RANKERS, ranking.ranker or "auto", "ranking_options.ranker"),
        least_score=least,
    )


def decode_status(given: str) -> FileStatus:
    """The `filter` of a list."""
    for status in STATUSES:
        if given == status:
            return status
    raise errors.InvalidValue("filter", f"must be one of {', '.join(STATUSES)}")


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


def encode_results(queries: Sequence[str], passages: Sequence[Passage]) -> bytes:
    return _encode(
        SearchResults(
            search_query=tuple(queries),
            data=tuple(
                SearchResult(
                    file_id=passage.file_id,
                    filename=passage.filename,
                    score=passage.score,
                    attributes=filtering.spell(passage.attributes),
                    content=(TextContent(passage.text),),
                )
                for passage in passages
            ),
        )
    )


def _read(shape: shapes.Shape[_T], body: bytes) -> _T:
    shapes.check_utf8(body)
    return shape.read(body)


def _text(given: str | None, at: str, *, most: int) -> str:
    if given is None:
        return ""
    if len(given) > most:
        raise errors.InvalidValue(at, f"must be at most {most} characters long")
    if "\0" in given:  # not every database keeps it
        raise errors.InvalidValue(at, "must not have the character U+0000 in it")
    return given


def _expiry(given: _Expiry | None) -> Expiry | None:
    if given is None:
        return None
    if given.anchor != "last_active_at":
        raise errors.InvalidValue("expires_after.anchor", "must be last_active_at")
    if not 1 <= given.days <= LONGEST_LIFE:
        raise errors.InvalidValue("expires_after.days", f"must be between 1 and {LONGEST_LIFE}")
    return Expiry(given.days)


def _chunking(given: _Chunking | None, at: str) -> Chunking:
    if given is None or given.type == "auto":
        return Chunking()
    if given.type != "static":
        raise errors.InvalidValue(f"{at}.type", "must be auto or static")
    if given.static is None:
        raise shapes.missing(f"{at}.static")
    tokens, overlap = given.static.max_chunk_size_tokens, given.static.chunk_overlap_tokens
    if not SMALLEST_CHUNK <= tokens <= LARGEST_CHUNK:
        raise errors.InvalidValue(
            f"{at}.static.max_chunk_size_tokens", f"must be between {SMALLEST_CHUNK} and {LARGEST_CHUNK}"
        )
    if not 0 <= overlap <= tokens // 2:
        raise errors.InvalidValue(
            f"{at}.static.chunk_overlap_tokens", f"must be between 0 and {tokens // 2}, half of max_chunk_size_tokens"
        )
    return Chunking(tokens, overlap)


def _file(given: _File, at: str) -> NewFile:
    return NewFile(
        _id(given.file_id, f"{at}file_id"),
        filtering.attributes(given.attributes or {}, f"{at}attributes"),
        _chunking(given.chunking_strategy, f"{at}chunking_strategy"),
    )


def _each(file_ids: Sequence[str], attributes: Mapping[str, Attribute], chunking: Chunking) -> tuple[NewFile, ...]:
    return _once(
        tuple(NewFile(_id(each, f"file_ids[{index}]"), attributes, chunking) for index, each in enumerate(file_ids))
    )


def _once(files: tuple[NewFile, ...]) -> tuple[NewFile, ...]:
    """A file that is there twice is as the last says."""
    return tuple({file.file_id: file for file in files}.values())


def _id(given: str, at: str) -> str:
    if not 1 <= len(given) <= _LONGEST_ID or "\0" in given:
        raise errors.InvalidValue(at, "must be the id of a file")
    return known_id(given)


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
    if store.expires_at is not None and store.expires_at <= now:
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
