"""`client.prompts`: templates with variables, in versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from freddy._async.paging import AsyncPage, fetch_page
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.prompts import Prompt
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted


class AsyncPrompts:
    """Templates. Give `{"id": ..., "variables": {...}}` to `responses.create(prompt=...)` to use one."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        name: str,
        content: str,
        *,
        variables: Maybe[Mapping[str, Mapping[str, Any]]] = NOT_GIVEN,
        description: Maybe[str] = NOT_GIVEN,
        tags: Maybe[Sequence[str]] = NOT_GIVEN,
        model: Maybe[str] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Prompt:
        """A new template: `{{name}}` in its content stands for a variable."""
        fields = {
            "name": name,
            "content": content,
            "variables": variables,
            "description": description,
            "tags": tags,
            "model": model,
            "metadata": metadata,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
            **extra,
        }
        call = Call(method="POST", path=path("prompts"), body=without_omitted(fields))
        return Prompt((await self._transport.send(call)).body)

    async def get(self, prompt_id: str, *, version: str | NotGiven = NOT_GIVEN) -> Prompt:
        """The newest version, or the one that is asked for."""
        call = Call(method="GET", path=path("prompts", prompt_id), query=without_omitted({"version": version}))
        return Prompt((await self._transport.send(call)).body)

    async def update(
        self,
        prompt_id: str,
        *,
        name: str | NotGiven = NOT_GIVEN,
        content: str | NotGiven = NOT_GIVEN,
        variables: Maybe[Mapping[str, Mapping[str, Any]]] = NOT_GIVEN,
        description: Maybe[str] = NOT_GIVEN,
        tags: Maybe[Sequence[str]] = NOT_GIVEN,
        model: Maybe[str] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        expected_version: str | NotGiven = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Prompt:
        """Changes the fields that are given, and no other, in a new version.

        With `expected_version` it fails when somebody else has made another version since.
        """
        fields = {
            "name": name,
            "content": content,
            "variables": variables,
            "description": description,
            "tags": tags,
            "model": model,
            "metadata": metadata,
            "expected_version": expected_version,
            **extra,
        }
        call = Call(method="PATCH", path=path("prompts", prompt_id), body=without_omitted(fields))
        return Prompt((await self._transport.send(call)).body)

    async def delete(self, prompt_id: str) -> Deleted:
        """Deletes a template and all its versions."""
        call = Call(method="DELETE", path=path("prompts", prompt_id))
        return Deleted((await self._transport.send(call)).body)

    async def list(
        self,
        *,
        search: str | NotGiven = NOT_GIVEN,
        tag: str | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> AsyncPage[Prompt]:
        """Templates, the newest first. Iterating goes through all pages."""
        query = {"search": search, "tag": tag, "limit": limit, "order": order, "after": after}
        return await fetch_page(self._transport, path("prompts"), query, Prompt)

    async def versions(self, prompt_id: str) -> AsyncPage[Prompt]:
        """Every version, the newest first."""
        return await fetch_page(self._transport, path("prompts", prompt_id, "versions"), {}, Prompt)
