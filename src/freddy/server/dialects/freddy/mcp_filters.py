"""Owns how callers spell which tools of an MCP server may be seen, and which calls need a yes."""

from typing import Final, Literal

from freddy.server.core.toolspec import Approval, Which
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy.fields import Fields

NAMES: Final = hosted.MOST_NAMES
NAME: Final = hosted.LONGEST_NAME
_APPROVALS: Final[dict[str, Literal["always", "never"]]] = {"always": "always", "never": "never"}


def allowed(fields: Fields) -> tuple[Which | None, Which | None]:
    """Which tools may be seen, and which of them not: `allowed_tools`. All of it raises `errors.InvalidValue`."""
    value = fields.get("allowed_tools")
    if value is None:
        return None, None
    if type(value) is list:
        names = _names(fields, "allowed_tools")
        if not names:
            raise fields.wrong("allowed_tools", "must name a tool: leave the server out to offer none")
        return Which(names), None
    if type(value) is not dict:
        raise fields.wrong("allowed_tools", "must be an array of names, or an object with include and exclude")
    inner = Fields(value, aliases.MCP_ALLOWED, fields.place("allowed_tools"))
    included, excluded = _included(inner), _names(inner, "exclude")
    if not included and ("include" in inner or "tool_names" in inner) and not excluded:
        raise inner.wrong("include" if "include" in inner else "tool_names", "must name a tool")
    read_only = inner.boolean("read_only")
    told = Which(included, read_only) if included or read_only is not None else None
    return told, Which(excluded) if excluded else None


def approval(fields: Fields) -> Approval | None:
    """`require_approval`; None leaves it to the configuration of the server. What no pattern fits needs a yes."""
    value = fields.get("require_approval")
    if value is None:
        return None
    if type(value) is str:
        return Approval(fields.choice("require_approval", _APPROVALS) or "always")
    if type(value) is not dict:
        raise fields.wrong("require_approval", "must be always, never, or an object with require and allow")
    inner = Fields(value, aliases.MCP_APPROVAL, fields.place("require_approval"))
    return Approval(
        always=(*_which(inner, "require"), *_which(inner, "always")),
        never=(*_which(inner, "allow"), *_which(inner, "never")),
    )


def _included(fields: Fields) -> tuple[str, ...]:
    return (*_names(fields, "include"), *_names(fields, "tool_names"))


def _which(fields: Fields, name: str) -> tuple[Which, ...]:
    """Patterns, or an object of `tool_names` and `read_only`. An empty list names nothing."""
    value = fields.get(name)
    if type(value) is not dict:
        names = _names(fields, name)
        return (Which(names),) if names else ()
    inner = Fields(value, aliases.MCP_ALLOWED, fields.place(name))
    names, read_only = _included(inner), inner.boolean("read_only")
    if not names and ("include" in inner or "tool_names" in inner or read_only is None):
        return ()
    return (Which(names, read_only),)


def _names(fields: Fields, name: str) -> tuple[str, ...]:
    return hosted.check_names(fields.strings(name), fields.place(name))
