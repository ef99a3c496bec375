"""Performs what `decide` asks for, and yields what happens: the only loop."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec.structs import replace

from freddy.server.core import calls, errors, events
from freddy.server.core.run import CallModel, Finish, Run, decide, fold
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.ports.model import Model
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime import estimate

_log = logging.getLogger(__name__)

_ENDS_A_TURN = (events.TurnDone, events.Failed, events.Cancelled)


class Runner:
    def __init__(self, *, clock: Clock, ids: IdSource) -> None:
        self._clock = clock
        self._ids = ids

    async def drive(self, run: Run, model: Model) -> AsyncGenerator[list[events.Event], None]:
        """The run's events in batches of what came together; the last event is `Finished`.

        Cancelling the task while the model speaks ends the run as cancelled: the last batch still comes.
        """
        told: list[events.Event] = [
            events.Created(run.response),
            events.InProgress(replace(run.response, status="in_progress")),
        ]
        while True:
            match decide(run):
                case Finish(response):
                    ended = replace(response, completed_at=int(self._clock.now()))
                    yield [*told, events.Finished(ended)]
                    return
                case CallModel(turn):
                    happening = self._speak(run, turn, model)
            yield told
            told, began = [], self._clock.monotonic()
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
                    told = _counted(batch, turn, run, milliseconds=self._since(began))
                    run = fold(run, told)

    def _since(self, began: float) -> int:
        """Milliseconds."""
        return round((self._clock.monotonic() - began) * 1000)

    async def _speak(self, run: Run, turn: Turn, model: Model) -> AsyncGenerator[list[events.Event], None]:
        """One turn of the model. Its last batch ends with `TurnDone`, `Failed` or `Cancelled`."""
        transcript = Transcript(index=len(run.output), new_id=self._ids.new, tools=turn.tools)
        try:
            async with aclosing(model.stream(turn)) as saying:
                async for deltas in saying:
                    batch = transcript.feed(deltas)
                    if transcript.done:
                        yield batch
                        return
                    if batch:
                        yield batch
            raise errors.ProviderFailed(  # noqa: TRY301
                f"{model.profile.provider} ended before its answer did"
            )
        except errors.FreddyError as error:
            yield [*transcript.close("incomplete"), events.Failed(error.as_failure(), error.usage, transcript.choice)]
        except asyncio.CancelledError as stopped:
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            yield [*transcript.close("incomplete"), replace(_stop(stopped), choice=transcript.choice)]
        except Exception:  # noqa: BLE001
            # A fault in an adapter ends this run like any failure: what was said before it is kept.
            _log.exception("model_fault", extra={"response_id": run.response.id})
            failure = errors.Internal("Internal server error").as_failure()
            yield [*transcript.close("incomplete"), events.Failed(failure, choice=transcript.choice)]


KEEP = "keep"
"""What a task is cancelled with when what it said until then is to stay in the thread."""
SHUTDOWN = "shutdown"
"""What a task is cancelled with when the server stops: the run did not end by its caller's wish."""


def _stop(stopped: asyncio.CancelledError) -> events.Failed | events.Cancelled:
    if SHUTDOWN in stopped.args:
        return events.Failed(errors.ShuttingDown("The server stopped before the response ended").as_failure())
    return events.Cancelled(partial=KEEP in stopped.args)


def _counted(batch: list[events.Event], turn: Turn, run: Run, *, milliseconds: int) -> list[events.Event]:
    """The batch, with the time that the turn took, and an estimate where the vendor did not count.

    `run` is as it was before the batch. A turn that was broken off is estimated when something had been said: what was
    used is not lost.
    """
    last = batch[-1]
    assert isinstance(last, _ENDS_A_TURN)
    choice, usage, shares = last.choice, last.usage, None
    if not choice.milliseconds:
        choice = replace(choice, milliseconds=max(0, milliseconds - sum(one.milliseconds for one in choice.calls)))
    detailed = estimate.wanted(run.response.request)
    if usage is None or detailed:
        before = len(turn.items) - len(run.context)
        said = [*run.output[before:], *(event.item for event in batch if isinstance(event, events.ItemDone))]
        if usage is None and (isinstance(last, events.TurnDone) or (said and _uncounted(choice))):
            usage = estimate.usage(turn, said)
        vain = calls.used(choice.calls)
        if detailed and (used := vain.plus(usage) if vain and usage else vain or usage):
            shares = estimate.shares(run, turn, said, used=used)
    return [*batch[:-1], replace(last, usage=usage, choice=choice, shares=shares)]


def _uncounted(choice: events.Choice) -> bool:
    """Whether nobody counted what broke off."""
    return choice.asking or not choice.calls or choice.calls[-1].usage == calls.NOTHING
