"""What may be sent: the body of a request, key by key. Only for type checkers and editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict, TypeVar, final

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")


@final
class NotGiven:
    """The type of `NOT_GIVEN`: leave this key out (`None` would be sent as null)."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven()

Maybe: TypeAlias = T | NotGiven | None

IncludeName: TypeAlias = Literal[
    "all",
    "web_search.sources",
    "code_interpreter.outputs",
    "computer_use.screenshots",
    "file_search.results",
    "function_calls.logs",
    "function_calls.sources",
    "message.input_images",
    "message.output_images",
    "message.logprobs",
    "reasoning.encrypted",
    "request.logs",
    "usage.detailed",
    "rules.debug",
]


# --- Inputs -----------------------------------------------------------------------------------


class TextInput(TypedDict):
    text: str


class ImageInput(TypedDict, total=False):
    """An image by its file, or by its URL."""

    fileId: str
    url: str


class FileInput(TypedDict):
    fileId: str


class FunctionCallInput(TypedDict):
    """A call that the model made: `arguments` is a JSON string."""

    name: str
    arguments: str


class InputMessage(TypedDict, total=False):
    """One message. What was said is in `content`, or in `texts` and its three siblings.

    A call is repeated as `{"role": "assistant", "functionCall": ...}`, and answered with
    `{"role": "function", "name": ..., "content": ...}`.
    """

    id: str
    role: Literal["user", "system", "assistant", "function", "tool", "developer"]
    content: str | Sequence[Mapping[str, Any]] | None
    texts: Sequence[TextInput]
    images: Sequence[ImageInput]
    audio: Sequence[FileInput]
    files: Sequence[FileInput]
    name: str
    functionCall: FunctionCallInput
    tool_call_id: str


class ApprovalAnswer(TypedDict, total=False):
    """Says yes or no to an `approval_request` of an earlier response; `reason` is told to the model."""

    type: Literal["approval_response", "mcp_approval_response"]
    approval_request_id: str
    approve: bool
    reason: str


# --- Tools ------------------------------------------------------------------------------------


class FunctionTool(TypedDict, total=False):
    """A function; `parameters` is a JSON Schema."""

    type: Literal["function"]
    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool
    require_approval: bool


class RankingOptions(TypedDict, total=False):
    ranker: Literal["default", "semantic", "lexical", "hybrid"]
    score_threshold: float


class FileSearchTool(TypedDict, total=False):
    type: Literal["file_search", "fileSearch"]
    vector_store_ids: Sequence[str]
    filters: Mapping[str, Any]
    max_num_results: int
    ranking_options: RankingOptions


class WebSearchFilters(TypedDict, total=False):
    allowed_domains: Sequence[str]


class UserLocation(TypedDict, total=False):
    type: Literal["approximate"]
    city: str
    region: str
    country: str
    timezone: str


class WebSearchTool(TypedDict, total=False):
    type: Literal["web_search", "webSearch", "web_search_2025_08_26"]
    search_context_size: Literal["low", "medium", "high"]
    filters: WebSearchFilters
    user_location: UserLocation


class Container(TypedDict, total=False):
    type: Literal["auto"]
    file_ids: Sequence[str]


class CodeInterpreterTool(TypedDict, total=False):
    type: Literal["code_interpreter", "codeInterpreter"]
    container: str | Container


class ImageGenerationTool(TypedDict, total=False):
    type: Literal["image_generation"]
    provider: str
    model: str
    prompt: str
    size: str
    quality: str
    style: str
    n: int
    background: str
    output_format: str
    response_format: str
    partial_images: int


class ComputerUseTool(TypedDict, total=False):
    type: Literal["computer_use_preview"]
    environment: str
    display_width: int
    display_height: int


class PersonalConnectorTool(TypedDict, total=False):
    type: Literal["personal_connector", "personalConnector"]
    configuration_ids: Sequence[str]


class StreamlineTool(TypedDict, total=False):
    """A saved script; `timeout` is in seconds, over 300 it goes on in the background."""

    type: Literal["streamline"]
    script_id: str
    parameters: Mapping[str, Any]
    environment: Literal["python", "node", "bash", "ruby", "php"]
    timeout: int
    background: bool
    push_notification_on_completion: bool
    require_approval: bool


class AllowedTools(TypedDict, total=False):
    include: Sequence[str]
    exclude: Sequence[str]


class ApprovalPatterns(TypedDict, total=False):
    require: Sequence[str]
    allow: Sequence[str]


class McpTool(TypedDict, total=False):
    """A Model Context Protocol server, by exactly one of the three ways to name it."""

    type: Literal["mcp"]
    server_label: str
    server_url: str
    connector_id: str
    configuration_id: str
    authorization: str
    headers: Mapping[str, str]
    server_description: str
    allowed_tools: Sequence[str] | AllowedTools
    require_approval: Literal["always", "never"] | ApprovalPatterns


# The last member lets a tool through that a newer server knows.
Tool: TypeAlias = (
    FunctionTool
    | FileSearchTool
    | WebSearchTool
    | CodeInterpreterTool
    | ImageGenerationTool
    | ComputerUseTool
    | PersonalConnectorTool
    | StreamlineTool
    | McpTool
    | Mapping[str, Any]
)
ToolChoice: TypeAlias = Literal["auto", "none", "required"] | Mapping[str, Any]


# --- The rest of the body ---------------------------------------------------------------------


class ThreadReference(TypedDict, total=False):
    id: str
    metadata: Mapping[str, str]


class RuleContext(TypedDict, total=False):
    """What the attached rules are told; these keys and any others."""

    requestType: str
    user_expertise: Literal["beginner", "intermediate", "expert", "professional"]
    output_format: str
    target_audience: str


class Prompt(TypedDict, total=False):
    """A saved prompt template, the values of its variables, its version (default: the latest)."""

    id: str
    variables: Mapping[str, Any]
    version: str


class Reasoning(TypedDict, total=False):
    effort: Literal["off", "low", "medium", "high", "maximum"]
    summary: Literal["auto", "concise", "detailed"]


class OutputSchema(TypedDict, total=False):
    """A JSON Schema (Draft 2020-12) that the answer follows."""

    id: str
    description: str
    schema: Mapping[str, Any]
    strict: bool


class CreateBody(TypedDict, total=False):
    """The body of `responses.create`, but for `stream`. The defaults are the server's."""

    organization_id: Maybe[str]
    assistant_id: Maybe[str]
    rules: Maybe[Sequence[str]]
    disable_rules: Maybe[bool]
    rule_context: Maybe[RuleContext | Mapping[str, Any]]
    model: Maybe[str]
    inputs: Maybe[str | Sequence[InputMessage | Mapping[str, Any] | Any]]
    instructions: Maybe[str]
    prompt: Maybe[Prompt]
    thread: Maybe[str | ThreadReference]
    thread_context_mode: Maybe[Literal["recent", "smart", "full"]]
    previous_response_id: Maybe[str]
    edit_message_id: Maybe[str]
    previous_message_id: Maybe[str]
    truncation: Maybe[Literal["disabled", "auto"]]
    background: Maybe[bool]
    include: Maybe[Sequence[IncludeName | str]]
    store: Maybe[bool]
    metadata: Maybe[Mapping[str, str]]
    max_output_synapses: Maybe[int]
    max_tool_calls: Maybe[int]
    reasoning: Maybe[Reasoning]
    tools: Maybe[Sequence[Tool]]
    functions: Maybe[Sequence[FunctionTool | Mapping[str, Any]]]
    tool_choice: Maybe[ToolChoice]
    toolChoice: Maybe[ToolChoice]
    parallel_tool_calls: Maybe[bool]
    personal_connectors_enabled: Maybe[bool]
    output_mode: Maybe[Literal["text", "json", "json_schema"]]
    json_schema: Maybe[OutputSchema | Sequence[OutputSchema]]
    verbosity: Maybe[Literal["low", "medium", "high"]]
    temperature: Maybe[float]
    top_p: Maybe[float]
    presence_penalty: Maybe[float]
    frequency_penalty: Maybe[float]
    logprobs: Maybe[bool]
    top_logprobs: Maybe[int]


class CallOptions(TypedDict, total=False):
    """How one call is made: more headers, another timeout (seconds without a byte)."""

    extra_headers: Mapping[str, str] | None
    timeout: float | httpx2.Timeout | NotGiven | None


class CreateRequest(CreateBody, CallOptions, total=False):
    """The keywords of `responses.create`.

    `extra_body` holds keys of the body that have no keyword here; a call with the
    `idempotency_key` of an earlier one is not done twice.
    """

    extra_body: Mapping[str, Any] | None
    idempotency_key: str | None


def without_omitted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were given."""
    return {name: value for name, value in fields.items() if not isinstance(value, NotGiven)}
