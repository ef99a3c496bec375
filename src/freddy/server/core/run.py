"""The agent loop as data: what must happen next (`decide`), and what an event changes (`apply`). Pure.

A run is a fold over its recorded events, so a crashed run goes on from what was kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import calls, compaction, deltas, errors, events, items, offers, reading, toolspec
from freddy.server.core.attempt import Attempt
from freddy.server.core.calls import Call
from freddy.server.core.offers import Offer
from freddy.server.core.response import IncompleteReason, Response, Status
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Shares, Usage

MAX_TOOL_CALLS: Final = 20
"""Of tools that this server runs, in one response, where nobody says how many."""


class Run(Struct, frozen=True, kw_only=True):
    """`context` is what the model reads before the output: history, then input. `model` is the name to ask for.

    `offers` are what the model may call; not `opened`, there are more of them to be looked up. `began` is the place in
    the output where the last turn began. `parallel`: the model may make several calls at once, and they are run so.
    `answers` are those of the input, to requests for approval, that nothing was done about before.

    `live`: it is told as it goes. `early`: it is kept from its beginning on, told or not.

    `begun`: its beginning was told. `doubtful` are the ids of calls that a process had begun which is gone: nobody
    knows whether they were made.
    """

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
    early: bool = False
    cache_key: str | None = None
    offers: tuple[Offer, ...] = ()
    opened: bool = True
    began: int = 0
    parallel: bool = False
    answers: tuple[items.ApprovalAnswer, ...] = ()
    compaction: "compaction.Limits | None" = None
    """Where the conversation is to be shortened."""
    aside: int = 0
    """Output tokens that went to summaries, and to turns that were lost: they count for no limit of the answer."""
    begun: bool = False
    doubtful: frozenset[str] = frozenset()
    asking: events.Choice | None = None
    """Of the turn or summary under way, who is asked."""

    @property
    def usage(self) -> Usage | None:
        return calls.used(self.calls)


class OpenTools(Struct, frozen=True):
    """Look up what the tools of the request can do."""


class Compact(Struct, frozen=True):
    """Shorten the conversation, and do nothing else."""


class CallModel(Struct, frozen=True):
    """Before that the conversation is shortened, where it is too long for the `compaction` of the run."""

    turn: Turn


class Settled(Struct, frozen=True):
    """A request for approval that was answered: with `approve` its call is made, else that is said in its place."""

    request: items.ApprovalRequest
    approve: bool
    reason: str | None = None


class Settle(Struct, frozen=True):
    """Take up what the caller has answered."""

    answers: tuple[Settled, ...]


class AskAgain(Struct, frozen=True):
    """Ask whether these calls are to be made: they may have been, and must not be made twice."""

    calls: tuple[items.HostedCall | items.FunctionCall, ...]


class CallTools(Struct, frozen=True):
    """Answer these calls of tools that this server runs. Those in `refused` are more than may be called."""

    calls: tuple[items.HostedCall | items.FunctionCall, ...]
    refused: tuple[items.HostedCall | items.FunctionCall, ...] = ()
    parallel: bool = False


class Finish(Struct, frozen=True):
    """`response` has its end but for `completed_at`, which only a clock knows."""

    response: Response


Step: TypeAlias = OpenTools | Compact | Settle | AskAgain | CallModel | CallTools | Finish


def decide(run: Run) -> Step:
    """What must happen next."""
    if run.cancelled or run.failure or run.finish in ("length", "content_filter"):
        return Finish(_ended(run))
    if run.compaction is not None and run.compaction.at_once:
        return Finish(_ended(run)) if any(map(compaction.is_own, run.output)) else Compact()
    if not run.opened:
        return OpenTools()
    if not _works(run):
        return Finish(_ended(run)) if run.turns else CallModel(next_turn(run))
    if answers := tuple(_unsettled(run)):
        return Settle(answers)
    if waiting := tuple(_waiting(run)):
        if doubtful := tuple(call for call in waiting if call.id in run.doubtful and _once(run, call)):
            return AskAgain(doubtful)
        left = max(0, most_calls(run) - len(_made(run)))
        return CallTools(waiting[:left], waiting[left:], parallel=run.parallel and len(waiting) > 1)
    if (run.turns and _over(run)) or _asked_again(run):
        return Finish(_ended(run))
    return CallModel(next_turn(run))


_CHANGING = frozenset(
    (
        events.Called,
        events.Withdrawn,
        events.ItemDone,
        events.ToolsOpened,
        events.ToolDone,
        events.Asked,
        events.TurnLost,
        events.Compacted,
        events.TurnDone,
        events.Failed,
        events.Cancelled,
    )
)
"""The events that change a run; all others only tell how it goes."""


def apply(run: Run, event: events.Event) -> Run:
    """The run after the event. But for `ToolsOpened`, only recorded events change it."""
    match event:
        case events.ItemDone(index, item) | events.Called(index, item) | events.Withdrawn(index, item):
            return replace(run, output=(*run.output[:index], item, *run.output[index + 1 :]))
        case events.TurnDone(finish, usage, model, choice, shares, began):
            asked = (*choice.calls, _call(run, choice, "completed", usage))
            run = _asked(run, asked, choice, shares)
            return replace(
                run,
                turns=run.turns + 1,
                accounted=len(run.output),
                began=began,
                finish=finish,
                answered_by=model or run.answered_by,
            )
        case events.ToolsOpened(opened):
            return replace(run, offers=opened, opened=True)
        case events.ToolDone(call):
            return replace(run, calls=(*run.calls, call))
        case events.Asked(choice):
            return replace(run, asking=choice)
        case events.TurnLost(usage, choice):
            run = _asked(run, _broken_off(run, choice, "failed", usage), choice, None)
            return replace(run, aside=run.aside + usage.output_tokens)
        case events.Compacted(usage, model, choice, written):
            asked = (*choice.calls, _call(run, choice, "completed", usage)) if written else choice.calls
            aside = sum(call.usage.output_tokens for call in asked)
            run = _asked(run, asked, choice, None)
            return replace(
                run, accounted=len(run.output), aside=run.aside + aside, answered_by=run.answered_by or model
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
        asking=after.asking,
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


def _works(run: Run) -> bool:
    """Whether there may be something to be done here besides asking the model once."""
    # Asked in every step, mostly of a run that has none of this.
    return bool(
        run.answers
        or (run.offers and any(one.here for one in run.offers))
        # Of a server that is away nothing is offered; what the model calls of it all the same is not the caller's.
        or any(isinstance(one, toolspec.Mcp) for one in run.response.request.tools)
    )


def _unsettled(run: Run) -> Iterator[Settled]:
    """The answers that nothing was done about yet."""
    if not run.answers:
        return
    context = compaction.opened(run.context)
    asked = {item.id: item for item in context if isinstance(item, items.ApprovalRequest)}
    taken = {item.approval_id for item in run.output if isinstance(item, items.HostedCall)}
    answered = {item.call_id for item in (*run.context, *run.output) if isinstance(item, items.FunctionOutput)}
    for answer in run.answers:
        request = asked.get(answer.request_id)
        if request is None:
            continue
        if request.server_label is not None:
            # What was denied is read where the request stands.
            if answer.approve and request.id not in taken:
                yield Settled(request, approve=True)
        elif not answer.approve and request.call_id not in answered:
            yield Settled(request, approve=False, reason=answer.reason)


def _waiting(run: Run) -> Iterator[items.HostedCall | items.FunctionCall]:
    """Calls that nobody has answered: of tools that this server runs, and of functions that nobody has."""
    offered = {one.function.name: one for one in run.offers if one.work is None}
    answered = {item.call_id for item in (*run.context, *run.output) if isinstance(item, items.FunctionOutput)}
    answered |= {item.call_id for item in run.output if isinstance(item, items.ApprovalRequest)}
    for call in approved_functions(run):
        if call.call_id not in answered:
            yield call
    for item in run.output:
        if isinstance(item, items.HostedCall):
            if item.status == "in_progress":
                yield item
        elif isinstance(item, items.FunctionCall) and item.call_id not in answered:
            offer = offered.get(item.name)
            mine = offer is None or (offer.here and not offer.approve)
            if mine and item.status == "completed":
                yield item


def unanswered(run: Run) -> frozenset[str]:
    """The ids of the calls that may have been begun, and have no answer."""
    return frozenset(call.id for call in _waiting(run))


def _once(run: Run, call: items.HostedCall | items.FunctionCall) -> bool:
    """Whether the tool must not be called twice. What somebody approved was one call."""
    if isinstance(call, items.HostedCall):
        if call.approval_id is not None:
            return True
        meant = (one.once for one in run.offers if one.work is not None and _is_of(one, call))
    else:
        if any(call.id == approved.id for approved in approved_functions(run)):
            return True
        meant = (one.once for one in run.offers if one.work is None and one.function.name == call.name)
    return any(meant)


def _is_of(offer: Offer, call: items.HostedCall) -> bool:
    if offer.name != call.name:
        return False
    if isinstance(offer.work, items.Mcp) and isinstance(call.work, items.Mcp):
        return offer.work.server_label == call.work.server_label
    return type(offer.work) is type(call.work)


def _asked_again(run: Run) -> bool:
    return bool(run.doubtful) and any(isinstance(item, items.ApprovalRequest) for item in run.output[run.accounted :])


def approved_functions(run: Run) -> Iterator[items.FunctionCall]:
    """Calls of functions that an earlier response asked approval for, and the input grants."""
    granted = {answer.request_id for answer in run.answers if answer.approve}
    if not granted:
        return
    context = compaction.opened(run.context)
    meant = {
        item.call_id: item
        for item in context
        if isinstance(item, items.ApprovalRequest) and item.id in granted and item.server_label is None
    }
    for item in context:
        asked = meant.get(item.call_id) if isinstance(item, items.FunctionCall) else None
        if asked is not None and isinstance(item, items.FunctionCall) and item.name == asked.name:
            # What was approved is what the request says: the call may come back changed, or twice.
            del meant[item.call_id]
            yield replace(item, arguments=asked.arguments)


def call_ids(run: Run) -> frozenset[str]:
    """Those of all calls that the model reads of."""
    said = (*run.context, *run.output)
    return frozenset(
        item.call_id for item in said if isinstance(item, items.FunctionCall | items.HostedCall | items.ApprovalRequest)
    )


def most_calls(run: Run) -> int:
    asked = run.response.request.max_tool_calls
    return MAX_TOOL_CALLS if asked is None else asked


def _made(run: Run) -> list[items.Item]:
    """The answered calls of tools that this server runs."""
    return [
        item
        for item in run.output
        if (isinstance(item, items.HostedCall) and item.status != "in_progress")
        or (isinstance(item, items.FunctionOutput) and item.source is not None)
    ]


def _over(run: Run) -> bool:
    """Whether the last turn was the last: it called nothing here, or what it called must be answered by the caller."""
    last = run.output[run.began : run.accounted]
    if _asks_caller(run, last):
        return True
    called = [item for item in last if isinstance(item, items.HostedCall | items.FunctionCall)]
    if not called:
        return True
    limit = run.response.request.max_output_tokens
    if limit is not None and _spent(run) >= limit:
        return True
    # It was told that there is nothing more to be called, and called all the same.
    return len(_made(run)) - len(called) > most_calls(run)


def _asks_caller(run: Run, said: Sequence[items.Item]) -> bool:
    of_caller = {one.function.name for one in run.offers if not one.here}
    return any(
        isinstance(item, items.ApprovalRequest) or (isinstance(item, items.FunctionCall) and item.name in of_caller)
        for item in said
    )


def next_turn(run: Run) -> Turn:
    """What the model is asked, where there is nothing else to be done before."""
    request = run.response.request
    spent = _spent(run)
    limit = request.max_output_tokens
    return Turn(
        model=run.model,
        items=reading.readable(compaction.current(run.context, run.output)),
        instructions=run.instructions,
        sampling=request.sampling,
        output=request.output,
        reasoning=request.reasoning,
        max_output_tokens=None if limit is None else max(1, limit - spent),
        tools=tuple(one.function for one in run.offers),
        tool_choice=_choice(run),
        parallel_tool_calls=run.parallel,
        live=run.live,
        organization_id=run.response.organization_id,
        truncation=request.truncation,
        cache_key=run.cache_key,
    )


def _spent(run: Run) -> int:
    """Output tokens of the answer so far."""
    return run.usage.output_tokens - run.aside if run.usage else 0


def _choice(run: Run) -> toolspec.ToolChoice:
    """What must be called was called once; and where no more may be called here, the model must do without."""
    wanted = run.response.request.tool_choice
    choice = offers.choice(wanted, run.offers)
    if not _works(run):
        return choice
    made = len(_made(run))
    if made and choice != "none":
        if isinstance(wanted, toolspec.Allowed) and isinstance(choice, toolspec.Allowed):
            choice = replace(choice, mode="auto")
        else:
            choice = "auto"
    return offers.of_caller_alone(choice, run.offers) if made >= most_calls(run) else choice


def _ended(run: Run) -> Response:
    status: Status = "completed"
    reason: IncompleteReason | None = None
    if run.cancelled:
        status = "cancelled"
    elif run.failure:
        status = "failed"
    elif reason := _incomplete(run):
        status = "incomplete"
    elif any(isinstance(item, items.ApprovalRequest) for item in run.output):
        status = "requires_action"
    return replace(
        run.response,
        status=status,
        model=run.answered_by or run.response.model,
        output=tuple(_closed(item) for item in run.output) if _works(run) else run.output,
        usage=run.usage,
        provider=run.provider or run.response.provider,
        cost=None if run.usage is None else calls.spent(run.calls),
        attempts=run.attempts,
        calls=run.calls,
        shares=run.shares,
        partial=run.partial,
        warnings=run.response.warnings + tuple(one for one in run.warnings if one not in run.response.warnings),
        failure=run.failure,
        incomplete_reason=reason if status == "incomplete" else None,
    )


def _closed(item: items.Item) -> items.Item:
    """A call that nobody will answer any more is not in progress."""
    if isinstance(item, items.HostedCall) and item.status == "in_progress":
        return replace(item, status="incomplete")
    return item


def _incomplete(run: Run) -> IncompleteReason | None:
    if run.finish == "length":
        return "max_output_tokens"
    if run.finish == "content_filter":
        return "content_filter"
    # Calls were answered, and there was nothing left to read the answers with.
    limit = run.response.request.max_output_tokens
    if limit is None or run.usage is None or _spent(run) < limit or not run.output:
        return None
    unread = isinstance(run.output[-1], items.HostedCall | items.FunctionOutput)
    return "max_output_tokens" if unread and not _asks_caller(run, run.output[run.began : run.accounted]) else None
