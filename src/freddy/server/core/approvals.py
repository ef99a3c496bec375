"""Owns which answers to requests for approval are still to be taken up. Pure."""

from collections.abc import Iterator, Sequence
from itertools import islice

from freddy.server.core import items


def fresh(given: Sequence[items.Item]) -> tuple[items.ApprovalAnswer, ...]:
    """The answers of an input that nothing was done about yet.

    A caller may hand back a whole conversation, with the answers of long ago: what was approved has its call beside it
    then, or its output, and behind what was denied the model has gone on.
    """
    answers = [place for place, item in enumerate(given) if isinstance(item, items.ApprovalAnswer)]
    if not answers:
        return ()
    made = {item.approval_id for item in given if isinstance(item, items.HostedCall)}
    answered = {item.call_id for item in given if isinstance(item, items.FunctionOutput)}
    made.update(
        item.id
        for item in given
        if isinstance(item, items.ApprovalRequest) and item.server_label is None and item.call_id in answered
    )
    return tuple(_fresh(given, answers, made))


def _fresh(
    given: Sequence[items.Item], answers: Sequence[int], made: set[str | None]
) -> Iterator[items.ApprovalAnswer]:
    for place in answers:
        answer = given[place]
        assert isinstance(answer, items.ApprovalAnswer)
        if answer.request_id in made:
            continue
        if answer.approve or not any(map(_said_by_model, islice(given, place + 1, None))):
            yield answer


def _said_by_model(item: items.Item) -> bool:
    match item:
        case items.Message(role="assistant") | items.Reasoning() | items.FunctionCall() | items.HostedCall():
            return True
        case _:
            return False
