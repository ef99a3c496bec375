"""What OpenAI's Responses API says, whole or streamed, as deltas. Pure.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec

from freddy.server.core import deltas, errors, items, transcript
from freddy.server.core.usage import Usage
from freddy.server.providers import _failures
from freddy.server.providers.openai import seal
from freddy.server.providers.openai.envelope import Unwrapping

_DONE = b"[DONE]"
_NULL = b"null"

_Kind: TypeAlias = Literal["text", "refusal", "summary", "thought"]
_Place: TypeAlias = tuple[int, _Kind, int]
"""An item's place in the output, and that of a part in it."""


class _TopLogprob(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    bytes: tuple[int, ...] | None = None


class _Logprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top_logprobs: list[_TopLogprob] | None = None


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None
    logprobs: list[_Logprob] | None = None


class _Item(msgspec.Struct):
    """An item of the output. `content` and `summary` are only read of kinds that are known."""

    type: str
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    encrypted_content: str | None = None
    phase: str | None = None


class _Type(msgspec.Struct):
    type: str = ""


class _Error(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None
    type: str | None = None
    param: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    status: str | None = None
    model: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: _Usage | None = None
    error: _Error | None = None
    incomplete_details: _Incomplete | None = None


class _Told(msgspec.Struct):
    """An event about the whole response."""

    response: _Response


class _OfItem(msgspec.Struct):
    item: msgspec.Raw
    output_index: int = 0


class _OfPart(msgspec.Struct):
    """An event about a part: `delta`, or at its end the whole under a name of its kind."""

    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    logprobs: list[_Logprob] | None = None


class _OfCall(msgspec.Struct):
    output_index: int = 0
    delta: str | None = None
    arguments: str | None = None
    input: str | None = None


class _OfAnnotation(msgspec.Struct):
    output_index: int = 0
    content_index: int = 0
    annotation: msgspec.Raw = msgspec.Raw(_NULL)


class _ErrorEvent(msgspec.Struct):
    """OpenAI writes the error inside `error`, its published type beside it."""

    error: _Error | None = None
    message: str | None = None
    code: str | int | None = None
    param: str | None = None


class _Whole(msgspec.Struct):
    object: str = ""
    error: msgspec.Raw = msgspec.Raw(_NULL)


class _Call:
    """A call being heard: a function's arguments go on as they come, the input of a custom tool is gathered."""

    def __init__(self, index: int, form: items.CallForm) -> None:
        self.index = index
        self.form = form
        self.told = 0
        self.done = False
        self.pieces: list[str] = []


_KINDS: dict[str, _Kind] = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_summary_text": "summary",
    "response.reasoning_text": "thought",
}

_type = msgspec.json.Decoder(_Type)
_whole = msgspec.json.Decoder(_Whole)
_response = msgspec.json.Decoder(_Response)
_told = msgspec.json.Decoder(_Told)
_item = msgspec.json.Decoder(_Item)
_of_item = msgspec.json.Decoder(_OfItem)
_of_part = msgspec.json.Decoder(_OfPart)
_of_call = msgspec.json.Decoder(_OfCall)
_of_annotation = msgspec.json.Decoder(_OfAnnotation)
_error_event = msgspec.json.Decoder(_ErrorEvent)


class Reader:
    """One answer of the vendor called `name`. `Stop` is only said by `close`, once the vendor has said how it ended.

    `enveloped` tells that the text was asked for inside an object made for the choice between several schemas.
    """

    def __init__(self, name: str, *, enveloped: bool = False) -> None:
        self._name = name
        self._unwrapping = Unwrapping() if enveloped else None
        self._model: str | None = None
        self._reason: deltas.FinishReason | None = None
        self._usage: Usage | None = None
        self._error: errors.FreddyError | None = None
        self._heard: dict[_Place, int] = {}
        self._annotated: dict[tuple[int, int], int] = {}
        self._calls: dict[int, _Call] = {}
        self._signed: set[int] = set()
        self._opened: set[int] = set()
        self.done = False
        """Whether the vendor said that nothing more comes."""

    @property
    def whole(self) -> bool:
        """Whether the answer is, as far as it was read."""
        return self._reason is not None and self._error is None

    @property
    def counted(self) -> Usage | None:
        """Told at the end alone, also of what has failed."""
        return self._usage

    def read(self, payloads: Iterable[bytes]) -> list[deltas.Delta]:
        """What was said up to an error, if there is one: `close` raises it."""
        said: list[deltas.Delta] = []
        for payload in payloads:
            if self.done:
                break
            if payload == _DONE:
                self.done = True
                break
            try:
                self._event(payload, said)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                unreadable = errors.ProviderFailed(f"{self._name} answered what is not a response")
                unreadable.__cause__ = error
                self._fail(unreadable)
        return said

    def close(self) -> deltas.Stop:
        """Raises what the vendor reports as its error, and `errors.ProviderFailed` for what is not an event.

        The same when the vendor never said how the response ended: a cut answer is no answer.
        """
        if self._error is not None:
            raise self._error
        if self._reason is None:
            raise errors.ProviderFailed(f"{self._name} broke off in the middle of its answer")
        return deltas.Stop(self._reason, self._usage)

    def _event(self, payload: bytes, said: list[deltas.Delta]) -> None:
        match _type.decode(payload).type:
            case (
                "response.output_text.delta"
                | "response.refusal.delta"
                | "response.reasoning_summary_text.delta"
                | "response.reasoning_text.delta"
                | "response.output_text.done"
                | "response.refusal.done"
                | "response.reasoning_summary_text.done"
                | "response.reasoning_text.done"
            ) as kind:
                self._part(_KINDS[kind.rpartition(".")[0]], _of_part.decode(payload), said)
            case (
                "response.function_call_arguments.delta"
                | "response.function_call_arguments.done"
                | "response.custom_tool_call_input.delta"
                | "response.custom_tool_call_input.done"
            ):
                self._arguments(_of_call.decode(payload), said)
            case "response.output_text.annotation.added":
                remark = _of_annotation.decode(payload)
                self._annotate((remark.output_index, remark.content_index), remark.annotation, said)
            case "response.output_item.added":
                of = _of_item.decode(payload)
                self._begin(of.output_index, of.item, said)
            case "response.output_item.done":
                of = _of_item.decode(payload)
                self._end(of.output_index, of.item, said)
            case "response.completed" | "response.incomplete" | "response.failed" as kind:
                self._ended(kind.removeprefix("response."), _told.decode(payload).response, said)
            case "response.created" | "response.in_progress":
                self._answering(_told.decode(payload).response.model, said)
            case "error":
                told = _error_event.decode(payload)
                self._fail(self._failure(told.error or _Error(told.message, told.code, None, told.param)))
            case "":
                self._one_piece(payload, said)
            case _:
                pass

    def _one_piece(self, payload: bytes, said: list[deltas.Delta]) -> None:
        """The whole answer, or an error without a name."""
        whole = _whole.decode(payload)
        if whole.object == "response":
            response = _response.decode(payload)
            self._ended(response.status, response, said)
        elif bytes(whole.error) != _NULL:
            self._fail(_failures.in_stream(self._name, payload))
        else:
            self._fail(errors.ProviderFailed(f"{self._name} answered what is not a response"))

    def _answering(self, model: str | None, said: list[deltas.Delta]) -> None:
        if model and self._model is None:
            self._model = model
            said.append(deltas.Answering(model))

    def _part(self, kind: _Kind, of: _OfPart, said: list[deltas.Delta]) -> None:
        place = (of.output_index, kind, of.summary_index if kind == "summary" else of.content_index)
        if of.delta is not None:
            self._say(place, of.delta, of.logprobs, said)
        else:
            self._rest(place, of.refusal if kind == "refusal" else of.text, of.logprobs, said)

    def _say(self, place: _Place, piece: str, logprobs: list[_Logprob] | None, said: list[deltas.Delta]) -> None:
        if not piece:
            return
        self._heard[place] = self._heard.get(place, 0) + len(piece)
        index, kind, part = place
        self._open(index, deltas.Began() if kind in ("text", "refusal") else _thinking(kind), said)
        match kind:
            case "refusal":
                said.append(deltas.Refusal(piece))
            case "summary":
                said.append(deltas.Reasoning(piece, "summary", part))
            case "thought":
                said.append(deltas.Reasoning(piece, "text", part))
            case "text" if self._unwrapping is not None:
                if inner := self._unwrapping.feed(piece):
                    said.append(deltas.Text(inner))
            case "text":
                said.append(deltas.Text(piece, tuple(_logprobs(logprobs)) if logprobs else ()))

    def _rest(
        self, place: _Place, whole: str | None, logprobs: list[_Logprob] | None, said: list[deltas.Delta]
    ) -> None:
        """What of a part that ended was not told before: all of it, where no deltas came."""
        heard = self._heard.get(place, 0)
        if whole is not None and len(whole) > heard:
            self._say(place, whole[heard:], logprobs if not heard else None, said)
        if place[1] == "text" and self._unwrapping is not None and (inner := self._unwrapping.close()):
            said.append(deltas.Text(inner))

    def _open(self, index: int, begun: deltas.Began | deltas.Thinking, said: list[deltas.Delta]) -> None:
        """Tells that the item of this place begins, once: its announcement may be missing."""
        if index not in self._opened:
            self._opened.add(index)
            said.append(begun)

    def _annotate(self, place: tuple[int, int], data: msgspec.Raw, said: list[deltas.Delta]) -> None:
        if bytes(data) == _NULL:
            return
        self._annotated[place] = self._annotated.get(place, 0) + 1
        said.append(deltas.Annotated(items.Annotation(_type.decode(data).type, msgspec.Raw(bytes(data)))))

    def _begin(self, index: int, raw: msgspec.Raw, said: list[deltas.Delta]) -> None:
        match _type.decode(raw).type:
            case "message":
                self._open(index, deltas.Began(_item.decode(raw).phase), said)
            case "reasoning":
                self._open(index, deltas.Thinking(hidden=not _item.decode(raw).content), said)
            case "function_call" | "custom_tool_call":
                self._call(index, _item.decode(raw), said)
            case _:
                pass

    def _end(self, index: int, raw: msgspec.Raw, said: list[deltas.Delta]) -> None:
        """Tells what of an item was not told before: all of it, when the answer comes in one piece."""
        match _type.decode(raw).type:
            case "message":
                item = _item.decode(raw)
                self._open(index, deltas.Began(item.phase), said)
                for at, part in enumerate(item.content or ()):
                    if part.type == "output_text":
                        self._rest((index, "text", at), part.text, part.logprobs, said)
                        for remark in (part.annotations or ())[self._annotated.get((index, at), 0) :]:
                            self._annotate((index, at), remark, said)
                    elif part.type == "refusal":
                        self._rest((index, "refusal", at), part.refusal, None, said)
            case "reasoning":
                item = _item.decode(raw)
                self._open(index, deltas.Thinking(hidden=not item.content), said)
                for at, part in enumerate(item.summary or ()):
                    self._rest((index, "summary", at), part.text, None, said)
                for at, part in enumerate(item.content or ()):
                    self._rest((index, "thought", at), part.text, None, said)
                if item.encrypted_content and item.id and index not in self._signed:
                    self._signed.add(index)
                    said.append(deltas.Signature(seal.close(self._name, item.id, item.encrypted_content)))
            case "function_call" | "custom_tool_call":
                item = _item.decode(raw)
                call = self._call(index, item, said)
                self._call_done(call, item.input if call.form == "custom" else item.arguments, said)
            case _:
                pass

    def _call(self, index: int, item: _Item, said: list[deltas.Delta]) -> _Call:
        call = self._calls.get(index)
        if call is None:
            form: items.CallForm = "custom" if item.type == "custom_tool_call" else "function"
            call = self._calls[index] = _Call(len(self._calls), form)
            said.append(deltas.ToolCall(call.index, "", item.name or "", item.call_id or None))
        return call

    def _arguments(self, of: _OfCall, said: list[deltas.Delta]) -> None:
        call = self._calls.get(of.output_index)
        if call is None:
            return  # Nobody said what is called: the end of the item does.
        if of.delta is None:
            self._call_done(call, of.input if call.form == "custom" else of.arguments, said)
        elif call.form == "custom":
            call.pieces.append(of.delta)
        elif of.delta:
            call.told += len(of.delta)
            said.append(deltas.ToolCall(call.index, of.delta))

    def _call_done(self, call: _Call, whole: str | None, said: list[deltas.Delta]) -> None:
        if call.done:
            return
        if call.form == "custom":
            # Inside, a custom tool's text travels as the arguments of a function.
            call.done = True
            text = "".join(call.pieces) if whole is None else whole
            said.append(deltas.ToolCall(call.index, transcript.custom_arguments(text)))
        elif whole is not None and len(whole) > call.told:
            said.append(deltas.ToolCall(call.index, whole[call.told :]))
            call.told = len(whole)

    def _ended(self, status: str | None, response: _Response, said: list[deltas.Delta]) -> None:
        self.done = True
        self._answering(response.model, said)
        if not self._heard and not self._calls and not self._signed:
            for index, raw in enumerate(response.output or ()):
                self._end(index, raw, said)
        for call in self._calls.values():
            self._call_done(call, None, said)
        if response.usage is not None:
            self._usage = _counted(response.usage)
        match status:
            case "completed":
                self._reason = "tool_calls" if self._calls else "stop"
            case "incomplete":
                filtered = response.incomplete_details and response.incomplete_details.reason == "content_filter"
                self._reason = "content_filter" if filtered else "length"
            case "failed":
                self._fail(self._failure(response.error or _Error()))
            case _:
                self._fail(errors.ProviderFailed(f"{self._name} left its answer unfinished"))
        if self._unwrapping is not None and (inner := self._unwrapping.close()):
            said.append(deltas.Text(inner))

    def _fail(self, error: errors.FreddyError) -> None:
        self._error, self.done = error, True

    def _failure(self, told: _Error) -> errors.FreddyError:
        body = {"message": told.message or "", "type": told.type, "code": told.code, "param": told.param}
        return _failures.in_stream(self._name, msgspec.json.encode({"error": body}))


def _thinking(kind: _Kind) -> deltas.Thinking:
    return deltas.Thinking(hidden=kind == "summary")


def _logprobs(logprobs: Iterable[_Logprob]) -> Iterator[items.Logprob]:
    for one in logprobs:
        top = tuple(items.TopLogprob(t.token, t.logprob, t.bytes or ()) for t in one.top_logprobs or ())
        yield items.Logprob(one.token, one.logprob, one.bytes or (), top)


def _counted(usage: _Usage) -> Usage:
    read = usage.input_tokens_details or _InputDetails()
    written = usage.output_tokens_details or _OutputDetails()
    return Usage(
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cached_tokens=read.cached_tokens or 0,
        cache_write_tokens=read.cache_write_tokens or 0,
        reasoning_tokens=written.reasoning_tokens or 0,
    )
