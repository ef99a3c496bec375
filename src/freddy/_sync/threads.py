# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.threads`: kept conversations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from freddy._sync.paging import Page, fetch_page
from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted
from freddy.types.threads import Thread, ThreadMessage


class Threads:
    """Threads. Give a thread's id to `responses.create(thread=...)` to go on with it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        title: Maybe[str] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        assistant_id: Maybe[str] = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Thread:
        """A new, empty thread. (`responses.create` also makes one when it is given none.)"""
        fields = {
            "title": title,
            "metadata": metadata,
            "assistant_id": assistant_id,
            "organization_id": organization_id or self._transport.settings.organization_id,
            **extra,
        }
        if fields["organization_id"] is None:
            del fields["organization_id"]
        call = Call(method="POST", path=path("threads"), body=without_omitted(fields))
        return Thread((self._transport.send(call)).body)

    def get(self, thread_id: str) -> Thread:
        call = Call(method="GET", path=path("threads", thread_id))
        return Thread((self._transport.send(call)).body)

    def update(
        self,
        thread_id: str,
        *,
        title: Maybe[str] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Thread:
        """Changes the fields that are given, and no other."""
        fields = without_omitted({"title": title, "metadata": metadata, **extra})
        call = Call(method="PATCH", path=path("threads", thread_id), body=fields)
        return Thread((self._transport.send(call)).body)

    def delete(self, thread_id: str) -> Deleted:
        """Deletes a thread and its messages."""
        call = Call(method="DELETE", path=path("threads", thread_id))
        reply = self._transport.send(call)
        return Deleted(reply.body or {"id": thread_id, "object": "thread", "deleted": True})

    def list(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[Thread]:
        query = {"limit": limit, "order": order, "after": after}
        return fetch_page(self._transport, path("threads"), query, Thread)

    def messages(
        self,
        thread_id: str,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[ThreadMessage]:
        """The messages that a thread holds."""
        query = {"limit": limit, "order": order, "after": after}
        where = path("threads", thread_id, "messages")
        return fetch_page(self._transport, where, query, ThreadMessage)
