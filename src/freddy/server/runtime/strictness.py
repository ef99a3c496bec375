"""Sees to it that calls of strict functions have arguments that fit: nobody is handed a call that does not."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from freddy.server.core import deltas, errors, items, schemas, toolspec
from freddy.server.core.attempt import Attempt
from freddy.server.core.deltas import Delta
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.ports.model import Enforcing, Model
from freddy.server.runtime import estimate, forms

ASKED_AGAIN: Final = "invalid arguments, asked again"
"""The note of a try whose calls the model was shown, with their faults, to make them better."""

Answering: TypeAlias = Callable[[Model, Turn], AsyncGenerator[Sequence[Delta], None]]


def strictly(model: Model, turn: Turn, answering: Answering) -> AsyncGenerator[Sequence[Delta], None]:
    """The model's answer, as `answering` gives it. Raises as that does, and `errors.InvalidOutput`.

    Where the provider sees to schemas itself, calls are told as they come. Elsewhere they are held back until they are
    known to be good, and the model is asked once more when they are not: `Tried` tells of that.
    """
    # Of a function that runs here the model is told what is wrong, and goes on from that.
    mine = (tool for tool in turn.tools if tool.strict and not tool.hosted)
    strict = {tool.name: tool for tool in mine if tool.form == "function" and tool.parameters}
    # An enforcing model sees to answers, and to calls only where it must make one.
    if not strict or (model.profile.schemas and not isinstance(model, Enforcing)):
        return answering(model, turn)
    return _held(model, turn, answering, strict)


async def _held(
    model: Model, turn: Turn, answering: Answering, strict: Mapping[str, toolspec.Function]
) -> AsyncGenerator[Sequence[Delta], None]:
    first = _Calls()
    try:
        async with aclosing(answering(model, turn)) as answer:
            async for batch in answer:
                if told := first.hear(batch):
                    yield told
    except errors.FreddyError as error:
        error.usage = first.taken(turn, error.usage)
        raise
    faults = first.faults(strict)
    if not faults:
        yield first.ending()
        return
    used = first.usage or estimate.usage(turn, first.as_items)
    left = None if turn.max_output_tokens is None else turn.max_output_tokens - used.output_tokens
    if left is not None and left < used.output_tokens:
        raise _invalid(model, faults, used)
    attempt = Attempt(model.profile.provider, turn.model, code=errors.InvalidOutput.default_code, note=ASKED_AGAIN)
    yield [deltas.Tried(attempt, used, model.profile.price, again=True)]
    again = replace(turn, items=(*turn.items, *first.as_items, *first.complaints(faults)), max_output_tokens=left)
    second = _Calls()
    try:
        async with aclosing(answering(model, again)) as answer:
            async for batch in answer:
                if told := second.hear(batch):
                    yield told
    except errors.FreddyError as error:
        error.usage = second.taken(again, error.usage)
        raise
    if faults := second.faults(strict):
        raise _invalid(model, faults, second.usage or estimate.usage(again, second.as_items))
    yield second.ending()


class _Calls:
    """The calls of an answer, which are kept back until its end; all else is told at once."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[deltas.ToolCall]] = {}
        self._kept: list[Delta] = []
        self._stop: deltas.Stop | None = None
        self._texts: list[str] = []

    @property
    def usage(self) -> Usage | None:
        return self._stop.usage if self._stop else None

    def hear(self, batch: Sequence[Delta]) -> list[Delta]:
        told: list[Delta] = []
        for delta in batch:
            if isinstance(delta, deltas.ToolCall):
                self._pieces.setdefault(delta.index, []).append(delta)
                self._kept.append(delta)
            elif isinstance(delta, deltas.Stop):
                self._stop = delta
            elif self._kept:
                # What follows a call is told after it.
                self._kept.append(delta)
            else:
                told.append(delta)
            if isinstance(delta, deltas.Text):
                self._texts.append(delta.text)
        return told

    def taken(self, turn: Turn, told: Usage | None) -> Usage | None:
        """What it took, where it broke off in a call: nobody else heard of that."""
        return estimate.completed(turn, self.as_items, told) if self._pieces or told is not None else None

    def ending(self) -> list[Delta]:
        return [*self._kept, self._stop] if self._stop else self._kept

    def faults(self, strict: Mapping[str, toolspec.Function]) -> dict[int, str]:
        """What is wrong with the arguments of each call that was not cut off."""
        if self._stop is None or self._stop.reason in ("length", "content_filter"):
            return {}
        told: dict[int, str] = {}
        for index, call in self._whole().items():
            function = strict.get(call.name)
            if function is None or function.parameters is None:
                continue
            if faults := forms.unfit_arguments(_closed(function.parameters), call.arguments or "{}"):
                told[index] = "; ".join(faults)
        return told

    @property
    def as_items(self) -> tuple[items.Readable, ...]:
        text = "".join(self._texts)
        said = (items.Message("msg_faulty", "assistant", (items.Text(text),)),) if text.strip() else ()
        return (*said, *self._whole().values())

    def complaints(self, faults: Mapping[int, str]) -> tuple[items.Readable, ...]:
        """An answer to each call: none of them was made."""
        return tuple(
            items.FunctionOutput(
                f"fco_faulty_{index}",
                call.call_id,
                (items.Text(_complaint(faults.get(index))),),
                name=call.name,
            )
            for index, call in self._whole().items()
        )

    def _whole(self) -> dict[int, items.FunctionCall]:
        return {
            index: items.FunctionCall(
                id=f"fc_faulty_{index}",
                call_id=next((piece.call_id for piece in pieces if piece.call_id), f"call_faulty_{index}"),
                name=next((piece.name for piece in pieces if piece.name), ""),
                arguments="".join(piece.arguments for piece in pieces),
            )
            for index, pieces in self._pieces.items()
        }


def _closed(parameters: Raw) -> Raw:
    told = msgspec.json.decode(parameters)
    return Raw(msgspec.json.encode(schemas.closed(told))) if isinstance(told, dict) else parameters


def _complaint(fault: str | None) -> str:
    if fault is None:
        return "This call was not made, since another one beside it cannot be used: make it again with the others."
    return f"This call was not made: its arguments do not fit the function's parameters ({fault}). Make it again."


def _invalid(model: Model, faults: Mapping[int, str], usage: Usage) -> errors.InvalidOutput:
    return errors.InvalidOutput(
        f"{model.profile.provider} called a function with arguments that do not fit its parameters",
        details="; ".join(faults.values()),
        usage=usage,
    )
