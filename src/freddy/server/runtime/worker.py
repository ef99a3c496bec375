"""One process among those that perform runs: claims them, tells that it lives, and buries the dead."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from msgspec import Struct

from freddy.server.accounts.limits import Admission, Limiter
from freddy.server.core import errors
from freddy.server.ports.runs import Claim, Claimed, Heard, Pulse, RunStore, Unread
from freddy.server.ports.signals import QUEUED, STOPPED, Signals
from freddy.server.ports.world import Clock
from freddy.server.runtime import runner
from freddy.server.runtime.holding import Holding
from freddy.server.runtime.host import Host
from freddy.server.runtime.journal import Journal
from freddy.server.runtime.performing import AWAY_SECONDS, Performing, Why
from freddy.server.runtime.prepare import Preparation, Prepared
from freddy.server.runtime.watching import Watch

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
    """It beats while `beating` is open, and claims while `claiming` is."""

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
        gave_back: Callable[[Why], None] = lambda _: None,
    ) -> None:
        """`counted` hears with every heartbeat how many runs wait for somebody, `gave_back` why one has to wait on."""
        self.id = worker_id
        self._counted = counted
        self._runs = runs
        self._host = host
        self._preparation = preparation
        self._signals = signals
        self._clock = clock
        self._pace = pace
        self._holding = Holding(clock)
        self._performing = Performing(
            runs=runs,
            host=host,
            preparation=preparation,
            limiter=limiter,
            signals=signals,
            clock=clock,
            holding=self._holding,
            gone=self._gone,
            gave_back=gave_back,
        )
        self._claiming = False
        """Whether runs may be claimed that are not told of yet."""
        self._coming: set[str] = set()
        """Runs that are being kept, and will be performed here."""
        self._taking_up: set[str] = set()
        self._strays: frozenset[str] = frozenset()
        """Claims of this worker that nobody performed when it beat last."""
        self._work = asyncio.Event()
        self._beat_now = asyncio.Event()
        self._watch = Watch(worker_id, clock, heartbeat=pace.heartbeat, lease=pace.lease)

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
        async with asyncio.TaskGroup() as tasks:
            going = [tasks.create_task(self._claim())]
            if self._pace.at_once:
                going.append(tasks.create_task(self._hear_queued()))
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
                gone = partial(self._gone, run.response.organization_id)
                await self._host.go_on(
                    run, prepared.model, admission, toolbox=prepared.toolbox, journal=journal, gone=gone
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

    def _gone(self, organization_id: str) -> None:
        """A run of the organization is not here any more."""
        if self._holding.freed(organization_id):
            self._work.set()
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
            # Who performs nothing still ends what is to be stopped and nobody has.
            seconds = self._pace.poll if self._pace.at_once else self._pace.heartbeat
            claimed: Sequence[Claimed | Unread] = ()
            self._claiming = True
            try:
                claimed = await self._claim_some()
            except errors.FreddyError as error:
                _log.warning("claiming_failed", extra={"code": error.code})
                seconds = min(seconds, AWAY_SECONDS)
            except Exception:  # noqa: BLE001
                # Whatever it is, what is queued later must not wait for it.
                _log.exception("claiming_fault")
                seconds = min(seconds, AWAY_SECONDS)
            finally:
                self._claiming = False
                self._taking_up.update(one.claim.response_id for one in claimed)
            if claimed and all([await self._take_up(one) for one in claimed]):
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AWAY_SECONDS if claimed else self._holding.wait(seconds)):
                    await self._work.wait()

    async def _take_up(self, claimed: Claimed | Unread) -> bool:
        try:
            return await self._performing.take_up(claimed)
        finally:
            self._taking_up.discard(claimed.claim.response_id)

    async def _claim_some(self) -> Sequence[Claimed | Unread]:
        if not self._host.is_open:
            return ()
        held, most = self._holding.held(), self._holding.most(max(0, self._room()))
        claimed = await self._runs.claim(self.id, most=most, held=held)
        if most and not claimed:
            self._holding.found_nothing()
        return claimed

    async def _hear_queued(self) -> None:
        async with self._signals.hear(QUEUED) as hearing:
            while True:
                await hearing.next(3600)
                self._work.set()

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
                    self._work.set()  # it may claim again
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
        if self._claiming:
            # What is claimed just now is not told of yet.
            self._strays = frozenset()
            return
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
