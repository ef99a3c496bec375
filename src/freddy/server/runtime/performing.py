"""Performs a run that this process has claimed, from where it is; or ends it, or gives it back to whoever can."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from freddy.server.accounts.limits import FREE, Admission, Full, Limiter
from freddy.server.core import errors, events, log, resuming
from freddy.server.core.folding import fold
from freddy.server.core.run import Run
from freddy.server.ports.runs import Claimed, Entry, RunStore, Unread
from freddy.server.ports.signals import Signals, topic_of
from freddy.server.ports.world import Clock
from freddy.server.runtime import estimate, runner
from freddy.server.runtime.admitting import counted, sought
from freddy.server.runtime.holding import Holding
from freddy.server.runtime.host import Host
from freddy.server.runtime.journal import Journal
from freddy.server.runtime.prepare import Preparation, Prepared, Unreadable

MOST_LOSSES = 5
"""A run that so many died with may be what they died of. A process that could not take one up so often ends it."""
AWAY_SECONDS = 2.0
"""After the store was found to be away, nothing is tried again for so long."""
Why: TypeAlias = Literal["limits", "limits_unavailable", "storage", "unreadable"]
"""Why a run that was claimed is given back."""
_AGAIN_SECONDS = 2.0
"""A run that could not be taken up is left alone for so long, and twice as long each time: by one process half a
minute in all."""
_CURE = "have all processes run the same version, or restore the database"
_PAGE = 500
"""Entries of a log that are read at once."""

_log = logging.getLogger(__name__)
_Seen: TypeAlias = Literal["done", "waits"]
"""What became of a run that was claimed. One that `waits` is to be given back."""


class Performing:
    """What a worker does with each run that it has claimed."""

    def __init__(
        self,
        *,
        runs: RunStore,
        host: Host,
        preparation: Preparation,
        limiter: Limiter,
        signals: Signals,
        clock: Clock,
        holding: Holding,
        gone: Callable[[str], None],
        gave_back: Callable[[Why], None],
    ) -> None:
        """`gone` hears of which organization a run is not here any more, `gave_back` why one has to wait on."""
        self._runs = runs
        self._host = host
        self._preparation = preparation
        self._limiter = limiter
        self._signals = signals
        self._clock = clock
        self._holding = holding
        self._gone = gone
        self._gave_back = gave_back

    async def take_up(self, claimed: Claimed | Unread) -> bool:
        """Whether all that all runs need was there. One that is not performed, nor over, is given back."""
        claim, seen, there = claimed.claim, "waits", True
        try:
            seen = await self._see_to(claimed)
        except errors.ClaimLost:
            return True
        except errors.FreddyError as error:
            _log.warning("run_not_taken_up", extra={"response_id": claim.response_id, "code": error.code})
            self._hold(claim.response_id, AWAY_SECONDS, "storage")
            there = False
        except Exception:  # noqa: BLE001
            # It could not even be ended: what is wrong with one run must not end the process.
            _log.exception("run_not_ended", extra={"response_id": claim.response_id})
            self._hold(claim.response_id, _AGAIN_SECONDS * 2**MOST_LOSSES, "unreadable")
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
            found = Full(caller.organization_id, caller.key_id, error.retry_after or AWAY_SECONDS)
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
