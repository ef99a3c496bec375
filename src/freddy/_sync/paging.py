# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""A page of a list, which fetches the pages after it while you iterate."""

from __future__ import annotations

from collections.abc import Iterator, Callable, Mapping
from typing import Any, Generic, TypeVar

from freddy._sync.transport import Transport, Call
from freddy.types._view import many
from freddy.types.requests import without_omitted

T = TypeVar("T")


class Page(Generic[T]):
    """One page in `data`; iterating goes through this page and all that come after it."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], T],
        fetch: Callable[[str], Page[T]],
    ) -> None:
        self.raw = raw
        self.data: list[T] = many(read)(raw.get("data"))
        self.first_id: str | None = raw.get("first_id")
        self.last_id: str | None = raw.get("last_id")
        self.has_more: bool = bool(raw.get("has_more"))
        self._fetch = fetch

    def next_page(self) -> Page[T] | None:
        """The page after this one, or None when this is the last."""
        if not self.has_more or self.last_id is None:
            return None
        return self._fetch(self.last_id)

    def __iter__(self) -> Iterator[T]:
        page: Page[T] | None = self
        while page is not None:
            for each in page.data:
                yield each
            page = page.next_page()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(data={self.data!r}, has_more={self.has_more})"


def fetch_page(
    transport: Transport,
    path: str,
    query: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], T],
) -> Page[T]:
    def fetch(after: str) -> Page[T]:
        return fetch_page(transport, path, {**query, "after": after}, read)

    reply = transport.send(Call(method="GET", path=path, query=without_omitted(query)))
    return Page(reply.body, read, fetch)


def fetch_slice(
    transport: Transport,
    path: str,
    query: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], T],
    *,
    entries: str,
) -> Page[T]:
    """A page of a list that is cut by `offset`, with its `pagination` beside the entries that stand under this name."""

    def fetch(offset: str) -> Page[T]:
        return fetch_slice(transport, path, {**query, "offset": offset}, read, entries=entries)

    reply = transport.send(Call(method="GET", path=path, query=without_omitted(query)))
    found, where = reply.body.get(entries) or [], reply.body.get("pagination") or {}
    following = {
        "data": found,
        "has_more": bool(found) and where.get("has_more"),
        "last_id": str(where.get("offset", 0) + len(found)),
    }
    return Page({**reply.body, **following}, read, fetch)
