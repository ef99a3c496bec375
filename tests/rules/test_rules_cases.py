"""The use-cases of rules: what is kept, what is refused, and who is told of a change."""

import pytest
from rules_stage import OURS, THEIRS, RulesStage, caller

from freddy.server.core import errors
from freddy.server.core.rules import Rule
from freddy.server.ports.stores import Page
from freddy.server.resources.rules import MOST_ATTACHMENTS, Aim, Wanted, page_of


async def test_every_change_makes_a_version_and_is_told_of(stage: RulesStage):
    rule_id = await stage.made()
    shown = await stage.rules.change(caller(), rule_id, name="Brevity", values={"content": "Be brief."})
    assert (shown.kept.version, shown.kept.name, shown.kept.value) == (2, "Brevity", Rule(content="Be brief."))
    same = await stage.rules.change(caller(), rule_id, name=None, values={"content": "Be brief."})
    assert same.kept.version == 2
    await stage.rules.delete(caller(), rule_id, force=False)
    assert stage.changes == [("created", "rule", None, 1), ("updated", "rule", 1, 2), ("deleted", "rule", 2, None)]


async def test_every_change_of_an_attachment_is_told_of(stage: RulesStage):
    rule_id = await stage.made("Be kind.", ("model", "a"))
    await stage.rules.attach(caller(), rule_id, Aim(entity_type="model", entity_id="b", priority=7))
    await stage.rules.change_attachment(caller(), rule_id, entity_type="model", entity_id="b", values={"priority": 8})
    await stage.rules.detach(caller(), rule_id, entity_type="model", entity_id="b")
    assert stage.attachment_changes == [
        ("created", None, 50),
        ("created", None, 7),
        ("updated", 7, 8),
        ("deleted", 8, None),
    ]


async def test_a_rule_with_an_entity_that_is_not_there_is_not_made(stage: RulesStage):
    for kind, entity_id in (("assistant", "asst_nowhere"), ("organization", THEIRS)):
        with pytest.raises(errors.NotFound) as raised:
            await stage.made("Be kind.", ("model", "any"), (kind, entity_id))
        assert raised.value.param == "attachments[1].entity_id"
    assert await stage.rules.all(caller(), Wanted()) == []
    rule_id = await stage.made()
    with pytest.raises(errors.NotFound) as raised:
        await stage.rules.attach(caller(), rule_id, Aim(entity_type="assistant", entity_id=rule_id))
    assert raised.value.param == "entity_id"


async def test_an_organization_has_so_many_rules_and_no_more(stage: RulesStage):
    for _ in range(20):
        await stage.made("Be kind.", ("model", "any"))
    with pytest.raises(errors.Conflict):
        await stage.made("Be kind.", ("model", "any"))
    assert len(await stage.rules.of_entity(caller(), "model", "any")) == 20
    await stage.made(organization=THEIRS)


async def test_a_rule_has_so_many_attachments_and_no_more(stage: RulesStage):
    rule_id = await stage.made("Be kind.", *(("user", f"usr_{number}") for number in range(MOST_ATTACHMENTS)))
    with pytest.raises(errors.Conflict):
        await stage.rules.attach(caller(), rule_id, Aim(entity_type="user", entity_id="usr_more"))


async def test_public_rules_are_read_and_copied_everywhere_and_changed_at_home_alone(stage: RulesStage):
    rule_id = await stage.made("Be kind.", ("model", "any"), is_public=True, metadata={"secret": "s"})
    hidden = await stage.made("Be bold.")
    asleep = await stage.made("Sleep.", is_public=True, is_active=False)
    theirs = caller(THEIRS)
    assert [one.kept.id for one in await stage.rules.public(theirs, Wanted())] == [rule_id]
    shown = await stage.rules.get(theirs, rule_id)
    assert (shown.kept.value, shown.kept.created_by, shown.attachments, shown.can_edit) == (
        Rule(content="Be kind.", is_public=True),
        None,
        (),
        False,
    )
    with pytest.raises(errors.NotFound):
        await stage.rules.get(theirs, hidden)
    with pytest.raises(errors.NotFound):
        await stage.rules.copy(theirs, hidden)
    for attempt in (
        stage.rules.change(theirs, rule_id, name="Mine", values={}),
        stage.rules.delete(theirs, rule_id, force=True),
        stage.rules.attach(theirs, rule_id, Aim(entity_type="model", entity_id="other")),
        stage.rules.detach(theirs, rule_id, entity_type="model", entity_id="any"),
        stage.rules.attachments(theirs, rule_id),
    ):
        with pytest.raises(errors.NotFound):
            await attempt
    copied = await stage.rules.copy(theirs, rule_id)
    assert (copied.kept.organization_id, copied.kept.name) == (THEIRS, "Kindness (copy)")
    assert copied.kept.value == Rule(content="Be kind.")
    assert [one.kept.id for one in await stage.rules.public(caller(), Wanted())] == [rule_id]
    assert asleep not in [one.kept.id for one in await stage.rules.all(theirs, Wanted())]


async def test_the_name_of_a_copy_is_no_longer_than_a_name_may_be(stage: RulesStage):
    rule_id = await stage.made(name="n" * 255)
    copied = await stage.rules.copy(caller(), rule_id)
    assert copied.kept.name == "n" * 248 + " (copy)"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), "cba"),
        (Wanted(search="FOX quick"), "a"),
        (Wanted(search="note"), "b"),
        (Wanted(search="c"), "cba"),
        (Wanted(category="safety"), "b"),
        (Wanted(rule_type="behavior"), "a"),
        (Wanted(scope="team"), "a"),
        (Wanted(scope="global"), ""),
        (Wanted(is_active=False), "c"),
        (Wanted(is_public=True), "b"),
        (Wanted(attached_only=True), "ba"),
        (Wanted(attached_only=False), "c"),
        (Wanted(entity_type="model"), "ba"),
        (Wanted(entity_type="model", entity_id="gpt-5"), "b"),
        (Wanted(entity_type="user"), ""),
    ],
)
async def test_rules_are_found_by_what_they_are(stage: RulesStage, wanted, expected):
    await stage.made("The quick fox. c", ("model", "any"), name="a", rule_type="behavior", scope="team")
    stage.clock.advance(1)
    await stage.made("c", ("model", "gpt-5"), name="b", category="safety", is_public=True, description="A note.")
    stage.clock.advance(1)
    await stage.made("c", name="c", is_active=False)
    assert "".join(one.kept.name for one in await stage.rules.all(caller(), wanted)) == expected


@pytest.mark.parametrize(
    ("page", "expected", "more"),
    [
        (Page(limit=2), "dc", True),
        (Page(limit=4), "dcba", False),
        (Page(limit=2, order="asc"), "ab", True),
        (Page(limit=2, after="c"), "ba", False),
        (Page(limit=1, after="c"), "b", True),
        (Page(limit=2, before="a"), "cb", True),
        (Page(limit=9, before="a"), "dcb", False),
        (Page(limit=9, after="d", before="a"), "cb", False),
        (Page(limit=9, after="a"), "", False),
    ],
)
async def test_a_list_is_read_by_pages(stage: RulesStage, page, expected, more):
    names = {}
    for name in "abcd":
        names[name] = await stage.made(name=name)
        stage.clock.advance(1)
    found = await stage.rules.all(caller(), Wanted())
    page = Page(
        limit=page.limit, order=page.order, after=names.get(page.after or ""), before=names.get(page.before or "")
    )
    shown, has_more = page_of(found, page)
    assert ("".join(one.kept.name for one in shown), has_more) == (expected, more)


async def test_a_cursor_that_is_not_of_the_list_is_refused(stage: RulesStage):
    for page in (Page(after="rule_x"), Page(before="rule_x")):
        with pytest.raises(errors.InvalidValue):
            page_of(await stage.rules.all(caller(), Wanted()), page)


async def test_home_is_the_organization_that_has_the_rule(stage: RulesStage):
    rule_id = await stage.made(organization=THEIRS)
    assert await stage.rules.home(rule_id, (OURS, THEIRS)) == THEIRS
    assert await stage.rules.home(rule_id, (OURS,)) is None
    assert await stage.rules.home("rule_fact_check", (THEIRS, OURS)) == OURS
