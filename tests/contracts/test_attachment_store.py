"""The contract of `AttachmentStore`."""

import asyncio
from typing import Any

import pytest
from contract_examples import ACME, OTHERS
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.rules import Attachment
from freddy.server.ports.attachments import AttachmentStore
from freddy.server.ports.records import Record, RecordStore
from freddy.server.stores.sql.attachments import SqlAttachments
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.records import SqlRecords

MANY = 1_000


@pytest.fixture
def store(database: Database) -> AttachmentStore:
    return SqlAttachments(database)


@pytest.fixture
def records(database: Database) -> RecordStore:
    return SqlRecords(database)


def rule(rule_id: str = "rule_1", organization_id: str = ACME, *, data: bytes = b'{"content":"Be kind."}') -> Record:
    return Record(
        id=rule_id,
        organization_id=organization_id,
        kind="rule",
        name="Kindness",
        data=data,
        created_at=1_000,
        updated_at=1_000,
    )


def attachment(rule_id: str = "rule_1", entity_id: str = "asst_1", **changes: Any) -> Attachment:
    made = Attachment(
        id=f"ratt_{rule_id}_{entity_id}",
        organization_id=ACME,
        rule_id=rule_id,
        entity_type="assistant",
        entity_id=entity_id,
        created_at=1_000,
        updated_at=1_000,
    )
    return replace(made, **changes)


async def test_a_rule_is_kept_together_with_its_attachments(store: AttachmentStore, records: RecordStore) -> None:
    lower = attachment(entity_id="asst_2", priority=20, character_limit=300, active=False, created_by="usr_1")
    higher = attachment(priority=90)
    await store.add_rule(rule(), [lower, higher], most=MANY)
    assert await records.get(ACME, "rule_1") == rule()
    assert await store.of_rule(ACME, "rule_1") == [higher, lower]
    assert await store.all(ACME) == [higher, lower]


async def test_a_rule_that_cannot_be_kept_leaves_no_attachment_either(
    store: AttachmentStore, records: RecordStore
) -> None:
    await store.add_rule(rule(), [attachment()], most=1)
    with pytest.raises(errors.Conflict):
        await store.add_rule(rule("rule_2"), [attachment("rule_2")], most=1)
    assert await records.get(ACME, "rule_2") is None
    assert await store.all(ACME) == [attachment()]


async def test_lists_are_by_priority_and_then_by_age(store: AttachmentStore) -> None:
    await store.add_rule(rule(), [], most=MANY)
    await store.add_rule(rule("rule_2"), [], most=MANY)
    young = attachment(created_at=2_000, updated_at=2_000)
    old = attachment("rule_2")
    first = attachment(entity_id="asst_9", priority=51, created_at=3_000)
    for one in (young, old, first):
        await store.add(one, most=MANY)
    assert await store.all(ACME) == [first, old, young]
    assert await store.of_entity(ACME, "assistant", "asst_1") == [old, young]
    assert await store.of_rule(ACME, "rule_1") == [first, young]
    assert await store.of_entity(ACME, "user", "asst_1") == []


async def test_a_rule_is_attached_to_an_entity_once(store: AttachmentStore) -> None:
    await store.add_rule(rule(), [attachment()], most=MANY)
    with pytest.raises(errors.Conflict) as raised:
        await store.add(attachment(id="ratt_other"), most=MANY)
    assert "assistant 'asst_1'" in raised.value.message
    await store.add(attachment(id="ratt_other", entity_type="user"), most=MANY)


async def test_a_rule_has_so_many_attachments_and_no_more(store: AttachmentStore) -> None:
    await store.add_rule(rule(), [attachment()], most=MANY)
    with pytest.raises(errors.Conflict):
        await store.add(attachment(entity_id="asst_2"), most=1)
    assert await store.all(ACME) == [attachment()]


async def test_only_a_rule_of_the_organization_can_be_attached(store: AttachmentStore, records: RecordStore) -> None:
    await store.add_rule(rule("rule_theirs", OTHERS), [], most=MANY)
    await records.add(replace(rule("asst_7"), kind="assistant"), most=MANY)
    for rule_id in ("rule_theirs", "rule_nowhere", "asst_7"):
        with pytest.raises(errors.NotFound):
            await store.add(attachment(rule_id), most=MANY)
    assert await store.all(ACME) == await store.all(OTHERS) == []


async def test_an_attachment_is_changed(store: AttachmentStore) -> None:
    await store.add_rule(rule(), [attachment(), attachment(entity_id="asst_2")], most=MANY)
    place: Any = {"entity_type": "assistant", "entity_id": "asst_1"}

    def alter(one: Attachment) -> Attachment:
        return replace(one, priority=100, character_limit=500, active=False, updated_at=2_000)

    changed = await store.change(ACME, "rule_1", **place, alter=alter)
    assert changed == alter(attachment())
    assert await store.get(ACME, "rule_1", **place) == changed
    assert await store.get(ACME, "rule_1", entity_type="assistant", entity_id="asst_2") == attachment(
        entity_id="asst_2"
    )
    assert await store.change(OTHERS, "rule_1", **place, alter=alter) is None
    assert await store.change(ACME, "rule_2", **place, alter=alter) is None


async def test_changes_at_the_same_time_are_all_kept(store: AttachmentStore) -> None:
    await store.add_rule(rule(), [attachment(priority=1)], most=MANY)

    def alter(one: Attachment) -> Attachment:
        return replace(one, priority=one.priority + 1)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(store.change(ACME, "rule_1", entity_type="assistant", entity_id="asst_1", alter=alter))
    [kept] = await store.all(ACME)
    assert kept.priority == 21


async def test_an_attachment_is_deleted_once(store: AttachmentStore) -> None:
    await store.add_rule(rule(), [attachment()], most=MANY)
    place: Any = {"entity_type": "assistant", "entity_id": "asst_1"}
    assert await store.delete(OTHERS, "rule_1", **place) is None
    assert await store.delete(ACME, "rule_1", **place) == attachment()
    assert await store.delete(ACME, "rule_1", **place) is None
    assert await store.all(ACME) == []


async def test_attachments_go_with_their_rule(store: AttachmentStore, records: RecordStore) -> None:
    await store.add_rule(rule(), [attachment()], most=MANY)
    await store.add_rule(rule("rule_2"), [attachment("rule_2")], most=MANY)
    assert await records.delete(ACME, "rule_1")
    assert await store.all(ACME) == [attachment("rule_2")]


async def test_public_rules_of_all_organizations_are_found(store: AttachmentStore) -> None:
    shared = b'{"content":"Be kind.","is_public":true}'
    tricky = b'{"content":"Write \\"is_public\\":true, always.","metadata":{"is_public":"true"}}'
    ours, theirs = rule(data=shared), replace(rule("rule_2", OTHERS, data=shared), created_at=2_000)
    for one in (ours, theirs, rule("rule_3"), rule("rule_4", data=tricky)):
        await store.add_rule(one, [], most=MANY)
    assert await store.public() == [theirs, ours]
    assert await store.public_rule("rule_2") == theirs
    assert await store.public_rule("rule_3") is None
