"""The contract of `RecordStore`."""

import asyncio

import pytest
import sqlalchemy as sa
from contract_examples import ACME, OTHERS
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.ports.records import Kind, Record, RecordStore
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.records import SqlRecords
from freddy.server.stores.sql.statements import Statement

MANY = 1_000


@pytest.fixture
def store(database: Database) -> RecordStore:
    return SqlRecords(database)


def record(
    record_id: str = "asst_1",
    organization_id: str = ACME,
    *,
    kind: Kind = "assistant",
    name: str = "Support",
    data: bytes = b'{"instructions":"Be kind."}',
    at: int = 1_000,
) -> Record:
    return Record(
        id=record_id,
        organization_id=organization_id,
        kind=kind,
        name=name,
        data=data,
        created_at=at,
        updated_at=at,
        created_by="usr_1",
    )


def renamed(before: Record) -> Record:
    return replace(before, name=f"{before.name}!", updated_at=before.updated_at + 1, created_by="usr_2")


async def test_a_record_comes_back_as_it_was_kept(store: RecordStore) -> None:
    kept = record(name="Höflich ☂", data='{"a":"\\u0000 ü ☂"}'.encode())
    await store.add(kept, most=MANY)
    assert await store.get(ACME, "asst_1") == kept
    assert await store.get(ACME, "asst_1", version=1) == kept
    assert await store.versions(ACME, "asst_1") == [kept]


async def test_one_without_an_author_has_none(store: RecordStore) -> None:
    kept = replace(record(), created_by=None)
    await store.add(kept, most=MANY)
    assert await store.get(ACME, "asst_1") == kept


async def test_records_of_other_organizations_are_not_there(store: RecordStore) -> None:
    await store.add(record(organization_id=OTHERS), most=MANY)
    assert await store.get(ACME, "asst_1") is None
    assert await store.get(ACME, "asst_1", version=1) is None
    assert await store.find(ACME, ["asst_1"]) == {}
    assert await store.all(ACME, "assistant") == []
    assert await store.change(ACME, "asst_1", renamed) is None
    assert await store.versions(ACME, "asst_1") == []
    assert not await store.delete(ACME, "asst_1")
    assert await store.get(OTHERS, "asst_1") == record(organization_id=OTHERS)


async def test_an_id_is_given_once(store: RecordStore) -> None:
    await store.add(record(), most=MANY)
    with pytest.raises(errors.Conflict, match="already"):
        await store.add(record(name="Another"), most=MANY)
    with pytest.raises(errors.Conflict, match="already"):
        await store.add(record(organization_id=OTHERS), most=MANY)
    assert await store.versions(ACME, "asst_1") == [record()]


async def test_an_organization_has_so_many_of_a_kind_and_no_more(store: RecordStore) -> None:
    await store.add(record("asst_1"), most=2)
    await store.add(record("asst_2"), most=2)
    with pytest.raises(errors.Conflict, match="2 assistants"):
        await store.add(record("asst_3"), most=2)
    assert await store.get(ACME, "asst_3") is None
    await store.add(record("rule_1", kind="rule"), most=2)
    await store.add(record("asst_4", OTHERS), most=2)
    await store.delete(ACME, "asst_1")
    await store.add(record("asst_3"), most=2)


async def test_of_many_that_are_added_at_once_only_so_many_get_in(store: RecordStore) -> None:
    outcomes = await asyncio.gather(
        *(store.add(record(f"asst_{number}"), most=5) for number in range(20)), return_exceptions=True
    )
    assert outcomes.count(None) == 5
    assert sum(isinstance(outcome, errors.Conflict) for outcome in outcomes) == 15
    assert len(await store.all(ACME, "assistant")) == 5


async def test_the_newest_is_listed_first_and_the_id_settles_ties(store: RecordStore) -> None:
    kept = [record("asst_b", at=5), record("asst_a", at=7), record("asst_c", at=5), record("rule_1", kind="rule")]
    for one in kept:
        await store.add(one, most=MANY)
    assert [one.id for one in await store.all(ACME, "assistant")] == ["asst_a", "asst_c", "asst_b"]
    assert await store.all(ACME, "rule") == [kept[3]]
    assert await store.all(ACME, "prompt") == []


@pytest.mark.parametrize("number", [0, 1, 15, 16, 17, 40])
async def test_many_are_found_together_whatever_their_number(store: RecordStore, number: int) -> None:
    kept = {f"rule_{each}": record(f"rule_{each}", kind="rule") for each in range(number)}
    for one in kept.values():
        await store.add(one, most=MANY)
    asked = [*kept, "rule_unknown", *list(kept)[:1], ""]
    assert await store.find(ACME, asked) == kept


async def test_a_change_makes_the_next_version_and_keeps_the_one_before(store: RecordStore) -> None:
    first = record()
    await store.add(first, most=MANY)
    second = replace(first, version=2, name="Support!", updated_at=1_001)
    assert await store.change(ACME, "asst_1", renamed) == second
    assert await store.get(ACME, "asst_1") == second
    assert await store.get(ACME, "asst_1", version=1) == first
    by_another = replace(second, created_by="usr_2")
    assert await store.get(ACME, "asst_1", version=2) == by_another
    assert await store.versions(ACME, "asst_1") == [by_another, first]
    for version in (0, 3, -1):
        assert await store.get(ACME, "asst_1", version=version) is None
    assert await store.find(ACME, ["asst_1"]) == {"asst_1": second}


async def test_a_change_touches_neither_the_id_nor_the_owner_nor_the_birth(store: RecordStore) -> None:
    await store.add(record(), most=MANY)
    changed = await store.change(
        ACME,
        "asst_1",
        lambda before: replace(before, id="x", organization_id=OTHERS, kind="rule", created_at=0, version=9, name="N"),
    )
    assert changed == replace(record(), version=2, name="N")
    assert await store.get(ACME, "asst_1") == changed


async def test_a_change_that_changes_nothing_makes_no_version(store: RecordStore) -> None:
    await store.add(record(), most=MANY)
    assert await store.change(ACME, "asst_1", lambda before: before) == record()
    assert await store.versions(ACME, "asst_1") == [record()]


async def test_what_a_change_raises_is_raised_and_nothing_is_changed(store: RecordStore) -> None:
    await store.add(record(), most=MANY)

    def refuse(before: Record) -> Record:
        raise errors.Conflict(f"It is at version {before.version}.")

    with pytest.raises(errors.Conflict, match="version 1"):
        await store.change(ACME, "asst_1", refuse)
    assert await store.versions(ACME, "asst_1") == [record()]


async def test_changes_at_once_lose_none(store: RecordStore) -> None:
    await store.add(record(name="N"), most=MANY)
    await asyncio.gather(*(store.change(ACME, "asst_1", renamed) for _ in range(20)))
    changed = await store.get(ACME, "asst_1")
    assert changed is not None
    assert (changed.version, changed.name) == (21, "N" + "!" * 20)
    assert [one.version for one in await store.versions(ACME, "asst_1")] == list(range(21, 0, -1))


async def test_a_deleted_record_is_gone_with_its_versions(store: RecordStore) -> None:
    await store.add(record(), most=MANY)
    await store.change(ACME, "asst_1", renamed)
    assert await store.delete(ACME, "asst_1")
    assert not await store.delete(ACME, "asst_1")
    assert await store.get(ACME, "asst_1") is None
    assert await store.versions(ACME, "asst_1") == []
    await store.add(record(name="Anew"), most=MANY)
    assert await store.versions(ACME, "asst_1") == [record(name="Anew")]


async def test_what_is_attached_goes_with_either_end(store: RecordStore, database: Database) -> None:
    for one in (record("asst_1"), record("asst_2"), record("rule_1", kind="rule"), record("rule_2", kind="rule")):
        await store.add(one, most=MANY)
    pairs = [("rule_1", "asst_1"), ("rule_1", "asst_2"), ("rule_2", "asst_2")]

    async def attach(connection: Connection) -> None:
        for rule_id, assistant_id in pairs:
            await connection.run(
                Statement(tables.attachments.insert().values(statements.params(tables.attachments))),
                id=f"{rule_id}-{assistant_id}",
                organization_id=ACME,
                rule_id=rule_id,
                entity_type="assistant",
                entity_id=assistant_id,
                priority=50,
                character_limit=None,
                active=True,
                created_at=1,
                updated_at=1,
                created_by=None,
            )

    async def attached(connection: Connection) -> list[tuple[str, str]]:
        columns = (tables.attachments.c.rule_id, tables.attachments.c.entity_id)
        return [tuple(row) for row in await connection.all(Statement(sa.select(*columns).order_by(*columns)))]

    await database.write(attach)
    await store.delete(ACME, "asst_1")
    assert await database.read(attached) == [("rule_1", "asst_2"), ("rule_2", "asst_2")]
    await store.delete(OTHERS, "asst_2")
    await store.delete(ACME, "rule_1")
    assert await database.read(attached) == [("rule_2", "asst_2")]
