"""Owns how items, their parts and their annotations are written, alone, in a list and in a response."""

from collections.abc import Sequence
from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from freddy.server.core import filtering, items
from freddy.server.dialects import hosted
from freddy.server.dialects.openai import tools


class Show(Struct, frozen=True):
    """What is written only for those who asked for it."""

    encrypted: bool = False
    logprobs: bool = True
    results: bool = False


class _InputText(Struct, tag="input_text"):
    text: str


class _TopLogprob(Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...]


class Logprob(_TopLogprob):
    top_logprobs: list[_TopLogprob]


class _OutputText(Struct, tag="output_text"):
    annotations: list[Raw]
    logprobs: list[Logprob]
    text: str


class _Refusal(Struct, tag="refusal"):
    refusal: str


class _Image(Struct, tag="input_image"):
    detail: str
    file_id: str | None
    image_url: str | None


class _File(Struct, tag="input_file", omit_defaults=True):
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None


class _AudioData(Struct, omit_defaults=True):
    data: str | None = None
    format: str | None = None
    file_id: str | None = None


class _Audio(Struct, tag="input_audio"):
    input_audio: _AudioData


class SummaryText(Struct, tag="summary_text"):
    text: str


class ReasoningText(Struct, tag="reasoning_text"):
    text: str


Part: TypeAlias = _InputText | _OutputText | _Refusal | _Image | _File | _Audio


class _Message(Struct, tag="message"):
    id: str
    status: str
    role: str
    content: list[Part]
    phase: str | UnsetType = UNSET


class _Reasoning(Struct, tag="reasoning"):
    """OpenAI writes no status here; only an incomplete one is worth a word."""

    id: str
    summary: list[SummaryText]
    content: list[ReasoningText] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET
    status: str | UnsetType = UNSET


class _FunctionCall(Struct, tag="function_call"):
    id: str
    status: str
    call_id: str
    name: str
    arguments: str
    namespace: str | UnsetType = UNSET


class _CustomCall(Struct, tag="custom_tool_call"):
    id: str
    status: str
    call_id: str
    name: str
    input: str
    namespace: str | UnsetType = UNSET


class _FunctionOutput(Struct, tag="function_call_output"):
    id: str
    status: str
    call_id: str
    output: str | list[Part]
    name: str | UnsetType = UNSET


class _CustomOutput(Struct, tag="custom_tool_call_output"):
    id: str
    status: str
    call_id: str
    output: str | list[Part]
    name: str | UnsetType = UNSET


class _Compaction(Struct, tag="compaction"):
    id: str
    encrypted_content: str


class _ErrorText(Struct, tag="text"):
    text: str


class _McpTool(Struct):
    name: str
    description: str | None
    input_schema: Raw
    annotations: Raw | None


class _McpListTools(Struct, tag="mcp_list_tools"):
    id: str
    server_label: str
    tools: list[_McpTool]
    error: str | None


class _McpError(Struct, tag="mcp_tool_execution_error"):
    content: list[_ErrorText]


class _McpCall(Struct, tag="mcp_call"):
    id: str
    status: str
    approval_request_id: str | None
    arguments: str
    error: _McpError | None
    name: str
    output: str | None
    server_label: str


class _McpApprovalRequest(Struct, tag="mcp_approval_request"):
    id: str
    arguments: str
    name: str
    server_label: str


class _McpApprovalResponse(Struct, tag="mcp_approval_response"):
    id: str
    approval_request_id: str
    approve: bool
    reason: str | None


class _Found(Struct):
    attributes: dict[str, str | int | float | bool]
    file_id: str
    filename: str
    score: float
    text: str


class _FileSearchCall(Struct, tag="file_search_call"):
    """`results` are for those who include them."""

    id: str
    status: str
    queries: tuple[str, ...]
    results: list[_Found] | None


Item: TypeAlias = (
    _Message
    | _Reasoning
    | _FunctionCall
    | _CustomCall
    | _FunctionOutput
    | _CustomOutput
    | _McpListTools
    | _McpCall
    | _McpApprovalRequest
    | _McpApprovalResponse
    | _FileSearchCall
    | _Compaction
    | Raw
)


class _List(Struct):
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: str = "list"


class _Deleted(Struct):
    id: str
    object: str = "response"
    deleted: bool = True


class _InputTokens(Struct):
    input_tokens: int
    object: str = "response.input_tokens"


_ANYTHING: Final = Raw(b"{}")


def encode_item(item: items.Item, *, encrypted: bool = False, results: bool = False) -> bytes:
    """`encrypted` is for those who include `reasoning.encrypted_content`, `results` for `file_search_call.results`."""
    return msgspec.json.encode(spell(item, Show(encrypted=encrypted, results=results)))


def encode_input_items(
    page: Sequence[items.Item], *, has_more: bool, encrypted: bool = False, results: bool = False
) -> bytes:
    show = Show(encrypted=encrypted, results=results)
    return msgspec.json.encode(
        _List(
            [spell(item, show) for item in page],
            page[0].id if page else None,
            page[-1].id if page else None,
            has_more,
        )
    )


def encode_deleted(response_id: str) -> bytes:
    return msgspec.json.encode(_Deleted(response_id))


def encode_input_tokens(count: int) -> bytes:
    return msgspec.json.encode(_InputTokens(count))


def spell(item: items.Item, show: Show) -> Item:
    match item:
        case items.Message():
            said = item.role == "assistant"
            return _Message(
                item.id,
                item.status,
                item.role,
                [_spell_part(part, show, said=said) for part in item.parts],
                item.phase or UNSET,
            )
        case items.FunctionCall():
            call = _FunctionCall if item.form == "function" else _CustomCall
            return call(
                item.id,
                item.status,
                item.call_id,
                tools.own_name(item.name, item.namespace),
                item.arguments,
                item.namespace or UNSET,
            )
        case items.FunctionOutput():
            output = _FunctionOutput if item.form == "function" else _CustomOutput
            return output(item.id, item.status, item.call_id, _spell_output(item, show), item.name or UNSET)
        case items.Reasoning():
            return _Reasoning(
                item.id,
                [SummaryText(text) for text in item.summaries],
                [ReasoningText(text) for text in item.texts] or UNSET,
                item.encrypted if show.encrypted and item.encrypted is not None else UNSET,
                item.status if item.status == "incomplete" else UNSET,
            )
        case items.HostedCall():
            return _spell_hosted(item, show)
        case items.McpTools():
            return _McpListTools(item.id, item.server_label, [_spell_tool(tool) for tool in item.tools], item.error)
        case items.ApprovalRequest():
            return _McpApprovalRequest(item.id, item.arguments, item.name, item.server_label or hosted.FUNCTIONS)
        case items.ApprovalAnswer():
            return _McpApprovalResponse(item.id, item.request_id, item.approve, item.reason)
        case items.Compaction():
            return _Compaction(item.id, item.sealed)
        case items.Other():
            return item.data
        case _:
            assert_never(item)


def _spell_hosted(call: items.HostedCall, show: Show) -> _McpCall | _FileSearchCall:
    match call.work:
        case items.Mcp(server_label):
            return _McpCall(
                call.id,
                call.status,
                call.approval_id,
                call.arguments,
                None if call.error is None else _McpError([_ErrorText(call.error)]),
                call.name,
                hosted.outcome(call),
                server_label,
            )
        case items.FileSearch(queries, found):
            results = [_spell_found(one) for one in found] if show.results and call.status == "completed" else None
            return _FileSearchCall(call.id, call.status, queries, results)
        case _:
            assert_never(call.work)


def _spell_found(found: items.Found) -> _Found:
    attributes = filtering.spell(found.attributes)
    return _Found(attributes, found.file_id, found.filename, found.score, found.text)


def _spell_tool(tool: items.McpTool) -> _McpTool:
    return _McpTool(tool.name, tool.description, tool.input_schema or _ANYTHING, tool.annotations)


def spell_said(part: items.Text | items.Refusal, show: Show) -> Part:
    """A part of an assistant's message."""
    return _spell_part(part, show, said=True)


def spell_logprobs(logprobs: Sequence[items.Logprob]) -> list[Logprob]:
    return [
        Logprob(
            probable.token,
            probable.logprob,
            probable.bytes,
            [_TopLogprob(rival.token, rival.logprob, rival.bytes) for rival in probable.top],
        )
        for probable in logprobs
    ]


def _spell_output(item: items.FunctionOutput, show: Show) -> str | list[Part]:
    match item.parts:
        case (items.Text(text),):
            return text
        case parts:
            return [_spell_part(part, show, said=False) for part in parts]


def _spell_part(part: items.Part, show: Show, *, said: bool) -> Part:
    match part:
        case items.Text() if said:
            return _OutputText(
                [annotation.data for annotation in part.annotations],
                spell_logprobs(part.logprobs) if part.logprobs and show.logprobs else [],
                part.text,
            )
        case items.Text():
            return _InputText(part.text)
        case items.Refusal():
            return _Refusal(part.refusal)
        case items.Image():
            return _Image(part.detail, part.file_id, part.url)
        case items.File():
            return _File(part.file_id, part.url, part.data, part.filename)
        case items.Audio():
            return _Audio(_AudioData(part.data, part.format, part.file_id))
        case _:
            assert_never(part)
