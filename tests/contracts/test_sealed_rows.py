"""The contract of `SealedRows`, of the rows in which something is sealed beside what they are for."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from contract_examples import ACME, OTHERS, begun, completed
from msgspec.structs import replace

from freddy.server.core import plan
from freddy.server.core.accounts import Caller
from freddy.server.core.plan import Plan
from freddy.server.ports.repeats import Kept
from freddy.server.ports.runs import Entry
from freddy.server.ports.sealer import SealedRows, Sealer
from freddy.server.resources.resealing import Resealed, reseal
from freddy.server.runtime.repeats import answer_bound_to
from freddy.server.runtime.resealing import of_answers, of_plans
from freddy.server.sealing import AesSealer
from freddy.server.stores.sql import sealed
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.repeats import SqlRepeats
from freddy.server.stores.sql.runs import SqlRuns

OLD, NEW = "o" * 32, "n" * 32
DATA = b"\x00 sealed \xff"
Add: TypeAlias = Callable[[str, str, bytes], Awaitable[None]]


@pytest.fixture(params=["plans", "answers"])
def rows(request: pytest.FixtureRequest, database: Database) -> tuple[SealedRows, Add]:
    """Rows, and how one is added to them."""
    if request.param == "plans":

        async def put(organization_id: str, id_: str, data: bytes) -> None:
            response = begun("hello", id=id_, organization_id=organization_id, status="queued")
            await SqlRuns(database).put(response, data, worker_id=None)

        return sealed.plans(database), put

    async def answered(organization_id: str, id_: str, data: bytes) -> None:
        await SqlRepeats(database).begin(organization_id, id_, b"", now=1, expires_at=9)
        await SqlRepeats(database).end(organization_id, id_, Kept(b"print", None, 201, data), expires_at=9)

    return sealed.answers(database), answered


async def test_all_rows_of_all_organizations_are_found_and_changed_one_by_one(rows: tuple[SealedRows, Add]) -> None:
    kept, add = rows
    assert await kept.names() == []
    for organization_id, id_ in ((ACME, "resp_1"), (ACME, "resp_2"), (OTHERS, "resp_3")):
        await add(organization_id, id_, DATA)
    assert await kept.names() == [(ACME, "resp_1"), (ACME, "resp_2"), (OTHERS, "resp_3")]
    await kept.change((ACME, "resp_2"), lambda data: data + b" anew")
    assert [await kept.get(name) for name in await kept.names()] == [DATA, DATA + b" anew", DATA]


async def test_what_is_not_there_is_not_changed(rows: tuple[SealedRows, Add]) -> None:
    kept, add = rows
    await add(ACME, "resp_1", DATA)
    for name in ((ACME, "resp_2"), (OTHERS, "resp_1")):
        assert await kept.get(name) is None
        await kept.change(name, lambda _: b"anew")
    assert await kept.get((ACME, "resp_1")) == DATA


async def test_what_holds_nothing_is_not_among_them(database: Database) -> None:
    runs, repeats = SqlRuns(database), SqlRepeats(database)
    response = begun("hello", status="queued")
    await runs.beat("wrk_1")
    claim = await runs.put(response, DATA, worker_id="wrk_1")
    assert claim is not None
    assert await sealed.plans(database).names() == [(ACME, response.id)]
    await runs.finish(claim, completed(response, "well"), Entry(0, first=0, told=1, events=b"[]"))
    await repeats.begin(ACME, "a", b"print", now=1, expires_at=9)
    await repeats.begin(ACME, "b", b"print", now=1, expires_at=9)
    await repeats.end(ACME, "b", Kept(b"print", "resp_1"), expires_at=9)
    assert await sealed.plans(database).names() == []
    assert await sealed.answers(database).names() == []


async def test_plans_are_sealed_anew_and_the_rest_of_them_stays(database: Database, tmp_path: Path) -> None:
    runs, rows = SqlRuns(database), sealed.plans(database)
    old, both, new = sealers(tmp_path)
    made = Plan(caller=Caller(ACME, (ACME,), frozenset(("responses:write",)), "key_1"), model="tiny", cache_key="k")
    secret = await old.seal("told in confidence", plan.bound_to(ACME, "resp_1"))
    foreign = await AesSealer(("x" * 32,), file=tmp_path / "none").seal("lost", plan.bound_to(ACME, "resp_2"))
    for id_, tools in (("resp_1", secret), ("resp_2", foreign), ("resp_3", None)):
        written = plan.write(replace(made, tools=tools))
        await runs.put(begun("hello", id=id_, status="queued"), written, worker_id=None)
    assert await reseal(rows, of_plans(), both) == Resealed(1, [(ACME, "resp_2")])
    first, second, third = [plan.read(await rows.get((ACME, f"resp_{number}")) or b"") for number in (1, 2, 3)]
    assert replace(first, tools=None) == third == made
    assert first.tools is not None
    assert await new.open(first.tools, plan.bound_to(ACME, "resp_1")) == "told in confidence"
    assert second.tools == foreign


async def test_what_cannot_be_read_is_named_and_the_rest_is_sealed_anew(database: Database, tmp_path: Path) -> None:
    runs, rows = SqlRuns(database), sealed.plans(database)
    old, both, new = sealers(tmp_path)
    made = Plan(caller=Caller(ACME, (ACME,), frozenset(("responses:write",)), "key_1"), model="tiny")
    secret = await old.seal("told in confidence", plan.bound_to(ACME, "resp_2"))
    for id_, written in (("resp_1", b"of another version"), ("resp_2", plan.write(replace(made, tools=secret)))):
        await runs.put(begun("hello", id=id_, status="queued"), written, worker_id=None)
    assert await reseal(rows, of_plans(), both) == Resealed(1, [(ACME, "resp_1")])
    kept = plan.read(await rows.get((ACME, "resp_2")) or b"").tools
    assert kept is not None
    assert await new.open(kept, plan.bound_to(ACME, "resp_2")) == "told in confidence"


async def test_answers_are_sealed_anew(database: Database, tmp_path: Path) -> None:
    repeats, rows = SqlRepeats(database), sealed.answers(database)
    old, both, new = sealers(tmp_path)
    place = answer_bound_to(ACME, "a")
    await repeats.begin(ACME, "a", b"print", now=1, expires_at=9)
    await repeats.end(ACME, "a", Kept(b"print", None, 201, await old.seal("the answer", place)), expires_at=9)
    assert await reseal(rows, of_answers(), both) == Resealed(1, [])
    # A second time, with the new key alone, nothing is lost either.
    assert await reseal(rows, of_answers(), new) == Resealed(1, [])
    kept = await repeats.begin(ACME, "a", b"print", now=2, expires_at=9)
    assert kept is not None
    assert (kept.fingerprint, kept.status) == (b"print", 201)
    assert await new.open(kept.answer or b"", place) == "the answer"


def sealers(folder: Path) -> tuple[Sealer, Sealer, Sealer]:
    """With the old key, with both, and with the new one."""
    given = ((OLD,), (NEW, OLD), (NEW,))
    old, both, new = [AesSealer(keys, file=folder / "none") for keys in given]
    return old, both, new
