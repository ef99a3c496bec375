"""Sees to it that an answer which must have a form has it: nobody is told that one is complete and does not."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from freddy.server.core import deltas, errors, items
from freddy.server.core.attempt import Attempt
from freddy.server.core.deltas import Delta
from freddy.server.core.request import Output
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.ports.model import Enforcing, Model
from freddy.server.runtime import estimate, forms

ASKED_AGAIN: Final = "invalid output, asked again"
"""The note of a try whose answer the model was shown, with its faults, to make it better."""

_ABOUT = (deltas.Answering, deltas.Tried, deltas.Chosen, deltas.Counted)
_WORDS = (deltas.Began, deltas.Text, deltas.Annotated)


def conforming(model: Model, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
    """The model's answer, of the form that the turn asks for. Raises like `Model.stream`, and `errors.InvalidOutput`.

    Where the provider guarantees the form the answer is told as it comes and looked at once more when it ends. An
    `Enforcing` model says so of each turn; what a `Profile` says counts for `forms.common` schemas, since none keeps
    all rules. Elsewhere the text is held back until it is known to be good, and the model is asked once more when it
    is not; `Tried` tells of that. While a text is held back, `Answering` is said again and again as a sign of life.

    What was cut off is incomplete and is not looked at; neither are calls and refusals, which are no answers.
    """
    return _seen_to(model, turn) if _strict(turn.output) else model.stream(turn)


def _strict(output: Output) -> bool:
    return output.mode == "json" or any(schema.strict for schema in output.schemas)


async def _seen_to(model: Model, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
    answering = _live(model, turn) if await _guaranteed(model, turn) else _held(model, turn)
    async with aclosing(answering) as answer:
        async for batch in answer:
            yield batch


async def _guaranteed(model: Model, turn: Turn) -> bool:
    if isinstance(model, Enforcing):
        return await model.enforces(turn)
    if turn.output.mode == "json":
        return model.profile.json
    return model.profile.schemas and forms.common(turn.output)


async def _live(model: Model, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
    said = _Said()
    async with aclosing(model.stream(turn)) as answer:
        async for batch in answer:
            said.hear(batch)
            if said.stop is not None and said.answers and (faults := said.faults(turn.output)):
                if len(batch) > 1:
                    yield batch[:-1]
                raise _invalid(model, faults, said.stop.usage)
            yield batch


async def _held(model: Model, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
    first = _Said()
    try:
        async with aclosing(_held_back(model, turn, first)) as telling:
            async for batch in telling:
                yield batch
    except errors.FreddyError as error:
        error.usage = first.taken(turn, error.usage)
        raise
    if (ending := first.ending(turn.output)) is not None:
        if ending:
            yield ending
        return
    faults, used = first.faults(turn.output), first.usage
    if (left := _left(turn, used)) == 0:
        raise _invalid(model, faults, used)
    used = used or estimate.usage(turn, first.as_items)
    attempt = Attempt(model.profile.provider, turn.model, code=errors.InvalidOutput.default_code, note=ASKED_AGAIN)
    yield [deltas.Tried(attempt, used, model.profile.price, again=True)]
    again = replace(turn, items=(*turn.items, *first.as_items, _complaint(faults)), max_output_tokens=left)
    second = _Said()
    try:
        async with aclosing(_held_back(model, again, second)) as telling:
            async for batch in telling:
                yield batch
    except errors.FreddyError as error:
        # What was wrong with the first answer is what there is to say.
        raise _invalid(model, faults, second.taken(again, error.usage)) from error
    used = second.usage or estimate.usage(again, second.as_items)
    if (ending := second.ending(turn.output)) is None:
        raise _invalid(model, second.faults(turn.output), used)
    if ending:
        last = ending[-1]
        # What was held back is counted by what was said, not by the little that is told of it.
        yield [*ending[:-1], replace(last, usage=used)] if isinstance(last, deltas.Stop) else ending


async def _held_back(model: Model, turn: Turn, said: "_Said") -> AsyncGenerator[Sequence[Delta], None]:
    """What may be told before the end."""
    async with aclosing(model.stream(turn)) as answer:
        async for batch in answer:
            if told := said.hear(batch) or said.sign_of_life:
                yield told


def _left(turn: Turn, used: Usage | None) -> int | None:
    """What a second answer may take of the tokens that the caller allows: 0 where it would not have room."""
    if turn.max_output_tokens is None or used is None:
        return turn.max_output_tokens
    left = turn.max_output_tokens - used.output_tokens
    return left if left >= used.output_tokens else 0


def _complaint(faults: Sequence[str]) -> items.Message:
    listed = "\n".join(f"- {fault}" for fault in faults)
    told = (
        f"Your answer cannot be used:\n{listed}\n"
        "Give the whole answer again with this put right. Write the JSON alone: no words before or after it, "
        "and no code block around it."
    )
    return items.Message("msg_faults", "user", (items.Text(told),))


def _invalid(model: Model, faults: Sequence[str], usage: Usage | None) -> errors.InvalidOutput:
    return errors.InvalidOutput(
        f"The answer of {model.profile.provider} does not have the form that was asked for",
        details="; ".join(faults),
        usage=usage,
    )


class _Said:
    """An answer so far. It is kept back from its first word on, unless it turns out to be none."""

    def __init__(self) -> None:
        self.stop: deltas.Stop | None = None
        self._messages: list[list[str]] = []
        self._kept: list[Delta] = []
        self._keeps = False
        self._let_go = False
        self._answering: deltas.Answering | None = None

    def hear(self, batch: Sequence[Delta]) -> list[Delta]:
        """What of this may be told at once; never the last delta, `Stop`."""
        told: list[Delta] = []
        for delta in batch:
            match delta:
                case deltas.Stop():
                    self.stop = delta
                    continue
                case deltas.Answering():
                    self._answering = delta
                case deltas.Began():
                    self._messages.append([])
                case deltas.Text(text):
                    if not self._messages:
                        self._messages.append([])
                    self._messages[-1].append(text)
                case deltas.ToolCall() | deltas.Refusal():
                    told += self._kept
                    self._kept, self._let_go = [], True
                case _:
                    pass
            self._keeps = self._keeps or isinstance(delta, _WORDS)
            if self._let_go or not self._keeps or isinstance(delta, _ABOUT):
                told.append(delta)
            else:
                self._kept.append(delta)
        return told

    @property
    def sign_of_life(self) -> Sequence[Delta]:
        return [self._answering] if self._answering else []

    @property
    def answers(self) -> bool:
        """Whether it is over, and an answer: neither cut off, nor a call or a refusal."""
        return self.stop is not None and self.stop.reason == "stop" and not self._let_go

    @property
    def usage(self) -> Usage | None:
        return self.stop.usage if self.stop else None

    def taken(self, turn: Turn, told: Usage | None) -> Usage | None:
        """What it took, where it broke off after its first word: whoever hears nothing of it cannot tell."""
        said = self.as_items
        return estimate.completed(turn, said, told) if said or told is not None else None

    @property
    def as_items(self) -> tuple[items.Item, ...]:
        text = "".join(self._texts)
        return (items.Message("msg_faulty", "assistant", (items.Text(text),)),) if text.strip() else ()

    def faults(self, output: Output) -> tuple[str, ...]:
        """What is wrong with its form. Messages before the last one may be talk."""
        texts = self._texts
        faults = forms.faults(output, "".join(texts))
        return () if faults and len(texts) > 1 and not forms.faults(output, texts[-1]) else faults

    def ending(self, output: Output) -> Sequence[Delta] | None:
        """What is left to tell; None where it is an answer that does not have the form, with words around or not."""
        if self.stop is None:
            return self._kept
        if not self.answers or not self.faults(output):
            return [*self._kept, self.stop]
        whole = "".join(self._texts)
        if (place := forms.inside(output, whole)) is None:
            return None
        others = [delta for delta in self._kept if not isinstance(delta, _WORDS)]
        return [*others, deltas.Text(whole[slice(*place)], self._logprobs(whole, *place)), self.stop]

    @property
    def _texts(self) -> Sequence[str]:
        """One for each message."""
        return [text for pieces in self._messages if (text := "".join(pieces))]

    def _logprobs(self, whole: str, start: int, end: int) -> tuple[items.Logprob, ...]:
        """Of the tokens in this place; none where the tokens are not those of the text."""
        logprobs = [one for delta in self._kept if isinstance(delta, deltas.Text) for one in delta.logprobs]
        if "".join(one.token for one in logprobs) != whole:
            return ()
        told, at = [], 0
        for one in logprobs:
            begins, at = at, at + len(one.token)
            if begins < end and at > start:
                told.append(one)
        return tuple(told)
