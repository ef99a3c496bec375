"""What a response is made of, as the server tells it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias

from freddy.types._view import Reader, View, many, one, plain

Status: TypeAlias = Literal[
    "queued", "in_progress", "completed", "incomplete", "failed", "cancelled", "requires_action"
]


class Unknown(View):
    """An item or a part of a type that this version of the SDK has no class for."""

    type: str


class Annotation(View):
    """A citation in a text: of a web page (`url`) or of a file (`file_id`)."""

    type: str
    url: str | None
    title: str | None
    file_id: str | None
    filename: str | None
    index: int | None
    start_index: int | None
    end_index: int | None


class TextPart(View):
    """A piece of text."""

    type: Literal["output_text", "input_text", "text"]
    text: str
    annotations: list[Annotation]
    logprobs: list[View]
    _readers: ClassVar[Mapping[str, Reader]] = {
        "annotations": many(Annotation),
        "logprobs": many(View),
    }


class Refusal(View):
    """The model's own words for not answering."""

    type: Literal["refusal"]
    refusal: str


Part: TypeAlias = TextPart | Refusal | Unknown

_PARTS: Mapping[str, type[View]] = {
    "output_text": TextPart,
    "input_text": TextPart,
    "text": TextPart,
    "refusal": Refusal,
}


def read_part(raw: Mapping[str, Any]) -> View:
    return _PARTS.get(str(raw.get("type")), Unknown)(raw)


def _read_content(value: object) -> list[View] | object:
    if isinstance(value, str):  # the short form, which input items may have
        return [TextPart({"type": "text", "text": value})]
    return many(read_part)(value)


class Message(View):
    """Something that was said."""

    type: Literal["message"]
    id: str
    status: str
    role: str
    content: list[Part]
    _readers: ClassVar[Mapping[str, Reader]] = {"content": _read_content}

    @property
    def text(self) -> str:
        """The text of all parts."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


class Function(View):
    """The function of a call: its name, and its arguments as a JSON string."""

    name: str
    arguments: str


class FunctionCall(View):
    """The model wants a function of yours to be called; `arguments` is a JSON string."""

    type: Literal["function_call"]
    id: str
    status: str
    call_id: str
    name: str
    arguments: str
    function: Function
    require_approval: bool | None
    _readers: ClassVar[Mapping[str, Reader]] = {"function": one(Function)}

    def _absent(self, name: str) -> Any:  # noqa: ANN401 fields are of any type
        # The flat and the nested form mean the same; a server may send just one of them.
        if name == "function":
            known = {key: self._raw[key] for key in ("name", "arguments") if key in self._raw}
            return Function(known)
        if name in {"name", "arguments"} and "function" in self._raw:
            return getattr(self.function, name)
        return super()._absent(name)


class ToolCall(View):
    """A tool that the server itself used, such as a search."""

    type: Literal["tool_call"]
    id: str
    status: str
    tool_name: str
    query: str | None
    result: Any
    sources: list[View]
    _readers: ClassVar[Mapping[str, Reader]] = {"sources": many(View)}


class Image(View):
    """A generated image."""

    type: Literal["image"]
    id: str
    status: str
    image_url: str | None
    file_id: str | None
    imageUrl: str | None  # noqa: N815 the documented spelling of the older API
    fileId: str | None  # noqa: N815 the documented spelling of the older API


class CodeInterpreterOutput(View):
    """Code that was run, and what came of it."""

    type: Literal["code_interpreter_output"]
    id: str
    status: str
    code: str | None
    outputs: Any
    files: list[View]
    _readers: ClassVar[Mapping[str, Reader]] = {"files": many(View)}


class ApprovalRequest(View):
    """A call that waits for your consent. Answer it with an input
    `{"type": "approval_response", "approval_request_id": request.id, "approve": True}`, in the same thread.

    `server_label` is that of an MCP server, None where a function is to be called. `expires_at` is in Unix seconds.
    """

    type: Literal["approval_request"]
    id: str
    status: str
    tool_type: Literal["mcp", "function"]
    name: str | None
    arguments: str | None
    server_label: str | None
    call_id: str
    expires_at: int | None


class FunctionCallOutput(View):
    """What a function of the server gave back for the call with the same `call_id`."""

    type: Literal["function_call_output"]
    id: str
    status: str
    call_id: str
    name: str | None
    output: str


class FoundPassage(View):
    """A passage of a file that a search found; `score` goes from 0 to 1."""

    file_id: str
    filename: str
    score: float
    text: str
    attributes: Mapping[str, str | float | bool]


class FileSearchCall(View):
    """A search in vector stores. `results` are there for those who include `file_search.results`."""

    type: Literal["file_search_call"]
    id: str
    status: str
    tool_name: str
    query: str | None
    queries: list[str]
    result: str | None
    results: list[FoundPassage]
    _readers: ClassVar[Mapping[str, Reader]] = {"results": many(FoundPassage)}


class McpCall(View):
    """A call of a tool of an MCP server, with its answer: `output`, or why there is none in `error`."""

    type: Literal["mcp_call"]
    id: str
    status: str
    tool_name: str
    server_label: str
    name: str
    arguments: str
    output: str | None
    error: str | None
    approval_request_id: str | None


class ListedTool(View):
    """A tool of an MCP server; `input_schema` is a JSON Schema."""

    name: str
    description: str | None
    input_schema: Mapping[str, Any]
    annotations: Mapping[str, Any] | None


class McpTools(View):
    """What an MCP server can do, as far as the request allows it; or why that is not known, in `error`."""

    type: Literal["mcp_list_tools"]
    id: str
    server_label: str
    tools: list[ListedTool]
    error: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {"tools": many(ListedTool)}


Item: TypeAlias = (
    Message
    | FunctionCall
    | FunctionCallOutput
    | ToolCall
    | FileSearchCall
    | McpTools
    | McpCall
    | ApprovalRequest
    | Image
    | CodeInterpreterOutput
    | Unknown
)

_ITEMS: Mapping[str, type[View]] = {
    "message": Message,
    "function_call": FunctionCall,
    "tool_call": ToolCall,
    "image": Image,
    "code_interpreter_output": CodeInterpreterOutput,
    "approval_request": ApprovalRequest,
    "file_search_call": FileSearchCall,
    "function_call_output": FunctionCallOutput,
    "mcp_call": McpCall,
    "mcp_list_tools": McpTools,
}


def read_item(raw: Mapping[str, Any]) -> Any:  # noqa: ANN401 an Item; a table cannot say which
    # The short form of a message has a role but no type.
    named = raw.get("type") or ("message" if "role" in raw else None)
    return _ITEMS.get(str(named), Unknown)(raw)


class Cost(View):
    """What the response cost; `currency` is `USD`."""

    total: float
    currency: str


class Usage(View):
    """What the response took: tokens always, the rest when `usage.detailed` was included.

    `cost` is None where a price is not known; `estimated` tells that nobody counted the tokens.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    neurons: View | None
    synapses: View | None
    cost: Cost | None
    estimated: bool | None
    _readers: ClassVar[Mapping[str, Reader]] = {"cost": one(Cost)}


class Failure(View):
    """Why a response failed."""

    message: str
    code: str | None
    type: str | None


class Response(View):
    """A model response.

    `output` has the final message first, then all other items; `items` is in the order of
    execution; `output_text` is all that was said.
    """

    id: str
    object: str
    status: Status
    model: str
    created_at: int
    completed_at: int | None
    usage: Usage | None
    thread: str | None
    thread_id: str | None
    previous_response_id: str | None
    organization_id: str | None
    assistant_id: str | None
    instructions: str | None
    reasoning: View | None
    error: Failure | None
    incomplete_details: View | None
    warnings: list[Any]
    request_logs: list[View]
    metadata: dict[str, str] | None
    background: bool | None
    request_id: str | None
    """The `x-request-id` of the answer that brought this response."""

    _readers: ClassVar[Mapping[str, Reader]] = {
        "usage": one(Usage),
        "error": one(Failure),
        "metadata": plain,
        "warnings": many(View),
        "request_logs": many(View),
    }

    def __init__(self, raw: Mapping[str, Any], *, request_id: str | None = None) -> None:
        super().__init__(raw)
        if request_id is not None:
            self.__dict__["request_id"] = request_id

    @cached_property
    def items(self) -> list[Item]:
        """Everything that happened, in its order."""
        return many(read_item)(self._raw.get("output"))

    @cached_property
    def output(self) -> list[Item]:
        """The final message first, then all other items in their order."""
        last = max(
            (place for place, item in enumerate(self.items) if isinstance(item, Message)),
            default=None,
        )
        if last is None:
            return list(self.items)
        return [self.items[last], *self.items[:last], *self.items[last + 1 :]]

    @property
    def output_text(self) -> str:
        """The text of all messages; empty when there is none."""
        return "".join(item.text for item in self.items if isinstance(item, Message))


class Deleted(View):
    """The receipt of a deletion."""

    id: str
    object: str
    deleted: bool
