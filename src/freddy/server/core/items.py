"""Owns what a response is made of: items, their parts and annotations.

The model is that of the Responses API (items, not chat messages): https://www.openresponses.org/specification
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Raw, Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    MaybeRaw: TypeAlias = Raw | None
else:
    # msgspec cannot decode a union of `Raw` and None. None is the default here, and a default is never written.
    MaybeRaw = Raw

Role: TypeAlias = Literal["user", "assistant", "system", "developer"]
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]
CallForm: TypeAlias = Literal["function", "custom"]
"""A `custom` call carries free text instead of JSON arguments."""


class Annotation(Struct, frozen=True):
    """A remark on a text, such as a citation: `type` names its kind, `data` is its whole JSON object."""

    type: str
    data: Raw


class TopLogprob(Struct, frozen=True):
    """A token that might have come instead."""

    token: str
    logprob: float
    bytes: tuple[int, ...] = ()


class Logprob(Struct, frozen=True):
    """A token of the text, its natural logarithmic probability, and its rivals."""

    token: str
    logprob: float
    bytes: tuple[int, ...] = ()
    top: tuple[TopLogprob, ...] = ()


class Text(Struct, frozen=True, tag="text", omit_defaults=True):
    text: str
    annotations: tuple[Annotation, ...] = ()
    logprobs: tuple[Logprob, ...] = ()


class Refusal(Struct, frozen=True, tag="refusal"):
    refusal: str


class Image(Struct, frozen=True, tag="image", omit_defaults=True):
    """Exactly one of `url` (http, https or data) and `file_id`."""

    url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] = "auto"


class Audio(Struct, frozen=True, tag="audio", omit_defaults=True):
    """Exactly one of `file_id` and `data` (base64, with its `format`)."""

    file_id: str | None = None
    data: str | None = None
    format: str | None = None


class File(Struct, frozen=True, tag="file", omit_defaults=True):
    """Exactly one of `file_id`, `url` and `data` (a data URL, with its `filename`)."""

    file_id: str | None = None
    url: str | None = None
    data: str | None = None
    filename: str | None = None


Part: TypeAlias = Text | Refusal | Image | Audio | File


class Message(Struct, frozen=True, tag_field="kind", tag="message", omit_defaults=True):
    id: str
    role: Role
    parts: tuple[Part, ...]
    status: Status = "completed"
    phase: str | None = None
    """OpenAI's mark of an assistant's message: `commentary` or `final_answer`."""

    @property
    def text(self) -> str:
        """The texts of the message, one after the other."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Reasoning(Struct, frozen=True, tag_field="kind", tag="reasoning", omit_defaults=True):
    """What a model thought: `texts` in the open, `summaries` of it, `encrypted` for the vendor's eyes.

    `provider` made it, and only there can `encrypted` be read. `hidden`: the vendor keeps the text to itself.
    """

    id: str
    texts: tuple[str, ...] = ()
    summaries: tuple[str, ...] = ()
    encrypted: str | None = None
    status: Status = "completed"
    provider: str = ""
    hidden: bool = False


class FunctionCall(Struct, frozen=True, tag_field="kind", tag="function_call", omit_defaults=True):
    """`arguments` is JSON text (free text in a `custom` call); `call_id` joins the call to its output.

    `turn` as in `HostedCall`.
    """

    id: str
    call_id: str
    name: str
    arguments: str
    status: Status = "completed"
    form: CallForm = "function"
    namespace: str | None = None
    turn: int = 0


class FunctionOutput(Struct, frozen=True, tag_field="kind", tag="function_output", omit_defaults=True):
    id: str
    call_id: str
    parts: tuple[Part, ...]
    status: Status = "completed"
    form: CallForm = "function"
    name: str | None = None
    source: str | None = None
    """What answered it, where this server did: `built-in`, `package NAME`, or `registered ID`."""
    failed: bool = False
    """Whether this server could not answer it: the parts then say why."""
    milliseconds: int | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class McpTool(Struct, frozen=True, omit_defaults=True):
    """A tool of an MCP server: `input_schema` is a JSON Schema, `annotations` a JSON object of the server's hints.

    `once`: they say that a call destroys something, and that making it again is not the same.
    """

    name: str
    description: str | None = None
    input_schema: MaybeRaw = None
    annotations: MaybeRaw = None
    read_only: bool = False
    once: bool = False


class McpTools(Struct, frozen=True, tag_field="kind", tag="mcp_tools", omit_defaults=True):
    """What an MCP server can do, as far as the request allows it. `error` says why nothing is known."""

    id: str
    server_label: str
    tools: tuple[McpTool, ...] = ()
    error: str | None = None


class Mcp(Struct, frozen=True, tag="mcp"):
    """A call of a tool of the MCP server that the request gave this label."""

    server_label: str


class Found(Struct, frozen=True, omit_defaults=True):
    """A passage that was found, and where; `score` goes from 0 to 1."""

    file_id: str
    filename: str
    score: float
    text: str
    attributes: dict[str, str | float | bool] = {}
    store_id: str = ""


class FileSearch(Struct, frozen=True, tag="file_search", omit_defaults=True):
    """A search in vector stores: what was asked, and what was found."""

    queries: tuple[str, ...] = ()
    found: tuple[Found, ...] = ()


Work: TypeAlias = Mcp | FileSearch
"""What a hosted call is about."""


class HostedCall(Struct, frozen=True, tag_field="kind", tag="hosted_call", omit_defaults=True):
    """A call of a tool that this server runs, and its answer in one item.

    `name` is the tool's own, `offered` what the model calls it where that differs; `arguments` is JSON text. `parts` is
    what the model reads of the answer, `error` why there is none. While the `status` is `in_progress` nobody has
    answered it. `turn` is the model's turn of the response that the call was made in, from 0: calls of the same turn
    were made at once. `approval_id` is that of the request for approval that was granted.
    """

    id: str
    call_id: str
    name: str
    arguments: str
    work: Work
    parts: tuple[Part, ...] = ()
    error: str | None = None
    status: Literal["in_progress", "completed", "failed", "incomplete"] = "in_progress"
    offered: str | None = None
    turn: int = 0
    approval_id: str | None = None
    milliseconds: int | None = None

    @property
    def text(self) -> str:
        """The texts of the answer, one after the other."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class ApprovalRequest(Struct, frozen=True, tag_field="kind", tag="approval_request", omit_defaults=True):
    """A call that waits for a yes or a no: of a tool of the server `server_label`, or (None) of a function.

    `call_id` is the call's: of a function it is an item of its own. `expires_at` is in Unix seconds. `turn` as in
    `HostedCall`.
    """

    id: str
    call_id: str
    name: str
    arguments: str
    server_label: str | None = None
    offered: str | None = None
    expires_at: int | None = None
    turn: int = 0


class ApprovalAnswer(Struct, frozen=True, tag_field="kind", tag="approval_answer", omit_defaults=True):
    id: str
    request_id: str
    approve: bool
    reason: str | None = None


class Other(Struct, frozen=True, tag_field="kind", tag="other"):
    """An item of a kind that this server only keeps and hands back: `data` is its JSON object."""

    id: str
    type: str
    data: Raw


Kept: TypeAlias = (  # what a compaction may bring: any item but another
    Message
    | Reasoning
    | FunctionCall
    | FunctionOutput
    | McpTools
    | HostedCall
    | ApprovalRequest
    | ApprovalAnswer
    | Other
)


class Compaction(Struct, frozen=True, tag_field="kind", tag="compaction", omit_defaults=True):
    """Stands for all that came before it: `summary` says what that was, see `core.compaction`.

    Read with it, in their own words, are `before` and, behind the summary, `after`. `sealed` is all of this as the
    caller keeps it. Without a summary it is another's: only who made it can read it. One that is not `sealed` stands
    among what it brought.
    """

    id: str
    sealed: str
    summary: str = ""
    before: tuple[Message, ...] = ()
    after: tuple[Kept, ...] = ()


Readable: TypeAlias = Message | Reasoning | FunctionCall | FunctionOutput | Compaction | Other
"""What a model reads: calls that were answered here are told as calls of functions, see `core.reading`."""
Item: TypeAlias = Kept | Compaction


def broken_off(item: Item) -> Item:
    """What is left of an item that was begun, and will not be gone on with: its place, with nothing in it."""
    match item:
        case Message():
            return replace(item, parts=(), status="incomplete")
        case Reasoning():
            return replace(item, texts=(), summaries=(), encrypted=None, status="incomplete")
        case FunctionCall():
            return replace(item, arguments="", status="incomplete")
        case FunctionOutput():
            return replace(item, parts=(), status="incomplete")
        case HostedCall():
            return replace(item, status="incomplete")
        case McpTools():
            return replace(item, tools=(), error="the server stopped before the tools were listed")
        case _:
            return item


def is_broken_off(item: Item) -> bool:
    """Whether nobody need read it."""
    if getattr(item, "status", None) != "incomplete":
        return False
    match item:
        case Message(parts=()):
            return True
        case Reasoning(texts=(), summaries=(), encrypted=None):
            return True
        case FunctionCall(arguments=""):
            return True
        case _:
            return False
