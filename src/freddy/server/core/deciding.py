"""The agent loop as data: what must happen next in a run. Pure."""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import compaction, items, offers, reading, toolspec
from freddy.server.core.ending import ended
from freddy.server.core.offers import Offer
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.core.turn import Turn


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
    """What must happen next.

    First what ends it whatever is open: a stop, a failure, an answer that was cut off. Then what the caller has
    answered, then the calls that wait for an answer of this server, and only then the model, if it has not said its
    last word. With no calls left to be made, those that wait are told so in `CallTools.refused`.
    """
    if run.cancelled or run.failure or run.finish in ("length", "content_filter"):
        return Finish(ended(run))
    if run.compaction is not None and run.compaction.at_once:
        return Finish(ended(run)) if any(map(compaction.is_own, run.output)) else Compact()
    if not run.opened:
        return OpenTools()
    if not run.works:  # what follows would come to the same, with more ado
        return Finish(ended(run)) if run.turns else CallModel(next_turn(run))
    if answers := tuple(_unsettled(run)):
        return Settle(answers)
    if waiting := tuple(_waiting(run)):
        if doubtful := tuple(call for call in waiting if call.id in run.doubtful and _once(run, call)):
            return AskAgain(doubtful)
        left = max(0, run.most_calls - len(run.made))
        return CallTools(waiting[:left], waiting[left:], parallel=run.parallel and len(waiting) > 1)
    if (run.turns and _over(run)) or _asked_again(run):
        return Finish(ended(run))
    return CallModel(next_turn(run))


def next_turn(run: Run) -> Turn:
    """What the model is asked, where there is nothing else to be done before."""
    request = run.response.request
    spent = run.spent
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
        if not isinstance(item, items.FunctionCall):
            continue
        asked = meant.get(item.call_id)
        if asked is not None and asked.id in granted and item.name == asked.name:
            # What was approved is one call, as its request says it: both may come back changed, or several times.
            granted.discard(asked.id)
            yield replace(item, arguments=asked.arguments)


def _over(run: Run) -> bool:
    """Whether the last turn was the last: it called nothing here, or what it called must be answered by the caller."""
    if run.asks_caller(run.last_turn):
        return True
    called = [item for item in run.last_turn if isinstance(item, items.HostedCall | items.FunctionCall)]
    if not called:
        return True
    limit = run.response.request.max_output_tokens
    if limit is not None and run.spent >= limit:
        return True
    # It was told that there is nothing more to be called, and called all the same.
    return len(run.made) - len(called) > run.most_calls


def _choice(run: Run) -> toolspec.ToolChoice:
    """What must be called was called once; and where no more may be called here, the model must do without."""
    wanted = run.response.request.tool_choice
    choice = offers.choice(wanted, run.offers)
    if not run.works:
        return choice
    made = len(run.made)
    if made and choice != "none":
        if isinstance(wanted, toolspec.Allowed) and isinstance(choice, toolspec.Allowed):
            choice = replace(choice, mode="auto")
        else:
            choice = "auto"
    return offers.of_caller_alone(choice, run.offers) if made >= run.most_calls else choice
