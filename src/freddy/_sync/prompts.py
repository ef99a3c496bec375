# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.prompts`: templates with variables, in versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from freddy._sync.paging import Page, fetch_page
from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.prompts import Prompt
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted


class Prompts:
    """Templates. Give `{"id": ..., "variables": {...}}` to `responses.create(prompt=...)` to use one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
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
        return Prompt((self._transport.send(call)).body)

    def get(self, prompt_id: str, *, version: str | NotGiven = NOT_GIVEN) -> Prompt:
        """The newest version, or the one that is asked for."""
        call = Call(method="GET", path=path("prompts", prompt_id), query=without_omitted({"version": version}))
        return Prompt((self._transport.send(call)).body)

    def update(
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
        return Prompt((self._transport.send(call)).body)

    def delete(self, prompt_id: str) -> Deleted:
        """Deletes a template and all its versions."""
        call = Call(method="DELETE", path=path("prompts", prompt_id))
        return Deleted((self._transport.send(call)).body)

    def list(
        self,
        *,
        search: str | NotGiven = NOT_GIVEN,
        tag: str | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[Prompt]:
        """Templates, the newest first. Iterating goes through all pages."""
        query = {"search": search, "tag": tag, "limit": limit, "order": order, "after": after}
        return fetch_page(self._transport, path("prompts"), query, Prompt)

    def versions(self, prompt_id: str) -> Page[Prompt]:
        """Every version, the newest first."""
        return fetch_page(self._transport, path("prompts", prompt_id, "versions"), {}, Prompt)
