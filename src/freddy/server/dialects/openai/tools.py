"""Owns how tools and the choice among them are read from a request and written in a response."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import errors, toolspec
from freddy.server.dialects.openai import shapes
from freddy.server.dialects.openai.input import Renamed

ABSENT: Final = Raw()

_NETWORK = ("network_policy", "domain_secrets")
_SECRETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "mcp": (("authorization",), ("headers",)),
    "code_interpreter": (("container", *_NETWORK),),
    "shell": (("environment", *_NETWORK),),
}
"""Where a tool holds what it is told in confidence: no answer repeats it."""


class _Function(Struct):
    """A custom tool has a `format` where a function has `parameters`."""

    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    format: Raw = ABSENT


class _Kind(Struct):
    type: str
    function: Raw = ABSENT


class _Namespace(Struct):
    name: str
    tools: list[Raw] = []


_KIND = shapes.Shape(_Kind)
_FUNCTION = shapes.Shape(_Function)
_NAMESPACE = shapes.Shape(_Namespace)
_FIELDS = shapes.Shape(dict[str, Raw])


def decode(raws: Iterable[Raw]) -> tuple[tuple[toolspec.ToolSpec, ...], Renamed]:
    """The tools, and what a namespace's functions are called inside when another has their name already."""
    specs: list[toolspec.ToolSpec] = []
    names: set[str] = set()
    renamed: dict[tuple[str, str], str] = {}
    for place, raw in enumerate(raws):
        at = f"tools[{place}]"
        kind = _kind(raw, at)
        if kind.type == "namespace":
            # Kept whole for the answer, taken apart for the model.
            specs.append(toolspec.Other(kind.type, raw))
            group = _NAMESPACE.read(raw, at)
            for inner, member in enumerate(group.tools):
                inner_at = f"{at}.tools[{inner}]"
                inner_kind = _kind(member, inner_at)
                if inner_kind.type in ("function", "custom"):
                    spec = _function(member, inner_kind, inner_at, namespace=group.name)
                    own = (group.name, spec.name)
                    if spec.name in names and own not in renamed:
                        renamed[own] = _flat_name(*own)
                        spec = msgspec.structs.replace(spec, name=renamed[own])
                    _add(spec, specs, names, inner_at)
        elif kind.type in ("function", "custom"):
            _add(_function(raw, kind, at), specs, names, at)
        else:
            _FIELDS.read(raw, at)
            specs.append(toolspec.Other(kind.type, raw))
    return tuple(specs), renamed


def own_name(name: str, namespace: str | None) -> str:
    """What the caller calls a function that may be renamed inside."""
    return name.removeprefix(_flat_name(namespace, "")) if namespace else name


def _flat_name(namespace: str, name: str) -> str:
    # Two dashes, so that no name that a caller is likely to choose looks like it.
    return f"{namespace}--{name}"


def _add(spec: toolspec.Function, specs: list[toolspec.ToolSpec], names: set[str], at: str) -> None:
    if spec.name in names:
        raise errors.InvalidValue(f"{at}.name", "must differ from the names of all other functions")
    names.add(spec.name)
    specs.append(spec)


def _kind(raw: Raw, at: str) -> _Kind:
    return _KIND.read(shapes.an_object(raw, at), at)


def _function(raw: Raw, kind: _Kind, at: str, *, namespace: str | None = None) -> toolspec.Function:
    # Chat Completions nests what a function is; many callers come from there.
    flat = not shapes.given(kind.function)
    function = _FUNCTION.read(raw, at) if flat else _FUNCTION.read(kind.function, f"{at}.function")
    if not function.name:
        raise errors.InvalidValue(f"{at}.name", "must not be empty")
    return toolspec.Function(
        name=function.name,
        description=function.description,
        parameters=_object_or_none(function.parameters, f"{at}.parameters"),
        strict=function.strict,
        form="custom" if kind.type == "custom" else "function",
        format=_object_or_none(function.format, f"{at}.format"),
        namespace=namespace,
    )


def _object_or_none(raw: Raw, at: str) -> Raw | None:
    return shapes.an_object(raw, at) if shapes.given(raw) else None


class _Choice(Struct):
    type: str
    name: str | None = None
    function: "_Name | None" = None
    mode: str = "auto"
    tools: list["_Choice"] | None = None


class _Name(Struct):
    name: str


_CHOICE = shapes.Shape(_Choice)
_WORD = shapes.Shape(str)
_WORDS: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}
_MODES: dict[str, Literal["auto", "required"]] = {"auto": "auto", "required": "required"}


def decode_choice(raw: Raw, specs: Sequence[toolspec.ToolSpec]) -> tuple[toolspec.ToolChoice, Raw | None]:
    """The choice, and how it was written where that cannot be told from the choice."""
    if not shapes.given(raw):
        return "auto", None
    if not shapes.is_object(raw):
        return shapes.pick(_WORDS, _WORD.read(raw, "tool_choice"), "tool_choice"), None
    choice = _CHOICE.read(raw, "tool_choice")
    known = {spec.name for spec in specs if isinstance(spec, toolspec.Function)}
    if choice.type in ("function", "custom"):
        return toolspec.Named(_known_name(choice, known, "tool_choice")), None
    if choice.type == "allowed_tools":
        return _allowed(choice, known), raw
    # A hosted tool that this server does not run: the model chooses among what there is.
    return "auto", raw


def _allowed(choice: _Choice, known: set[str]) -> toolspec.ToolChoice:
    mode = shapes.pick(_MODES, choice.mode, "tool_choice.mode")
    if not choice.tools:
        raise errors.InvalidValue("tool_choice.tools", "must name at least one tool")
    names = tuple(
        _known_name(tool, known, f"tool_choice.tools[{place}]")
        for place, tool in enumerate(choice.tools)
        if tool.type in ("function", "custom")
    )
    # Only hosted tools were allowed, and none of them runs here.
    return toolspec.Allowed(names, mode) if names else "none"


def _known_name(choice: _Choice, known: set[str], at: str) -> str:
    name = choice.function.name if choice.function else choice.name
    if not name:
        raise shapes.missing(f"{at}.name")
    if name not in known:
        raise errors.InvalidRequest(
            f"Tool choice {name!r} not found in 'tools' parameter.", param="tool_choice", code="invalid_value"
        )
    return name


class _FunctionTool(Struct, tag="function"):
    name: str
    description: str | None
    parameters: Raw | None
    strict: bool | None


class _CustomTool(Struct, tag="custom", omit_defaults=True):
    name: str
    description: str | None = None
    format: Raw | None = None


class _NamedChoice(Struct):
    type: str
    name: str


class _AllowedChoice(Struct, tag="allowed_tools"):
    mode: str
    tools: list[_NamedChoice]


Tool: TypeAlias = _FunctionTool | _CustomTool | Raw
Choice: TypeAlias = str | _NamedChoice | _AllowedChoice


def spell(specs: Iterable[toolspec.ToolSpec]) -> list[Tool]:
    return [
        _spell(spec)
        for spec in specs
        # A namespace's functions are written inside it.
        if isinstance(spec, toolspec.Other) or spec.namespace is None
    ]


def spell_choice(choice: toolspec.ToolChoice, specs: Iterable[toolspec.ToolSpec]) -> Choice:
    if isinstance(choice, str):
        return choice
    forms = {spec.name: spec.form for spec in specs if isinstance(spec, toolspec.Function)}
    if isinstance(choice, toolspec.Named):
        return _NamedChoice(forms.get(choice.name, "function"), choice.name)
    return _AllowedChoice(choice.mode, [_NamedChoice(forms.get(name, "function"), name) for name in choice.names])


def _spell(spec: toolspec.ToolSpec) -> Tool:
    if isinstance(spec, toolspec.Other):
        data = spec.data
        for path in _SECRETS.get(spec.type, ()):
            data = _without(data, path)
        return data
    if spec.form == "custom":
        return _CustomTool(spec.name, spec.description, spec.format)
    return _FunctionTool(spec.name, spec.description, spec.parameters, spec.strict)


def _without(raw: Raw, path: tuple[str, ...]) -> Raw:
    if not shapes.is_object(raw):
        return raw
    fields = _FIELDS.read(raw)
    key, *deeper = path
    if key not in fields:
        return raw
    if deeper:
        fields[key] = _without(fields[key], tuple(deeper))
    else:
        del fields[key]
    return Raw(msgspec.json.encode(fields))
