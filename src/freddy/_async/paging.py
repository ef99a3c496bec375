"""A page of a list, which fetches the pages after it while you iterate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from freddy._async.transport import AsyncTransport, Call
from freddy.types._view import many
from freddy.types.requests import without_omitted

T = TypeVar("T")


class AsyncPage(Generic[T]):
    """One page in `data`; iterating goes through this page and all that come after it."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], T],
        fetch: Callable[[str], Awaitable[AsyncPage[T]]],
    ) -> None:
        self.raw = raw
        self.data: list[T] = many(read)(raw.get("data"))
        self.first_id: str | None = raw.get("first_id")
        self.last_id: str | None = raw.get("last_id")
        self.has_more: bool = bool(raw.get("has_more"))
        self._fetch = fetch

    async def next_page(self) -> AsyncPage[T] | None:
        """The page after this one, or None when this is the last."""
        if not self.has_more or self.last_id is None:
            return None
        return await self._fetch(self.last_id)

    async def __aiter__(self) -> AsyncIterator[T]:
        page: AsyncPage[T] | None = self
        while page is not None:
            for each in page.data:
                yield each
            page = await page.next_page()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(data={self.data!r}, has_more={self.has_more})"


async def fetch_page(
    transport: AsyncTransport,
    path: str,
    query: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], T],
) -> AsyncPage[T]:
    async def fetch(after: str) -> AsyncPage[T]:
        return await fetch_page(transport, path, {**query, "after": after}, read)

    reply = await transport.send(Call(method="GET", path=path, query=without_omitted(query)))
    return AsyncPage(reply.body, read, fetch)


async def fetch_slice(
    transport: AsyncTransport,
    path: str,
    query: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], T],
    *,
    entries: str,
) -> AsyncPage[T]:
    """A page of a list that is cut by `offset`, with its `pagination` beside the entries that stand under this name."""

    async def fetch(offset: str) -> AsyncPage[T]:
        return await fetch_slice(transport, path, {**query, "offset": offset}, read, entries=entries)

    reply = await transport.send(Call(method="GET", path=path, query=without_omitted(query)))
    found, where = reply.body.get(entries) or [], reply.body.get("pagination") or {}
    following = {
        "data": found,
        "has_more": bool(found) and where.get("has_more"),
        "last_id": str(where.get("offset", 0) + len(found)),
    }
    return AsyncPage({**reply.body, **following}, read, fetch)
