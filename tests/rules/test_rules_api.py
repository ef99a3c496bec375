"""Rules over HTTP, in both generations of paths."""

import pytest

from freddy.server.core.accounts import SCOPES
from freddy.server.dialects.freddy import rule_views as views

PATH = "/v1/rules"
OWNED = "/v1/organizations/org_local/rules"
FORMAL = {"name": "Formal tone", "content": "Write in a formal tone."}


async def made(gateway, path=PATH, **fields):
    reply = await gateway.post(path, {**FORMAL, **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


@pytest.mark.parametrize("path", [PATH, OWNED])
async def test_a_rule_is_made_got_changed_and_deleted(gateway, path):
    created = await made(gateway, path)
    assert created == {
        "id": created["id"],
        "object": "rule",
        "name": "Formal tone",
        "content": "Write in a formal tone.",
        "content_length": 23,
        "description": None,
        "category": None,
        "rule_type": None,
        "scope": None,
        "apply_mode": "always",
        "priority": 50,
        "character_limit": None,
        "keywords": [],
        "conditions": {},
        "organization_id": "org_local",
        "created_by": created["created_by"],
        "is_public": False,
        "is_active": True,
        "version": 1,
        "usage_count": 0,
        "can_edit": True,
        "metadata": {},
        "created_at": created["created_at"],
        "updated_at": created["created_at"],
        "attached_entities": [],
    }
    assert created["id"].startswith("rule_")
    assert created["created_by"].startswith("key_")
    one = f"{path}/{created['id']}"
    assert (await gateway.get(one)).json() == created
    without = (await gateway.get(one + "?include_attachments=false")).json()
    assert without == {name: value for name, value in created.items() if name != "attached_entities"}
    for method, content in (("PATCH", "Be brief."), ("PUT", "Be briefer.")):
        changed = await gateway.http().request(method, one, json={"content": content})
        assert changed.status_code == 200, changed.text
        assert (changed.json()["content"], changed.json()["name"]) == (content, "Formal tone")
    assert changed.json()["version"] == 3
    deleted = await gateway.delete(one)
    assert deleted.json() == {"id": created["id"], "object": "rule.deleted", "deleted": True}
    assert (await gateway.get(one)).status_code == (await gateway.delete(one)).status_code == 404


async def test_every_field_is_kept_in_either_spelling(gateway):
    fields = {
        "description": "How answers sound.",
        "category": "professional",
        "ruleType": "behavior",
        "scope": "assistant",
        "applyMode": "auto",
        "priority": 80,
        "characterLimit": 5_000,
        "keywords": [" letter ", "mail", "mail"],
        "conditions": {"requestType": "chat", "user_expertise": ["expert", "professional"], "team": ["sales"]},
        "isPublic": True,
        "isActive": False,
        "metadata": {"a": "b"},
        "organizationId": "org_local",
    }
    rule = await made(gateway, **fields)
    assert {name: rule[name] for name in ("rule_type", "apply_mode", "character_limit", "is_public", "is_active")} == {
        "rule_type": "behavior",
        "apply_mode": "auto",
        "character_limit": 5_000,
        "is_public": True,
        "is_active": False,
    }
    assert rule["keywords"] == ["letter", "mail"]
    assert rule["conditions"] == {
        "request_type": ["chat"],
        "user_expertise": ["expert", "professional"],
        "team": ["sales"],
    }
    reset = await gateway.http().patch(f"{PATH}/{rule['id']}", json=dict.fromkeys(fields) | {"name": None})
    plain = await made(gateway)
    differing = {"id", "version", "created_at", "updated_at"}
    assert {name: value for name, value in reset.json().items() if name not in differing} == {
        name: value for name, value in plain.items() if name not in differing
    }


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"content": "x"}, 422, "name"),
        ({"name": "x"}, 422, "content"),
        ({"name": " ", "content": "x"}, 422, "name"),
        ({"name": "x" * 256, "content": "x"}, 422, "name"),
        ({"name": "a\nb", "content": "x"}, 422, "name"),
        ({**FORMAL, "content": " \n"}, 422, "content"),
        ({**FORMAL, "content": "x" * 50_001}, 422, "content"),
        ({**FORMAL, "content": 1}, 422, "content"),
        ({**FORMAL, "priority": 0}, 422, "priority"),
        ({**FORMAL, "priority": 101}, 422, "priority"),
        ({**FORMAL, "priority": "high"}, 422, "priority"),
        ({**FORMAL, "character_limit": 99}, 422, "character_limit"),
        ({**FORMAL, "characterLimit": 50_001}, 422, "characterLimit"),
        ({**FORMAL, "rule_type": "law"}, 422, "rule_type"),
        ({**FORMAL, "scope": "global"}, 422, "scope"),
        ({**FORMAL, "apply_mode": "never"}, 422, "apply_mode"),
        ({**FORMAL, "category": ""}, 422, "category"),
        ({**FORMAL, "is_active": "yes"}, 422, "is_active"),
        ({**FORMAL, "keywords": ["a", " "]}, 422, "keywords"),
        ({**FORMAL, "keywords": "a"}, 422, "keywords"),
        ({**FORMAL, "keywords": [str(number) for number in range(51)]}, 422, "keywords"),
        ({**FORMAL, "conditions": []}, 422, "conditions"),
        ({**FORMAL, "conditions": {"team": []}}, 422, "conditions.team"),
        ({**FORMAL, "conditions": {"team": [1]}}, 422, "conditions.team"),
        ({**FORMAL, "conditions": {str(number): "x" for number in range(17)}}, 422, "conditions"),
        ({**FORMAL, "metadata": {"a": 1}}, 422, "metadata.a"),
        ({**FORMAL, "expected_version": 1}, 422, "expected_version"),
        ({**FORMAL, "attachments": [{}]}, 422, "attachments[0].entity_type"),
        ({**FORMAL, "attachments": [{"entity_type": "model"}]}, 422, "attachments[0].entity_id"),
        ({**FORMAL, "attachments": [{"entity_type": "team", "entity_id": "x"}]}, 422, "attachments[0].entity_type"),
        ({**FORMAL, "attachments": [{"entity_type": "model", "entity_id": "x"}] * 2}, 422, "attachments[1]"),
        ({**FORMAL, "attachments": [{"entity_type": "assistant", "entity_id": "x"}]}, 404, "attachments[0].entity_id"),
        ({**FORMAL, "organization_id": "org_b"}, 403, "organization_id"),
        ({**FORMAL, "contents": "x"}, 400, "contents"),
        ({**FORMAL, "tone": "x"}, 400, "tone"),
    ],
)
async def test_what_makes_no_rule_is_refused_by_name(gateway, body, status, param):
    reply = await gateway.post(PATH, body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text
    assert (await gateway.get(PATH)).json()["total"] == 0


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b'"x"', b"[" * 100_000])
async def test_a_broken_body_is_refused(gateway, content):
    for method, path in (("POST", PATH), ("PATCH", f"{PATH}/rule_x"), ("POST", f"{PATH}/rule_x/attachments")):
        assert (await gateway.http().request(method, path, content=content)).status_code == 400


async def test_a_change_of_another_version_is_refused(gateway):
    rule = await made(gateway)
    one = f"{PATH}/{rule['id']}"
    first = await gateway.http().patch(one, json={"priority": 60, "expected_version": 1})
    late = await gateway.http().patch(one, json={"priority": 70, "expected_version": 1})
    assert (first.status_code, late.status_code) == (200, 409)
    assert late.json()["error"]["param"] == "expected_version"
    assert (await gateway.get(one)).json()["priority"] == 60


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": " "}, "name"),
        ({"content": " "}, "content"),
        ({"attachments": []}, "attachments"),
        ({"organization_id": "org_b"}, "organization_id"),
        ({"priority": 0}, "priority"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(gateway, body, param):
    rule = await made(gateway)
    reply = await gateway.http().patch(f"{PATH}/{rule['id']}", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)
    assert (await gateway.get(f"{PATH}/{rule['id']}")).json() == rule


async def test_an_attachment_is_made_got_changed_and_taken_away(gateway):
    rule = await made(gateway, attachments=[{"entity_type": "organization", "entity_id": "org_local", "priority": 90}])
    assert rule["usage_count"] == 1
    assert [(one["entity_type"], one["priority"]) for one in rule["attached_entities"]] == [("organization", 90)]
    place = f"{PATH}/{rule['id']}/attachments"
    # The name of a model may have slashes.
    attached = await gateway.post(place, {"entityType": "model", "entityId": "meta/llama-4", "characterLimit": 500})
    told = attached.json()
    assert attached.status_code == 201
    assert told == {
        "id": told["id"],
        "object": "rule.attachment",
        "rule_id": rule["id"],
        "entity_type": "model",
        "entity_id": "meta/llama-4",
        "priority": 50,
        "character_limit": 500,
        "attached_by": rule["created_by"],
        "attached_at": told["attached_at"],
        "is_active": True,
        "created_at": told["created_at"],
        "updated_at": told["created_at"],
        "rule_summary": {
            "id": rule["id"],
            "name": "Formal tone",
            "description": None,
            "category": None,
            "rule_type": None,
            "is_active": True,
        },
    }
    for one in (f"{place}/model/meta/llama-4", f"{place}/model/meta%2Fllama-4"):
        assert (await gateway.get(one)).json() == told
    again = await gateway.post(place, {"entity_type": "model", "entity_id": "meta/llama-4"})
    assert (again.status_code, again.json()["error"]["param"]) == (409, "entity_id")
    changed = await gateway.http().put(
        one + "?include_rule_details=false", json={"priority": 100, "character_limit": None, "is_active": False}
    )
    assert {**told, "priority": 100, "character_limit": None, "is_active": False, "rule_summary": None} == {
        **changed.json(),
        "updated_at": told["updated_at"],
    }
    kept = await gateway.http().put(one, json={})
    assert (kept.json()["priority"], kept.json()["is_active"]) == (100, False)
    both = (await gateway.get(place)).json()
    assert (both["total"], [each["priority"] for each in both["attachments"]]) == (2, [100, 90])
    for query, total in (("?is_active=true", 1), ("?entity_type=model", 1), ("?entity_type=user", 0)):
        assert (await gateway.get(place + query)).json()["total"] == total
    detached = await gateway.delete(one)
    assert detached.json() == {
        "message": "The rule is detached",
        "rule_id": rule["id"],
        "entity_type": "model",
        "entity_id": "meta/llama-4",
        "detached_at": detached.json()["detached_at"],
    }
    for reply in (await gateway.get(one), await gateway.delete(one), await gateway.http().put(one, json={})):
        assert (reply.status_code, reply.json()["error"]["param"]) == (404, "entity_id")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "entity_type"),
        ({"entity_type": "model"}, 422, "entity_id"),
        ({"entity_type": "model", "entity_id": ""}, 422, "entity_id"),
        ({"entity_type": "model", "entity_id": "x" * 257}, 422, "entity_id"),
        ({"entity_type": "model", "entity_id": "x", "priority": 101}, 422, "priority"),
        ({"entity_type": "model", "entity_id": "x", "character_limit": 1}, 422, "character_limit"),
        ({"entity_type": "model", "entity_id": "x", "is_active": True}, 422, "is_active"),
        ({"entity_type": "organization", "entity_id": "org_abc123"}, 404, "entity_id"),
        ({"entity_type": "model", "entity_id": "x", "limit": 1}, 400, "limit"),
    ],
)
async def test_what_is_no_attachment_is_refused_by_name(gateway, body, status, param):
    rule = await made(gateway)
    reply = await gateway.post(f"{PATH}/{rule['id']}/attachments", body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text


async def test_what_an_attachment_is_of_cannot_be_changed(gateway):
    rule = await made(gateway, attachments=[{"entity_type": "model", "entity_id": "x"}])
    one = f"{PATH}/{rule['id']}/attachments/model/x"
    reply = await gateway.http().put(one, json={"entity_id": "y"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "entity_id")
    assert (await gateway.get(f"{PATH}/{rule['id']}/attachments/team/x")).status_code == 422


async def test_an_attached_rule_is_deleted_only_with_force(gateway):
    rule = await made(gateway, attachments=[{"entity_type": "model", "entity_id": "x"}])
    one = f"{PATH}/{rule['id']}"
    refused = await gateway.delete(one)
    assert (refused.status_code, refused.json()["error"]["param"]) == (409, "force")
    assert (await gateway.delete(one + "?force=maybe")).status_code == 422
    assert (await gateway.delete(one + "?force=true")).status_code == 200
    assert (await gateway.get(f"{PATH}/entities/model/x/rules")).json() == {"attachments": [], "total": 0}


async def test_the_rules_of_an_entity_are_listed_by_priority(gateway):
    low = await made(gateway, name="Low", attachments=[{"entity_type": "model", "entity_id": "a/b", "priority": 10}])
    high = await made(gateway, name="High", attachments=[{"entity_type": "model", "entity_id": "a/b", "priority": 20}])
    for path in ("a/b", "a%2Fb"):
        listed = (await gateway.get(f"{PATH}/entities/model/{path}/rules")).json()
        assert [one["rule_summary"]["name"] for one in listed["attachments"]] == ["High", "Low"]
        assert [one["rule_id"] for one in listed["attachments"]] == [high["id"], low["id"]]
    plain = (await gateway.get(f"{PATH}/entities/model/a/b/rules?include_rule_details=false")).json()
    assert [one["rule_summary"] for one in plain["attachments"]] == [None, None]


async def test_lists_are_paged_in_both_ways(gateway):
    names = ["a", "b", "c"]
    for name in names:
        await made(gateway, name=name, attachments=[{"entity_type": "model", "entity_id": "x"}])
    first = (await gateway.get(f"{PATH}?limit=2&order=asc")).json()
    assert ([one["name"] for one in first["data"]], first["has_more"], first["total"]) == (["a", "b"], True, 3)
    assert (first["object"], first["limit"], first["last_id"]) == ("list", 2, first["data"][1]["id"])
    rest = (await gateway.get(f"{PATH}?limit=2&order=asc&after={first['last_id']}&include_attachments=true")).json()
    assert [one["name"] for one in rest["data"]] == ["c"]
    assert rest["data"][0]["attached_entities"][0]["entity_id"] == "x"
    assert "attached_entities" not in first["data"][0]
    assert "content" not in first["data"][0]
    assert first["data"][0]["content_preview"] == FORMAL["content"]
    page = (await gateway.get(f"{OWNED}?skip=1&limit=1&search=formal&is_active=true")).json()
    assert ([one["name"] for one in page["rules"]], page["total"]) == (["b"], 3)
    assert (page["skip"], page["limit"], page["filters"]) == (1, 1, {"search": "formal", "is_active": True})


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("is_active=maybe", "is_active"),
        ("entity_type=team", "entity_type"),
        ("entity_id=x", "entity_id"),
    ],
)
async def test_an_odd_query_is_refused_by_name(gateway, query, param):
    for path in (PATH, OWNED, f"{PATH}/public"):
        reply = await gateway.get(f"{path}?{query}")
        assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)


async def test_a_long_content_is_shown_in_part_by_lists(gateway):
    await made(gateway, content="x" * 50_000)
    [one] = (await gateway.get(PATH)).json()["data"]
    assert (len(one["content_preview"]), one["content_length"]) == (views.PREVIEW, 50_000)


async def test_a_rule_is_copied(gateway):
    rule = await made(gateway, is_public=True, attachments=[{"entity_type": "model", "entity_id": "x"}])
    copied = await gateway.post(f"{OWNED}/{rule['id']}/duplicate")
    told = copied.json()
    assert copied.status_code == 201
    assert (told["name"], told["content"], told["is_public"], told["usage_count"]) == (
        "Formal tone (copy)",
        FORMAL["content"],
        False,
        0,
    )
    assert told["id"] != rule["id"]


async def test_rules_are_counted(gateway):
    rule = await made(
        gateway,
        category="safety",
        attachments=[
            {"entity_type": "model", "entity_id": "b"},
            {"entity_type": "model", "entity_id": "a", "priority": 60},
            {"entity_type": "user", "entity_id": "usr_1"},
        ],
    )
    await made(gateway, category="safety")
    await made(gateway)
    counted = (await gateway.get(f"{OWNED}/statistics/categories")).json()
    assert counted == {
        "statistics": [{"category": "safety", "count": 2}, {"category": "custom", "count": 1}],
        "total": 3,
    }
    await gateway.http().put(f"{PATH}/{rule['id']}/attachments/user/usr_1", json={"is_active": False})
    usage = (await gateway.get(f"{OWNED}/{rule['id']}/statistics/usage")).json()
    assert usage == {
        "rule_id": rule["id"],
        "total_attachments": 2,
        "by_entity_type": [{"entity_type": "model", "count": 2, "entity_ids": ["a", "b"]}],
    }


async def test_other_organizations_rules_are_as_unknown_as_any(closed):
    ours = closed.http((await closed.mint("org_a")).secret)
    theirs = closed.http((await closed.mint("org_b")).secret)
    rule = (await ours.post(PATH, json={**FORMAL, "attachments": [{"entity_type": "model", "entity_id": "x"}]})).json()
    bodies = []
    for rule_id in (rule["id"], "rule_nowhere"):
        one = f"{PATH}/{rule_id}"
        owned = f"/v1/organizations/org_b/rules/{rule_id}"
        attached = f"{one}/attachments/model/x"
        replies = [
            await theirs.get(one),
            await theirs.patch(one, json={"name": "Mine"}),
            await theirs.delete(one),
            await theirs.get(owned),
            await theirs.put(owned, json={"name": "Mine"}),
            await theirs.post(f"{owned}/duplicate"),
            await theirs.get(f"{owned}/statistics/usage"),
            await theirs.get(f"{one}/attachments"),
            await theirs.post(f"{one}/attachments", json={"entity_type": "model", "entity_id": "y"}),
            await theirs.get(attached),
            await theirs.put(attached, json={"priority": 1}),
            await theirs.delete(attached),
        ]
        assert [reply.status_code for reply in replies] == [404] * len(replies)
        bodies.append([reply.text.replace(rule_id, "ID") for reply in replies])
    assert bodies[0] == bodies[1]
    assert (await theirs.get(PATH)).json()["total"] == 0
    assert (await theirs.get("/v1/organizations/org_a/rules")).status_code == 403
    assert (await ours.get(f"{PATH}/{rule['id']}")).json() == rule


async def test_a_public_rule_is_read_and_copied_by_others(closed):
    ours = closed.http((await closed.mint("org_a")).secret)
    theirs = closed.http((await closed.mint("org_b")).secret)
    rule = (await ours.post(PATH, json={**FORMAL, "is_public": True, "metadata": {"cost": "9"}})).json()
    listed = (await theirs.get(f"{PATH}/public")).json()
    assert [(one["id"], one["can_edit"]) for one in listed["rules"]] == [(rule["id"], False)]
    seen = (await theirs.get(f"{PATH}/{rule['id']}")).json()
    assert (seen["content"], seen["created_by"], seen["metadata"]) == (FORMAL["content"], "anonymous", {})
    copied = await theirs.post(f"/v1/organizations/org_b/rules/{rule['id']}/duplicate")
    assert copied.json()["organization_id"] == "org_b"
    assert (await theirs.delete(f"{PATH}/{rule['id']}")).status_code == 404


async def test_reading_and_writing_need_their_scopes(closed):
    reads = closed.http((await closed.mint("org_a", scopes=["rules:read"])).secret)
    writes = closed.http((await closed.mint("org_a", scopes=["rules:write"])).secret)
    neither = closed.http(
        (await closed.mint("org_a", scopes=[one for one in SCOPES if not one.startswith("rules:")])).secret
    )
    rule = (await writes.post(PATH, json=FORMAL)).json()
    one = f"{PATH}/{rule['id']}"
    assert (await reads.get(one)).json()["can_edit"] is False
    for client, allowed in ((reads, True), (writes, False), (neither, False)):
        for path in (PATH, one, f"{one}/attachments", f"{PATH}/public", f"{PATH}/entities/model/x/rules"):
            assert (await client.get(path)).status_code == (200 if allowed else 403)
    for client in (reads, neither):
        for method, path in (("POST", PATH), ("PATCH", one), ("DELETE", one), ("POST", f"{one}/attachments")):
            body = {"entity_type": "model", "entity_id": "x"} if "attachments" in path else FORMAL
            reply = await client.request(method, path, **({} if method == "DELETE" else {"json": body}))
            assert reply.status_code == 403


async def test_the_rules_of_the_examples_are_there_on_this_machine_and_in_no_list(gateway):
    for rule_id in ("rule_formal_tone", "rule_fact_check"):
        told = (await gateway.get(f"{PATH}/{rule_id}")).json()
        assert (told["id"], told["can_edit"]) == (rule_id, False)
        assert (await gateway.delete(f"{PATH}/{rule_id}")).status_code == 404
    assert (await gateway.get(PATH)).json()["data"] == []


async def test_the_python_client_does_it_all(gateway):
    client = gateway.freddy()
    rule = await client.rules.create(
        name="Formal tone",
        content="Write in a formal tone.",
        category="professional",
        attachments=[{"entity_type": "model", "entity_id": "a/b", "priority": 80}],
    )
    assert (rule.version, rule.attached_entities[0].priority) == (1, 80)
    assert (await client.rules.get(rule.id)) == rule
    changed = await client.rules.update(rule.id, content="Be brief.", category=None, expected_version=1)
    assert (changed.content, changed.category, changed.version) == ("Be brief.", None, 2)
    await client.rules.attach(rule.id, entity_type="user", entity_id="usr_1")
    paused = await client.rules.update_attachment(rule.id, entity_type="model", entity_id="a/b", is_active=False)
    assert (paused.is_active, paused.priority, paused.rule_summary.name) == (False, 80, "Formal tone")
    both = await client.rules.attachments(rule.id)
    assert [one.entity_id for one in both.attachments] == ["a/b", "usr_1"]
    assert (await client.rules.of_entity("model", "a/b")).total == 1
    assert (await client.rules.detach(rule.id, entity_type="model", entity_id="a/b")).entity_id == "a/b"
    copied = await client.rules.duplicate(rule.id)
    page = await client.rules.list(limit=1, search="formal")
    assert [one.id async for one in page] == [copied.id, rule.id]
    assert (await client.rules.delete(rule.id, force=True)).deleted
    assert (await client.rules.delete(copied.id)).deleted


async def test_the_organization_of_the_path_is_the_only_one_that_is_looked_in(gateway):
    wide = gateway.http((await gateway.mint("org_a", "org_b")).secret)
    rule = (await wide.post("/v1/organizations/org_b/rules", json=FORMAL)).json()
    elsewhere = f"/v1/organizations/org_a/rules/{rule['id']}"
    for reply in (
        await wide.get(elsewhere),
        await wide.patch(elsewhere, json={"content": "Be brief."}),
        await wide.delete(elsewhere + "?force=true"),
    ):
        assert reply.status_code == 404, reply.text
    assert (await wide.delete(f"{PATH}/{rule['id']}")).status_code == 200
