"""What a stream tells: one class for each shape of event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

from freddy.types._view import Reader, View, one
from freddy.types.responses import Item, Part, Response, read_item, read_part

TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


class _Event(View):
    type: str
    sequence_number: int | None


class ResponseEvent(_Event):
    """The response itself: created, queued, in progress, or over (then it is the whole response)."""

    id: str | None
    status: str | None
    response: Response | None
    _readers: ClassVar[Mapping[str, Reader]] = {"response": one(Response)}


class ItemEvent(_Event):
    """An output item has begun, or is done."""

    index: int
    item: Item
    _readers: ClassVar[Mapping[str, Reader]] = {"item": one(read_item)}


class PartEvent(_Event):
    """A part of a message has begun, or is done."""

    index: int
    item_id: str
    part: Part
    _readers: ClassVar[Mapping[str, Reader]] = {"part": one(read_part)}


class TextDelta(_Event):
    """The next piece of the answer's text."""

    index: int
    item_id: str
    delta: str


class TextDone(_Event):
    """The whole text of a part."""

    index: int
    item_id: str
    text: str


class ArgumentsDelta(_Event):
    """The next piece of a function call's arguments."""

    index: int
    item_id: str
    delta: str


class ArgumentsDone(_Event):
    """The whole arguments of a function call, a JSON string."""

    index: int
    item_id: str
    arguments: str


class ReasoningEvent(_Event):
    """The model has begun or ended to reason (`reasoning.*`, `thinking.*`); `delta` if told aloud."""

    delta: str | None
    text: str | None
    summary: str | None
    provider: str | None


class ImageEvent(_Event):
    """An image on its way (`image.partial`), or done (`image.completed`)."""

    index: int
    image_url: str | None
    file_id: str | None
    imageUrl: str | None  # noqa: N815 the documented spelling of the older API
    fileId: str | None  # noqa: N815 the documented spelling of the older API


class UnknownEvent(_Event):
    """An event of a type that this version of the SDK has no class for."""


Event: TypeAlias = (
    ResponseEvent
    | ItemEvent
    | PartEvent
    | TextDelta
    | TextDone
    | ArgumentsDelta
    | ArgumentsDone
    | ReasoningEvent
    | ImageEvent
    | UnknownEvent
)

_EVENTS: Mapping[str, type[_Event]] = {
    "response.created": ResponseEvent,
    "response.queued": ResponseEvent,
    "response.in_progress": ResponseEvent,
    **dict.fromkeys(TERMINAL, ResponseEvent),
    "response.output_item.added": ItemEvent,
    "response.output_item.done": ItemEvent,
    "response.content_part.added": PartEvent,
    "response.content_part.done": PartEvent,
    "response.output_text.delta": TextDelta,
    "response.output_text.done": TextDone,
    "response.function_call_arguments.delta": ArgumentsDelta,
    "response.function_call_arguments.done": ArgumentsDone,
    "reasoning.started": ReasoningEvent,
    "reasoning.delta": ReasoningEvent,
    "reasoning.completed": ReasoningEvent,
    "thinking.started": ReasoningEvent,
    "thinking.delta": ReasoningEvent,
    "thinking.completed": ReasoningEvent,
    "image.partial": ImageEvent,
    "image.completed": ImageEvent,
}


def read_event(raw: Mapping[str, Any]) -> Any:  # noqa: ANN401 an Event; a table cannot say which
    return _EVENTS.get(str(raw.get("type")), UnknownEvent)(raw)
