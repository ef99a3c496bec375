"""Counts for this process alone. What it knows is gone with it."""

from collections.abc import Sequence
from typing import TypeAlias

from freddy.server.core.limits import Month
from freddy.server.ports.counters import Gauge, Holder, Kind, Refused, Standing, Taken, Unknown
from freddy.server.ports.world import Clock
from freddy.server.stores.counters.window import Window

RUN_WAIT = 1_000
"""Milliseconds after which to ask again where only runs under way are in the way: nobody knows when one ends."""
_FEW = 1024
_NONE = Standing()

_Hindrance: TypeAlias = tuple[Holder, Kind, int | None, int]
"""A bound in the way: whose and which, how long it is so, and what is used of it."""


class MemoryCounters:
    """The port `Counters`. It belongs to one event loop; no method waits, so each is done at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._uses: dict[tuple[str, str | None], _Use] = {}
        self._many = _FEW
        self._number = 0
        self._under_way: set[str] = set()

    async def take(
        self, holders: Sequence[Holder], *, tokens: int, cost: int | None, month: Month
    ) -> Taken | Refused | Unknown:
        now = self._clock.monotonic() * 1000
        if len(self._uses) >= self._many:
            self._forget_idle(now)
        used = [(holder, self._use(holder)) for holder in holders]
        unknown = [holder for holder, use in used if not use.knows(holder, month.name)]
        if unknown:
            return Unknown(tuple(unknown))
        hindrances: list[_Hindrance] = []
        for holder, use in used:
            hindrances += use.hindrances(holder, now, tokens=tokens, cost=cost, month=month.name)
        if hindrances:
            worst = max(hindrances, key=_wait)
            return Refused(*worst, tuple([use.standing(holder, now) for holder, use in used]))
        reserved = cost or 0
        marks = tuple([use.take(holder, now, tokens=tokens, cost=reserved, month=month.name) for holder, use in used])
        standings = tuple([use.standing(holder, now) for holder, use in used])
        self._number += 1
        taken = Taken(str(self._number), tuple(holders), tokens, reserved, month, marks, standings)
        self._under_way.add(taken.id)
        return taken

    async def settle(self, taken: Taken, *, requests: int, tokens: int, cost: int, month: Month) -> None:
        if taken.id not in self._under_way:
            return
        self._under_way.discard(taken.id)
        now = self._clock.monotonic() * 1000
        for holder, marks in zip(taken.holders, taken.marks, strict=True):
            use = self._use(holder)
            use.settle(taken, holder, now, marks=marks, requests=requests, tokens=tokens)
            if (spending := use.spending.get(month.name)) is not None:
                spending.spent += cost

    async def learn(self, holder: Holder, month: Month, *, spent: int) -> None:
        use = self._use(holder)
        if month.name not in use.spending:
            held = {name: spending for name, spending in use.spending.items() if spending.held}
            use.spending = {**held, month.name: _Spending()}
        spending = use.spending[month.name]
        spending.spent = max(spending.spent, spent)

    def _use(self, holder: Holder) -> "_Use":
        name = (holder.organization_id, holder.key_id)
        use = self._uses.get(name)
        if use is None:
            use = self._uses[name] = _Use()
        return use

    def _forget_idle(self, now: float) -> None:
        """Of those who use nothing now, nothing is to be known that cannot be learned again."""
        self._uses = {name: use for name, use in self._uses.items() if not use.is_idle(now)}
        self._many = max(_FEW, 2 * len(self._uses))


class _Spending:
    """Nano-dollars of a month: spent, and reserved by runs under way."""

    __slots__ = ("held", "spent")

    def __init__(self) -> None:
        self.spent = 0
        self.held = 0


class _Use:
    """What one holder uses."""

    __slots__ = ("requests", "runs", "spending", "tokens")

    def __init__(self) -> None:
        self.requests = Window()
        self.tokens = Window()
        self.runs = 0
        self.spending: dict[str, _Spending] = {}
        """By the name of the month."""

    def knows(self, holder: Holder, month: str) -> bool:
        return holder.bounds.budget is None or month in self.spending

    def hindrances(
        self, holder: Holder, now: float, *, tokens: int, cost: int | None, month: str
    ) -> Sequence[_Hindrance]:
        """What is in the way of a request."""
        bounds = holder.bounds
        found: list[_Hindrance] = []
        if bounds.requests is not None and (used := self.requests.at(now)) >= bounds.requests:
            found.append((holder, "requests", self.requests.wait(now, room=bounds.requests - 1), used))
        if bounds.tokens is not None and (used := self.tokens.at(now)) + tokens > bounds.tokens:
            room = bounds.tokens - tokens
            found.append((holder, "tokens", self.tokens.wait(now, room=room) if room >= 0 else None, used))
        if bounds.runs is not None and self.runs >= bounds.runs:
            found.append((holder, "runs", RUN_WAIT, self.runs))
        if bounds.budget is not None:
            spending = self.spending[month]
            used = spending.spent + spending.held
            # What costs nothing passes always; of what nobody knows the cost, something must be left.
            least = 1 if cost is None else cost
            if least and used + least > bounds.budget:
                found.append((holder, "budget", RUN_WAIT if spending.spent + least <= bounds.budget else None, used))
        return found

    def take(self, holder: Holder, now: float, *, tokens: int, cost: int, month: str) -> tuple[int, int]:
        bounds = holder.bounds
        requested = self.requests.add(now, 1) if bounds.requests is not None else 0
        counted = self.tokens.add(now, tokens) if bounds.tokens is not None and tokens else 0
        if bounds.runs is not None:
            self.runs += 1
        if bounds.budget is not None:
            self.spending[month].held += cost
        return requested, counted

    def settle(
        self,
        taken: Taken,
        holder: Holder,
        now: float,
        *,
        marks: tuple[int, int],
        requests: int,
        tokens: int,
    ) -> None:
        requested, counted = marks
        bounds = holder.bounds
        if requested and not requests:
            self.requests.give_back(requested, 1)
        if bounds.tokens is not None and tokens < taken.tokens:
            self.tokens.give_back(counted, taken.tokens - tokens)
        elif bounds.tokens is not None and tokens > taken.tokens:
            self.tokens.at(now)
            self.tokens.add(now, tokens - taken.tokens)
        if bounds.runs is not None:
            self.runs -= 1
        if bounds.budget is not None and taken.cost:
            self.spending[taken.month.name].held -= taken.cost

    def standing(self, holder: Holder, now: float) -> Standing:
        bounds = holder.bounds
        if bounds.requests is None and bounds.tokens is None:
            return _NONE
        return Standing(
            None if bounds.requests is None else _gauge(self.requests, now, bounds.requests),
            None if bounds.tokens is None else _gauge(self.tokens, now, bounds.tokens),
        )

    def is_idle(self, now: float) -> bool:
        return (
            not self.requests.at(now)
            and not self.tokens.at(now)
            and not self.runs
            and not any(spending.held for spending in self.spending.values())
        )


def _gauge(window: Window, now: float, limit: int) -> Gauge:
    """Of a window that was looked at just now."""
    left = limit - window.total
    return Gauge(limit, left if left > 0 else 0, window.reset(now))


def _wait(hindrance: _Hindrance) -> float:
    wait = hindrance[2]
    return float("inf") if wait is None else wait
