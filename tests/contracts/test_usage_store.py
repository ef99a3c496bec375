"""The contract of `UsageStore`: every call once, and in every sum from the moment it is kept."""

import asyncio
import itertools

import pytest
from contract_examples import ACME, OTHERS, begun, completed
from msgspec.structs import replace

from freddy.server.core import ids, periods
from freddy.server.core.calls import Call
from freddy.server.core.response import Response
from freddy.server.core.usage import Sums, Usage
from freddy.server.ports.stores import ResponseStore
from freddy.server.ports.usage import Part, Question, Trait, UsageStore
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.usage import SqlUsage

MARCH = periods.month(2026, 3)
APRIL = periods.month(2026, 4)
_numbers = itertools.count(1)


@pytest.fixture
def store(database: Database) -> UsageStore:
    return SqlUsage(database)


def call(name: str = "tiny", **changes: object) -> Call:
    used = Usage(input_tokens=100, output_tokens=20, cached_tokens=30, cache_write_tokens=5, reasoning_tokens=7)
    made = Call(kind="model", name=name, provider="stage", status="completed", usage=used, cost=1_000, milliseconds=50)
    return replace(made, **changes)


FAILED = call("away", provider="gone", status="failed", usage=Usage(), cost=0, milliseconds=9)


def response(*calls: Call, at: int = MARCH + 10, **changes: object) -> Response:
    made = completed(begun("Hi", id=f"resp_use_{next(_numbers)}", created_at=at - 5), "Hello")
    return replace(made, calls=calls or (call(),), **changes)


def question(
    since: int = MARCH,
    until: int = APRIL,
    *,
    each: periods.Span | None = None,
    by: tuple[Trait, ...] = (),
    **more: object,
) -> Question:
    slices = periods.slices(since, until, longest=each or "month")
    return Question(organization_id=ACME, slices=slices, each=each, by=by, **more)


async def summed(store: UsageStore, most: int = 1000) -> int:
    """All that is to be added up, added up."""
    total = 0
    while found := await store.sum_up(most):
        total += found
    return total


ONE = Sums(
    requests=1,
    calls=1,
    input_tokens=100,
    cached_tokens=30,
    output_tokens=20,
    reasoning_tokens=7,
    cost=1_000,
    milliseconds=50,
)
FAILURE = Sums(calls=1, failures=1, milliseconds=9)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_call_is_in_every_sum_before_it_is_added_up_and_after(store: UsageStore, when: str) -> None:
    await store.add([response(FAILED, call()), response(call(cost=None), key_id=None, user_id="usr_1")])
    if when == "after":
        assert await summed(store) == 3
    both = ONE.plus(ONE).plus(FAILURE)
    total = replace(both, cost=1_000, unpriced=1)
    assert await store.parts(question()) == [Part(0, (), total)]
    assert await store.parts(question(by=("model", "key"))) == [
        Part(0, ("away", "key_1"), replace(FAILURE, requests=1)),
        Part(0, ("tiny", ""), replace(ONE, cost=0, unpriced=1)),
        Part(0, ("tiny", "key_1"), replace(ONE, requests=0)),
    ]
    assert await store.parts(question(by=("user", "provider", "kind"))) == [
        Part(0, ("", "gone", "model"), replace(FAILURE, requests=1)),
        Part(0, ("", "stage", "model"), replace(ONE, requests=0)),
        Part(0, ("usr_1", "stage", "model"), replace(ONE, cost=0, unpriced=1)),
    ]
    assert await store.parts(question(having={"user": "usr_1"})) == [Part(0, (), replace(ONE, cost=0, unpriced=1))]
    assert await store.parts(question(having={"key": ""}, by=("user",))) == [
        Part(0, ("usr_1",), replace(ONE, cost=0, unpriced=1))
    ]
    assert await store.parts(question(having={"model": "away", "key": "key_1"})) == [
        Part(0, (), replace(FAILURE, requests=1))
    ]
    assert await store.parts(question(keys_only=True)) == [Part(0, (), ONE.plus(FAILURE))]
    assert await store.parts(question(having={"model": "unknown"})) == []
    assert await store.parts(replace(question(), organization_id=OTHERS)) == []


@pytest.mark.parametrize("when", ["before", "after", "between"])
async def test_sums_are_told_by_hour_day_and_month(store: UsageStore, when: str) -> None:
    hour, day = periods.HOUR, periods.DAY
    moments = [MARCH, MARCH + hour - 1, MARCH + hour, MARCH + day, APRIL - 1, APRIL, MARCH - 1]
    for place, at in enumerate(moments):
        await store.add([response(at=at)])
        if when == "between" and place % 2:
            await store.sum_up(1)
    if when == "after":
        await summed(store)

    async def starts(each: periods.Span, since: int = MARCH, until: int = APRIL) -> list[tuple[int, int]]:
        return [(part.start, part.sums.calls) for part in await store.parts(question(since, until, each=each))]

    assert await starts("month") == [(MARCH, 5)]
    assert await starts("month", MARCH - day, APRIL + day) == [(periods.month(2026, 2), 1), (MARCH, 5), (APRIL, 1)]
    assert await starts("day") == [(MARCH, 3), (MARCH + day, 1), (APRIL - day, 1)]
    assert await starts("hour", MARCH, MARCH + day) == [(MARCH, 2), (MARCH + hour, 1)]
    assert [part.sums.calls for part in await store.parts(question(MARCH + hour, APRIL))] == [3]


async def test_a_repeated_write_changes_nothing_even_when_the_first_was_added_up(store: UsageStore) -> None:
    once = response(FAILED, call())
    await store.add([once])
    await store.add([once])
    assert await summed(store) == 2
    await store.add([once, once])
    assert await summed(store) == 0
    assert await store.parts(question()) == [Part(0, (), ONE.plus(FAILURE))]


async def test_the_end_of_a_response_keeps_its_calls_whatever_became_of_it(
    store: UsageStore, responses: ResponseStore
) -> None:
    whole, opened, deleted = response(), response(), response()
    await responses.keep(whole)
    await responses.keep(whole)
    for one in (opened, deleted):
        await responses.open(replace(one, status="in_progress", output=(), calls=(), completed_at=None))
    await responses.delete(ACME, deleted.id)
    for one in (opened, deleted, opened):
        await responses.finish(one)
    assert await store.parts(question()) == [Part(0, (), ONE.plus(ONE).plus(ONE))]
    await responses.delete(ACME, whole.id)
    await summed(store)
    assert await store.parts(question()) == [Part(0, (), ONE.plus(ONE).plus(ONE))]


async def test_the_cost_of_a_month_is_exact_from_hour_to_hour(store: UsageStore) -> None:
    await store.add([response(at=APRIL - 1), response(at=APRIL)])
    await summed(store)
    await store.add([response(call(cost=7), call(cost=None)), response(call(cost=11), key_id="key_2")])
    assert await store.month_cost(ACME, None, since=MARCH, until=APRIL) == 1_018
    assert await store.month_cost(ACME, "key_2", since=MARCH, until=APRIL) == 11
    assert await store.month_cost(ACME, "key_3", since=MARCH, until=APRIL) == 0
    assert await store.month_cost(OTHERS, None, since=MARCH, until=APRIL) == 0


async def test_amounts_larger_than_any_float_can_count_are_added_exactly(store: UsageStore) -> None:
    much = 2**53 + 1
    await store.add([response(call(cost=much)), response(call(cost=much))])
    await summed(store, most=1)
    await store.add([response(call(cost=1))])
    assert await store.month_cost(ACME, None, since=MARCH, until=APRIL) == 2 * much + 1


async def test_old_calls_are_forgotten_once_they_are_added_up_and_their_sums_stay(store: UsageStore) -> None:
    for at in (MARCH, MARCH + 1, MARCH + 100):
        await store.add([response(at=at, id=ids.write(ids.RESPONSE, at * 1000 - 5, b"\0" * 8))])
    assert await store.forget(MARCH + 50, 10) == 0
    await summed(store)
    assert await store.forget(MARCH + 50, 1) == 1
    assert await store.forget(MARCH + 50, 10) == 1
    assert await store.forget(MARCH + 50, 10) == 0
    assert await store.parts(question()) == [Part(0, (), ONE.plus(ONE).plus(ONE))]


async def test_all_is_counted_while_many_write_add_up_and_ask_at_once(store: UsageStore) -> None:
    async def write(several: int) -> None:
        for number in range(several):
            await store.add([response(key_id=f"key_{number % 3}", at=MARCH + number * 1800)])

    async def look() -> None:
        seen = 0
        while seen < 200:
            found = await store.parts(question())
            now = found[0].sums.calls if found else 0
            assert now >= seen, "what was counted once stays counted"
            seen = now
            await store.sum_up(7)

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(write(20))
        tasks.create_task(look())
        tasks.create_task(look())
    await summed(store)
    parts = await store.parts(question(by=("key",)))
    assert [(part.traits[0], part.sums.calls) for part in parts] == [("key_0", 70), ("key_1", 70), ("key_2", 60)]
