"""Rate limits and budgets: every run is admitted before it begins and settled when it has ended."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Protocol, assert_never

from msgspec import Struct, structs
from msgspec.structs import replace

from freddy.server.core import errors, limits, money
from freddy.server.core.accounts import Caller
from freddy.server.core.limits import Limits, Month
from freddy.server.ports.counters import (
    Bounds,
    BudgetSource,
    Counters,
    Gauge,
    Holder,
    Refused,
    Standing,
    Taken,
    Unknown,
)
from freddy.server.ports.world import Clock

_UNBOUNDED = Bounds()
_TRIES = 3
"""Counters that lose what they were just told are asked no more often than that."""
_FAR = 2**52
"""More than anybody uses, and still exact wherever it is counted."""
_NO_USE = ("x-should-retry", "false")
"""Waiting is of no use: heeded by our client and by OpenAI's, https://github.com/openai/openai-python"""


class OrganizationLimits(Protocol):
    async def __call__(self, organization_id: str) -> Limits | None:
        """The organization's own limits. It is asked for every run, so it had better remember."""
        ...


class Admission:
    """The leave to perform one run. `settle` or `release` ends it; what comes after the first of them does nothing."""

    def __init__(
        self, standings: tuple[Standing, ...] = (), settle: Callable[[int, int, int], Awaitable[None]] | None = None
    ) -> None:
        self._standings = standings
        self._settle = settle

    def headers(self) -> tuple[tuple[str, str], ...]:
        """`x-ratelimit-*` as of the moment of admission; nothing where there is no such limit."""
        return headers(self._standings)

    async def settle(self, *, tokens: int, cost: float | None) -> None:
        """The run has ended and used so much; `cost` is in US dollars, None where no price is known. Never raises."""
        await self._end(1, tokens, 0 if cost is None else money.nanos(cost))

    async def release(self) -> None:
        """The run never began: nothing was used. Never raises."""
        await self._end(0, 0, 0)

    async def _end(self, requests: int, tokens: int, cost: int) -> None:
        settle, self._settle = self._settle, None
        if settle is not None:
            await settle(requests, tokens, cost)


FREE = Admission()


class Full(Struct, frozen=True):
    """Who has no room for a run: a key within an organization, or with no key the organization itself.

    In so many `seconds` there may be room, if nobody else comes.
    """

    organization_id: str
    key_id: str | None
    seconds: float


class Limiter:
    """Holds callers to the limits of their key and of their organization.

    The defaults hold where a key or an organization sets no such limit of its own. Where `meanwhile` is given, it
    makes the counters that count while `counters` cannot; otherwise nobody with limits is admitted then.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        organization_limits: OrganizationLimits,
        spending: BudgetSource,
        clock: Clock,
        organization_default: Limits | None = None,
        key_default: Limits | None = None,
        meanwhile: Callable[[], Counters] | None = None,
    ) -> None:
        self._counters = counters
        self._organization_limits = organization_limits
        self._spending = spending
        self._clock = clock
        self._organization_default = organization_default or Limits()
        self._key_default = key_default or Limits()
        self._make_meanwhile = meanwhile
        self._meanwhile: Counters | None = None
        self._spent_meanwhile: set[tuple[str, str | None]] = set()
        """Whose spending the counters do not know all of."""
        self._month = limits.month(clock.now())

    async def limited(self, caller: Caller) -> bool:
        """Whether anything limits the caller: if not, nobody need work out what a run may take."""
        return bool(await self._holders(caller))

    async def admit(self, caller: Caller, *, tokens: int, cost: float | None) -> Admission:
        """Reserves a request, a run, and what it takes at most: `tokens` of input and output, `cost` in US dollars.

        A `cost` of None is not known: it reserves nothing, and is refused where nothing of a budget is left. Raises
        `errors.RateLimited`, and `errors.StorageUnavailable` where nothing can be counted or no spending be read.
        """
        holders = await self._holders(caller)
        if not holders:
            return FREE
        reserved = None if cost is None else money.nanos(cost)
        counters, found = await self._take_somewhere(holders, tokens=tokens, cost=reserved)
        if isinstance(found, Refused):
            raise self._refusal(found, tokens=tokens, cost=reserved)
        return Admission(found.standings, partial(self._settle, counters, found))

    async def seek(self, caller: Caller, *, tokens: int, cost: float | None) -> Admission | Full:
        """Like `admit`, for who can wait: raises `errors.RateLimited` only where waiting is of no use."""
        holders = await self._holders(caller)
        if not holders:
            return FREE
        reserved = None if cost is None else money.nanos(cost)
        counters, found = await self._take_somewhere(holders, tokens=tokens, cost=reserved)
        if not isinstance(found, Refused):
            return Admission(found.standings, partial(self._settle, counters, found))
        if found.wait is None:
            raise self._refusal(found, tokens=tokens, cost=reserved)
        return Full(found.holder.organization_id, found.holder.key_id, found.wait / 1000)

    async def count(self, caller: Caller, *, tokens: int, cost: float | None) -> Admission:
        """Reserves like `admit`, whatever is left: for a run that had its leave before, and goes on with it.

        Raises `errors.StorageUnavailable` as `admit` does.
        """
        holders = tuple(replace(one, bounds=_unreachable(one.bounds)) for one in await self._holders(caller))
        if not holders:
            return FREE
        reserved = None if cost is None else money.nanos(cost)
        counters, found = await self._take_somewhere(holders, tokens=tokens, cost=reserved)
        return FREE if isinstance(found, Refused) else Admission((), partial(self._settle, counters, found))

    async def spent(self, organization_id: str) -> None:
        """The organization has spent something beside its responses, which is kept: its budget is to know. Never
        raises: where it cannot be told now, it is before the next run."""
        try:
            bounds = _bounds(await self._organization_limits(organization_id), self._organization_default)
            if bounds.budget is not None:
                await self._learn(self._counters, Holder(organization_id, None, bounds), self._this_month())
        except errors.FreddyError:
            self._spent_meanwhile.add((organization_id, None))

    async def _holders(self, caller: Caller) -> tuple[Holder, ...]:
        """Who of the key and its organization has limits."""
        own = await self._organization_limits(caller.organization_id)
        organization = _bounds(own, self._organization_default)
        key = _UNBOUNDED if caller.key_id is None else _bounds(caller.limits, self._key_default)
        if key is _UNBOUNDED and organization is _UNBOUNDED:
            return ()
        holders = []
        if key is not _UNBOUNDED:
            holders.append(Holder(caller.organization_id, caller.key_id, key))
        if organization is not _UNBOUNDED:
            holders.append(Holder(caller.organization_id, None, organization))
        return tuple(holders)

    async def _take_somewhere(
        self, holders: tuple[Holder, ...], *, tokens: int, cost: int | None
    ) -> tuple[Counters, Taken | Refused]:
        """What was taken, and the counters it was taken from."""
        try:
            if self._spent_meanwhile:
                await self._catch_up(holders)
            found = await self._take(self._counters, holders, tokens=tokens, cost=cost)
        except errors.LimitsUnavailable:
            if self._make_meanwhile is None:
                raise
            # New ones for every outage: what those of the last one knew is old.
            meanwhile = self._meanwhile = self._meanwhile or self._make_meanwhile()
            return meanwhile, await self._take(meanwhile, holders, tokens=tokens, cost=cost)
        self._meanwhile = None
        return self._counters, found

    async def _take(
        self, counters: Counters, holders: tuple[Holder, ...], *, tokens: int, cost: int | None
    ) -> Taken | Refused:
        month = self._this_month()
        for _ in range(_TRIES):
            found = await counters.take(holders, tokens=tokens, cost=cost, month=month)
            if not isinstance(found, Unknown):
                return found
            for holder in found.holders:
                await self._learn(counters, holder, month)
        raise errors.LimitsUnavailable(
            "Budgets cannot be counted", details="what counts them forgets at once: give it memory", retry_after=1
        )

    async def _learn(self, counters: Counters, holder: Holder, month: Month) -> None:
        # Twice: what was kept after the first look, and settled before there was anything to settle it with, is seen
        # by the second.
        for _ in range(2):
            spent = await self._spending.month_cost(
                holder.organization_id, holder.key_id, since=month.since, until=month.until
            )
            await counters.learn(holder, month, spent=spent)

    async def _catch_up(self, holders: tuple[Holder, ...]) -> None:
        for holder in holders:
            name = (holder.organization_id, holder.key_id)
            if name in self._spent_meanwhile:
                await self._learn(self._counters, holder, self._this_month())
                self._spent_meanwhile.discard(name)

    async def _settle(self, counters: Counters, taken: Taken, requests: int, tokens: int, cost: int) -> None:
        if counters is not self._counters and cost:
            self._spent_meanwhile.update(
                (holder.organization_id, holder.key_id) for holder in taken.holders if holder.bounds.budget is not None
            )
        await counters.settle(taken, requests=requests, tokens=tokens, cost=cost, month=self._this_month())

    def _this_month(self) -> Month:
        now = self._clock.now()
        if not self._month.since <= now < self._month.until:
            self._month = limits.month(now)
        return self._month

    def _refusal(self, refused: Refused, *, tokens: int, cost: int | None) -> errors.RateLimited:
        bounds = refused.holder.bounds
        whose = "organization" if refused.holder.key_id is None else "API key"
        told = headers(refused.standings)
        seconds = None if refused.wait is None else refused.wait / 1000
        later = "wait as long as Retry-After says, or have the limit raised"
        match refused.kind:
            case "requests":
                message = f"This {whose} has reached its limit of requests per minute: {bounds.requests}"
            case "tokens" if seconds is None:
                message = f"This request may take {tokens} tokens, and this {whose} has {bounds.tokens} per minute"
                later, told = "send less, or ask for fewer output tokens", (*told, _NO_USE)
            case "tokens":
                message = (
                    f"This {whose} has reached its limit of tokens per minute: {bounds.tokens}, of which "
                    f"{refused.used} are used, and this request may take {tokens}"
                )
            case "runs":
                message = f"This {whose} has reached its limit of runs at the same time: {bounds.runs}"
                later = "wait until one of them has ended, or have the limit raised"
            case "budget":
                return self._over_budget(refused, cost=cost, headers=told)
            case _:
                assert_never(refused.kind)
        return errors.RateLimited(message, details=later, retry_after=seconds, headers=told)

    def _over_budget(
        self, refused: Refused, *, cost: int | None, headers: tuple[tuple[str, str], ...]
    ) -> errors.RateLimited:
        month = self._this_month()
        whose = "organization" if refused.holder.key_id is None else "API key"
        budget = refused.holder.bounds.budget or 0
        left = budget - refused.used
        message = f"This {whose} has spent its budget of {money.written(budget)} US dollars for {month.name}"
        if left > 0 and cost is not None:
            message = (
                f"This request may cost {money.written(cost)} US dollars, and {money.written(left)} are left of this "
                f"{whose}'s budget of {money.written(budget)} for {month.name}"
            )
        if refused.wait is not None:
            return errors.RateLimited(
                f"{message}, as runs under way hold a part of it",
                code="budget_exceeded",
                details="ask again when they have ended",
                retry_after=refused.wait / 1000,
                headers=headers,
            )
        anew = datetime.fromtimestamp(month.until, UTC).date()
        return errors.RateLimited(
            message,
            code="budget_exceeded",
            details=f"it begins anew on {anew} (UTC); until then, have it raised",
            retry_after=month.until - self._clock.now(),
            headers=(*headers, _NO_USE),
        )


def headers(standings: tuple[Standing, ...]) -> tuple[tuple[str, str], ...]:
    """Those of OpenAI, each for the gauge that has the fewest left.

    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    return (
        *_told("requests", [one.requests for one in standings if one.requests is not None]),
        *_told("tokens", [one.tokens for one in standings if one.tokens is not None]),
    )


def _told(noun: str, gauges: list[Gauge]) -> Iterator[tuple[str, str]]:
    if not gauges:
        return
    tightest = min(gauges, key=lambda gauge: gauge.remaining)
    yield f"x-ratelimit-limit-{noun}", str(tightest.limit)
    yield f"x-ratelimit-remaining-{noun}", str(tightest.remaining)
    yield f"x-ratelimit-reset-{noun}", limits.duration(tightest.reset)


def _unreachable(bounds: Bounds) -> Bounds:
    """The same are counted, and none is in the way."""
    return Bounds(
        **{name: None if bound is None else _FAR for name, bound in structs.asdict(bounds).items()},
    )


@lru_cache(maxsize=4096)
def _bounds(own: Limits | None, others: Limits) -> Bounds:
    """`_UNBOUNDED` itself where there are none."""
    both = others if own is None else own.over(others)
    bounds = Bounds(
        requests=both.requests_per_minute,
        tokens=both.tokens_per_minute,
        runs=both.concurrent_runs,
        budget=None if both.monthly_budget is None else money.nanos(both.monthly_budget),
    )
    return _UNBOUNDED if bounds == _UNBOUNDED else bounds
