"""What waits in the queue of the background: who asked may still ask, limits hold, and nothing is tried for ever."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing

import pytest
from msgspec.structs import replace
from runtime_stage import CALLER, STRANGER, Stage, ToolStage, check_run

from freddy.server.accounts.limits import Limiter
from freddy.server.core import deltas, errors, events, items, request, toolspec
from freddy.server.core.accounts import Caller
from freddy.server.core.limits import Limits
from freddy.server.core.response import Response
from freddy.server.core.turn import Turn
from freddy.server.ports.runs import Entry
from freddy.server.ports.signals import QUEUED
from freddy.server.ports.world import Clock
from freddy.server.runtime.performing import MOST_LOSSES
from freddy.server.stores.counters.memory import MemoryCounters
from freddy_fakes import PATIENCE, MemoryMcp, ScriptedModel, raw

END = deltas.Stop("stop")
SECRETIVE = toolspec.Mcp(
    "deep",
    raw({"type": "mcp"}),
    server_url="https://mcp.example/x",
    approval=toolspec.Approval("never"),
    authorization="a token",
)


class Counting(ScriptedModel):
    """Knows how many of its turns were under way at the same time at most."""

    most = 0

    async def stream(self, turn: Turn):
        async for batch in super().stream(turn):
            self.most = max(self.most, self.opened - self.closed)
            yield batch


class Counters(MemoryCounters):
    """They are away while `away` is true."""

    away = False

    async def take(self, *asked, **more):
        if self.away:
            raise errors.LimitsUnavailable("Limits cannot be counted", retry_after=1)
        return await super().take(*asked, **more)


class Spending:
    """The port `BudgetSource`."""

    def __init__(self, spent: int = 0) -> None:
        self.spent = spent

    async def month_cost(self, organization_id: str, key_id: str | None, *, since: int, until: int) -> int:
        return self.spent


class Sealer:
    """The port `Sealer`, without its key while `lost`."""

    lost = True

    async def seal(self, secret: str, bound_to: Sequence[str]) -> bytes:
        return secret.encode()

    async def open(self, sealed: bytes, bound_to: Sequence[str]) -> str:
        if self.lost:
            raise errors.StorageUnavailable("A kept secret was sealed with another key", details="bring the key back")
        return sealed.decode()


def limiting(
    counters: type[Counters] = Counters, *, organization: Limits | None = None, allow: bool = False
) -> Callable[[Clock], Limiter]:
    """A limiter that refuses, or counts by itself, while its counters are away."""

    async def of_organization(organization_id: str) -> Limits | None:
        return organization if organization_id == CALLER.organization_id else None

    def made(clock: Clock) -> Limiter:
        return Limiter(
            counters(clock),
            organization_limits=of_organization,
            spending=Spending(),
            clock=clock,
            meanwhile=(lambda: MemoryCounters(clock)) if allow else None,
        )

    return made


def limited(**bounds: int) -> Caller:
    return Caller("org_1", ("org_1",), CALLER.scopes, "key_limited", limits=Limits(**bounds))


async def queue(built: Stage, caller: Caller = CALLER, **asked) -> Response:
    """A run that waits for somebody to claim it, as another process has accepted it."""
    said = items.Message(built.ids.new("msg"), "user", (items.Text("Hi"),))
    wanted = request.Request(**{"model": next(iter(built.models)), "input": (said,), "background": True} | asked)
    prepared = await built.preparation.prepare(wanted, caller)
    plan = await built.preparation.put_down(prepared)
    await built.stores.runs.put(prepared.run.response, plan, worker_id=None)
    built.signals.tell(QUEUED)
    return prepared.run.response


async def wait_until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0)


async def as_time_goes(built: Stage, *responses: Response) -> list[Response]:
    """Their ends. Time goes on as long as they have none, so that nothing is left alone for ever."""
    kept = built.stores.kept
    async with asyncio.timeout(PATIENCE):
        while not all(kept[one.id].ended for one in responses):
            built.clock.advance(1)
            built.signals.tell(QUEUED)
            await asyncio.sleep(0)
    return [kept[one.id] for one in responses]


def after(first: Stage, models: dict[str, ScriptedModel], **more) -> Stage:
    """Another process over the same stores. The ids that the first one has taken are taken."""
    second = Stage(models, first.stores, PATIENCE, **more)
    for _ in range(1000):
        second.ids.new("taken")
    return second


def gone(*key_ids: str):
    async def renewed(caller: Caller) -> Caller:
        if caller.key_id in key_ids:
            raise errors.NotAuthenticated("The API key was revoked")
        return caller

    return renewed


# Who asked


async def test_a_run_whose_key_was_revoked_while_it_waited_fails_before_a_model_is_asked(stores):
    built = Stage({"scripted": ScriptedModel("…")}, stores, PATIENCE, renewed=gone("key_1"))
    waiting = await queue(built)
    async with built.host, built.worker.claiming():
        ended = check_run(await built.hear(waiting))
    assert (ended.status, ended.failure.code, ended.failure.status) == ("failed", "invalid_api_key", 401)
    assert built.model.turns == []


async def test_others_in_the_queue_are_performed_all_the_same(stores):
    built = Stage({"scripted": ScriptedModel(deltas.Text("Hi."), END)}, stores, PATIENCE, renewed=gone("key_1"))
    revoked, other = await queue(built), await queue(built, STRANGER)
    async with built.host, built.worker.claiming():
        assert check_run(await built.hear(other)).text == "Hi."
        assert check_run(await built.hear(revoked)).status == "failed"


async def test_a_run_whose_key_was_revoked_is_not_gone_on_with_after_a_crash(stores):
    first = Stage({"scripted": ScriptedModel(deltas.Text("one"), asyncio.Event())}, stores, 0.0)
    async with first.worker.beating(), first.host:
        begun = await first.start(background=True, stream=False)
        await first.until(first.model.waits)
    second = after(first, {"scripted": ScriptedModel(deltas.Text("two"), END)}, renewed=gone("key_1"))
    async with second.host, second.worker.claiming():
        ended = check_run(await second.hear(begun))
    assert (ended.status, ended.failure.code) == ("failed", "invalid_api_key")
    assert second.model.turns == []


async def test_a_run_goes_on_with_the_limits_that_its_key_has_by_now(stores):
    async def renewed(caller: Caller) -> Caller:
        return replace(caller, limits=Limits(tokens_per_minute=1))

    built = Stage({"scripted": ScriptedModel("…")}, stores, PATIENCE, renewed=renewed, limiter=limiting())
    waiting = await queue(built)
    async with built.host, built.worker.claiming():
        ended = check_run(await built.hear(waiting))
    # It could wait for ever: it takes more tokens than the limit has in any minute.
    assert (ended.status, ended.failure.code) == ("failed", "rate_limit_exceeded")
    assert built.model.turns == []


# Who follows or stops what waits


async def test_who_follows_what_waits_hears_at_once_that_it_does(stores):
    built = Stage({"scripted": ScriptedModel(deltas.Text("Hi."), END)}, stores, PATIENCE)
    waiting = await queue(built)
    async with asyncio.timeout(PATIENCE), aclosing(built.responses.follow(waiting)) as batches:
        number, heard = await anext(batches)
        assert (number, [type(event) for event in heard]) == (0, [events.Created, events.Queued])
        async with built.host, built.worker.claiming():
            check_run([*heard, *[event async for _, batch in batches for event in batch]])
    assert check_run(await built.hear(waiting)).text == "Hi."
    later = await built.hear(waiting, after=0)
    assert isinstance(later[0], events.Queued)


async def test_what_waits_is_cancelled_by_who_performs_nothing(stores):
    built = Stage({"scripted": ScriptedModel("…")}, stores, PATIENCE, at_once=0)
    async with built.host, built.worker.claiming():
        waiting, other = await queue(built), await queue(built)
        ended = await built.responses.cancel(waiting.id, CALLER)
        assert (ended.status, ended.output) == ("cancelled", ())
        check_run(await built.hear(waiting))
    assert built.model.turns == []
    assert stores.kept[other.id].status == "queued"


# Limits


async def test_a_run_for_which_there_is_no_room_waits_and_holds_up_no_others(stores):
    gate = asyncio.Event()
    slow, quick = Counting(gate, deltas.Text("slow"), END), ScriptedModel(deltas.Text("quick"), END)
    built = Stage({"slow": slow, "quick": quick}, stores, PATIENCE, limiter=limiting())
    waiting = [await queue(built, limited(concurrent_runs=1)) for _ in range(4)]
    same = await queue(built, CALLER, model="quick")
    other = await queue(built, STRANGER, model="quick")
    async with built.host, built.worker.claiming():
        for one in (same, other):
            assert check_run(await built.hear(one)).text == "quick"
        await built.until(slow.waits)
        await wait_until(lambda: sum(stores.kept[one.id].status == "queued" for one in waiting) == 3)
        assert len(slow.turns) == 1
        gate.set()
        ended = [check_run(await built.hear(one)) for one in waiting]
    assert [one.status for one in ended] == ["completed"] * 4
    assert slow.most == 1
    assert built.given_back["limits"] > 0
    # Whoever waits is looked at when something has changed, and not again and again.
    assert len(stores.runs.claims) < 20


async def test_the_runs_of_an_organization_are_held_to_its_limit_together(stores):
    gate = asyncio.Event()
    model = Counting(gate, deltas.Text("Hi."), END)
    limits = limiting(organization=Limits(concurrent_runs=2))
    built = Stage({"scripted": model}, stores, PATIENCE, limiter=limits)
    user = Caller("org_1", ("org_1",), CALLER.scopes, user_id="user_1")
    waiting = [await queue(built, replace(CALLER, key_id=f"key_{number}")) for number in range(3)]
    waiting.append(await queue(built, user))
    other = await queue(built, STRANGER)
    async with built.host, built.worker.claiming():
        await wait_until(lambda: len(model.turns) == 3)
        assert stores.kept[other.id].organization_id == "org_2"
        gate.set()
        for one in (*waiting, other):
            assert check_run(await built.hear(one)).status == "completed"
    assert model.most == 3


async def test_no_more_of_a_queue_is_performed_in_a_minute_than_the_limit_says(stores):
    model = ScriptedModel(deltas.Text("Hi."), END)
    built = Stage({"scripted": model}, stores, PATIENCE, limiter=limiting())
    first, second = [await queue(built, limited(requests_per_minute=1)) for _ in range(2)]
    async with built.host, built.worker.claiming():
        check_run(await built.hear(first))
        await wait_until(lambda: built.given_back["limits"] > 0)
        began = built.clock.monotonic()
        assert len(model.turns) == 1
        [ended] = await as_time_goes(built, second)
    assert ended.status == "completed"
    assert built.clock.monotonic() - began >= 60


async def test_a_run_that_waits_for_room_can_be_stopped(stores):
    gate = asyncio.Event()
    built = Stage({"scripted": ScriptedModel(gate, deltas.Text("one"), END)}, stores, PATIENCE, limiter=limiting())
    first, second = [await queue(built, limited(concurrent_runs=1)) for _ in range(2)]
    async with built.worker.beating(), built.host, built.worker.claiming():
        await wait_until(lambda: built.given_back["limits"] > 0)
        stopped = await built.responses.cancel(second.id, CALLER)
        assert stopped.status == "cancelled"
        gate.set()
        assert check_run(await built.hear(first)).status == "completed"


async def test_a_run_that_had_begun_goes_on_even_where_it_is_one_too_many(stores):
    first = Stage({"scripted": ScriptedModel(deltas.Text("one"), asyncio.Event())}, stores, 0.0)
    async with first.worker.beating(), first.host:
        begun = await first.start(background=True, stream=False, caller=limited(concurrent_runs=1))
        await first.until(first.model.waits)
    gate = asyncio.Event()
    models = {"slow": ScriptedModel(gate, END), "scripted": ScriptedModel(deltas.Text("two"), END)}
    second = after(first, models, limiter=limiting())
    async with second.host:
        busy = await second.start(background=True, stream=False, caller=limited(concurrent_runs=1))
        await second.until(second.model.waits)
        async with second.worker.claiming():
            assert check_run(await second.hear(begun)).text == "two"
        gate.set()
        assert check_run(await second.hear(busy)).status == "completed"


async def test_while_nothing_can_be_counted_who_has_limits_waits_and_nobody_else(stores):
    model = ScriptedModel(deltas.Text("Hi."), END)
    Counters.away = True
    try:
        built = Stage({"scripted": model}, stores, PATIENCE, limiter=limiting())
        waiting, other = await queue(built, limited(concurrent_runs=1)), await queue(built)
        async with built.host, built.worker.claiming():
            check_run(await built.hear(other))
            await wait_until(lambda: built.given_back["limits_unavailable"] > 0)
            assert len(model.turns) == 1
            Counters.away = False
            [ended] = await as_time_goes(built, waiting)
    finally:
        Counters.away = False
    assert ended.status == "completed"


async def test_while_others_count_for_the_counters_they_hold_to_the_limits_too(stores):
    gate = asyncio.Event()
    model = Counting(gate, deltas.Text("Hi."), END)
    Counters.away = True
    try:
        built = Stage({"scripted": model}, stores, PATIENCE, limiter=limiting(allow=True))
        waiting = [await queue(built, limited(concurrent_runs=1)) for _ in range(2)]
        async with built.host, built.worker.claiming():
            await wait_until(lambda: built.given_back["limits"] > 0)
            gate.set()
            for one in waiting:
                assert check_run(await built.hear(one)).status == "completed"
    finally:
        Counters.away = False
    assert model.most == 1


# What cannot be taken up


def given_up(caplog) -> list[tuple[str, str]]:
    return [(one.code, one.cure) for one in caplog.records if one.message == "run_given_up"]


async def test_a_plan_that_nobody_can_read_fails_after_some_tries_and_holds_up_nobody(stores, caplog):
    built = Stage({"scripted": ScriptedModel(deltas.Text("one"), END)}, stores, PATIENCE)
    broken = await queue(built)
    stores.runs.plans[broken.id] = b"no plan"
    other = await queue(built)
    async with built.host, built.worker.claiming():
        assert check_run(await built.hear(other)).text == "one"
        [ended] = await as_time_goes(built, broken)
        assert check_run(await built.hear(broken)) == ended
    assert (ended.status, ended.failure.code, ended.failure.status) == ("failed", "plan_unreadable", 500)
    assert built.given_back["unreadable"] == MOST_LOSSES - 1
    assert stores.runs.claims.count(broken.id) == MOST_LOSSES
    [(code, cure)] = given_up(caplog)
    assert code == "plan_unreadable"
    assert "version" in cure


@pytest.mark.parametrize("returns", [True, False])
async def test_secrets_whose_key_is_lost_are_waited_for_a_while(stores, caplog, returns):
    sealer = Sealer()
    model = ScriptedModel(deltas.Text("one"), END)
    tools = ToolStage(mcp=MemoryMcp(tool=None))
    built = Stage({"scripted": model}, stores, PATIENCE, tools=tools, sealer=sealer)
    waiting = await queue(built, tools=(SECRETIVE,))
    async with built.host, built.worker.claiming():
        await wait_until(lambda: built.given_back["unreadable"] > 0)
        sealer.lost = not returns
        [ended] = await as_time_goes(built, waiting)
    if returns:
        assert ended.text == "one"
        return
    assert (ended.status, ended.failure.code) == ("failed", "secrets_unreadable")
    assert model.turns == []
    [(code, cure)] = given_up(caplog)
    assert code == "secrets_unreadable"
    assert "bring the key back" in cure
    # What the operator reads is not for the caller.
    assert "bring the key back" not in str(ended.failure)


@pytest.mark.parametrize("readable", [0, 1])
async def test_a_log_that_nobody_can_read_fails_with_what_there_is(stores, readable):
    first = Stage({"scripted": ScriptedModel(deltas.Text("one"), asyncio.Event())}, stores, 0.0)
    async with first.worker.beating(), first.host:
        begun = await first.start(background=True, stream=False)
        await first.until(first.model.waits)
    log = stores.runs.logs[begun.id]
    log[readable:] = [replace(entry, events=b"[{]") for entry in log[readable:]]
    log += [Entry(len(log), log[-1].first + log[-1].told, 1, b"[{]")] if len(log) <= readable else []
    second = after(first, {"scripted": ScriptedModel(deltas.Text("two"), END)})
    other = await queue(second)
    async with second.host, second.worker.claiming():
        assert check_run(await second.hear(other)).text == "two"
        [ended] = await as_time_goes(second, begun)
        heard = await second.hear(begun)
    assert heard[-1].response == ended
    assert (ended.status, ended.failure.code) == ("failed", "log_unreadable")
    assert len(second.model.turns) == 1


async def test_a_response_that_nobody_can_read_fails_and_holds_up_nobody(stores, caplog):
    caplog.set_level(logging.INFO)
    built = Stage({"scripted": ScriptedModel(deltas.Text("one"), END)}, stores, PATIENCE)
    broken, other = await queue(built), await queue(built)
    stores.runs.unreadable.add(broken.id)
    async with built.host, built.worker.claiming():
        assert check_run(await built.hear(other)).text == "one"
        [ended] = await as_time_goes(built, broken)
        heard = await built.hear(broken)
    assert heard[-1].response == ended
    assert (ended.status, ended.failure.code) == ("failed", "response_unreadable")
    assert [code for code, _ in given_up(caplog)] == ["response_unreadable"]


async def test_a_store_that_is_away_costs_no_run_a_try(stores):
    built = Stage({"scripted": ScriptedModel(deltas.Text("one"), END)}, stores, PATIENCE)
    waiting = await queue(built)
    stores.faults["log"] = errors.StorageUnavailable("away")
    async with built.host, built.worker.claiming():
        await wait_until(lambda: built.given_back["storage"] > 0)
        del stores.faults["log"]
        [ended] = await as_time_goes(built, waiting)
    assert ended.text == "one"
    assert stores.runs.losses(waiting.id) == 0
