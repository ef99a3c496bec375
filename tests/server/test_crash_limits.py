"""A server with limits that dies in the middle of everything: threads are whole, and the budget is what was counted."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from freddy_process import Served, serving
from freddy_upstream import ANSWER, Upstream

RUNS, BUDGET = 4, 5000
WRITTEN = 5
"""Tokens of every answer, at a dollar each."""
ENOUGH = 40
"""Answers told as done before the end."""
SETTINGS = """
[[upstream]]
name = "stage"
url = "{url}"
models = ["*"]

[[models]]
name = "dear"
candidates = [{{ upstream = "stage", model = "stage-dear" }}]
price = {{ input = 0, output = 1_000_000 }}

[limits]
organization_concurrent_runs = {runs}
organization_monthly_budget = {budget}
"""


async def test_after_a_power_cut_threads_are_whole_and_nothing_is_held(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    with Upstream() as upstream:
        (home / "freddy.toml").write_text(SETTINGS.format(url=upstream.url, runs=RUNS, budget=BUDGET))
        with serving(home) as server:
            done = await worked(server, upstream)
        with serving(home) as server:
            async with server.asynchronous() as client:
                spent = await counted(client)
                # All that was told is counted, and of what was under way one answer of each at most.
                assert len(done) * WRITTEN <= spent <= (len(done) + RUNS) * WRITTEN
                told = {(one["thread"], one["id"]) for one in done}
                kept = {pair for number in range(RUNS) for pair in await pairs(client, f"thread_{number}")}
                assert told <= kept
                assert len(kept) <= len(told) + RUNS
                left = BUDGET - spent
                refused = await ask(client, "whole", most=left + 1)
                assert (refused.status_code, refused.json()["error"]["code"]) == (429, "budget_exceeded")
                assert (await ask(client, "whole", most=left)).status_code == 200
                upstream.release()
                answers = await asyncio.gather(*(ask(client, f"thread_{number}") for number in range(RUNS)))
                assert [answer.status_code for answer in answers] == [200] * RUNS


async def worked(server: Served, upstream: Upstream) -> list[dict[str, Any]]:
    """Kills it while all the runs that may be are under way, one of them for ever. The answers that it told."""
    done: list[dict[str, Any]] = []
    enough = asyncio.Event()

    async def until_dead(client: httpx2.AsyncClient, number: int) -> None:
        try:
            while True:
                answer = await ask(client, f"thread_{number}")
                assert answer.status_code == 200, answer.text
                done.append(answer.json())
                if len(done) >= ENOUGH:
                    enough.set()
        except httpx2.TransportError:
            return

    async def held(client: httpx2.AsyncClient) -> None:
        try:
            await ask(client, "thread_held", said="hold")
        except httpx2.TransportError:
            return
        raise AssertionError("it outlived the server")

    async with server.asynchronous() as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(held(client))
        await asyncio.to_thread(upstream.wait_held, 1)
        for number in range(RUNS - 1):
            tasks.create_task(until_dead(client, number))
        await enough.wait()
        await asyncio.to_thread(server.kill)
    return done


async def ask(client: httpx2.AsyncClient, thread: str, *, said: str = "Hi", most: int = 10) -> httpx2.Response:
    asked = {"inputs": said, "model": "dear", "thread": thread, "max_output_synapses": most}
    return await client.post("/v1/model/response", json=asked)


async def counted(client: httpx2.AsyncClient) -> int:
    """Dollars."""
    total = (await client.get("/v1/usage?bucket=none")).json()["total"]
    assert total["output_tokens"] == total["cost"]
    return total["output_tokens"]


async def pairs(client: httpx2.AsyncClient, thread: str) -> list[tuple[str, str]]:
    """The thread and the response of each question with its answer; there is nothing else in a thread."""
    found = await client.get(f"/v1/threads/{thread}/messages?limit=100&order=asc")
    if found.status_code == 404:
        return []
    listed = found.json()["data"]
    assert not found.json()["has_more"]
    assert [(one["role"], one["content"]) for one in listed] == [("user", "Hi"), ("assistant", ANSWER)] * (
        len(listed) // 2
    )
    owners = [one["response_id"] for one in listed]
    assert owners[::2] == owners[1::2]
    assert (await client.get(f"/v1/threads/{thread}")).json()["message_count"] == len(listed)
    return [(thread, owner) for owner in owners[::2]]
