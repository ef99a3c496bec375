"""The platform's published client on rules: every operation that is served, and its typed answer, field by field."""

import asyncio
import datetime as dt

import pytest
from aitronos.core.api_error import ApiError
from aitronos.types import AttachmentCreateInline
from aitronos_client import platform

ORGANIZATION = "org_local"


@pytest.fixture
async def stage(tmp_path):
    async with platform(tmp_path) as stage:
        yield stage


async def created(stage, **changes):
    fields = {
        "name": "Formal tone",
        "content": "Write in a formal tone. " * 20,
        "description": "How answers sound.",
        "category": "professional",
        "rule_type": "behavior",
        "scope": "model",
        "apply_mode": "always",
        "is_public": True,
        "is_active": True,
        "attachments": [
            AttachmentCreateInline(entity_type="model", entity_id="ftg-3.0", priority=80, character_limit=500)
        ],
    }
    return await stage.client.rules.create_rule(ORGANIZATION, **fields | changes)


def same_facts(rule, other):
    """Whether two answers tell the same of a rule, as far as both tell it."""
    mine, others = rule.dict(), other.dict()
    return {name: mine[name] for name in mine.keys() & others.keys()} == {
        name: others[name] for name in mine.keys() & others.keys()
    }


async def test_a_rule_is_made_with_its_attachments(stage):
    rule = await created(stage)
    assert rule.id.startswith("rule_")
    assert (rule.name, rule.description, rule.content) == (
        "Formal tone",
        "How answers sound.",
        "Write in a formal tone. " * 20,
    )
    assert (rule.content_length, rule.version, rule.usage_count) == (480, 1, 1)
    assert (rule.category, rule.rule_type, rule.scope, rule.apply_mode) == (
        "professional",
        "behavior",
        "model",
        "always",
    )
    assert (rule.is_public, rule.is_active, rule.can_edit) == (True, True, True)
    assert rule.organization_id == ORGANIZATION
    assert rule.created_by.startswith("key_")
    assert isinstance(rule.created_at, dt.datetime)
    assert rule.created_at == rule.updated_at
    [attached] = rule.attached_entities
    assert attached.id.startswith("ratt_")
    assert (attached.entity_type, attached.entity_id, attached.priority, attached.character_limit) == (
        "model",
        "ftg-3.0",
        80,
        500,
    )
    assert attached.is_active is True


async def test_a_rule_is_got_by_organization_and_by_id_alone(stage):
    rule = await created(stage)
    assert await stage.client.rules.get_rule(ORGANIZATION, rule.id) == rule
    assert await stage.client.rules.get_rule_global(rule.id) == rule
    without = await stage.client.rules.get_rule(ORGANIZATION, rule.id, include_attachments=False)
    assert without.attached_entities is None
    assert (await stage.client.rules.get_rule_global(rule.id, include_attachments=True)) == rule


async def test_rules_are_listed_with_filters(stage):
    rule = await created(stage)
    other = await created(stage, name="Fact check", category="safety", attachments=None, is_public=False)
    page = await stage.client.rules.list_rules(ORGANIZATION)
    assert (page.total, page.skip, page.limit, page.filters) == (2, 0, 20, {})
    assert [one.id for one in page.rules] == [other.id, rule.id]
    listed = page.rules[1]
    assert listed.content_preview == rule.content[:200]
    assert listed.attached_entities is None
    assert same_facts(listed, await stage.client.rules.get_rule(ORGANIZATION, rule.id, include_attachments=False))
    found = await stage.client.rules.list_rules(
        ORGANIZATION,
        skip=0,
        limit=5,
        search="formal",
        category="professional",
        rule_type="behavior",
        scope="model",
        is_active=True,
        is_public=True,
        entity_type="model",
        entity_id="ftg-3.0",
        attached_only=True,
        include_attachments=True,
    )
    assert ([one.id for one in found.rules], found.total, found.limit) == ([rule.id], 1, 5)
    assert found.filters["search"] == "formal"
    assert found.filters["attached_only"] is True
    assert found.rules[0].attached_entities == rule.attached_entities
    assert (await stage.client.rules.list_rules(ORGANIZATION, skip=1, limit=1)).rules[0].id == rule.id


async def test_a_rule_is_changed_copied_and_deleted(stage):
    rule = await created(stage)
    operations = stage.client.rule_operations
    changed = await operations.update_rule(
        ORGANIZATION,
        rule.id,
        name="Brevity",
        content="Be brief.",
        description=None,
        category="custom",
        rule_type="constraint",
        scope="organization",
        apply_mode="manual",
        is_public=False,
        is_active=False,
    )
    assert (changed.name, changed.content, changed.description, changed.version) == ("Brevity", "Be brief.", None, 2)
    assert (changed.category, changed.rule_type, changed.scope, changed.apply_mode) == (
        "custom",
        "constraint",
        "organization",
        "manual",
    )
    assert (changed.is_public, changed.is_active) == (False, False)
    one_field = await operations.update_rule(ORGANIZATION, rule.id, is_active=True)
    assert (one_field.name, one_field.is_active, one_field.version) == ("Brevity", True, 3)
    copied = await operations.duplicate_rule(ORGANIZATION, rule.id)
    assert (copied.name, copied.content, copied.usage_count, copied.version) == ("Brevity (copy)", "Be brief.", 0, 1)
    with pytest.raises(ApiError) as raised:
        await operations.delete_rule(ORGANIZATION, rule.id)
    assert raised.value.status_code == 409
    assert await operations.delete_rule(ORGANIZATION, rule.id, force=True) is None
    assert await operations.delete_rule(ORGANIZATION, copied.id) is None
    assert (await stage.client.rules.list_rules(ORGANIZATION)).total == 0


async def test_public_rules_are_listed(stage):
    rule = await created(stage)
    await created(stage, is_public=False)
    page = await stage.client.rule_operations.list_public_rules(
        skip=0, limit=10, category="professional", rule_type="behavior", scope="model"
    )
    assert ([one.id for one in page.rules], page.total, page.skip, page.limit) == ([rule.id], 1, 0, 10)
    assert page.rules[0].is_public is True


async def test_an_attachment_is_made_got_changed_and_taken_away(stage):
    rule = await created(stage, attachments=None)
    client = stage.client.rule_attachments
    made = await client.attach_entity(rule.id, entity_type="user", entity_id="usr_1", priority=70, character_limit=200)
    assert made.id.startswith("ratt_")
    assert (made.rule_id, made.entity_type, made.entity_id) == (rule.id, "user", "usr_1")
    assert (made.priority, made.character_limit, made.is_active) == (70, 200, True)
    assert made.attached_by == rule.created_by
    assert dt.datetime.fromtimestamp(made.attached_at, dt.UTC) == made.created_at == made.updated_at
    summary = made.rule_summary
    assert (summary.id, summary.name, summary.description) == (rule.id, rule.name, rule.description)
    assert (summary.category, summary.rule_type, summary.is_active) == ("professional", "behavior", True)
    assert await client.get_attachment(rule.id, "user", "usr_1") == made
    changed = await client.update_attachment(
        rule.id, "user", "usr_1", include_rule_details=True, priority=90, character_limit=300, is_active=False
    )
    assert (changed.priority, changed.character_limit, changed.is_active) == (90, 300, False)
    assert changed.rule_summary == summary
    await client.attach_entity(rule.id, entity_type="model", entity_id="gpt-5")
    listed = await client.list_rule_attachments(rule.id)
    assert (listed.total, listed.attachments[0]) == (2, changed)
    assert (await client.list_rule_attachments(rule.id, entity_type="model", is_active=True)).total == 1
    gone = await client.detach_entity(rule.id, "user", "usr_1")
    assert (gone.rule_id, gone.entity_type, gone.entity_id) == (rule.id, "user", "usr_1")
    assert isinstance(gone.detached_at, dt.datetime)
    assert gone.message
    with pytest.raises(ApiError) as raised:
        await client.get_attachment(rule.id, "user", "usr_1")
    assert raised.value.status_code == 404


async def test_the_rules_of_an_entity_are_listed(stage):
    rule = await created(stage)
    listed = await stage.client.entity_rules.list_entity_rules("model", "ftg-3.0", include_rule_details=True)
    assert (listed.total, listed.attachments[0].rule_id) == (1, rule.id)
    assert listed.attachments[0].rule_summary.name == "Formal tone"
    plain = await stage.client.entity_rules.list_entity_rules("model", "ftg-3.0", include_rule_details=False)
    assert plain.attachments[0].rule_summary is None


async def test_rules_are_counted(stage):
    rule = await created(stage)
    categories = await stage.client.rule_statistics.get_category_statistics(ORGANIZATION)
    assert (categories.total, [(one.category, one.count) for one in categories.statistics]) == (
        1,
        [("professional", 1)],
    )
    usage = await stage.client.rule_statistics.get_usage_statistics(ORGANIZATION, rule.id)
    assert (usage.rule_id, usage.total_attachments) == (rule.id, 1)
    [by_type] = usage.by_entity_type
    assert (by_type.entity_type, by_type.count, by_type.entity_ids) == ("model", 1, ["ftg-3.0"])


async def test_the_client_tells_our_errors(stage):
    with pytest.raises(ApiError) as raised:
        await stage.client.rules.get_rule(ORGANIZATION, "rule_nowhere")
    assert (raised.value.status_code, raised.value.body["error"]["param"]) == (404, "rule_id")
    with pytest.raises(ApiError) as raised:
        await stage.client.rules.create_rule(ORGANIZATION, name="x", content="x" * 50_001)
    assert (raised.value.status_code, raised.value.body["error"]["param"]) == (422, "content")
    with pytest.raises(ApiError) as raised:
        await stage.client.rules.list_rules("org_b")
    assert raised.value.status_code == 403


async def test_the_synchronous_client_does_the_same(stage):
    def ask():
        with stage.sync() as client:
            rule = client.rules.create_rule(ORGANIZATION, name="Brevity", content="Be brief.")
            return rule, client.rules.get_rule(ORGANIZATION, rule.id), client.rules.list_rules(ORGANIZATION)

    rule, again, page = await asyncio.to_thread(ask)
    assert again == rule
    assert [one.id for one in page.rules] == [rule.id]
