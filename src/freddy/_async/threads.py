"""`client.threads`: kept conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from freddy._async.paging import AsyncPage, fetch_page
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted
from freddy.types.threads import Thread, ThreadMessage, ThreadName, ThreadPin, ThreadsDeleted, ThreadStopped


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
        visible_in_ui: Maybe[bool] = NOT_GIVEN,
        messages: Maybe[Sequence[Any]] = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Thread:
        """A new thread, empty or with messages. (`responses.create` also makes one when it is given none.)"""
        fields = {
            "title": title,
            "metadata": metadata,
            "assistant_id": assistant_id,
            "visible_in_ui": visible_in_ui,
            "messages": messages,
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
        assistant_id: Maybe[str] = NOT_GIVEN,
        visible_in_ui: bool | NotGiven = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Thread:
        """Changes the fields that are given, and no other. The assistant stays once the thread has a message."""
        fields = without_omitted(
            {
                "title": title,
                "metadata": metadata,
                "assistant_id": assistant_id,
                "visible_in_ui": visible_in_ui,
                **extra,
            }
        )
        call = Call(method="PATCH", path=path("threads", thread_id), body=fields)
        return Thread((await self._transport.send(call)).body)

    async def delete(self, thread_id: str) -> Deleted:
        """Deletes a thread and its messages."""
        call = Call(method="DELETE", path=path("threads", thread_id))
        reply = await self._transport.send(call)
        return Deleted(reply.body or {"id": thread_id, "object": "thread", "deleted": True})

    async def delete_all(self, *, organization_id: Maybe[str] = NOT_GIVEN) -> ThreadsDeleted:
        """Deletes all threads of the organization that you may see."""
        query = without_omitted({"organization_id": self._organization(organization_id)})
        call = Call(method="DELETE", path=path("threads"), query=query)
        return ThreadsDeleted((await self._transport.send(call)).body)

    async def list(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
        assistant_id: str | NotGiven = NOT_GIVEN,
        user_id: str | NotGiven = NOT_GIVEN,
        visible_in_ui: bool | NotGiven = NOT_GIVEN,
        is_pinned: bool | NotGiven = NOT_GIVEN,
        metadata: Mapping[str, str] | NotGiven = NOT_GIVEN,
        include_total: bool | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> AsyncPage[Thread]:
        """Threads, those that are pinned first. With `metadata`, those that have all these pairs.

        `include_total` puts the number of all of them into `page.raw["total"]`.
        """
        query = {
            "limit": limit,
            "order": order,
            "after": after,
            "assistant_id": assistant_id,
            "user_id": user_id,
            "visible_in_ui": visible_in_ui,
            "is_pinned": is_pinned,
            "include_total": include_total,
            "organization_id": self._organization(organization_id),
            **{f"metadata[{key}]": value for key, value in (metadata or {}).items()},
        }
        return await fetch_page(self._transport, path("threads"), query, Thread)

    async def pin(self, thread_id: str) -> ThreadPin:
        """Puts a thread before the others in lists."""
        call = Call(method="POST", path=path("threads", thread_id, "pin"))
        return ThreadPin((await self._transport.send(call)).body)

    async def unpin(self, thread_id: str) -> ThreadPin:
        call = Call(method="POST", path=path("threads", thread_id, "unpin"))
        return ThreadPin((await self._transport.send(call)).body)

    async def generate_name(
        self, thread_id: str, *, messages: Sequence[Mapping[str, str]] | NotGiven = NOT_GIVEN
    ) -> ThreadName:
        """Titles a thread after what the user said first in it, or in these messages."""
        call = Call(
            method="POST",
            path=path("threads", thread_id, "generateName"),
            body=without_omitted({"messages": messages}),
        )
        return ThreadName((await self._transport.send(call)).body)

    async def stop(self, thread_id: str) -> ThreadStopped:
        """Stops the response that is being made for a thread: without a trace at first, later with what was said."""
        call = Call(method="POST", path=path("model", "response", thread_id, "cancel"))
        return ThreadStopped((await self._transport.send(call)).body)

    async def messages(
        self,
        thread_id: str,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> AsyncPage[ThreadMessage]:
        """The messages that a thread holds, with calls of functions and their outputs."""
        query = {"limit": limit, "order": order, "after": after}
        where = path("threads", thread_id, "messages")
        return await fetch_page(self._transport, where, query, ThreadMessage)

    async def update_message(self, thread_id: str, message_id: str, *, content: str) -> ThreadMessage:
        """Gives a message another text."""
        where = path("threads", thread_id, "messages", message_id)
        call = Call(method="PATCH", path=where, body={"content": content})
        return ThreadMessage((await self._transport.send(call)).body)

    async def delete_message(self, thread_id: str, message_id: str) -> Deleted:
        """Takes a message out of its thread, and out of the response that it belongs to."""
        call = Call(method="DELETE", path=path("threads", thread_id, "messages", message_id))
        return Deleted((await self._transport.send(call)).body)

    def _organization(self, organization_id: Maybe[str]) -> str | NotGiven:
        return organization_id or self._transport.settings.organization_id or NOT_GIVEN
