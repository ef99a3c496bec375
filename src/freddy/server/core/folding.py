"""What an event changes in a run. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from freddy.server.core import calls, events
from freddy.server.core.calls import Call
from freddy.server.core.run import Run
from freddy.server.core.usage import Shares, Usage


def fold(run: Run, happened: Iterable[events.Event]) -> Run:
    """The run after the events. Most of them only tell how it goes, and change nothing."""
    for event in happened:
        if (change := _CHANGES.get(type(event))) is not None:
            run = change(run, event)
    return run


def counted(run: Run, happened: Iterable[events.Event]) -> Run:
    """The run with what the events say of calls and their usage, and with nothing else of them.

    For what has happened, and could not be kept or told.
    """
    after = fold(run, happened)
    return replace(
        run,
        calls=after.calls,
        asking=after.asking,
        # Where the turn is charged for, its items must not be estimated again.
        accounted=len(run.output) if len(after.calls) > len(run.calls) else run.accounted,
        shares=after.shares,
        provider=after.provider,
        attempts=after.attempts,
    )


def _asked(run: Run, asked: tuple[Call, ...], choice: events.Choice, shares: Shares | None) -> Run:
    return replace(
        run,
        calls=run.calls + asked,
        asking=None,
        shares=run.shares.plus(shares) if run.shares and shares else shares or run.shares,
        provider=choice.provider or run.provider,
        attempts=run.attempts + choice.attempts,
        warnings=run.warnings + tuple(one for one in choice.warnings if one not in run.warnings),
    )


def _call(run: Run, choice: events.Choice, status: calls.Outcome, usage: Usage | None) -> Call:
    return calls.of_model(
        choice.model or run.model,
        choice.provider or run.provider or run.response.provider,
        status,
        usage=usage,
        price=choice.price,
        milliseconds=choice.milliseconds,
    )


def _broken_off(run: Run, choice: events.Choice, status: calls.Outcome, usage: Usage | None) -> tuple[Call, ...]:
    """The calls of a turn that did not end. A run has one at least, whatever became of it."""
    before = choice.calls
    if choice.asking or not (before or run.calls) or (usage and not before):
        return (*before, _call(run, choice, status, usage))
    if usage is None:
        return before
    # Nobody counted what broke off, and it was said to be over before it was estimated.
    last = replace(before[-1], usage=usage, cost=calls.cost(usage, choice.price))
    return (*before[:-1], last)


def _placed(run: Run, event: events.ItemDone | events.Called | events.Withdrawn) -> Run:
    index = event.index
    return replace(run, output=(*run.output[:index], event.item, *run.output[index + 1 :]))


def _turn_done(run: Run, event: events.TurnDone) -> Run:
    choice = event.choice
    asked = (*choice.calls, _call(run, choice, "completed", event.usage))
    return replace(
        _asked(run, asked, choice, event.shares),
        turns=run.turns + 1,
        accounted=len(run.output),
        turn_at=event.began,
        finish=event.finish,
        answered_by=event.model or run.answered_by,
    )


def _tools_opened(run: Run, event: events.ToolsOpened) -> Run:
    return replace(run, offers=event.offers, opened=True)


def _tool_done(run: Run, event: events.ToolDone) -> Run:
    return replace(run, calls=(*run.calls, event.call))


def _is_asked(run: Run, event: events.Asked) -> Run:
    return replace(run, asking=event.choice)


def _turn_lost(run: Run, event: events.TurnLost) -> Run:
    spent = _asked(run, _broken_off(run, event.choice, "failed", event.usage), event.choice, None)
    return replace(spent, aside=run.aside + (event.usage.output_tokens if event.usage else 0))


def _compacted(run: Run, event: events.Compacted) -> Run:
    choice = event.choice
    asked = (*choice.calls, _call(run, choice, "completed", event.usage)) if event.written else choice.calls
    return replace(
        _asked(run, asked, choice, None),
        accounted=len(run.output),
        aside=run.aside + sum(call.usage.output_tokens for call in asked),
        answered_by=run.answered_by or event.model,
    )


def _failed(run: Run, event: events.Failed) -> Run:
    asked = _broken_off(run, event.choice, "failed", event.usage)
    return replace(_asked(run, asked, event.choice, event.shares), failure=event.failure)


def _cancelled(run: Run, event: events.Cancelled) -> Run:
    asked = _broken_off(run, event.choice, "cancelled", event.usage)
    return replace(_asked(run, asked, event.choice, event.shares), cancelled=True, partial=event.partial)


_CHANGES: Final[Mapping[type, Callable[[Run, Any], Run]]] = {
    events.ItemDone: _placed,
    events.Called: _placed,
    events.Withdrawn: _placed,
    events.TurnDone: _turn_done,
    events.ToolsOpened: _tools_opened,
    events.ToolDone: _tool_done,
    events.Asked: _is_asked,
    events.TurnLost: _turn_lost,
    events.Compacted: _compacted,
    events.Failed: _failed,
    events.Cancelled: _cancelled,
}
CHANGING: Final = frozenset(_CHANGES)
"""The events that change a run."""
