"""Performs runs that anybody has accepted: claims them, tells that it lives, and takes up what the dead leave."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.accounts.limits import FREE, Admission, Full, Limiter
from freddy.server.core import errors, events, log, resuming
from freddy.server.core.folding import fold
from freddy.server.core.run import Run
from freddy.server.ports.runs import Claim, Claimed, Entry, Heard, Pulse, RunStore, Unread
from freddy.server.ports.signals import QUEUED, STOPPED, Signals, topic_of
from freddy.server.ports.world import Clock
from freddy.server.runtime import estimate, runner
from freddy.server.runtime.admitting import counted, sought
from freddy.server.runtime.holding import Holding
from freddy.server.runtime.host import Host
from freddy.server.runtime.journal import Journal
from freddy.server.runtime.prepare import Preparation, Prepared, Unreadable
from freddy.server.runtime.watching import Watch

MOST_LOSSES = 5
"""A run that so many died with may be what they died of. A process that could not take one up so often ends it."""
Why: TypeAlias = Literal["limits", "limits_unavailable", "storage", "unreadable"]
"""Why a run that was claimed is given back."""
_AWAY_SECONDS = 2.0
"""After the store was found to be away, nothing is claimed for so long."""
_AGAIN_SECONDS = 2.0
"""A run that could not be taken up is left alone for so long, and twice as long each time: by one process half a
minute in all."""
_CURE = "have all processes run the same version, or restore the database"
_PAGE = 500
"""Entries of a log that are read at once."""

_log = logging.getLogger(__name__)
_Seen: TypeAlias = Literal["done", "waits"]
"""What became of a run that was claimed. One that `waits` is to be given back."""


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
        gave_back: Callable[[Why], None] = lambda _: None,
    ) -> None:
        """`counted` hears with every heartbeat how many runs wait for somebody, `gave_back` why one has to wait on."""
        self.id = worker_id
        self._counted = counted
        self._gave_back = gave_back
        self._runs = runs
        self._host = host
        self._preparation = preparation
        self._limiter = limiter
        self._signals = signals
        self._clock = clock
        self._pace = pace
        self._holding = Holding(clock)
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
                seconds = min(seconds, _AWAY_SECONDS)
            except Exception:  # noqa: BLE001
                # Whatever it is, what is queued later must not wait for it.
                _log.exception("claiming_fault")
                seconds = min(seconds, _AWAY_SECONDS)
            finally:
                self._claiming = False
                self._taking_up.update(one.claim.response_id for one in claimed)
            if claimed and all([await self._take_up(one) for one in claimed]):
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AWAY_SECONDS if claimed else self._holding.wait(seconds)):
                    await self._work.wait()

    async def _claim_some(self) -> Sequence[Claimed | Unread]:
        if not self._host.is_open:
            return ()
        held, most = self._holding.held(), self._holding.most(max(0, self._room()))
        claimed = await self._runs.claim(self.id, most=most, held=held)
        if most and not claimed:
            self._holding.found_nothing()
        return claimed

    async def _take_up(self, claimed: Claimed | Unread) -> bool:
        """Whether all that all runs need was there. One that is not performed, nor over, is given back."""
        claim, seen, there = claimed.claim, "waits", True
        try:
            seen = await self._see_to(claimed)
        except errors.ClaimLost:
            return True
        except errors.FreddyError as error:
            _log.warning("run_not_taken_up", extra={"response_id": claim.response_id, "code": error.code})
            self._hold(claim.response_id, _AWAY_SECONDS, "storage")
            there = False
        except Exception:  # noqa: BLE001
            # It could not even be ended: what is wrong with one run must not end the process.
            _log.exception("run_not_ended", extra={"response_id": claim.response_id})
            self._hold(claim.response_id, _AGAIN_SECONDS * 2**MOST_LOSSES, "unreadable")
        finally:
            self._taking_up.discard(claim.response_id)
        if seen == "done":
            self._holding.forget(claim.response_id)
        else:
            try:
                await self._runs.release(claim)
            except (errors.FreddyError, errors.ClaimLost):
                pass
            except Exception:  # noqa: BLE001
                # It comes back with a later heartbeat, as a claim that nobody performs.
                _log.exception("run_not_released", extra={"response_id": claim.response_id})
        return there

    async def _see_to(self, claimed: Claimed | Unread) -> _Seen:
        """Raises `errors.StorageUnavailable`, `ClaimLost`."""
        if isinstance(claimed, Unread):
            unreadable = Unreadable(
                "what was kept of its request cannot be read", code="response_unreadable", cure=_CURE
            )
            return await self._lose(claimed, unreadable)
        try:
            return await self._perform(claimed)
        except (errors.FreddyError, errors.ClaimLost):
            raise
        except Unreadable as error:
            unreadable = error
        except Exception:  # noqa: BLE001
            # What is wrong with one run must not keep the others waiting, time and again.
            _log.exception("run_not_taken_up", extra={"response_id": claimed.claim.response_id})
            unreadable = Unreadable(
                "the server met a fault", code="internal_error", cure="the fault stands in the log, before this line"
            )
        return await self._lose(claimed, unreadable)

    async def _lose(self, claimed: Claimed | Unread, unreadable: Unreadable) -> _Seen:
        """Has it tried again, by whoever is first, or ends it. Raises `errors.StorageUnavailable`, `ClaimLost`."""
        response_id = claimed.claim.response_id
        # Each process counts for itself: one of another version may be able to, and has its turn in between.
        tries = self._holding.tried(response_id)
        told = {
            "response_id": response_id,
            "code": unreadable.failure.code,
            "reason": str(unreadable),
            "cure": unreadable.cure,
            "tries": tries,
        }
        if tries < MOST_LOSSES:
            _log.warning("run_not_taken_up", extra=told)
            self._hold(response_id, _AGAIN_SECONDS * 2 ** (tries - 1), "unreadable")
            return "waits"
        _log.error("run_given_up", extra=told)
        await self._give_up(claimed, unreadable.failure)
        return "done"

    def _hold(self, response_id: str, seconds: float, why: Why) -> None:
        self._holding.hold(response_id, seconds)
        self._gave_back(why)

    async def _hear_queued(self) -> None:
        async with self._signals.hear(QUEUED) as hearing:
            while True:
                await hearing.next(3600)
                self._work.set()

    async def _perform(self, claimed: Claimed) -> _Seen:
        """Raises `Unreadable`, `errors.StorageUnavailable`, `ClaimLost`."""
        claim, response = claimed.claim, claimed.response
        if claimed.losses >= MOST_LOSSES:
            failure = errors.Internal(
                f"{claimed.losses} processes that made this response ended before it did", code="interrupted"
            )
            await self._give_up(claimed, failure.as_failure())
            return "done"
        if (
            response.status == "queued"
            and claimed.stop is None
            and self._holding.is_full(response.organization_id, response.key_id)
        ):
            return "waits"
        entries = await self._entries(claim.response_id)
        try:
            prepared = await self._preparation.take_up(response, claimed.plan)
        except errors.StorageUnavailable:
            raise
        except errors.FreddyError as error:
            await self._give_up(claimed, error.as_failure())
            return "done"
        run, first, place, number = _gone_on(prepared.run, entries)
        prepared = replace(prepared, run=run)
        try:
            # One that is to be stopped uses nothing.
            admission = FREE if claimed.stop is not None else await self._leave(prepared)
        except errors.RateLimited as error:
            await self._give_up(claimed, error.as_failure())
            return "done"
        if admission is None:
            return "waits"
        if claimed.stop is not None:
            # Nobody is asked any more.
            opening = [] if entries else runner.beginning(run)
            run = replace(run, opening_told=True)
            first = [*opening, *first, events.Cancelled(partial=claimed.stop == runner.KEEP)]
        if entries:
            _log.info("run_resumed", extra={"response_id": claim.response_id, "entries": len(entries)})
        journal = Journal(claim, self._runs, self._signals, place=place, number=number)
        try:
            await self._host.go_on(
                run,
                prepared.model,
                admission,
                toolbox=prepared.toolbox,
                journal=journal,
                first=first,
                gone=partial(self._gone, response.organization_id),
            )
        except BaseException:
            if not self._host.performs(claim.response_id):
                await admission.release()
            raise
        return "done"

    async def _give_up(self, claimed: Claimed | Unread, failure: errors.Failure) -> None:
        """Ends a run as failed, whatever of it can be read. Raises `errors.StorageUnavailable`, `ClaimLost`."""
        claim = claimed.claim
        if isinstance(claimed, Claimed):
            try:
                await self._end(claimed, await self._entries(claim.response_id), failure)
            except (errors.FreddyError, errors.ClaimLost):
                raise
            except Exception:  # noqa: BLE001
                # It ends for all that: nobody else will do better.
                _log.exception("run_not_ended", extra={"response_id": claim.response_id})
            else:
                return
        await self._runs.abandon(claim, failure, int(self._clock.now()))
        self._signals.tell(topic_of(claim.response_id))

    async def _end(self, claimed: Claimed, entries: list[Entry], failure: errors.Failure) -> None:
        bare = Run(response=claimed.response, context=(), model=claimed.response.model)
        try:
            run, first, place, number = _gone_on(bare, entries)
        except _LogUnreadable as error:
            run, first, _, _ = _gone_on(bare, entries[: error.place])
            place, number = entries[-1].place + 1, entries[-1].first + entries[-1].told
        if not entries:
            first = runner.beginning(run)
        journal = Journal(claimed.claim, self._runs, self._signals, place=place, number=number)
        await self._host.end(run, failure, journal, first=first)

    async def _leave(self, prepared: Prepared) -> Admission | None:
        """The leave to perform it, None where it has to wait for that. It was given back when the run was queued.

        One that has begun is counted, even where it is one too many: it had its room. Where nothing can be counted
        both wait, as requests are refused then.

        Raises `errors.RateLimited` for one that has not begun, where waiting is of no use.
        """
        run, caller = prepared.run, prepared.caller
        why: Why = "limits"
        try:
            found = (
                await counted(self._limiter, prepared) if run.opening_told else await sought(self._limiter, prepared)
            )
        except errors.LimitsUnavailable as error:
            why = "limits_unavailable"
            found = Full(caller.organization_id, caller.key_id, error.retry_after or _AWAY_SECONDS)
        if isinstance(found, Admission):
            return found
        if run.opening_told:
            self._holding.hold(run.response.id, found.seconds)
        if self._holding.fill(found):
            _log.info(
                "runs_wait", extra={"organization_id": found.organization_id, "key_id": found.key_id, "reason": why}
            )
        self._gave_back(why)
        return None

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


class _LogUnreadable(Unreadable):
    """`place` is the first place in the log that cannot be read."""

    def __init__(self, place: int) -> None:
        super().__init__(
            "what was recorded of it cannot be read",
            code="log_unreadable",
            cure=_CURE,
        )
        self.place = place


def _gone_on(run: Run, entries: list[Entry]) -> tuple[Run, list[events.Event], int, int]:
    """The run as its log leaves it, what must be told before it goes on, and the next place and number.

    Raises `_LogUnreadable`.
    """
    happened: list[events.Event] = []
    for entry in entries:
        try:
            happened += log.read(entry.events, run.response)
        except (msgspec.MsgspecError, ValueError) as error:
            raise _LogUnreadable(entry.place) from error
    run, first = resuming.resumed(run, happened)
    if (lost := estimate.lost(fold(run, first), resuming.heard(happened))) is not None:
        # Kept before anything else happens, so that it is counted once, whoever takes the run up next.
        first = [lost, *first]
    if not entries:
        return run, first, 0, 0
    return run, first, entries[-1].place + 1, entries[-1].first + entries[-1].told
