"""What several processes count together in Redis, and what is left of it when one of them, or Redis, goes away."""

import asyncio
import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from limits_stage import DOLLAR, NOVEMBER, Spending, key, organization, refused, taken
from limits_worker import BUDGET, COST, HELD, NOW, REQUESTS, RUNS

import freddy_process
from freddy.server.accounts.limits import Admission, Limiter
from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.core.limits import Limits
from freddy.server.ports.counters import Taken, Unknown
from freddy.server.stores.counters.memory import MemoryCounters
from freddy.server.stores.counters.redis import RedisCounters
from freddy.server.world import RandomIds, SystemClock
from freddy_fakes import FixedClock
from freddy_process import BOUND
from valkeys import Valkey, valkey

HERE = Path(__file__).parent
ALL = {"requests": 5, "tokens": 100, "runs": 5, "budget": 100}


@asynccontextmanager
async def opened(server: Valkey, *, lease: float = 60, clock: FixedClock | None = None) -> AsyncIterator[RedisCounters]:
    """Slow machines are given time. Where no clock is given, it is the server's."""
    counters = RedisCounters(
        server.url,
        clock=clock or SystemClock(),
        ids=RandomIds(),
        lease_seconds=lease,
        timeout_seconds=BOUND,
        now=clock.now if clock else None,
    )
    async with counters:
        yield counters


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    """For a condition that is asked of the server."""
    async with asyncio.timeout(BOUND):
        while not await condition():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)


@contextmanager
def worker(server: Valkey, what: str, number: int) -> Iterator[subprocess.Popen[bytes]]:
    path = os.pathsep.join((str(HERE), str(HERE.parent)))
    process = subprocess.Popen(
        [sys.executable, str(HERE / "limits_worker.py"), server.url, what, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},  # noqa: TID251 (the worker finds the same modules)
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], BOUND)
    assert ready, "it said nothing"
    return process.stdout.readline().decode().strip()


def begin(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.write(b"go\n")
    process.stdin.flush()


def test_processes_that_ask_at_the_same_time_get_the_limit_and_not_one_more(valkey):
    with worker(valkey, "hammer", 60) as one, worker(valkey, "hammer", 60) as two, worker(valkey, "hammer", 60) as six:
        workers = (one, two, six)
        assert [line(each) for each in workers] == ["ready"] * 3
        for each in workers:
            begin(each)
        assert sum(int(line(each)) for each in workers) == REQUESTS
    with valkey.client() as client:
        spending = client.hgetall(f"freddy:limits:{{org_acme}}:-:{NOVEMBER.name}")
        tokens = client.hvals("freddy:limits:{org_acme}:-:tokens")
    assert spending == {b"spent": b"%d" % (REQUESTS * COST), b"held": b"0"}
    assert sum(map(int, tokens)) == REQUESTS * 10


async def test_whoever_is_cancelled_ends_wherever_it_is(valkey: Valkey):
    async with opened(valkey) as counters, asyncio.TaskGroup() as tasks:
        await taken(counters, key(requests=1000))
        for steps in range(40):
            taking = tasks.create_task(taken(counters, key(requests=1000)))
            for _ in range(steps):
                await asyncio.sleep(0)
            if taking.cancel():
                await asyncio.wait((taking,))
                assert taking.cancelled(), f"it went on after step {steps}"


async def test_whoever_is_cancelled_can_settle_what_it_has_taken(valkey: Valkey):
    async with opened(valkey) as counters, asyncio.TaskGroup() as tasks:
        took, ended = asyncio.Event(), asyncio.Event()

        async def use() -> None:
            one = await taken(counters, key(runs=1))
            try:
                took.set()
                await asyncio.Event().wait()
            finally:
                await counters.settle(one, requests=1, tokens=0, cost=0, month=NOVEMBER)
                ended.set()

        using = tasks.create_task(use())
        await took.wait()
        using.cancel()
        await asyncio.wait((using,))
        assert ended.is_set()
        await taken(counters, key(runs=1))


async def test_the_runs_of_a_process_that_was_killed_end_by_themselves(valkey):
    clock = FixedClock(NOW)
    async with opened(valkey, clock=clock) as counters:
        with worker(valkey, "hold", RUNS - 1) as other:
            assert line(other) == "held"
            mine = await taken(counters, HELD, cost=COST)
            assert (await refused(counters, HELD)).used == RUNS
            other.kill()
        clock.advance(59)
        await counters.renew()
        assert (await refused(counters, HELD, cost=COST)).used == RUNS
        clock.advance(1)
        await taken(counters, HELD, cost=BUDGET - COST)
        assert (await refused(counters, organization(budget=BUDGET), cost=1)).used == BUDGET
        await counters.settle(mine, requests=1, tokens=0, cost=0, month=NOVEMBER)
        await taken(counters, organization(budget=BUDGET), cost=COST)


async def test_the_runs_of_a_process_that_lives_stay_longer_than_a_lease(valkey):
    clock, others = FixedClock(), FixedClock()
    async with opened(valkey, clock=clock) as counters, opened(valkey, clock=others) as elsewhere:
        await counters.learn(key(**ALL), NOVEMBER, spent=0)
        running = await taken(counters, key(runs=1, budget=10), cost=8)
        for _ in range(10):
            clock.advance(50)
            others.advance(50)
            await counters.renew()
        assert (await refused(elsewhere, key(runs=1))).kind == "runs"
        assert (await refused(elsewhere, key(budget=10), cost=3)).kind == "budget"
        await counters.settle(running, requests=1, tokens=0, cost=1, month=NOVEMBER)
        await counters.renew()
        await taken(elsewhere, key(runs=1, budget=10), cost=9)


def limiter(counters: RedisCounters, spending: Spending, **limits: float) -> Limiter:
    async def organization_limits(_: str) -> Limits:
        return Limits(**limits)

    clock = FixedClock(NOW)
    return Limiter(
        counters,
        organization_limits=organization_limits,
        spending=spending,
        clock=clock,
        meanwhile=lambda: MemoryCounters(clock),
    )


async def admitted(limiters: Sequence[Limiter], number: int, *, cost: float) -> list[Admission]:
    """Those of so many requests at once, at each of the limiters, that passed."""
    caller = Caller("org_acme", ("org_acme",), frozenset())
    asking = [one.admit(caller, tokens=1, cost=cost) for _ in range(number) for one in limiters]
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(one, Admission | errors.RateLimited) for one in found)
    return [one for one in found if isinstance(one, Admission)]


async def test_two_servers_spend_one_budget(valkey):
    spending = Spending()
    spending.spent["org_acme", None] = 5 * DOLLAR
    async with opened(valkey) as one, opened(valkey) as two:
        both = (limiter(one, spending, monthly_budget=10), limiter(two, spending, monthly_budget=10))
        passed = await admitted(both, 40, cost=0.25)
        assert len(passed) == 20
        await asyncio.gather(*(each.settle(tokens=1, cost=0.125) for each in passed))
        assert len(await admitted(both, 40, cost=0.25)) == 10


async def test_while_the_server_is_away_each_counts_for_itself():
    spending = Spending()
    with valkey() as server:
        async with opened(server) as counters:
            alone = (limiter(counters, spending, monthly_budget=10, requests_per_minute=1_000),)
            for each in await admitted(alone, 3, cost=1):
                await each.settle(tokens=1, cost=1)
            spending.spent["org_acme", None] = 3 * DOLLAR
            server.stop()
            passed = await admitted(alone, 20, cost=1)
            assert len(passed) == 7
            spending.spent["org_acme", None] = 10 * DOLLAR
            for each in passed:
                await each.settle(tokens=1, cost=1)
            server.start()

            async def back() -> bool:
                with contextlib.suppress(errors.LimitsUnavailable):
                    await counters.tend()
                    await taken(counters, key(requests=1_000))
                    return True
                return False

            await wait_until(back)
            assert await admitted(alone, 5, cost=1) == []
            assert len(await admitted(alone, 1, cost=0)) == 1


async def test_every_key_expires_and_has_its_organizations_tag(valkey):
    async with opened(valkey) as counters:
        for holder in (key(**ALL), organization(**ALL)):
            await counters.learn(holder, NOVEMBER, spent=1)
        found = await taken(counters, key(**ALL), organization(**ALL), tokens=9, cost=9)
        await taken(counters, key(**ALL), organization(**ALL), tokens=9, cost=9)
        await counters.settle(found, requests=1, tokens=20, cost=9, month=NOVEMBER)
        with valkey.client() as client:
            names = client.keys()
            assert len(names) == 11
            assert all(name.startswith(b"freddy:limits:{org_acme}:") for name in names)
            assert {client.cluster("KEYSLOT", name.decode()) for name in names} == {
                client.cluster("KEYSLOT", "org_acme")
            }
            assert all(0 < client.pttl(name) <= 40 * 24 * 3600 * 1000 for name in names)


async def test_the_servers_clock_counts_where_no_other_is_given(valkey):
    async with opened(valkey) as counters:
        await taken(counters, key(requests=1))
        found = await refused(counters, key(requests=1))
        assert 0 < found.wait <= 60_001


async def test_scripts_that_the_server_forgot_are_told_again(valkey):
    async with opened(valkey) as counters:
        await taken(counters, key(requests=2))
        with valkey.client() as client:
            client.script_flush()
        await taken(counters, key(requests=2))
        await refused(counters, key(requests=2))


async def test_a_server_that_comes_back_empty_learns_what_runs_and_what_was_spent():
    with valkey() as server:
        async with opened(server) as counters:
            holder = key(runs=2, budget=100)
            await counters.learn(holder, NOVEMBER, spent=10)
            running = [await taken(counters, holder, cost=30) for _ in range(2)]
            server.stop()
            server.start()

            async def back() -> bool:
                try:
                    await counters.tend()
                    await counters.renew()
                except errors.LimitsUnavailable:
                    return False
                return True

            await wait_until(back)
            assert (await refused(counters, key(runs=2))).used == 2
            found = await counters.take([holder], tokens=0, cost=1, month=NOVEMBER)
            assert found == Unknown((holder,))
            await counters.learn(holder, NOVEMBER, spent=10)
            assert (await refused(counters, key(budget=100), cost=31)).used == 70
            await counters.settle(running[0], requests=1, tokens=0, cost=20, month=NOVEMBER)
            assert (await refused(counters, key(budget=100), cost=41)).used == 60


async def test_a_settlement_that_found_nobody_is_told_when_the_server_is_back():
    with valkey("--appendonly", "yes", "--appendfsync", "always") as server:
        async with opened(server) as counters:
            holder = key(runs=1, tokens=100, budget=100)
            await counters.learn(holder, NOVEMBER, spent=0)
            running = await taken(counters, holder, tokens=50, cost=50)
            server.stop()
            for _ in range(2):
                await counters.settle(running, requests=1, tokens=10, cost=20, month=NOVEMBER)
            with pytest.raises(errors.LimitsUnavailable):
                await counters.take([holder], tokens=0, cost=0, month=NOVEMBER)
            server.start()

            async def settled() -> bool:
                try:
                    found = await counters.take([holder], tokens=90, cost=80, month=NOVEMBER)
                except errors.LimitsUnavailable:
                    return False
                return isinstance(found, Taken)

            await wait_until(settled)
            assert (await refused(counters, key(budget=100), cost=1)).used == 100


async def test_an_outage_is_told_once_and_ends_by_itself(caplog):
    caplog.set_level("INFO", "freddy.server.stores.counters.link")
    with valkey() as server:
        async with opened(server) as counters:
            await taken(counters, key(requests=99))
            server.stop()
            for _ in range(20):
                with pytest.raises(errors.LimitsUnavailable) as caught:
                    await taken(counters, key(requests=99))
                assert (caught.value.status, caught.value.retry_after) == (503, 1)
            server.start()

            async def back() -> bool:
                try:
                    await taken(counters, key(requests=99))
                except errors.LimitsUnavailable:
                    return False
                return True

            await wait_until(back)
    assert [record.message for record in caplog.records] == ["limits_store_away", "limits_store_back"]


async def test_a_server_that_never_answers_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://:secret-password@127.0.0.1:{silent.getsockname()[1]}"
        counters = RedisCounters(url, clock=SystemClock(), ids=RandomIds(), timeout_seconds=0.2)
        async with asyncio.timeout(BOUND), counters:
            for _ in range(100):
                with pytest.raises(errors.LimitsUnavailable) as caught:
                    await taken(counters, key(requests=1))
                assert "secret" not in str(caught.value)


async def test_those_who_wait_for_their_turn_hear_of_an_outage_at_once():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        counters = RedisCounters(url, clock=SystemClock(), ids=RandomIds(), timeout_seconds=0.2)
        asking = [counters.take([key(requests=1)], tokens=0, cost=0, month=NOVEMBER) for _ in range(500)]
        async with asyncio.timeout(BOUND), counters:
            found = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in found} == {errors.LimitsUnavailable}


async def test_a_wrong_password_is_told_without_it(caplog):
    with valkey("--requirepass", "right-secret") as server:
        wrong = f"{server.url}?password=wrong-secret"
        async with RedisCounters(wrong, clock=SystemClock(), ids=RandomIds(), timeout_seconds=BOUND) as counters:
            with pytest.raises(errors.LimitsUnavailable):
                await taken(counters, key(requests=1))
    [record] = caplog.records
    assert "invalid username-password pair" in record.reason
    assert "secret" not in str(vars(record))


@pytest.mark.parametrize("options", ["?surprise=1", "?db=many"])
def test_an_address_with_options_that_make_no_sense_is_refused_at_once(options):
    with pytest.raises(ValueError, match="FREDDY_REDIS_URL has an option"):
        RedisCounters(f"redis://:secret@cache{options}", clock=FixedClock(), ids=RandomIds())


def test_a_server_does_not_outlive_whoever_started_it():
    program = "from valkeys import valkey\nwith valkey() as server: print(server.path, flush=True); input()"
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},  # noqa: TID251
    )
    with started:
        server = Valkey(Path(line(started)).parent)
        assert server.answers()
        started.kill()
    freddy_process.wait_until(lambda: not server.answers())
    server.end()


async def test_a_request_whose_answer_is_not_waited_for_is_given_back(valkey):
    async with opened(valkey) as counters:
        await taken(counters, key(requests=1))
        await counters.learn(key(budget=10), NOVEMBER, spent=0)
        with valkey.client() as client:
            # Of those that write: else the word that ends it waits as well.
            client.client_pause(round(BOUND * 1000), all=False)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await taken(counters, key(runs=1, budget=10), cost=10)
            client.client_unpause()

            async def given_back() -> bool:
                found = await counters.take([key(runs=1, budget=10)], tokens=0, cost=10, month=NOVEMBER)
                return isinstance(found, Taken)

            await wait_until(given_back)


async def test_a_cluster_is_counted_in_as_well():
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, bus = free.getsockname()[1], other.getsockname()[1]
    options = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes", "--cluster-port", str(bus))
    with valkey("--port", str(port), *options) as server:
        with server.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            freddy_process.wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok")
        url = f"valkey://127.0.0.1:{port}"
        async with RedisCounters(url, clock=SystemClock(), ids=RandomIds(), timeout_seconds=BOUND) as counters:
            await counters.learn(key(**ALL), NOVEMBER, spent=0)
            await counters.learn(organization(**ALL), NOVEMBER, spent=0)
            for _ in range(5):
                found = await taken(counters, key(**ALL), organization(**ALL), tokens=9, cost=9)
                await counters.settle(found, requests=1, tokens=10, cost=10, month=NOVEMBER)
            assert (await refused(counters, key(**ALL), organization(**ALL))).kind == "requests"
