"""Turns what was said and done into what a model reads: calls that were answered here are those of functions. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from freddy.server.core import items
from freddy.server.core.offers import plain_name

_PLAIN: Final = (items.Message, items.Reasoning, items.FunctionOutput, items.Other)
DENIED: Final = "The user did not approve this call. Do not repeat it: go on without it, or ask what to do."


def readable(said: Sequence[items.Item]) -> tuple[items.Readable, ...]:
    """Calls of one turn stand together, before their outputs: the model made them at once.

    A call that nobody answered, and a call of a function that waits for an approval, are left out.
    """
    if all(type(item) in _PLAIN for item in said):
        return tuple(said)  # type: ignore[arg-type]
    answered = {item.call_id for item in said if isinstance(item, items.FunctionOutput)}
    unapproved = {
        item.call_id for item in said if isinstance(item, items.ApprovalRequest) and item.server_label is None
    } - answered
    denied = _denied(said)
    told: list[items.Readable] = []
    outputs: list[items.FunctionOutput] = []
    turn: int | None = None
    for item in said:
        match item:
            case items.HostedCall():
                if outputs and item.turn != turn:
                    told += outputs
                    outputs = []
                turn = item.turn
                if item.status in ("completed", "failed"):
                    call, output = as_function(item)
                    told.append(call)
                    outputs.append(output)
            case items.ApprovalRequest(id=id_):
                if id_ in denied and item.server_label is not None:
                    told.append(_call_of(item))
                    outputs.append(_refusal(item, denied[id_]))
            case items.FunctionCall(call_id=call_id):
                if call_id not in unapproved:
                    told.append(item)
            case items.McpTools() | items.ApprovalAnswer():
                continue
            case items.Message() | items.Reasoning() | items.FunctionOutput() | items.Other():
                told += outputs
                outputs = []
                told.append(item)
            case _:
                assert_never(item)
    return (*told, *outputs)


def as_function(call: items.HostedCall) -> tuple[items.FunctionCall, items.FunctionOutput]:
    name = call.offered or plain_name(call.name)
    parts = call.parts if call.error is None else (items.Text(f"Error: {call.error}"), *call.parts)
    return (
        items.FunctionCall(id=call.id, call_id=call.call_id, name=name, arguments=call.arguments),
        items.FunctionOutput(id=call.id, call_id=call.call_id, parts=parts or (items.Text(""),), name=name),
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
