"""Owns how MCP configurations are written and read: the bodies of /v1/mcp-configurations."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct

from freddy.server.core import errors
from freddy.server.core.headers import LONGEST_HEADER
from freddy.server.core.mcp_configurations import (
    REDACTED,
    USUAL_HEADER,
    Auth,
    Change,
    Configuration,
    Connection,
    Credentials,
    State,
    Tested,
    Tools,
    Transport,
)
from freddy.server.dialects.freddy import aliases, mcp_filters
from freddy.server.dialects.freddy.fields import Fields, raw, read, too_deep
from freddy.server.resources.base import LONGEST_NAME, Kept

DESCRIPTION: Final = 2_000
PROGRAM: Final = 64
TRANSPORTS: Final[dict[str, Transport]] = {"auto": "auto", "streamable_http": "streamable_http", "sse": "sse"}
AUTHS: Final[dict[str, Auth]] = {
    "none": "none",
    "api_key": "api_key",
    "bearer_token": "bearer_token",
    "oauth": "oauth",
}
TYPES: Final = ("custom", "streamline", "personal_connector")
"""Only those of the first type are here."""
_STDIO: Final = "stdio://"
_encode = msgspec.json.Encoder().encode


class McpToolConfiguration(Struct):
    enabled: bool
    allowed_tools: Raw | None
    require_approval: Raw | None


class McpConfigurationView(Struct, kw_only=True):
    id: str
    object: Literal["mcp_configuration"] = "mcp_configuration"
    type: Literal["custom"] = "custom"
    organization_id: str
    user_id: None = None
    name: str
    description: str | None
    server_url: str
    program: str | None
    transport_type: Transport
    auth_type: Auth
    credentials: dict[str, str] | None
    headers: dict[str, str]
    tool_configuration: McpToolConfiguration
    enabled: bool
    is_active: bool
    metadata: dict[str, str]
    connection_status: State
    last_connected_at: int | None
    error_message: str | None
    version: int
    created_at: int
    updated_at: int
    created_by: str | None


class McpPagination(Struct, kw_only=True):
    total: int
    limit: int
    offset: int
    has_more: bool


class McpConfigurationList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    configurations: tuple[McpConfigurationView, ...]
    total: int
    pagination: McpPagination


class McpServer(Struct):
    """A saved server in few words, as lists for people want it."""

    id: str
    name: str
    description: str | None
    mode: Transport
    tools_count: int | None
    error: str | None


class McpConfigurationDeleted(Struct):
    id: str
    object: Literal["mcp_configuration.deleted"] = "mcp_configuration.deleted"
    deleted: bool = True


class McpTest(Struct, kw_only=True):
    success: bool
    status: Literal["connected", "error"]
    message: str
    available_tools: tuple[str, ...]


class Told(Struct, frozen=True):
    """A configuration, and what is known of its server."""

    kept: Kept[Configuration]
    connection: Connection


def decode_change(body: bytes) -> Change:
    """What is to be different, or all of a new one. Raises `errors.InvalidValue` and `errors.UnknownParameter`."""
    try:
        return _change(Fields(read(body), aliases.MCP_CONFIGURATION))
    except RecursionError:
        raise too_deep() from None


def encode_configuration(told: Told) -> bytes:
    return _encode(_view(told))


def encode_list(found: Sequence[Told], *, total: int, limit: int, offset: int) -> bytes:
    return _encode(
        McpConfigurationList(
            configurations=tuple(_view(told) for told in found),
            total=total,
            pagination=McpPagination(total=total, limit=limit, offset=offset, has_more=offset + len(found) < total),
        )
    )


def encode_servers(found: Sequence[Told]) -> bytes:
    return _encode(
        [
            McpServer(
                id=told.kept.id,
                name=told.kept.name,
                description=told.kept.value.description,
                mode=told.kept.value.transport,
                tools_count=told.connection.tools,
                error=told.connection.error,
            )
            for told in found
        ]
    )


def encode_deleted(configuration_id: str) -> bytes:
    return _encode(McpConfigurationDeleted(configuration_id))


def encode_test(tested: Tested) -> bytes:
    if tested.error is not None:
        return _encode(McpTest(success=False, status="error", message=tested.error, available_tools=()))
    count = len(tested.tools)
    message = f"The server was reached, and offers {count} {'tool' if count == 1 else 'tools'}"
    return _encode(McpTest(success=True, status="connected", message=message, available_tools=tested.tools))


def _change(fields: Fields) -> Change:
    name = fields.string("name", least=1, most=LONGEST_NAME)
    if fields.given("name") and name is None:
        raise fields.wrong("name", "must be a string")
    description = fields.string("description", most=DESCRIPTION)
    url, program = _place(fields)
    headers, tools = _headers(fields), _tools(fields)
    enabled = fields.boolean("enabled")
    metadata = fields.metadata()
    return Change(
        name=UNSET if name is None else name,
        description=description if fields.given("description") else UNSET,
        server_url=UNSET if url is None else url,
        program=UNSET if program is None else program,
        transport=fields.choice("transport_type", TRANSPORTS) or UNSET,
        auth=fields.choice("auth_type", AUTHS) or UNSET,
        credentials=_credentials(fields) if fields.given("credentials") else UNSET,
        headers=UNSET if headers is None else headers,
        tools=tools if fields.given("tool_configuration") else UNSET,
        enabled=UNSET if enabled is None else enabled,
        metadata=(metadata or {}) if fields.given("metadata") else UNSET,
        organization_id=fields.identifier("organization_id"),
        expected_version=fields.integer("expected_version", 1),
    )


def _place(fields: Fields) -> tuple[str | None, str | None]:
    """Address and program. `stdio://name` is how an address tells a program, in answers too."""
    url = fields.string("server_url", least=1)
    program = fields.string("program", least=1, most=PROGRAM)
    if url is None or not url.startswith(_STDIO):
        return url, program
    named = url.removeprefix(_STDIO)
    if program not in (None, named):
        raise fields.wrong("program", "and server_url name two programs: send one of them")
    return None, named[:PROGRAM]


def _credentials(fields: Fields) -> Credentials | None:
    if "credentials" not in fields:
        return None
    given = _inner(fields)
    return Credentials(
        api_key=given.string("api_key", least=1),
        token=given.string("token", least=1),
        header_name=given.string("header_name", least=1),
    )


def _headers(fields: Fields) -> dict[str, str] | None:
    """Those of the configuration, also where they stand among the credentials."""
    inner = _inner(fields) if "credentials" in fields else fields
    if inner is not fields and inner.given("headers"):
        if "headers" in fields:
            raise inner.wrong("headers", "and headers say the same twice: send one of them")
        fields = inner
    if not fields.given("headers"):
        return None
    place, headers = fields.place("headers"), {}
    for name, value in (fields.mapping("headers") or {}).items():
        if type(value) is not str:
            raise errors.InvalidValue(f"{place}.{name[:LONGEST_HEADER]}", "must be a string")
        headers[name] = value
    return headers


def _inner(fields: Fields) -> Fields:
    return Fields(fields.get("credentials"), aliases.MCP_CREDENTIALS, fields.place("credentials"))


def _tools(fields: Fields) -> Tools:
    if "tool_configuration" not in fields:
        return Tools()
    inner = Fields(fields.get("tool_configuration"), aliases.MCP_TOOLS, fields.place("tool_configuration"))
    allowed, excluded = mcp_filters.allowed(inner)
    named, asked = inner.get("allowed_tools"), inner.get("require_approval")
    return Tools(
        enabled=inner.flag("enabled", default=True),
        allowed=allowed,
        excluded=excluded,
        approval=mcp_filters.approval(inner),
        allowed_tools=None if named is None else raw(named),
        require_approval=None if asked is None else raw(asked),
    )


def _view(told: Told) -> McpConfigurationView:
    kept, value = told.kept, told.kept.value
    return McpConfigurationView(
        id=kept.id,
        organization_id=kept.organization_id,
        name=kept.name,
        description=value.description,
        server_url=value.server_url or f"{_STDIO}{value.program}",
        program=value.program,
        transport_type=value.transport,
        auth_type=value.auth,
        credentials=_redacted(value),
        headers=dict.fromkeys(value.header_names, REDACTED),
        tool_configuration=McpToolConfiguration(
            enabled=value.tools.enabled,
            allowed_tools=value.tools.allowed_tools,
            require_approval=value.tools.require_approval,
        ),
        enabled=value.enabled,
        is_active=value.enabled,
        metadata=value.metadata,
        connection_status=told.connection.state,
        last_connected_at=told.connection.connected_at,
        error_message=told.connection.error,
        version=kept.version,
        created_at=kept.created_at,
        updated_at=kept.updated_at,
        created_by=kept.created_by,
    )


def _redacted(value: Configuration) -> dict[str, str] | None:
    match value.auth:
        case "none":
            return None
        case "api_key":
            return {"api_key": REDACTED, "header_name": value.header_name or USUAL_HEADER}
        case "bearer_token" | "oauth":
            return {"token": REDACTED}
