"""Owns what callers ask of vector stores: new ones, changes of them, files for them, and searches; and the limits."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from freddy.server.core.filtering import Filter
from freddy.server.core.vector_stores import AccessMode, Attribute, Chunking, Expiry, Passage, Ranker, VectorStore

MOST_RESULTS: Final = 50
MOST_QUERIES: Final = 10
MOST_AT_ONCE: Final = 2_000
"""Files that one call may add."""
SMALLEST_CHUNK: Final = 100
LARGEST_CHUNK: Final = 4_096
LONGEST_LIFE: Final = 365
"""Days."""


class NewFile(Struct, frozen=True):
    """A file that is to be put into a store; `chunking` None is the server's usual one."""

    file_id: str
    attributes: Mapping[str, Attribute] = {}
    chunking: Chunking | None = None


class NewStore(Struct, frozen=True, kw_only=True):
    """`embedder` None is the server's usual one; `files` come with it."""

    name: str = ""
    description: str = ""
    metadata: Mapping[str, str] = {}
    access_mode: AccessMode = "organization"
    expiry: Expiry | None = None
    embedder: str | None = None
    files: Sequence[NewFile] = ()


class StoreChange(Struct, frozen=True, kw_only=True):
    """What is to be different; `UNSET` stays as it is, None is taken away."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    metadata: Mapping[str, str] | UnsetType = UNSET
    access_mode: AccessMode | UnsetType = UNSET
    expiry: Expiry | UnsetType | None = UNSET


class Search(Struct, frozen=True, kw_only=True):
    """`most` counts results; the weights are for the hybrid ranker. `least_score` goes from 0 to 1."""

    queries: Sequence[str]
    filter_: Filter | None = None
    most: int = 10
    ranker: Ranker | None = None
    """None is `hybrid`."""
    least_score: float = 0.0
    semantic_weight: float = 1.0
    lexical_weight: float = 1.0


class Searched(Struct, frozen=True):
    """What was found, best first. `notes` say what was not done as asked."""

    queries: tuple[str, ...]
    passages: Sequence[Passage]
    notes: tuple[str, ...] = ()


def has_expired(store: VectorStore, now: float) -> bool:
    """`now` in Unix seconds."""
    return store.expires_at is not None and store.expires_at <= now
