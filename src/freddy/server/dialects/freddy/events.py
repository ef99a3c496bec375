"""Owns how an event is told: one server-sent event each, with its name and number in its data."""

from typing import Final, assert_never

import msgspec

from freddy.server.core import events, items
from freddy.server.core.response import Response, Status
from freddy.server.dialects.freddy import errors
from freddy.server.dialects.freddy.response import Units, encode_response, usage_view
from freddy.server.dialects.freddy.views import McpCall, Writer, write_logprobs

FRAME: Final = 16 * 1024
"""Bytes that a frame should stay under: some clients read each chunk of the network as whole lines."""

_TERMINAL: Final[dict[Status, str]] = {
    "incomplete": "response.incomplete",
    "failed": "response.failed",
    "cancelled": "response.cancelled",
}
_DELTA_OF_MCP: Final = "response.mcp_call_arguments.delta"
_DONE_OF_MCP: Final = "response.mcp_call_arguments.done"
_PROGRESS: Final = {
    "mcp_call": {
        "in_progress": "response.mcp_call.in_progress",
        "completed": "response.mcp_call.completed",
        "failed": "response.mcp_call.failed",
    },
    "mcp_tools": {
        "in_progress": "response.mcp_list_tools.in_progress",
        "completed": "response.mcp_list_tools.completed",
        "failed": "response.mcp_list_tools.failed",
    },
    "compaction": {},
    "file_search": {
        "in_progress": "response.file_search_call.in_progress",
        "searching": "response.file_search_call.searching",
        "completed": "response.file_search_call.completed",
    },
}
_encode = msgspec.json.Encoder().encode


class Teller:
    """Tells the events of one stream. What it has not heard, the response's `output` must already hold:
    items are numbered as clients see them, without reasoning and compactions.
    """

    def __init__(self, response: Response, units: Units) -> None:
        self._units = units
        self._writer = Writer(response.request)
        self._provider = response.provider
        self._thoughts = {
            place: item for place, item in enumerate(response.output) if isinstance(item, items.Reasoning)
        }
        self._compactions = {place for place, item in enumerate(response.output) if isinstance(item, items.Compaction)}
        self._speaking: tuple[str, int] | None = None
        self._head = b""

    def __call__(self, number: int, event: events.Event) -> bytes:
        if type(event) is events.TextDelta:
            return self._text_delta(number, event)
        match event:
            case events.Created(response):
                self._provider = response.provider or self._provider
                return _frame("response.created", number, **_summary(response))
            case events.ItemAdded(index, item):
                return self._item_added(number, index, item)
            case events.ItemDone(index, item):
                return self._item_done(number, index, item)
            case events.ArgumentsDelta(index, item_id, delta, form):
                delta = self._writer.arguments("", delta, form) if form == "custom" else delta
                name = _DELTA_OF_MCP if form == "mcp" else "response.function_call_arguments.delta"
                return self._in_item(name, number, index, item_id, delta=delta)
            case events.ArgumentsDone(index, item_id, name, arguments, form):
                arguments = self._writer.arguments(name, arguments, form)
                return self._in_item(
                    _DONE_OF_MCP if form == "mcp" else "response.function_call_arguments.done",
                    number,
                    index,
                    item_id,
                    name=name,
                    arguments=arguments,
                )
            case events.CallProgress(index, item_id, of, stage):
                told = _PROGRESS[of].get(stage)
                return self._in_item(told, number, index, item_id) if told else b""
            case events.TextDone(index, item_id, part, text, logprobs):
                more = {"logprobs": write_logprobs(logprobs)} if self._writer.logprobs else {}
                return self._in_item(
                    "response.output_text.done", number, index, item_id, content_index=part, text=text, **more
                )
            case events.AnnotationAdded(index, item_id, part, annotation, place):
                return self._in_item(
                    "response.output_text.annotation.added",
                    number,
                    index,
                    item_id,
                    content_index=part,
                    annotation_index=place,
                    annotation=annotation.data,
                )
            case events.RefusalDelta(index, item_id, part, delta):
                return self._in_item("response.refusal.delta", number, index, item_id, content_index=part, delta=delta)
            case events.RefusalDone(index, item_id, part, refusal):
                return self._in_item(
                    "response.refusal.done", number, index, item_id, content_index=part, refusal=refusal
                )
            case events.ReasoningDelta():
                return self._thought(number, event)
            case events.Failed(failure):
                error = errors.view(failure)
                return _frame("error", number, error=error, message=error.message, code=error.code)
            case events.Finished(response):
                return _finished(number, response, self._units)
            case (
                events.Queued()
                | events.InProgress()
                | events.PartAdded()
                | events.PartDone()
                | events.ReasoningPartAdded()
                | events.ReasoningDone()
                | events.ReasoningPartDone()
                | events.Called()
                | events.Withdrawn()
                | events.ToolsOpened()
                | events.ToolDone()
                | events.Asked()
                | events.TurnLost()
                | events.Compacted()
                | events.TurnDone()
                | events.Cancelled()
            ):
                return b""
            case events.TextDelta():
                return self._text_delta(number, event)
            case _:
                assert_never(event)

    def _text_delta(self, number: int, event: events.TextDelta) -> bytes:
        speaking = (event.item_id, event.part)
        if speaking != self._speaking:
            self._speaking = speaking
            place = self._place(event.index)
            constant = _encode(
                {
                    "index": place,
                    "output_index": place,
                    "item_id": event.item_id,
                    "content_index": event.part,
                }
            )
            self._head = b"," + constant[1:-1] + b',"delta":'
        frame = _DELTA + str(number).encode() + self._head + _encode(event.delta)
        if event.logprobs and self._writer.logprobs:
            frame += b',"logprobs":' + _encode(write_logprobs(event.logprobs))
        return frame + b"}\n\n"

    def _item_added(self, number: int, index: int, item: items.Item) -> bytes:
        if isinstance(item, items.Reasoning):
            self._thoughts[index] = item
            return self._thinking("started", number, item)
        if isinstance(item, items.Compaction):
            self._compactions.add(index)
            return b""
        place = self._place(index)
        return _frame(
            "response.output_item.added",
            number,
            index=place,
            output_index=place,
            item=self._writer.item(item),
        )

    def _item_done(self, number: int, index: int, item: items.Item) -> bytes:
        if isinstance(item, items.Compaction):
            self._compactions.add(index)
            return b""
        if isinstance(item, items.Reasoning):
            # What began as hidden ends so, whatever became known of it since.
            begun = self._thoughts.setdefault(index, item)
            told = {"text": item.texts, "summary": item.summaries}
            return self._thinking(
                "completed", number, begun, **{name: "\n\n".join(said) for name, said in told.items() if said}
            )
        place = self._place(index)
        view = self._writer.item(item)
        frame = _frame("response.output_item.done", number, index=place, output_index=place, item=view)
        if len(frame) < FRAME or not isinstance(view, McpCall):
            return frame
        view = msgspec.structs.replace(view, result=msgspec.UNSET)
        return _frame("response.output_item.done", number, index=place, output_index=place, item=view)

    def _thought(self, number: int, event: events.ReasoningDelta) -> bytes:
        """A summary is not the thinking itself: it comes whole, with the end."""
        item = self._thoughts.setdefault(event.index, items.Reasoning(event.item_id, hidden=event.kind == "summary"))
        return b"" if event.kind == "summary" else self._thinking("delta", number, item, delta=event.delta)

    def _thinking(self, what: str, number: int, item: items.Reasoning, **fields: object) -> bytes:
        """`reasoning.*` where the provider keeps the thinking to itself, `thinking.*` where it shows it."""
        family, provider = "reasoning" if item.hidden else "thinking", item.provider or self._provider
        return _frame(f"{family}.{what}", number, provider=provider, item_id=item.id, **fields)

    def _in_item(self, name: str, number: int, index: int, item_id: str, /, **fields: object) -> bytes:
        place = self._place(index)
        return _frame(name, number, index=place, output_index=place, item_id=item_id, **fields)

    def _place(self, index: int) -> int:
        """The place in `output`, which has no reasoning and no compactions."""
        if not self._thoughts and not self._compactions:
            return index
        return index - sum(place < index for place in (*self._thoughts, *self._compactions))


_DELTA: Final = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":'


def _frame(name: str, number: int, /, **fields: object) -> bytes:
    data = _encode({"type": name, "sequence_number": number, **fields})
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def _summary(response: Response) -> dict[str, object]:
    return {
        "id": response.id,
        "object": "response",
        "created_at": response.created_at,
        "status": response.status,
        "model": response.model,
        "thread": response.thread_id,
        "thread_id": response.thread_id,
    }


def _finished(number: int, response: Response, units: Units) -> bytes:
    """The whole response goes with its end; without its mirrors where the frame would be too long."""
    name = _TERMINAL.get(response.status, "response.completed")
    fields = {**_summary(response), "usage": usage_view(response, units)}
    if response.failure is not None:
        fields["error"] = errors.view(response.failure)
    frame = _frame(name, number, **fields, response=msgspec.Raw(encode_response(response, units=units)))
    if len(frame) < FRAME:
        return frame
    short = encode_response(response, units=units, mirrors=False)
    return _frame(name, number, **fields, response=msgspec.Raw(short))
