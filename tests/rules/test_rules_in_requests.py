"""What models are told of rules, and what callers are told became of them."""

import pytest
from gateway import spelled

from promises import promise

RULES = "/v1/rules"


async def made(gateway, name, content, *aims, key=None, **fields):
    body = {
        "name": name,
        "content": content,
        "attachments": [{"entity_type": kind, "entity_id": entity_id} for kind, entity_id in aims],
        **fields,
    }
    reply = await gateway.post(RULES, body, **({} if key is None else {"key": key}))
    assert reply.status_code == 201, reply.text
    return reply.json()["id"]


def system(gateway):
    """What the model was last told before the conversation."""
    return "\n".join(one["content"] for one in gateway.upstream.last.body["messages"] if one["role"] == "system")


async def test_nothing_is_told_where_there_are_no_rules(gateway):
    body = await gateway.ask("freddy", input="Hi", rule_context={"request_type": "chat"}, include=["rules.debug"])
    assert system(gateway) == ""
    assert body["rules_debug"] == {"considered": [], "applied": [], "compressed": [], "filtered": []}
    assert "rules_debug" not in await gateway.ask("freddy", input="Hi")


@promise(26, 27)
async def test_rules_that_a_request_names_stand_behind_its_instructions(gateway):
    formal = await made(gateway, "Formal tone", "Write formally.", apply_mode="manual")
    await made(gateway, "Other", "Never told.", apply_mode="manual")
    await gateway.ask("freddy", input="Hi", instructions="You are a fox.", rules=[formal])
    assert system(gateway) == (
        "You are a fox.\n\n# Rules\n\n"
        "These rules hold for the answer. Where two of them disagree, the one that comes first holds.\n\n"
        "## Formal tone\n\nWrite formally."
    )
    await gateway.ask("freddy", input="Hi", instructions="You are a fox.")
    assert system(gateway) == "You are a fox."


@promise(28)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_attached_rules_hold_in_every_dialect_whole_and_streamed(gateway, dialect):
    await made(gateway, "Of the organization", "Be kind.", ("organization", "org_local"))
    await made(gateway, "Of the model", "Be brief.", ("model", "stage"))
    await made(gateway, "Of another", "Be loud.", ("model", "gpt-5"))
    for ask in (gateway.ask, gateway.told):
        await ask(dialect, input="Hi", model="stage")
        told = system(gateway)
        assert told.index("Be brief.") < told.index("Be kind.")
        assert "Be loud." not in told


@promise(24, 28)
async def test_rules_of_an_assistant_are_joined_with_those_of_the_request(gateway):
    own = await made(gateway, "Own", "Its own rule.", apply_mode="manual")
    named = await made(gateway, "Named", "Named by the request.")
    assistant = await gateway.post(
        "/v1/assistants", {"name": "Fox", "instructions": "You are a fox.", "rule_ids": [own]}
    )
    assistant_id = assistant.json()["id"]
    await made(gateway, "Attached", "Attached to it.", ("assistant", assistant_id))
    body = await gateway.ask("freddy", input="Hi", assistant_id=assistant_id, rules=[named], include=["rules.debug"])
    told = system(gateway)
    assert told.startswith("You are a fox.\n\n# Rules")
    assert told.index("Named by the request.") < told.index("Attached to it.") < told.index("Its own rule.")
    assert [one["source"] for one in body["rules_debug"]["considered"]] == ["request", "assistant", "assistant"]


@promise(29)
@pytest.mark.parametrize("rules", [["rule_nowhere"], [""], ["file_abc123"]])
async def test_an_unknown_rule_is_refused_before_any_model_is_asked(gateway, rules):
    reply = await gateway.post(*spelled("freddy", input="Hi", rules=rules))
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["code"]) == (404, "rules", "not_found")
    assert error["message"] == f"There is no rule {rules[0]!r}"


@promise(29)
@pytest.mark.parametrize("rules", ["rule_formal_tone", [1], {}])
async def test_rules_are_a_list_of_ids(gateway, rules):
    reply = await gateway.post(*spelled("freddy", input="Hi", rules=rules))
    assert (reply.status_code, reply.json()["error"]["param"].partition("[")[0]) == (422, "rules")


@promise(29)
async def test_anothers_rule_is_as_unknown_as_any(closed):
    ours, theirs = (await closed.mint("org_a")).secret, (await closed.mint("org_b")).secret
    rule_id = await made(closed, "Ours", "Be kind.", ("organization", "org_a"), key=ours, is_public=True)
    path, body = spelled("freddy", input="Hi", rules=[rule_id])
    assert (await closed.post(path, body, key=ours)).status_code == 200
    assert "Be kind." in system(closed)
    refused = await closed.post(path, body, key=theirs)
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "rules")
    assert (await closed.post(*spelled("freddy", input="Hi"), key=theirs)).status_code == 200
    assert system(closed) == ""


@promise(30)
async def test_no_rule_applies_where_they_are_disabled(gateway):
    rule_id = await made(gateway, "Always", "Be kind.", ("organization", "org_local"), priority=100)
    body = await gateway.ask(
        "freddy", input="Hi", rules=[rule_id, "rule_nowhere"], disable_rules=True, include=["rules.debug"]
    )
    assert system(gateway) == ""
    assert body["rules_debug"]["considered"] == []
    await gateway.ask("freddy", input="Hi")
    assert "Be kind." in system(gateway)


@promise(67, 68, 69, 70, 71)
async def test_the_context_decides_and_is_told(gateway):
    await made(
        gateway,
        "Explain",
        "Explain terms to {{rule_context.target_audience}}.",
        ("organization", "org_local"),
        apply_mode="auto",
        conditions={"user_expertise": ["beginner"], "requestType": ["chat"]},
    )
    context = {
        "requestType": "chat",
        "user_expertise": "beginner",
        "output_format": "markdown",
        "target_audience": "students",
    }
    await gateway.ask("freddy", input="Hi", rule_context=context)
    told = system(gateway)
    assert "The request is of the type chat." in told
    assert "The reader's expertise: beginner." in told
    assert "The format of the answer: markdown." in told
    assert "The answer is for: students." in told
    assert "Explain terms to students." in told
    await gateway.ask("freddy", input="Hi", rule_context={**context, "user_expertise": "expert"})
    assert system(gateway) == ""


@promise(69)
async def test_expertise_is_one_of_four_words(gateway):
    for word in ("beginner", "intermediate", "expert", "professional"):
        await gateway.ask("freddy", input="Hi", rule_context={"user_expertise": word})
    reply = await gateway.post(*spelled("freddy", input="Hi", rule_context={"user_expertise": "novice"}))
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "rule_context.user_expertise")


@promise(88)
@pytest.mark.parametrize("include", ["rules.debug", "all"])
async def test_what_became_of_each_rule_is_told_and_kept(gateway, include):
    applied = await made(gateway, "A", "Be kind.", ("organization", "org_local"))
    short = await made(gateway, "B", "You must be brief. " * 20, ("model", "stage"), character_limit=100)
    left = await made(gateway, "C", "Cite.", ("organization", "org_local"), apply_mode="auto", keywords=["law"])
    body = await gateway.ask("freddy", input="Hi", include=[include])
    debug = body["rules_debug"]
    assert (debug["applied"], debug["compressed"], debug["filtered"]) == ([applied], [short], [left])
    assert debug["considered"] == [
        {
            "id": short,
            "name": "B",
            "verdict": "compressed",
            "reason": "character_limit",
            "source": "model",
            "priority": 50,
            "characters": 94,
        },
        {
            "id": applied,
            "name": "A",
            "verdict": "applied",
            "reason": "always",
            "source": "organization",
            "priority": 50,
            "characters": 8,
        },
        {
            "id": left,
            "name": "C",
            "verdict": "filtered",
            "reason": "does_not_fit",
            "source": "organization",
            "priority": 50,
            "characters": 0,
        },
    ]
    assert (await gateway.get(f"/v1/model/response/{body['id']}")).json()["rules_debug"] == debug
    stream = await gateway.told("freddy", input="Hi", include=[include])
    assert stream.last["response"]["rules_debug"] == debug


async def test_rules_of_the_highest_priority_that_do_not_fit_in_fail_the_request(gateway):
    rule_id = await made(gateway, "Long", "word " * 9_000, priority=100, apply_mode="manual")
    reply = await gateway.post(*spelled("freddy", input="Hi", rules=[rule_id]))
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "rules")
    assert rule_id in error["details"]


async def test_the_rules_of_the_examples_are_told(gateway):
    await gateway.ask("freddy", input="Hi", organization_id="org_abc123", rules=["rule_formal_tone", "rule_fact_check"])
    told = system(gateway)
    assert told.index("## Fact check") < told.index("## Formal tone")
