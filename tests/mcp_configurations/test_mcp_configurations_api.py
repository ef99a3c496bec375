"""MCP configurations over HTTP, behind the doors of a whole server: shapes, rights, and no secret anywhere."""

import json
import logging

import pytest
from gateway import serving, settings
from mcp_configurations_stage import HEADER, KEY, SECRETS, TOKEN, URL, TestedServers, served

from freddy.server.config import settings as parts
from freddy.server.core import errors
from people import Site
from upstream import Upstream

PATH = "/v1/mcp-configurations"
WIKI = {
    "name": "Wiki",
    "description": "All that we know",
    "serverUrl": URL,
    "transportType": "streamable_http",
    "authType": "bearer_token",
    "credentials": {"token": TOKEN},
    "headers": {"X-Team": HEADER},
    "toolConfiguration": {
        "allowedTools": {"include": ["search_*", "get_*"], "exclude": ["get_secret"]},
        "requireApproval": {"require": ["*_delete"], "allow": ["search_*"]},
    },
    "metadata": {"team": "a"},
}
HIDDEN = "***REDACTED***"


@pytest.fixture
def servers() -> TestedServers:
    return TestedServers()


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def gateway(upstream, servers, tmp_path):
    """In local development mode."""
    chosen = settings(tmp_path, upstream)
    async with serving(chosen, upstream) as gateway, served(gateway, servers):
        yield gateway


@pytest.fixture
async def closed(upstream, servers, tmp_path):
    """As it stands before the world: nobody gets in without a key, and people may register."""
    chosen = settings(
        tmp_path,
        upstream,
        dev=parts.Development(mode="off"),
        accounts=parts.Accounts(registration=True, password_cost=8),
    )
    async with serving(chosen, upstream) as gateway, served(gateway, servers):
        yield gateway


async def made(gateway, **changes) -> dict:
    reply = await gateway.post(PATH, {**WIKI, **changes})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def test_a_configuration_is_told_as_it_is_kept_but_for_its_secrets(gateway):
    told = await made(gateway)
    assert told == {
        "id": told["id"],
        "object": "mcp_configuration",
        "type": "custom",
        "organization_id": "org_local",
        "user_id": None,
        "name": "Wiki",
        "description": "All that we know",
        "server_url": URL,
        "program": None,
        "transport_type": "streamable_http",
        "auth_type": "bearer_token",
        "credentials": {"token": HIDDEN},
        "headers": {"X-Team": HIDDEN},
        "tool_configuration": {
            "enabled": True,
            "allowed_tools": {"include": ["search_*", "get_*"], "exclude": ["get_secret"]},
            "require_approval": {"require": ["*_delete"], "allow": ["search_*"]},
        },
        "enabled": True,
        "is_active": True,
        "metadata": {"team": "a"},
        "connection_status": "unknown",
        "last_connected_at": None,
        "error_message": None,
        "version": 1,
        "created_at": told["created_at"],
        "updated_at": told["created_at"],
        "created_by": told["created_by"],
    }
    assert (await gateway.get(f"{PATH}/{told['id']}")).json() == told
    assert (await gateway.get(PATH)).json() == {
        "object": "list",
        "configurations": [told],
        "total": 1,
        "pagination": {"total": 1, "limit": 100, "offset": 0, "has_more": False},
    }


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_what_is_told_can_be_sent_back(gateway, method):
    for told in (
        await made(gateway),
        await made(gateway, authType="api_key", credentials={"apiKey": KEY, "headerName": "X-Wiki-Key"}),
    ):
        reply = await gateway.http().request(method, f"{PATH}/{told['id']}", json=told)
        assert (reply.status_code, reply.json()) == (200, told)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_is_of_what_it_brings(gateway, method):
    told = await made(gateway)
    change = {"isActive": False, "tool_configuration": None, "description": None, "expectedVersion": 1}
    reply = await gateway.http().request(method, f"{PATH}/{told['id']}", json=change)
    after = reply.json()
    assert reply.status_code == 200
    assert after == told | {
        "enabled": False,
        "is_active": False,
        "description": None,
        "tool_configuration": {"enabled": True, "allowed_tools": None, "require_approval": None},
        "version": 2,
        "updated_at": after["updated_at"],
    }
    reply = await gateway.http().request(method, f"{PATH}/{told['id']}", json=change)
    assert (reply.status_code, reply.json()["error"]["param"]) == (409, "expected_version")


async def test_headers_may_stand_among_the_credentials(gateway):
    told = await made(gateway, headers=None, credentials={"token": TOKEN, "headers": {"X-Team": HEADER}})
    assert (told["credentials"], told["headers"]) == ({"token": HIDDEN}, {"X-Team": HIDDEN})
    both = {"credentials": {"token": HIDDEN, "headers": {"X-Team": HEADER}}, "headers": {}}
    reply = await gateway.http().patch(f"{PATH}/{told['id']}", json=both)
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "credentials.headers")


async def test_the_selection_of_tools_is_read_in_all_spellings(gateway):
    for tools in (
        {"allowed_tools": ["search"], "require_approval": "never"},
        {"allowedTools": {"tool_names": ["search"], "read_only": True}, "requireApproval": "always"},
        {"allowed_tools": {"exclude": ["delete*"]}, "require_approval": {"always": {"tool_names": ["a"]}}},
        {"require_approval": {"never": {"read_only": True}, "always": {"tool_names": ["a", "b"]}}},
        {"enabled": False},
    ):
        told = (await made(gateway, toolConfiguration=tools))["tool_configuration"]
        known = {"enabled": tools.get("enabled", True)} | {
            name: tools.get(name, tools.get(camel))
            for name, camel in (("allowed_tools", "allowedTools"), ("require_approval", "requireApproval"))
        }
        assert told == known


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"nam": "x"}, "nam"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"serverUrl": None}, "server_url"),
        ({"serverUrl": "gopher://mcp.example.com"}, "server_url"),
        ({"serverUrl": "stdio://rm"}, "program"),
        ({"serverUrl": "stdio://github", "program": "files"}, "program"),
        ({"program": "github"}, "program"),
        ({"transportType": "carrier_pigeon"}, "transportType"),
        ({"authType": "basic"}, "authType"),
        ({"credentials": "token"}, "credentials"),
        ({"credentials": {"tokn": TOKEN}}, "credentials.tokn"),
        ({"credentials": {"token": ["a"]}}, "credentials.token"),
        ({"credentials": {"token": HIDDEN}}, "credentials.token"),
        ({"headers": ["a"]}, "headers"),
        ({"headers": {"X-A": 3}}, "headers.X-A"),
        ({"toolConfiguration": []}, "toolConfiguration"),
        ({"toolConfiguration": {"allowedTools": "search"}}, "toolConfiguration.allowedTools"),
        ({"toolConfiguration": {"allowedTools": []}}, "toolConfiguration.allowedTools"),
        ({"toolConfiguration": {"allowed_tools": [""]}}, "toolConfiguration.allowed_tools"),
        ({"toolConfiguration": {"allowed_tools": [3]}}, "toolConfiguration.allowed_tools[0]"),
        ({"toolConfiguration": {"allowed_tools": {"includes": []}}}, "toolConfiguration.allowed_tools.includes"),
        ({"toolConfiguration": {"require_approval": "sometimes"}}, "toolConfiguration.require_approval"),
        ({"toolConfiguration": {"require_approval": {"require": "a"}}}, "toolConfiguration.require_approval.require"),
        ({"enabled": "yes"}, "enabled"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"expected_version": 0}, "expected_version"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_refused_by_its_name(gateway, changes, param):
    reply = await gateway.post(PATH, {**WIKI, **changes})
    assert (reply.status_code in (400, 422), reply.json()["error"]["param"]) == (True, param)
    assert not any(secret in reply.text for secret in SECRETS)


async def test_a_program_is_told_as_an_address_too(gateway):
    program = {"name": "GitHub", "program": "github"}
    for told in (
        (await gateway.post(PATH, program)).json(),
        (await gateway.post(PATH, {"name": "GitHub", "server_url": "stdio://github"})).json(),
    ):
        assert (told["server_url"], told["program"]) == ("stdio://github", "github")
        reply = await gateway.http().put(f"{PATH}/{told['id']}", json=told)
        assert (reply.status_code, reply.json()) == (200, told)


async def test_a_list_has_pages_and_filters(gateway):
    ids = [(await made(gateway, name=name, enabled=name != "Off"))["id"] for name in ("First", "Off", "Third")]

    async def asked(**query) -> list[str]:
        reply = await gateway.http().get(PATH, params=query)
        assert reply.status_code == 200, reply.text
        return [one["id"] for one in reply.json()["configurations"]]

    assert await asked() == ids[::-1]
    assert await asked(limit=1, skip=1) == await asked(limit=1, offset=1) == [ids[1]]
    assert await asked(search="third KNOW") == [ids[2]]
    assert await asked(enabled="false") == await asked(is_active="false") == [ids[1]]
    assert await asked(type="custom") == ids[::-1]
    assert await asked(type="streamline") == []
    page = (await gateway.http().get(PATH, params={"limit": 2})).json()["pagination"]
    assert page == {"total": 3, "limit": 2, "offset": 0, "has_more": True}
    for query, param in (({"limit": 0}, "limit"), ({"skip": -1}, "skip"), ({"type": "mine"}, "type")):
        reply = await gateway.http().get(PATH, params=query)
        assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)


async def test_a_test_tells_the_tools_or_why_there_are_none(gateway, servers):
    told = await made(gateway)
    one = f"{PATH}/{told['id']}"
    reply = await gateway.post(f"{one}/test")
    assert (reply.status_code, reply.json()) == (
        200,
        {
            "success": True,
            "status": "connected",
            "message": "The server was reached, and offers 2 tools",
            "available_tools": ["search", "delete"],
        },
    )
    known = (await gateway.get(one)).json()
    assert (known["connection_status"], known["error_message"]) == ("connected", None)
    assert isinstance(known["last_connected_at"], int)
    servers.failure = errors.ToolFailed("Nobody is there")
    reply = await gateway.post(f"{one}/test")
    failed = {"success": False, "status": "error", "message": "Nobody is there", "available_tools": []}
    assert (reply.status_code, reply.json()) == (200, failed)
    known = (await gateway.get(one)).json()
    assert (known["connection_status"], known["error_message"]) == ("error", "Nobody is there")
    assert (await gateway.post(f"{PATH}/mcp_config_nowhere/test")).status_code == 404


async def test_one_that_is_deleted_is_gone(gateway):
    told = await made(gateway)
    one = f"{PATH}/{told['id']}"
    reply = await gateway.delete(one)
    assert reply.json() == {"id": told["id"], "object": "mcp_configuration.deleted", "deleted": True}
    for reply in (await gateway.get(one), await gateway.delete(one), await gateway.post(f"{one}/test")):
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "mcp_configuration_not_found")
        assert reply.json()["error"]["param"] == "configuration_id"
    assert (await gateway.get(PATH)).json()["total"] == 0


async def test_no_secret_is_in_an_answer_a_file_a_log_or_the_audit(closed, caplog):
    key = (await closed.mint("org_a")).secret
    told = []
    with caplog.at_level(logging.DEBUG):
        reply = await closed.post(PATH, WIKI, key=key)
        one = f"{PATH}/{reply.json()['id']}"
        told += [reply, await closed.get(one, key=key), await closed.get(PATH, key=key)]
        change = {"auth_type": "api_key", "credentials": {"api_key": KEY}}
        told += [await closed.http(key).patch(one, json=change), await closed.post(f"{one}/test", key=key)]
        elsewhere = {"server_url": "https://elsewhere.example.com"}
        told += [await closed.http(key).patch(one, json=elsewhere)]
        audit = await closed.get("/v1/organizations/org_a/audit-log", key=key)
        told += [audit, await closed.delete(one, key=key)]
    assert [reply.status_code for reply in told] == [201, 200, 200, 200, 200, 422, 200, 200]
    entries = [entry for entry in audit.json()["data"] if entry["resource_type"] == "mcp_configuration"]
    assert [entry["action"] for entry in entries] == ["mcp_configuration.update", "mcp_configuration.create"]
    logged = caplog.text + repr([vars(record) for record in caplog.records])
    database = closed.settings.store.database
    files = {path.name: path.read_bytes() for path in database.parent.glob(f"{database.name}*")}
    assert database.name in files
    for secret in SECRETS:
        assert not any(secret in reply.text for reply in told)
        assert secret not in logged
        assert not any(secret.encode() in content for content in files.values())


async def test_those_of_others_are_not_there(closed):
    ours, theirs = [(await closed.mint(name)).secret for name in ("org_ours", "org_theirs")]
    told = (await closed.post(PATH, WIKI, key=ours)).json()
    one = f"{PATH}/{told['id']}"
    stranger = closed.http(theirs)
    known = [
        await stranger.get(one),
        await stranger.patch(one, json={"name": "Mine"}),
        await stranger.delete(one),
        await stranger.post(f"{one}/test"),
    ]
    unknown = await stranger.get(f"{PATH}/{told['id'][:-1]}x")
    for reply in known:
        assert reply.status_code == unknown.status_code == 404
        assert reply.json()["error"] == unknown.json()["error"] | {
            "message": f"There is no mcp_configuration {told['id']!r}"
        }
    assert (await stranger.get(PATH)).json()["total"] == 0
    reply = await stranger.post(PATH, json=WIKI | {"organization_id": "org_ours"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (403, "organization_id")
    assert (await closed.get(one, key=ours)).json() == told


async def test_a_key_needs_the_scopes(closed):
    reader, nobody = [
        closed.http((await closed.mint("org_a", scopes=scopes)).secret) for scopes in (["mcp:read"], ["prompts:write"])
    ]
    writer = closed.http((await closed.mint("org_a")).secret)
    one = f"{PATH}/{(await writer.post(PATH, json=WIKI)).json()['id']}"
    assert [(await reader.get(path)).status_code for path in (PATH, one)] == [200, 200]
    for client in (reader, nobody):
        replies = [
            await client.post(PATH, json=WIKI),
            await client.patch(one, json={"name": "Mine"}),
            await client.delete(one),
            await client.post(f"{one}/test"),
        ]
        assert [reply.status_code for reply in replies] == [403] * 4
    assert [(await nobody.get(path)).status_code for path in (PATH, one)] == [403, 403]


async def test_members_make_their_own_and_viewers_only_look(closed):
    site = Site(closed)
    owner, organization = await site.register("ann@example.com")
    member = await site.invite(owner, organization, "bob@example.com", "member")
    viewer = await site.invite(owner, organization, "eve@example.com", "viewer")
    of_owner = (await owner.ask("POST", PATH, WIKI)).json()
    of_member = (await member.ask("POST", PATH, WIKI)).json()
    assert of_member["created_by"] == member.id
    for person in (member, viewer):
        assert (await person.ask("GET", PATH)).json()["total"] == 2
        reply = await person.ask("PATCH", f"{PATH}/{of_owner['id']}", {"name": "Mine"})
        assert reply.status_code == 403
    assert (await viewer.ask("POST", PATH, WIKI)).status_code == 403
    assert (await member.ask("POST", f"{PATH}/{of_owner['id']}/test")).json()["success"] is True
    assert (await member.ask("DELETE", f"{PATH}/{of_owner['id']}")).status_code == 403
    assert (await owner.ask("PATCH", f"{PATH}/{of_member['id']}", {"name": "Ours"})).json()["name"] == "Ours"
    assert (await member.ask("DELETE", f"{PATH}/{of_member['id']}")).status_code == 200


async def test_the_python_client_has_every_method(gateway):
    client = gateway.freddy().mcp_configurations
    kept = await client.create(
        "Wiki",
        server_url=URL,
        auth_type="api_key",
        credentials={"api_key": KEY},
        headers={"X-Team": HEADER},
        tool_configuration={"allowed_tools": ["search"], "require_approval": "never"},
        metadata={"team": "a"},
    )
    assert (kept.server_url, kept.headers) == (URL, {"X-Team": HIDDEN})
    assert kept.credentials == {"api_key": HIDDEN, "header_name": "X-API-Key"}
    assert kept.tool_configuration["allowed_tools"] == ["search"]
    changed = await client.update(kept.id, enabled=False, expected_version=1)
    assert (changed.version, changed.enabled, (await client.get(kept.id)).to_dict()) == (2, False, changed.to_dict())
    await client.create("GitHub", program="github")
    assert [one.name async for one in await client.list(limit=1)] == ["GitHub", "Wiki"]
    assert [one.name async for one in await client.list(enabled=False, search="wiki")] == ["Wiki"]
    tested = await client.test(kept.id)
    assert (tested.success, tested.status, tested.available_tools) == (True, "connected", ["search", "delete"])
    assert (await client.delete(kept.id)).deleted
    assert [one.name async for one in await client.list()] == ["GitHub"]


async def test_a_body_that_is_no_object_is_refused(gateway):
    for body in (b"[]", b"{", b'{"name":' + b"[" * 100_000, json.dumps({"metadata": "a"}).encode()):
        reply = await gateway.http().post(PATH, content=body, headers={"content-type": "application/json"})
        assert reply.status_code in (400, 422)
