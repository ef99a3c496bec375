"""Owns the runs being performed: starts them, stops them, and sees them to their end."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Protocol, Self

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.accounts.limits import FREE, Admission
from freddy.server.core import errors, events
from freddy.server.core.deciding import Finish, decide
from freddy.server.core.folding import counted, fold
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.ports.listener import Listener
from freddy.server.ports.model import Model
from freddy.server.ports.world import Clock
from freddy.server.runtime import estimate, runner
from freddy.server.runtime.journal import Journal
from freddy.server.runtime.recorder import Recorder
from freddy.server.runtime.toolbox import Toolbox

_log = logging.getLogger(__name__)

_NO_WORD = (events.Created, events.Asked, events.Failed, events.Cancelled)
"""What a batch begins with that holds nothing of the model's."""


class Keeping(Protocol):
    """Where what happens in a run is kept, and then told: the recorder for most, a journal for one that was claimed.

    `run` is always as it was before the batch.
    """

    async def keep(self, run: Run, batch: Sequence[events.Event]) -> None:
        """Where it is cancelled it is called again with the same batch, which changes nothing that was kept.

        Raises `errors.StorageUnavailable`, and `ClaimLost` where the run is somebody else's by now.
        """
        ...

    def tell(self, run: Run, batch: Sequence[events.Event]) -> None:
        """Those who follow hear it. Never waits and never fails."""
        ...

    def give_up(self, run: Run) -> None:
        """Forgets what it still wanted to keep of a run whose end can never be kept."""
        ...


class _Running(Struct, frozen=True):
    """`began` is in the clock's monotonic seconds."""

    response: Response
    began: float


class Host:
    """Performs runs, each in a task of its own: what happens is kept, then told, and the end settles the account.

    A run *finishes* (its end is kept), is *stopped* (its end is that it was cancelled), *fails*, or is *let go*:
    nothing more of it is kept or told here, and somebody else goes on with it.

    Leaving the context drains it: the runs under way get `grace_seconds`. What outlasts them has failed; but a run that
    was claimed is let go.
    """

    def __init__(
        self,
        *,
        runner: runner.Runner,
        recorder: Recorder,
        clock: Clock,
        listeners: Sequence[Listener] = (),
        grace_seconds: float = 20.0,
    ) -> None:
        self._runner = runner
        self._recorder = recorder
        self._clock = clock
        self._listeners = listeners
        self._grace = grace_seconds
        self._group = asyncio.TaskGroup()
        self._tasks: dict[str, asyncio.Task[Response | None]] = {}
        self._in_threads: dict[tuple[str, str | None], dict[str, _Running]] = {}
        """The runs of each thread, in the order in which they began."""
        self._journals: dict[str, Journal] = {}
        """Those of the runs here that were claimed."""
        self._admissions: dict[str, Admission] = {}
        self._unkept: dict[str, Response] = {}
        """Ends that the store could not take, by response: they are kept as soon as it takes something."""
        self._hurry = asyncio.Event()
        self._open = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()
        with contextlib.suppress(errors.FreddyError):
            await self._keep_ends()
        await self._group.__aexit__(None, None, None)

    async def drain(self) -> None:
        """No run begins any more. Returns when all have ended here."""
        self._open = False
        async with asyncio.TaskGroup() as tasks:
            waiting = (tasks.create_task(self._hurry.wait()), tasks.create_task(self._wait_ended()))
            await asyncio.wait(waiting, timeout=self._grace, return_when=asyncio.FIRST_COMPLETED)
            for one in waiting:
                one.cancel()
        self.let_go()
        for task in list(self._tasks.values()):
            task.cancel(runner.SHUTDOWN)
        await self._wait_ended()

    def let_go(self) -> None:
        """Of the runs that were claimed nothing is kept or told any more."""
        for response_id, journal in self._journals.items():
            journal.let_go()
            self._tasks[response_id].cancel(runner.SHUTDOWN)

    def hurry(self) -> None:
        """Ends the grace of `drain`."""
        self._hurry.set()

    async def _wait_ended(self) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def start(
        self, run: Run, model: Model, admission: Admission = FREE, *, toolbox: Toolbox | None = None
    ) -> None:
        """Returns when the run is kept and under way: its end then settles the admission.

        Raises `errors.ShuttingDown`, `StorageUnavailable`.
        """
        if not self._open:
            raise errors.ShuttingDown("The server is stopping", retry_after=1)
        if self._unkept and run.response.request.store:
            await self._keep_ends()
        await self._recorder.open(run)
        if not self._open:  # it was, before the run was kept
            stopping = errors.ShuttingDown("The server is stopping", retry_after=1)
            await self._fail(run, events.Failed(stopping.as_failure()), self._recorder)
            raise stopping
        await self._begin(run, model, admission, toolbox=toolbox, keeping=self._recorder)

    async def go_on(
        self,
        run: Run,
        model: Model,
        admission: Admission = FREE,
        *,
        toolbox: Toolbox | None,
        journal: Journal,
        first: Sequence[events.Event] = (),
        gone: Callable[[], None] = lambda: None,
    ) -> None:
        """Performs a run that was claimed, from where it is. `first` are events to be kept and told before that.

        `gone` is called when it is not here any more, however that came; it must neither wait nor fail.
        """
        if (earlier := self._tasks.get(run.response.id)) is not None:
            # It was lost, and came back before whoever had it here knew.
            self._journals[run.response.id].let_go()
            earlier.cancel(runner.SHUTDOWN)
            await asyncio.wait((earlier,))
        self._journals[run.response.id] = journal
        await self._begin(run, model, admission, toolbox=toolbox, keeping=journal, first=first, gone=gone)

    async def end(
        self, run: Run, failure: errors.Failure, journal: Journal, *, first: Sequence[events.Event] = ()
    ) -> None:
        """Ends a run that was claimed and cannot be performed. Raises `errors.ClaimLost`."""
        if first:
            await self._tell(run, first, journal)
            run = fold(run, first)
        # What was taken of who was asked last is told in `first`.
        await self._fail(run, events.Failed(failure), journal)

    async def _begin(
        self,
        run: Run,
        model: Model,
        admission: Admission,
        *,
        toolbox: Toolbox | None,
        keeping: Keeping,
        first: Sequence[events.Event] = (),
        gone: Callable[[], None] = lambda: None,
    ) -> None:
        for listener in self._listeners:
            listener.run_started(run.response)
        if admission is not FREE:
            self._admissions[run.response.id] = admission
        task = self._group.create_task(self._perform(run, model, toolbox, keeping, first), name=run.response.id)
        self._tasks[run.response.id] = task
        place = (run.response.organization_id, run.response.thread_id)
        self._in_threads.setdefault(place, {})[run.response.id] = _Running(run.response, self._clock.monotonic())
        task.add_done_callback(lambda _: self._ended(run.response, gone))
        # A task that is cancelled before its first step would end without a word: let it take that step.
        await asyncio.sleep(0)

    @property
    def is_open(self) -> bool:
        """Whether runs may begin."""
        return self._open

    @property
    def claimed(self) -> int:
        """How many of the runs under way were claimed."""
        return len(self._journals)

    def performs(self, response_id: str) -> bool:
        return response_id in self._tasks

    def is_left(self, response_id: str) -> bool:
        """Whether the run is not under way here, nor will be any more."""
        return not self._open and response_id not in self._tasks

    def running(self, organization_id: str, thread_id: str) -> tuple[Response, float] | None:
        """Of the runs that are for this thread the one that began last, and for how many seconds it has been going."""
        runs = self._in_threads.get((organization_id, thread_id))
        if not runs:
            return None
        last = next(reversed(runs.values()))
        return last.response, self._clock.monotonic() - last.began

    def busy(self, organization_id: str, thread_id: str) -> bool:
        """Whether a run is for this thread."""
        return (organization_id, thread_id) in self._in_threads

    def _ended(self, response: Response, gone: Callable[[], None]) -> None:
        self._tasks.pop(response.id, None)
        self._journals.pop(response.id, None)
        place = (response.organization_id, response.thread_id)
        runs = self._in_threads.get(place, {})
        runs.pop(response.id, None)
        if not runs:
            self._in_threads.pop(place, None)
        gone()

    async def cancel(self, response_id: str, *, keep: bool = False) -> Response | None:
        """Stops the run, and returns its end when that is kept.

        None for a run that is not here, or was let go meanwhile: it is left alone.

        With `keep`, what it said until then stays in its thread.
        """
        task = self._tasks.get(response_id)
        if task is None:
            return None
        self.stop(response_id, keep=keep)
        await asyncio.wait((task,))
        return None if task.cancelled() else task.result()

    def stop(self, response_id: str, *, keep: bool = False) -> None:
        """Like `cancel`, and waits for nothing."""
        if task := self._tasks.get(response_id):
            task.cancel(*((runner.KEEP,) if keep else ()))

    async def _perform(
        self,
        run: Run,
        model: Model,
        toolbox: Toolbox | None,
        keeping: Keeping,
        first: Sequence[events.Event],
    ) -> Response | None:
        """None where the run is somebody else's by now."""
        began = self._clock.monotonic()
        first_word: float | None = None
        ended: Response | None = None
        unkept: Sequence[events.Event] = ()
        gathering = self._gathering(keeping) if isinstance(keeping, Journal) else None
        try:
            if first:
                await self._tell(run, first, keeping)
                run = fold(run, first)
            async with aclosing(self._runner.drive(run, model, toolbox)) as driving:
                async for batch in driving:
                    if first_word is None and not isinstance(batch[0], _NO_WORD):
                        first_word = self._clock.monotonic() - began
                    unkept = batch
                    await self._tell(run, batch, keeping)
                    run, unkept = fold(run, batch), ()
                    if isinstance(batch[-1], events.Finished):
                        ended = batch[-1].response
        except errors.ClaimLost:
            pass
        except errors.FreddyError as error:
            ended = await self._fail_here(counted(run, unkept), error.as_failure(), keeping)
        except Exception:  # noqa: BLE001
            # A run ends with `Finished` whatever happens, and never takes others along.
            _log.exception("run_fault", extra={"response_id": run.response.id})
            failure = errors.Internal("Internal server error").as_failure()
            ended = await self._fail_here(counted(run, unkept), failure, keeping)
        finally:
            if gathering is not None:
                gathering.cancel()
        if ended is None:
            await self._leave(run)
            return None
        seconds = self._clock.monotonic() - began
        for listener in self._listeners:
            listener.run_finished(ended, seconds=seconds, first_delta_seconds=first_word)
        return ended

    def _gathering(self, journal: Journal) -> asyncio.Task[None]:
        """Keeps what the model says. Where that cannot be done any more, the model need say no more."""
        performing = asyncio.current_task()
        assert performing is not None
        gathering = self._group.create_task(journal.gather())
        gathering.add_done_callback(lambda ended: ended.cancelled() or performing.cancel(runner.SHUTDOWN))
        return gathering

    async def _leave(self, run: Run) -> None:
        """The run goes on elsewhere, and takes its limits there."""
        admission = self._admissions.pop(run.response.id, FREE)
        for listener in self._listeners:
            listener.run_left(run.response)
        await admission.release()

    async def _tell(self, run: Run, batch: Sequence[events.Event], keeping: Keeping) -> None:
        """What has happened is told whatever cancels the run meanwhile: that then meets it at the model.

        A cancellation that comes while it is kept begins that anew, and is given back to the task in the end; but not
        behind the end of the run, where nothing is left to be stopped.
        """
        last = batch[-1]
        settling: asyncio.Task[None] | None = None
        stopped: asyncio.CancelledError | None = None
        while True:
            try:
                await keeping.keep(run, batch)
                if isinstance(last, events.Finished) and (settling := settling or self._settling(last.response)):
                    await asyncio.shield(settling)
                break
            except asyncio.CancelledError as again:
                stopped = again
                if (task := asyncio.current_task()) is not None:
                    task.uncancel()
        keeping.tell(run, batch)
        # Whoever waits for the task wants to have the end.
        over = isinstance(last, events.Finished)
        if stopped is not None and not over and (task := asyncio.current_task()) is not None:
            task.cancel(*stopped.args)

    def _settling(self, ended: Response) -> asyncio.Task[None] | None:
        """Ends the account of a run that has ended, whatever cancels the run meanwhile.

        That comes before its end is told: who asks again on hearing it is not held up by a run that is over. And it
        comes after what was used is kept: counters that lose their memory learn it from there.
        """
        admission = self._admissions.pop(ended.id, FREE)
        if admission is FREE:
            return None
        tokens = ended.usage.total_tokens if ended.usage else 0
        return self._group.create_task(admission.settle(tokens=tokens, cost=ended.cost))

    async def _fail_here(self, run: Run, failure: errors.Failure, keeping: Keeping) -> Response | None:
        try:
            failed = events.Failed(failure, estimate.unfinished(run), run.asking or events.Choice())
            return await self._fail(run, failed, keeping)
        except errors.ClaimLost:
            return None

    async def _fail(self, run: Run, failed: events.Failed, keeping: Keeping) -> Response:
        """Ends a run that could not go on; what is told then may be more than what could be kept."""
        step = decide(fold(run, (failed,)))
        assert isinstance(step, Finish)
        ended = replace(step.response, completed_at=int(self._clock.now()))
        given_up = [
            events.ItemDone(place, item)
            for place, (item, before) in enumerate(zip(ended.output, run.output, strict=True))
            if item is not before
        ]
        last: list[events.Event] = [*given_up, failed, events.Finished(ended)]
        try:
            await self._tell(run, last, keeping)
        except errors.ClaimLost:
            raise
        except errors.FreddyError as error:
            _log.error("run_not_kept", extra={"response_id": run.response.id, "code": error.code})
            if isinstance(error, errors.StorageUnavailable):
                self._unkept[run.response.id] = ended
            else:
                keeping.give_up(run)
            await self._tell_unkept(run, last, ended, keeping)
        except Exception:  # noqa: BLE001
            _log.exception("run_not_kept", extra={"response_id": run.response.id})
            keeping.give_up(run)
            await self._tell_unkept(run, last, ended, keeping)
        return ended

    async def _tell_unkept(self, run: Run, last: Sequence[events.Event], ended: Response, keeping: Keeping) -> None:
        try:
            if settling := self._settling(ended):
                await asyncio.shield(settling)
        finally:
            keeping.tell(run, last)

    async def _keep_ends(self) -> None:
        """Raises `errors.StorageUnavailable`: while these wait, a run more would only wait with them."""
        for response_id, ended in tuple(self._unkept.items()):
            try:
                await self._recorder.keep_end(ended)
            except errors.StorageUnavailable:
                raise
            except errors.FreddyError as error:
                # What can never be kept must not hold up what can.
                _log.error("run_not_kept", extra={"response_id": response_id, "code": error.code})
            self._unkept.pop(response_id, None)
