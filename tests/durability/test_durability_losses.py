"""A process that is lost in any moment of a run: another goes on from what was recorded, and does nothing twice."""

import asyncio
from pathlib import Path

import pytest
from durability_checks import Crowd
from durability_cluster import LEASE, PATHS, Way, cluster
from durability_moments import begun, let_go
from durability_stage import Plan

import databases
from freddy_process import BOUND, wait_until

MANY = {"FREDDY_BACKGROUND_AT_ONCE": "200"}
both = pytest.mark.parametrize("dialect", PATHS)


@both
async def test_wherever_a_process_is_killed_another_goes_on(tmp_path: Path, dialect: str):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        traps = await begun(crowd, dialect, "one", every=6)
        made.members["one"].kill()
        await crowd.lose()
        let_go(traps)
        await crowd.wait_over()
        await made.start("one")
        await crowd.check()


async def test_wherever_the_only_process_is_killed_it_goes_on_when_it_comes_back(tmp_path: Path):
    async with cluster(tmp_path, None, ("one",), **MANY) as made, Crowd(made) as crowd:
        traps = await begun(crowd, "freddy", "one", every=7)
        for _ in range(2):
            made.members["one"].kill()
            await crowd.lose()
            await made.start("one")
        let_go(traps)
        await crowd.wait_over()
        await crowd.check()


async def test_who_stood_still_for_too_long_writes_nothing_more(tmp_path: Path):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        traps = await begun(crowd, "freddy", "one", every=5)
        made.members["one"].freeze()
        await crowd.lose()
        let_go(traps)
        await crowd.wait_over()
        before = await made.rows("SELECT * FROM run_log ORDER BY response_id, place")
        ledger = len(made.stage.ledger)
        made.members["one"].thaw()
        # It hears that it was buried, and performs what comes next.
        await asyncio.to_thread(wait_until, lambda: "worker_was_buried" in made.members["one"].said())
        again = await crowd.begin(Plan("again"), by=made.members["one"])
        await crowd.wait_over(again)
        late = [line for line in made.stage.ledger[ledger:] if line.run != "again" and line.phase == "asked"]
        assert late == []
        sql = "SELECT * FROM run_log WHERE response_id <> ? ORDER BY response_id, place"
        assert await made.rows(sql, again.id) == before
        await crowd.check()


async def test_who_stood_still_goes_on_where_nobody_else_does(tmp_path: Path):
    alone = {"two": {"FREDDY_BACKGROUND_AT_ONCE": "0"}}
    async with cluster(tmp_path, databases.server(), own=alone, **MANY) as made, Crowd(made) as crowd:
        traps = await begun(crowd, "freddy", "one", every=6)
        made.members["one"].freeze()
        await crowd.lose()
        await asyncio.to_thread(wait_until, lambda: '"worker_buried"' in made.members["two"].said())
        made.members["one"].thaw()
        let_go(traps)
        await crowd.wait_over()
        await crowd.check()
        assert "claim_given_back" not in made.members["one"].said()


async def test_who_stands_still_in_a_transaction_holds_nobody_up(tmp_path: Path):
    postgres = databases.server()
    async with (
        Way(postgres) as way,
        cluster(tmp_path, postgres, ways={"one": way}, **MANY) as made,
        Crowd(made) as crowd,
    ):
        trap = made.stage.trap("held", "call_held_0_0", "asked")
        run = await crowd.begin(Plan("held", pause=0.2), by=made.members["one"])
        await trap.sprung()
        # What it writes next has locked the run, and is never committed.
        way.stick(b"BEGIN ISOLATION LEVEL SERIALIZABLE", behind=3)
        async with asyncio.timeout(BOUND):
            await way.stuck.wait()
        made.members["one"].freeze()
        await crowd.lose()
        await crowd.wait_over(run, seconds=LEASE + BOUND)
        await crowd.check()


async def test_connections_that_break_lose_nothing(tmp_path: Path):
    postgres = databases.server()
    async with (
        Way(postgres) as way,
        cluster(tmp_path, postgres, ways={"one": way, "two": way}, **MANY) as made,
        Crowd(made) as crowd,
    ):
        runs = [
            await crowd.begin(Plan(f"cut{number}", turns=("ff", "m", "f"), says=True, pause=0.02))
            for number in range(8)
        ]
        for number in range(3):
            await made.stage.wait(lambda number=number: bool(made.stage.asked("cut0", f"model {number}")))
            way.cut()
        way.close()
        await asyncio.sleep(LEASE / 2)
        way.open()
        await crowd.wait_over(*runs, seconds=2 * BOUND)
        await crowd.check()
