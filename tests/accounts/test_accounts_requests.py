"""What users may do with responses, which keys may do otherwise."""

import pytest

from promises import promise

OURS, THEIRS = "/v1/model/response", "/v1/responses"


@pytest.fixture
async def two(site):
    """Two members of one organization, who see their own conversations alone."""
    owner, organization = await site.register("owner@example.com")
    ann = await site.invite(owner, organization, "ann@example.com", "member")
    bob = await site.invite(owner, organization, "bob@example.com", "member")
    return ann, bob


async def test_a_user_does_not_go_on_from_what_others_said(two):
    ann, bob = two
    said = (await ann.ask("POST", THEIRS, {"model": "stage", "input": "My secret."})).json()
    for asked in (
        {"previous_response_id": said["id"], "input": "Go on."},
        {"input": [{"type": "item_reference", "id": said["output"][0]["id"]}, {"role": "user", "content": "Go on."}]},
    ):
        assert (await ann.ask("POST", THEIRS, {"model": "stage", **asked})).status_code == 200
        refused = await bob.ask("POST", THEIRS, {"model": "stage", **asked})
        unknown = await bob.ask("POST", THEIRS, {"model": "stage", **_renamed(asked)})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, unknown.json()["error"]["code"])
    assert (await bob.ask("GET", f"{THEIRS}/{said['id']}")).status_code == 404


async def test_a_user_does_not_write_into_the_threads_of_others(two):
    ann, bob = two
    said = (await ann.ask("POST", OURS, {"inputs": "My secret."})).json()
    refused = await bob.ask("POST", OURS, {"inputs": "What was it?", "thread": said["thread"]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "thread")
    assert (await bob.ask("GET", f"/v1/threads/{said['thread']}/messages")).status_code == 404
    assert (await bob.ask("GET", "/v1/threads")).json()["data"] == []


async def test_a_thread_is_bound_to_no_assistant_that_its_user_may_not_use(two):
    ann, bob = two
    private = (await ann.ask("POST", "/v1/assistants", {"name": "Mine", "access_mode": "private"})).json()["id"]
    thread = (await bob.ask("POST", "/v1/threads", {})).json()["id"]
    for method, path in (("POST", "/v1/threads"), ("PATCH", f"/v1/threads/{thread}")):
        assert (await ann.ask("POST", "/v1/threads", {"assistant_id": private})).status_code == 201
        refused = await bob.ask(method, path, {"assistant_id": private})
        unknown = await bob.ask(method, path, {"assistant_id": "asst_none"})
        assert refused.status_code == unknown.status_code == 404
        told = refused.json()["error"]
        assert (told["code"], told["param"]) == ("assistant_not_found", "assistant_id")
        assert refused.text.replace(private, "asst_none") == unknown.text


@promise(17)
@promise(31)
async def test_rules_are_disabled_with_a_key_only(site):
    owner, organization = await site.register("owner@example.com")
    refused = await owner.ask("POST", OURS, {"inputs": "Hi", "disable_rules": True})
    told = refused.json()["error"]
    assert (refused.status_code, told["code"], told["param"]) == (403, "insufficient_permissions", "disable_rules")
    made = await owner.ask("POST", f"/v1/organizations/{organization}/api-keys", {"key_name": "program"})
    by_key = await site.ask("POST", OURS, {"inputs": "Hi", "disable_rules": True}, key=made.json()["key"])
    assert by_key.status_code == 200


def _renamed(asked):
    return {
        name: value
        if name == "input" and isinstance(value, str)
        else "resp_none"
        if isinstance(value, str)
        else [{"type": "item_reference", "id": "msg_none"}, *value[1:]]
        for name, value in asked.items()
    }


async def test_what_a_rule_is_attached_to_is_in_the_audit_log(site):
    owner, organization = await site.register("owner@example.com")
    rule = (await owner.ask("POST", "/v1/rules", {"name": "Cite", "content": "Cite your sources."})).json()
    place = f"/v1/rules/{rule['id']}/attachments"
    made = await owner.ask("POST", place, {"entity_type": "organization", "entity_id": organization, "priority": 70})
    assert made.status_code in (200, 201)
    await owner.ask("PUT", f"{place}/organization/{organization}", {"priority": 90})
    await owner.ask("DELETE", f"{place}/organization/{organization}")
    log = (await owner.ask("GET", f"/v1/organizations/{organization}/audit-log")).json()
    told = [entry for entry in log["data"] if entry["resource_id"] == rule["id"]]
    assert [entry["action"] for entry in told] == [
        "rule.detach",
        "rule.update_attachment",
        "rule.attach",
        "rule.create",
    ]
    assert "Cite your sources." not in str(log)
