# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.responses`: create, stream, get, follow, cancel and delete model responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack, overload

from freddy._sync.paging import Page, fetch_page
from freddy._sync.stream import Stream
from freddy._sync.transport import Chunks, Transport, Call
from freddy._settings import path
from freddy.types.requests import (
    NOT_GIVEN,
    CallOptions,
    CreateRequest,
    Maybe,
    NotGiven,
    without_omitted,
)
from freddy.types.responses import Deleted, Item, Response, read_item

_OPTIONS = frozenset({"extra_headers", "timeout", "idempotency_key"})


class Responses:
    """Model responses. The keywords of `create` and `stream` are those of `CreateRequest`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @overload
    def create(self, *, stream: Literal[False] | None = ..., **request: Unpack[CreateRequest]) -> Response: ...
    @overload
    def create(self, *, stream: Literal[True], **request: Unpack[CreateRequest]) -> Stream: ...
    @overload
    def create(self, *, stream: bool | None, **request: Unpack[CreateRequest]) -> Response | Stream: ...
    def create(self, *, stream: bool | None = None, **request: Unpack[CreateRequest]) -> Response | Stream:
        """Asks a model for a response; with `stream=True`, tells it as it happens.

        Any other keyword goes into the body as it is (`extra_body` does the same where a type
        checker is to agree). A keyword of `NOT_GIVEN` is left out, `None` is sent as null.
        """
        if not stream:
            return self._response(self._creation(request))
        events = self.stream(**request)
        events.open()
        return events

    def stream(self, **request: Unpack[CreateRequest]) -> Stream:
        """The same as `create(stream=True)`, but sent only when the stream is entered or read."""
        return self._stream(self._creation(request, stream=True))

    def get(
        self,
        response_id: str,
        *,
        include: Maybe[Sequence[str]] = NOT_GIVEN,
        **options: Unpack[CallOptions],
    ) -> Response:
        """A response as it is now; how to ask for one that runs in the background."""
        query = {"include": list(include)} if include else {}
        call = Call(method="GET", path=_one(response_id), query=query, **options)
        return self._response(call)

    def follow(
        self,
        response_id: str,
        *,
        starting_after: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Stream:
        """The events of a response that exists: all, or those after a sequence number."""
        query: dict[str, Any] = {"stream": True}
        if starting_after is not None:
            query["starting_after"] = starting_after
        return self._stream(Call(method="GET", path=_one(response_id), query=query, **options))

    def list(
        self,
        *,
        thread: str | NotGiven = NOT_GIVEN,
        status: str | NotGiven = NOT_GIVEN,
        model: str | NotGiven = NOT_GIVEN,
        metadata: Mapping[str, str] | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> Page[Response]:
        """Stored responses, the newest first: of a thread, a status, a model, or with all these pairs of metadata."""
        query = {
            "thread": thread,
            "status": status,
            "model": model,
            "limit": limit,
            "order": order,
            "after": after,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
            **{f"metadata[{key}]": value for key, value in (metadata or {}).items()},
        }
        return fetch_page(self._transport, path("model", "response"), query, Response)

    def cancel(self, response_id: str, **options: Unpack[CallOptions]) -> Response:
        """Stops a response that is not over."""
        call = Call(method="POST", path=_one(response_id, "cancel"), **options)
        return self._response(call)

    def delete(self, response_id: str, **options: Unpack[CallOptions]) -> Deleted:
        """Deletes a stored response."""
        call = Call(method="DELETE", path=_one(response_id), **options)
        reply = self._transport.send(call)
        return Deleted(reply.body or {"id": response_id, "object": "response", "deleted": True})

    def input_items(
        self,
        response_id: str,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[Item]:
        """What a response was made from; the newest first, unless `order` says else."""
        return fetch_page(
            self._transport,
            path("responses", response_id, "input_items"),
            {"limit": limit, "order": order, "after": after},
            read_item,
        )

    def _response(self, call: Call) -> Response:
        reply = self._transport.send(call)
        return Response(reply.body, request_id=reply.request_id)

    def _stream(self, call: Call) -> Stream:
        def connect() -> Chunks:
            return self._transport.open(call)

        return Stream(connect)

    def _creation(self, request: CreateRequest, *, stream: bool = False) -> Call:
        fields: dict[str, Any] = {**request}
        extra_body = fields.pop("extra_body", None) or {}
        options = {name: fields.pop(name) for name in _OPTIONS & fields.keys()}
        body = without_omitted({**fields, **extra_body})
        organization_id = self._transport.settings.organization_id
        if organization_id is not None and "organizationId" not in body:
            body.setdefault("organization_id", organization_id)
        if stream:
            body["stream"] = True
        return Call(method="POST", path=path("model", "response"), body=body, **options)


def _one(response_id: str, *then: str) -> str:
    return path("model", "response", response_id, *then)
