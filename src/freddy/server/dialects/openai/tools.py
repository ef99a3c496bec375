"""Owns how tools and the choice among them are read from a request and written in a response."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from freddy.server.core import errors, filtering, toolspec
from freddy.server.dialects import hosted
from freddy.server.dialects.openai import shapes
from freddy.server.dialects.openai.input import Renamed

ABSENT: Final = Raw()

_NETWORK = ("network_policy", "domain_secrets")
_SECRETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "mcp": tuple((name,) for name in hosted.SECRETS),
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


class _McpFilter(Struct, forbid_unknown_fields=True):
    """What is not understood of a restriction would widen it."""

    tool_names: list[str] | None = None
    read_only: bool | None = None


class _McpApproval(Struct, forbid_unknown_fields=True):
    always: _McpFilter | None = None
    never: _McpFilter | None = None


class _Mcp(Struct):
    server_label: str
    server_url: str | None = None
    connector_id: str | None = None
    configuration_id: str | None = None
    server_description: str | None = None
    authorization: str | None = None
    headers: dict[str, str | None] | None = None
    allowed_tools: list[str] | _McpFilter | None = None
    require_approval: str | _McpApproval | None = None


class _HybridSearch(Struct):
    embedding_weight: float | None = None
    text_weight: float | None = None


class _Ranking(Struct):
    ranker: str | None = None
    score_threshold: float | None = None
    hybrid_search: _HybridSearch | None = None


class _FileSearch(Struct):
    vector_store_ids: list[str]
    filters: dict[str, object] | None = None
    max_num_results: int | None = None
    ranking_options: _Ranking | None = None


_KIND = shapes.Shape(_Kind)
_FUNCTION = shapes.Shape(_Function)
_NAMESPACE = shapes.Shape(_Namespace)
_MCP = shapes.Shape(_Mcp)
_FILE_SEARCH = shapes.Shape(_FileSearch)
_FIELDS = shapes.Shape(dict[str, Raw])
_APPROVALS: Final[dict[str, Literal["always", "never"]]] = {"always": "always", "never": "never"}


def decode(raws: Iterable[Raw]) -> tuple[tuple[toolspec.ToolSpec, ...], Renamed]:
    """The tools, and what a namespace's functions are called inside when another has their name already."""
    specs: list[toolspec.ToolSpec] = []
    names: set[str] = set()
    labels: set[str] = set()
    renamed: dict[tuple[str, str], str] = {}
    for place, raw in enumerate(raws):
        at = f"tools[{place}]"
        kind = _kind(raw, at)
        if kind.type == "namespace":
            group = _NAMESPACE.read(raw, at)
            # Kept whole for the answer, taken apart for the model.
            specs.append(toolspec.Other(kind.type, _told_namespace(raw, group, at)))
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
        elif kind.type == "mcp":
            mcp = _mcp(raw, at, labels)
            labels.add(mcp.server_label)
            specs.append(mcp)
        elif kind.type == "file_search":
            specs.append(_file_search(raw, at))
        else:
            _FIELDS.read(raw, at)
            specs.append(toolspec.Other(kind.type, raw))
    hosted.check_searches(specs, "tools")
    return tuple(specs), renamed


def _told_namespace(raw: Raw, group: _Namespace, at: str) -> Raw:
    """As it was written, but for what tools in it are told in confidence, whether or not they belong there."""
    told = [_told(_kind(tool, f"{at}.tools[{inner}]").type, tool) for inner, tool in enumerate(group.tools)]
    return raw if told == group.tools else Raw(msgspec.json.encode(_FIELDS.read(raw) | {"tools": told}))


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


def _mcp(raw: Raw, at: str, taken: set[str]) -> toolspec.Mcp:
    tool = _MCP.read(raw, at)
    hosted.check_label(tool.server_label, f"{at}.server_label", taken)
    hosted.check_connection(
        at,
        server_url=tool.server_url,
        connector_id=tool.connector_id,
        configuration_id=tool.configuration_id,
    )
    headers = {name: value for name, value in (tool.headers or {}).items() if value is not None}
    hosted.check_secrets(at, tool.authorization, headers)
    allowed, excluded = _allowed_tools(tool.allowed_tools, f"{at}.allowed_tools")
    return toolspec.Mcp(
        server_label=tool.server_label,
        data=_told("mcp", raw),
        server_url=tool.server_url,
        configuration_id=tool.configuration_id,
        description=tool.server_description,
        allowed=allowed,
        excluded=excluded,
        approval=_approval(tool.require_approval, at),
        authorization=tool.authorization,
        headers=headers,
    )


def _allowed_tools(
    written: list[str] | _McpFilter | None, at: str
) -> tuple[toolspec.Which | None, toolspec.Which | None]:
    """What may be seen, and what not: an empty list allows nothing."""
    told = _McpFilter(written) if isinstance(written, list) else written or _McpFilter()
    if told.tool_names == []:
        return None, toolspec.Which(("*",))
    place = at if isinstance(written, list) else f"{at}.tool_names"
    return next(iter(_which(told, place)), None), None


def _approval(written: str | _McpApproval | None, at: str) -> toolspec.Approval | None:
    if written is None:
        return None
    if isinstance(written, str):
        return toolspec.Approval(shapes.pick(_APPROVALS, written, f"{at}.require_approval"))
    place = f"{at}.require_approval"
    return toolspec.Approval(
        always=_which(written.always, f"{place}.always.tool_names"),
        never=_which(written.never, f"{place}.never.tool_names"),
    )


def _which(written: _McpFilter | None, at: str) -> tuple[toolspec.Which, ...]:
    """A filter that names nothing means nothing."""
    if written is None or written.tool_names == [] or (written.tool_names is None and written.read_only is None):
        return ()
    return (toolspec.Which(hosted.check_names(written.tool_names or (), at), written.read_only),)


def _file_search(raw: Raw, at: str) -> toolspec.FileSearch:
    tool = _FILE_SEARCH.read(raw, at)
    ranking = tool.ranking_options or _Ranking()
    place = f"{at}.ranking_options"
    least = ranking.score_threshold or 0.0
    if not 0 <= least <= 1:
        raise errors.InvalidValue(f"{place}.score_threshold", "must be between 0 and 1")
    if tool.max_num_results is not None and not 1 <= tool.max_num_results <= hosted.MOST_RESULTS:
        raise errors.InvalidValue(f"{at}.max_num_results", f"must be between 1 and {hosted.MOST_RESULTS}")
    ranker = None if ranking.ranker is None else hosted.ranker(ranking.ranker, f"{place}.ranker")
    mixed = ranking.hybrid_search
    semantic, lexical = (1.0, 1.0)
    if mixed is not None:
        semantic, lexical = hosted.check_weights(mixed.embedding_weight, mixed.text_weight, f"{place}.hybrid_search")
    return toolspec.FileSearch(
        vector_store_ids=hosted.check_stores(tool.vector_store_ids, f"{at}.vector_store_ids"),
        data=raw,
        # An empty filter leaves nothing out.
        filter_=filtering.decode(tool.filters, f"{at}.filters") if tool.filters else None,
        most=tool.max_num_results,
        ranker="hybrid" if ranker is None and mixed is not None else ranker,
        least_score=least,
        semantic_weight=semantic,
        lexical_weight=lexical,
    )


def _object_or_none(raw: Raw, at: str) -> Raw | None:
    return shapes.an_object(raw, at) if shapes.given(raw) else None


class _Choice(Struct):
    type: str
    name: str | None = None
    server_label: str | None = None
    function: "_Name | None" = None
    mode: str = "auto"
    tools: list["_Choice"] | None = None


class _Name(Struct):
    name: str


_CHOICE = shapes.Shape(_Choice)
_TOOLS = shapes.Shape(list[Raw])
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
        return _allowed(choice, known, specs), _told_allowed(raw)
    if choice.type in ("mcp", "file_search"):
        return _hosted(choice, specs, "tool_choice"), None
    # A hosted tool that this server does not run: the model chooses among what there is.
    return "auto", _told(choice.type, raw)


def _told_allowed(raw: Raw) -> Raw:
    """As it was written, but for what its tools are told in confidence: callers name them by all they know of them."""
    fields = _FIELDS.read(raw)
    written = _TOOLS.read(fields["tools"])
    told = [_told(_KIND.read(tool).type, tool) for tool in written]
    return raw if told == written else Raw(msgspec.json.encode(fields | {"tools": told}))


def _hosted(choice: _Choice, specs: Sequence[toolspec.ToolSpec], at: str) -> toolspec.Hosted:
    if choice.type == "file_search":
        if not any(isinstance(spec, toolspec.FileSearch) for spec in specs):
            raise _not_found("file_search")
        return toolspec.Hosted("file_search")
    label = choice.server_label
    if not any(isinstance(spec, toolspec.Mcp) and label in (None, spec.server_label) for spec in specs):
        raise _not_found("mcp" if label is None else label)
    if choice.name == "":
        raise errors.InvalidValue(f"{at}.name", "must not be empty")
    return toolspec.Hosted("mcp", label, choice.name)


def _allowed(choice: _Choice, known: set[str], specs: Sequence[toolspec.ToolSpec]) -> toolspec.ToolChoice:
    mode = shapes.pick(_MODES, choice.mode, "tool_choice.mode")
    if not choice.tools:
        raise errors.InvalidValue("tool_choice.tools", "must name at least one tool")
    names = tuple(
        _known_name(tool, known, f"tool_choice.tools[{place}]")
        for place, tool in enumerate(choice.tools)
        if tool.type in ("function", "custom")
    )
    served = tuple(
        _hosted(tool, specs, f"tool_choice.tools[{place}]")
        for place, tool in enumerate(choice.tools)
        if tool.type in ("mcp", "file_search")
    )
    # Only hosted tools were allowed, and none of them runs here.
    return toolspec.Allowed(names, mode, served) if names or served else "none"


def _known_name(choice: _Choice, known: set[str], at: str) -> str:
    name = choice.function.name if choice.function else choice.name
    if not name:
        raise shapes.missing(f"{at}.name")
    if name not in known:
        raise _not_found(name)
    return name


def _not_found(name: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"Tool choice {name!r} not found in 'tools' parameter.", param="tool_choice", code="invalid_value"
    )


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


class _HostedChoice(Struct):
    type: str
    server_label: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class _AllowedChoice(Struct, tag="allowed_tools"):
    mode: str
    tools: list[_NamedChoice | _HostedChoice]


Tool: TypeAlias = _FunctionTool | _CustomTool | Raw
Choice: TypeAlias = str | _NamedChoice | _HostedChoice | _AllowedChoice


def spell(specs: Iterable[toolspec.ToolSpec]) -> list[Tool]:
    # A namespace's functions are written inside it.
    return [_spell(spec) for spec in specs if not isinstance(spec, toolspec.Function) or spec.namespace is None]


def spell_choice(choice: toolspec.ToolChoice, specs: Iterable[toolspec.ToolSpec]) -> Choice:
    if isinstance(choice, str):
        return choice
    forms: dict[str, str] = {spec.name: spec.form for spec in specs if isinstance(spec, toolspec.Function)}
    match choice:
        case toolspec.Named(name):
            return _spell_named(name, forms)
        case toolspec.Hosted():
            return _spell_hosted(choice)
        case toolspec.Allowed(names, mode, served):
            return _AllowedChoice(mode, [*(_spell_named(name, forms) for name in names), *map(_spell_hosted, served)])
        case _:
            assert_never(choice)


def _spell_named(name: str, forms: Mapping[str, str]) -> _NamedChoice:
    return _NamedChoice(forms.get(name, "function"), name)


def _spell_hosted(choice: toolspec.Hosted) -> _HostedChoice:
    return _HostedChoice(choice.tool, choice.server_label or UNSET, choice.name or UNSET)


def _spell(spec: toolspec.ToolSpec) -> Tool:
    match spec:
        case toolspec.Function():
            if spec.form == "custom":
                return _CustomTool(spec.name, spec.description, spec.format)
            return _FunctionTool(spec.name, spec.description, spec.parameters, spec.strict)
        case toolspec.Mcp():
            return _told("mcp", spec.data)
        case toolspec.FileSearch():
            return spec.data
        case toolspec.Other():
            return _told(spec.type, spec.data)
        case _:
            assert_never(spec)


def _told(kind: str, data: Raw) -> Raw:
    """As it was written, without what was told in confidence."""
    for path in _SECRETS.get(kind, ()):
        data = _without(data, path)
    return data


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
