"""Performs what `decide` asks for, and yields what happens: the only loop."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from msgspec.structs import replace

from freddy.server.core import calls, errors, events, ids, items, reading, transcript
from freddy.server.core.calls import Call
from freddy.server.core.citing import Citing
from freddy.server.core.compaction import Split
from freddy.server.core.deciding import (
    AskAgain,
    CallModel,
    CallTools,
    Compact,
    Finish,
    OpenTools,
    Settle,
    decide,
)
from freddy.server.core.folding import fold
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.ports.model import Model
from freddy.server.ports.tools import Answer, Asker
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime import estimate
from freddy.server.runtime.approvals import Marks
from freddy.server.runtime.compaction import Compactor, Passing
from freddy.server.runtime.toolbox import Toolbox

_log = logging.getLogger(__name__)

_Calls: TypeAlias = items.HostedCall | items.FunctionCall
_ENDS_A_TURN = (events.TurnDone, events.Failed, events.Cancelled)
_LIMIT_REACHED: Final = (
    "the limit of tool calls for this response is reached, and this one was not made: answer with what you know"
)
_MAY_HAVE_BEEN_MADE: Final = (
    "the server stopped while this call was under way: it may have been made, and is made again only after a yes"
)
_APPROVED_TURN: Final = -1
"""What was approved was called before the first turn."""


class Runner:
    def __init__(
        self,
        *,
        clock: Clock,
        ids: IdSource,
        approval_seconds: int = 86_400,
        at_once: int = 8,
        compactor: Compactor | None = None,
        marks: Marks | None = None,
    ) -> None:
        """A call waits `approval_seconds` for its approval; of the calls of a turn so many run `at_once`.

        Without a `compactor` no conversation is shortened; without `marks` no approval is known again.
        """
        self._marks = marks
        self._compactor = compactor
        self._clock = clock
        self._ids = ids
        self._approval_seconds = approval_seconds
        self._at_once = at_once

    async def drive(
        self, run: Run, model: Model, toolbox: Toolbox | None = None
    ) -> AsyncGenerator[list[events.Event], None]:
        """The run's events in batches of what came together; the last event is `Finished`.

        Cancelling the task while the model speaks, or a tool works, ends the run as cancelled: the last batch still
        comes. A run that something has happened in goes on from there: what was told of it is not told again.
        """
        told: list[events.Event] = [] if run.opening_told or run.turns or run.output else beginning(run)
        while True:
            turn: Turn | None = None
            match decide(run):
                case Finish(response):
                    ended = replace(response, completed_at=int(self._clock.now()))
                    yield [*told, events.Finished(ended)]
                    return
                case Compact():
                    happening = self._compact(run, model)
                case CallModel() as step if (split := self._too_long(run, step.turn)) is not None:
                    happening = self._compact(run, model, split)
                case CallModel() as step:
                    turn = step.turn
                    happening = self._speak(run, turn, model, toolbox)
                case OpenTools():
                    assert toolbox is not None
                    happening = self._open(run, toolbox)
                case Settle() as step:
                    happening = self._settle(run, step)
                case AskAgain() as step:
                    happening = self._ask_again(run, step, toolbox)
                case CallTools() as step:
                    happening = self._work(run, step, toolbox)
            if told:
                yield told
            told, began, place = [], self._clock.monotonic(), len(run.output)
            async with aclosing(happening):
                async for batch in happening:
                    if not isinstance(batch[-1], _ENDS_A_TURN):
                        run = fold(run, batch)
                        yield batch
                        continue
                    if told:
                        # What breaks while the model is being closed changes no turn that has ended.
                        continue
                    # Told together with what `decide` makes of it: one write, one wake-up.
                    told = batch
                    if turn is not None:
                        told = _counted(batch, turn, run, place=place, milliseconds=self._since(began))
                    run = fold(run, told)

    def _since(self, began: float) -> int:
        """Milliseconds."""
        return round((self._clock.monotonic() - began) * 1000)

    async def _speak(
        self, run: Run, turn: Turn, model: Model, toolbox: Toolbox | None
    ) -> AsyncGenerator[list[events.Event], None]:
        """One turn of the model. Its last batch ends with `TurnDone`, `Failed` or `Cancelled`."""
        turning = Transcript(
            index=len(run.output),
            new_id=self._ids.new,
            offers=run.offers,
            turn=run.turns,
            expires_at=int(self._clock.now()) + self._approval_seconds if run.offers else None,
            taken=run.call_ids if run.offers else (),
        )
        citing = _citing(run)
        try:
            if self._marks is not None and any(one.approve for one in run.offers):
                # What may have to be marked is not asked for in vain.
                await self._marks.ready()
            async with aclosing(model.stream(turn)) as saying:
                async for deltas in saying:
                    tries = turning.tries
                    batch = turning.feed(deltas if citing is None else citing.feed(deltas))
                    if turning.done:
                        # Only a turn that came to its end asks for anything.
                        yield await self._marked(batch, run, toolbox)
                        return
                    if turning.tries != tries and run.response.request.background:
                        # For whoever goes on with it: where nobody can, it need not be known.
                        yield [events.Asked(turning.choice)]
                    if batch:
                        yield batch
            raise errors.ProviderFailed(  # noqa: TRY301
                f"{model.profile.provider} ended before its answer did"
            )
        except errors.FreddyError as error:
            used = error.usage or turning.usage or turning.counted
            yield [*_broken_off(turning, citing), events.Failed(error.as_failure(), used, turning.choice)]
        except asyncio.CancelledError as stopped:
            yield [*_broken_off(turning, citing), _stopped_in(turning, stopped)]
        except Exception:  # noqa: BLE001
            # A fault in an adapter ends this run like any failure: what was said before it is kept.
            _log.exception("model_fault", extra={"response_id": run.response.id})
            failure = errors.Internal("Internal server error").as_failure()
            yield [*_broken_off(turning, citing), events.Failed(failure, turning.counted, turning.choice)]

    def _too_long(self, run: Run, turn: Turn) -> Split | None:
        return self._compactor.due(run, turn) if run.compaction is not None and self._compactor is not None else None

    async def _compact(
        self, run: Run, model: Model, split: Split | None = None
    ) -> AsyncGenerator[list[events.Event], None]:
        """Shortens the conversation. A response whose conversation cannot be shortened fails with what kept it."""
        passing = Passing()
        try:
            if self._compactor is None:
                raise errors.InvalidRequest("This server does not compact", param="context_management")  # noqa: TRY301
            async with aclosing(self._compactor.perform(run, model, passing, split)) as performing:
                async for batch in performing:
                    yield batch
        except errors.FreddyError as error:
            yield [events.Failed(error.as_failure(), passing.taken(error.usage), passing.choice)]
        except asyncio.CancelledError as stopped:
            yield [replace(_stopped(stopped), usage=passing.taken(None), choice=passing.choice)]
        except Exception:  # noqa: BLE001
            _log.exception("compaction_fault", extra={"response_id": run.response.id})
            failure = errors.Internal("Internal server error").as_failure()
            yield [events.Failed(failure, passing.taken(None), passing.choice)]

    async def _open(self, run: Run, toolbox: Toolbox) -> AsyncGenerator[list[events.Event], None]:
        try:
            async with aclosing(toolbox.open(run)) as opening:
                async for batch in opening:
                    yield batch
        except asyncio.CancelledError as stopped:
            yield [_stopped(stopped)]

    async def _settle(self, run: Run, step: Settle) -> AsyncGenerator[list[events.Event], None]:
        """What was approved becomes calls that wait for their answers; in the place of what was not, that is said."""
        for place, answer in enumerate(step.answers, len(run.output)):
            asked = answer.request
            if answer.approve:
                assert asked.server_label is not None
                empty = items.HostedCall(
                    id=self._ids.new(ids.MCP_CALL),
                    call_id=asked.call_id,
                    name=asked.name,
                    arguments="",
                    work=items.Mcp(asked.server_label),
                    offered=asked.offered,
                    turn=_APPROVED_TURN,
                    approval_id=asked.id,
                )
                whole = replace(empty, arguments=asked.arguments)
                yield [*transcript.begin_hosted(place, empty), *transcript.call_hosted(place, whole)]
            else:
                parts = (items.Text(reading.denial(answer.reason)),)
                output = items.FunctionOutput(
                    self._ids.new(ids.FUNCTION_OUTPUT), asked.call_id, parts, name=asked.name, failed=True
                )
                begun = replace(output, parts=(), status="in_progress")
                yield [events.ItemAdded(place, begun), events.ItemDone(place, output)]

    async def _marked(self, batch: list[events.Event], run: Run, toolbox: Toolbox | None) -> list[events.Event]:
        """With marks on what is asked. Raises `errors.StorageUnavailable`."""
        if self._marks is None or not any(_asks(event) for event in batch):
            return batch
        return await self._marks.told(batch, run.response.organization_id, toolbox)

    async def _ask_again(
        self, run: Run, step: AskAgain, toolbox: Toolbox | None
    ) -> AsyncGenerator[list[events.Event], None]:
        """In the place of each call stands that nobody knows; a request for approval follows, as for a new one."""
        places = {item.id: place for place, item in enumerate(run.output)}
        told: list[events.Event] = []
        for index, call in enumerate(step.calls, len(run.output)):
            asked = items.ApprovalRequest(
                id=self._ids.new(ids.APPROVAL_REQUEST),
                call_id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                expires_at=int(self._clock.now()) + self._approval_seconds,
                turn=call.turn,
            )
            if isinstance(call, items.HostedCall) and isinstance(call.work, items.Mcp):
                left = replace(call, status="incomplete", error=_MAY_HAVE_BEEN_MADE)
                told.append(events.CallProgress(places[call.id], call.id, "mcp_call", "failed"))
                told.append(events.ItemDone(places[call.id], left))
                asked = replace(asked, server_label=call.work.server_label, offered=call.offered)
            told += (events.ItemAdded(index, asked), events.ItemDone(index, asked))
        try:
            yield await self._marked(told, run, toolbox)
        except errors.FreddyError as error:
            yield [events.Failed(error.as_failure())]

    async def _work(
        self, run: Run, step: CallTools, toolbox: Toolbox | None
    ) -> AsyncGenerator[list[events.Event], None]:
        """Answers calls, each in a batch of its own as soon as it is answered; one that is stopped has no answer."""
        places = {item.id: place for place, item in enumerate(run.output) if isinstance(item, items.HostedCall)}
        open_ = {call.id: call for call in (*step.calls, *step.refused) if isinstance(call, items.HostedCall)}
        place = len(run.output)
        asker = Asker(run.response.organization_id, run.response.user_id, run.response.key_id, run.response.id)
        under_way: dict[str, tuple[_Calls, float]] = {}
        searching = [call for call in step.calls if call.id in places and _searches(call)]
        try:
            if searching:
                yield [events.CallProgress(places[one.id], one.id, "file_search", "searching") for one in searching]
            at_once = self._at_once if step.parallel else 1
            answers = self._answers(step.calls, toolbox, asker, at_once=at_once, under_way=under_way)
            async with aclosing(answers) as answering:
                async for call, answer, milliseconds in answering:
                    del under_way[call.id]
                    index = places.get(call.id, place)
                    place += call.id not in places
                    open_.pop(call.id, None)
                    yield [*self._answered(index, call, answer, milliseconds)]
            for call in step.refused:
                index = places.get(call.id, place)
                place += call.id not in places
                open_.pop(call.id, None)
                yield [*self._answered(index, call, Answer(error=_LIMIT_REACHED, source="limit"), 0)][:-1]
        except asyncio.CancelledError as stopped:
            left = [events.ItemDone(places[one.id], replace(one, status="incomplete")) for one in open_.values()]
            # What was begun was done, as far as anybody knows: whoever stops it hears no answer, and that is all.
            given_up = [
                events.ToolDone(_call_of(call, "cancelled", self._since(began))) for call, began in under_way.values()
            ]
            yield [*left, *given_up, _stopped(stopped)]

    async def _answers(
        self,
        asked: Sequence[_Calls],
        toolbox: Toolbox | None,
        asker: Asker,
        *,
        at_once: int,
        under_way: dict[str, tuple[_Calls, float]],
    ) -> AsyncGenerator[tuple[_Calls, Answer, int], None]:
        """Each call with its answer, and the milliseconds it took, in the order in which they are answered.

        Those that are begun are put to those `under_way`, by their ids, with the time of their beginning.
        """
        answered: asyncio.Queue[tuple[_Calls, Answer, int]] = asyncio.Queue()
        turns = asyncio.Semaphore(at_once)

        async def answer(call: _Calls) -> None:
            async with turns:
                began = self._clock.monotonic()
                under_way[call.id] = (call, began)
                if toolbox is None:
                    told = Answer(error=f"the request does not have the tool {call.name!r}")
                else:
                    told = await toolbox.answer(call, replace(asker, call_id=call.call_id))
                answered.put_nowait((call, told, self._since(began)))

        async with asyncio.TaskGroup() as working:
            tasks = [working.create_task(answer(call)) for call in asked]
            try:
                for _ in asked:
                    yield await answered.get()
            except GeneratorExit:
                # Nobody listens any more. Out of the group it would come as a group of errors.
                for task in tasks:
                    task.cancel()

    def _answered(self, index: int, call: _Calls, answer: Answer, milliseconds: int) -> Iterator[events.Event]:
        failed = answer.error is not None
        if isinstance(call, items.HostedCall):
            work = call.work
            if isinstance(work, items.FileSearch):
                work = items.FileSearch(answer.queries, answer.found)
            done = replace(
                call,
                work=work,
                parts=answer.parts,
                error=answer.error,
                status="failed" if failed else "completed",
                milliseconds=milliseconds,
            )
            # A search has no word for having failed: its item says so.
            fails = failed and isinstance(work, items.Mcp)
            yield events.CallProgress(index, call.id, transcript.kind_of(call), "failed" if fails else "completed")
            yield events.ItemDone(index, done)
        else:
            output = items.FunctionOutput(
                id=self._ids.new(ids.FUNCTION_OUTPUT),
                call_id=call.call_id,
                parts=(items.Text(f"Error: {answer.error}"),) if answer.error is not None else answer.parts,
                name=call.name,
                source=answer.source or "tool",
                failed=failed,
                milliseconds=milliseconds,
            )
            yield events.ItemAdded(index, replace(output, parts=(), status="in_progress"))
            yield events.ItemDone(index, output)
        yield events.ToolDone(_call_of(call, "failed" if failed else "completed", milliseconds))


def opening(response: Response) -> list[events.Event]:
    """What is told first, of one that is queued also before anybody performs it."""
    if response.status == "queued":
        return [events.Created(response), events.Queued(response)]
    return [events.Created(response)]


def beginning(run: Run) -> list[events.Event]:
    """What is told before anything is done."""
    return [*opening(run.response), events.InProgress(replace(run.response, status="in_progress"))]


def _asks(event: events.Event) -> bool:
    return isinstance(event, events.ItemDone) and isinstance(event.item, items.ApprovalRequest)


def _call_of(call: _Calls, status: calls.Outcome, milliseconds: int) -> Call:
    provider = "function"
    if isinstance(call, items.HostedCall):
        provider = "mcp" if isinstance(call.work, items.Mcp) else "file_search"
    return Call(kind="tool", name=call.name, provider=provider, status=status, cost=0, milliseconds=milliseconds)


def _searches(call: _Calls) -> bool:
    return isinstance(call, items.HostedCall) and isinstance(call.work, items.FileSearch)


def _citing(run: Run) -> Citing | None:
    """Who takes the marks out of what the model says, where it has read any."""
    if items.HostedCall not in {*map(type, run.context), *map(type, run.output)}:
        return None
    found = [
        passage
        for item in (*run.context, *run.output)
        if type(item) is items.HostedCall and isinstance(item.work, items.FileSearch)
        for passage in item.work.found
    ]
    return Citing(found) if found else None


def _broken_off(turning: Transcript, citing: Citing | None) -> Iterator[events.Event]:
    """The end of a turn that did not come to its own."""
    if citing is not None:
        yield from turning.feed(citing.close())
    yield from turning.close("incomplete")


def _stopped(stopped: asyncio.CancelledError) -> events.Failed | events.Cancelled:
    """How a run ends that was stopped, which then is stopped no more."""
    if (task := asyncio.current_task()) is not None:
        task.uncancel()
    return _stop(stopped)


def _stopped_in(turning: Transcript, stopped: asyncio.CancelledError) -> events.Failed | events.Cancelled:
    """The same in the middle of a turn: somebody who is asked has read the turn, even where not a word came."""
    choice = turning.choice
    used = turning.usage or turning.counted or (estimate.UNCOUNTED if choice.asking else None)
    return replace(_stopped(stopped), usage=used, choice=choice)


KEEP = "keep"
"""What a task is cancelled with when what it said until then is to stay in the thread."""
SHUTDOWN = "shutdown"
"""What a task is cancelled with when the server stops: the run did not end by its caller's wish."""


def _stop(stopped: asyncio.CancelledError) -> events.Failed | events.Cancelled:
    if SHUTDOWN in stopped.args:
        return events.Failed(errors.ShuttingDown("The server stopped before the response ended").as_failure())
    return events.Cancelled(partial=KEEP in stopped.args)


def _counted(batch: list[events.Event], turn: Turn, run: Run, *, place: int, milliseconds: int) -> list[events.Event]:
    """The batch, with the time that the turn took, and an estimate where the vendor did not count.

    `run` is as it was before the batch, and `place` where in its output the turn began. Of a turn that was broken off
    is estimated what its vendor had not counted: what was used is not lost.
    """
    last = batch[-1]
    assert isinstance(last, _ENDS_A_TURN)
    choice, usage, shares = last.choice, last.usage, None
    if not choice.milliseconds:
        choice = replace(choice, milliseconds=max(0, milliseconds - sum(one.milliseconds for one in choice.calls)))
    detailed = estimate.wanted(run.response.request)
    if usage is None or usage.estimated or detailed:
        done = (event.item for event in batch if isinstance(event, events.ItemDone | events.Called))
        said = [*run.output[place:], *done]
        if isinstance(last, events.TurnDone):
            usage = usage or estimate.usage(turn, said)
        else:
            usage = estimate.broken_off(turn, said, usage, choice=choice)
        vain = calls.used(choice.calls)
        if detailed and (used := vain.plus(usage) if vain and usage else vain or usage):
            shares = estimate.shares(run, turn, said, used=used)
    return [*batch[:-1], replace(last, usage=usage, choice=choice, shares=shares)]
