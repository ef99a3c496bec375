"""MCP configurations: servers of tools with their credentials, as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypedDict

from freddy.types._view import Reader, View, plain
from freddy.types.requests import AllowedTools, ApprovalPatterns


class McpCredentials(TypedDict, total=False):
    """`api_key` goes into the header `header_name`, `X-API-Key` where none is named; `token` is a bearer token."""

    api_key: str
    header_name: str
    token: str


class McpToolConfiguration(TypedDict, total=False):
    """What holds where a request says nothing else."""

    enabled: bool
    allowed_tools: list[str] | AllowedTools
    require_approval: Literal["always", "never"] | ApprovalPatterns


class McpConfiguration(View):
    """A saved MCP server. Its id goes into a tool, `{"type": "mcp", "configuration_id": ...}`.

    Secrets are never told: they stand as `***REDACTED***` in `credentials` and `headers`.
    """

    id: str
    object: str
    type: str
    organization_id: str
    user_id: str | None
    name: str
    description: str | None
    server_url: str
    program: str | None
    transport_type: str
    auth_type: str
    credentials: dict[str, str] | None
    headers: dict[str, str]
    tool_configuration: dict[str, Any]
    enabled: bool
    is_active: bool
    metadata: dict[str, str]
    connection_status: str
    last_connected_at: int | None
    error_message: str | None
    version: int
    created_at: int
    updated_at: int
    created_by: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {
        "credentials": plain,
        "headers": plain,
        "tool_configuration": plain,
        "metadata": plain,
    }


class McpConnectionTest(View):
    """Whether a saved MCP server answers. `message` says what happened; `available_tools` are names."""

    success: bool
    status: str
    message: str
    available_tools: list[str]
    _readers: ClassVar[Mapping[str, Reader]] = {"available_tools": list}
