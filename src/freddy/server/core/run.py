"""The agent loop as data: what must happen next (`decide`), and what an event changes (`apply`). Pure.

A run is a fold over its recorded events, so a crashed run goes on from what was kept.
"""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import calls, deltas, errors, events, items, toolspec
from freddy.server.core.attempt import Attempt
from freddy.server.core.calls import Call
from freddy.server.core.response import Response, Status
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Shares, Usage


class Run(Struct, frozen=True, kw_only=True):
    """`context` is what the model reads before the output: history, then input. `model` is the name to ask for."""

    response: Response
    context: tuple[items.Item, ...]
    instructions: str | None = None
    model: str
    output: tuple[items.Item, ...] = ()
    turns: int = 0
    accounted: int = 0
    """How many items of the output are those of turns that have ended."""
    calls: tuple[Call, ...] = ()
    shares: Shares | None = None
    finish: deltas.FinishReason | None = None
    answered_by: str | None = None
    failure: errors.Failure | None = None
    cancelled: bool = False
    partial: bool = False
    provider: str = ""
    attempts: tuple[Attempt, ...] = ()
    warnings: tuple[str, ...] = ()
    live: bool = False
    cache_key: str | None = None

    @property
    def usage(self) -> Usage | None:
        return calls.used(self.calls)


class CallModel(Struct, frozen=True):
    turn: Turn


class Finish(Struct, frozen=True):
    """`response` has its end but for `completed_at`, which only a clock knows."""

    response: Response


Step: TypeAlias = CallModel | Finish


def decide(run: Run) -> Step:
    """What must happen next."""
    if run.cancelled or run.failure or run.finish:
        return Finish(_ended(run))
    return CallModel(_turn(run))


_CHANGING = frozenset((events.ItemDone, events.TurnDone, events.Failed, events.Cancelled))
"""The events that change a run; all others only tell how it goes."""


def apply(run: Run, event: events.Event) -> Run:
    """The run after the event. Only recorded events change it."""
    match event:
        case events.ItemDone(_, item):
            return replace(run, output=(*run.output, item))
        case events.TurnDone(finish, usage, model, choice, shares):
            asked = (*choice.calls, _call(run, choice, "completed", usage))
            run = _asked(run, asked, choice, shares)
            return replace(
                run,
                turns=run.turns + 1,
                accounted=len(run.output),
                finish=finish,
                answered_by=model or run.answered_by,
            )
        case events.Failed(failure, usage, choice, shares):
            return replace(_asked(run, _broken_off(run, choice, "failed", usage), choice, shares), failure=failure)
        case events.Cancelled(usage, choice, shares, partial):
            run = _asked(run, _broken_off(run, choice, "cancelled", usage), choice, shares)
            return replace(run, cancelled=True, partial=partial)
        case _:
            return run


def fold(run: Run, happened: Iterable[events.Event]) -> Run:
    """The run after the events."""
    for event in happened:
        if type(event) in _CHANGING:
            run = apply(run, event)
    return run


def counted(run: Run, happened: Iterable[events.Event]) -> Run:
    """The run with what the events say of calls and their usage, and with nothing else of them.

    For what has happened, and could not be kept or told.
    """
    after = fold(run, happened)
    return replace(
        run,
        calls=after.calls,
        accounted=len(run.output) if len(after.calls) > len(run.calls) else run.accounted,
        shares=after.shares,
        provider=after.provider,
        attempts=after.attempts,
    )


def _asked(run: Run, asked: tuple[Call, ...], choice: events.Choice, shares: Shares | None) -> Run:
    return replace(
        run,
        calls=run.calls + asked,
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


def _turn(run: Run) -> Turn:
    request = run.response.request
    usage = run.usage
    spent = usage.output_tokens if usage else 0
    limit = request.max_output_tokens
    return Turn(
        model=run.model,
        items=run.context + run.output,
        instructions=run.instructions,
        sampling=request.sampling,
        output=request.output,
        reasoning=request.reasoning,
        max_output_tokens=None if limit is None else max(1, limit - spent),
        tools=tuple(tool for tool in request.tools if isinstance(tool, toolspec.Function)),
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
        live=run.live,
        organization_id=run.response.organization_id,
        truncation=request.truncation,
        cache_key=run.cache_key,
    )


def _ended(run: Run) -> Response:
    status: Status = "completed"
    if run.cancelled:
        status = "cancelled"
    elif run.failure:
        status = "failed"
    elif run.finish in ("length", "content_filter"):
        status = "incomplete"
    return replace(
        run.response,
        status=status,
        model=run.answered_by or run.response.model,
        output=run.output,
        usage=run.usage,
        provider=run.provider or run.response.provider,
        cost=None if run.usage is None else calls.spent(run.calls),
        attempts=run.attempts,
        calls=run.calls,
        shares=run.shares,
        partial=run.partial,
        warnings=run.response.warnings + tuple(one for one in run.warnings if one not in run.response.warnings),
        failure=run.failure,
        incomplete_reason={"length": "max_output_tokens", "content_filter": "content_filter"}.get(run.finish or "")
        if status == "incomplete"
        else None,
    )
