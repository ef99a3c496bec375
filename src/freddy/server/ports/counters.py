"""The need to count what is used against limits, so that no more than a limit is ever let through."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from freddy.server.core.limits import Month

Kind: TypeAlias = Literal["requests", "tokens", "runs", "budget"]


class Bounds(Struct, frozen=True):
    """`requests` and `tokens` in any sixty seconds, `runs` at the same time, `budget` nano-dollars in a month.

    None is no bound.
    """

    requests: int | None = None
    tokens: int | None = None
    runs: int | None = None
    budget: int | None = None


class Holder(Struct, frozen=True):
    """Who is held to bounds: a key within an organization, or with no key the organization itself."""

    organization_id: str
    key_id: str | None
    bounds: Bounds


class Gauge(Struct, frozen=True):
    """How a bound stands. After `reset` milliseconds without a request nothing of it is used."""

    limit: int
    remaining: int
    reset: int


class Standing(Struct, frozen=True):
    """The gauges of a holder, None where it has no such bound."""

    requests: Gauge | None = None
    tokens: Gauge | None = None


class Taken(Struct, frozen=True):
    """What was reserved: one request, `tokens`, one run, and `cost` in nano-dollars of `month`.

    `marks` are for each holder where its request and its tokens are counted, 0 where they are not: they belong to
    the adapter, as `id` does.
    """

    id: str
    holders: tuple[Holder, ...]
    tokens: int
    cost: int
    month: Month
    marks: tuple[tuple[int, int], ...]
    standings: tuple[Standing, ...]


class Refused(Struct, frozen=True):
    """Nothing was reserved. Of all bounds in the way this is the one that is so the longest.

    `wait` is after how many milliseconds the same request would pass if nobody else came, None where it would not
    within this month, or ever. `used` is what is counted already, in the bound's own unit.
    """

    holder: Holder
    kind: Kind
    wait: int | None
    used: int
    standings: tuple[Standing, ...]


class Unknown(Struct, frozen=True):
    """Nothing was reserved: first it must be learned what these holders spent in the month."""

    holders: tuple[Holder, ...]


class Counters(Protocol):
    """What processes share, they count exactly: whatever comes at the same time, no bound is overstepped by `take`.

    The bounds of a key are counted for each organization that it reaches.
    """

    async def take(
        self, holders: Sequence[Holder], *, tokens: int, cost: int | None, month: Month
    ) -> Taken | Refused | Unknown:
        """All that is asked for, of all holders, or nothing.

        A `cost` of None is not known: it reserves nothing, and is refused where nothing of the budget is left. Raises
        `errors.LimitsUnavailable` when nothing can be counted.
        """
        ...

    async def settle(self, taken: Taken, *, requests: int, tokens: int, cost: int, month: Month) -> None:
        """Puts what was used in the place of what was reserved; repeating it changes nothing. Never raises.

        What cannot be counted now is counted when it can be. Tokens above those reserved are counted at this moment;
        the cost is of `month`, in which the run has ended.
        """
        ...

    async def learn(self, holder: Holder, month: Month, *, spent: int) -> None:
        """The holder has spent at least so many nano-dollars in the month. Raises `errors.LimitsUnavailable`."""
        ...


class BudgetSource(Protocol):
    """Who knows what was spent before, through restarts."""

    async def month_cost(self, organization_id: str, key_id: str | None, *, since: int, until: int) -> int:
        """Nano-dollars spent from `since` to before `until` (Unix seconds), by one key or by all of the organization.

        Raises `errors.StorageUnavailable`.
        """
        ...
