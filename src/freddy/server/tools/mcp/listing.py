"""Reads the tools that a server offers, as far as they are fit to be shown to a model."""

import logging
from collections.abc import Iterable
from typing import Final

import msgspec
from mcp_types import Tool, ToolAnnotations
from msgspec import Raw

from freddy.server.core import items

MOST: Final = 1000
"""Tools of one server."""
_NAME: Final = 256
_DESCRIPTION: Final = 16 * 1024
_SCHEMA: Final = 64 * 1024
_ANNOTATIONS: Final = 4 * 1024
_DEEPEST: Final = 64
"""Levels of a schema. One that is deeper is refused by vendors, and with it every request that offers it."""
_ALL: Final = 4 * 1024 * 1024
"""Characters of a name and of a description, and bytes of a schema, of annotations and of all together."""

_log = logging.getLogger(__name__)


def read(tools: Iterable[Tool], where: str) -> tuple[items.McpTool, ...]:
    """What is too large is left out, with all that comes after the first so many; of two with one name the first
    stays.
    """
    found: dict[str, items.McpTool] = {}
    left_out, size = 0, 0
    for tool in tools:
        one = _read(tool)
        if one is None or one.name in found:
            left_out += 1
            continue
        size += len(one.description or "") + _length(one.input_schema) + _length(one.annotations)
        if size > _ALL or len(found) == MOST:
            left_out += 1
            continue
        found[one.name] = one
    if left_out:
        _log.warning("mcp_tools_left_out", extra={"server": where, "left_out": left_out, "kept": len(found)})
    return tuple(found.values())


def _read(tool: Tool) -> items.McpTool | None:
    schema = _written(tool.input_schema)
    hints = tool.annotations.model_dump(by_alias=True, exclude_none=True, mode="json") if tool.annotations else None
    annotations = _written(hints) if hints else None
    description = tool.description or tool.title
    if (
        not 0 < len(tool.name) <= _NAME
        or len(description or "") > _DESCRIPTION
        or len(schema) > _SCHEMA
        or _is_deep(tool.input_schema)
        or _length(annotations) > _ANNOTATIONS
    ):
        return None
    return items.McpTool(
        name=tool.name,
        description=description,
        input_schema=Raw(schema),
        annotations=None if annotations is None else Raw(annotations),
        read_only=bool(tool.annotations and tool.annotations.read_only_hint),
        once=_once(tool.annotations),
    )


def _is_deep(schema: object) -> bool:
    level = [schema]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


def _once(hints: ToolAnnotations | None) -> bool:
    """Whether the server says so itself: what it leaves open, the protocol would take for the worst."""
    return bool(hints and hints.destructive_hint and not hints.idempotent_hint and not hints.read_only_hint)


def _written(value: object) -> bytes:
    return msgspec.json.encode(value)


def _length(raw: bytes | Raw | None) -> int:
    return 0 if raw is None else len(bytes(raw))
