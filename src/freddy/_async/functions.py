"""`client.functions`: functions that the server calls for models, at addresses of your own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from freddy._async.paging import AsyncPage, fetch_page
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.functions import FunctionTest, RegisteredFunction
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted


class AsyncFunctions:
    """Registered functions. Give `{"type": "function", "name": ...}` among the `functions` of a request."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        name: str,
        url: str,
        *,
        description: Maybe[str] = NOT_GIVEN,
        parameters: Maybe[Mapping[str, Any]] = NOT_GIVEN,
        headers: Maybe[Mapping[str, str]] = NOT_GIVEN,
        timeout_seconds: int | NotGiven = NOT_GIVEN,
        require_approval: bool | NotGiven = NOT_GIVEN,
        idempotent: bool | NotGiven = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> RegisteredFunction:
        """Registers a function. Keep the `secret` of the answer: it verifies calls, and is not told again."""
        fields = {
            "name": name,
            "url": url,
            "description": description,
            "parameters": parameters,
            "headers": headers,
            "timeout_seconds": timeout_seconds,
            "require_approval": require_approval,
            "idempotent": idempotent,
            "enabled": enabled,
            "metadata": metadata,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
            **extra,
        }
        call = Call(method="POST", path=path("functions"), body=without_omitted(fields))
        return RegisteredFunction((await self._transport.send(call)).body)

    async def get(self, function_id: str) -> RegisteredFunction:
        call = Call(method="GET", path=path("functions", function_id))
        return RegisteredFunction((await self._transport.send(call)).body)

    async def update(
        self,
        function_id: str,
        *,
        name: str | NotGiven = NOT_GIVEN,
        url: str | NotGiven = NOT_GIVEN,
        description: Maybe[str] = NOT_GIVEN,
        parameters: Maybe[Mapping[str, Any]] = NOT_GIVEN,
        headers: Maybe[Mapping[str, str]] = NOT_GIVEN,
        timeout_seconds: int | NotGiven = NOT_GIVEN,
        require_approval: bool | NotGiven = NOT_GIVEN,
        idempotent: bool | NotGiven = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        expected_version: int | NotGiven = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> RegisteredFunction:
        """Changes the fields that are given, and no other.

        Another `url` is told the headers anew: send them with it. With `expected_version` it fails when somebody else
        has changed the function since that version.
        """
        fields = {
            "name": name,
            "url": url,
            "description": description,
            "parameters": parameters,
            "headers": headers,
            "timeout_seconds": timeout_seconds,
            "require_approval": require_approval,
            "idempotent": idempotent,
            "enabled": enabled,
            "metadata": metadata,
            "expected_version": expected_version,
            **extra,
        }
        call = Call(method="PATCH", path=path("functions", function_id), body=without_omitted(fields))
        return RegisteredFunction((await self._transport.send(call)).body)

    async def delete(self, function_id: str) -> Deleted:
        """Deletes a function with its versions and secrets."""
        call = Call(method="DELETE", path=path("functions", function_id))
        return Deleted((await self._transport.send(call)).body)

    async def list(
        self,
        *,
        search: str | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> AsyncPage[RegisteredFunction]:
        """Functions, the newest first. Iterating goes through all pages."""
        query = {"search": search, "limit": limit, "order": order, "after": after}
        return await fetch_page(self._transport, path("functions"), query, RegisteredFunction)

    async def test(self, function_id: str, arguments: Mapping[str, Any] | None = None) -> FunctionTest:
        """Calls the function as a model would. One that fails is `success=False` with an error, and raises nothing."""
        call = Call(method="POST", path=path("functions", function_id, "test"), body={"arguments": arguments or {}})
        return FunctionTest((await self._transport.send(call)).body)

    async def rotate_secret(
        self, function_id: str, *, overlap_seconds: int | NotGiven = NOT_GIVEN
    ) -> RegisteredFunction:
        """A new `secret`. The one before signs calls, too, for a day or for as long as you say."""
        call = Call(
            method="POST",
            path=path("functions", function_id, "rotate-secret"),
            body=without_omitted({"overlap_seconds": overlap_seconds}),
        )
        return RegisteredFunction((await self._transport.send(call)).body)
