"""How long questions about usage take over a million calls, and what accounting costs a response.

    python bench/measure_usage.py [--calls 1000000] [--postgres URL]

Fills a store with calls of one organization over 24 months, and asks what each path of the API asks.
"""

import argparse
import asyncio
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from msgspec import structs

from freddy.server.core import ids, periods
from freddy.server.core.accounts import Organization
from freddy.server.core.calls import Call
from freddy.server.core.periods import DAY, Span
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.ports.usage import Question, Trait
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.usage import SqlUsage

ORGANIZATION = "org_bench"
NOW = periods.month(2026, 11) + 21 * DAY + 9 * 3600
SINCE = periods.month(2024, 12)
KEYS = [f"key_{number:02d}" for number in range(25)]
USERS = [None] * 4 + [f"usr_{number:02d}" for number in range(40)]
MODELS = (("gpt-5", "openai"), ("gpt-5-mini", "openai"), ("claude-sonnet-4-5", "anthropic"), ("qwen3", "groq"))
BATCH = 2_000


def responses(count: int, seed: int = 1) -> list[Response]:
    """In the order of time, ever more of them; some keys and models far more than others."""
    chance = random.Random(seed)
    request = Request(model="m", input=())
    moments = sorted(int(chance.triangular(SINCE, NOW, NOW)) for _ in range(count))
    made = []
    for number, at in enumerate(moments):
        model, provider = chance.choices(MODELS, (8, 4, 2, 1))[0]
        user = chance.choice(USERS)
        key = None if user else KEYS[min(24, int(chance.expovariate(0.3)))]
        failed = chance.random() < 0.02
        usage = Usage() if failed else Usage(chance.randrange(50, 8000), chance.randrange(5, 900), reasoning_tokens=3)
        call = Call(
            kind="model",
            name=model,
            provider=provider,
            status="failed" if failed else "completed",
            usage=usage,
            cost=0 if failed else usage.input_tokens * 250 + usage.output_tokens * 2000,
            milliseconds=800,
        )
        made.append(
            Response(
                id=ids.write(ids.RESPONSE, at * 1000, number.to_bytes(8)),
                organization_id=ORGANIZATION,
                key_id=key,
                user_id=user,
                created_at=at,
                status="completed",
                model=model,
                request=request,
                calls=(call,),
            )
        )
    return made


def asked(
    since: int,
    until: int,
    each: Span | None = None,
    by: tuple[Trait, ...] = (),
    having: Mapping[Trait, str] | None = None,
    *,
    keys_only: bool = False,
) -> Question:
    return Question(
        organization_id=ORGANIZATION,
        slices=periods.slices(since, until, longest=each or "month"),
        each=each,
        by=by,
        having=having or {},
        keys_only=keys_only,
    )


def questions() -> dict[str, list[Question]]:
    """What each path of the API asks."""
    month, year = periods.start("month", NOW), periods.month(2026, 1)
    days = periods.start("day", NOW) - 29 * DAY
    last = asked(days - 30 * DAY, days)
    return {
        "usage/yearly": [asked(periods.month(2024, 1), periods.month(2027, 1), "month")],
        "usage/monthly": [asked(year, periods.month(2027, 1), "month")],
        "usage/daily": [asked(month, periods.month(2026, 12), "day")],
        "usage/hourly": [asked(NOW - NOW % DAY, NOW - NOW % DAY + DAY, "hour")],
        "usage/summary": [asked(0, NOW + 1, "month", ("model", "provider", "kind"))],
        "usage/dashboard": [asked(days, NOW, "hour"), last, asked(month, NOW)],
        "usage/trends": [asked(periods.month(2026, 6), periods.month(2026, 12), "month")],
        "usage/heatmap (90 days)": [asked(NOW - 90 * DAY, NOW, "hour")],
        "usage/limits": [asked(month, periods.month(2026, 12), None, ("key",))],
        "api-keys/summary": [asked(month, periods.month(2026, 12), keys_only=True)],
        "api-keys/daily": [asked(month, periods.month(2026, 12), "day", keys_only=True)],
        "api-keys/usage": [asked(month, periods.month(2026, 12), having={"key": KEYS[0]})],
        "api-keys/top": [asked(month, periods.month(2026, 12), None, ("key",), keys_only=True)],
        "/v1/usage, 30 days, by day": [asked(NOW - 30 * DAY, NOW, "day")],
        "/v1/usage, 400 days, by day and model": [asked(NOW - 400 * DAY, NOW, "day", ("model",))],
        "/v1/usage, 24 months, by month and key": [asked(SINCE, NOW, "month", ("key",))],
        "/v1/usage, 24 months, of one user": [asked(SINCE, NOW, "month", (), {"user": "usr_07"})],
        "budget of a key": [asked(month, periods.month(2026, 12), having={"key": KEYS[0]})],
    }


async def measure(store: SqlUsage, tries: int) -> None:
    print(f"\n| {'Question':42} | p50 ms | p95 ms |\n|{'-' * 44}|---:|---:|")
    for name, several in questions().items():
        taken = []
        for _ in range(tries):
            began = time.perf_counter()
            for one in several:
                await store.parts(one)
            taken.append((time.perf_counter() - began) * 1000)
        taken.sort()
        print(f"| {name:42} | {statistics.median(taken):6.1f} | {taken[int(len(taken) * 0.95)]:6.1f} |")


async def fill(store: SqlUsage, made: list[Response]) -> None:
    began, before = time.perf_counter(), _cpu()
    for place in range(0, len(made), BATCH):
        await store.add(made[place : place + BATCH])
    spent = _cpu() - before
    print(f"{len(made):,} calls kept in {time.perf_counter() - began:.1f} s; {spent / len(made) * 1e6:.1f} µs CPU each")
    began, before = time.perf_counter(), _cpu()
    while await store.sum_up(1000):
        pass
    spent = _cpu() - before
    print(f"added up in {time.perf_counter() - began:.1f} s; {spent / len(made) * 1e6:.1f} µs CPU each")


async def settle(url: str) -> None:
    """What autovacuum does after so many changes, at once."""
    import asyncpg  # noqa: PLC0415 only where asked

    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def live(database: Database, store: SqlUsage) -> None:
    """What accounting adds to responses that are kept one by one, 64 at once, within one hour."""
    kept = SqlResponses(database)
    made = [structs.replace(one, created_at=NOW) for one in responses(20_000, seed=2)]
    bare = [structs.replace(one, id=one.id.replace("resp", "resq"), calls=()) for one in made]
    took = []
    for several in (bare, made):
        before = _cpu()
        for place in range(0, len(several), 64):
            async with asyncio.TaskGroup() as tasks:
                for one in several[place : place + 64]:
                    tasks.create_task(kept.keep(one))
        took.append((_cpu() - before) / len(several) * 1e6)
    before = _cpu()
    while await store.sum_up(1000):
        pass
    added_up = (_cpu() - before) / len(made) * 1e6
    print(f"\nµs CPU to keep a response: {took[0]:.0f}, with its call {took[1]:.0f}; to add it up: {added_up:.1f}")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--tries", type=int, default=30)
    parser.add_argument("--postgres", help="URL of an empty database")
    told = parser.parse_args()
    made = responses(told.calls)
    async with AsyncExitStack() as stack:
        database: Database
        if told.postgres:
            from freddy.server.stores.sql.postgres.database import PostgresDatabase  # noqa: PLC0415 only where asked

            database = await stack.enter_async_context(PostgresDatabase(told.postgres))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            database = await stack.enter_async_context(SqliteDatabase(Path(folder) / "freddy.db"))
        await SqlAccounts(database).add_organization(Organization(id=ORGANIZATION, name="Bench", created_at=0))
        store = SqlUsage(database)

        await fill(store, made)
        if told.postgres:
            await settle(told.postgres)
        await measure(store, told.tries)
        await live(database, store)


if __name__ == "__main__":
    asyncio.run(main())
