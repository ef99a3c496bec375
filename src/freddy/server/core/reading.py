"""Turns what was said and done into what a model reads: calls that were answered here are those of functions. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from freddy.server.core import compaction, items
from freddy.server.core.offers import plain_name

_PLAIN: Final = frozenset((items.Message, items.Reasoning, items.FunctionOutput, items.Other))
_SOURCE: Final = "hosted"
DENIED: Final = "The user did not approve this call. Do not repeat it: go on without it, or ask what to do."


def readable(said: Sequence[items.Item]) -> tuple[items.Readable, ...]:
    """Calls of one turn stand together, before their outputs: the model made them at once.

    A call that nobody answered, and a call of a function that waits for an approval, are left out. The output of one
    that was approved or denied later stands where those of the other calls of its turn do: vendors want it there.
    """
    if _PLAIN.issuperset(map(type, said)) and not any(map(items.is_broken_off, said)):
        return tuple(said)  # type: ignore[arg-type]
    asked = {item.call_id for item in said if isinstance(item, items.ApprovalRequest) and item.server_label is None}
    late = {item.call_id: item for item in said if isinstance(item, items.FunctionOutput) and item.call_id in asked}
    # Some models count their calls anew in every answer: each output is for one call of its id.
    outputs = Counter(item.call_id for item in said if isinstance(item, items.FunctionOutput))
    denied = _denied(said)
    telling = _Telling()
    for item in said:
        match item:
            case items.HostedCall(status=("completed" | "failed"), turn=turn):
                telling.call(turn, *as_function(item))
            case items.ApprovalRequest(id=id_, turn=turn) if id_ in denied and item.server_label is not None:
                telling.call(turn, _call_of(item), _refusal(item, denied[id_]))
            case items.FunctionCall() if items.is_broken_off(item):
                continue
            case items.FunctionCall(call_id=call_id, turn=turn) if call_id not in asked:
                if outputs[call_id] > 0:
                    telling.call(turn, item)
                outputs[call_id] -= 1
            case items.FunctionCall(call_id=call_id, turn=turn) if call_id in late:
                telling.call(turn, item, late.pop(call_id))
            case items.FunctionOutput(call_id=call_id) if call_id in asked and call_id not in late:
                continue  # it was told with its call
            case items.Message() | items.Reasoning() | items.FunctionOutput() | items.Other():
                if not items.is_broken_off(item):
                    telling.other(item)
            case items.ApprovalAnswer():
                telling.flush()  # what was called behind it was not called with what stands before it
            case items.Compaction():
                if item.sealed or item.summary:  # else it was broken off
                    telling.other(compaction.spoken(item))
            case items.McpTools() | items.HostedCall() | items.ApprovalRequest() | items.FunctionCall():
                continue
            case _:
                assert_never(item)
    telling.flush()
    return tuple(telling.told)


class _Telling:
    """`told` so far; the outputs of the calls of the last `turn` wait for the others of that turn."""

    def __init__(self) -> None:
        self.told: list[items.Readable] = []
        self._outputs: list[items.FunctionOutput] = []
        self._turn: int | None = None

    def call(self, turn: int, call: items.FunctionCall, *outputs: items.FunctionOutput) -> None:
        if turn != self._turn:
            self.flush()
        self._turn = turn
        self.told.append(call)
        self._outputs += outputs

    def other(self, item: items.Readable) -> None:
        self.flush()
        self.told.append(item)

    def flush(self) -> None:
        self.told += self._outputs
        self._outputs.clear()


def as_function(call: items.HostedCall) -> tuple[items.FunctionCall, items.FunctionOutput]:
    name = call.offered or plain_name(call.name)
    parts = call.parts if call.error is None else (items.Text(f"Error: {call.error}"), *call.parts)
    return (
        items.FunctionCall(id=call.id, call_id=call.call_id, name=name, arguments=call.arguments),
        items.FunctionOutput(
            id=call.id, call_id=call.call_id, parts=parts or (items.Text(""),), name=name, source=_SOURCE
        ),
    )


def _denied(said: Iterable[items.Item]) -> dict[str, str | None]:
    """The requests that were denied, with the reason that was given."""
    answers = (item for item in said if isinstance(item, items.ApprovalAnswer))
    return {answer.request_id: answer.reason for answer in answers if not answer.approve}


def _call_of(asked: items.ApprovalRequest) -> items.FunctionCall:
    name = asked.offered or plain_name(asked.name)
    return items.FunctionCall(id=asked.id, call_id=asked.call_id, name=name, arguments=asked.arguments)


def _refusal(asked: items.ApprovalRequest, reason: str | None) -> items.FunctionOutput:
    return items.FunctionOutput(
        id=asked.id,
        call_id=asked.call_id,
        parts=(items.Text(denial(reason)),),
        name=asked.offered or plain_name(asked.name),
    )


def denial(reason: str | None) -> str:
    """What the model reads in the place of an output."""
    return f"{DENIED} The reason given: {reason}" if reason else DENIED
