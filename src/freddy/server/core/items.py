"""Owns what a response is made of: items, their parts and annotations.

The model is that of the Responses API (items, not chat messages): https://www.openresponses.org/specification
"""

from typing import Literal, TypeAlias

from msgspec import Raw, Struct

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
    """`arguments` is JSON text (free text in a `custom` call); `call_id` joins the call to its output."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: Status = "completed"
    form: CallForm = "function"
    namespace: str | None = None


class FunctionOutput(Struct, frozen=True, tag_field="kind", tag="function_output", omit_defaults=True):
    id: str
    call_id: str
    parts: tuple[Part, ...]
    status: Status = "completed"
    form: CallForm = "function"
    name: str | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Other(Struct, frozen=True, tag_field="kind", tag="other"):
    """An item of a kind that this server only keeps and hands back: `data` is its JSON object."""

    id: str
    type: str
    data: Raw


Item: TypeAlias = Message | Reasoning | FunctionCall | FunctionOutput | Other
