"""Turns what a model says into items, telling each step: the only place where an item is half built."""

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, assert_never

import msgspec

from freddy.server.core import calls, deltas, events, ids, items
from freddy.server.core.attempt import Attempt
from freddy.server.core.calls import Call
from freddy.server.core.offers import Offer
from freddy.server.core.usage import Usage


class Transcript:
    """One turn. Feed it deltas until it is `done`; `index` is the place of its first item in the output.

    `turn` counts the turns of the response from 0; what asks for approval does so until `expires_at`, in Unix seconds.
    Some models count their calls anew in every turn: a `call_id` that is `taken` gives way to a new one.
    """

    def __init__(
        self,
        *,
        index: int,
        new_id: ids.NewId,
        offers: Iterable[Offer] = (),
        turn: int = 0,
        expires_at: int | None = None,
        taken: Collection[str] = (),
    ) -> None:
        self.finish: deltas.FinishReason | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.counted: Usage | None = None
        """What the vendor that is asked has counted so far."""
        self.tries = 0
        """How often it was told anew who is asked."""
        self._chosen = deltas.Chosen("")
        self._asking = False
        self._attempts: list[Attempt] = []
        self._in_vain: list[Call] = []
        self._began = index
        self._index = index
        self._new_id = new_id
        self._offers = {one.function.name: one for one in offers}
        self._turn = turn
        self._expires_at = expires_at
        self._taken = set(taken)
        self._open: _Message | _Reasoning | None = None
        self._calls: dict[int, _Call | _Hosted | _Asked] = {}
        self._waiting: list[_Message | _Reasoning] = []

    @property
    def done(self) -> bool:
        return self.finish is not None

    @property
    def choice(self) -> events.Choice:
        """Who was asked and who answered, as far as it is known."""
        chosen = self._chosen
        return events.Choice(
            chosen.provider,
            chosen.price,
            chosen.warnings,
            tuple(self._attempts),
            chosen.model,
            tuple(self._in_vain),
            self._asking,
            round(self._attempts[-1].seconds * 1000) if self.done and self._attempts else 0,
        )

    def feed(self, batch: Iterable[deltas.Delta]) -> list[events.Event]:
        told: list[events.Event] = []
        for delta in batch:
            match delta:
                case deltas.Text():
                    if type(self._open) is _Message and self._open.form == "text":
                        told.append(self._open.say(delta))
                    else:
                        told += self._message("text")
                        told += self._in_message(delta)
                case deltas.Answering(model):
                    self.model = model
                case deltas.Chosen():
                    self._chosen, self._asking, self.counted = delta, True, None
                    self.tries += 1
                case deltas.Tried():
                    self._tried(delta)
                case deltas.Counted(usage):
                    self.counted = usage
                case deltas.Stop(reason, usage):
                    told += self.close("incomplete" if reason in ("length", "content_filter") else "completed")
                    self.finish, self.usage = reason, usage
                    told.append(events.TurnDone(reason, usage, self.model, self.choice, began=self._began))
                case deltas.Refusal():
                    told += self._message("refusal")
                    told += self._in_message(delta)
                case deltas.Reasoning():
                    told += self._think(delta)
                case deltas.Signature(encrypted):
                    told += self._sign(encrypted)
                case deltas.ToolCall():
                    told += self._call(delta)
                case deltas.Annotated(annotation):
                    told += self._message("text")
                    if isinstance(self._open, _Message):
                        told.append(self._open.annotate(annotation))
                case deltas.Thinking(hidden):
                    told += self._begin_thinking(hidden=hidden)
                case deltas.Began(phase):
                    told += self._begin_message(phase)
                case _:
                    assert_never(delta)
        return told

    def close(self, status: items.Status) -> Iterator[events.Event]:
        """Ends what is open. Only the last item may be `incomplete`: the others were whole before it began."""
        made = [*self._calls.values()]
        begun: list[_Message | _Reasoning | _Call | _Hosted] = [
            *(call for call in made if not isinstance(call, _Asked)),
            *self._waiting,
        ]
        if self._open is not None:
            begun.append(self._open)
        begun.sort(key=lambda item: item.index)
        self._calls, self._waiting, self._open = {}, [], None
        for item in begun:
            # A call that nobody will answer ends with the turn that broke off, though it was whole.
            last = item is begun[-1] or isinstance(item, _Hosted)
            yield from item.close(status if last else "completed")
        if status != "completed":
            return  # nobody is asked about a call of a turn that was cut off
        for call in made:
            if isinstance(call, _Call) and call.approve:
                yield from _ask(self._place(), _with(self._request(call.call), call.arguments))
            elif isinstance(call, _Asked):
                yield from _ask(self._place(), call.whole)

    def _tried(self, tried: deltas.Tried) -> None:
        attempt = tried.attempt
        self._attempts.append(attempt)
        if not attempt.code:
            return
        self._asking, self.counted = tried.again, None
        self.tries += 1
        self._in_vain.append(
            calls.of_model(
                attempt.model,
                attempt.provider,
                "failed",
                usage=tried.usage,
                price=tried.price,
                milliseconds=round(attempt.seconds * 1000),
            )
        )

    def _place(self) -> int:
        place = self._index
        self._index += 1
        return place

    def _end_open(self) -> Iterator[events.Event]:
        for call in self._calls.values():
            # Vendors say one call after the other: what is told late is told before the next item.
            yield from call.begin()
        if self._open is None:
            return
        if self._calls:
            # Items are done in the order of their places, and a call before this one may go on.
            self._waiting.append(self._open)
        else:
            yield from self._open.close("completed")
        self._open = None

    def _message(self, form: str) -> Iterator[events.Event]:
        """Sees to it that a message with a part of this form is open."""
        if isinstance(self._open, _Message):
            yield from self._open.turn_to(form)
            return
        yield from self._begin_message(None)
        if isinstance(self._open, _Message):
            yield from self._open.turn_to(form)

    def _begin_message(self, phase: str | None) -> Iterator[events.Event]:
        yield from self._end_open()
        self._open = _Message(self._place(), self._new_id(ids.MESSAGE), phase)
        yield from self._open.begin()

    def _in_message(self, delta: deltas.Text | deltas.Refusal) -> Iterator[events.Event]:
        if isinstance(self._open, _Message):
            yield self._open.say(delta)

    def _think(self, delta: deltas.Reasoning) -> Iterator[events.Event]:
        if not isinstance(self._open, _Reasoning):
            yield from self._begin_thinking(hidden=delta.kind == "summary")
        if isinstance(self._open, _Reasoning):
            yield from self._open.think(delta)

    def _begin_thinking(self, *, hidden: bool) -> Iterator[events.Event]:
        yield from self._end_open()
        empty = items.Reasoning(
            id=self._new_id(ids.REASONING), status="in_progress", provider=self._chosen.provider, hidden=hidden
        )
        self._open = _Reasoning(self._place(), empty)
        yield from self._open.begin()

    def _sign(self, encrypted: str) -> Iterator[events.Event]:
        if not isinstance(self._open, _Reasoning):
            yield from self._begin_thinking(hidden=False)
        if isinstance(self._open, _Reasoning):
            self._open.encrypted = encrypted
        yield from self._end_open()

    def _call(self, delta: deltas.ToolCall) -> Iterator[events.Event]:
        call = self._calls.get(delta.index)
        if call is None:
            yield from self._end_open()
            call = self._calls[delta.index] = self._begun(delta.name or "", delta.call_id)
            yield from call.begin()
        if delta.arguments:
            yield from call.say(delta.arguments)

    def _begun(self, name: str, call_id: str | None) -> "_Call | _Hosted | _Asked":
        offer = self._offers.get(name)
        if offer is None or offer.work is None:
            function = offer.function if offer else None
            form = function.form if function else "function"
            item = items.FunctionCall(
                id=self._new_id(ids.CUSTOM_CALL if form == "custom" else ids.FUNCTION_CALL),
                call_id=self._call_id(call_id),
                name=name,
                arguments="",
                status="in_progress",
                form=form,
                namespace=function.namespace if function else None,
                turn=self._turn,
            )
            return _Call(self._place(), item, approve=offer is not None and offer.here and offer.approve)
        hosted = items.HostedCall(
            id=self._new_id(ids.MCP_CALL if isinstance(offer.work, items.Mcp) else ids.FILE_SEARCH),
            call_id=self._call_id(call_id),
            name=offer.name,
            arguments="",
            work=offer.work,
            offered=None if offer.name == name else name,
            turn=self._turn,
        )
        return _Asked(self._request(hosted)) if offer.approve else _Hosted(self._place(), hosted)

    def _call_id(self, given: str | None) -> str:
        call_id = given if given and given not in self._taken else self._new_id(ids.CALL)
        self._taken.add(call_id)
        return call_id

    def _request(self, call: items.FunctionCall | items.HostedCall) -> items.ApprovalRequest:
        hosted = call if isinstance(call, items.HostedCall) else None
        return items.ApprovalRequest(
            id=self._new_id(ids.APPROVAL_REQUEST),
            call_id=call.call_id,
            name=call.name,
            arguments="",
            server_label=hosted.work.server_label if hosted and isinstance(hosted.work, items.Mcp) else None,
            offered=hosted.offered if hosted else None,
            expires_at=self._expires_at,
            turn=self._turn,
        )


class _Message:
    """A message being written: at most one part of it is open."""

    def __init__(self, index: int, item_id: str, phase: str | None) -> None:
        self.form = ""
        self.index = index
        self._id = item_id
        self._phase = phase
        self._parts: list[items.Part] = []
        self._pieces: list[str] = []
        self._logprobs: list[items.Logprob] = []
        self._annotations: list[items.Annotation] = []

    def begin(self) -> Iterator[events.Event]:
        empty = items.Message(id=self._id, role="assistant", parts=(), status="in_progress", phase=self._phase)
        yield events.ItemAdded(self.index, empty)

    def turn_to(self, form: str) -> Iterator[events.Event]:
        if form == self.form:
            return
        yield from self._end_part()
        self.form = form
        empty = items.Text("") if form == "text" else items.Refusal("")
        yield events.PartAdded(self.index, self._id, len(self._parts), empty)

    def say(self, delta: deltas.Text | deltas.Refusal) -> events.Event:
        self._pieces.append(delta.text)
        part = len(self._parts)
        if isinstance(delta, deltas.Refusal):
            return events.RefusalDelta(self.index, self._id, part, delta.text)
        if delta.logprobs:
            self._logprobs += delta.logprobs
        return events.TextDelta(self.index, self._id, part, delta.text, delta.logprobs)

    def annotate(self, annotation: items.Annotation) -> events.Event:
        self._annotations.append(annotation)
        place = len(self._annotations) - 1
        return events.AnnotationAdded(self.index, self._id, len(self._parts), annotation, place)

    def close(self, status: items.Status) -> Iterator[events.Event]:
        yield from self._end_part()
        whole = items.Message(id=self._id, role="assistant", parts=tuple(self._parts), status=status, phase=self._phase)
        yield events.ItemDone(self.index, whole)

    def _end_part(self) -> Iterator[events.Event]:
        if not self.form:
            return
        text, part = "".join(self._pieces), len(self._parts)
        content: items.Text | items.Refusal
        if self.form == "text":
            logprobs = tuple(self._logprobs)
            content = items.Text(text, tuple(self._annotations), logprobs)
            yield events.TextDone(self.index, self._id, part, text, logprobs)
        else:
            content = items.Refusal(text)
            yield events.RefusalDone(self.index, self._id, part, text)
        yield events.PartDone(self.index, self._id, part, content)
        self._parts.append(content)
        self.form, self._pieces, self._logprobs, self._annotations = "", [], [], []


class _Reasoning:
    """A thinking being written. Texts and summaries are parts that are counted apart."""

    def __init__(self, index: int, empty: items.Reasoning) -> None:
        self.encrypted: str | None = None
        self.index = index
        self._empty = empty
        self._id = empty.id
        self._done: dict[events.ReasoningKind, list[str]] = {"text": [], "summary": []}
        self._kind: events.ReasoningKind | None = None
        self._part = 0
        self._pieces: list[str] = []

    def begin(self) -> Iterator[events.Event]:
        yield events.ItemAdded(self.index, self._empty)

    def think(self, delta: deltas.Reasoning) -> Iterator[events.Event]:
        if (delta.kind, delta.part) != (self._kind, self._part) or self._kind is None:
            yield from self._end_part()
            self._kind, self._part = delta.kind, delta.part
            yield events.ReasoningPartAdded(self.index, self._id, self._place, delta.kind)
        self._pieces.append(delta.text)
        yield events.ReasoningDelta(self.index, self._id, self._place, delta.text, delta.kind)

    def close(self, status: items.Status) -> Iterator[events.Event]:
        yield from self._end_part()
        whole = msgspec.structs.replace(
            self._empty,
            texts=tuple(self._done["text"]),
            summaries=tuple(self._done["summary"]),
            encrypted=self.encrypted,
            status=status,
            hidden=self._empty.hidden and not self._done["text"],
        )
        yield events.ItemDone(self.index, whole)

    @property
    def _place(self) -> int:
        return len(self._done[self._kind]) if self._kind else 0

    def _end_part(self) -> Iterator[events.Event]:
        if self._kind is None:
            return
        text, place = "".join(self._pieces), self._place
        yield events.ReasoningDone(self.index, self._id, place, text, self._kind)
        yield events.ReasoningPartDone(self.index, self._id, place, text, self._kind)
        self._done[self._kind].append(text)
        self._kind, self._pieces = None, []


class _Call:
    """A call being written. The input of a `custom` call is told whole: its JSON shell is taken off first."""

    def __init__(self, index: int, empty: items.FunctionCall, *, approve: bool = False) -> None:
        self.index = index
        self.approve = approve
        self.call = empty
        self._begun = False
        self._pieces: list[str] = []

    @property
    def arguments(self) -> str:
        return "".join(self._pieces) or "{}"

    def begin(self) -> Iterator[events.Event]:
        if not self._begun:
            self._begun = True
            yield events.ItemAdded(self.index, self.call)

    def say(self, arguments: str) -> Iterator[events.Event]:
        self._pieces.append(arguments)
        if self.call.form == "function":
            yield events.ArgumentsDelta(self.index, self.call.id, arguments)

    def close(self, status: items.Status) -> Iterator[events.Event]:
        call = self.call
        arguments = "".join(self._pieces)
        if call.form == "custom":
            arguments = custom_input(arguments)
            yield events.ArgumentsDelta(self.index, call.id, arguments, call.form)
        elif not arguments and status == "completed":
            arguments = "{}"
            yield events.ArgumentsDelta(self.index, call.id, arguments)
        yield events.ArgumentsDone(self.index, call.id, call.name, arguments, call.form)
        yield events.ItemDone(self.index, msgspec.structs.replace(call, arguments=arguments, status=status))


class _Hosted:
    """A call of a hosted tool being written: its arguments are told whole, and who answers it tells its end."""

    def __init__(self, index: int, empty: items.HostedCall) -> None:
        self.index = index
        self._empty = empty
        self._begun = False
        self._pieces: list[str] = []

    def begin(self) -> Iterator[events.Event]:
        if not self._begun:
            self._begun = True
            yield from begin_hosted(self.index, self._empty)

    def say(self, arguments: str) -> Iterator[events.Event]:
        self._pieces.append(arguments)
        yield from ()

    def close(self, status: items.Status) -> Iterator[events.Event]:
        call = msgspec.structs.replace(self._empty, arguments="".join(self._pieces) or "{}")
        if status == "completed":
            yield from call_hosted(self.index, call)
        else:
            yield events.ItemDone(self.index, msgspec.structs.replace(call, status="incomplete"))


def begin_hosted(index: int, empty: items.HostedCall) -> Iterator[events.Event]:
    """`empty` is the call as far as it is known: its arguments are told later."""
    yield events.ItemAdded(index, empty)
    yield events.CallProgress(index, empty.id, kind_of(empty), "in_progress")


def call_hosted(index: int, call: items.HostedCall) -> Iterator[events.Event]:
    """The call is whole."""
    if isinstance(call.work, items.Mcp):
        yield events.ArgumentsDelta(index, call.id, call.arguments, "mcp")
        yield events.ArgumentsDone(index, call.id, call.name, call.arguments, "mcp")
    yield events.Called(index, call)


def kind_of(call: items.HostedCall) -> Literal["mcp_call", "file_search"]:
    match call.work:
        case items.Mcp():
            return "mcp_call"
        case items.FileSearch():
            return "file_search"
        case _:
            assert_never(call.work)


class _Asked:
    """A call that needs approval. It is told behind all calls, once it is whole: its id says what was asked."""

    def __init__(self, empty: items.ApprovalRequest) -> None:
        self._empty = empty
        self._pieces: list[str] = []

    def begin(self) -> Iterator[events.Event]:
        return iter(())

    def say(self, arguments: str) -> Iterator[events.Event]:
        self._pieces.append(arguments)
        return iter(())

    @property
    def whole(self) -> items.ApprovalRequest:
        return _with(self._empty, "".join(self._pieces))


def _with(empty: items.ApprovalRequest, arguments: str) -> items.ApprovalRequest:
    return msgspec.structs.replace(empty, arguments=arguments or "{}")


def _ask(index: int, request: items.ApprovalRequest) -> Iterator[events.Event]:
    yield events.ItemAdded(index, request)
    yield events.ItemDone(index, request)


class _CustomArguments(msgspec.Struct):
    input: str


def custom_arguments(text: str) -> str:
    """The JSON arguments that carry a custom call's free text to a model that knows only functions."""
    return msgspec.json.encode(_CustomArguments(text)).decode()


def custom_input(arguments: str) -> str:
    """The free text of a custom call; arguments that are not `{"input": text}` are the text themselves."""
    try:
        return msgspec.json.decode(arguments, type=_CustomArguments).input
    except msgspec.DecodeError:
        return arguments
