"""Owns how callers write about vector stores in OpenAI's shapes.

https://platform.openai.com/docs/api-reference/vector-stores
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar, get_args

from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import errors, filtering, wording
from freddy.server.core.files import known_id
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
    StoreChange,
)
from freddy.server.core.vector_stores import (
    Attribute,
    Chunking,
    Expiry,
    FileStatus,
)
from freddy.server.dialects import hosted
from freddy.server.dialects.openai import shapes
from freddy.server.dialects.openai.request import checked_metadata
from freddy.server.resources.base import LONGEST_NAME

LONGEST_DESCRIPTION: Final = 2_000
LONGEST_QUERY: Final = 8_000
"""Characters: more than an embedder reads."""
DEFAULT_RESULTS: Final = 10
MOST_FILES: Final = 500
"""That a store is made with."""
STATUSES: tuple[FileStatus, ...] = get_args(FileStatus)
_LONGEST_ID: Final = 128
_T = TypeVar("_T")


class Create(Struct, frozen=True):
    store: NewStore
    organization_id: str | None


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


class _HybridSearch(Struct):
    embedding_weight: float | None = None
    text_weight: float | None = None


class _Ranking(Struct):
    ranker: str | None = None
    score_threshold: float | None = None
    hybrid_search: _HybridSearch | None = None


class _Search(Struct):
    query: str | list[str]
    filters: dict[str, object] | None = None
    max_num_results: int | None = None
    ranking_options: _Ranking | None = None
    rewrite_query: bool | None = None


_CREATE = shapes.Shape(_Create)
_UPDATE = shapes.Shape(_Update)
_FILE = shapes.Shape(_File)
_UPDATE_FILE = shapes.Shape(_UpdateFile)
_BATCH = shapes.Shape(_Batch)
_SEARCH = shapes.Shape(_Search)


def decode_create(body: bytes) -> Create:
    """An empty body asks for an empty store without a name."""
    asked = _read(_CREATE, body) if body.strip() else _Create()
    file_ids = asked.file_ids or ()
    if len(file_ids) > MOST_FILES:
        raise errors.InvalidValue("file_ids", f"must be at most {MOST_FILES}: add the others in a batch")
    chunking = _chunking(asked.chunking_strategy, "chunking_strategy")
    store = NewStore(
        name=_text(asked.name, "name", most=LONGEST_NAME),
        description=_text(asked.description, "description", most=LONGEST_DESCRIPTION),
        metadata=checked_metadata(asked.metadata or {}),
        expiry=_expiry(asked.expires_after),
        files=_each(file_ids, {}, chunking),
        embedder=asked.embedding_model,
    )
    return Create(store, asked.organization_id)


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
    if len(given) > MOST_AT_ONCE:
        raise errors.InvalidValue("files" if asked.files else "file_ids", f"must be at most {MOST_AT_ONCE}")
    if asked.files:
        return _once(tuple(_file(each, f"files[{index}].") for index, each in enumerate(asked.files)))
    attributes = filtering.attributes(asked.attributes or {}, "attributes")
    return _each(asked.file_ids or (), attributes, _chunking(asked.chunking_strategy, "chunking_strategy"))


def decode_search(body: bytes) -> Search:
    """With `rewrite_query` what the questions ask for, in the place of the questions."""
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
    mixed = ranking.hybrid_search
    ranker = None if ranking.ranker is None else hosted.ranker(ranking.ranker, "ranking_options.ranker")
    semantic, lexical = 1.0, 1.0
    if mixed is not None:
        place = "ranking_options.hybrid_search"
        semantic, lexical = hosted.check_weights(mixed.embedding_weight, mixed.text_weight, place)
        ranker = ranker or "hybrid"
    return Search(
        queries=tuple(map(wording.rewritten, queries)) if asked.rewrite_query else queries,
        # An empty filter leaves nothing out.
        filter_=filtering.decode(asked.filters, "filters") if asked.filters else None,
        most=most,
        ranker=ranker,
        least_score=least,
        semantic_weight=semantic,
        lexical_weight=lexical,
    )


def decode_status(given: str) -> FileStatus:
    """The `filter` of a list."""
    for known in STATUSES:
        if given == known:
            return known
    raise errors.InvalidValue("filter", f"must be one of {', '.join(STATUSES)}")


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


def _chunking(given: _Chunking | None, at: str) -> Chunking | None:
    if given is None or given.type == "auto":
        return None
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


def _each(
    file_ids: Sequence[str], attributes: Mapping[str, Attribute], chunking: Chunking | None
) -> tuple[NewFile, ...]:
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
