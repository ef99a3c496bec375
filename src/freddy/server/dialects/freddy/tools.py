"""Owns how callers spell the tools a model may use, and how it must choose among them."""

import re
from typing import Final, Literal, assert_never

from freddy.server.core import errors, filtering, toolspec
from freddy.server.core.vector_stores import Attribute
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import aliases, mcp_filters
from freddy.server.dialects.freddy.fields import Fields, raw

_MOST: Final = 128
_DESCRIPTION: Final = 1024
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}", re.ASCII)
_KNOWN: Final = ", ".join(dict.fromkeys(aliases.TOOL_TYPES.values()))
_HOSTED: Final[dict[str, Literal["mcp", "file_search"]]] = {"mcp": "mcp", "file_search": "file_search"}
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
    _check_labels(body, specs)
    hosted.check_searches(specs, body.place("tools"))
    stores = body.strings("vector_store_ids")
    if stores and not any(isinstance(spec, toolspec.FileSearch) for spec in specs):
        found = hosted.check_stores(stores, body.place("vector_store_ids"))
        specs.append(toolspec.FileSearch(found, raw({"type": "file_search", "vector_store_ids": found})))
    connectors = body.boolean("personal_connectors_enabled")
    if connectors is False:
        specs = [spec for spec in specs if not _is_connector(spec)]
    elif connectors and not any(_is_connector(spec) for spec in specs):
        specs.append(toolspec.Other("personal_connector", raw({"type": "personal_connector"})))
    return tuple(specs)


def _check_labels(body: Fields, specs: list[toolspec.ToolSpec]) -> None:
    labels: set[str] = set()
    for place, spec in enumerate(specs):
        if isinstance(spec, toolspec.Mcp):
            hosted.check_label(spec.server_label, f"{body.place('tools')}[{place}].server_label", labels)
            labels.add(spec.server_label)


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
    if kind == "mcp":
        return mcp(Fields(value, aliases.MCP_TOOL, place))
    if kind == "file_search":
        return _file_search(Fields(value, aliases.FILE_SEARCH_TOOL, place))
    return toolspec.Other(kind, raw({**value, "type": kind}))


def mcp(fields: Fields) -> toolspec.Mcp:
    """`data` is the tool in OpenAI's words, for those who read the response in that dialect."""
    label = fields.string("server_label")
    if label is None:
        raise fields.wrong("server_label", "must name the server")
    url, connector = fields.string("server_url"), fields.string("connector_id")
    configuration = fields.identifier("configuration_id")
    hosted.check_connection(fields.path, server_url=url, connector_id=connector, configuration_id=configuration)
    authorization, headers = fields.string("authorization"), _headers(fields)
    hosted.check_secrets(fields.path, authorization, headers)
    description = fields.string("server_description")
    allowed, excluded = mcp_filters.allowed(fields)
    approval = mcp_filters.approval(fields)
    told = {
        "type": "mcp",
        "server_label": label,
        "server_url": url,
        "configuration_id": configuration,
        "server_description": description,
        "allowed_tools": _told_which(allowed),
        "require_approval": _told_approval(approval),
    }
    return toolspec.Mcp(
        server_label=label,
        data=raw({key: each for key, each in told.items() if each is not None}),
        server_url=url,
        configuration_id=configuration,
        description=description,
        allowed=allowed,
        excluded=excluded,
        approval=approval,
        authorization=authorization,
        headers=headers,
    )


def _headers(fields: Fields) -> dict[str, str]:
    place, headers = fields.place("headers"), {}
    for name, value in (fields.mapping("headers") or {}).items():
        if value is None:
            continue
        if type(value) is not str:
            raise errors.InvalidValue(f"{place}.{name[:64]}", "must be a string")
        headers[name] = value
    return headers


def _told_which(which: toolspec.Which | None) -> dict[str, object] | None:
    if which is None:
        return None
    told = {"tool_names": which.names or None, "read_only": which.read_only}
    return {key: each for key, each in told.items() if each is not None}


def _told_approval(approval: toolspec.Approval | None) -> object:
    if approval is None:
        return None
    if not approval.always and not approval.never:
        return approval.otherwise
    told = {"always": approval.always, "never": approval.never}
    return {key: _told_which(each[0]) for key, each in told.items() if each}


def _file_search(fields: Fields) -> toolspec.FileSearch:
    """`data` as that of `_mcp`."""
    store_ids = hosted.check_stores(fields.strings("vector_store_ids"), fields.place("vector_store_ids"))
    filters = fields.mapping("filters")
    most = fields.integer("max_num_results", 1, hosted.MOST_RESULTS)
    ranker, least, semantic, lexical = None, 0.0, 1.0, 1.0
    if "ranking_options" in fields:
        inner = Fields(fields.get("ranking_options"), aliases.RANKING_OPTIONS, fields.place("ranking_options"))
        least = inner.number("score_threshold", 0, 1) or 0.0
        if (named := inner.string("ranker")) is not None:
            ranker = hosted.ranker(named, inner.place("ranker"))
        if "hybrid_search" in inner:
            place = inner.place("hybrid_search")
            mixed = Fields(inner.get("hybrid_search"), aliases.HYBRID_SEARCH, place)
            weights = (mixed.number("embedding_weight", 0, 1_000_000), mixed.number("text_weight", 0, 1_000_000))
            semantic, lexical = hosted.check_weights(*weights, place)
            ranker = ranker or "hybrid"
    # An empty filter leaves nothing out.
    filter_ = filtering.decode(filters, fields.place("filters"), flat=True) if filters else None
    told = {
        "type": "file_search",
        "vector_store_ids": store_ids,
        "filters": None if filter_ is None else _told_filter(filter_),
        "max_num_results": most,
        "ranking_options": {"ranker": ranker or "auto", "score_threshold": least}
        if "ranking_options" in fields
        else None,
    }
    return toolspec.FileSearch(
        vector_store_ids=store_ids,
        data=raw({key: each for key, each in told.items() if each is not None}),
        filter_=filter_,
        most=most,
        ranker=ranker,
        least_score=least,
        semantic_weight=semantic,
        lexical_weight=lexical,
    )


def _told_value(value: Attribute | tuple[Attribute, ...]) -> object:
    return [_told_value(each) for each in value] if isinstance(value, tuple) else filtering.spell({"": value})[""]


def _told_filter(filter_: filtering.Filter) -> dict[str, object]:
    match filter_:
        case filtering.All(filters):
            return {"type": "and", "filters": [_told_filter(each) for each in filters]}
        case filtering.Any(filters):
            return {"type": "or", "filters": [_told_filter(each) for each in filters]}
        case filtering.Comparison(key, operator, value):
            return {"type": operator, "key": key, "value": _told_value(value)}
        case _:
            assert_never(filter_)


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
        hosted=True,
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
    if kind is not None and (served := _HOSTED.get(aliases.TOOL_TYPES.get(kind, ""))) is not None:
        return _hosted(fields, served, specs), None
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
    if (served := _HOSTED.get(kind or "")) is not None and _offered(served, None, specs):
        return toolspec.Hosted(served), None
    if any(isinstance(spec, toolspec.Other) and spec.type == kind for spec in specs):
        return "auto", {"type": kind}
    raise body.wrong("tool_choice", "must be auto, none, required or one of the tools")


def _hosted(
    fields: Fields, kind: Literal["mcp", "file_search"], specs: tuple[toolspec.ToolSpec, ...]
) -> toolspec.Hosted:
    """All tools of the kind, or those of one MCP server, or the one of that name."""
    label, name = fields.string("server_label", least=1), fields.string("name", least=1)
    if kind != "mcp" and label is not None:
        raise fields.wrong("server_label", "is for tools of type mcp")
    if not _offered(kind, label, specs):
        place = "type" if label is None else "server_label"
        raise fields.wrong(place, "must be that of one of the tools")
    return toolspec.Hosted(kind, label, name if kind == "mcp" else None)


def _offered(kind: Literal["mcp", "file_search"], label: str | None, specs: tuple[toolspec.ToolSpec, ...]) -> bool:
    if kind == "file_search":
        return any(isinstance(spec, toolspec.FileSearch) for spec in specs)
    return any(isinstance(spec, toolspec.Mcp) and label in (None, spec.server_label) for spec in specs)


def _allowed(fields: Fields, specs: tuple[toolspec.ToolSpec, ...]) -> toolspec.Allowed:
    known = {spec.name for spec in specs if isinstance(spec, toolspec.Function)}
    names: list[str] = []
    served: list[toolspec.Hosted] = []
    for place, each in fields.array("tools"):
        tool = Fields(each, aliases.TOOL_CHOICE, place)
        kind = _HOSTED.get(aliases.TOOL_TYPES.get(tool.string("type") or "", ""))
        if kind is not None:
            served.append(_hosted(tool, kind, specs))
            continue
        name = tool.string("name")
        if name not in known:
            raise errors.InvalidValue(f"{place}.name", "must name a function of tools")
        names.append(name or "")
    if not names and not served:
        raise fields.wrong("tools", "must name at least one tool")
    return toolspec.Allowed(tuple(names), fields.choice("mode", _MODES) or "auto", tuple(served))
