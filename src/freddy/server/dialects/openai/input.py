"""Owns how items, their parts and their annotations are read from what a caller sends."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import errors, filtering, ids, items
from freddy.server.dialects import hosted
from freddy.server.dialects.openai import shapes

Renamed = Mapping[tuple[str, str], str]
"""The name inside for a namespace's function that shares its own with another: (namespace, name) -> name."""


class _Head(Struct):
    """Enough of an item to know what it is."""

    type: str | None = None
    id: str | None = None
    role: str | None = None


class _Url(Struct):
    url: str | None = None


class _Audio(Struct):
    data: str | None = None
    format: str | None = None
    file_id: str | None = None


class _TopLogprob(Struct):
    token: str = ""
    logprob: float = 0.0
    bytes: tuple[int, ...] | None = None


class _Logprob(_TopLogprob):
    top_logprobs: list[_TopLogprob] | None = None


class _Part(Struct):
    """Every kind of part at once."""

    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: list[_Logprob] | None = None
    image_url: str | _Url | None = None
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    input_audio: _Audio | None = None


class _Annotation(Struct):
    type: str = ""


class _Message(Struct):
    role: str
    content: str | list[_Part] | None
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class _Thought(Struct):
    text: str = ""


class _Reasoning(Struct):
    id: str | None = None
    summary: list[_Thought] | None = None
    content: list[_Thought] | None = None
    encrypted_content: str | None = None
    status: str | None = None


class _Call(Struct):
    """A function's call has `arguments`, a custom tool's `input`."""

    name: str
    call_id: str | None = None
    id: str | None = None
    arguments: str | None = None
    input: str | None = None
    namespace: str | None = None
    status: str | None = None


class _Output(Struct):
    call_id: str
    output: str | list[_Part] | None = None
    id: str | None = None
    name: str | None = None
    status: str | None = None


class _McpTool(Struct):
    name: str
    description: str | None = None
    input_schema: Raw = Raw()
    annotations: Raw = Raw()


class _McpTools(Struct):
    server_label: str
    id: str | None = None
    tools: list[_McpTool] | None = None
    error: str | None = None


class _McpCall(Struct):
    server_label: str
    name: str
    id: str | None = None
    arguments: str | None = None
    output: str | None = None
    error: str | dict[str, object] | None = None
    status: str | None = None
    approval_request_id: str | None = None


class _ApprovalRequest(Struct):
    name: str
    server_label: str
    id: str | None = None
    arguments: str | None = None


class _ApprovalAnswer(Struct):
    approval_request_id: str
    approve: bool
    id: str | None = None
    reason: str | None = None


class _Found(Struct):
    file_id: str | None = None
    filename: str | None = None
    score: float | None = None
    text: str | None = None
    attributes: dict[str, object] | None = None


class _FileSearch(Struct):
    id: str | None = None
    queries: list[str] | None = None
    results: list[_Found] | None = None
    status: str | None = None


class _Compaction(Struct):
    encrypted_content: str
    id: str | None = None


_HEAD = shapes.Shape(_Head)
_MESSAGE = shapes.Shape(_Message)
_REASONING = shapes.Shape(_Reasoning)
_CALL = shapes.Shape(_Call)
_OUTPUT = shapes.Shape(_Output)
_ANNOTATION = shapes.Shape(_Annotation)
_FIELDS = shapes.Shape(dict[str, Raw])
_MCP_TOOLS = shapes.Shape(_McpTools)
_HINTS = shapes.Shape(hosted.Hints)
_MCP_CALL = shapes.Shape(_McpCall)
_APPROVAL_REQUEST = shapes.Shape(_ApprovalRequest)
_APPROVAL_ANSWER = shapes.Shape(_ApprovalAnswer)
_FILE_SEARCH = shapes.Shape(_FileSearch)
_COMPACTION = shapes.Shape(_Compaction)

_ROLES: dict[str, items.Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}
_STATUSES: dict[str | None, items.Status] = {
    "in_progress": "in_progress",
    "incomplete": "incomplete",
}
_DETAILS: dict[str, Literal["auto", "low", "high", "original"]] = {
    "auto": "auto",
    "low": "low",
    "high": "high",
    "original": "original",
}
_TEXTS = frozenset(("input_text", "output_text", "text", "summary_text", "reasoning_text"))
_IMAGES = frozenset(("input_image", "image_url", "computer_screenshot"))


def decode(
    raws: Iterable[Raw], new_id: ids.NewId, *, at: str = "input", renamed: Renamed | None = None
) -> tuple[items.Item, ...]:
    """The items of a list, each with an id: the caller's, or a new one."""
    said = tuple(_item(raw, new_id, f"{at}[{place}]", renamed or {}, place) for place, raw in enumerate(raws))
    return hosted.joined(said) if any(type(item) is items.ApprovalRequest for item in said) else said


def user_message(text: str, new_id: ids.NewId) -> items.Message:
    return items.Message(id=new_id(ids.MESSAGE), role="user", parts=(items.Text(text),))


def _item(raw: Raw, new_id: ids.NewId, at: str, renamed: Renamed, place: int) -> items.Item:
    if not shapes.is_object(raw):
        raise errors.InvalidValue(at, "must be an object")
    head = _HEAD.read(raw, at)
    match head.type:
        case "message":
            return _message(raw, new_id, at)
        case None if head.role is not None:
            return _message(raw, new_id, at)
        case "function_call" | "custom_tool_call":
            return _call(raw, new_id, at, renamed, form="function" if head.type == "function_call" else "custom")
        case "function_call_output":
            return _output(raw, new_id, at, form="function")
        case "custom_tool_call_output":
            return _output(raw, new_id, at, form="custom")
        case "reasoning":
            return _reasoning(raw, new_id, at)
        case "mcp_call":
            return _mcp_call(raw, new_id, at, place)
        case "mcp_list_tools":
            return _mcp_tools(raw, new_id, at)
        case "mcp_approval_request":
            return _approval_request(raw, new_id, at)
        case "mcp_approval_response":
            return _approval_answer(raw, new_id, at)
        case "file_search_call":
            return _file_search(raw, new_id, at, place)
        case "compaction" | "compaction_summary":
            return _compaction(raw, new_id, at)
        case None if head.id:
            return items.Other(head.id, "item_reference", raw)
        case None:
            raise shapes.missing(f"{at}.type")
        case kind:
            return _other(raw, head.id, kind, new_id)


def _message(raw: Raw, new_id: ids.NewId, at: str) -> items.Message:
    said = _MESSAGE.read(raw, at)
    return items.Message(
        id=_id(said.id, new_id, ids.MESSAGE),
        role=shapes.pick(_ROLES, said.role, f"{at}.role"),
        parts=_parts(said.content, f"{at}.content"),
        status=_STATUSES.get(said.status, "completed"),
        phase=said.phase,
    )


def _call(raw: Raw, new_id: ids.NewId, at: str, renamed: Renamed, *, form: items.CallForm) -> items.FunctionCall:
    call = _CALL.read(raw, at)
    return items.FunctionCall(
        id=_id(call.id, new_id, ids.FUNCTION_CALL if form == "function" else ids.CUSTOM_CALL),
        call_id=call.call_id or call.id or new_id(ids.CALL),
        name=renamed.get((call.namespace, call.name), call.name) if call.namespace else call.name,
        arguments=(call.arguments if form == "function" else call.input) or "",
        status=_STATUSES.get(call.status, "completed"),
        form=form,
        namespace=call.namespace,
    )


def _output(raw: Raw, new_id: ids.NewId, at: str, *, form: items.CallForm) -> items.FunctionOutput:
    output = _OUTPUT.read(raw, at)
    return items.FunctionOutput(
        id=_id(output.id, new_id, ids.FUNCTION_OUTPUT),
        call_id=output.call_id,
        parts=_parts(output.output, f"{at}.output"),
        status=_STATUSES.get(output.status, "completed"),
        form=form,
        name=output.name,
    )


def _reasoning(raw: Raw, new_id: ids.NewId, at: str) -> items.Reasoning:
    thought = _REASONING.read(raw, at)
    return items.Reasoning(
        id=_id(thought.id, new_id, ids.REASONING),
        texts=tuple(part.text for part in thought.content or ()),
        summaries=tuple(part.text for part in thought.summary or ()),
        encrypted=thought.encrypted_content,
        status=_STATUSES.get(thought.status, "completed"),
    )


def _mcp_tools(raw: Raw, new_id: ids.NewId, at: str) -> items.McpTools:
    told = _MCP_TOOLS.read(raw, at)
    return items.McpTools(
        id=_id(told.id, new_id, ids.MCP_TOOLS),
        server_label=told.server_label,
        tools=tuple(_mcp_tool(tool, f"{at}.tools[{place}]") for place, tool in enumerate(told.tools or ())),
        error=told.error,
    )


def _mcp_tool(tool: _McpTool, at: str) -> items.McpTool:
    annotations = _object_or_none(tool.annotations, f"{at}.annotations")
    return hosted.mcp_tool(
        tool.name,
        tool.description,
        input_schema=_object_or_none(tool.input_schema, f"{at}.input_schema"),
        annotations=annotations,
        hints=hosted.Hints() if annotations is None else _HINTS.read(annotations, f"{at}.annotations"),
    )


def _object_or_none(raw: Raw, at: str) -> Raw | None:
    """An empty object says nothing."""
    if not shapes.given(raw) or bytes(raw) == b"{}":
        return None
    return shapes.an_object(raw, at)


def _mcp_call(raw: Raw, new_id: ids.NewId, at: str, place: int) -> items.HostedCall:
    """Who hands a call back does not say which were made at once: they are read one after the other."""
    call = _MCP_CALL.read(raw, at)
    return hosted.mcp_call(
        _id(call.id, new_id, ids.MCP_CALL),
        server_label=call.server_label,
        name=call.name,
        arguments=call.arguments,
        output=call.output,
        error=hosted.error_text(call.error) if isinstance(call.error, dict) else call.error,
        status=call.status,
        turn=place,
        approval_id=call.approval_request_id or None,
    )


def _approval_request(raw: Raw, new_id: ids.NewId, at: str) -> items.ApprovalRequest:
    asked = _APPROVAL_REQUEST.read(raw, at)
    return items.ApprovalRequest(
        id=_id(asked.id, new_id, ids.APPROVAL_REQUEST),
        call_id="",
        name=asked.name,
        arguments=asked.arguments or "{}",
        server_label=None if asked.server_label == hosted.FUNCTIONS else asked.server_label,
    )


def _approval_answer(raw: Raw, new_id: ids.NewId, at: str) -> items.ApprovalAnswer:
    answer = _APPROVAL_ANSWER.read(raw, at)
    if not 0 < len(answer.approval_request_id) <= ids.LONGEST:
        raise errors.InvalidValue(f"{at}.approval_request_id", "must be the id of a request for approval")
    return items.ApprovalAnswer(
        id=_id(answer.id, new_id, ids.APPROVAL_ANSWER),
        request_id=answer.approval_request_id,
        approve=answer.approve,
        reason=answer.reason,
    )


def _file_search(raw: Raw, new_id: ids.NewId, at: str, place: int) -> items.HostedCall:
    call = _FILE_SEARCH.read(raw, at)
    found = tuple(_found(one, f"{at}.results[{inner}]") for inner, one in enumerate(call.results or ()))
    return hosted.file_search(
        _id(call.id, new_id, ids.FILE_SEARCH),
        queries=call.queries or (),
        found=found,
        error=None,
        status=call.status,
        turn=place,
    )


def _found(found: _Found, at: str) -> items.Found:
    return items.Found(
        file_id=found.file_id or "",
        filename=found.filename or "",
        score=found.score or 0.0,
        text=found.text or "",
        attributes=filtering.attributes(found.attributes, f"{at}.attributes") if found.attributes else {},
    )


def _compaction(raw: Raw, new_id: ids.NewId, at: str) -> items.Compaction:
    told = _COMPACTION.read(raw, at)
    if not told.encrypted_content:
        raise errors.InvalidValue(f"{at}.encrypted_content", "must be what the compaction was given out with")
    return items.Compaction(_id(told.id, new_id, ids.COMPACTION), told.encrypted_content)


def _other(raw: Raw, given_id: str | None, kind: str, new_id: ids.NewId) -> items.Other:
    """Kept as it came, but for an id where it has none: later it is listed under it."""
    if given_id and (kind == "item_reference" or len(given_id) <= ids.LONGEST):
        return items.Other(given_id, kind, raw)
    fields = _FIELDS.read(raw)
    item_id = new_id(ids.OTHER_ITEM)
    fields["id"] = Raw(msgspec.json.encode(item_id))
    return items.Other(item_id, kind, Raw(msgspec.json.encode(fields)))


def _id(given_id: str | None, new_id: ids.NewId, prefix: str) -> str:
    """An id too long to be kept is replaced: nobody refers to an item by it before it was listed."""
    return given_id if given_id and len(given_id) <= ids.LONGEST else new_id(prefix)


def _parts(content: str | list[_Part] | None, at: str) -> tuple[items.Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (items.Text(content),)
    return tuple(_part(part, f"{at}[{place}]") for place, part in enumerate(content))


def _part(part: _Part, at: str) -> items.Part:
    kind = part.type
    if kind in _TEXTS:
        return _text(part, at)
    if kind == "refusal":
        if part.refusal is None:
            raise shapes.missing(f"{at}.refusal")
        return items.Refusal(part.refusal)
    if kind in _IMAGES:
        url = part.image_url.url if isinstance(part.image_url, _Url) else part.image_url
        _exactly_one(at, image_url=url, file_id=part.file_id)
        detail = shapes.pick(_DETAILS, part.detail, f"{at}.detail") if part.detail else "auto"
        return items.Image(url=url, file_id=part.file_id, detail=detail)
    if kind == "input_file":
        _exactly_one(at, file_id=part.file_id, file_url=part.file_url, file_data=part.file_data)
        return items.File(file_id=part.file_id, url=part.file_url, data=part.file_data, filename=part.filename)
    if kind == "input_audio":
        audio = part.input_audio or _Audio(file_id=part.file_id)
        _exactly_one(f"{at}.input_audio", data=audio.data, file_id=audio.file_id)
        return items.Audio(file_id=audio.file_id, data=audio.data, format=audio.format)
    raise errors.InvalidValue(
        f"{at}.type",
        "must be one of 'input_text', 'output_text', 'text', 'refusal', 'input_image', 'input_file', 'input_audio'",
    )


def _text(part: _Part, at: str) -> items.Text:
    if part.text is None:
        raise shapes.missing(f"{at}.text")
    if not part.annotations and not part.logprobs:
        return items.Text(part.text)
    return items.Text(
        part.text,
        tuple(
            items.Annotation(_ANNOTATION.read(raw, f"{at}.annotations[{place}]").type, raw)
            for place, raw in enumerate(part.annotations or ())
        ),
        tuple(
            items.Logprob(
                probable.token,
                probable.logprob,
                probable.bytes or (),
                tuple(
                    items.TopLogprob(rival.token, rival.logprob, rival.bytes or ())
                    for rival in probable.top_logprobs or ()
                ),
            )
            for probable in part.logprobs or ()
        ),
    )


def _exactly_one(at: str, **values: str | None) -> None:
    if sum(value is not None for value in values.values()) != 1:
        raise errors.InvalidValue(at, f"must have exactly one of {', '.join(map(repr, values))}")
