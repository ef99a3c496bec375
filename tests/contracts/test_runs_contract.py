"""The contract of `RunStore`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa
from contract_examples import ACME, OTHERS, begun, completed, message
from msgspec.structs import replace

from databases import fresh_database
from freddy.server.core import calls, errors, items
from freddy.server.core.accounts import Organization
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.ports.runs import Claim, Claimed, Entry, Heard, Held, Pulse, RunStore, Unread
from freddy.server.ports.stores import ResponseStore, ThreadStore
from freddy.server.stores.sql import run_queries as queries
from freddy.server.stores.sql import tables
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.connection import Connection, Database, Work
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.runs import SqlRuns
from freddy.server.stores.sql.statements import Row, Statement

Got = TypeVar("Got")
PLAN = b'{"what":"was looked up"}\x00\xff'
ONE, TWO = "wrk_1", "wrk_2"


@pytest.fixture
async def runs(database: Database) -> RunStore:
    """Knows two workers."""
    return await knowing(SqlRuns(database), ONE, TWO)


async def knowing(runs: RunStore, *worker_ids: str) -> RunStore:
    for worker_id in worker_ids:
        await runs.beat(worker_id)
    return runs


async def pulse_of(worker_id: str, runs: RunStore) -> Pulse:
    (found,) = [pulse for pulse in await runs.pulses() if pulse.worker_id == worker_id]
    return found


@asynccontextmanager
async def two_processes(kind: str, folder: Path) -> AsyncIterator[tuple[Database, Database]]:
    """Two ways to the same database."""
    if kind == "sqlite":
        async with SqliteDatabase(folder / "a.db") as one, SqliteDatabase(folder / "a.db") as two:
            yield one, two
        return
    async with fresh_database() as url, PostgresDatabase(url) as first, PostgresDatabase(url) as second:
        yield first, second


def queued(*texts: str, **changes: object) -> Response:
    return begun(*texts, **{"status": "queued", **changes})


def entry(place: int, events: bytes = b"[]") -> Entry:
    return Entry(place, first=place * 2, told=2, events=events)


async def claimed(runs: RunStore, worker_id: str = ONE, response: Response | None = None) -> Claim:
    """A run that was put and is performed."""
    claim = await runs.put(response or queued("hello"), PLAN, worker_id=worker_id)
    assert claim is not None
    return claim


async def count(database: Database, table: sa.Table) -> int:
    row = await database.read(lambda c: c.one(Statement(sa.select(sa.func.count()).select_from(table))))
    assert row is not None
    return int(row[0])


async def test_a_run_is_put_claimed_recorded_and_finished(runs: RunStore, responses: ResponseStore) -> None:
    response = queued("hello", thread_id="t")
    assert await runs.put(response, PLAN, worker_id=None) is None
    assert await responses.get(ACME, response.id) == response
    assert await runs.queued() == 1
    (found,) = await runs.claim(ONE, most=9)
    assert found == Claimed(Claim(response.id, ACME, ONE, 1), response, PLAN)
    assert await runs.queued() == 0
    ended = completed(response, "well", "met")
    await runs.record(found.claim, entry(0, b"[1]"), {0: ended.output[0]})
    assert await responses.get(ACME, response.id) == replace(response, status="in_progress", output=ended.output[:1])
    await runs.finish(found.claim, ended, entry(1, b"[2]"))
    assert await responses.get(ACME, response.id) == ended
    assert await runs.log(response.id) == [entry(0, b"[1]"), entry(1, b"[2]")]
    assert await runs.claim(TWO, most=9) == []


async def test_a_run_that_is_put_for_a_worker_is_claimed_at_once(runs: RunStore) -> None:
    response = queued("hello")
    assert await runs.put(response, PLAN, worker_id=ONE) == Claim(response.id, ACME, ONE, 1)
    assert await runs.queued() == 0
    assert await runs.claim(TWO, most=9) == []


async def test_a_response_whose_id_is_taken_is_not_put(runs: RunStore, responses: ResponseStore) -> None:
    response = queued("hello")
    await responses.open(response)
    with pytest.raises(errors.Conflict):
        await runs.put(queued("other", id=response.id), PLAN, worker_id=None)
    assert await runs.queued() == 0


async def test_runs_are_claimed_in_the_order_in_which_they_were_queued(runs: RunStore) -> None:
    put = [queued(str(number)) for number in range(5)]
    for response in put:
        await runs.put(response, PLAN, worker_id=None)
    first = await runs.claim(ONE, most=2)
    assert [each.response for each in first] == put[:2]
    await runs.release(first[0].claim)
    assert [each.response for each in await runs.claim(TWO, most=2)] == [put[0], put[2]]
    assert await runs.claim(ONE, most=0) == []
    assert [each.response for each in await runs.claim(ONE, most=9)] == put[3:]


async def test_a_response_is_claimed_without_what_was_recorded_of_it(runs: RunStore) -> None:
    claim = await claimed(runs, response=(response := queued("a", "b")))
    await runs.record(claim, entry(0), {0: message("said")})
    await runs.release(claim)
    (again,) = await runs.claim(TWO, most=1)
    assert again == Claimed(Claim(response.id, ACME, TWO, 2), replace(response, status="in_progress"), PLAN)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_no_run_is_claimed_by_two(kind: str, tmp_path: Path) -> None:
    async with two_processes(kind, tmp_path) as databases:
        stores = [SqlRuns(database) for database in databases]
        put = [queued(str(number)) for number in range(60)]
        await asyncio.gather(*(stores[0].put(response, PLAN, worker_id=None) for response in put))

        async def claim_all(number: int) -> Sequence[Claimed | Unread]:
            store, worker_id, mine = stores[number % 2], f"wrk_{number}", []
            await store.beat(worker_id)
            while found := await store.claim(worker_id, most=3):
                mine += found
            return mine

        async with asyncio.timeout(60):
            found = await asyncio.gather(*(claim_all(number) for number in range(12)))
        ids = [each.claim.response_id for mine in found for each in mine]
        assert sorted(ids) == sorted(response.id for response in put)
        assert await stores[0].queued() == 0


async def writes_nothing(database: Database, runs: RunStore, claim: Claim, ended: Response) -> None:
    """Whoever has the claim has lost it."""
    before = await everything(database)
    with pytest.raises(errors.ClaimLost):
        await runs.record(claim, entry(0, b"[0]"), {0: message("late")})
    with pytest.raises(errors.ClaimLost):
        await runs.record(claim, entry(7, b"[7]"), {})
    with pytest.raises(errors.ClaimLost):
        await runs.finish(claim, ended, entry(1, b"[1]"))
    assert await everything(database) == before


async def everything(database: Database) -> dict[str, list[Row]]:
    async def work(connection: Connection) -> dict[str, list[Row]]:
        return {
            table.name: await connection.all(Statement(sa.select(table).order_by(*table.primary_key.columns)))
            for table in tables.metadata.sorted_tables
        }

    return await database.read(work)


def used(response: Response) -> Response:
    """Completed, with a call of a model."""
    call = calls.Call(
        kind="model", name="tiny", provider="stage", status="completed", usage=Usage(3, 4), cost=7, milliseconds=1
    )
    return completed(response, "well", calls=(call,))


async def test_who_has_an_older_claim_writes_nothing(database: Database, runs: RunStore) -> None:
    old = await claimed(runs, response=(response := queued("hello", thread_id="t")))
    await runs.release(old)
    await writes_nothing(database, runs, old, used(response))
    (new,) = await runs.claim(ONE, most=1)
    assert new.claim.fence > old.fence
    await writes_nothing(database, runs, old, used(response))
    with pytest.raises(errors.ClaimLost):
        await runs.release(old)
    await runs.record(new.claim, entry(0), {})


async def test_who_has_a_claim_of_a_deleted_run_writes_nothing(
    database: Database, runs: RunStore, responses: ResponseStore
) -> None:
    claim = await claimed(runs, response=(response := queued("hello", thread_id="t")))
    await runs.record(claim, entry(0), {})
    assert await responses.delete(ACME, response.id)
    await writes_nothing(database, runs, claim, used(response))
    with pytest.raises(errors.ClaimLost):
        await runs.release(claim)
    for table in (tables.runs, tables.run_log, tables.items):
        assert await count(database, table) == 0


async def test_who_has_the_claim_of_a_run_that_is_over_writes_no_more(
    database: Database, runs: RunStore, responses: ResponseStore
) -> None:
    claim = await claimed(runs, response=(response := queued("hello", thread_id="t")))
    ended = used(response)
    await runs.record(claim, entry(0), {})
    await runs.finish(claim, ended, entry(1))
    before = await everything(database)
    await runs.finish(claim, ended, entry(1))
    await runs.finish(claim, completed(response, "another end"), entry(2))
    with pytest.raises(errors.ClaimLost):
        await runs.record(claim, entry(2), {0: message("late")})
    with pytest.raises(errors.ClaimLost):
        await runs.release(claim)
    with pytest.raises(errors.ClaimLost):
        await runs.finish(replace_claim(claim, fence=claim.fence + 1), ended, entry(1))
    assert await everything(database) == before
    assert await responses.get(ACME, response.id) == replace(ended, calls=())


def replace_claim(claim: Claim, *, fence: int) -> Claim:
    return Claim(claim.response_id, claim.organization_id, claim.worker_id, fence)


async def test_an_entry_that_is_recorded_again_changes_nothing(database: Database, runs: RunStore) -> None:
    claim = await claimed(runs)
    await runs.record(claim, entry(0, b"[1]"), {0: message("once", id="msg_once")})
    await runs.record(claim, entry(1, b"[2]"), {})
    before = await everything(database)
    await runs.record(claim, entry(0, b"[1]"), {0: message("once", id="msg_once")})
    await runs.record(claim, entry(1, b"[2]"), {})
    assert await everything(database) == before


async def test_a_place_that_another_claim_has_filled_is_not_filled_again(database: Database, runs: RunStore) -> None:
    claim = await claimed(runs, response=(response := queued("hello")))
    await runs.record(claim, entry(0), {})
    await runs.release(claim)
    (again,) = await runs.claim(ONE, most=1)
    before = await everything(database)
    with pytest.raises(errors.ClaimLost):
        await runs.record(again.claim, entry(0), {0: message("late")})
    with pytest.raises(errors.ClaimLost):
        await runs.finish(again.claim, used(response), entry(0))
    assert await everything(database) == before
    await runs.record(again.claim, entry(1), {})


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_writes_of_an_old_claim_never_pass_a_new_one(kind: str, tmp_path: Path) -> None:
    """One writes as fast as it can while others take the run: its log shows that nobody wrote after the next began."""
    async with two_processes(kind, tmp_path) as (one, two):
        here, there = SqlRuns(one), SqlRuns(two)
        await here.beat(ONE)
        response = queued("hello")
        claim = await here.put(response, PLAN, worker_id=ONE)
        assert claim is not None

        async def write(store: SqlRuns, claim: Claim, place: int) -> None:
            while True:
                try:
                    await store.record(claim, entry(place, b"%d" % claim.fence), {})
                except errors.ClaimLost:
                    return
                place += 1

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for turn in range(6):
                store, other = (here, there) if turn % 2 else (there, here)
                tasks.create_task(write(other, claim, len(await store.log(response.id))))
                while not await store.log(response.id):  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0)
                await store.beat(claim.worker_id)
                assert await store.bury(await pulse_of(claim.worker_id, store), 5) == 0
                worker_id = TWO if claim.worker_id == ONE else ONE
                await other.beat(worker_id)
                (found,) = await store.claim(worker_id, most=1)
                log = await store.log(response.id)
                claim = found.claim
                await store.record(claim, entry(len(log), b"%d" % claim.fence), {})
            await here.finish(claim, completed(response, "end"), entry(len(await here.log(response.id))))
        fences = [int(each.events) for each in (await here.log(response.id))[:-1]]
        assert fences == sorted(fences)


async def test_a_run_is_finished_as_a_response_is(
    database: Database, runs: RunStore, responses: ResponseStore, threads: ThreadStore
) -> None:
    claim = await claimed(runs, response=(response := queued("hello", thread_id="t")))
    ended = used(response)
    await runs.record(claim, entry(0), {0: ended.output[0]})
    await runs.finish(claim, ended, entry(1))
    assert await threads.items(ACME, "t") == [*response.request.input, *ended.output]
    assert await count(database, tables.usage) == 1
    kept = await everything(database)
    assert [(row[7], row[8]) for row in kept["runs"]] == [(ended.completed_at, None)]


async def test_a_run_without_a_word_may_end(runs: RunStore, responses: ResponseStore) -> None:
    claim = await claimed(runs, response=(response := queued("hello")))
    ended = replace(response, status="cancelled", completed_at=1_009)
    await runs.finish(claim, ended, entry(0))
    assert await responses.get(ACME, response.id) == ended


async def test_to_give_back_what_nobody_has_changes_nothing(database: Database, runs: RunStore) -> None:
    claim = await claimed(runs)
    await runs.release(claim)
    before = await everything(database)
    await runs.release(claim)
    assert await everything(database) == before
    assert await runs.queued() == 1


async def test_a_log_is_read_page_by_page(runs: RunStore) -> None:
    claim = await claimed(runs)
    every = [entry(place, b"[%d]" % place) for place in range(25)]
    for each in every:
        await runs.record(claim, each, {})
    assert await runs.log(claim.response_id) == every
    found: list[Entry] = []
    while page := await runs.log(claim.response_id, after=len(found) - 1, most=10):
        assert len(page) <= 10
        found += page
    assert found == every
    assert await runs.log(claim.response_id, after=24) == []
    assert await runs.log("resp_unknown") == []


def _heard(heard: Heard) -> Heard:
    """But for what is held."""
    return replace(heard, held={})


async def test_a_worker_hears_what_it_holds(runs: RunStore) -> None:
    await runs.beat(ONE)
    first = await claimed(runs, ONE)
    second = await claimed(runs, ONE)
    assert (await runs.beat(ONE)).held == {first.response_id: first.fence, second.response_id: second.fence}
    await runs.release(first)
    assert (await runs.beat(ONE)).held == {second.response_id: second.fence}
    assert (await runs.beat(TWO)).held == {}


async def test_who_has_no_room_may_claim_what_is_to_be_stopped(runs: RunStore) -> None:
    response, other = queued("one"), queued("two")
    await runs.put(response, b"plan", worker_id=None)
    await runs.put(other, b"plan", worker_id=None)
    assert await runs.claim(ONE, most=0) == []
    assert await runs.stop(ACME, other.id, "keep")
    [found] = await runs.claim(ONE, most=0)
    assert (found.response.id, found.stop) == (other.id, "keep")
    assert await runs.claim(ONE, most=0) == []


async def test_a_run_tells_how_many_died_with_it(runs: RunStore) -> None:
    await runs.put(queued("one"), b"plan", worker_id=None)
    for losses in range(3):
        await runs.beat(ONE)
        [found] = await runs.claim(ONE, most=1)
        assert found.losses == losses
        await runs.bury(await pulse_of(ONE, runs), 5)
    await runs.beat(ONE)
    [found] = await runs.claim(ONE, most=1)
    await runs.release(found.claim)
    [found] = await runs.claim(ONE, most=1)
    assert found.losses == 3
    await runs.release(found.claim, lost=True)
    [found] = await runs.claim(ONE, most=1)
    assert found.losses == 4


async def test_who_has_a_run_hears_that_it_is_to_stop(runs: RunStore) -> None:
    mine, other = await claimed(runs, ONE), await claimed(runs, TWO)
    assert _heard(await runs.beat(ONE)) == Heard()
    assert await runs.stop(ACME, mine.response_id, "cancel")
    assert await runs.stop(ACME, mine.response_id, "keep")
    for _ in range(2):
        assert _heard(await runs.beat(ONE)) == Heard({mine.response_id: "keep"})
    assert _heard(await runs.beat(TWO)) == Heard()
    await runs.release(mine)
    assert _heard(await runs.beat(ONE)) == Heard()
    (again,) = await runs.claim(TWO, most=1)
    assert again.stop == "keep"
    assert _heard(await runs.beat(TWO)) == Heard({mine.response_id: "keep"})
    assert other.response_id != mine.response_id


async def test_only_what_goes_on_can_be_stopped_and_only_in_its_organization(runs: RunStore) -> None:
    waits = queued("waits")
    await runs.put(waits, PLAN, worker_id=None)
    assert not await runs.stop(OTHERS, waits.id, "cancel")
    assert not await runs.stop(ACME, "resp_unknown", "cancel")
    assert await runs.stop(ACME, waits.id, "cancel")
    (found,) = await runs.claim(ONE, most=1)
    assert found.stop == "cancel"
    await runs.finish(found.claim, replace(waits, status="cancelled", completed_at=9), entry(0))
    assert not await runs.stop(ACME, waits.id, "cancel")
    assert _heard(await runs.beat(ONE)) == Heard()


async def test_hearts_beat(database: Database) -> None:
    runs = SqlRuns(database)
    assert await runs.pulses() == []
    for _ in range(3):
        assert _heard(await runs.beat(ONE)) == Heard()
    await runs.beat(TWO)
    assert await runs.pulses() == [Pulse(ONE, 3), Pulse(TWO, 1)]
    await runs.leave(ONE)
    assert await runs.pulses() == [Pulse(TWO, 1)]
    assert _heard(await runs.beat(ONE)) == Heard()
    assert await runs.pulses() == [Pulse(ONE, 1), Pulse(TWO, 1)]


async def test_what_a_worker_has_is_queued_again_when_it_leaves(runs: RunStore) -> None:
    await runs.beat(ONE)
    mine, other = await claimed(runs, ONE), await claimed(runs, TWO)
    await runs.leave(ONE)
    assert [each.claim.response_id for each in await runs.claim(TWO, most=9)] == [mine.response_id]
    await runs.record(other, entry(0), {})
    with pytest.raises(errors.ClaimLost):
        await runs.record(mine, entry(0), {})
    await runs.leave("wrk_unknown")


async def test_a_worker_that_is_dead_is_buried_once(database: Database, runs: RunStore) -> None:
    responses = SqlResponses(database, ONE)
    await runs.beat(ONE)
    claim = await claimed(runs, ONE)
    over = await claimed(runs, ONE, (done := queued("done")))
    await runs.finish(over, completed(done, "done"), entry(0))
    foreground, kept, others = begun("mine"), begun("mine too"), begun("of another")
    await responses.open(foreground)
    await responses.open(kept)
    await responses.finish(completed(kept, "well"))
    await SqlResponses(database, TWO).open(others)
    pulse = await pulse_of(ONE, runs)
    assert await runs.bury(pulse, 77) == 1
    assert [each.worker_id for each in await runs.pulses()] == [TWO]
    failed = await responses.get(ACME, foreground.id)
    assert failed is not None
    assert failed.failure is not None
    assert (failed.status, failed.completed_at, failed.failure.code) == ("failed", 77, "interrupted")
    for other in (completed(kept, "well"), others):
        found = await responses.get(ACME, other.id)
        assert found is not None
        assert found.status == other.status
    assert [each.claim.response_id for each in await runs.claim(TWO, most=9)] == [claim.response_id]
    assert await runs.bury(pulse, 78) == 0


async def test_a_worker_whose_heart_has_beaten_since_is_not_buried(runs: RunStore) -> None:
    await runs.beat(ONE)
    pulse = await pulse_of(ONE, runs)
    claim = await claimed(runs, ONE)
    await runs.beat(ONE)
    assert await runs.bury(pulse, 5) is None
    await runs.record(claim, entry(0), {})
    assert _heard(await runs.beat(ONE)) == Heard()


async def test_one_who_was_buried_alive_hears_of_it_and_has_nothing(database: Database, runs: RunStore) -> None:
    pulse = await pulse_of(ONE, runs)
    mine = await claimed(runs, ONE)
    assert await runs.bury(pulse, 5) == 0
    # Claimed while it was buried: the burial did not see that yet, nor that the burial.
    await database.write(lambda connection: connection.run(queries.BE_KNOWN, worker_id=ONE, beats=9))
    later = await claimed(runs, ONE)
    await database.write(lambda connection: connection.run(queries.LEAVE, worker_id=ONE))
    assert _heard(await runs.beat(ONE)) == Heard(buried=True)
    for lost in (mine, later):
        with pytest.raises(errors.ClaimLost):
            await runs.record(lost, entry(0), {})
    assert await runs.queued() == 2
    # Others that still wait for the beats of before to grow do not bury it again.
    assert await runs.bury(pulse, 6) is None
    assert _heard(await runs.beat(ONE)) == Heard()


async def test_one_who_was_buried_alive_claims_nothing_until_it_hears_of_it(runs: RunStore) -> None:
    await runs.put(waits := queued("waits"), PLAN, worker_id=None)
    await runs.stop(ACME, waits.id, "cancel")
    await runs.bury(await pulse_of(ONE, runs), 5)
    assert await runs.put(mine := queued("mine"), PLAN, worker_id=ONE) is None
    held = Held(runs=("resp_other",))
    for most, besides in ((9, Held()), (9, held), (0, Held())):
        assert await runs.claim(ONE, most=most, held=besides) == []
    assert await runs.queued() == 2
    await runs.beat(ONE)
    assert [each.claim.response_id for each in await runs.claim(ONE, most=9)] == [waits.id, mine.id]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_burial_and_a_heartbeat_at_once_agree(kind: str, tmp_path: Path) -> None:
    async with two_processes(kind, tmp_path) as (one, two), asyncio.timeout(60):
        here, there = SqlRuns(one), SqlRuns(two)
        await there.beat(TWO)
        for _ in range(15):
            await here.beat(ONE)
            claim = await here.put(queued("hello"), PLAN, worker_id=ONE)
            assert claim is not None
            pulse = await pulse_of(ONE, there)
            buried, heard, again = await asyncio.gather(there.bury(pulse, 5), here.beat(ONE), there.bury(pulse, 5))
            assert heard.buried is (0 in (buried, again))
            if heard.buried:
                with pytest.raises(errors.ClaimLost):
                    await here.record(claim, entry(0), {})
                (found,) = await there.claim(TWO, most=9)
                claim = found.claim
            await there.record(claim, entry(0), {})
            await there.finish(claim, completed(begun(id=claim.response_id)), entry(1))


async def test_what_belongs_to_nobody_who_is_known_goes_on_or_has_failed(database: Database, runs: RunStore) -> None:
    await runs.beat(ONE)
    alive, dead, nobodys = begun("alive"), begun("dead"), begun("nobody's")
    await SqlResponses(database, ONE).open(alive)
    await SqlResponses(database, TWO).open(dead)
    await SqlResponses(database).open(nobodys)
    mine, lost = await claimed(runs, ONE), await claimed(runs, TWO)
    # It claimed that while it was buried.
    await database.write(lambda connection: connection.run(queries.LEAVE, worker_id=TWO))
    waits = queued("waits")
    await runs.put(waits, PLAN, worker_id=None)
    assert await runs.bury_unknown(88) == 2
    responses = SqlResponses(database)
    for response, status in ((alive, "in_progress"), (dead, "failed"), (nobodys, "failed"), (waits, "queued")):
        found = await responses.get(ACME, response.id)
        assert found is not None
        assert (found.status, found.completed_at) == (status, 88 if status == "failed" else None)
    await runs.record(mine, entry(0), {})
    assert {each.claim.response_id for each in await runs.claim(ONE, most=9)} == {lost.response_id, waits.id}
    before = await everything(database)
    assert await runs.bury_unknown(99) == 0
    assert await everything(database) == before


async def test_a_response_that_seemed_lost_has_its_end_when_that_comes(database: Database, runs: RunStore) -> None:
    responses = SqlResponses(database, ONE)
    response = begun("hello")
    await responses.open(response)
    assert await runs.bury(await pulse_of(ONE, runs), 5) == 1
    await responses.finish(ended := completed(response, "well"))
    assert await responses.get(ACME, response.id) == ended


async def test_a_response_kept_whole_belongs_to_nobody(database: Database) -> None:
    await SqlResponses(database, ONE).keep(completed(begun("hello"), "well"))
    await SqlResponses(database, ONE).open(begun("hello"))
    kept = await everything(database)
    assert [row[-1] for row in kept["responses"]] == [None, ONE]


async def test_a_thread_that_is_deleted_leaves_the_run_and_takes_those_that_are_over(
    database: Database, runs: RunStore, responses: ResponseStore, threads: ThreadStore
) -> None:
    going = await claimed(runs, response=(goes := queued("goes on", thread_id="t")))
    over = await claimed(runs, response=(done := queued("is over", thread_id="t")))
    await runs.record(over, entry(0), {})
    await runs.finish(over, completed(done, "done"), entry(1))
    assert await threads.delete(ACME, "t")
    assert await runs.log(done.id) == []
    assert await count(database, tables.runs) == 1
    await runs.record(going, entry(0), {})
    await runs.finish(going, completed(goes, "end"), entry(1))
    found = await responses.get(ACME, goes.id)
    assert found is not None
    assert (found.status, found.thread_id) == ("completed", None)
    assert await threads.get(ACME, "t") is None


async def test_an_organization_that_is_purged_takes_its_runs(database: Database, runs: RunStore) -> None:
    accounts = SqlAccounts(database)
    await accounts.add_organization(Organization(id=ACME, name="Acme", created_at=1))
    mine = await claimed(runs)
    await runs.record(mine, entry(0), {})
    theirs = await claimed(runs, response=queued("theirs", organization_id=OTHERS))
    await runs.record(theirs, entry(0), {})
    await accounts.change_organization(ACME, lambda before: (replace(before, deleted_at=5), ()))
    assert await accounts.purge_organization(ACME)
    with pytest.raises(errors.ClaimLost):
        await runs.record(mine, entry(1), {})
    await runs.record(theirs, entry(1), {})
    assert (await count(database, tables.runs), await count(database, tables.run_log)) == (1, 2)


async def test_logs_are_forgotten_a_while_after_the_end(
    database: Database, runs: RunStore, responses: ResponseStore
) -> None:
    ended = []
    for number in range(4):
        claim = await claimed(runs, response=(response := queued("hello")))
        await runs.record(claim, entry(0), {})
        await runs.finish(claim, done := replace(completed(response, "well"), completed_at=100 + number), entry(1))
        ended.append(done)
    going = await claimed(runs)
    await runs.record(going, entry(0), {})
    waits = queued("waits")
    await runs.put(waits, PLAN, worker_id=None)
    assert await runs.expire(100) == 0
    assert await runs.expire(102) == 2
    assert await runs.expire(102) == 0
    assert [len(await runs.log(each.id)) for each in ended] == [0, 0, 2, 2]
    for each in ended:
        assert await responses.get(ACME, each.id) == each
    assert await runs.expire(10**9) == 2
    assert (await count(database, tables.runs), await count(database, tables.run_log)) == (2, 1)


async def test_a_thousand_logs_are_forgotten_at_a_time(runs: RunStore) -> None:
    async def go_through(number: int) -> None:
        claim = await claimed(runs, response=(response := queued(str(number))))
        await runs.finish(claim, replace(response, status="cancelled", completed_at=number), entry(0))

    await asyncio.gather(*(go_through(number) for number in range(1_010)))
    assert [await runs.expire(10**9) for _ in range(3)] == [1_000, 10, 0]


async def test_many_runs_at_once_are_all_kept(runs: RunStore, responses: ResponseStore) -> None:
    async def go_through(number: int) -> None:
        response = queued("hello", thread_id=f"t{number % 5}")
        claim = await runs.put(response, PLAN, worker_id=ONE)
        assert claim is not None
        ended = completed(response, "a", str(number))
        await runs.record(claim, entry(0), {0: ended.output[0]})
        await runs.record(claim, entry(1), {1: ended.output[1]})
        await runs.finish(claim, ended, entry(2))
        assert await responses.get(ACME, response.id) == ended
        assert len(await runs.log(response.id)) == 3

    await asyncio.gather(*(go_through(number) for number in range(100)))


async def test_what_is_looked_for_often_has_an_index(database: Database) -> None:
    """Ended runs are many, and nobody reads them to find what is queued, or what a worker has."""
    asked = (
        queries.ANY_QUEUED,
        queries.NOT_HELD,
        queries.HOW_MANY_QUEUED,
        queries.HELD_BY,
        queries.HELD_BY_UNKNOWN,
        queries.EXPIRE,
    )
    if not isinstance(database, SqliteDatabase):
        return

    async def explain(connection: Connection) -> list[str]:
        told = []
        for statement in asked:
            plan = Statement(sa.text(f"EXPLAIN QUERY PLAN {statement.sqlite.sql.replace('?', '1')}"))
            told.append(" ".join(str(row[-1]) for row in await connection.all(plan)))
        return told

    told = await database.read(explain)
    assert all("ix_runs_" in each for each in told), told


async def put_all(runs: RunStore, *responses: Response) -> None:
    for response in responses:
        await runs.put(response, PLAN, worker_id=None)


async def ids_claimed(runs: RunStore, held: Held, *, most: int = 9) -> list[str]:
    found = [each.claim for each in await runs.claim(ONE, most=most, held=held)]
    for claim in found:
        await runs.release(claim)
    return [claim.response_id for claim in found]


async def test_what_is_held_is_not_claimed_and_what_is_behind_it_is(runs: RunStore) -> None:
    first, second, other = queued("1", key_id="key_1"), queued("2", key_id="key_2"), queued("3", key_id="key_1")
    of_user = queued("4", key_id=None, user_id="user_1")
    theirs = replace(queued("5", key_id="key_1"), organization_id=OTHERS)
    await put_all(runs, first, second, other, of_user, theirs)
    every = [first.id, second.id, other.id, of_user.id, theirs.id]
    assert await ids_claimed(runs, Held()) == every
    assert await ids_claimed(runs, Held(runs=(first.id, "resp_unknown"))) == every[1:]
    assert await ids_claimed(runs, Held(runs=(first.id,)), most=2) == every[1:3]
    assert await ids_claimed(runs, Held(organizations=(ACME,))) == [theirs.id]
    assert await ids_claimed(runs, Held(organizations=(ACME, OTHERS))) == []
    assert await ids_claimed(runs, Held(keys=((ACME, "key_1"),))) == [second.id, of_user.id, theirs.id]
    assert await ids_claimed(runs, Held(keys=((ACME, "key_2"), (OTHERS, "key_1")))) == [first.id, other.id, of_user.id]
    # A name that is a part of another, or looks like a pattern, is another name.
    assert await ids_claimed(runs, Held(organizations=(ACME[:-1], "org%", "%"), keys=((ACME, "key"),))) == every
    assert await ids_claimed(runs, Held(runs=every, organizations=(ACME,))) == []
    assert await runs.queued() == len(every)


async def test_what_has_begun_or_is_to_be_stopped_is_held_by_its_own_name_alone(runs: RunStore) -> None:
    begins, stops, waits = queued("begins"), queued("stops"), queued("waits")
    claim = await claimed(runs, response=begins)
    await runs.record(claim, entry(0), {})
    await runs.release(claim)
    await put_all(runs, stops, waits)
    assert await runs.stop(ACME, stops.id, "stop")
    for held in (Held(organizations=(ACME,)), Held(keys=((ACME, "key_1"),))):
        assert await ids_claimed(runs, held) == [begins.id, stops.id]
    assert await ids_claimed(runs, Held(runs=(begins.id, stops.id))) == [waits.id]
    # Who has no room asks for what is to be stopped, and for nothing else.
    assert await ids_claimed(runs, Held(organizations=(ACME,)), most=0) == [stops.id]


async def spoil(database: Database, table: sa.Table, kept_id: str, **values: object) -> None:
    """Has something else stand there than what was kept."""
    change = Statement(table.update().where(table.c.id == kept_id).values(values))
    await database.write(lambda connection: connection.run(change))


async def test_a_row_that_cannot_be_read_keeps_no_other_from_being_claimed(
    database: Database, runs: RunStore, responses: ResponseStore
) -> None:
    request, item, whole = queued("request"), queued("item"), queued("whole")
    await put_all(runs, request, item, whole)
    await spoil(database, tables.responses, request.id, request='{"model":')
    await spoil(database, tables.items, item.request.input[0].id, data='{"type":"nothing"}')
    first, second, third = await runs.claim(ONE, most=9)
    assert first == Unread(Claim(request.id, ACME, ONE, 1))
    assert second == Unread(Claim(item.id, ACME, ONE, 1))
    assert third == Claimed(Claim(whole.id, ACME, ONE, 1), whole, PLAN)
    await runs.release(first.claim, lost=True)
    (again,) = await runs.claim(TWO, most=9)
    assert again == Unread(Claim(request.id, ACME, TWO, 2), losses=1)
    await runs.finish(third.claim, ended := completed(whole, "well"), entry(0))
    assert await responses.get(ACME, whole.id) == ended


@pytest.mark.parametrize("outcome", [None, "{"])
async def test_a_run_that_nobody_can_read_is_abandoned(database: Database, runs: RunStore, outcome: str | None) -> None:
    failure = errors.Internal("It cannot be read", code="response_unreadable").as_failure()
    old = await claimed(runs, response=(response := queued("hello")))
    await runs.record(old, entry(0), {0: message("said")})
    await runs.release(old)
    (new,) = await runs.claim(TWO, most=1)
    if outcome is not None:
        await spoil(database, tables.responses, response.id, outcome=outcome)
    with pytest.raises(errors.ClaimLost):
        await runs.abandon(old, failure, 7)
    await runs.abandon(new.claim, failure, 8)
    before = await everything(database)
    await runs.abandon(new.claim, failure, 9)
    assert await everything(database) == before
    found = await SqlResponses(database).get(ACME, response.id)
    assert found is not None
    assert (found.status, found.completed_at, found.failure) == ("failed", 8, failure)
    assert [item.text for item in found.output if isinstance(item, items.Message)] == ["said"]
    assert await runs.log(response.id) == []
    assert await runs.claim(ONE, most=9) == []
    with pytest.raises(errors.ClaimLost):
        await runs.record(new.claim, entry(1), {})


class AwayOnce:
    """A database that is away at one of the reads."""

    def __init__(self, database: Database, *, at: int) -> None:
        self._database = database
        self._left = at

    async def read(self, work: Work[Got]) -> Got:
        self._left -= 1
        if not self._left:
            raise errors.StorageUnavailable("The database is away")
        return await self._database.read(work)

    async def write(self, work: Work[Got]) -> Got:
        return await self._database.write(work)


@pytest.mark.parametrize("at", [2, 3, 4])
async def test_what_was_claimed_and_could_not_be_read_is_left_to_others_unharmed(database: Database, at: int) -> None:
    await knowing(SqlRuns(database), ONE, TWO)
    for number in (1, 2, 3):
        await SqlRuns(database).put(queued("hello", id=f"resp_{number}"), PLAN, worker_id=None)
    faulty = SqlRuns(AwayOnce(database, at=at))
    mine = await faulty.claim(ONE, most=3)
    theirs = await SqlRuns(database).claim(TWO, most=3)
    assert len(mine) == 2
    assert [(type(one), one.losses) for one in theirs] == [(Claimed, 0)]
    assert {one.claim.response_id for one in (*mine, *theirs)} == {"resp_1", "resp_2", "resp_3"}
