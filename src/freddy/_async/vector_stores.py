"""`client.vector_stores`: files that are searched by what they say."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Literal, TypeVar

from freddy._async.paging import AsyncPage, fetch_page
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted
from freddy.types.vector_stores import SearchResult, VectorStore, VectorStoreBatch, VectorStoreFile

Attributes = Mapping[str, str | float | bool]
Chunking = Mapping[str, Any]
FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]
T = TypeVar("T", VectorStoreBatch, VectorStoreFile)


class AsyncVectorStores:
    """Stores. A model searches them with the tool `{"type": "file_search", "vector_store_ids": [store.id]}`.

    `files` puts files into them, `batches` many files together.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self.files = AsyncVectorStoreFiles(transport)
        self.batches = AsyncVectorStoreBatches(transport)

    async def create(
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
        return VectorStore((await self._transport.send(call)).body)

    async def get(self, vector_store_id: str) -> VectorStore:
        return VectorStore(await _ask(self._transport, "GET", vector_store_id))

    async def update(
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
        return VectorStore(await _ask(self._transport, "POST", vector_store_id, body=without_omitted(fields)))

    async def delete(self, vector_store_id: str) -> Deleted:
        """Deletes the store. Its files stay: they only leave it."""
        return Deleted(await _ask(self._transport, "DELETE", vector_store_id))

    async def list(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> AsyncPage[VectorStore]:
        """Stores, the newest first. Iterating goes through all pages."""
        organization = organization_id or self._transport.settings.organization_id or NOT_GIVEN
        query = {"limit": limit, "order": order, "after": after, "organization_id": organization}
        return await fetch_page(self._transport, path("vector_stores"), query, VectorStore)

    async def search(
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
        found = await _ask(self._transport, "POST", vector_store_id, "search", body=without_omitted(fields))
        return [SearchResult(each) for each in found.get("data") or ()]


class AsyncVectorStoreFiles:
    """The files of a store. They are read, cut and embedded after they were added: `wait` for it."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def add(
        self,
        vector_store_id: str,
        file_id: str,
        *,
        attributes: Maybe[Attributes] = NOT_GIVEN,
        chunking_strategy: Maybe[Chunking] = NOT_GIVEN,
    ) -> VectorStoreFile:
        """Puts an uploaded file into a store; one that is there already begins anew. Searches filter by attributes."""
        fields = {"file_id": file_id, "attributes": attributes, "chunking_strategy": chunking_strategy}
        told = await _ask(self._transport, "POST", vector_store_id, "files", body=without_omitted(fields))
        return VectorStoreFile(told)

    async def get(self, vector_store_id: str, file_id: str) -> VectorStoreFile:
        return VectorStoreFile(await _ask(self._transport, "GET", vector_store_id, "files", file_id))

    async def update(self, vector_store_id: str, file_id: str, *, attributes: Attributes) -> VectorStoreFile:
        """Attributes in the place of those there were."""
        body = {"attributes": attributes}
        return VectorStoreFile(await _ask(self._transport, "POST", vector_store_id, "files", file_id, body=body))

    async def remove(self, vector_store_id: str, file_id: str) -> Deleted:
        """Takes a file out of a store. The file itself stays."""
        return Deleted(await _ask(self._transport, "DELETE", vector_store_id, "files", file_id))

    async def retry(self, vector_store_id: str, file_id: str) -> VectorStoreFile:
        """Begins anew with a file, as it was added."""
        file = await self.get(vector_store_id, file_id)
        return await self.add(
            vector_store_id,
            file_id,
            attributes=file.raw.get("attributes"),
            chunking_strategy=file.raw.get("chunking_strategy"),
        )

    async def content(self, vector_store_id: str, file_id: str) -> builtins.list[str]:
        """The texts of its chunks, in their order."""
        found = await _ask(self._transport, "GET", vector_store_id, "files", file_id, "content")
        return [part["text"] for part in found.get("data") or ()]

    async def list(
        self,
        vector_store_id: str,
        *,
        status: FileStatus | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> AsyncPage[VectorStoreFile]:
        """Files, the newest first. Iterating goes through all pages."""
        query = {"filter": status, "limit": limit, "order": order, "after": after}
        where = path("vector_stores", vector_store_id, "files")
        return await fetch_page(self._transport, where, query, VectorStoreFile)

    async def wait(
        self, vector_store_id: str, file_id: str, *, seconds: float = 600.0, poll_seconds: float = 1.0
    ) -> VectorStoreFile:
        """Asks for the file until it is over with it: `completed`, `failed` or `cancelled`.

        Raises TimeoutError after so many `seconds`, and looks again after each `poll_seconds`.
        """

        async def look() -> VectorStoreFile:
            return await self.get(vector_store_id, file_id)

        return await _ended(look, seconds=seconds, poll_seconds=poll_seconds)


class AsyncVectorStoreBatches:
    """Many files that are put into a store together."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
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
        told = await _ask(self._transport, "POST", vector_store_id, "file_batches", body=without_omitted(fields))
        return VectorStoreBatch(told)

    async def get(self, vector_store_id: str, batch_id: str) -> VectorStoreBatch:
        return VectorStoreBatch(await _ask(self._transport, "GET", vector_store_id, "file_batches", batch_id))

    async def cancel(self, vector_store_id: str, batch_id: str) -> VectorStoreBatch:
        """Stops what is not indexed yet."""
        told = await _ask(self._transport, "POST", vector_store_id, "file_batches", batch_id, "cancel")
        return VectorStoreBatch(told)

    async def files(
        self,
        vector_store_id: str,
        batch_id: str,
        *,
        status: FileStatus | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> AsyncPage[VectorStoreFile]:
        """The batch's files, the newest first. Iterating goes through all pages."""
        query = {"filter": status, "limit": limit, "order": order, "after": after}
        where = path("vector_stores", vector_store_id, "file_batches", batch_id, "files")
        return await fetch_page(self._transport, where, query, VectorStoreFile)

    async def wait(
        self, vector_store_id: str, batch_id: str, *, seconds: float = 600.0, poll_seconds: float = 1.0
    ) -> VectorStoreBatch:
        """Asks for the batch until none of its files is worked on any more.

        Raises TimeoutError after so many `seconds`, and looks again after each `poll_seconds`.
        """

        async def look() -> VectorStoreBatch:
            return await self.get(vector_store_id, batch_id)

        return await _ended(look, seconds=seconds, poll_seconds=poll_seconds)


async def _ask(
    transport: AsyncTransport, method: str, vector_store_id: str, *segments: str, body: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    call = Call(method=method, path=path("vector_stores", vector_store_id, *segments), body=body)
    return (await transport.send(call)).body


async def _ended(look: Callable[[], Awaitable[T]], *, seconds: float, poll_seconds: float) -> T:
    until = monotonic() + seconds
    while True:
        found = await look()
        if found.status != "in_progress":
            return found
        if monotonic() + poll_seconds > until:
            raise TimeoutError(f"{found.id} is still in progress after {seconds:g} seconds; it goes on")
        await asyncio.sleep(poll_seconds)


def _expiry(days: Maybe[int]) -> Maybe[Mapping[str, Any]]:
    return {"anchor": "last_active_at", "days": days} if isinstance(days, int) else days
