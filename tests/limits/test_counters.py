"""The contract of `Counters`."""

import asyncio

import pytest
from limits_stage import DOLLAR, NOVEMBER, key, organization, refused, taken

from freddy.server.core import limits
from freddy.server.ports.counters import Bounds, Gauge, Holder, Refused, Standing, Taken, Unknown


async def test_no_more_requests_than_the_limit_pass_in_any_minute(counters, clock):
    await taken(counters, key(requests=3))
    clock.advance(59)
    await taken(counters, key(requests=3))
    await taken(counters, key(requests=3))
    assert (await refused(counters, key(requests=3))).wait == 1_000
    clock.advance(1)
    await taken(counters, key(requests=3))
    assert (await refused(counters, key(requests=3))).wait == 59_000


async def test_a_refused_request_passes_after_just_the_wait_it_was_told(counters, clock):
    await taken(counters, key(requests=1))
    clock.advance(12.345)
    wait = (await refused(counters, key(requests=1))).wait
    clock.advance(wait / 1000 - 0.002)
    await refused(counters, key(requests=1))
    clock.advance(0.002)
    await taken(counters, key(requests=1))


async def test_what_comes_at_once_never_passes_in_greater_number_than_the_limit(counters):
    holders = (key(requests=70), organization(requests=90))
    found = await asyncio.gather(
        *(counters.take(holders, tokens=0, cost=0, month=NOVEMBER) for _ in range(120)),
        *(counters.take(holders[1:], tokens=0, cost=0, month=NOVEMBER) for _ in range(120)),
    )
    assert sum(isinstance(one, Taken) for one in found[:120]) == 70
    assert sum(isinstance(one, Taken) for one in found) == 90


async def test_many_requests_count_for_a_minute_and_a_second_at_most(counters, clock):
    for _ in range(200):
        await taken(counters, key(requests=200))
        clock.advance(1 / 128)
    # The last of them came during the second second, and so count until it has been over for a minute.
    clock.advance(60)
    found = await refused(counters, key(requests=72))
    assert (found.used, found.wait) == (72, 438)
    clock.advance(0.4375)
    assert (await taken(counters, key(requests=72))).standings == (Standing(Gauge(72, 71, 60_000)),)


async def test_nothing_is_taken_of_any_when_one_of_them_refuses(counters):
    for _ in range(5):
        found = await refused(counters, key(requests=1, tokens=100, runs=1), organization(tokens=10), tokens=11)
        assert (found.holder.key_id, found.kind) == (None, "tokens")
    assert (await taken(counters, key(requests=1, tokens=100, runs=1))).standings[0].requests == Gauge(1, 0, 60_000)


async def test_of_all_bounds_in_the_way_the_longest_is_told(counters, clock):
    await taken(counters, key(requests=2))
    clock.advance(30)
    await taken(counters, key(requests=2), organization(requests=1))
    found = await refused(counters, key(requests=2), organization(requests=1))
    assert (found.holder, found.kind, found.wait) == (organization(requests=1), "requests", 60_000)


async def test_tokens_wait_for_as_much_room_as_they_need(counters, clock):
    await taken(counters, key(tokens=100), tokens=60)
    clock.advance(10)
    await taken(counters, key(tokens=100), tokens=30)
    assert (await refused(counters, key(tokens=100), tokens=20)).wait == 50_000
    assert (await refused(counters, key(tokens=100), tokens=80)).wait == 60_000
    assert (await refused(counters, key(tokens=100), tokens=101)).wait is None
    await taken(counters, key(tokens=100), tokens=10)


async def test_what_was_used_takes_the_place_of_what_was_reserved(counters, clock):
    some = await taken(counters, key(requests=9, tokens=100), tokens=90)
    clock.advance(20)
    await counters.settle(some, requests=1, tokens=40, cost=0, month=NOVEMBER)
    assert (await refused(counters, key(tokens=100), tokens=61)).used == 40
    more = await taken(counters, key(tokens=100), tokens=60)
    clock.advance(10)
    await counters.settle(more, requests=1, tokens=75, cost=0, month=NOVEMBER)
    told = await refused(counters, key(requests=9, tokens=100), tokens=1)
    assert told.used == 115
    assert told.standings == (Standing(Gauge(9, 8, 30_000), Gauge(100, 0, 60_000)),)
    clock.advance(30)
    assert (await refused(counters, key(tokens=100), tokens=100)).used == 75


async def test_a_run_longer_than_a_minute_settles_only_what_was_not_reserved(counters, clock):
    long = await taken(counters, key(tokens=100), tokens=90)
    other = await taken(counters, key(tokens=100), tokens=10)
    clock.advance(60)
    await counters.settle(long, requests=1, tokens=10, cost=0, month=NOVEMBER)
    await counters.settle(other, requests=1, tokens=30, cost=0, month=NOVEMBER)
    assert (await refused(counters, key(tokens=100), tokens=81)).used == 20


async def test_of_a_run_that_never_began_nothing_counts(counters):
    bounds = {"requests": 1, "tokens": 10, "runs": 1, "budget": 5}
    await counters.learn(key(**bounds), NOVEMBER, spent=0)
    for _ in range(3):
        found = await taken(counters, key(**bounds), tokens=10, cost=5)
        await counters.settle(found, requests=0, tokens=0, cost=0, month=NOVEMBER)
    await taken(counters, key(**bounds), tokens=10, cost=5)


async def test_settling_twice_is_settling_once(counters):
    await counters.learn(key(budget=100), NOVEMBER, spent=0)
    bounds = {"tokens": 100, "runs": 2, "budget": 100}
    found = await taken(counters, key(**bounds), tokens=50, cost=50)
    await taken(counters, key(**bounds), tokens=50, cost=50)
    for _ in range(3):
        await counters.settle(found, requests=1, tokens=40, cost=40, month=NOVEMBER)
    await taken(counters, key(**bounds), tokens=10, cost=10)
    assert (await refused(counters, key(budget=100), cost=1)).used == 100
    assert (await refused(counters, key(runs=2))).used == 2


async def test_runs_at_the_same_time_are_no_more_than_the_limit(counters, clock):
    running = [await taken(counters, key(runs=2)) for _ in range(2)]
    clock.advance(50)
    found = await refused(counters, key(runs=2))
    assert (found.kind, found.used, found.wait) == ("runs", 2, 1_000)
    await counters.settle(running[0], requests=1, tokens=0, cost=0, month=NOVEMBER)
    await taken(counters, key(runs=2))


async def test_a_budget_must_be_known_before_anything_is_taken(counters):
    holders = (key(requests=1, budget=10), organization(budget=10))
    found = await counters.take(holders, tokens=0, cost=1, month=NOVEMBER)
    assert found == Unknown(holders)
    await counters.learn(holders[0], NOVEMBER, spent=0)
    assert await counters.take(holders, tokens=0, cost=1, month=NOVEMBER) == Unknown(holders[1:])
    await counters.learn(holders[1], NOVEMBER, spent=0)
    await taken(counters, *holders, cost=1)


async def test_what_runs_reserve_at_once_is_never_more_than_the_budget(counters):
    await counters.learn(organization(budget=100), NOVEMBER, spent=9)
    found = await asyncio.gather(
        *(counters.take([organization(budget=100)], tokens=0, cost=7, month=NOVEMBER) for _ in range(40))
    )
    assert sum(isinstance(one, Taken) for one in found) == 13
    assert {one.wait for one in found if isinstance(one, Refused)} == {1_000}


async def test_a_budget_is_overstepped_only_by_what_a_run_took_beyond_its_reservation(counters):
    await counters.learn(key(budget=100), NOVEMBER, spent=0)
    found = await taken(counters, key(budget=100), cost=60)
    assert (await refused(counters, key(budget=100), cost=41)).wait == 1_000
    await counters.settle(found, requests=1, tokens=0, cost=130, month=NOVEMBER)
    told = await refused(counters, key(budget=100), cost=1)
    assert (told.kind, told.used, told.wait) == ("budget", 130, None)


async def test_a_cost_that_nobody_knows_passes_while_anything_of_the_budget_is_left(counters):
    await counters.learn(key(budget=10), NOVEMBER, spent=9)
    unknown = await taken(counters, key(budget=10), cost=None)
    await counters.settle(unknown, requests=1, tokens=0, cost=1, month=NOVEMBER)
    assert (await refused(counters, key(budget=10), cost=None)).wait is None
    await taken(counters, key(budget=10), cost=0)


async def test_every_month_has_its_own_budget(counters, clock):
    december = limits.month(NOVEMBER.until)
    await counters.learn(key(budget=10), NOVEMBER, spent=0)
    late = await taken(counters, key(budget=10), cost=4)
    await counters.learn(key(budget=10), december, spent=0)
    await taken(counters, key(budget=10), cost=10, month=december)
    # What ends in December is paid by December.
    await counters.settle(late, requests=1, tokens=0, cost=5, month=december)
    assert (await refused(counters, key(budget=10), cost=1, month=december)).used == 15
    await taken(counters, key(budget=10), cost=10)


async def test_what_is_learned_is_the_least_that_was_spent(counters):
    for spent in (5, 9, 3):
        await counters.learn(key(budget=10), NOVEMBER, spent=spent)
    assert (await refused(counters, key(budget=10), cost=2)).used == 9


async def test_great_sums_are_exact(counters):
    budget = limits.LARGEST_BUDGET * DOLLAR
    await counters.learn(key(budget=budget), NOVEMBER, spent=budget - 7)
    await refused(counters, key(budget=budget), cost=8)
    found = await taken(counters, key(budget=budget), cost=7)
    assert (await refused(counters, key(budget=budget), cost=1)).used == budget
    await counters.settle(found, requests=1, tokens=0, cost=6, month=NOVEMBER)
    await taken(counters, key(budget=budget), cost=1)
    bound = limits.LARGEST
    await taken(counters, key(tokens=bound), tokens=bound - 1)
    await refused(counters, key(tokens=bound), tokens=2)
    await taken(counters, key(tokens=bound), tokens=1)


@pytest.mark.parametrize(
    "other",
    [
        Holder("org_others", "key_1", Bounds(requests=1, runs=1)),
        Holder("org_acme", "key_2", Bounds(requests=1, runs=1)),
        Holder("org_acme", None, Bounds(requests=1, runs=1)),
    ],
)
async def test_what_others_use_counts_for_them_alone(counters, other):
    await taken(counters, key(requests=1, runs=1))
    await taken(counters, other)


async def test_the_gauges_say_what_is_left_and_when_nothing_is_used_any_more(counters, clock):
    first = await taken(counters, key(requests=5, tokens=100), organization(tokens=50), tokens=10)
    assert first.standings == (
        Standing(Gauge(5, 4, 60_000), Gauge(100, 90, 60_000)),
        Standing(None, Gauge(50, 40, 60_000)),
    )
    clock.advance(1.5)
    await taken(counters, key(requests=5))
    clock.advance(1.5)
    found = await refused(counters, key(requests=5, tokens=100), organization(tokens=50), tokens=45)
    assert found.standings == (
        Standing(Gauge(5, 3, 58_500), Gauge(100, 90, 57_000)),
        Standing(None, Gauge(50, 40, 57_000)),
    )


async def test_a_lower_bound_counts_what_was_used_under_a_higher_one(counters):
    for _ in range(5):
        await taken(counters, key(requests=10, runs=10))
    found = await refused(counters, key(requests=3))
    assert (found.used, found.standings) == (5, (Standing(Gauge(3, 0, 60_000)),))
    assert (await refused(counters, key(runs=4))).used == 5


async def test_however_many_there_are_each_is_held_to_its_own_bounds(counters, clock):
    def holders(number: int) -> tuple[Holder, Holder]:
        name = f"org_{number}"
        return Holder(name, "key_1", Bounds(requests=1)), Holder(name, None, Bounds(requests=2))

    for number in range(1_500):
        await taken(counters, *holders(number))
    for number in range(0, 1_500, 7):
        assert (await refused(counters, *holders(number))).holder.key_id == "key_1"
        await taken(counters, *holders(number)[1:])
        assert (await refused(counters, *holders(number)[1:])).used == 2
    clock.advance(60)
    for number in range(1_500, 3_500):
        await taken(counters, *holders(number))
    await taken(counters, *holders(3_499)[1:])
    await refused(counters, *holders(3_499)[1:])
