"""Owns what a run tells, in the order it happens.

Every event is told to listeners and gets one sequence number, but for those in `UNTOLD`.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from freddy.server.core import errors, items
from freddy.server.core.attempt import Attempt
from freddy.server.core.calls import Call
from freddy.server.core.deltas import FinishReason
from freddy.server.core.offers import Offer
from freddy.server.core.pricing import Price
from freddy.server.core.response import Response
from freddy.server.core.usage import Shares, Usage

ReasoningKind: TypeAlias = Literal["text", "summary"]
ArgumentsForm: TypeAlias = items.CallForm | Literal["mcp"]


class Choice(Struct, frozen=True, omit_defaults=True):
    """Who was asked in a turn, and who answered: a provider, at a price, in `milliseconds`.

    `calls` came to nothing. `asking` tells that somebody was still asked when the turn ended; else the last of the
    calls is what broke off. `model` is what the provider calls the model, where it is known.
    """

    provider: str = ""
    price: Price | None = None
    warnings: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    model: str = ""
    calls: tuple[Call, ...] = ()
    asking: bool = False
    milliseconds: int = 0


class Created(Struct, frozen=True, tag="created"):
    response: Response


class Queued(Struct, frozen=True, tag="queued"):
    """It waits for whoever performs it."""

    response: Response


class InProgress(Struct, frozen=True, tag="in_progress"):
    response: Response


class ItemAdded(Struct, frozen=True, tag="item_added"):
    """An item began; `index` is its place in the output."""

    index: int
    item: items.Item


class PartAdded(Struct, frozen=True, tag="part_added"):
    """A part of a message began; `part` is its place in the message."""

    index: int
    item_id: str
    part: int
    content: items.Text | items.Refusal


class TextDelta(Struct, frozen=True, tag="text_delta"):
    index: int
    item_id: str
    part: int
    delta: str
    logprobs: tuple[items.Logprob, ...] = ()


class TextDone(Struct, frozen=True, tag="text_done"):
    index: int
    item_id: str
    part: int
    text: str
    logprobs: tuple[items.Logprob, ...] = ()


class AnnotationAdded(Struct, frozen=True, tag="annotation_added"):
    index: int
    item_id: str
    part: int
    annotation: items.Annotation
    place: int


class RefusalDelta(Struct, frozen=True, tag="refusal_delta"):
    index: int
    item_id: str
    part: int
    delta: str


class RefusalDone(Struct, frozen=True, tag="refusal_done"):
    index: int
    item_id: str
    part: int
    refusal: str


class PartDone(Struct, frozen=True, tag="part_done"):
    index: int
    item_id: str
    part: int
    content: items.Text | items.Refusal


class ReasoningPartAdded(Struct, frozen=True, tag="reasoning_part_added"):
    index: int
    item_id: str
    part: int
    kind: ReasoningKind


class ReasoningDelta(Struct, frozen=True, tag="reasoning_delta"):
    index: int
    item_id: str
    part: int
    delta: str
    kind: ReasoningKind


class ReasoningDone(Struct, frozen=True, tag="reasoning_done"):
    index: int
    item_id: str
    part: int
    text: str
    kind: ReasoningKind


class ReasoningPartDone(Struct, frozen=True, tag="reasoning_part_done"):
    index: int
    item_id: str
    part: int
    text: str
    kind: ReasoningKind


class ArgumentsDelta(Struct, frozen=True, tag="arguments_delta"):
    """`form` is that of the call: the input of a `custom` one, and the arguments of an `mcp` one, are told whole."""

    index: int
    item_id: str
    delta: str
    form: ArgumentsForm = "function"


class ArgumentsDone(Struct, frozen=True, tag="arguments_done"):
    index: int
    item_id: str
    name: str
    arguments: str
    form: ArgumentsForm = "function"


class CallProgress(Struct, frozen=True, tag="call_progress"):
    """How it goes with a hosted call, or with reading what an MCP server can do: after `in_progress` a search tells
    `searching`; the last is `completed` or `failed`. A compaction tells `in_progress` with every summary that is asked
    for, and nothing else.
    """

    index: int
    item_id: str
    of: Literal["mcp_call", "mcp_tools", "file_search", "compaction"]
    stage: Literal["in_progress", "searching", "completed", "failed"]


class Called(Struct, frozen=True, tag="called"):
    """A hosted call is whole, and nobody has answered it: then `ItemDone` follows. Recorded, not told."""

    index: int
    item: items.HostedCall


class Withdrawn(Struct, frozen=True, tag="withdrawn"):
    """An item that was done counts for nothing any more: the turn that made it is made again. Recorded, not told."""

    index: int
    item: items.Item


class ToolsOpened(Struct, frozen=True, tag="tools_opened"):
    """The tools that the model is offered are known. Neither recorded nor told: they are looked up again."""

    offers: tuple[Offer, ...]


class ToolDone(Struct, frozen=True, tag="tool_done"):
    """A tool has answered, or has not, after so long. Recorded, not told."""

    call: Call


class Asked(Struct, frozen=True, tag="asked"):
    """A model is asked, or a try has failed and it is asked on. Recorded in a log, not told: should the process be
    gone before the turn has an end, this is what is known of it."""

    choice: Choice


class TurnLost(Struct, frozen=True, tag="turn_lost"):
    """The process is gone that had somebody asked, who took so much; it is asked again. Recorded, not told.

    `usage` is None where nothing was taken that is not in the choice.
    """

    usage: Usage | None
    choice: Choice


class Compacted(Struct, frozen=True, tag="compacted"):
    """The model wrote a summary, or could not and is asked otherwise. Recorded, not told. `usage` as in `TurnDone`."""

    usage: Usage | None = None
    model: str | None = None
    choice: Choice = Choice()
    written: bool = True


class ItemDone(Struct, frozen=True, tag="item_done"):
    """The item is whole. A hosted call takes the place that `Called` gave it."""

    index: int
    item: items.Item


class TurnDone(Struct, frozen=True, tag="turn_done"):
    """The model ended its turn. Recorded, not told. `usage` is None when the vendor did not count.

    `shares` tell what the turn went to, where somebody asked. Its items are those from the place `began` on.
    """

    finish: FinishReason
    usage: Usage | None = None
    model: str | None = None
    choice: Choice = Choice()
    shares: Shares | None = None
    began: int = 0


class Failed(Struct, frozen=True, tag="failed"):
    """Something ended the run before its time. `Finished` follows. `usage` is that of the turn it broke off."""

    failure: errors.Failure
    usage: Usage | None = None
    choice: Choice = Choice()
    shares: Shares | None = None


class Cancelled(Struct, frozen=True, tag="cancelled"):
    """Somebody stopped the run. Recorded, not told: `Finished` tells it. `usage` as in `Failed`.

    `partial`: what it said until then is to stay in its thread.
    """

    usage: Usage | None = None
    choice: Choice = Choice()
    shares: Shares | None = None
    partial: bool = False


class Finished(Struct, frozen=True, tag="finished"):
    """Always the last event."""

    response: Response


Event: TypeAlias = (
    Created
    | Queued
    | InProgress
    | ItemAdded
    | PartAdded
    | TextDelta
    | TextDone
    | AnnotationAdded
    | RefusalDelta
    | RefusalDone
    | PartDone
    | ReasoningPartAdded
    | ReasoningDelta
    | ReasoningDone
    | ReasoningPartDone
    | ArgumentsDelta
    | ArgumentsDone
    | CallProgress
    | Called
    | Withdrawn
    | ToolsOpened
    | ToolDone
    | Asked
    | TurnLost
    | Compacted
    | ItemDone
    | TurnDone
    | Failed
    | Cancelled
    | Finished
)

UNTOLD = (Called, Withdrawn, ToolsOpened, ToolDone, Asked, TurnLost, Compacted, TurnDone, Cancelled)
"""What listeners do not hear, and what therefore has no number."""
