"""Who gets in, where to, and what they see of others."""

import pytest
from gateway import DEV_KEY, spelled
from msgspec.structs import replace

from freddy.server.accounts import keys
from freddy.server.config import settings as parts
from freddy.server.core import errors
from freddy.server.core.accounts import SCOPES, Organization
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.engine import Database
from freddy_fakes import CountingIds, FixedClock
from promises import promise

ASK = {"inputs": "Hi"}
PATHS = ("/v1/model/response", "/v1/responses")


def refused(reply, path: str, message: str = "Invalid API key provided") -> None:
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    error = reply.json()["error"]
    assert error["message"].startswith(message)
    kind = "authentication_error" if path == PATHS[0] else "invalid_request_error"
    assert (error["type"], error["code"]) == (kind, "invalid_api_key")


@promise(13, 14, 15)
@pytest.mark.parametrize("path", PATHS)
async def test_a_key_gets_in_by_either_header(closed, path):
    minted = await closed.mint("org_a")
    body = {"inputs": "Hi"} if path == PATHS[0] else {"model": "stage", "input": "Hi"}
    for headers in (
        {"x-api-key": minted.secret},
        {"authorization": f"Bearer {minted.secret}"},
        {"authorization": f"bearer   {minted.secret}"},
        {"authorization": f"Bearer {minted.secret}", "x-api-key": minted.secret},
    ):
        reply = await closed.http(key=None).post(path, json=body, headers=headers)
        assert reply.status_code == 200, headers


@promise(7, 20, 256)
@pytest.mark.parametrize("path", PATHS)
async def test_without_a_key_that_holds_nobody_gets_in(closed, upstream, path):
    minted = await closed.mint("org_a")
    http = closed.http(key=None)
    refused(await http.post(path, json=ASK), path, "No API key provided")
    for headers in (
        {"authorization": "Bearer sk-frdy-unknown"},
        {"authorization": f"Basic {minted.secret}"},
        {"authorization": minted.secret},
        {"authorization": f"Bearer {minted.secret}x"},
        {"authorization": f"Bearer {minted.secret.upper()}"},
        {"authorization": f"Bearer {minted.key.prefix}"},
        {"x-api-key": "nobody"},
        {"x-api-key": "schlüssel".encode()},
    ):
        refused(await http.post(path, json=ASK, headers=headers), path)
    for headers in ({"authorization": "Bearer"}, {"x-api-key": ""}):
        refused(await http.post(path, json=ASK, headers=headers), path, "An empty API key was provided")
    assert upstream.calls == []


@pytest.mark.parametrize("path", PATHS)
async def test_two_different_keys_are_no_key(closed, path):
    ours, theirs = await closed.mint("org_a"), await closed.mint("org_b")
    headers = {"authorization": f"Bearer {ours.secret}", "x-api-key": theirs.secret}
    refused(await closed.http(key=None).post(path, json=ASK, headers=headers), path, "Two different API keys provided")


async def test_a_key_that_expired_or_was_revoked_does_not_hold(closed):
    expired = await closed.mint("org_a", expires_at=1_700_000_000)
    refused(await closed.post(PATHS[0], ASK, key=expired.secret), PATHS[0])
    revoked = await closed.mint("org_a")
    await closed.change(replace(revoked.key, revoked_at=1_700_000_000))
    refused(await closed.post(PATHS[0], ASK, key=revoked.secret), PATHS[0])
    lasting = await closed.mint("org_a", expires_at=4_000_000_000)
    assert (await closed.post(PATHS[0], ASK, key=lasting.secret)).status_code == 200


async def test_revoking_and_expiring_take_effect_while_the_server_runs(tmp_path):
    clock, ids = FixedClock(), CountingIds()
    async with Database(tmp_path / "freddy.db") as database:
        store = SqlAccounts(database)
        await store.add_organization(Organization(id="org_a", name="A", created_at=0))
        now = int(clock.now())
        minted = keys.mint("one", ["org_a"], clock=clock, ids_from=ids, expires_at=now + 100)
        await store.add_key(minted.key)
        verifier = keys.Verifier(store, clock=clock, seconds=5)
        assert (await verifier.verify(minted.secret)).organization_id == "org_a"
        await store.update_key(replace(minted.key, revoked_at=now))
        clock.advance(5)
        with pytest.raises(errors.NotAuthenticated):
            await verifier.verify(minted.secret)
        await store.update_key(minted.key)
        clock.advance(5)
        assert await verifier.verify(minted.secret)
        clock.advance(90)
        with pytest.raises(errors.NotAuthenticated):
            await verifier.verify(minted.secret)


async def test_only_the_beginning_of_a_secret_is_kept(closed):
    minted = await closed.mint("org_a")
    assert minted.secret.startswith("sk-frdy-")
    assert len(minted.secret) >= 48
    async with closed.accounts() as accounts:
        (kept,) = await accounts.list_keys("org_a")
    assert kept == minted.key
    assert minted.secret.startswith(kept.prefix)
    assert len(kept.prefix) == 12
    for file in closed.settings.home.rglob("*"):
        assert not (file.is_file() and minted.secret.encode() in file.read_bytes())


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("responses:write", "POST", "/v1/model/response"),
        ("responses:write", "POST", "/v1/responses"),
        ("responses:write", "POST", "/v1/responses/input_tokens"),
        ("responses:write", "POST", "/v1/responses/compact"),
        ("responses:write", "DELETE", "/v1/responses/resp_1"),
        ("responses:write", "POST", "/v1/model/response/resp_1/cancel"),
        ("responses:read", "GET", "/v1/model/response/resp_1"),
        ("responses:read", "GET", "/v1/responses/resp_1/input_items"),
        ("threads:write", "POST", "/v1/threads"),
        ("threads:write", "DELETE", "/v1/threads/t"),
        ("threads:read", "GET", "/v1/threads"),
        ("threads:read", "GET", "/v1/threads/t/messages"),
        ("models:read", "GET", "/v1/models"),
    ],
)
async def test_a_key_does_only_what_its_scopes_allow(closed, scope, method, path):
    lacking = await closed.mint("org_a", scopes=[one for one in SCOPES if one != scope])
    body = {"model": "stage", "input": "Hi"} if "responses" in path else {"inputs": "Hi"}
    if path == "/v1/threads":
        body = {}
    sent = {"json": body} if method == "POST" else {}
    reply = await closed.http(lacking.secret).request(method, path, **sent)
    assert reply.status_code == 403
    error = reply.json()["error"]
    assert error["code"] == "insufficient_permissions"
    assert scope in error["message"]
    alone = await closed.mint("org_a", scopes=[scope])
    assert (await closed.http(alone.secret).request(method, path, **sent)).status_code in (200, 201, 404)


@promise(21, 258)
async def test_an_organization_out_of_reach_is_refused(closed, upstream):
    ours = await closed.mint("org_a")
    await closed.mint("org_b")
    for name in ("org_b", "org_nowhere"):
        for spelling in ("organization_id", "organizationId"):
            reply = await closed.post(PATHS[0], {**ASK, spelling: name}, key=ours.secret)
            assert reply.status_code == 403
            assert reply.json()["error"] == {
                "message": "Organization access denied",
                "type": "permission_error",
                "code": "insufficient_permissions",
                "param": "organization_id",
            }
    assert upstream.calls == []


@promise(22, 23)
async def test_the_key_says_the_organization_and_the_request_may_choose_among_its_own(closed):
    one = await closed.mint("org_a")
    implied = (await closed.post(PATHS[0], ASK, key=one.secret)).json()
    named = (await closed.post(PATHS[0], {**ASK, "organization_id": "org_a"}, key=one.secret)).json()
    assert implied["organization_id"] == named["organization_id"] == "org_a"
    both = await closed.mint("org_a", "org_b")
    implied = (await closed.post(PATHS[0], ASK, key=both.secret)).json()
    chosen = (await closed.post(PATHS[0], {**ASK, "organization_id": "org_b"}, key=both.secret)).json()
    assert (implied["organization_id"], chosen["organization_id"]) == ("org_a", "org_b")
    assert (await closed.get(f"{PATHS[0]}/{chosen['id']}", key=both.secret)).status_code == 200
    assert (await closed.get(f"{PATHS[0]}/{chosen['id']}", key=one.secret)).status_code == 404


async def test_what_belongs_to_others_is_as_if_it_were_not_there(closed):
    ours, theirs = await closed.mint("org_a"), await closed.mint("org_b")
    made = (await closed.post(*spelled("freddy", thread="thrd_a", background=True), key=ours.secret)).json()
    real, none = made["id"], "resp_none"
    for method, path in (
        ("GET", "/v1/model/response/{}"),
        ("GET", "/v1/responses/{}"),
        ("GET", "/v1/responses/{}?stream=true"),
        ("GET", "/v1/responses/{}/input_items"),
        ("POST", "/v1/model/response/{}/cancel"),
        ("POST", "/v1/responses/{}/cancel"),
        ("DELETE", "/v1/model/response/{}"),
        ("DELETE", "/v1/responses/{}"),
    ):
        foreign = await closed.http(theirs.secret).request(method, path.format(real))
        missing = await closed.http(theirs.secret).request(method, path.format(none))
        assert foreign.status_code == missing.status_code == 404
        assert foreign.text == missing.text.replace(none, real), path
    for method, path in (
        ("GET", "/v1/threads/{}"),
        ("GET", "/v1/threads/{}/messages"),
        ("DELETE", "/v1/threads/{}"),
        ("POST", "/v1/threads/{}/pin"),
    ):
        foreign = await closed.http(theirs.secret).request(method, path.format("thrd_a"))
        missing = await closed.http(theirs.secret).request(method, path.format("thrd_x"))
        assert foreign.status_code == missing.status_code == 404
        assert foreign.text == missing.text.replace("thrd_x", "thrd_a"), path
    assert (await closed.get("/v1/threads", key=theirs.secret)).json()["data"] == []
    assert (await closed.get(f"/v1/model/response/{real}", key=ours.secret)).status_code == 200


async def test_items_of_others_cannot_be_named(closed):
    ours, theirs = await closed.mint("org_a"), await closed.mint("org_b")
    made = (await closed.post(*spelled("openai"), key=ours.secret)).json()
    reference = [{"type": "item_reference", "id": made["output"][0]["id"]}]
    reply = await closed.post(*spelled("openai", input=reference), key=theirs.secret)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "item_not_found")


@promise(7)
async def test_local_development_mode_lets_in_who_has_no_key(gateway):
    reply = await gateway.post(PATHS[0], ASK, key=None)
    assert (reply.status_code, reply.json()["organization_id"]) == (200, "org_local")


@promise(23)
@pytest.mark.parametrize("key", [DEV_KEY, "your-api-key", "YOUR_API_KEY"])
async def test_local_development_mode_knows_its_key_and_those_of_the_examples(gateway, key):
    for organization in (None, "org_abc123", "org_your_org_id"):
        body = ASK | ({"organization_id": organization} if organization else {})
        reply = await gateway.post(PATHS[0], body, key=key)
        assert (reply.status_code, reply.json()["organization_id"]) == (200, organization or "org_local")


async def test_a_wrong_key_is_refused_in_development_mode_too(gateway):
    refused(await gateway.post(PATHS[0], ASK, key="sk-wrong"), PATHS[0])


@pytest.mark.parametrize("key", [DEV_KEY, "your-api-key", "YOUR_API_KEY", None])
async def test_outside_development_mode_nobody_of_it_gets_in(closed, key):
    assert closed.house.development_key is None
    assert (await closed.post(PATHS[0], ASK, key=key)).status_code == 401


async def test_what_development_mode_let_in_stays_outside_when_it_ends(opened):
    await (await opened()).ask("freddy")
    later = await opened(dev=parts.Development(mode="off", api_key=DEV_KEY))
    for key in (DEV_KEY, "your-api-key", None):
        assert (await later.post(PATHS[0], ASK, key=key)).status_code == 401


async def test_the_development_key_is_made_once_for_this_user_alone(opened):
    first = await opened(dev=parts.Development())
    second = await opened(dev=parts.Development())
    path = first.settings.dev_key_path
    assert path.read_text().strip() == first.house.development_key == second.house.development_key
    assert path.stat().st_mode & 0o077 == 0
    assert (await second.post(PATHS[0], ASK, key=first.house.development_key)).status_code == 200


async def test_who_asks_for_public_pages_needs_no_key(closed):
    for path in ("/", "/docs", "/openapi.json", "/health/live", "/health/ready", "/metrics"):
        assert (await closed.get(path, key=None)).status_code == 200, path
    for path in ("/v1/models", "/v1/threads", "/v1/nowhere", "/metrics/"):
        assert (await closed.get(path, key=None)).status_code == 401, path
