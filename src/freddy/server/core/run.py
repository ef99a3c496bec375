"""The agent loop as data: what must happen next (`decide`), and what an event changes (`apply`). Pure.

A run is a fold over its recorded events, so a crashed run goes on from what was kept.
"""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import deltas, errors, events, items, toolspec
from freddy.server.core.attempt import Attempt
from freddy.server.core.response import Response, Status
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage


class Run(Struct, frozen=True, kw_only=True):
    """`context` is what the model reads before the output: history, then input. `model` is the name to ask for."""

    response: Response
    context: tuple[items.Item, ...]
    instructions: str | None = None
    model: str
    output: tuple[items.Item, ...] = ()
    turns: int = 0
    usage: Usage | None = None
    finish: deltas.FinishReason | None = None
    answered_by: str | None = None
    failure: errors.Failure | None = None
    cancelled: bool = False
    provider: str = ""
    cost: float | None = None
    attempts: tuple[Attempt, ...] = ()
    warnings: tuple[str, ...] = ()
    live: bool = False
    cache_key: str | None = None


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
        case events.TurnDone(finish, usage, model, choice):
            run = _asked(run, usage, choice)
            return replace(run, turns=run.turns + 1, finish=finish, answered_by=model or run.answered_by)
        case events.Failed(failure, usage, choice):
            return replace(_asked(run, usage, choice), failure=failure)
        case events.Cancelled(usage, choice):
            return replace(_asked(run, usage, choice), cancelled=True)
        case _:
            return run


def fold(run: Run, happened: Iterable[events.Event]) -> Run:
    """The run after the events."""
    for event in happened:
        if type(event) in _CHANGING:
            run = apply(run, event)
    return run


def _asked(run: Run, usage: Usage | None, choice: events.Choice) -> Run:
    cost = choice.price.cost(usage) if choice.price is not None and usage is not None else None
    return replace(
        run,
        usage=_added(run.usage, usage),
        provider=choice.provider or run.provider,
        # Where one turn has no price, the sum of the others would not be the cost of the run.
        cost=cost if run.turns == 0 else None if run.cost is None or cost is None else run.cost + cost,
        attempts=run.attempts + choice.attempts,
        warnings=run.warnings + tuple(one for one in choice.warnings if one not in run.warnings),
    )


def _added(before: Usage | None, more: Usage | None) -> Usage | None:
    return before.plus(more) if before and more else before or more


def _turn(run: Run) -> Turn:
    request = run.response.request
    spent = run.usage.output_tokens if run.usage else 0
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
        cost=run.cost,
        attempts=run.attempts,
        warnings=run.response.warnings + tuple(one for one in run.warnings if one not in run.response.warnings),
        failure=run.failure,
        incomplete_reason={"length": "max_output_tokens", "content_filter": "content_filter"}.get(run.finish or "")
        if status == "incomplete"
        else None,
    )
