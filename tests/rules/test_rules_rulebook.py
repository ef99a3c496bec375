"""Which rules of an organization concern a request, and what it costs to know."""

import time

import msgspec
import pytest
from rules_stage import OURS, THEIRS, RulesStage, caller, request

from freddy.server.core import errors, toolspec
from freddy.server.core.rules import Considered
from freddy.server.core.ruling import Ruling
from freddy.server.ports.records import Record
from freddy.server.resources.rules import Aim
from promises import promise


def sources(ruling):
    return [(one.id, one.verdict, one.source) for one in ruling.considered]


@promise(26, 28)
async def test_a_request_is_told_the_rules_it_names_and_no_others(stage: RulesStage):
    kind, brief = await stage.made(), await stage.made("Be brief.", name="Brevity")
    await stage.made("Be loud.", name="Loudness")
    ruling = await stage.ruling(rules=(kind, brief, kind))
    assert sources(ruling) == [(brief, "applied", "request"), (kind, "applied", "request")]
    assert ruling.instructions is not None
    assert "Be loud." not in ruling.instructions


@promise(29)
@pytest.mark.parametrize("rule_id", ["rule_unknown", "asst_1", "", "x" * 500])
async def test_an_unknown_rule_is_not_found(stage: RulesStage, rule_id):
    known = await stage.made()
    with pytest.raises(errors.NotFound) as raised:
        await stage.ruling(rules=(known, rule_id))
    assert raised.value.param == "rules"
    assert repr(rule_id[:100]) in raised.value.message


@promise(29)
async def test_anothers_rule_is_as_unknown_as_any(stage: RulesStage):
    theirs = await stage.made(organization=THEIRS, is_public=True)
    with pytest.raises(errors.NotFound) as raised:
        await stage.ruling(rules=(theirs,))
    assert raised.value.message == f"There is no rule {theirs!r}"
    assert await stage.ruling(assistant_rules=(theirs,)) == Ruling(None, ruling_of_deleted(theirs))


def ruling_of_deleted(rule_id):
    return (Considered(id=rule_id, verdict="filtered", reason="deleted", source="assistant"),)


@promise(28)
async def test_rules_come_from_all_that_a_request_has_to_do_with(stage: RulesStage):
    await stage.records.add(assistant("asst_1"), most=10)
    by_entity = {
        kind: await stage.made(f"Of {kind}.", (kind, entity_id), name=kind)
        for kind, entity_id in (
            ("assistant", "asst_1"),
            ("user", "usr_1"),
            ("model", "gpt-5"),
            ("vector_store", "vs_1"),
            ("organization", OURS),
        )
    }
    await stage.made("Of nobody.", ("model", "gpt-4o"))
    named, of_assistant = (
        await stage.made("Named.", name="N"),
        await stage.made("Its own.", name="O", apply_mode="manual"),
    )
    ruling = await stage.ruling(
        by=caller(user="usr_1"),
        rules=(named,),
        assistant_id="asst_1",
        assistant_rules=(of_assistant,),
        models=("ftg-3.0", "gpt-5"),
        stores=["vs_1"],
    )
    assert sources(ruling) == [
        (named, "applied", "request"),
        (of_assistant, "applied", "assistant"),
        (by_entity["assistant"], "applied", "assistant"),
        (by_entity["user"], "applied", "user"),
        (by_entity["vector_store"], "applied", "vector_store"),
        (by_entity["model"], "applied", "model"),
        (by_entity["organization"], "applied", "organization"),
    ]
    assert sources(await stage.ruling()) == [(by_entity["organization"], "applied", "organization")]


@pytest.mark.parametrize("data", [b'{"vector_store_ids":["vs_1"]}', b'{"vectorStoreIds":["vs_0","vs_1"]}'])
async def test_a_tool_names_vector_stores_too(stage: RulesStage, data):
    rule_id = await stage.made("Cite.", ("vector_store", "vs_1"))
    tool = toolspec.Other("file_search", msgspec.Raw(data))
    assert sources(await stage.ruling(tools=(tool,))) == [(rule_id, "applied", "vector_store")]


async def test_odd_tools_name_none(stage: RulesStage):
    await stage.made("Cite.", ("vector_store", "vs_1"))
    several = [b"{}", b'{"vector_store_ids":null}', b'{"vector_store_ids":[1,null]}', b'{"vector_store_ids":[]}', b"[]"]
    for data in several:
        assert await stage.ruling(tools=(toolspec.Other("file_search", msgspec.Raw(data)),)) == Ruling()


@promise(67)
async def test_the_context_decides_what_fits_and_fills_places(stage: RulesStage):
    rule_id = await stage.made(
        "Write for {{rule_context.target_audience}}, level {{rule_context.level}}.",
        ("organization", OURS),
        apply_mode="auto",
        conditions={"user_expertise": ("beginner",)},
    )
    ruling = await stage.ruling(
        context={"user_expertise": "beginner", "target_audience": "students", "level": 3, "odd": {"a": 1}, "none": None}
    )
    assert sources(ruling) == [(rule_id, "applied", "organization")]
    assert ruling.instructions is not None
    assert ruling.instructions.endswith("Write for students, level 3.")
    assert "odd" not in ruling.instructions
    assert sources(await stage.ruling()) == [(rule_id, "filtered", "organization")]


async def test_what_the_user_said_last_decides_what_fits(stage: RulesStage):
    rule_id = await stage.made("Cite.", ("organization", OURS), apply_mode="auto", keywords=("invoice",))
    assert sources(await stage.ruling(said="My invoice?")) == [(rule_id, "applied", "organization")]
    assert sources(await stage.ruling(said="Hi")) == [(rule_id, "filtered", "organization")]


@promise(30)
async def test_without_rules_means_none_at_all(stage: RulesStage):
    rule_id = await stage.made("Always.", ("organization", OURS), priority=100)
    assert await stage.ruling(disable_rules=True) == Ruling()
    assert (
        await stage.ruling(disable_rules=True, rules=(rule_id, "rule_unknown"), assistant_rules=(rule_id,)) == Ruling()
    )
    assert stage.records.reads == 0


@promise(31)
async def test_a_user_cannot_do_without_them(stage: RulesStage):
    with pytest.raises(errors.PermissionDenied) as raised:
        await stage.ruling(by=caller(user="usr_1"), disable_rules=True)
    assert (raised.value.param, raised.value.code) == ("disable_rules", "insufficient_permissions")


async def test_a_model_that_reads_little_is_told_a_quarter_of_it_at_most(stage: RulesStage):
    rule_id = await stage.made("You must do this in every single answer. " * 100)
    long, short = await stage.ruling(rules=(rule_id,)), await stage.ruling(rules=(rule_id,), tokens=2_000)
    assert long.considered[0].verdict == "applied"
    assert short.considered[0].verdict == "compressed"
    assert short.considered[0].characters <= 2_000 // 4 * 3


async def test_scripts_of_many_tokens_get_fewer_characters(stage: RulesStage):
    rule_id = await stage.made("必须用中文回答。" * 200)
    ruling = await stage.ruling(rules=(rule_id,), tokens=4_000)
    assert ruling.considered[0].characters <= 1_000


async def test_rules_are_read_once_and_again_after_a_change(stage: RulesStage):
    rule_id = await stage.made("Be kind.", ("organization", OURS))
    for _ in range(3):
        assert "Be kind." in str((await stage.ruling()).instructions)
    assert stage.records.reads == 1
    await stage.rules.change(caller(), rule_id, name=None, values={"content": "Be brief."})
    assert "Be brief." in str((await stage.ruling()).instructions)
    await stage.rules.change_attachment(
        caller(), rule_id, entity_type="organization", entity_id=OURS, values={"active": False}
    )
    assert (await stage.ruling()).instructions is None
    await stage.rules.detach(caller(), rule_id, entity_type="organization", entity_id=OURS)
    assert await stage.ruling() == Ruling()
    await stage.rules.attach(caller(), rule_id, Aim(entity_type="model", entity_id="gpt-5", priority=7))
    assert (await stage.ruling(models=("gpt-5",))).considered[0].priority == 7
    await stage.rules.delete(caller(), rule_id, force=True)
    assert await stage.ruling(models=("gpt-5",)) == Ruling()


async def test_changes_by_others_are_seen_a_little_later(stage: RulesStage):
    rule_id = await stage.made("Be kind.", ("organization", OURS))
    await stage.ruling()
    assert await stage.records.delete(OURS, rule_id)
    assert (await stage.ruling()).instructions is not None
    stage.clock.advance(5)
    assert await stage.ruling() == Ruling()


async def test_the_rules_of_the_examples_are_there_on_this_machine_alone(stage: RulesStage):
    ruling = await stage.ruling(rules=("rule_formal_tone", "rule_fact_check"))
    assert sources(ruling) == [
        ("rule_fact_check", "applied", "request"),
        ("rule_formal_tone", "applied", "request"),
    ]
    with pytest.raises(errors.NotFound):
        await stage.ruling(by=caller(THEIRS), rules=("rule_formal_tone",))


async def test_an_organization_without_rules_pays_next_to_nothing(stage: RulesStage):
    asked, by = request(), caller()
    await stage.rulebook.ruling(asked, by)
    began = time.process_time()
    for _ in range(10_000):
        await stage.rulebook.ruling(asked, by, model_names=("stage",), context_tokens=8_000)
    # About a microsecond each; the bound is for slow machines.
    assert time.process_time() - began < 1
    assert stage.records.reads == 1


def assistant(assistant_id):
    return Record(
        id=assistant_id,
        organization_id=OURS,
        kind="assistant",
        name="Support",
        data=b"{}",
        created_at=1,
        updated_at=1,
    )
