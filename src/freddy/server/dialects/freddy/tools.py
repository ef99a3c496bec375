"""Owns how callers spell the tools a model may use, and how it must choose among them."""

import re
from typing import Final, Literal

from freddy.server.core import errors, toolspec
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy.fields import Fields, raw

_MOST: Final = 128
_DESCRIPTION: Final = 1024
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}", re.ASCII)
_KNOWN: Final = ", ".join(dict.fromkeys(aliases.TOOL_TYPES.values()))
_SECRETS: Final = ("authorization", "headers")
_CHOICES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}
_MODES: Final[dict[str, Literal["auto", "required"]]] = {"auto": "auto", "required": "required"}


def decode(body: Fields) -> tuple[toolspec.ToolSpec, ...]:
    """`tools`, then `functions`; `personal_connectors_enabled` adds that tool or takes it away."""
    specs = [_tool(each, place) for place, each in body.array("tools")]
    specs += [_tool(each, place, "function") for place, each in body.array("functions")]
    if len(specs) > _MOST:
        raise body.wrong("tools" if "tools" in body else "functions", f"must hold at most {_MOST} tools")
    seen: set[str] = set()
    for spec in specs:
        if not isinstance(spec, toolspec.Function):
            continue
        if spec.name in seen:
            raise body.wrong("tools", f"must have unique names: {spec.name} is there twice")
        seen.add(spec.name)
    connectors = body.boolean("personal_connectors_enabled")
    if connectors is False:
        specs = [spec for spec in specs if not _is_connector(spec)]
    elif connectors and not any(_is_connector(spec) for spec in specs):
        specs.append(toolspec.Other("personal_connector", raw({"type": "personal_connector"})))
    return tuple(specs)


def _is_connector(spec: toolspec.ToolSpec) -> bool:
    return isinstance(spec, toolspec.Other) and spec.type == "personal_connector"


def _tool(value: object, place: str, default: str | None = None) -> toolspec.ToolSpec:
    if type(value) is not dict:
        raise errors.InvalidValue(place, "must be an object")
    spelled = value.get("type") or default
    kind = aliases.TOOL_TYPES.get(spelled) if type(spelled) is str else None
    if kind is None:
        raise errors.InvalidValue(f"{place}.type", f"must be one of {_KNOWN}")
    if kind == "function":
        return _function(Fields(value, aliases.FUNCTION_TOOL, place))
    if default is not None:
        raise errors.InvalidValue(f"{place}.type", "must be function: other tools belong in tools")
    # Credentials of a server that nobody calls here have no business in the store.
    kept = {key: each for key, each in value.items() if kind != "mcp" or key not in _SECRETS}
    return toolspec.Other(kind, raw({**kept, "type": kind}))


def _function(fields: Fields) -> toolspec.Function:
    outer = fields
    if "function" in fields:
        fields = Fields(fields.get("function"), aliases.FUNCTION, fields.place("function"))
    name = fields.string("name")
    if name is None or not _NAME.fullmatch(name):
        raise fields.wrong("name", "must be 1 to 64 letters, digits, _ or -, and not begin with a digit or -")
    parameters, strict = fields.mapping("parameters"), fields.flag("strict", default=True)
    return toolspec.Function(
        name=name,
        description=fields.string("description", most=_DESCRIPTION),
        parameters=None if parameters is None else raw(parameters),
        strict=strict,
        require_approval=outer.flag("require_approval", default=fields.flag("require_approval", default=False)),
    )


def choose(body: Fields, specs: tuple[toolspec.ToolSpec, ...]) -> tuple[toolspec.ToolChoice, dict[str, object] | None]:
    """The choice; and, when it names a tool that is known but not run here, the choice as it came.

    The model cannot be forced to use such a tool, so it is left to choose.
    """
    value = body.get("tool_choice")
    if value is None:
        return "auto", None
    if type(value) is str:
        if value in _CHOICES:
            return _plain(body, _CHOICES[value], specs), None
        return _named(body, value, specs)
    fields = Fields(value, aliases.TOOL_CHOICE, body.place("tool_choice"))
    kind = fields.string("type")
    if kind == "allowed_tools":
        return _allowed(fields, specs), None
    if kind is not None and aliases.TOOL_TYPES.get(kind, "function") != "function":
        return _named(body, kind, specs)
    if "function" in fields:
        fields = Fields(fields.get("function"), aliases.TOOL_CHOICE, fields.place("function"))
    name = fields.string("name")
    if name is None:
        raise fields.wrong("name", "must name the function")
    return _named(body, name, specs)


def _plain(
    body: Fields, choice: Literal["auto", "none", "required"], specs: tuple[toolspec.ToolSpec, ...]
) -> toolspec.ToolChoice:
    if choice == "required" and not specs:
        raise body.wrong("tool_choice", "asks for a tool, and tools has none")
    return choice


def _named(
    body: Fields, name: str, specs: tuple[toolspec.ToolSpec, ...]
) -> tuple[toolspec.ToolChoice, dict[str, object] | None]:
    if any(isinstance(spec, toolspec.Function) and spec.name == name for spec in specs):
        return toolspec.Named(name), None
    kind = aliases.TOOL_TYPES.get(name)
    if any(isinstance(spec, toolspec.Other) and spec.type == kind for spec in specs):
        return "auto", {"type": kind}
    raise body.wrong("tool_choice", "must be auto, none, required or one of the tools")


def _allowed(fields: Fields, specs: tuple[toolspec.ToolSpec, ...]) -> toolspec.Allowed:
    known = {spec.name for spec in specs if isinstance(spec, toolspec.Function)}
    names: list[str] = []
    for place, each in fields.array("tools"):
        name = Fields(each, aliases.TOOL_CHOICE, place).string("name")
        if name not in known:
            raise errors.InvalidValue(f"{place}.name", "must name a function of tools")
        names.append(name or "")
    if not names:
        raise fields.wrong("tools", "must name at least one function")
    return toolspec.Allowed(tuple(names), fields.choice("mode", _MODES) or "auto")
