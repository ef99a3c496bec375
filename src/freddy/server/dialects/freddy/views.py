"""Owns how an item of the output is written."""

from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from freddy.server.core import events, filtering, items, toolspec, transcript
from freddy.server.core.request import Request
from freddy.server.dialects import hosted


class TopLogprob(Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...]


class Logprob(Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...]
    top_logprobs: tuple[TopLogprob, ...]


class Text(Struct):
    type: Literal["output_text"]
    text: str
    annotations: tuple[Raw, ...]
    logprobs: tuple[Logprob, ...] | UnsetType = UNSET


class Refusal(Struct):
    type: Literal["refusal"]
    refusal: str


class Media(Struct, omit_defaults=True):
    """An image, a sound or a file that a tool gave back."""

    type: Literal["image", "audio", "file"]
    file_id: str | None = None
    url: str | None = None
    data: str | None = None
    format: str | None = None
    filename: str | None = None


Part: TypeAlias = Text | Refusal | Media


class PlainText(Struct):
    text: str


class Message(Struct):
    type: Literal["message"]
    id: str
    status: str
    role: str
    content: tuple[Part, ...]
    texts: tuple[PlainText, ...] | UnsetType = UNSET
    phase: str | UnsetType = UNSET


class Function(Struct):
    name: str
    arguments: str


class FunctionCall(Struct):
    type: Literal["function_call"]
    id: str
    status: str
    call_id: str
    name: str
    arguments: str
    function: Function
    require_approval: bool | UnsetType = UNSET


class CallLogs(Struct):
    """How a call went that this server answered."""

    milliseconds: int | None
    status: str


class FunctionOutput(Struct):
    type: Literal["function_call_output"]
    id: str
    status: str
    call_id: str
    name: str | None
    output: str
    source: str | UnsetType = UNSET
    logs: CallLogs | UnsetType = UNSET


class McpTool(Struct):
    name: str
    description: str | None
    input_schema: Raw
    annotations: Raw | None


class McpListTools(Struct):
    type: Literal["mcp_list_tools"]
    id: str
    server_label: str
    tools: tuple[McpTool, ...]
    error: str | None


class McpCall(Struct):
    """`result` mirrors `output`."""

    type: Literal["mcp_call"]
    id: str
    status: str
    call_id: str
    server_label: str
    name: str
    tool_name: str
    arguments: str
    output: str | None
    error: str | None
    approval_request_id: str | None
    result: str | UnsetType | None = UNSET
    logs: CallLogs | UnsetType = UNSET


class Found(Struct):
    """A passage that was found; `score` goes from 0 to 1."""

    file_id: str
    fileId: str  # noqa: N815 a mirror in the older API's spelling
    filename: str
    score: float
    text: str
    attributes: dict[str, str | int | float | bool]
    vector_store_id: str | UnsetType = UNSET


class FileSearchCall(Struct):
    """`query` is the first of the queries; `result` says in a sentence how much was found."""

    type: Literal["file_search_call"]
    id: str
    status: str
    call_id: str
    tool_name: Literal["file_search"]
    queries: tuple[str, ...]
    query: str | None
    result: str | None
    error: str | None
    results: tuple[Found, ...] | UnsetType = UNSET
    logs: CallLogs | UnsetType = UNSET


class ApprovalRequest(Struct):
    """A call that is made once somebody says yes; `expires_at` is in Unix seconds."""

    type: Literal["approval_request"]
    id: str
    status: Literal["pending"]
    tool_type: Literal["mcp", "function"]
    server_label: str | None
    name: str
    arguments: str
    call_id: str
    expires_at: int | None


class ApprovalResponse(Struct):
    type: Literal["approval_response"]
    id: str
    approval_request_id: str
    approve: bool
    reason: str | None


Item: TypeAlias = (
    Message
    | FunctionCall
    | FunctionOutput
    | McpListTools
    | McpCall
    | FileSearchCall
    | ApprovalRequest
    | ApprovalResponse
    | Raw
)


class _Schema(Struct):
    properties: dict[str, Raw] = {}


_ANYTHING: Final = Raw(b"{}")
_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, Raw])
_SCHEMAS: Final = msgspec.json.Decoder(_Schema)


def asks(request: Request, name: str) -> bool:
    """Whether the request includes this piece of information."""
    return name in request.include or "all" in request.include


class Writer:
    """Writes the items of one response: some of it depends on what was asked.

    `mirrors` off leaves out the outputs of calls that say again what another field says.
    """

    def __init__(self, request: Request, *, mirrors: bool = True) -> None:
        self._request = request
        self._mirrors = mirrors
        self.logprobs = request.sampling.logprobs or asks(request, "message.logprobs")
        self._functions = {tool.name: tool for tool in request.tools if isinstance(tool, toolspec.Function)}

    def item(self, item: items.Item) -> Item | None:
        """None for reasoning, which is told beside the output, and for compactions, which are for this server: clients
        read `output[0]` as the answer.
        """
        match item:
            case items.Message():
                content = tuple(self.part(part) for part in item.parts)
                return Message("message", item.id, item.status, item.role, content, phase=item.phase or UNSET)
            case items.FunctionCall():
                return self._call(item)
            case items.FunctionOutput():
                return self._output(item)
            case items.HostedCall():
                return self._hosted(item)
            case items.McpTools():
                tools = tuple(
                    McpTool(tool.name, tool.description, tool.input_schema or _ANYTHING, tool.annotations)
                    for tool in item.tools
                )
                return McpListTools("mcp_list_tools", item.id, item.server_label, tools, item.error)
            case items.ApprovalRequest():
                return ApprovalRequest(
                    type="approval_request",
                    id=item.id,
                    status="pending",
                    tool_type="function" if item.server_label is None else "mcp",
                    server_label=item.server_label,
                    name=item.name,
                    arguments=self.arguments(item.name, item.arguments, "mcp" if item.server_label else "function"),
                    call_id=item.call_id,
                    expires_at=item.expires_at,
                )
            case items.ApprovalAnswer():
                return ApprovalResponse("approval_response", item.id, item.request_id, item.approve, item.reason)
            case items.Other():
                return item.data
            case items.Reasoning() | items.Compaction():
                return None
            case _:
                assert_never(item)

    def part(self, part: items.Part) -> Part:
        match part:
            case items.Text():
                annotations = tuple(annotation.data for annotation in part.annotations)
                logprobs = write_logprobs(part.logprobs) if self.logprobs else UNSET
                return Text("output_text", part.text, annotations, logprobs)
            case items.Refusal():
                return Refusal("refusal", part.refusal)
            case items.Image():
                return Media("image", file_id=part.file_id, url=part.url)
            case items.Audio():
                return Media("audio", file_id=part.file_id, data=part.data, format=part.format)
            case items.File():
                return Media("file", file_id=part.file_id, url=part.url, data=part.data, filename=part.filename)
            case _:
                assert_never(part)

    def arguments(self, name: str, arguments: str, form: events.ArgumentsForm) -> str:
        """Always JSON; with the keys of an object in the order of the function's schema.

        Clients spread the values of the arguments over positional parameters.
        """
        if form == "custom":
            return transcript.custom_arguments(arguments)
        function = self._functions.get(name) if form == "function" else None
        if function is None or function.parameters is None:
            return arguments
        try:
            given = _ARGUMENTS.decode(arguments)
            order = _SCHEMAS.decode(function.parameters).properties
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return arguments
        wanted = [key for key in order if key in given] + [key for key in given if key not in order]
        if wanted == list(given):
            return arguments
        return msgspec.json.encode({key: given[key] for key in wanted}).decode()

    def _call(self, call: items.FunctionCall) -> FunctionCall:
        arguments = self.arguments(call.name, call.arguments, call.form)
        function = self._functions.get(call.name)
        return FunctionCall(
            type="function_call",
            id=call.id,
            status=call.status,
            call_id=call.call_id,
            name=call.name,
            arguments=arguments,
            function=Function(call.name, arguments),
            require_approval=True if function and function.require_approval else UNSET,
        )

    def _asks(self, name: str) -> bool:
        return asks(self._request, name)

    def _output(self, output: items.FunctionOutput) -> FunctionOutput:
        source = output.source if output.status != "in_progress" else None
        return FunctionOutput(
            type="function_call_output",
            id=output.id,
            status=output.status,
            call_id=output.call_id,
            name=output.name,
            output=output.text,
            source=source if source is not None and self._asks("function_calls.sources") else UNSET,
            logs=CallLogs(output.milliseconds, "failed" if output.failed else "completed")
            if source is not None and self._asks("function_calls.logs")
            else UNSET,
        )

    def _hosted(self, call: items.HostedCall) -> McpCall | FileSearchCall:
        ended = call.status != "in_progress"
        logs = CallLogs(call.milliseconds, call.status) if ended and self._asks("function_calls.logs") else UNSET
        match call.work:
            case items.Mcp(server_label):
                output = hosted.outcome(call)
                return McpCall(
                    type="mcp_call",
                    id=call.id,
                    status=call.status,
                    call_id=call.call_id,
                    server_label=server_label,
                    name=call.name,
                    tool_name=call.name,
                    arguments=call.arguments,
                    output=output,
                    error=call.error,
                    approval_request_id=call.approval_id,
                    result=output if self._mirrors else UNSET,
                    logs=logs,
                )
            case items.FileSearch(queries, found):
                completed = call.status == "completed"
                return FileSearchCall(
                    type="file_search_call",
                    id=call.id,
                    status=call.status,
                    call_id=call.call_id,
                    tool_name="file_search",
                    queries=queries,
                    query=queries[0] if queries else None,
                    result=hosted.summary(found) if completed else None,
                    error=call.error,
                    results=tuple(map(_found, found)) if completed and self._asks("file_search.results") else UNSET,
                    logs=logs,
                )
            case _:
                assert_never(call.work)


def _found(found: items.Found) -> Found:
    return Found(
        file_id=found.file_id,
        fileId=found.file_id,
        filename=found.filename,
        score=found.score,
        text=found.text,
        attributes=filtering.spell(found.attributes),
        vector_store_id=found.store_id or UNSET,
    )


def write_logprobs(logprobs: tuple[items.Logprob, ...]) -> tuple[Logprob, ...]:
    return tuple(
        Logprob(
            each.token,
            each.logprob,
            each.bytes,
            tuple(TopLogprob(top.token, top.logprob, top.bytes) for top in each.top),
        )
        for each in logprobs
    )
