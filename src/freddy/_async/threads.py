"""`client.threads`: kept conversations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from freddy._async.paging import AsyncPage, fetch_page
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted
from freddy.types.threads import Thread, ThreadMessage


class AsyncThreads:
    """Threads. Give a thread's id to `responses.create(thread=...)` to go on with it."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
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
        return Thread((await self._transport.send(call)).body)

    async def get(self, thread_id: str) -> Thread:
        call = Call(method="GET", path=path("threads", thread_id))
        return Thread((await self._transport.send(call)).body)

    async def update(
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
        return Thread((await self._transport.send(call)).body)

    async def delete(self, thread_id: str) -> Deleted:
        """Deletes a thread and its messages."""
        call = Call(method="DELETE", path=path("threads", thread_id))
        reply = await self._transport.send(call)
        return Deleted(reply.body or {"id": thread_id, "object": "thread", "deleted": True})

    async def list(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> AsyncPage[Thread]:
        query = {"limit": limit, "order": order, "after": after}
        return await fetch_page(self._transport, path("threads"), query, Thread)

    async def messages(
        self,
        thread_id: str,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> AsyncPage[ThreadMessage]:
        """The messages that a thread holds."""
        query = {"limit": limit, "order": order, "after": after}
        where = path("threads", thread_id, "messages")
        return await fetch_page(self._transport, where, query, ThreadMessage)
