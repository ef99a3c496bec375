"""What the paths of MCP configurations do, take and answer."""

from typing import Literal

from freddy.server.core.headers import LONGEST_HEADER, LONGEST_SECRET, MOST_HEADERS
from freddy.server.core.mcp_configurations import LONGEST_URL, REDACTED
from freddy.server.dialects.freddy import mcp_configurations as wire
from freddy.server.dialects.freddy import mcp_filters
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import (
    METADATA,
    Schema,
    Types,
    either,
    flag,
    many,
    ref,
    text,
    thing,
    whole,
    word,
)
from freddy.server.resources.base import LONGEST_NAME

_PATH = "/v1/mcp-configurations"
_ONE = _PATH + "/{configuration_id}"
_WRITE = (400, 409, 413, 422)
_NAMES: Schema = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": mcp_filters.NAME},
    "maxItems": mcp_filters.NAMES,
}
_REMOVABLE = ("description", "credentials", "headers", "tool_configuration", "metadata")
_SECRET = f" `{REDACTED}` keeps what is there."


def _names(says: str) -> Schema:
    return {**_NAMES, "description": says}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names: dict[type, str] = {wire.McpPagination: "McpPagination", wire.McpTest: "McpConnectionTest"}
    types = Types(found, "Mcp", words=_WORDS, names=names)
    for answer in (wire.McpConfigurationView, wire.McpConfigurationList, wire.McpConfigurationDeleted, wire.McpTest):
        types.add(answer)
    found["McpServers"] = many("Those that requests may name, the newest first.", types.add(wire.McpServer))
    fields: dict[str, Schema] = {
        "name": text("What people call it.", minLength=1, maxLength=LONGEST_NAME),
        "description": text("What it is for.", maxLength=wire.DESCRIPTION),
        "server_url": text(
            "Where the server is. Either this or `program`; with another one than before the secrets are sent again.",
            maxLength=LONGEST_URL,
        ),
        "program": text(
            "A program of the operator, by name. Also `stdio://name` as `server_url`.", maxLength=wire.PROGRAM
        ),
        "transport_type": word("How the server is spoken to over HTTP.", tuple(wire.TRANSPORTS), default="auto"),
        "auth_type": word(
            "What `credentials` are. `oauth` is a bearer token, too: the application obtains and renews it.",
            tuple(wire.AUTHS),
            default="none",
        ),
        "credentials": ref("McpCredentialsSent"),
        "headers": {
            "type": "object",
            "description": "Further headers for the server. They are kept as credentials are." + _SECRET,
            "additionalProperties": {"type": "string", "maxLength": LONGEST_SECRET},
            "propertyNames": {"maxLength": LONGEST_HEADER},
            "maxProperties": MOST_HEADERS,
        },
        "tool_configuration": ref("McpToolConfigurationSent"),
        "enabled": flag("Whether requests may name it. Also `is_active`.", default=True),
        "metadata": METADATA,
        "organization_id": text("Whose it is; the key implies one."),
    }
    selection = thing(
        "",
        {
            "include": _names(
                "Patterns, in which `*` stands for anything. All where it is left out. Also `tool_names`."
            ),
            "exclude": _names("Patterns of tools that are not seen all the same."),
            "read_only": {"type": "boolean", "description": "Only tools that just read, or only those that do more."},
        },
    )
    which = thing("", {"tool_names": _names("Names or patterns."), "read_only": {"type": "boolean"}})
    return found | {
        "McpCredentialsSent": thing(
            "Kept sealed, and never told again.",
            {
                "api_key": text("With `auth_type: api_key`." + _SECRET, maxLength=LONGEST_SECRET),
                "header_name": text("Where the API key goes.", default="X-API-Key", maxLength=LONGEST_HEADER),
                "token": text(
                    "With `auth_type: bearer_token` or `oauth`; without the word `Bearer`." + _SECRET,
                    maxLength=LONGEST_SECRET,
                ),
            },
        ),
        "McpToolConfigurationSent": thing(
            "What holds where a request says nothing else. A change replaces all of it.",
            {
                "enabled": flag("Whether there are any tools.", default=True),
                "allowed_tools": either("The tools that may be seen; all where it is left out.", _NAMES, selection),
                "require_approval": either(
                    "Which calls need a yes; `always` where it is left out.",
                    word("", ("always", "never")),
                    thing(
                        "What neither names needs one.",
                        {
                            "require": _names("Patterns of tools that need one, whatever `allow` says."),
                            "allow": _names("Patterns of tools that need none."),
                        },
                    ),
                    thing("The same in OpenAI's words.", {"always": which, "never": which}),
                ),
            },
        ),
        "McpConfigurationCreate": thing(
            "A new configuration, with `server_url` or `program`.", fields, required=("name",)
        ),
        "McpConfigurationUpdate": thing(
            "What is to be different; what is left out stays.",
            fields
            | {name: either("Null takes away.", fields[name], {"type": "null"}) for name in _REMOVABLE}
            | {"expected_version": whole("Answers 409 where it is in another version by now.", 1)},
        ),
    }


_WORDS: dict[str, dict[str, Schema]] = {
    "McpConfiguration": {
        "id": {"description": "Begins with `mcp_config_`."},
        "type": {"description": "Always `custom`."},
        "user_id": {"description": "Always null: a configuration is its organization's."},
        "server_url": {"description": "`stdio://` and its name for a program."},
        "credentials": {"description": f"Null where there are none. Secrets are told as `{REDACTED}`."},
        "headers": {"description": f"Each name with `{REDACTED}`."},
        "is_active": {"description": "The same as `enabled`."},
        "metadata": METADATA,
        "connection_status": word(
            "What the last test of this version found, since this server process began.",
            ("unknown", "connected", "error"),
        ),
        "last_connected_at": {"description": "Unix seconds of the last test that succeeded."},
        "error_message": {"description": "What the last test failed of."},
        "version": {"description": "Counts from 1; every change makes another."},
        "created_at": {"description": "Unix seconds. So are the other times."},
        "created_by": {"description": "A user, or an API key."},
    },
    "McpToolConfiguration": {
        "allowed_tools": {"type": ["array", "object", "null"], "description": "As it was sent."},
        "require_approval": {"type": ["string", "object", "null"], "description": "As it was sent."},
    },
    "McpServer": {
        "id": {"description": "That of the configuration."},
        "mode": {"description": "The `transport_type` of the configuration."},
        "tools_count": {"description": "As many as the last test found; null where there was none."},
        "error": {"description": "What the last test failed of."},
    },
    "McpConnectionTest": {
        "message": {"description": "What happened, in words."},
        "available_tools": {"description": "All names that the server tells, allowed or not."},
    },
}


def _query(name: str, schema: Schema) -> Schema:
    says = schema.pop("description")
    return {"name": name, "in": "query", "schema": schema, "description": says}


_PARAMETERS: dict[str, Schema] = {
    "configuration_id": {
        "name": "configuration_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Begins with `mcp_config_`.",
    },
    "mcp_search": _query("search", text("Words that name, description, address or program have.")),
    "mcp_limit": _query("limit", whole("Entries of a page.", 1, 1_000, default=100)),
    "mcp_skip": _query("skip", whole("How many to skip. Also `offset`.", 0, default=0)),
    "mcp_enabled": _query(
        "enabled", word("Only those that requests may name, or not. Also `is_active`.", ("true", "false"))
    ),
    "mcp_type": _query("type", word("There are only those of the first type.", wire.TYPES, default="custom")),
}


def _change(method: Literal["patch", "put"], name: str, says: str) -> Operation:
    return Operation(
        method=method,
        path=_ONE,
        name=name,
        tag="MCP configurations",
        title="Change an MCP configuration",
        says=says,
        query=("organization_id",),
        body="McpConfigurationUpdate",
        requests={"key": {"credentials": {"token": "another-token"}, "expected_version": 1}},
        answer="McpConfiguration",
        statuses=(404, *_WRITE),
    )


AREA = Area(
    operations=(
        Operation(
            method="post",
            path=_PATH,
            name="createMcpConfiguration",
            tag="MCP configurations",
            title="Save an MCP server",
            says="The server is not asked: test it afterwards.",
            body="McpConfigurationCreate",
            requests={
                "wiki": {
                    "name": "Wiki",
                    "server_url": "https://mcp.example.com/mcp",
                    "transport_type": "streamable_http",
                    "auth_type": "bearer_token",
                    "credentials": {"token": "the-token"},
                    "tool_configuration": {
                        "allowed_tools": {"include": ["search_*", "get_*"]},
                        "require_approval": {"require": ["*_delete"], "allow": ["search_*"]},
                    },
                }
            },
            answer="McpConfiguration",
            status=201,
            statuses=_WRITE,
        ),
        Operation(
            method="get",
            path=_PATH,
            name="listMcpConfigurations",
            tag="MCP configurations",
            title="List MCP configurations",
            says="The newest first.",
            query=("organization_id", "mcp_search", "mcp_enabled", "mcp_type", "mcp_limit", "mcp_skip"),
            answer="McpConfigurationList",
            statuses=(422,),
        ),
        Operation(
            method="get",
            path=_ONE,
            name="getMcpConfiguration",
            tag="MCP configurations",
            title="Get an MCP configuration",
            query=("organization_id",),
            answer="McpConfiguration",
            statuses=(404,),
        ),
        _change("patch", "updateMcpConfiguration", "Makes the next version, where anything differs."),
        _change("put", "putMcpConfiguration", "The same as PATCH: what is left out stays."),
        Operation(
            method="delete",
            path=_ONE,
            name="deleteMcpConfiguration",
            tag="MCP configurations",
            title="Delete an MCP configuration",
            says="With all its versions and secrets.",
            query=("organization_id",),
            answer="McpConfigurationDeleted",
            statuses=(404,),
        ),
        Operation(
            method="post",
            path=_ONE + "/test",
            name="testMcpConfiguration",
            tag="MCP configurations",
            title="Ask the server for its tools",
            says="Where that fails, the answer is 200 all the same, with `success: false` and the reason.",
            query=("organization_id",),
            answer="McpConnectionTest",
            statuses=(404,),
        ),
        Operation(
            method="get",
            path="/v1/mcp/servers",
            name="listMcpServers",
            tag="MCP configurations",
            title="List saved MCP servers",
            says="The same configurations in few words. No server is asked.",
            query=("organization_id",),
            answer="McpServers",
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
