"""What the tests of limits share: holders, months, and a source of what was spent."""

from freddy.server.core import limits, money
from freddy.server.ports.counters import Bounds, Counters, Holder, Refused, Taken

ORGANIZATION = "org_acme"
DOLLAR = money.NANOS
NOVEMBER = limits.month(1_700_000_000)


def key(**bounds: int) -> Holder:
    return Holder(ORGANIZATION, "key_1", Bounds(**bounds))


def organization(**bounds: int) -> Holder:
    return Holder(ORGANIZATION, None, Bounds(**bounds))


async def taken(
    counters: Counters, *holders: Holder, tokens: int = 0, cost: int | None = 0, month: limits.Month = NOVEMBER
) -> Taken:
    found = await counters.take(holders, tokens=tokens, cost=cost, month=month)
    assert isinstance(found, Taken), found
    return found


async def refused(
    counters: Counters, *holders: Holder, tokens: int = 0, cost: int | None = 0, month: limits.Month = NOVEMBER
) -> Refused:
    found = await counters.take(holders, tokens=tokens, cost=cost, month=month)
    assert isinstance(found, Refused), found
    return found


class Spending:
    """What the usage store knows, in nano-dollars by organization and key; `looks` counts who asked."""

    def __init__(self) -> None:
        self.spent: dict[tuple[str, str | None], int] = {}
        self.looks = 0

    async def month_cost(self, organization_id: str, key_id: str | None, *, since: int, until: int) -> int:
        self.looks += 1
        return self.spent.get((organization_id, key_id), 0)
