"""Performs runs that anybody has accepted: claims them, tells that it lives, and takes up what the dead leave."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.accounts.limits import FREE, Admission, Limiter, is_spent
from freddy.server.core import errors, events, log, resuming
from freddy.server.core.run import Run
from freddy.server.ports.runs import Claim, Claimed, Entry, Heard, Pulse, RunStore
from freddy.server.ports.signals import QUEUED, STOPPED, Signals
from freddy.server.ports.world import Clock
from freddy.server.runtime import runner
from freddy.server.runtime.admitting import admitted, counted
from freddy.server.runtime.host import Host
from freddy.server.runtime.journal import Journal
from freddy.server.runtime.prepare import Preparation, Prepared

MOST_LOSSES = 5
"""A run that so many died with, or could not take up, may be what they died of."""
_AWAY_SECONDS = 2.0
"""After what is needed was found to be away, nothing is claimed for so long."""
_PAGE = 500
"""Entries of a log that are read at once."""

_log = logging.getLogger(__name__)


class Pace(Struct, frozen=True, kw_only=True):
    """`at_once` runs are performed here at a time. A worker beats every `heartbeat` seconds; one whose heart stands
    still for `lease` is dead. What waits is looked for every `poll`.

    `alone`: no other process can have the database open, so all others are dead.
    """

    at_once: int = 100
    heartbeat: float = 3.0
    lease: float = 15.0
    poll: float = 0.5
    alone: bool = False


class Worker:
    """One process among those that perform runs. It beats while `beating` is open, and claims while `claiming` is."""

    def __init__(
        self,
        worker_id: str,
        *,
        runs: RunStore,
        host: Host,
        preparation: Preparation,
        limiter: Limiter,
        signals: Signals,
        clock: Clock,
        pace: Pace,
        counted: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`counted` hears with every heartbeat how many runs wait for somebody."""
        self.id = worker_id
        self._counted = counted
        self._runs = runs
        self._host = host
        self._preparation = preparation
        self._limiter = limiter
        self._signals = signals
        self._clock = clock
        self._pace = pace
        self._coming: set[str] = set()
        """Runs that are being kept, and will be performed here."""
        self._taking_up: set[str] = set()
        self._strays: frozenset[str] = frozenset()
        """Claims of this worker that nobody performed when it beat last."""
        self._work = asyncio.Event()
        self._beat_now = asyncio.Event()
        self._watch = _Watch(worker_id, clock, pace)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Raises `errors.StorageUnavailable` where the worker cannot be made known."""
        await self._runs.beat(self.id)
        if self._pace.alone:
            for pulse in await self._runs.pulses():
                if pulse.worker_id != self.id:
                    await self._bury(pulse)
            await self._bury_unknown()
        async with asyncio.TaskGroup() as tasks:
            going = [tasks.create_task(self._beat()), tasks.create_task(self._hear_stops())]
            try:
                yield
            finally:
                for task in going:
                    task.cancel()
        with contextlib.suppress(errors.FreddyError):
            await self._runs.leave(self.id)
            self._signals.tell(QUEUED)

    @asynccontextmanager
    async def claiming(self) -> AsyncIterator[None]:
        if not self._pace.at_once:
            yield
            return
        async with asyncio.TaskGroup() as tasks:
            going = [tasks.create_task(self._claim()), tasks.create_task(self._hear_queued())]
            try:
                yield
            finally:
                for task in going:
                    task.cancel()

    async def take(self, prepared: Prepared, admission: Admission) -> None:
        """Keeps a run, and has it performed: here where there is room, else by whoever is free first.

        Raises `errors.ShuttingDown`, `StorageUnavailable`.
        """
        if not self._host.is_open:
            raise errors.ShuttingDown("The server is stopping", retry_after=1)
        run = prepared.run
        plan = await self._preparation.put_down(prepared)
        with self._taking(run.response.id) as here:
            claim = await self._runs.put(run.response, plan, worker_id=self.id if here else None)
            if claim is not None and self._host.is_open:
                journal = Journal(claim, self._runs, self._signals)
                await self._host.go_on(
                    run, prepared.model, admission, toolbox=prepared.toolbox, journal=journal, gone=self._see_room
                )
                return
        # Whoever performs it asks for leave again.
        await admission.release()
        if claim is not None:
            with contextlib.suppress(errors.FreddyError, errors.ClaimLost):
                await self._runs.release(claim)
        self._signals.tell(QUEUED)

    @contextlib.contextmanager
    def _taking(self, response_id: str) -> Iterator[bool]:
        """Whether there is room for one more, which is then held."""
        here = self._room() > 0
        if here:
            self._coming.add(response_id)
        try:
            yield here
        finally:
            self._coming.discard(response_id)
            self._see_room()

    def _see_room(self) -> None:
        """What waits may have waited for this: there was no room before."""
        if self._room() == 1:
            self._work.set()

    def _room(self) -> int:
        return self._pace.at_once - self._host.claimed - len(self._coming) if self._host.is_open else 0

    # Claiming

    async def _claim(self) -> None:
        while True:
            self._work.clear()
            claimed: Sequence[Claimed] = ()
            try:
                if self._host.is_open:
                    claimed = await self._runs.claim(self.id, most=max(0, self._room()))
            except errors.FreddyError as error:
                _log.warning("claiming_failed", extra={"code": error.code})
            except Exception:  # noqa: BLE001
                # Whatever it is, what is queued later must not wait for it.
                _log.exception("claiming_fault")
            self._taking_up.update(one.claim.response_id for one in claimed)
            if claimed and all([await self._take_up(one) for one in claimed]):
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AWAY_SECONDS if claimed else self._pace.poll):
                    await self._work.wait()

    async def _take_up(self, claimed: Claimed) -> bool:
        """Whether all that is needed for it was there; else it is given back."""
        claim, lost = claimed.claim, False
        try:
            await self._perform(claimed)
        except errors.ClaimLost:
            return True
        except errors.FreddyError as error:
            _log.warning("run_not_taken_up", extra={"response_id": claim.response_id, "code": error.code})
        except Exception:  # noqa: BLE001
            # What is wrong with one run must not keep the others waiting, time and again.
            _log.exception("run_not_taken_up", extra={"response_id": claim.response_id})
            lost = True
        else:
            return True
        finally:
            self._taking_up.discard(claim.response_id)
        with contextlib.suppress(errors.FreddyError, errors.ClaimLost):
            await self._runs.release(claim, lost=lost)
        return False

    async def _hear_queued(self) -> None:
        async with self._signals.hear(QUEUED) as hearing:
            while True:
                await hearing.next(3600)
                self._work.set()

    async def _perform(self, claimed: Claimed) -> None:
        """Raises `errors.StorageUnavailable`, `ClaimLost`."""
        claim = claimed.claim
        entries = await self._entries(claim.response_id)
        if claimed.losses >= MOST_LOSSES:
            failure = errors.Internal(
                f"{claimed.losses} processes that made this response ended before it did", code="interrupted"
            )
            await self._give_up(claimed, entries, failure.as_failure())
            return
        try:
            prepared = await self._preparation.take_up(claimed.response, claimed.plan)
        except errors.StorageUnavailable:
            raise
        except errors.FreddyError as error:
            await self._give_up(claimed, entries, error.as_failure())
            return
        run, first, place, number = _gone_on(prepared.run, entries)
        if entries:
            _log.info("run_resumed", extra={"response_id": claim.response_id, "entries": len(entries)})
        journal = Journal(claim, self._runs, self._signals, place=place, number=number)
        try:
            admission = await self._admitted(replace(prepared, run=run))
        except errors.RateLimited as error:
            await self._give_up(claimed, entries, error.as_failure())
            return
        await self._host.go_on(
            run,
            prepared.model,
            admission,
            toolbox=prepared.toolbox,
            journal=journal,
            first=first,
            gone=self._see_room,
        )
        if claimed.stop is not None:
            self._host.stop(claim.response_id, keep=claimed.stop == runner.KEEP)

    async def _give_up(self, claimed: Claimed, entries: list[Entry], failure: errors.Failure) -> None:
        bare = Run(response=claimed.response, context=(), model=claimed.response.model)
        run, first, place, number = _gone_on(bare, entries)
        if not entries:
            first = [*runner.begun(run)]
        journal = Journal(claimed.claim, self._runs, self._signals, place=place, number=number)
        await self._host.end(run, failure, journal, first=first)

    async def _admitted(self, prepared: Prepared) -> Admission:
        """It had the leave when it was accepted, and that was given back: now it is counted, even where it is more.

        Raises `errors.RateLimited` where meanwhile nothing is left of a budget, for a run that has not begun.
        """
        try:
            try:
                return await admitted(self._limiter, prepared)
            except errors.RateLimited as error:
                if is_spent(error) and not prepared.run.begun:
                    raise
                return await counted(self._limiter, prepared)
        except errors.StorageUnavailable:
            return FREE

    async def _entries(self, response_id: str) -> list[Entry]:
        entries: list[Entry] = []
        while page := await self._runs.log(response_id, after=len(entries) - 1, most=_PAGE):
            entries += page
        return entries

    # Living and dying

    async def _beat(self) -> None:
        while True:
            self._beat_now.clear()
            try:
                heard = await self._runs.beat(self.id)
                await self._release_strays(heard)
                if heard.buried:
                    _log.warning("worker_was_buried", extra={"worker_id": self.id})
                    self._host.let_go()
                for response_id, how in heard.stops.items():
                    self._host.stop(response_id, keep=how == runner.KEEP)
                await self._look_around()
                self._counted(await self._runs.queued())
            except errors.FreddyError as error:
                _log.warning("heartbeat_failed", extra={"code": error.code})
            except Exception:  # noqa: BLE001
                # A worker that cannot beat is buried, and nothing is lost; one that dies of it takes others along.
                _log.exception("heartbeat_fault")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.heartbeat):
                    await self._beat_now.wait()

    async def _release_strays(self, heard: Heard) -> None:
        """Gives back what this worker was given, and never heard of: the word may have been lost on its way."""
        known = self._coming | self._taking_up | {one for one in heard.held if self._host.performs(one)}
        strays = frozenset(heard.held) - known
        for response_id in strays & self._strays:
            _log.warning("claim_given_back", extra={"response_id": response_id})
            with contextlib.suppress(errors.ClaimLost):
                await self._runs.release(Claim(response_id, "", self.id, heard.held[response_id]), lost=True)
        self._strays = strays

    async def _hear_stops(self) -> None:
        async with self._signals.hear(STOPPED) as hearing:
            while True:
                payload = await hearing.next(3600)
                if payload is None or self._host.performs(payload.decode(errors="replace")):
                    self._beat_now.set()
                else:
                    self._work.set()  # it may be one that waits

    async def _look_around(self) -> None:
        if self._pace.alone:
            return
        dead = self._watch.dead(await self._runs.pulses())
        for pulse in dead:
            await self._bury(pulse)
        if self._watch.settled:
            await self._bury_unknown()

    async def _bury(self, pulse: Pulse) -> None:
        interrupted = await self._runs.bury(pulse, int(self._clock.now()))
        if interrupted is None:
            return
        _log.warning("worker_buried", extra={"worker_id": pulse.worker_id, "interrupted": interrupted})
        self._work.set()
        self._signals.tell(QUEUED)

    async def _bury_unknown(self) -> None:
        if interrupted := await self._runs.bury_unknown(int(self._clock.now())):
            _log.warning("responses_interrupted", extra={"count": interrupted})


class _Watch:
    """Sees whose heart stands still. Times are this process's own, and only those in which it could look count."""

    def __init__(self, worker_id: str, clock: Clock, pace: Pace) -> None:
        self._worker_id = worker_id
        self._clock = clock
        self._lease = pace.lease
        self._gap = max(2 * pace.heartbeat, pace.lease / 2)
        self._looked: float | None = None
        self._began: float | None = None
        self._seen: dict[str, tuple[int, float]] = {}

    def dead(self, pulses: Sequence[Pulse]) -> list[Pulse]:
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked > self._gap:
            # Nobody could be seen to beat meanwhile: not that nobody did.
            self._seen.clear()
            self._began = now
        self._looked = now
        before, self._seen = self._seen, {}
        dead = []
        for pulse in pulses:
            beats, since = before.get(pulse.worker_id, (pulse.beats, now))
            self._seen[pulse.worker_id] = (pulse.beats, since if beats == pulse.beats else now)
            if pulse.worker_id != self._worker_id and now - self._seen[pulse.worker_id][1] >= self._lease:
                dead.append(pulse)
        return dead

    @property
    def settled(self) -> bool:
        """Whether it has looked for as long as a worker may take to make itself known."""
        return self._began is not None and self._looked is not None and self._looked - self._began >= self._lease


def _gone_on(run: Run, entries: list[Entry]) -> tuple[Run, list[events.Event], int, int]:
    """The run as its log leaves it, what must be told before it goes on, and the next place and number."""
    run, first = resuming.resumed(run, [event for entry in entries for event in log.read(entry.events, run.response)])
    if not entries:
        return run, first, 0, 0
    return run, first, entries[-1].place + 1, entries[-1].first + entries[-1].told
