# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.vector_stores`: files that are searched by what they say."""

from __future__ import annotations

import time
import builtins
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Literal, TypeVar

from freddy._sync.paging import Page, fetch_page
from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted
from freddy.types.vector_stores import SearchResult, VectorStore, VectorStoreBatch, VectorStoreFile

Attributes = Mapping[str, str | float | bool]
Chunking = Mapping[str, Any]
FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]
T = TypeVar("T", VectorStoreBatch, VectorStoreFile)


class VectorStores:
    """Stores. A model searches them with the tool `{"type": "file_search", "vector_store_ids": [store.id]}`.

    `files` puts files into them, `batches` many files together.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.files = VectorStoreFiles(transport)
        self.batches = VectorStoreBatches(transport)

    def create(
        self,
        name: str | NotGiven = NOT_GIVEN,
        *,
        description: Maybe[str] = NOT_GIVEN,
        file_ids: Maybe[Sequence[str]] = NOT_GIVEN,
        chunking_strategy: Maybe[Chunking] = NOT_GIVEN,
        expires_after_days: int | NotGiven = NOT_GIVEN,
        embedding_model: Maybe[str] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> VectorStore:
        """A new store, with these files where some are given. The days count from when it was last used."""
        fields = {
            "name": name,
            "description": description,
            "file_ids": file_ids,
            "chunking_strategy": chunking_strategy,
            "expires_after": _expiry(expires_after_days),
            "embedding_model": embedding_model,
            "metadata": metadata,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
            **extra,
        }
        call = Call(method="POST", path=path("vector_stores"), body=without_omitted(fields))
        return VectorStore((self._transport.send(call)).body)

    def get(self, vector_store_id: str) -> VectorStore:
        return VectorStore(_ask(self._transport, "GET", vector_store_id))

    def update(
        self,
        vector_store_id: str,
        *,
        name: str | NotGiven = NOT_GIVEN,
        description: str | NotGiven = NOT_GIVEN,
        expires_after_days: Maybe[int] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> VectorStore:
        """Changes what is given. With None for the days it stays until it is deleted."""
        fields = {
            "name": name,
            "description": description,
            "expires_after": _expiry(expires_after_days),
            "metadata": metadata,
            **extra,
        }
        return VectorStore(_ask(self._transport, "POST", vector_store_id, body=without_omitted(fields)))

    def delete(self, vector_store_id: str) -> Deleted:
        """Deletes the store. Its files stay: they only leave it."""
        return Deleted(_ask(self._transport, "DELETE", vector_store_id))

    def list(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> Page[VectorStore]:
        """Stores, the newest first. Iterating goes through all pages."""
        organization = organization_id or self._transport.settings.organization_id or NOT_GIVEN
        query = {"limit": limit, "order": order, "after": after, "organization_id": organization}
        return fetch_page(self._transport, path("vector_stores"), query, VectorStore)

    def search(
        self,
        vector_store_id: str,
        query: str | Sequence[str],
        *,
        filters: Maybe[Mapping[str, Any]] = NOT_GIVEN,
        max_num_results: int | NotGiven = NOT_GIVEN,
        ranker: str | NotGiven = NOT_GIVEN,
        score_threshold: float | NotGiven = NOT_GIVEN,
    ) -> builtins.list[SearchResult]:
        """The chunks that answer best to the query, the best first."""
        ranking = without_omitted({"ranker": ranker, "score_threshold": score_threshold})
        fields = {
            "query": query if isinstance(query, str) else [*query],
            "filters": filters,
            "max_num_results": max_num_results,
            "ranking_options": ranking or NOT_GIVEN,
        }
        found = _ask(self._transport, "POST", vector_store_id, "search", body=without_omitted(fields))
        return [SearchResult(each) for each in found.get("data") or ()]


class VectorStoreFiles:
    """The files of a store. They are read, cut and embedded after they were added: `wait` for it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(
        self,
        vector_store_id: str,
        file_id: str,
        *,
        attributes: Maybe[Attributes] = NOT_GIVEN,
        chunking_strategy: Maybe[Chunking] = NOT_GIVEN,
    ) -> VectorStoreFile:
        """Puts an uploaded file into a store; one that is there already begins anew. Searches filter by attributes."""
        fields = {"file_id": file_id, "attributes": attributes, "chunking_strategy": chunking_strategy}
        told = _ask(self._transport, "POST", vector_store_id, "files", body=without_omitted(fields))
        return VectorStoreFile(told)

    def get(self, vector_store_id: str, file_id: str) -> VectorStoreFile:
        return VectorStoreFile(_ask(self._transport, "GET", vector_store_id, "files", file_id))

    def update(self, vector_store_id: str, file_id: str, *, attributes: Attributes) -> VectorStoreFile:
        """Attributes in the place of those there were."""
        body = {"attributes": attributes}
        return VectorStoreFile(_ask(self._transport, "POST", vector_store_id, "files", file_id, body=body))

    def remove(self, vector_store_id: str, file_id: str) -> Deleted:
        """Takes a file out of a store. The file itself stays."""
        return Deleted(_ask(self._transport, "DELETE", vector_store_id, "files", file_id))

    def retry(self, vector_store_id: str, file_id: str) -> VectorStoreFile:
        """Begins anew with a file, as it was added."""
        file = self.get(vector_store_id, file_id)
        return self.add(
            vector_store_id,
            file_id,
            attributes=file.raw.get("attributes"),
            chunking_strategy=file.raw.get("chunking_strategy"),
        )

    def content(self, vector_store_id: str, file_id: str) -> builtins.list[str]:
        """The texts of its chunks, in their order."""
        found = _ask(self._transport, "GET", vector_store_id, "files", file_id, "content")
        return [part["text"] for part in found.get("data") or ()]

    def list(
        self,
        vector_store_id: str,
        *,
        status: FileStatus | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[VectorStoreFile]:
        """Files, the newest first. Iterating goes through all pages."""
        query = {"filter": status, "limit": limit, "order": order, "after": after}
        where = path("vector_stores", vector_store_id, "files")
        return fetch_page(self._transport, where, query, VectorStoreFile)

    def wait(
        self, vector_store_id: str, file_id: str, *, seconds: float = 600.0, poll_seconds: float = 1.0
    ) -> VectorStoreFile:
        """Asks for the file until it is over with it: `completed`, `failed` or `cancelled`.

        Raises TimeoutError after so many `seconds`, and looks again after each `poll_seconds`.
        """

        def look() -> VectorStoreFile:
            return self.get(vector_store_id, file_id)

        return _ended(look, seconds=seconds, poll_seconds=poll_seconds)


class VectorStoreBatches:
    """Many files that are put into a store together."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        vector_store_id: str,
        file_ids: Maybe[Sequence[str]] = NOT_GIVEN,
        *,
        files: Maybe[Sequence[Mapping[str, Any]]] = NOT_GIVEN,
        attributes: Maybe[Attributes] = NOT_GIVEN,
        chunking_strategy: Maybe[Chunking] = NOT_GIVEN,
    ) -> VectorStoreBatch:
        """Files that are alike by `file_ids`, or `files` that each have their `attributes` and `chunking_strategy`."""
        fields = {
            "file_ids": file_ids,
            "files": files,
            "attributes": attributes,
            "chunking_strategy": chunking_strategy,
        }
        told = _ask(self._transport, "POST", vector_store_id, "file_batches", body=without_omitted(fields))
        return VectorStoreBatch(told)

    def get(self, vector_store_id: str, batch_id: str) -> VectorStoreBatch:
        return VectorStoreBatch(_ask(self._transport, "GET", vector_store_id, "file_batches", batch_id))

    def cancel(self, vector_store_id: str, batch_id: str) -> VectorStoreBatch:
        """Stops what is not indexed yet."""
        told = _ask(self._transport, "POST", vector_store_id, "file_batches", batch_id, "cancel")
        return VectorStoreBatch(told)

    def files(
        self,
        vector_store_id: str,
        batch_id: str,
        *,
        status: FileStatus | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[VectorStoreFile]:
        """The batch's files, the newest first. Iterating goes through all pages."""
        query = {"filter": status, "limit": limit, "order": order, "after": after}
        where = path("vector_stores", vector_store_id, "file_batches", batch_id, "files")
        return fetch_page(self._transport, where, query, VectorStoreFile)

    def wait(
        self, vector_store_id: str, batch_id: str, *, seconds: float = 600.0, poll_seconds: float = 1.0
    ) -> VectorStoreBatch:
        """Asks for the batch until none of its files is worked on any more.

        Raises TimeoutError after so many `seconds`, and looks again after each `poll_seconds`.
        """

        def look() -> VectorStoreBatch:
            return self.get(vector_store_id, batch_id)

        return _ended(look, seconds=seconds, poll_seconds=poll_seconds)


def _ask(
    transport: Transport, method: str, vector_store_id: str, *segments: str, body: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    call = Call(method=method, path=path("vector_stores", vector_store_id, *segments), body=body)
    return (transport.send(call)).body


def _ended(look: Callable[[], T], *, seconds: float, poll_seconds: float) -> T:
    until = monotonic() + seconds
    while True:
        found = look()
        if found.status != "in_progress":
            return found
        if monotonic() + poll_seconds > until:
            raise TimeoutError(f"{found.id} is still in progress after {seconds:g} seconds; it goes on")
        time.sleep(poll_seconds)


def _expiry(days: Maybe[int]) -> Maybe[Mapping[str, Any]]:
    return {"anchor": "last_active_at", "days": days} if isinstance(days, int) else days
