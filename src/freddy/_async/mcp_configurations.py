"""`client.mcp_configurations`: servers of tools, saved with their credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from freddy._async.paging import AsyncPage, fetch_slice
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.mcp_configurations import McpConfiguration, McpConnectionTest, McpCredentials, McpToolConfiguration
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted


class AsyncMcpConfigurations:
    """Saved MCP servers. Give `{"type": "mcp", "server_label": ..., "configuration_id": ...}` among the tools."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        name: str,
        *,
        server_url: str | NotGiven = NOT_GIVEN,
        program: str | NotGiven = NOT_GIVEN,
        transport_type: Literal["auto", "streamable_http", "sse"] | NotGiven = NOT_GIVEN,
        auth_type: Literal["none", "api_key", "bearer_token", "oauth"] | NotGiven = NOT_GIVEN,
        credentials: Maybe[McpCredentials] = NOT_GIVEN,
        headers: Maybe[Mapping[str, str]] = NOT_GIVEN,
        tool_configuration: Maybe[McpToolConfiguration] = NOT_GIVEN,
        description: Maybe[str] = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> McpConfiguration:
        """Saves a server: the one at `server_url`, or a `program` of the operator."""
        fields = {
            "name": name,
            "server_url": server_url,
            "program": program,
            "transport_type": transport_type,
            "auth_type": auth_type,
            "credentials": credentials,
            "headers": headers,
            "tool_configuration": tool_configuration,
            "description": description,
            "enabled": enabled,
            "metadata": metadata,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
            **extra,
        }
        call = Call(method="POST", path=path("mcp-configurations"), body=without_omitted(fields))
        return McpConfiguration((await self._transport.send(call)).body)

    async def get(self, configuration_id: str) -> McpConfiguration:
        call = Call(method="GET", path=path("mcp-configurations", configuration_id))
        return McpConfiguration((await self._transport.send(call)).body)

    async def update(
        self,
        configuration_id: str,
        *,
        name: str | NotGiven = NOT_GIVEN,
        server_url: str | NotGiven = NOT_GIVEN,
        program: str | NotGiven = NOT_GIVEN,
        transport_type: Literal["auto", "streamable_http", "sse"] | NotGiven = NOT_GIVEN,
        auth_type: Literal["none", "api_key", "bearer_token", "oauth"] | NotGiven = NOT_GIVEN,
        credentials: Maybe[McpCredentials] = NOT_GIVEN,
        headers: Maybe[Mapping[str, str]] = NOT_GIVEN,
        tool_configuration: Maybe[McpToolConfiguration] = NOT_GIVEN,
        description: Maybe[str] = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        expected_version: int | NotGiven = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> McpConfiguration:
        """Changes the fields that are given, and no other; None takes one away.

        Another server is told the secrets anew: send `credentials` and `headers` with it. With `expected_version` it
        fails when somebody else has changed the configuration since that version.
        """
        fields = {
            "name": name,
            "server_url": server_url,
            "program": program,
            "transport_type": transport_type,
            "auth_type": auth_type,
            "credentials": credentials,
            "headers": headers,
            "tool_configuration": tool_configuration,
            "description": description,
            "enabled": enabled,
            "metadata": metadata,
            "expected_version": expected_version,
            **extra,
        }
        call = Call(method="PATCH", path=path("mcp-configurations", configuration_id), body=without_omitted(fields))
        return McpConfiguration((await self._transport.send(call)).body)

    async def delete(self, configuration_id: str) -> Deleted:
        """Deletes a configuration with its versions and secrets."""
        call = Call(method="DELETE", path=path("mcp-configurations", configuration_id))
        return Deleted((await self._transport.send(call)).body)

    async def list(
        self,
        *,
        search: str | NotGiven = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> AsyncPage[McpConfiguration]:
        """Configurations, the newest first. Iterating goes through all pages."""
        query = {
            "search": search,
            "enabled": enabled if isinstance(enabled, NotGiven) else str(enabled).lower(),
            "limit": limit,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
        }
        where = path("mcp-configurations")
        return await fetch_slice(self._transport, where, query, McpConfiguration, entries="configurations")

    async def test(self, configuration_id: str) -> McpConnectionTest:
        """Asks the server for its tools. A server that does not answer is `success=False` with a message, no error."""
        call = Call(method="POST", path=path("mcp-configurations", configuration_id, "test"))
        return McpConnectionTest((await self._transport.send(call)).body)
