"""Cancels and deletions that meet a process just lost, and calls that must not be made twice."""

import asyncio
from pathlib import Path

import pytest
from durability_checks import Crowd, Watched, check, check_accounts
from durability_cluster import PATHS, Cluster, cluster
from durability_stage import NAMES, Plan
from durability_watch import OVER

import databases

MANY = {"FREDDY_BACKGROUND_AT_ONCE": "200"}


async def stopped(run: Watched) -> str:
    """The status that the cancel tells, from whoever serves."""
    reply = await run.cluster.ask("POST", f"{run.path}/cancel")
    assert reply.status_code == 200, reply.text
    return reply.json()["status"]


async def test_who_is_cancelled_stays_cancelled_whoever_performs_it(tmp_path: Path):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        names = ("here", "elsewhere", "dead", "frozen")
        traps = [made.stage.trap(name, f"call_{name}_0_0", "asked", hold=True) for name in names]
        here, elsewhere, dead, frozen = [
            await crowd.begin(Plan(name, turns=("f", "f")), by=made.members["one"]) for name in names
        ]
        for trap in traps:
            await trap.sprung()
        for run, by in ((here, "one"), (elsewhere, "two")):
            reply = await made.ask("POST", f"{run.path}/cancel", by=made.members[by])
            assert reply.json()["status"] == "cancelled", reply.text
        made.members["one"].freeze()
        told = await asyncio.gather(stopped(dead), stopped(frozen))
        assert set(told) <= {"cancelled", "queued", "in_progress"}
        made.members["one"].kill()
        await crowd.lose()
        await crowd.wait_over()
        for trap in traps:
            trap.let_go()
        for run in crowd.runs:
            await check(run, status="cancelled")
            assert len(made.stage.asked(run.plan.run, "model 1")) == 0
        await check_accounts(made, crowd.runs)


async def test_a_cancel_that_races_with_the_end_leaves_one_end(tmp_path: Path):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        trap = made.stage.trap("race6", "model 1", "asked")
        runs = [await crowd.begin(Plan(f"race{number}", turns=("f",), words=3, pause=0.02)) for number in range(12)]
        await trap.sprung()
        told = await asyncio.gather(*(stopped(run) for run in runs))
        await crowd.wait_over()
        for run, status in zip(runs, told, strict=True):
            kept = (await run.get())["status"]
            assert kept in ("completed", "cancelled")
            assert status in (kept, "queued", "in_progress")
            await check(run, status=kept)
        await check_accounts(made, runs)
        made.check_logs()


async def test_what_is_deleted_is_gone_and_nobody_goes_on_with_it(tmp_path: Path):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        names = [f"gone{number}" for number in range(3)]
        traps = [made.stage.trap(name, f"call_{name}_0_0", "asked", hold=True) for name in names]
        runs = [await crowd.begin(Plan(name, turns=("f", "f")), by=made.members["one"]) for name in names]
        for trap in traps:
            await trap.sprung()
        await deleted(made, runs[0], by="one")
        await deleted(made, runs[1], by="two")
        made.members["one"].kill()
        await deleted(made, runs[2], by="two")
        for trap in traps:
            trap.let_go()
        await made.start("one")
        # Its followers and pollers are told that it is not there.
        for run in runs:
            await asyncio.wait_for(run.followers[0].follow(), 30)
        after = await crowd.begin(Plan("after"))
        await crowd.wait_over(after)
        await check(after)
        for run in runs:
            assert not made.stage.asked(run.plan.run, "model 1")
        for table in ("runs", "run_log"):
            rows = await made.rows(f"SELECT DISTINCT response_id FROM {table}")
            assert [response_id for (response_id,) in rows] == [after.id]
        made.check_logs()


async def deleted(made: Cluster, run: Watched, *, by: str) -> None:
    reply = await made.ask("DELETE", f"/v1/responses/{run.id}", by=made.members[by])
    assert reply.status_code == 200, reply.text
    for path in PATHS.values():
        assert (await made.look(f"{path}/{run.id}")).status_code == 404


@pytest.mark.parametrize(("dialect", "letter"), [("freddy", "F"), ("freddy", "M"), ("openai", "M")])
async def test_a_call_that_must_not_be_made_twice_is_asked_about(tmp_path: Path, dialect: str, letter: str):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        plan = Plan("once", turns=(letter,))
        trap = made.stage.trap("once", "call_once_0_0", "answered", hold=True)
        run = await crowd.begin(plan, dialect, by=made.members["one"])
        await trap.sprung()
        made.members["one"].kill()
        await crowd.lose()
        trap.let_go()
        await crowd.wait_over()
        asked = await check(run, status="requires_action" if dialect == "freddy" else "completed", output=False)
        (request,) = [item for item in asked["output"] if item["type"].endswith("approval_request")]
        assert request["name"] == NAMES[letter]
        assert len(made.stage.asked("once", "call_once_0_0")) == 1
        kind = "mcp_approval_response"
        answer = [{"type": kind, "approval_request_id": request["id"], "approve": True}]
        said = {"input" if dialect == "openai" else "inputs": answer, "previous_response_id": asked["id"]}
        body = {**made.request(plan, dialect), **said, "background": False}
        reply = await made.ask("POST", PATHS[dialect], body)
        assert reply.status_code == 200, reply.text
        assert reply.json()["status"] in OVER
        assert len(made.stage.asked("once", "call_once_0_0")) == 2
        assert reply.json()["output"][-1]["content"][0]["text"] == "".join(plan.words_of(1))
        assert made.stage.complaints == []
        made.check_logs()


async def test_a_call_that_must_not_be_made_twice_and_was_recorded_is_over(tmp_path: Path):
    async with cluster(tmp_path, databases.server(), **MANY) as made, Crowd(made) as crowd:
        trap = made.stage.trap("paid", "model 1", "asked", hold=True)
        run = await crowd.begin(Plan("paid", turns=("FM",)), by=made.members["one"])
        await trap.sprung()
        made.members["one"].kill()
        await run.lose()
        trap.let_go()
        await crowd.wait_over()
        await crowd.check()
