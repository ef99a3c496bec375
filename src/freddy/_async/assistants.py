"""`client.assistants`: settings kept under an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from freddy._async.paging import AsyncPage, fetch_slice
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.assistants import Assistant, AssistantVersion
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted


class AsyncAssistants:
    """Assistants. Give an assistant's id to `responses.create(assistant_id=...)`: then it needs no model."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        name: str,
        *,
        model: Maybe[str] = NOT_GIVEN,
        instructions: Maybe[str] = NOT_GIVEN,
        description: Maybe[str] = NOT_GIVEN,
        temperature: Maybe[float] = NOT_GIVEN,
        rule_ids: Maybe[Sequence[str]] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Assistant:
        """A new assistant. Every other field of the API can be given by its name, too."""
        fields = {
            "name": name,
            "default_model_key": model,
            "instructions": instructions,
            "description": description,
            "temperature": temperature,
            "rule_ids": rule_ids,
            "metadata": metadata,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
            **extra,
        }
        call = Call(method="POST", path=path("assistants"), body=without_omitted(fields))
        return Assistant((await self._transport.send(call)).body)

    async def get(self, assistant_id: str) -> Assistant:
        call = Call(method="GET", path=path("assistants", assistant_id))
        return Assistant((await self._transport.send(call)).body)

    async def update(
        self,
        assistant_id: str,
        *,
        name: str | NotGiven = NOT_GIVEN,
        model: Maybe[str] = NOT_GIVEN,
        instructions: Maybe[str] = NOT_GIVEN,
        description: Maybe[str] = NOT_GIVEN,
        temperature: Maybe[float] = NOT_GIVEN,
        rule_ids: Maybe[Sequence[str]] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        expected_version: int | NotGiven = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Assistant:
        """Changes the fields that are given, and no other; None takes one away.

        With `expected_version` it fails when somebody else has changed the assistant since that version.
        """
        fields = {
            "name": name,
            "default_model_key": model,
            "instructions": instructions,
            "description": description,
            "temperature": temperature,
            "rule_ids": rule_ids,
            "metadata": metadata,
            "expected_version": expected_version,
            **extra,
        }
        call = Call(method="PATCH", path=path("assistants", assistant_id), body=without_omitted(fields))
        return Assistant((await self._transport.send(call)).body)

    async def delete(self, assistant_id: str) -> Deleted:
        """Deletes an assistant and its versions. Its threads stay."""
        call = Call(method="DELETE", path=path("assistants", assistant_id))
        return Deleted((await self._transport.send(call)).body)

    async def list(
        self,
        *,
        search: str | NotGiven = NOT_GIVEN,
        fields: Literal["summary", "standard", "full"] | NotGiven = NOT_GIVEN,
        access_mode: str | NotGiven = NOT_GIVEN,
        include_inactive: bool | NotGiven = NOT_GIVEN,
        sort_by: Literal["created_at", "updated_at", "name"] | NotGiven = NOT_GIVEN,
        sort_order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> AsyncPage[Assistant]:
        """The assistants that you may use, the newest first."""
        query = {
            "search": search,
            "fields": fields,
            "access_mode": access_mode,
            "include_inactive": _word(include_inactive),
            "sort_by": sort_by,
            "sort_order": sort_order,
            "limit": limit,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
        }
        return await fetch_slice(self._transport, path("assistants"), query, Assistant, entries="assistants")

    async def history(self, assistant_id: str, *, limit: int | NotGiven = NOT_GIVEN) -> AsyncPage[AssistantVersion]:
        """Its versions, the newest first: who changed what, and when."""
        where = path("assistants", assistant_id, "history")
        return await fetch_slice(self._transport, where, {"limit": limit}, AssistantVersion, entries="audit_logs")


def _word(flag: bool | NotGiven) -> str | NotGiven:  # noqa: FBT001 it is all there is to say
    return flag if isinstance(flag, NotGiven) else str(flag).lower()
