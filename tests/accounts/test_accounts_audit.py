"""What is configured is told in the log, too: by how much it changed, never by its words."""

SECRET = "Never say the word Rumpelstiltskin"


async def test_assistants_rules_and_prompts_are_told_without_their_texts(site):
    ann, organization = await site.register("ann@example.com")
    made = (
        await ann.ask("POST", "/v1/assistants", {"name": "Helper", "instructions": SECRET, "temperature": 0.5})
    ).json()
    await ann.ask("PATCH", f"/v1/assistants/{made['id']}", {"instructions": SECRET + "!", "temperature": 0.25})
    await ann.ask("DELETE", f"/v1/assistants/{made['id']}")
    rule = await ann.ask("POST", "/v1/rules", {"name": "Tone", "content": SECRET, "category": "tone"})
    prompt = await ann.ask("POST", "/v1/prompts", {"name": "Hello", "description": SECRET, "content": SECRET})
    assert (rule.status_code, prompt.status_code) == (201, 201)
    reply = await ann.ask("GET", f"/v1/organizations/{organization}/audit-log?order=asc")
    told = reply.json()["data"]
    assert [one["action"] for one in told] == [
        "user.register",
        "assistant.create",
        "assistant.update",
        "assistant.delete",
        "rule.create",
        "prompt.create",
    ]
    assert {one["actor_id"] for one in told} == {ann.id}
    assert "Rumpelstiltskin" not in reply.text
    assert (told[1]["resource_id"], told[1]["resource_name"]) == (made["id"], "Helper")
    assert {"field": "name", "old_value": None, "new_value": "Helper"} in told[1]["changes"]
    changed = {one["field"] for one in told[2]["changes"]}
    assert changed
    assert len(told[4]["changes"]) >= 2


async def test_keys_for_upstreams_are_told_without_the_key(site):
    ann, organization = await site.register("ann@example.com")
    path = f"/v1/organizations/{organization}/provider-keys/stage"
    assert (await ann.ask("PUT", path, {"key": "sk-vendor-0123456789-wxyz"})).status_code == 200
    assert (await ann.ask("DELETE", path)).status_code == 200
    reply = await ann.ask("GET", f"/v1/organizations/{organization}/audit-log?resource_type=provider_key")
    assert [one["action"] for one in reply.json()["data"]] == ["provider_key.delete", "provider_key.put"]
    assert "wxyz" not in reply.text
