"""Processes that end in order, that only perform, and that hear of each other or do not: nobody notices."""

import asyncio
from pathlib import Path

from durability_checks import Crowd
from durability_cluster import cluster
from durability_moments import begun, let_go
from durability_stage import Plan

import databases
from valkeys import valkey

MANY = {"FREDDY_BACKGROUND_AT_ONCE": "200"}


async def test_who_is_stopped_hands_over_what_it_performs(tmp_path: Path):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        traps = await begun(crowd, "freddy", "one", every=5)
        made.members["one"].tell_to_stop()
        assert await asyncio.to_thread(made.members["one"].wait_ended) == 0
        await crowd.lose()
        let_go(traps)
        await crowd.wait_over()
        await crowd.check()


async def test_replicas_that_start_again_one_after_the_other_lose_nothing(tmp_path: Path):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        number = 0
        for name in ("one", "two"):
            other = made.members["two" if name == "one" else "one"]
            for _ in range(6):
                await crowd.begin(Plan(f"load{number}", turns=("ff", "m"), says=True, pause=0.03), by=made.some())
                number += 1
            made.members[name].tell_to_stop()
            for _ in range(3):
                await crowd.begin(Plan(f"load{number}", turns=("f",), pause=0.03), by=other)
                number += 1
            assert await asyncio.to_thread(made.members[name].wait_ended) == 0
            await crowd.lose()
            await made.start(name)
        await crowd.wait_over()
        await crowd.check()


async def test_workers_perform_what_replicas_accept(tmp_path: Path):
    members, alone = ("one", "worker1", "worker2"), {"one": {"FREDDY_BACKGROUND_AT_ONCE": "0"}}
    async with cluster(tmp_path, databases.server(), members, own=alone) as made, Crowd(made) as crowd:
        trap = made.stage.trap("work0", "call_work0_1_0", "asked", hold=True)
        for number in range(6):
            await crowd.begin(Plan(f"work{number}", turns=("f", "m"), says=True))
        await trap.sprung()
        by = made.stage.asked("work0", "model 1")[0].by
        assert by.startswith("worker")
        made.members[by].kill()
        await crowd.lose()
        trap.let_go()
        await crowd.wait_over()
        await crowd.check()
        assert {line.by for line in made.stage.ledger if line.by} <= {"worker1", "worker2"}


async def test_a_valkey_that_dies_and_comes_back_costs_only_time(tmp_path: Path):
    with valkey() as signals:
        told = {**MANY, "FREDDY_REDIS_URL": signals.url}
        async with cluster(tmp_path, databases.server(), **told) as made, Crowd(made) as crowd:
            for number in range(6):
                plan = Plan(f"deaf{number}", turns=("f", "m"), says=True, words=40, pause=0.03)
                await crowd.begin(plan, by=made.members["one"])
            await made.stage.wait(lambda: bool(made.stage.asked("deaf0", "call_deaf0_0_0")))
            signals.stop()
            await made.stage.wait(lambda: bool(made.stage.asked("deaf0", "model 2")))
            await asyncio.to_thread(signals.start)
            await crowd.begin(Plan("back"))
            await crowd.wait_over()
            await crowd.check()
