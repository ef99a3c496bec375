"""Responses in the background: no way around limits and budgets, and nothing in confidence is left behind."""

import asyncio
import contextlib
import json
import sqlite3
from typing import Any

import pytest
from gateway import Gateway, serving, settings
from tool_stage import files_below, mcp

from freddy.server.accounts.limits import Limiter
from freddy.server.config import Served
from freddy.server.config import settings as parts
from freddy.server.core import compaction, errors, items
from freddy.server.core.accounts import Caller
from freddy.server.core.limits import Limits
from freddy.server.core.window import Sized
from freddy.server.runtime import estimate
from freddy.server.stores.counters.memory import MemoryCounters
from freddy.server.world import SystemClock
from mcp_servers import python_server
from upstream import PATIENCE, Answer, Gate, text

KEYS = "/v1/organizations/org_local/api-keys"
TOKEN = "token-of-the-mcp-server-0123456789"
NOBODY = parts.Background(at_once=0)
ONE = parts.Background(at_once=1)
DEAR = Served(
    name="dear",
    candidates=(parts.Candidate(upstream="stage", model="stage-dear"),),
    price=parts.Price(input=0, output=1e6),
)
"""A token of output costs a dollar."""


@pytest.fixture
async def opened(upstream, tmp_path):
    """Opens servers with other settings on one home, each when the one before it has ended."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(**changes: Any) -> Gateway:
            await stack.aclose()
            return await stack.enter_async_context(serving(settings(tmp_path, upstream, **changes), upstream))

        yield open_


async def queued(gateway: Gateway, key: str | None = None, **body: Any) -> str:
    body = {"model": "stage", "input": "Hi", "background": True, **body}
    reply = await (gateway.post("/v1/responses", body) if key is None else gateway.post("/v1/responses", body, key=key))
    assert (reply.status_code, reply.json()["status"]) == (200, "queued"), reply.text
    return reply.json()["id"]


async def test_what_waited_is_not_performed_when_nothing_is_left_of_the_budget(opened, upstream):
    gateway = await opened(background=NOBODY, models=(DEAR,))
    limits = {"monthly_budget": 8}
    key = (await gateway.post(KEYS, {"key_name": "limited", "limits": limits})).json()["key"]
    ids = [await queued(gateway, key, model="dear", max_output_tokens=5) for _ in range(4)]
    upstream.says(*(Answer(text("Hello."), usage=(10, 5)) for _ in ids))
    gateway = await opened(background=ONE, models=(DEAR,))
    ended = [await gateway.ended(response_id) for response_id in ids]
    assert [one["status"] for one in ended] == ["completed", "failed", "failed", "failed"]
    assert {one["error"]["code"] for one in ended[1:]} == {"budget_exceeded"}
    assert len(upstream.calls) == 1


async def test_what_goes_on_with_an_old_leave_is_counted_all_the_same():
    async def of_organization(_: str) -> None:
        return None

    class Unspent:
        async def month_cost(self, *_: object, **__: object) -> int:
            return 0

    limiter = Limiter(
        MemoryCounters(SystemClock()), organization_limits=of_organization, spending=Unspent(), clock=SystemClock()
    )
    caller = Caller("org_1", ("org_1",), frozenset(), "key_1", limits=Limits(concurrent_runs=1, monthly_budget=1))
    first = await limiter.admit(caller, tokens=100, cost=0.5)
    with pytest.raises(errors.RateLimited):
        await limiter.admit(caller, tokens=1, cost=0)
    going_on = await limiter.count(caller, tokens=300, cost=2.0)
    await first.settle(tokens=100, cost=0.5)
    with pytest.raises(errors.RateLimited, match="at the same time"):
        await limiter.admit(caller, tokens=0, cost=0.1)
    await going_on.settle(tokens=300, cost=2.0)
    assert (await limiter.admit(caller, tokens=0, cost=0)).headers() == ()
    with pytest.raises(errors.RateLimited, match="has spent its budget"):
        await limiter.admit(caller, tokens=0, cost=0.1)


async def test_secrets_of_tools_are_sealed_while_a_response_waits_and_gone_at_its_end(opened, upstream, tmp_path):
    async with python_server(token=TOKEN) as server:
        gateway = await opened(background=NOBODY)
        tool = mcp(server, authorization=TOKEN, headers={"x-team": "header-" + TOKEN})
        waits = await queued(gateway, tools=[tool])
        dropped = await queued(gateway, tools=[tool])
        assert (await gateway.get(f"/v1/responses/{waits}")).json()["status"] == "queued"
        assert (await gateway.delete(f"/v1/responses/{dropped}")).status_code == 200
        assert TOKEN.encode() not in files_below(tmp_path)
        assert plans(tmp_path)[waits] is not None
        assert dropped not in plans(tmp_path)
        upstream.says(Answer(text("Done.")))
        gateway = await opened(background=ONE)
        assert (await gateway.ended(waits))["status"] == "completed"
        assert plans(tmp_path)[waits] is None
    assert TOKEN.encode() not in files_below(tmp_path)


def plans(home: Any) -> dict[str, bytes | None]:
    with contextlib.closing(sqlite3.connect(home / "freddy.db")) as database:
        return dict(database.execute("SELECT response_id, plan FROM runs"))


async def test_ids_of_others_in_the_background_are_as_unknown_as_any(opened, upstream):
    gateway = await opened(dev=parts.Development(mode="off"))
    ours, theirs = [(await gateway.mint(name)).secret for name in ("org_ours", "org_theirs")]
    gate = Gate()
    upstream.says(Answer(text("Se"), gate, text("cret")))
    known = await queued(gateway, ours)
    unknown = known[:-4] + "zzzz"
    for base in ("/v1/responses", "/v1/model/response"):
        for method, rest in (
            ("GET", ""),
            ("GET", "?stream=true"),
            ("GET", "?stream=true&starting_after=1"),
            ("GET", f"?stream=true&starting_after={'9' * 40}"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ):
            told = []
            for one in (known, unknown):
                reply = await gateway.http(theirs).request(method, f"{base}/{one}{rest}")
                told.append((reply.status_code, reply.text.replace(one, "…")))
            assert told[0] == told[1], (method, base, rest)
            assert told[0][0] == 404
    gate.open()
    async with asyncio.timeout(PATIENCE):
        while (reply := await gateway.get(f"/v1/responses/{known}", key=ours)).json()["status"] != "completed":
            assert reply.status_code == 200


async def test_a_compaction_is_opened_for_nobody_else_and_nowhere_changed(opened, upstream):
    gateway = await opened(dev=parts.Development(mode="off"))
    ours, theirs = [(await gateway.mint(name)).secret for name in ("org_ours", "org_theirs")]
    upstream.says(Answer(text("The secret summary."), usage=(1, 1)))
    made = await gateway.post("/v1/responses/compact", {"model": "stage", "input": "The secret."}, key=ours)
    sealed = made.json()["output"][-1]
    changed = [
        {**sealed, "encrypted_content": one}
        for one in ("frdy1.", "frdy1.AAAA", sealed["encrypted_content"][:-4] + "AAAA", "frdy1.é", "frdy1." + "A" * 99)
    ]
    refusals = set()
    for key, item in [(theirs, sealed), *((ours, one) for one in changed)]:
        for path in ("/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"):
            reply = await gateway.post(path, {"model": "stage", "input": [item]}, key=key)
            refusals.add((reply.status_code, reply.text))
    ((status, refusal),) = refusals
    assert status == 400
    assert "invalid_encrypted_content" in refusal
    assert len(upstream.calls) == 1


async def test_a_deleted_response_is_deleted_when_no_process_stops_it(opened):
    gateway = await opened(background=NOBODY)
    waits = await queued(gateway)
    assert (await gateway.delete(f"/v1/responses/{waits}")).status_code == 200
    assert (await gateway.get(f"/v1/responses/{waits}")).status_code == 404


def test_ten_thousands_of_calls_are_cut_in_a_moment():
    said = [Sized(items.Message("msg_1", "user", (items.Text("Go."),)), 10)]
    for number in range(20_000):
        said.append(Sized(items.FunctionCall(f"fc_{number}", f"call_{number}", "f", "{}"), 10))
        said.append(Sized(items.FunctionOutput(f"fco_{number}", f"call_{number}", (items.Text("x"),)), 10))
    began = SystemClock().monotonic()
    assert compaction.split(said, compaction.Limits(128_000, 1000)) is not None
    assert SystemClock().monotonic() - began < 10  # it was most of a minute on a machine that does nothing else


def test_ten_thousands_of_messages_before_a_compaction_are_adopted_in_a_moment():
    def many(word: str) -> tuple[items.Message, ...]:
        return tuple(
            items.Message(f"{word}{number}", "user", (items.Text(f"{word} {number}"),)) for number in range(16_000)
        )

    given = [*many("before"), items.Compaction("cmp_1", "frdy1.x", "So far.", after=many("after"))]
    began = SystemClock().monotonic()
    adopted = compaction.adopted(given)[-1]
    assert SystemClock().monotonic() - began < 10  # it was a minute
    assert isinstance(adopted, items.Compaction)
    assert len(adopted.before) == 16_000


async def test_others_do_not_wait_while_a_long_conversation_is_divided(opened, upstream):
    gateway = await opened()
    clock = SystemClock()
    long = "x " * 3_000_000
    began = clock.monotonic()
    pieces = compaction.pieces([long], 60_000, estimate.tokens)
    alone = clock.monotonic() - began
    upstream.says(*(Answer(text("S."), usage=(1, 1)) for _ in range(2 * len(pieces))))
    body = json.dumps({"model": "stage", "input": [{"role": "user", "content": long}]})
    longest = 0.0
    async with asyncio.TaskGroup() as tasks:
        compacting = tasks.create_task(
            gateway.http().post(
                "/v1/responses/compact", content=body, headers={"content-type": "application/json"}, timeout=120
            )
        )
        while not compacting.done():
            began = clock.monotonic()
            assert (await gateway.get("/health/live")).status_code == 200
            longest = max(longest, clock.monotonic() - began)
    assert compacting.result().status_code == 200
    assert longest < alone / 2 + 0.5
