"""Owns the nouns of knowledge: vector stores, their files, the chunks those are cut into, and what is found in them."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Attribute: TypeAlias = str | float | bool
"""What a file may be filtered by, see `core.filtering`. Whole numbers are floats, too."""
StoreStatus: TypeAlias = Literal["in_progress", "completed", "expired"]
FileStatus: TypeAlias = Literal["in_progress", "completed", "failed", "cancelled"]
"""OpenAI's words: https://platform.openai.com/docs/api-reference/vector-stores-files/file-object"""
FailureCode: TypeAlias = Literal["server_error", "unsupported_file", "invalid_file", "quota_exceeded"]
Ranker: TypeAlias = Literal["lexical", "semantic", "hybrid"]
AccessMode: TypeAlias = Literal["public", "organization", "department", "private"]

CHUNK_TOKENS: Final = 800
OVERLAP_TOKENS: Final = 400
"""What OpenAI cuts by where nobody says: https://platform.openai.com/docs/assistants/tools/file-search"""


class Chunking(Struct, frozen=True, omit_defaults=True):
    """How a file is cut: 100 to 4,096 tokens, of which at most half are those of the chunk before."""

    tokens: int = CHUNK_TOKENS
    overlap: int = OVERLAP_TOKENS


class Expiry(Struct, frozen=True, omit_defaults=True):
    """A store goes so many days after it was last used."""

    days: int


class VectorStore(Struct, frozen=True, kw_only=True):
    """Times are Unix seconds. `embedder` made its vectors, of so many `dimensions`: a store has one for its life.

    `bytes` is what its chunks take, text and vector; the counts are those of its files.
    """

    id: str
    organization_id: str
    name: str
    description: str = ""
    metadata: Mapping[str, str] = {}
    access_mode: AccessMode = "organization"
    embedder: str
    dimensions: int
    expiry: Expiry | None = None
    created_at: int
    updated_at: int
    used_at: int
    created_by: str | None = None
    bytes: int = 0
    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def files(self) -> int:
        return self.in_progress + self.completed + self.failed + self.cancelled

    @property
    def expires_at(self) -> int | None:
        return None if self.expiry is None else self.used_at + self.expiry.days * 86_400


class FileFailure(Struct, frozen=True):
    code: FailureCode
    message: str


class StoreFile(Struct, frozen=True, kw_only=True):
    """A file in a store. `progress` goes from 0 to 1; `batch_id` is that of the batch it came in.

    `bytes` is what its chunks take. `attempts` counts how often somebody began to index it since it was put in line;
    `begun` is the store's, and tells the times apart that it was.
    """

    store_id: str
    file_id: str
    organization_id: str
    filename: str
    status: FileStatus = "in_progress"
    attributes: Mapping[str, Attribute] = {}
    chunking: Chunking = Chunking()
    batch_id: str | None = None
    failure: FileFailure | None = None
    progress: float = 0.0
    chunks: int = 0
    bytes: int = 0
    attempts: int = 0
    begun: int = 0
    created_at: int
    updated_at: int
    created_by: str | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """Files that were put into a store together; `cancelled` where somebody stopped it."""

    id: str
    store_id: str
    organization_id: str
    created_at: int
    cancelled: bool = False
    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled_files: int = 0


class Chunk(Struct, frozen=True):
    """`place` counts the chunks of a file from 0. `vector` is of unit length, as little-endian 32-bit floats."""

    place: int
    text: str
    vector: bytes
    tokens: int = 0


class Passage(Struct, frozen=True, kw_only=True):
    """A chunk that was found. `score` goes from 0 to 1; the higher the better, and comparable within one search."""

    store_id: str
    file_id: str
    filename: str
    place: int
    text: str
    score: float
    attributes: Mapping[str, Attribute] = {}
