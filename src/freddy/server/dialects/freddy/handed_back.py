"""Owns how callers hand back what this server's tools did, and how they answer requests for approval."""

from typing import Final

import msgspec

from freddy.server.core import filtering, ids, items
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy.fields import Fields, raw, text

KINDS: Final[dict[str, aliases.Names]] = {
    "approval_response": aliases.APPROVAL_RESPONSE,
    "mcp_approval_response": aliases.APPROVAL_RESPONSE,
    "approval_request": aliases.APPROVAL_REQUEST,
    "mcp_approval_request": aliases.APPROVAL_REQUEST,
    "mcp_call": aliases.MCP_CALL,
    "mcp_list_tools": aliases.MCP_LIST_TOOLS,
    "file_search_call": aliases.FILE_SEARCH_CALL,
}
"""The types of such inputs, and the names of their fields."""


def decode(fields: Fields, item_id: str | None, new_id: ids.NewId, turn: int) -> items.Item:
    """`turn` is the place among the inputs: nobody says which calls were made at once, so none were."""
    match fields.get("type"):
        case "approval_response" | "mcp_approval_response":
            return _answer(fields, item_id or new_id(ids.APPROVAL_ANSWER))
        case "approval_request" | "mcp_approval_request":
            return _request(fields, item_id or new_id(ids.APPROVAL_REQUEST))
        case "mcp_call":
            return _mcp_call(fields, item_id or new_id(ids.MCP_CALL), turn)
        case "mcp_list_tools":
            return _mcp_tools(fields, item_id or new_id(ids.MCP_TOOLS))
        case _:
            return _file_search(fields, item_id or new_id(ids.FILE_SEARCH), turn)


def _answer(fields: Fields, item_id: str) -> items.ApprovalAnswer:
    request_id, approve = fields.identifier("approval_request_id"), fields.boolean("approve")
    if request_id is None:
        raise fields.wrong("approval_request_id", "must be the id of the approval_request")
    if approve is None:
        raise fields.wrong("approve", "must be true or false")
    return items.ApprovalAnswer(item_id, request_id, approve, fields.string("reason"))


def _request(fields: Fields, item_id: str) -> items.ApprovalRequest:
    label = fields.string("server_label")
    if fields.string("tool_type") == "function" or label == hosted.FUNCTIONS:
        label = None
    elif label is None:
        raise fields.wrong("server_label", "must name the MCP server, or tool_type must be function")
    return items.ApprovalRequest(
        id=item_id,
        call_id=fields.identifier("call_id") or "",
        name=_name(fields),
        arguments=_arguments(fields),
        server_label=label,
        expires_at=fields.integer("expires_at", 0, 2**53),
    )


def _mcp_call(fields: Fields, item_id: str, turn: int) -> items.HostedCall:
    label = fields.string("server_label", least=1)
    if label is None:
        raise fields.wrong("server_label", "must name the MCP server")
    output = fields.string("output")
    return hosted.mcp_call(
        item_id,
        server_label=label,
        name=_name(fields),
        arguments=_arguments(fields),
        output=fields.string("result") if output is None else output,
        error=_error(fields),
        status=fields.string("status"),
        turn=turn,
        call_id=fields.identifier("call_id"),
        approval_id=fields.identifier("approval_request_id"),
    )


def _mcp_tools(fields: Fields, item_id: str) -> items.McpTools:
    label = fields.string("server_label", least=1)
    if label is None:
        raise fields.wrong("server_label", "must name the MCP server")
    tools = tuple(_tool(Fields(each, aliases.MCP_LISTED_TOOL, place)) for place, each in fields.array("tools"))
    return items.McpTools(item_id, label, tools, fields.string("error"))


def _tool(fields: Fields) -> items.McpTool:
    schema, annotations = fields.mapping("input_schema"), fields.mapping("annotations")
    return hosted.mcp_tool(
        _name(fields),
        fields.string("description"),
        input_schema=raw(schema) if schema else None,
        annotations=raw(annotations) if annotations else None,
        hints=msgspec.convert(annotations or {}, hosted.Hints),
    )


def _file_search(fields: Fields, item_id: str, turn: int) -> items.HostedCall:
    queries = fields.strings("queries")
    query = fields.string("query")
    if not queries and query:
        queries = (query,)
    return hosted.file_search(
        item_id,
        queries=queries,
        found=tuple(_found(Fields(each, aliases.FOUND, place)) for place, each in fields.array("results")),
        error=_error(fields),
        status=fields.string("status"),
        turn=turn,
        call_id=fields.identifier("call_id"),
    )


def _found(fields: Fields) -> items.Found:
    attributes = fields.mapping("attributes")
    return items.Found(
        file_id=fields.string("file_id") or "",
        filename=fields.string("filename") or "",
        score=fields.number("score", 0, 1) or 0.0,
        text=fields.string("text") or "",
        attributes=filtering.attributes(attributes, fields.place("attributes")) if attributes else {},
        store_id=fields.string("vector_store_id") or "",
    )


def _name(fields: Fields) -> str:
    name = fields.string("name", least=1)
    if name is None:
        raise fields.wrong("name", "must name the tool")
    return name


def _arguments(fields: Fields) -> str:
    value = fields.get("arguments")
    if value is not None and type(value) is not str and type(value) is not dict:
        raise fields.wrong("arguments", "must be a JSON string or an object")
    return (value if type(value) is str else text(value or {})) or "{}"


def _error(fields: Fields) -> str | None:
    """A text, or OpenAI's object with one in it."""
    value = fields.get("error")
    if type(value) is not dict:
        return fields.string("error")
    return hosted.error_text(value)
