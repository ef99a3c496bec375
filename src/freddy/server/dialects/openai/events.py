"""Owns how a run's events are written as server-sent events: one event, one frame, one number.

A frame is built from constants around what changes, as text deltas are nearly all there is to write.
"""

from typing import Final, assert_never

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import events
from freddy.server.core.response import Response
from freddy.server.dialects.openai import errors, response
from freddy.server.dialects.openai import items as writing

END_OF_STREAM: Final = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode
_END: Final = b"}\n\n"
_FILLER: Final = "k3Zt9vQ1xWm7Rb2N"
"""OpenAI pads deltas so that the size of a packet does not tell the length of a word."""


def _start(name: str) -> bytes:
    return f'event: {name}\ndata: {{"type":"{name}","sequence_number":'.encode()


class _Told(Struct):
    """What every event about an item says."""

    item_id: str
    output_index: int


class _ItemEvent(Struct):
    output_index: int
    item: writing.Item


class _PartEvent(_Told):
    content_index: int
    part: writing.Part | writing.ReasoningText


class _SummaryPartEvent(_Told):
    summary_index: int
    part: writing.SummaryText


class _TextDone(_Told):
    content_index: int
    text: str
    logprobs: list[writing.Logprob]


class _AnnotationAdded(_Told):
    content_index: int
    annotation_index: int
    annotation: Raw


class _RefusalDone(_Told):
    content_index: int
    refusal: str


class _ReasoningTextDone(_Told):
    content_index: int
    text: str


class _SummaryTextDone(_Told):
    summary_index: int
    text: str


class _ArgumentsDone(_Told):
    arguments: str


class _InputDone(_Told):
    input: str


class _Error(Struct):
    """Said twice, since OpenAI's servers nest it and its types do not: clients look in either place."""

    code: str | None
    message: str
    param: str | None
    error: errors.Error


class _Delta:
    """A kind of delta event; `place` names the field that counts parts."""

    def __init__(self, name: str, place: str = "") -> None:
        self.start = _start(name)
        self.place = place


_CREATED: Final = _start("response.created")
_QUEUED: Final = _start("response.queued")
_IN_PROGRESS: Final = _start("response.in_progress")
_COMPLETED: Final = _start("response.completed")
_INCOMPLETE: Final = _start("response.incomplete")
_FAILED: Final = _start("response.failed")
_ERROR: Final = _start("error")
_ITEM_ADDED: Final = _start("response.output_item.added")
_ITEM_DONE: Final = _start("response.output_item.done")
_PART_ADDED: Final = _start("response.content_part.added")
_PART_DONE: Final = _start("response.content_part.done")
_TEXT_DELTA: Final = _Delta("response.output_text.delta", "content_index")
_TEXT_DONE: Final = _start("response.output_text.done")
_ANNOTATION_ADDED: Final = _start("response.output_text.annotation.added")
_REFUSAL_DELTA: Final = _Delta("response.refusal.delta", "content_index")
_REFUSAL_DONE: Final = _start("response.refusal.done")
_REASONING_DELTA: Final = _Delta("response.reasoning_text.delta", "content_index")
_REASONING_DONE: Final = _start("response.reasoning_text.done")
_SUMMARY_PART_ADDED: Final = _start("response.reasoning_summary_part.added")
_SUMMARY_PART_DONE: Final = _start("response.reasoning_summary_part.done")
_SUMMARY_DELTA: Final = _Delta("response.reasoning_summary_text.delta", "summary_index")
_SUMMARY_DONE: Final = _start("response.reasoning_summary_text.done")
_ARGUMENTS_DELTA: Final = _Delta("response.function_call_arguments.delta")
_ARGUMENTS_DONE: Final = _start("response.function_call_arguments.done")
_INPUT_DELTA: Final = _Delta("response.custom_tool_call_input.delta")
_INPUT_DONE: Final = _start("response.custom_tool_call_input.done")
_MCP_ARGUMENTS_DELTA: Final = _Delta("response.mcp_call_arguments.delta")
_MCP_ARGUMENTS_DONE: Final = _start("response.mcp_call_arguments.done")
_DELTAS: Final[dict[events.ArgumentsForm, _Delta]] = {
    "function": _ARGUMENTS_DELTA,
    "custom": _INPUT_DELTA,
    "mcp": _MCP_ARGUMENTS_DELTA,
}
_PROGRESS: Final = {
    "mcp_call": {
        "in_progress": _start("response.mcp_call.in_progress"),
        "completed": _start("response.mcp_call.completed"),
        "failed": _start("response.mcp_call.failed"),
    },
    "mcp_tools": {
        "in_progress": _start("response.mcp_list_tools.in_progress"),
        "completed": _start("response.mcp_list_tools.completed"),
        "failed": _start("response.mcp_list_tools.failed"),
    },
    "compaction": {"in_progress": _start("response.compaction.compacting")},
    "file_search": {
        "in_progress": _start("response.file_search_call.in_progress"),
        "searching": _start("response.file_search_call.searching"),
        "completed": _start("response.file_search_call.completed"),
    },
}

_TAILS: Final = tuple(b',"obfuscation":"' + _FILLER[:size].encode() + b'"}\n\n' for size in range(16))
_TEXT_TAILS: Final = tuple(b',"logprobs":[]' + tail for tail in _TAILS)
_BARE_TAILS: Final = (_END,) * 16
_BARE_TEXT_TAILS: Final = (b',"logprobs":[]' + _END,) * 16


class EventEncoder:
    """Writes one stream's events. `obfuscate` overrides what the request said."""

    def __init__(self, stream_of: Response, *, obfuscate: bool | None = None) -> None:
        if obfuscate is None:
            obfuscate = "stream_options" not in stream_of.request.echo
        self._responses = response.Encoder(stream_of.request)
        self._show = self._responses.show
        self._tails = _TAILS if obfuscate else _BARE_TAILS
        self._text_tails = _TEXT_TAILS if obfuscate else _BARE_TEXT_TAILS
        self._middle_of: tuple[_Delta, str, int] | None = None
        self._middle = b""

    def __call__(self, number: int, event: events.Event) -> bytes:
        if type(event) is events.TextDelta and not event.logprobs:
            delta = event.delta
            return b"".join(
                (
                    _TEXT_DELTA.start,
                    b"%d" % number,
                    self._before_delta(_TEXT_DELTA, event.item_id, event.index, event.part),
                    _encode(delta),
                    self._text_tails[-len(delta) % 16],
                )
            )
        return self._encode(number, event)

    def _encode(self, number: int, event: events.Event) -> bytes:
        match event:
            case events.TextDelta(index, item_id, part, delta, logprobs):
                tail = self._tails[-len(delta) % 16]
                shown = writing.spell_logprobs(logprobs) if self._show.logprobs else []
                before = self._before_delta(_TEXT_DELTA, item_id, index, part)
                return b"".join(
                    (
                        _TEXT_DELTA.start,
                        b"%d" % number,
                        before,
                        _encode(delta),
                        b',"logprobs":',
                        _encode(shown),
                        tail,
                    )
                )
            case events.ReasoningDelta(index, item_id, part, delta, kind):
                form = _REASONING_DELTA if kind == "text" else _SUMMARY_DELTA
                return self._delta(number, form, item_id, index, part, delta)
            case events.ArgumentsDelta(index, item_id, delta, call_form):
                return self._delta(number, _DELTAS[call_form], item_id, index, 0, delta)
            case events.RefusalDelta(index, item_id, part, delta):
                return self._delta(number, _REFUSAL_DELTA, item_id, index, part, delta)
            case events.ItemAdded(index, item):
                return _frame(_ITEM_ADDED, number, _ItemEvent(index, writing.spell(item, self._show)))
            case events.ItemDone(index, item):
                return _frame(_ITEM_DONE, number, _ItemEvent(index, writing.spell(item, self._show)))
            case events.PartAdded(index, item_id, part, content):
                shown_part = writing.spell_said(content, self._show)
                return _frame(_PART_ADDED, number, _PartEvent(item_id, index, part, shown_part))
            case events.PartDone(index, item_id, part, content):
                shown_part = writing.spell_said(content, self._show)
                return _frame(_PART_DONE, number, _PartEvent(item_id, index, part, shown_part))
            case events.TextDone(index, item_id, part, text, logprobs):
                shown = writing.spell_logprobs(logprobs) if self._show.logprobs else []
                return _frame(_TEXT_DONE, number, _TextDone(item_id, index, part, text, shown))
            case events.AnnotationAdded(index, item_id, part, annotation, place):
                body = _AnnotationAdded(item_id, index, part, place, annotation.data)
                return _frame(_ANNOTATION_ADDED, number, body)
            case events.RefusalDone(index, item_id, part, refusal):
                return _frame(_REFUSAL_DONE, number, _RefusalDone(item_id, index, part, refusal))
            case events.ReasoningPartAdded() | events.ReasoningDone() | events.ReasoningPartDone():
                return _reasoning(number, event)
            case events.ArgumentsDone(index, item_id, _, arguments, call_form):
                if call_form == "custom":
                    return _frame(_INPUT_DONE, number, _InputDone(item_id, index, arguments))
                start = _MCP_ARGUMENTS_DONE if call_form == "mcp" else _ARGUMENTS_DONE
                return _frame(start, number, _ArgumentsDone(item_id, index, arguments))
            case events.CallProgress(index, item_id, of, stage):
                return _frame(_progress(of, stage), number, _Told(item_id, index))
            case events.Created(begun):
                return _lifecycle(_CREATED, number, self._responses.encode_begun(begun))
            case events.Queued(begun):
                return _lifecycle(_QUEUED, number, self._responses.encode_begun(begun))
            case events.InProgress(begun):
                return _lifecycle(_IN_PROGRESS, number, self._responses.encode_begun(begun))
            case events.Failed(failure):
                error = errors.spell(failure)
                return _frame(_ERROR, number, _Error(error.code, error.message, error.param, error))
            case events.Finished(ended):
                return _lifecycle(_ending(ended), number, self._responses.encode_ended(ended))
            case (
                events.Called()
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
            case _:
                assert_never(event)

    def _delta(self, number: int, form: _Delta, item_id: str, index: int, part: int, delta: str) -> bytes:
        before = self._before_delta(form, item_id, index, part)
        return b"".join((form.start, b"%d" % number, before, _encode(delta), self._tails[-len(delta) % 16]))

    def _before_delta(self, form: _Delta, item_id: str, index: int, part: int) -> bytes:
        """What stands between the number and the delta: the same for all deltas of a part."""
        middle_of = (form, item_id, part)
        if middle_of != self._middle_of:
            place = f'"{form.place}":{part},' if form.place else ""
            said_id = _encode(item_id).decode()
            self._middle = f',"item_id":{said_id},"output_index":{index},{place}"delta":'.encode()
            self._middle_of = middle_of
        return self._middle


def _reasoning(
    number: int, event: events.ReasoningPartAdded | events.ReasoningDone | events.ReasoningPartDone
) -> bytes:
    text = "" if isinstance(event, events.ReasoningPartAdded) else event.text
    told = (event.item_id, event.index, event.part)
    if isinstance(event, events.ReasoningDone):
        if event.kind == "summary":
            return _frame(_SUMMARY_DONE, number, _SummaryTextDone(*told, text))
        return _frame(_REASONING_DONE, number, _ReasoningTextDone(*told, text))
    added = isinstance(event, events.ReasoningPartAdded)
    if event.kind == "summary":
        start = _SUMMARY_PART_ADDED if added else _SUMMARY_PART_DONE
        return _frame(start, number, _SummaryPartEvent(*told, writing.SummaryText(text)))
    start = _PART_ADDED if added else _PART_DONE
    return _frame(start, number, _PartEvent(*told, writing.ReasoningText(text)))


def _progress(of: str, stage: str) -> bytes:
    """OpenAI has no event for a search that failed, and clients break on what is not OpenAI's: the item says it."""
    stages = _PROGRESS[of]
    return stages.get(stage) or stages["completed" if stage == "failed" else "in_progress"]


def _ending(ended: Response) -> bytes:
    """OpenAI has no event for a cancelled end. As a failure every client notices that the answer is cut."""
    match ended.status:
        case "incomplete":
            return _INCOMPLETE
        case "failed" | "cancelled":
            return _FAILED
        case _:
            return _COMPLETED


def _frame(start: bytes, number: int, body: Struct) -> bytes:
    return b"".join((start, b"%d," % number, _encode(body)[1:], b"\n\n"))


def _lifecycle(start: bytes, number: int, written: bytes) -> bytes:
    return b"".join((start, b'%d,"response":' % number, written, _END))
