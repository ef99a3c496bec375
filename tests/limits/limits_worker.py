"""A process that counts in Redis: `limits_worker.py <url> <what> <number>`. It tells a line for each step."""

import asyncio
import sys

from limits_stage import NOVEMBER, organization

from freddy.server.ports.counters import Taken
from freddy.server.stores.counters.redis import RedisCounters
from freddy.server.world import RandomIds, SystemClock

REQUESTS, BUDGET, COST, RUNS = 40, 1_000, 7, 6
NOW = 1_700_000_000.0
HELD = organization(runs=RUNS, budget=BUDGET)
SHARED = organization(requests=REQUESTS, tokens=REQUESTS * 10, budget=BUDGET)


async def hammer(counters: RedisCounters, number: int) -> None:
    """Asks all at once, and tells how many passed."""
    await counters.learn(SHARED, NOVEMBER, spent=0)
    _say("ready")
    sys.stdin.readline()
    found = await asyncio.gather(
        *(counters.take([SHARED], tokens=10, cost=COST, month=NOVEMBER) for _ in range(number))
    )
    passed = [one for one in found if isinstance(one, Taken)]
    await asyncio.gather(*(counters.settle(one, requests=1, tokens=10, cost=COST, month=NOVEMBER) for one in passed))
    _say(str(len(passed)))


async def hold(counters: RedisCounters, number: int) -> None:
    """Takes so many runs and keeps them until it dies."""
    await counters.learn(HELD, NOVEMBER, spent=0)
    for _ in range(number):
        found = await counters.take([HELD], tokens=0, cost=COST, month=NOVEMBER)
        assert isinstance(found, Taken), found
    _say("held")
    await asyncio.sleep(3600)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


async def main(url: str, what: str, number: int) -> None:
    # The clock that counts stands still: however slow the machine, no minute goes by and no lease ends.
    clock = SystemClock()
    async with RedisCounters(url, clock=clock, ids=RandomIds(), timeout_seconds=30, now=lambda: NOW) as counters:
        await (hammer if what == "hammer" else hold)(counters, number)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
