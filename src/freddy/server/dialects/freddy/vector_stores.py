"""Owns how callers write about vector stores under /v1/organizations/{organization}/vector-stores."""

import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import UNSET, Struct
from msgspec.structs import replace

from freddy.server.core import errors, filtering
from freddy.server.core.files import MOST, display_name, known_id
from freddy.server.core.stocking import (
    LARGEST_CHUNK,
    LONGEST_LIFE,
    MOST_AT_ONCE,
    SMALLEST_CHUNK,
    NewFile,
    NewStore,
    StoreChange,
)
from freddy.server.core.vector_stores import AccessMode, Chunking, Expiry, VectorStore
from freddy.server.dialects.freddy.aliases import Names, camel
from freddy.server.dialects.freddy.fields import Fields, read, too_deep
from freddy.server.dialects.freddy.vector_store_views import SCOPING, Status
from freddy.server.resources.base import LONGEST_NAME

LONGEST_DESCRIPTION: Final = 2_000
ACCESS_MODES: Final[dict[str, AccessMode]] = {
    "public": "public",
    "organization": "organization",
    "department": "department",
    "private": "private",
}
Sort: TypeAlias = Literal["created_at", "updated_at", "name"]
SORTS: Final[dict[str, Sort]] = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "name": "name",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
_STATUSES: Final[Mapping[str, frozenset[Status]]] = {
    "pending": frozenset(("pending",)),
    "processing": frozenset(("processing",)),
    "completed": frozenset(("completed",)),
    "failed": frozenset(("failed",)),
    "in_progress": frozenset(("pending", "processing")),
}
_DATA: Final = ";base64,"


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


class Added(Struct, frozen=True, kw_only=True):
    """Files for a store; `alone` where one was asked for by its own name."""

    files: tuple[NewFile, ...]
    alone: bool

    @property
    def param(self) -> str:
        return "file_id" if self.alone else "file_ids"


class Sent(Struct, frozen=True):
    """A file that came with the request; `content` None was not base64."""

    filename: str
    media_type: str | None
    content: bytes | None


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


def decode_change(body: bytes) -> StoreChange | Callable[[VectorStore], StoreChange]:
    """Raises as `decode_new`, and so does what it gives. What is null goes, but for the name and the access mode."""
    fields = _fields(body, STORE)
    if fields.given("embedding_model"):
        raise fields.wrong("embedding_model", "cannot be changed: make another store")
    _open_to_all(fields)
    name = fields.string("name", least=1, most=LONGEST_NAME)
    description = fields.string("description", most=LONGEST_DESCRIPTION) or ""
    metadata, scoping = fields.metadata() or {}, _scoping(fields)
    expiry = _expiry(fields)
    change = StoreChange(
        name=UNSET if name is None else _kept(fields, "name", name),
        description=_kept(fields, "description", description) if fields.given("description") else UNSET,
        access_mode=fields.choice("access_mode", ACCESS_MODES) or UNSET,
        expiry=expiry if fields.given("expires_after") else UNSET,
    )
    if not (scoping or fields.given("metadata")):
        return change

    def of(store: VectorStore) -> StoreChange:
        """The pairs that are fields of their own stay where only the others are sent."""
        kept: Mapping[str, str] = store.metadata
        if fields.given("metadata"):
            kept = {key: value for key, value in kept.items() if key in SCOPING} | metadata
        after: dict[str, str | None] = {**kept, **scoping}
        return replace(change, metadata=_bounded({key: value for key, value in after.items() if value is not None}))

    return of


def decode_added(body: bytes) -> Added:
    fields = _fields(body, _ADDED)
    file_id = fields.identifier("file_id")
    file_ids = fields.strings("file_ids")
    if (file_id is None) == (not file_ids):
        raise fields.wrong("file_id", "is needed, or file_ids: one of them")
    if len(file_ids) > MOST_AT_ONCE:
        raise fields.wrong("file_ids", f"must be at most {MOST_AT_ONCE}")
    wanted = (file_id,) if file_id is not None else file_ids
    if any("\0" in each or len(each) > LONGEST_NAME for each in wanted):
        raise fields.wrong("file_ids" if file_ids else "file_id", "must be the id of a file")
    given = fields.get("attributes")
    attributes = {} if given is None else filtering.attributes(given, fields.place("attributes"))
    chunking = _chunking(fields)
    files = tuple(NewFile(each, attributes, chunking) for each in dict.fromkeys(known_id(each) for each in wanted))
    return Added(files=files, alone=file_id is not None)


def decode_retry(body: bytes) -> None:
    """`reset_error` changes nothing: an error goes when the file is tried again."""
    _fields(body, _RETRY).boolean("reset_error")


def decode_sent(body: bytes) -> Sequence[Sent]:
    fields = _fields(body, _BATCH)
    given = fields.array("files")
    if not 1 <= len(given) <= MOST:
        raise fields.wrong("files", f"must have 1 to {MOST} files")
    return [_sent(Fields(each, _SENT, place)) for place, each in given]


def decode_statuses(given: str) -> frozenset[Status]:
    """Of a list: one or more with commas between them. Raises `errors.InvalidValue`."""
    found: frozenset[Status] = frozenset()
    for word in given.split(","):
        if word.strip() not in _STATUSES:
            raise errors.InvalidValue("status", f"must be one or more of {', '.join(_STATUSES)}")
        found |= _STATUSES[word.strip()]
    return found


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


def _chunking(fields: Fields) -> Chunking | None:
    given = fields.get("chunking_strategy")
    if given is None:
        return None
    strategy = Fields(given, _CHUNKING, fields.place("chunking_strategy"))
    kind = strategy.string("type") or "static"
    if kind == "auto":
        return None
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
