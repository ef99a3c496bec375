"""Owns what a model says while it answers, in words of no vendor."""

from typing import Literal, TypeAlias

from msgspec import Struct

from freddy.server.core import items
from freddy.server.core.attempt import Attempt
from freddy.server.core.pricing import Price
from freddy.server.core.usage import Usage

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


class Answering(Struct, frozen=True, tag="answering"):
    """The exact name of the model that answers, when the vendor tells it."""

    model: str


class Tried(Struct, frozen=True, tag="tried"):
    """A try to have the turn answered has ended. `usage` is what one took that came to nothing, at its `price`.

    None where nobody counted; of the try that answers `Stop` tells it. `again`: the same provider is asked on.
    """

    attempt: Attempt
    usage: Usage | None = None
    price: Price | None = None
    again: bool = False


class Chosen(Struct, frozen=True, tag="chosen"):
    """Who is asked from here on, what that costs, and what of the turn it does not do as asked.

    `model` is what that provider calls the model, where it is known.
    """

    provider: str
    price: Price | None = None
    warnings: tuple[str, ...] = ()
    model: str = ""


class Began(Struct, frozen=True, tag="began"):
    """A new message begins, where the vendor tells one from the next. `phase`: see `items.Message`."""

    phase: str | None = None


class Thinking(Struct, frozen=True, tag="thinking"):
    """Thinking begins. `hidden`: at most a summary of it will be shown."""

    hidden: bool = False


class Text(Struct, frozen=True, tag="text"):
    text: str
    logprobs: tuple[items.Logprob, ...] = ()


class Refusal(Struct, frozen=True, tag="refusal"):
    text: str


class Reasoning(Struct, frozen=True, tag="reasoning"):
    """Thinking: `text` in the open, `summary` where the vendor shows only that; `part` counts them."""

    text: str
    kind: Literal["text", "summary"] = "text"
    part: int = 0


class Signature(Struct, frozen=True, tag="signature"):
    """Closes the thinking with what the vendor needs to see again: encrypted content or a signature."""

    encrypted: str


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """A piece of the call with this `index`. The first piece has `name`, and `call_id` when the vendor gives one."""

    index: int
    arguments: str = ""
    name: str | None = None
    call_id: str | None = None


class Annotated(Struct, frozen=True, tag="annotated"):
    annotation: items.Annotation


class Counted(Struct, frozen=True, tag="counted"):
    """What the vendor has counted so far, told before the end: all there is to know where the answer breaks off."""

    usage: Usage


class Stop(Struct, frozen=True, tag="stop"):
    """The last delta. `usage` is that of the answer alone, None when the vendor did not count."""

    reason: FinishReason
    usage: Usage | None = None


Delta: TypeAlias = (
    Answering
    | Tried
    | Chosen
    | Began
    | Thinking
    | Text
    | Refusal
    | Reasoning
    | Signature
    | ToolCall
    | Annotated
    | Counted
    | Stop
)
