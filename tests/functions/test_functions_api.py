"""/v1/functions behind the doors of a whole server, and by the client."""

import logging
from pathlib import Path

import pytest
from functions_stage import PARAMETERS, TOKEN, FunctionServer, reply, verified
from gateway import Gateway

import freddy
from freddy.server.world import SystemClock

PATH = "/v1/functions"
URL = "http://127.0.0.1:9/stock"


def content(home: Path) -> bytes:
    """Of all files there."""
    return b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())


async def made(gateway: Gateway, **changes: object) -> dict:
    body = {"name": "stock_of", "description": "Stock", "parameters": PARAMETERS, "url": URL, **changes}
    answer = await gateway.post(PATH, body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_function_is_told_as_it_is_kept_and_its_secret_once(gateway):
    function = await made(
        gateway,
        headers={"Authorization": TOKEN},
        timeoutSeconds=5,
        requireApproval=True,
        metadata={"team": "a"},
    )
    assert function == {
        "id": function["id"],
        "object": "function",
        "organization_id": function["organization_id"],
        "name": "stock_of",
        "description": "Stock",
        "parameters": PARAMETERS,
        "url": URL,
        "headers": {"Authorization": "***REDACTED***"},
        "timeout_seconds": 5,
        "require_approval": True,
        "idempotent": True,
        "enabled": True,
        "metadata": {"team": "a"},
        "secret": function["secret"],
        "previous_secret_until": None,
        "version": 1,
        "created_at": function["created_at"],
        "updated_at": function["created_at"],
        "created_by": function["created_by"],
    }
    assert function["id"].startswith("func_")
    assert function.pop("secret").startswith("whsec_")
    assert (await gateway.get(f"{PATH}/{function['id']}")).json() == function
    listed = (await gateway.get(PATH)).json()
    assert (listed["data"], listed["total_count"], listed["has_more"]) == ([function], 1, False)


async def test_what_the_server_told_can_be_sent_back(gateway):
    function = await made(gateway, headers={"Authorization": TOKEN})
    answer = await gateway.http().put(f"{PATH}/{function['id']}", json=function)
    assert answer.status_code == 200, answer.text
    function.pop("secret")
    assert answer.json() == function


async def test_a_change_makes_a_version_and_a_replacement_forgets(gateway):
    function = await made(gateway, headers={"Authorization": TOKEN}, metadata={"a": "b"})
    where = f"{PATH}/{function['id']}"
    changed = (await gateway.http().patch(where, json={"enabled": False, "expected_version": 1})).json()
    assert (changed["version"], changed["enabled"], changed["metadata"]) == (2, False, {"a": "b"})
    assert (await gateway.http().patch(where, json={"enabled": True, "expected_version": 1})).status_code == 409
    replaced = (await gateway.http().put(where, json={"name": "stock_of", "url": URL})).json()
    assert (replaced["version"], replaced["enabled"], replaced["metadata"]) == (3, True, {})
    assert (replaced["headers"], replaced["description"], replaced["timeout_seconds"]) == ({}, None, 30)
    assert replaced["parameters"] == {"type": "object", "properties": {}}
    assert (await gateway.delete(where)).json() == {"id": function["id"], "object": "function.deleted", "deleted": True}
    assert (await gateway.get(where)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"name": "get_cities"}, 422, "name"),
        ({"name": "1st"}, 422, "name"),
        ({"name": "with space"}, 422, "name"),
        ({"name": "x" * 65}, 422, "name"),
        ({"name": None}, 422, "name"),
        ({"url": "http://10.0.0.1/"}, 422, "url"),
        ({"url": "ftp://example.com/"}, 422, "url"),
        ({"url": "http://user:password@example.com/"}, 422, "url"),
        ({"url": 3}, 422, "url"),
        ({"parameters": []}, 422, "parameters"),
        ({"parameters": {"type": "string"}}, 422, "parameters"),
        ({"headers": {"a": 1}}, 422, "headers.a"),
        ({"timeout_seconds": 0}, 422, "timeout_seconds"),
        ({"timeout_seconds": 301}, 422, "timeout_seconds"),
        ({"enabled": "yes"}, 422, "enabled"),
        ({"descriptoin": "x"}, 400, "descriptoin"),
        ({"description": "x" * 2001}, 422, "description"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(gateway, changes, status, param):
    answer = await gateway.post(PATH, {"name": "stock_of", "url": URL, **changes})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


async def test_a_name_and_an_address_are_needed(gateway):
    for body, param in (({"url": URL}, "name"), ({"name": "a"}, "url")):
        answer = await gateway.post(PATH, body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_taken_name_is_a_conflict(gateway):
    await made(gateway)
    answer = await gateway.post(PATH, {"name": "stock_of", "url": URL})
    assert (answer.status_code, answer.json()["error"]["param"]) == (409, "name")


async def test_a_function_can_be_tried(gateway, server: FunctionServer):
    function = await made(gateway, url=server.url, enabled=False)
    where = f"{PATH}/{function['id']}/test"
    tried = (await gateway.post(where, {"arguments": {"article": "A-17"}})).json()
    assert tried.pop("duration_ms") >= 0
    assert tried == {"object": "function.test", "success": True, "output": "42 pieces", "error": None}
    [heard] = server.heard
    assert verified(function["secret"], heard.headers, heard.body, now=SystemClock().now())
    assert heard.told["response_id"] is None
    server.answers = [reply({"error": "no such article"}, status=404)]
    tried = (await gateway.post(where, {"arguments": {"article": "A-18"}})).json()
    assert (tried["success"], tried["output"]) == (False, None)
    assert tried["error"] == "the function stock_of answered with status 404: no such article"
    refused = await gateway.post(where, {"arguments": {"colour": "red"}})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "arguments")
    assert len(server.heard) == 2


async def test_a_secret_is_rotated(gateway):
    function = await made(gateway)
    where = f"{PATH}/{function['id']}/rotate-secret"
    first = (await gateway.post(where, {})).json()
    assert first["secret"] != function["secret"]
    assert first["previous_secret_until"] - first["updated_at"] in range(86_395, 86_406)
    second = (await gateway.post(where, {"overlap_seconds": 0})).json()
    assert second["previous_secret_until"] is None
    assert (await gateway.post(where, {"overlap_seconds": -1})).status_code == 422


async def test_a_list_is_told_page_by_page_and_searched(gateway):
    for name in ("alpha", "beta", "gamma"):
        await made(gateway, name=name, description=f"The {name} one")
    page = (await gateway.get(f"{PATH}?limit=2&order=asc")).json()
    assert ([one["name"] for one in page["data"]], page["has_more"]) == (["alpha", "beta"], True)
    rest = (await gateway.get(f"{PATH}?limit=2&order=asc&after={page['last_id']}")).json()
    assert [one["name"] for one in rest["data"]] == ["gamma"]
    found = (await gateway.get(f"{PATH}?search=BETA%20one")).json()
    assert [one["name"] for one in found["data"]] == ["beta"]


async def test_other_organizations_see_nothing(closed: Gateway):
    ours = (await closed.mint("org_a")).secret
    theirs = (await closed.mint("org_b")).secret
    reader = (await closed.mint("org_a", scopes=["functions:read"])).secret
    function = (await closed.http(ours).post(PATH, json={"name": "stock_of", "url": "https://example.com/"})).json()
    where = f"{PATH}/{function['id']}"
    unknown = await closed.http(theirs).get(f"{PATH}/func_unknown")
    for method, path, body in (
        ("GET", where, None),
        ("PATCH", where, {"enabled": False}),
        ("PUT", where, {"name": "a", "url": "https://example.com/"}),
        ("DELETE", where, None),
        ("POST", where + "/test", {}),
        ("POST", where + "/rotate-secret", {}),
    ):
        answer = await closed.http(theirs).request(method, path, json=body)
        assert answer.status_code == unknown.status_code == 404
        error, expected = answer.json()["error"], unknown.json()["error"]
        assert error["code"] == expected["code"] == "function_not_found"
        assert error["message"].replace(function["id"], "func_unknown") == expected["message"]
    assert (await closed.http(theirs).get(PATH)).json()["data"] == []
    assert (await closed.http(reader).get(where)).status_code == 200
    assert (await closed.http(reader).patch(where, json={"enabled": False})).status_code == 403
    assert (await closed.http(None).get(where)).status_code == 401


async def test_secrets_are_in_no_answer_no_file_and_no_log(gateway, server, caplog, tmp_path: Path):
    caplog.set_level(logging.DEBUG)
    server.answers = [reply({"output": f"echo {TOKEN}"})]
    function = await made(gateway, url=server.url, headers={"Authorization": TOKEN})
    where = f"{PATH}/{function['id']}"
    rotated = (await gateway.post(f"{where}/rotate-secret", {})).json()
    audit = await gateway.get(f"/v1/organizations/{function['organization_id']}/audit-log")
    assert "function.create" in audit.text
    told = [
        (await gateway.get(where)).text,
        (await gateway.get(PATH)).text,
        (await gateway.http().patch(where, json={"description": "New"})).text,
        (await gateway.post(f"{where}/test", {"arguments": {"article": "A"}})).text,
        audit.text,
        caplog.text,
        repr([vars(record) for record in caplog.records]),
    ]
    assert server.heard[0].headers["authorization"] == TOKEN
    kept = content(tmp_path)
    assert function["id"].encode() in kept
    for secret in (TOKEN, function["secret"], rotated["secret"]):
        assert all(secret not in one for one in told)
        assert secret.encode() not in kept


async def test_the_client_registers_tries_and_deletes(gateway: Gateway, server: FunctionServer):
    client = gateway.freddy()
    function = await client.functions.create("stock_of", server.url, parameters=PARAMETERS, headers={"x-team": "a"})
    assert function.secret
    assert function.headers == {"x-team": "***REDACTED***"}
    assert (await client.functions.get(function.id)).secret is None
    tried = await client.functions.test(function.id, {"article": "A-17"})
    assert (tried.success, tried.output) == (True, "42 pieces")
    changed = await client.functions.update(function.id, description="Stock", expected_version=function.version)
    assert (changed.description, changed.version) == ("Stock", 2)
    rotated = await client.functions.rotate_secret(function.id, overlap_seconds=60)
    assert rotated.secret not in (None, function.secret)
    assert [one.name async for one in await client.functions.list(search="stock")] == ["stock_of"]
    assert (await client.functions.delete(function.id)).deleted
    with pytest.raises(freddy.NotFoundError):
        await client.functions.get(function.id)
