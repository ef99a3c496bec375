"""Vector stores, their files, and what is found in them, as the server tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from freddy.types._view import Reader, View, many, one, plain


class FileCounts(View):
    """How many files are how far."""

    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class VectorStore(View):
    """Files that are searched by what they say. `status` is `in_progress` while one of them is worked on."""

    id: str
    object: str
    created_at: int
    name: str
    description: str | None
    usage_bytes: int
    file_counts: FileCounts
    status: str
    expires_after: Any
    expires_at: int | None
    last_active_at: int | None
    metadata: dict[str, str]
    _readers: ClassVar[Mapping[str, Reader]] = {"file_counts": one(FileCounts), "metadata": plain}


class VectorStoreFile(View):
    """A file in a store; `id` is that of the file. It is searched once its `status` is `completed`."""

    id: str
    object: str
    created_at: int
    usage_bytes: int
    vector_store_id: str
    status: str
    last_error: Any
    chunking_strategy: Any
    attributes: dict[str, str | float | bool]
    _readers: ClassVar[Mapping[str, Reader]] = {"attributes": plain}


class VectorStoreBatch(View):
    """Files that were put into a store together."""

    id: str
    object: str
    created_at: int
    vector_store_id: str
    status: str
    file_counts: FileCounts
    _readers: ClassVar[Mapping[str, Reader]] = {"file_counts": one(FileCounts)}


class Content(View):
    type: str
    text: str


class SearchResult(View):
    """A chunk of a file that was found. `score` goes from 0 to 1: the higher the better."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | float | bool]
    content: list[Content]
    _readers: ClassVar[Mapping[str, Reader]] = {"attributes": plain, "content": many(Content)}

    @property
    def text(self) -> str:
        """What the chunk says."""
        return "\n".join(part.text for part in self.content)
