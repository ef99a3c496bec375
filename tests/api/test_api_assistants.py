"""Assistants over HTTP: kept in versions, and heard by models."""

import json

import pytest
from gateway import spelled

import freddy
from freddy.server.accounts import development
from promises import promise
from upstream import Answer, text

PATH = "/v1/assistants"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


async def made(gateway, *, key=None, **fields):
    who = {} if key is None else {"key": key}
    reply = await gateway.post(PATH, {"name": "Fox", **fields}, **who)
    assert reply.status_code == 201, reply.text
    return reply.json()


async def listed(gateway, **query):
    reply = await gateway.http().get(PATH, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def error(reply, status):
    assert reply.status_code == status, reply.text
    return reply.json()["error"]


async def test_an_assistant_is_made_got_changed_listed_and_deleted(gateway):
    assistant = await made(gateway, instructions="Be kind.", temperature=0.3, icon_id="icon_1")
    assert assistant["id"].startswith("asst_")
    assert (assistant["instructions"], assistant["temperature"], assistant["version"]) == ("Be kind.", 0.3, 1)
    path = f"{PATH}/{assistant['id']}"
    assert (await gateway.get(path)).json() == assistant

    put = (await gateway.http().put(path, json={"temperature": 0.5})).json()
    patched = (await gateway.http().patch(path, json={"iconId": None, "expected_version": 2})).json()
    assert (put["version"], put["temperature"], put["instructions"]) == (2, 0.5, "Be kind.")
    assert patched == put | {"version": 3, "icon_id": None, "updated_at": patched["updated_at"]}

    page = await listed(gateway, fields="full")
    assert page["assistants"] == [patched]
    assert page["total"] == 1

    gone = await gateway.delete(path)
    assert gone.json() == {"id": assistant["id"], "object": "assistant.deleted", "deleted": True}
    assert error(await gateway.get(path), 404)["param"] == "assistant_id"
    assert error(await gateway.delete(path), 404)["message"] == f"There is no assistant {assistant['id']!r}"


@promise(24)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_gets_everything_from_its_assistant(gateway, upstream, streamed):
    assistant = await made(
        gateway,
        model="gpt-4o",
        instructions="Be kind.",
        system_message=["You are a fox."],
        temperature=0.3,
        top_p=0.4,
        max_completion_tokens=77,
        stop_sequences=["END"],
        seed=5,
        metadata={"team": "tea"},
    )
    ask = gateway.told if streamed else gateway.ask
    answer = await ask("freddy", assistant_id=assistant["id"])
    response = answer.last["response"] if streamed else answer
    assert (response["temperature"], response["top_p"], response["max_output_synapses"]) == (0.3, 0.4, 77)
    assert response["assistant_id"] == assistant["id"]
    body = upstream.last.body
    assert body["model"] == "gpt-4o"
    assert (body["temperature"], body["top_p"], body["seed"], body["stop"]) == (0.3, 0.4, 5, ["END"])
    assert 77 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert upstream.last.messages == [("system", "You are a fox.\n\nBe kind."), ("user", "Hi")]


@promise(24)
async def test_what_the_request_says_takes_the_place_of_what_its_assistant_says(gateway, upstream):
    assistant = await made(gateway, model="gpt-4o", instructions="Be kind.", temperature=0.3, seed=5)
    response = await gateway.ask(
        "freddy", assistant_id=assistant["id"], model="gpt-5", instructions="Be brief.", temperature=1
    )
    assert response["temperature"] == 1.0
    assert (upstream.last.body["model"], upstream.last.body["seed"]) == ("gpt-5", 5)
    assert upstream.last.messages == [("system", "Be brief."), ("user", "Hi")]


@promise(25)
async def test_with_an_assistant_neither_model_nor_system_message_is_needed(gateway, upstream):
    assistant = await made(gateway, default_model_key="gpt-4o", instructions="You are a fox.")
    reply = await gateway.post("/v1/model/response", {"assistant_id": assistant["id"], "inputs": "Who are you?"})
    assert reply.status_code == 200, reply.text
    assert upstream.last.body["model"] == "gpt-4o"
    assert upstream.last.messages == [("system", "You are a fox."), ("user", "Who are you?")]


async def test_an_assistant_without_a_model_leaves_the_usual_one(gateway):
    assistant = await made(gateway)
    usual = await gateway.ask("freddy")
    assert (await gateway.ask("freddy", assistant_id=assistant["id"]))["model"] == usual["model"]


async def test_an_assistant_may_want_json_of_a_schema(gateway, upstream):
    assistant = await made(gateway, output_mode="json_schema", json_schemas=[{"id": "a", "schema": SCHEMA}])
    upstream.says(Answer(text('{"a": 1}')))
    response = await gateway.ask("freddy", assistant_id=assistant["id"])
    assert json.loads(response["response"]) == {"a": 1}
    assert upstream.last.body["response_format"]["type"] == "json_schema"
    upstream.says(Answer(text("plain")))
    plain = await gateway.ask("freddy", assistant_id=assistant["id"], output_mode="text")
    assert plain["response"] == "plain"


async def test_an_assistant_may_keep_nothing(gateway):
    assistant = await made(gateway, store_responses=False)
    response = await gateway.ask("freddy", assistant_id=assistant["id"])
    assert response["thread"] is None
    assert (await gateway.get(f"/v1/model/response/{response['id']}")).status_code == 404
    kept = await gateway.ask("freddy", assistant_id=assistant["id"], store=True)
    assert (await gateway.get(f"/v1/model/response/{kept['id']}")).status_code == 200


async def test_a_change_is_heard_from_the_next_request_on(gateway, upstream):
    assistant = await made(gateway, instructions="First.")
    await gateway.ask("freddy", assistant_id=assistant["id"])
    await gateway.http().patch(f"{PATH}/{assistant['id']}", json={"instructions": "Second."})
    await gateway.ask("freddy", assistant_id=assistant["id"])
    assert upstream.last.messages[0] == ("system", "Second.")


async def test_a_thread_goes_on_with_its_assistant_and_without_it_when_it_is_gone(gateway, upstream):
    assistant = await made(gateway, instructions="Be kind.")
    first = await gateway.ask("freddy", assistant_id=assistant["id"], thread="t")
    assert first["assistant_id"] == assistant["id"]
    second = await gateway.ask("freddy", thread="t")
    assert second["assistant_id"] == assistant["id"]
    assert upstream.last.messages[0] == ("system", "Be kind.")
    await gateway.delete(f"{PATH}/{assistant['id']}")
    third = await gateway.ask("freddy", thread="t")
    assert third["assistant_id"] is None
    assert upstream.last.messages[0] == ("user", "Hi")
    (warning,) = third["warnings"]
    assert "without the assistant of its thread" in warning


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_assistant_that_is_not_there_is_404(gateway, streamed):
    path, body = spelled("freddy", assistant_id="asst_unknown", stream=streamed)
    failure = error(await gateway.post(path, body), 404)
    assert (failure["param"], failure["code"]) == ("assistant_id", "assistant_not_found")


async def test_an_assistant_that_is_not_active_is_404_and_says_so(gateway):
    assistant = await made(gateway, is_active=False)
    failure = error(await gateway.post(*spelled("freddy", assistant_id=assistant["id"])), 404)
    assert "not active" in failure["message"]
    assert (await listed(gateway))["total"] == 0
    assert (await listed(gateway, include_inactive="true"))["total"] == 1


async def test_another_organizations_assistant_is_as_unknown_as_an_unknown_one(gateway):
    minted = await gateway.mint("org_other")
    theirs = await made(gateway, key=minted.secret)
    path = f"{PATH}/{theirs['id']}"
    unknown = f"{PATH}/asst_{'0' * 28}"
    for method, more in (("get", {}), ("patch", {"json": {"name": "Mine"}}), ("put", {"json": {}}), ("delete", {})):
        one, other = [await getattr(gateway.http(), method)(each, **more) for each in (path, unknown)]
        assert one.status_code == other.status_code == 404
        assert one.json()["error"]["message"].replace(theirs["id"], "") == other.json()["error"]["message"].replace(
            f"asst_{'0' * 28}", ""
        )
    assert (await gateway.get(path + "/history")).status_code == 404
    assert (await gateway.post(*spelled("freddy", assistant_id=theirs["id"]))).status_code == 404
    assert (await gateway.get(path, key=minted.secret)).json() == theirs


async def test_scopes_say_who_reads_and_who_writes(gateway):
    reader = (await gateway.mint("org_a", scopes=("assistants:read",))).secret
    writer = (await gateway.mint("org_a", scopes=("assistants:write",))).secret
    assistant = await made(gateway, key=writer)
    path = f"{PATH}/{assistant['id']}"
    assert (await gateway.get(path, key=reader)).status_code == 200
    assert (await gateway.get(path, key=writer)).status_code == 403
    assert (await gateway.post(PATH, {"name": "N"}, key=reader)).status_code == 403
    assert (await gateway.http(reader).patch(path, json={})).status_code == 403
    assert (await gateway.delete(path, key=reader)).status_code == 403
    assert (await gateway.get(path + "/history", key=reader)).status_code == 200


async def test_an_organization_out_of_reach_is_403(gateway):
    for reply in (
        await gateway.post(PATH, {"name": "N", "organization_id": "org_elsewhere"}),
        await gateway.get(f"{PATH}?organization_id=org_elsewhere"),
    ):
        assert error(reply, 403)["param"] == "organization_id"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "name"),
        ({"name": "N", "temperature": 3}, 422, "temperature"),
        ({"name": "N", "instruction": "x"}, 400, "instruction"),
        ({"name": "N", "instructions": "x" * 5_001}, 422, "instructions"),
        ({"name": "N", "rule_ids": ["rule_x"]}, 404, "rule_ids[0]"),
        ([], 400, None),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_made(gateway, body, status, param):
    assert error(await gateway.post(PATH, body), status).get("param") == param
    assert (await listed(gateway))["total"] == 0


async def test_two_who_change_the_same_version_do_not_overwrite_each_other(gateway):
    assistant = await made(gateway)
    path = f"{PATH}/{assistant['id']}"
    first = await gateway.http().patch(path, json={"name": "A", "expected_version": 1})
    second = await gateway.http().patch(path, json={"name": "B", "expected_version": 1})
    assert first.status_code == 200
    assert error(second, 409)["param"] == "expected_version"
    assert (await gateway.get(path)).json()["name"] == "A"


async def test_the_history_tells_who_changed_what(gateway):
    assistant = await made(gateway, temperature=0.1)
    path = f"{PATH}/{assistant['id']}"
    await gateway.http().patch(path, json={"temperature": 0.2, "name": "Vixen"})
    await gateway.http().patch(path, json={"temperature": 0.2})
    told = (await gateway.get(path + "/history")).json()
    assert told["pagination"] == {"total": 2, "limit": 20, "offset": 0, "has_more": False}
    newest, oldest = told["audit_logs"]
    assert (newest["action"], newest["metadata"], oldest["action"]) == ("updated", {"version": 2}, "created")
    assert newest["user_id"] == oldest["user_id"] == assistant["created_by"]
    assert newest["changes"] == [
        {"field": "name", "old_value": "Fox", "new_value": "Vixen"},
        {"field": "temperature", "old_value": 0.1, "new_value": 0.2},
    ]

    async def count(**query):
        return len((await gateway.http().get(path + "/history", params=query)).json()["audit_logs"])

    assert await count(action="created") == await count(limit=1) == await count(offset=1) == 1
    assert await count(user_id=assistant["created_by"]) == 2
    assert await count(user_id="usr_nobody") == await count(end_date="2001-01-01") == 0
    assert await count(start_date="2001-01-01T00:00:00Z") == 2
    wrong = await gateway.http().get(path + "/history", params={"start_date": "yesterday"})
    assert error(wrong, 422)["param"] == "start_date"


async def test_a_list_is_searched_sorted_and_paged(gateway):
    for name in ("beta", "Alpha", "gamma"):
        await made(
            gateway, name=name, description=f"{name} tea", access_mode="private" if name == "gamma" else "public"
        )
    page = await listed(gateway, sort_by="name", sort_order="asc", limit=2, search="tea")
    assert [one["name"] for one in page["assistants"]] == ["Alpha", "beta"]
    assert page["pagination"] == {"total": 3, "limit": 2, "offset": 0, "has_more": True}
    assert page["filters_applied"] == {
        "search": "tea",
        "access_mode": None,
        "include_inactive": False,
        "sort_by": "name",
        "sort_order": "asc",
    }
    rest = await listed(gateway, sort_by="name", sort_order="asc", limit=2, page=2)
    assert [one["name"] for one in rest["assistants"]] == ["gamma"]
    assert rest["pagination"]["has_more"] is False
    assert [one["name"] for one in (await listed(gateway, access_mode="private"))["assistants"]] == ["gamma"]
    assert "default_model_key" not in (await listed(gateway, fields="summary"))["assistants"][0]
    assert "default_model_key" in (await listed(gateway))["assistants"][0]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"offset": -1}, "offset"),
        ({"page": 0}, "page"),
        ({"sort_by": "size"}, "sort_by"),
        ({"sort_order": "up"}, "sort_order"),
        ({"fields": "all"}, "fields"),
        ({"access_mode": "secret"}, "access_mode"),
        ({"include_inactive": "perhaps"}, "include_inactive"),
    ],
)
async def test_a_query_that_makes_no_sense_names_its_parameter(gateway, query, param):
    assert error(await gateway.http().get(PATH, params=query), 422)["param"] == param


async def test_an_assistant_survives_a_restart(opened):
    gateway = await opened()
    assistant = await made(gateway, instructions="Be kind.")
    gateway = await opened()
    assert (await gateway.get(f"{PATH}/{assistant['id']}")).json() == assistant


async def test_models_of_providers_that_an_assistant_does_not_allow_are_refused(gateway, upstream):
    assistant = await made(gateway, allowed_model_providers=["elsewhere"])
    failure = error(await gateway.post(*spelled("freddy", assistant_id=assistant["id"], model="gpt-4o")), 403)
    assert (failure["param"], failure["details"]) == ("model", "ask for a model of elsewhere")
    assert "'gpt-4o'" in failure["message"]
    await gateway.http().patch(f"{PATH}/{assistant['id']}", json={"allowed_model_providers": ["elsewhere", "stage"]})
    await gateway.ask("freddy", assistant_id=assistant["id"], model="gpt-4o")


async def test_the_client_keeps_assistants(gateway, upstream):
    client = gateway.freddy()
    fox = await client.assistants.create("Fox", model="gpt-4o", instructions="Be kind.", metadata={"a": "b"}, seed=3)
    assert (fox.name, fox.default_model_key, fox.metadata, fox.seed) == ("Fox", "gpt-4o", {"a": "b"}, 3)
    assert await client.assistants.get(fox.id) == fox
    vixen = await client.assistants.update(fox.id, name="Vixen", instructions=None, expected_version=1)
    assert (vixen.name, vixen.instructions, vixen.version, vixen.default_model_key) == ("Vixen", None, 2, "gpt-4o")
    with pytest.raises(freddy.ConflictError):
        await client.assistants.update(fox.id, name="Late", expected_version=1)
    await client.responses.create(inputs="Hi", assistant_id=fox.id)
    assert upstream.last.body["model"] == "gpt-4o"
    history = await client.assistants.history(fox.id, limit=1)
    assert [version.metadata["version"] async for version in history] == [2, 1]
    assert history.data[0].changes[0].field == "instructions"
    assert (await client.assistants.delete(fox.id)).deleted
    with pytest.raises(freddy.NotFoundError):
        await client.assistants.get(fox.id)


async def test_the_client_goes_through_all_pages_of_a_list(gateway):
    client = gateway.freddy()
    for number in range(5):
        await client.assistants.create(f"N{number}", is_active=number != 4)
    page = await client.assistants.list(limit=2, sort_by="name", sort_order="asc", fields="summary")
    assert [one.name for one in page.data] == ["N0", "N1"]
    assert [one.name async for one in page] == ["N0", "N1", "N2", "N3"]
    assert [one.name async for one in await client.assistants.list(search="n4", include_inactive=True)] == ["N4"]
    assert [one.name async for one in await client.assistants.list(search="nothing")] == []


async def test_an_organizations_defaults_hold_where_nobody_says_otherwise(gateway, upstream):
    organization = f"/v1/organizations/{development.ORGANIZATIONS[0]}"
    defaults = {"model": "gpt-4o", "instructions": "Be kind.", "temperature": 0.3, "seed": 4}
    told = await gateway.http().patch(organization, json={"defaults": defaults})
    assert told.status_code == 200, told.text
    assert told.json()["defaults"]["default_model_key"] == "gpt-4o"
    assert (await gateway.get(organization)).json()["defaults"] == told.json()["defaults"]

    await gateway.ask("freddy")
    body = upstream.last.body
    assert (body["model"], body["temperature"], body["seed"]) == ("gpt-4o", 0.3, 4)
    assert upstream.last.messages[0] == ("system", "Be kind.")

    assistant = await made(gateway, instructions="Be a fox.", temperature=0.1)
    await gateway.ask("freddy", assistant_id=assistant["id"], seed=5)
    body = upstream.last.body
    assert (body["model"], body["temperature"], body["seed"]) == ("gpt-4o", 0.1, 5)
    assert upstream.last.messages[0] == ("system", "Be a fox.")

    await gateway.ask("openai", model="gpt-5")
    assert (upstream.last.body["model"], upstream.last.body["temperature"]) == ("gpt-5", 0.3)

    wrong = await gateway.http().patch(organization, json={"defaults": {"temperature": 3}})
    assert error(wrong, 422)["param"] == "defaults.temperature"
    await gateway.http().patch(organization, json={"name": "Local"})
    assert (await gateway.get(organization)).json()["defaults"] == told.json()["defaults"]
    await gateway.http().patch(organization, json={"defaults": None})
    await gateway.ask("freddy")
    assert "seed" not in upstream.last.body


async def test_other_organizations_have_other_defaults(gateway, upstream):
    organization = f"/v1/organizations/{development.ORGANIZATIONS[0]}"
    await gateway.http().patch(organization, json={"defaults": {"seed": 4}})
    minted = await gateway.mint("org_other")
    await gateway.post(*spelled("freddy"), key=minted.secret)
    assert "seed" not in upstream.last.body


async def test_the_assistant_of_the_examples_is_there_in_development_mode_alone(gateway, upstream):
    body = {"organization_id": "org_your_org_id", "assistant_id": "asst_abc123", "inputs": "Hello!"}
    reply = await gateway.post("/v1/model/response", body, key="your-api-key")
    assert reply.status_code == 200, reply.text
    assert upstream.last.messages[0][0] == "system"
    again = await gateway.post("/v1/model/response", {**body, "thread": reply.json()["thread"]}, key="your-api-key")
    assert again.status_code == 200, again.text
    minted = await gateway.mint("org_real")
    missing = await gateway.post(*spelled("freddy", assistant_id="asst_abc123"), key=minted.secret)
    assert error(missing, 404)["param"] == "assistant_id"
