"""Counts in Redis or Valkey, for all processes together. Each operation is one script, and so one moment.

The keys of an organization share a hash tag, and so a node of a cluster; `<who>` is a key's id, or `-` for the
organization itself. Every key expires.

    freddy:limits:{<organization>}:<who>:requests       hash: mark in milliseconds → requests
    freddy:limits:{<organization>}:<who>:tokens         hash: mark in milliseconds → tokens
    freddy:limits:{<organization>}:<who>:runs           sorted set: id of a run → when its lease ends
    freddy:limits:{<organization>}:<who>:<month>        hash: `spent` and `held`, in nano-dollars
    freddy:limits:{<organization>}:<who>:<month>:holds  sorted set: id and nano-dollars of a run → when its lease ends
    freddy:limits:{<organization>}:done:<id>            there for a while when a run is settled
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Self, get_args

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.limits import Month
from freddy.server.ports.counters import Gauge, Holder, Kind, Refused, Standing, Taken, Unknown
from freddy.server.ports.world import Clock, IdSource
from freddy.server.stores.counters import scripts
from freddy.server.stores.counters.link import Link

_log = logging.getLogger(__name__)

_KINDS: tuple[Kind, ...] = get_args(Kind)
_RUN = "run"
_PASSED, _UNKNOWN = 1, 2
_BUDGET_LIFE = 40 * 24 * 3600 * 1000
"""Milliseconds: longer than a month, so that what is spent of it is not read anew without need."""
_DONE_LIFE = 15 * 60 * 1000
"""Milliseconds in which a settlement that is told twice counts once."""
_TICK = 1.0
_NO_BOUND = -1


class RedisCounters:
    """The port `Counters`. Open it with `async with`; it belongs to the event loop that opened it.

    Runs and what they hold of a budget are leases of `lease_seconds`, renewed while the process lives: those of one
    that died end by themselves. `timeout_seconds` bounds every operation. `now` (Unix seconds) is given where another
    clock than that of the Redis server is to count; processes that share counters must share it.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        ids: IdSource,
        lease_seconds: float = 60.0,
        timeout_seconds: float = 1.0,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._link = Link(url, timeout_seconds=timeout_seconds)
        self._clock = clock
        self._ids = ids
        self._lease_seconds = lease_seconds
        self._lease = round(lease_seconds * 1000)
        self._now = now
        self._under_way: dict[str, Taken] = {}
        self._unsettled: dict[str, _Settlement] = {}
        """Runs that have ended and are not known to be counted so."""
        self._renewed = clock.monotonic()
        self._tasks = asyncio.TaskGroup()
        self._tending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tending = self._tasks.create_task(self._keep_tended())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._tending is not None:
            self._tending.cancel()
        await self._tasks.__aexit__(None, None, None)
        with contextlib.suppress(errors.LimitsUnavailable):
            await self._settle_rest()
        await self._link.close()

    async def take(
        self, holders: Sequence[Holder], *, tokens: int, cost: int | None, month: Month
    ) -> Taken | Refused | Unknown:
        taken = Taken(
            self._ids.new(_RUN),
            tuple(holders),
            tokens,
            cost or 0,
            month,
            marks=((0, 0),) * len(holders),
            standings=(),
        )
        asked = -1 if cost is None else cost
        bounds = [number for holder in holders for number in _numbers(holder)]
        sent = not self._link.away
        try:
            told = await self._link.call(
                scripts.TAKE, _keys(taken), self._time(), taken.id, self._lease, tokens, asked, _BUDGET_LIFE, *bounds
            )
        except (errors.LimitsUnavailable, asyncio.CancelledError):
            # It may have been taken all the same: then it is given back.
            if sent:
                self._unsettled[taken.id] = _Settlement(taken, 0, 0, 0, month)
            raise
        if told[0] == _UNKNOWN:
            return Unknown(tuple(holders[number - 1] for number in told[1:]))
        if told[0] != _PASSED:
            _, number, kind, wait, used = told[:5]
            standings = tuple(_standings(holders, told[5:]))
            return Refused(holders[number - 1], _KINDS[kind - 1], None if wait < 0 else wait, used, standings)
        rest = told[1:]
        taken = Taken(
            taken.id,
            taken.holders,
            tokens,
            cost or 0,
            month,
            marks=tuple((rest[place], rest[place + 1]) for place in range(0, len(rest), 6)),
            standings=tuple(_standings(holders, rest)),
        )
        self._under_way[taken.id] = taken
        return taken

    async def settle(self, taken: Taken, *, requests: int, tokens: int, cost: int, month: Month) -> None:
        if self._under_way.pop(taken.id, None) is None:
            return
        # Noted first: whatever stops this call, it is told later.
        self._unsettled[taken.id] = settlement = _Settlement(taken, requests, tokens, cost, month)
        with contextlib.suppress(errors.LimitsUnavailable):
            await self._settle(settlement)

    async def learn(self, holder: Holder, month: Month, *, spent: int) -> None:
        await self._link.call(scripts.LEARN, [_key(holder, month.name)], spent, _BUDGET_LIFE)

    async def tend(self) -> None:
        """What is done from time to time: leases renewed, settlements told that could not be told before.

        Raises `errors.LimitsUnavailable`.
        """
        await self._link.probe()
        await self._settle_rest()
        if self._clock.monotonic() - self._renewed >= self._lease_seconds / 3:
            self._renewed = self._clock.monotonic()
            await self.renew()

    async def renew(self) -> None:
        """Renews the leases of all that is under way here, lost ones too. Raises `errors.LimitsUnavailable`."""
        for taken in tuple(self._under_way.values()):
            bounded = [flag for holder in taken.holders for flag in _leased(holder)]
            if taken.id in self._under_way and any(bounded):
                await self._link.call(
                    scripts.RENEW, _keys(taken), self._time(), taken.id, self._lease, taken.cost, _BUDGET_LIFE, *bounded
                )

    async def _keep_tended(self) -> None:
        while True:
            await asyncio.sleep(min(_TICK, self._lease_seconds / 3))
            try:
                await self.tend()
            except errors.LimitsUnavailable:
                continue
            except Exception:  # noqa: BLE001
                # Leases are for later as well as for now: no fault of theirs may take the server along.
                _log.exception("limits_fault")

    async def _settle_rest(self) -> None:
        for settlement in tuple(self._unsettled.values()):
            await self._settle(settlement)

    async def _settle(self, settlement: "_Settlement") -> None:
        taken = settlement.taken
        places = [
            place
            for holder, (requested, counted) in zip(taken.holders, taken.marks, strict=True)
            for place in (requested, counted, int(holder.bounds.tokens is not None))
        ]
        await self._link.call(
            scripts.SETTLE,
            _keys(taken, settlement.month),
            self._time(),
            taken.id,
            _DONE_LIFE,
            settlement.requests,
            taken.tokens,
            settlement.tokens,
            taken.cost,
            settlement.cost,
            _BUDGET_LIFE,
            *places,
        )
        self._unsettled.pop(taken.id, None)

    def _time(self) -> str:
        return "" if self._now is None else f"{self._now() * 1000:.3f}"


class _Settlement(Struct, frozen=True):
    """What was used of what was taken."""

    taken: Taken
    requests: int
    tokens: int
    cost: int
    month: Month


def _key(holder: Holder, name: str) -> str:
    return f"freddy:limits:{{{holder.organization_id}}}:{holder.key_id or '-'}:{name}"


def _keys(taken: Taken, paying: Month | None = None) -> list[str]:
    """The mark of a settled one, and those of each holder; those of the paying month, where there is one, come last."""
    keys = [f"freddy:limits:{{{taken.holders[0].organization_id}}}:done:{taken.id}"]
    month = taken.month.name
    for holder in taken.holders:
        keys += [_key(holder, name) for name in ("requests", "tokens", "runs", month, f"{month}:holds")]
        if paying is not None:
            keys.append(_key(holder, paying.name))
    return keys


def _numbers(holder: Holder) -> Iterator[int]:
    bounds = holder.bounds
    for bound in (bounds.requests, bounds.tokens, bounds.runs, bounds.budget):
        yield _NO_BOUND if bound is None else bound


def _leased(holder: Holder) -> tuple[int, int]:
    return int(holder.bounds.runs is not None), int(holder.bounds.budget is not None)


def _standings(holders: Sequence[Holder], told: Sequence[int]) -> Iterator[Standing]:
    """Six numbers for each holder: two marks, requests and their reset, tokens and their reset."""
    for place, holder in enumerate(holders):
        requests, requests_reset, tokens, tokens_reset = told[place * 6 + 2 : place * 6 + 6]
        yield Standing(
            _gauge(holder.bounds.requests, requests, requests_reset), _gauge(holder.bounds.tokens, tokens, tokens_reset)
        )


def _gauge(limit: int | None, used: int, reset: int) -> Gauge | None:
    return None if limit is None else Gauge(limit, max(0, limit - used), reset)
