"""Any order of admissions, settlements, crashes and time against a model that remembers everything."""

import asyncio
from contextlib import ExitStack

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from limits_stage import NOVEMBER

from freddy.server.ports.counters import Bounds, Counters, Holder, Refused, Taken, Unknown
from freddy.server.stores.counters.memory import MemoryCounters
from freddy.server.stores.counters.redis import RedisCounters
from freddy.server.world import RandomIds
from freddy_fakes import FixedClock
from valkeys import Valkey

REQUESTS, TOKENS, RUNS, BUDGET = 6, 50, 3, 100
LEASE = 30.0
IDS = RandomIds()


class _Run:
    def __init__(self, taken: Taken, counters: int, at: int, *, tokens: int, cost: int, until: int) -> None:
        self.taken = taken
        self.counters = counters
        self.at = at
        self.tokens = tokens
        self.cost = cost
        self.until = until
        """Milliseconds when its lease ends, if nobody renews it."""


class Interleavings(RuleBasedStateMachine):
    """One key of an organization that is counted by two processes; in memory, by one."""

    processes = 1
    leases = False

    def open(self) -> Counters:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.clock = FixedClock()
        self.holder = Holder(IDS.new("org"), "key_1", Bounds(REQUESTS, TOKENS, RUNS, BUDGET))
        self.counters = [self.open() for _ in range(self.processes)]
        self.now = 0
        self.uses: list[tuple[int, int, int]] = []
        """When, requests and tokens."""
        self.running: list[_Run] = []
        self.spent = 0

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            for counters in self.counters:
                self.close(counters)
            self.stack.close()

    def close(self, counters: Counters) -> None:
        """What was opened."""

    @property
    def alive(self) -> list[_Run]:
        return [run for run in self.running if run.counters >= 0]

    @rule(
        process=st.integers(0, 1),
        tokens=st.integers(0, 30),
        cost=st.none() | st.integers(0, 60),
    )
    def admit(self, process: int, tokens: int, cost: int | None) -> None:
        process %= self.processes
        found = self.take(process, tokens, cost)
        if isinstance(found, Unknown):
            # As after a start: what was spent is known elsewhere.
            self.runner.run(self.counters[process].learn(self.holder, NOVEMBER, spent=self.spent))
            found = self.take(process, tokens, cost)
        live = [use for use in self.uses if use[0] + 60_000 > self.now]
        requests, counted = sum(use[1] for use in live), sum(use[2] for use in live)
        held = sum(run.cost for run in self.running)
        least = 1 if cost is None else cost
        fits = (
            requests < REQUESTS
            and counted + tokens <= TOKENS
            and len(self.running) < RUNS
            and (not least or self.spent + held + least <= BUDGET)
        )
        if not fits:
            assert isinstance(found, Refused)
            return
        assert isinstance(found, Taken)
        self.uses.append((self.now, 1, tokens))
        until = self.now + round(LEASE * 1000)
        self.running.append(_Run(found, process, self.now, tokens=tokens, cost=cost or 0, until=until))

    def take(self, process: int, tokens: int, cost: int | None) -> Taken | Refused | Unknown:
        taking = self.counters[process].take([self.holder], tokens=tokens, cost=cost, month=NOVEMBER)
        return self.runner.run(taking)

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, RUNS - 1), tokens=st.integers(0, 60), cost=st.integers(0, 80), twice=st.booleans())
    def end(self, which: int, tokens: int, cost: int, twice: bool) -> None:
        run = self.alive[which % len(self.alive)]
        self.running.remove(run)
        for _ in range(1 + twice):
            settling = self.counters[run.counters].settle(
                run.taken, requests=1, tokens=tokens, cost=cost, month=NOVEMBER
            )
            self.runner.run(settling)
        self.replace(run, 1, min(tokens, run.tokens))
        if tokens > run.tokens:
            self.uses.append((self.now, 0, tokens - run.tokens))
        self.spent += cost

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, RUNS - 1))
    def release(self, which: int) -> None:
        run = self.alive[which % len(self.alive)]
        self.running.remove(run)
        self.runner.run(self.counters[run.counters].settle(run.taken, requests=0, tokens=0, cost=0, month=NOVEMBER))
        self.replace(run, 0, 0)

    def replace(self, run: _Run, requests: int, tokens: int) -> None:
        place = self.uses.index((run.at, 1, run.tokens))
        self.uses[place] = (run.at, requests, tokens)

    @rule(seconds=st.integers(1, 45))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.now += 1000
            if self.leases and self.now % 10_000 == 0:
                self.renew()
        self.running = [run for run in self.running if not self.leases or run.until > self.now]

    def renew(self) -> None:
        """As often as processes do it."""


class InMemory(Interleavings):
    def open(self) -> Counters:
        return MemoryCounters(self.clock)


class InValkey(Interleavings):
    processes = 2
    leases = True
    server: Valkey

    def open(self) -> Counters:
        return RedisCounters(
            self.server.url, clock=self.clock, ids=IDS, lease_seconds=LEASE, timeout_seconds=30, now=self.clock.now
        )

    def close(self, counters: Counters) -> None:
        assert isinstance(counters, RedisCounters)
        # Never entered, as nothing is to happen by itself.
        self.runner.run(counters._link.close())

    @rule(process=st.integers(0, 1))
    def crash(self, process: int) -> None:
        """Its runs are never settled, and nobody renews their leases."""
        self.close(self.counters[process])
        self.counters[process] = self.open()
        for run in self.running:
            if run.counters == process:
                run.counters = -1

    @rule()
    def lose_budgets(self) -> None:
        """As where memory ran short: what was spent must be read anew, what is held is known still."""
        with self.server.client() as client:
            client.delete(f"freddy:limits:{{{self.holder.organization_id}}}:key_1:{NOVEMBER.name}")

    def renew(self) -> None:
        for counters in self.counters:
            assert isinstance(counters, RedisCounters)
            self.runner.run(counters.renew())
        for run in self.running:
            if run.counters >= 0 and run.until > self.now:
                run.until = self.now + round(LEASE * 1000)


@pytest.fixture
def machines(shared_valkey: Valkey) -> dict[str, type[Interleavings]]:
    InValkey.server = shared_valkey
    return {"memory": InMemory, "redis": InValkey}


@pytest.mark.parametrize("adapter", ["memory", "redis"])
def test_in_any_order_the_limits_hold_and_nothing_is_lost(adapter, machines):
    run_state_machine_as_test(
        machines[adapter], settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
