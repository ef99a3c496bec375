"""Keys that organizations bring for upstreams, over HTTP."""

import pytest
from gateway import UPSTREAM_KEY

from freddy.server.config import settings as parts
from freddy.server.core.accounts import SCOPES
from upstream import Fault

SECRET = "sk-vendor-0123456789-wxyz"
PATH = "/v1/organizations/{}/provider-keys"
ONE = PATH.format("org_a") + "/stage"


@pytest.fixture
async def ours(closed):
    """A client of `org_a`."""
    return closed.http((await closed.mint("org_a")).secret)


async def test_a_key_is_brought_looked_at_and_taken_away(ours):
    missing = await ours.get(ONE)
    assert (missing.status_code, missing.json()["error"]) == (
        404,
        {
            "message": "The organization has no key of its own for the upstream 'stage'",
            "type": "invalid_request_error",
            "code": "not_found",
            "param": "upstream",
            "details": "the operator's key is used for it, where there is one",
        },
    )
    brought = await ours.put(ONE, json={"key": SECRET})
    told = brought.json()
    assert brought.status_code == 200
    assert told == {
        "object": "provider_key",
        "upstream": "stage",
        "organization_id": "org_a",
        "hint": "…wxyz",
        "created_at": told["created_at"],
        "updated_at": told["created_at"],
    }
    assert told["created_at"].endswith("Z")
    assert (await ours.get(ONE)).json() == told
    listed = await ours.get(PATH.format("org_a"))
    assert listed.json() == {"object": "list", "data": [told], "has_more": False, "total_count": 1}
    for reply in (brought, listed):
        assert SECRET not in reply.text
    deleted = await ours.delete(ONE)
    assert deleted.json() == {"object": "provider_key.deleted", "upstream": "stage", "deleted": True}
    assert (await ours.delete(ONE)).status_code == (await ours.get(ONE)).status_code == 404
    assert (await ours.get(PATH.format("org_a"))).json()["data"] == []


async def test_an_unknown_upstream_is_404_and_the_known_ones_are_named(ours):
    reply = await ours.put(PATH.format("org_a") + "/stag", json={"key": SECRET})
    error = reply.json()["error"]
    assert reply.status_code == 404
    assert (error["message"], error["param"], error["details"]) == (
        "There is no upstream 'stag'",
        "upstream",
        "there are: stage",
    )


@pytest.mark.parametrize(
    ("body", "status", "details"),
    [
        ({"key": ""}, 422, "key must not be empty"),
        ({"key": "  "}, 422, "key must be ASCII characters without spaces and control characters"),
        ({"key": "sk-a\nb"}, 422, "key must be ASCII characters without spaces and control characters"),
        ({"key": "k" * 4097}, 422, "key must be at most 4096 characters long"),
        ({"key": 7}, 422, "key must be a string"),
        ({"key": None}, 422, "key must not be empty"),
        ({}, 422, "key must not be empty"),
        ({"key": SECRET, "api": "x"}, 400, None),
        ([SECRET], 400, None),
    ],
)
async def test_what_can_be_no_key_is_refused_without_repeating_it(ours, body, status, details):
    reply = await ours.put(ONE, json=body)
    assert reply.status_code == status
    assert reply.json()["error"].get("details") == details
    assert "sk-" not in reply.text
    assert (await ours.get(ONE)).status_code == 404


@pytest.mark.parametrize("content", [b"", b"{", b'{"key": "sk-vendor-0123456789', b"\xff", b"[" * 100_000])
async def test_a_broken_body_is_refused_without_repeating_it(ours, content):
    reply = await ours.put(ONE, content=content)
    assert reply.status_code in (400, 422)
    assert "sk-" not in reply.text


async def test_other_organizations_keys_are_out_of_reach(closed, ours):
    await ours.put(ONE, json={"key": SECRET})
    theirs = closed.http((await closed.mint("org_b")).secret)
    for organization in ("org_a", "org_nowhere"):
        path = PATH.format(organization)
        for method, where in (
            ("GET", path),
            ("GET", f"{path}/stage"),
            ("PUT", f"{path}/stage"),
            ("DELETE", f"{path}/x"),
        ):
            reply = await theirs.request(method, where, json={"key": SECRET} if method == "PUT" else None)
            error = reply.json()["error"]
            assert reply.status_code == 403
            assert (error["message"], error["param"]) == ("Organization access denied", "organization_id")
    both = closed.http((await closed.mint("org_b", "org_a")).secret)
    assert (await both.get(ONE)).json()["organization_id"] == "org_a"


async def test_only_a_key_with_the_scope_may(closed):
    lacking = await closed.mint("org_a", scopes=[scope for scope in SCOPES if scope != "providers:manage"])
    alone = await closed.mint("org_a", scopes=["providers:manage"])
    for method, path in (("GET", PATH.format("org_a")), ("GET", ONE), ("PUT", ONE), ("DELETE", ONE)):
        body = {"key": SECRET} if method == "PUT" else None
        refused = await closed.http(lacking.secret).request(method, path, json=body)
        assert refused.status_code == 403
        assert "providers:manage" in refused.json()["error"]["message"]
        assert (await closed.http(alone.secret).request(method, path, json=body)).status_code in (200, 404)


async def test_a_key_outlives_the_server_that_took_it(opened):
    first = await opened()
    await first.http().put(PATH.format("org_local") + "/stage", json={"key": SECRET})
    second = await opened()
    assert (await second.get(PATH.format("org_local") + "/stage")).json()["hint"] == "…wxyz"
    for file in second.settings.home.rglob("*"):
        assert not (file.is_file() and SECRET.encode() in file.read_bytes())


async def test_a_server_with_a_wrong_secret_key_starts_and_answers_others(opened):
    mine = PATH.format("org_local") + "/stage"
    right, wrong = (parts.Secrets(key=letter * 40) for letter in "rw")
    first = await opened(secrets=right)
    assert (await first.http().put(mine, json={"key": SECRET})).status_code == 200
    second = await opened(secrets=wrong)
    assert (await second.get(mine)).json()["hint"] == "…wxyz"
    assert (
        await second.post("/v1/model/response", {"inputs": "Hi", "organization_id": "org_abc123"})
    ).status_code == 200
    assert (await second.http().put(mine, json={"key": SECRET})).status_code == 200


async def test_an_organizations_requests_go_with_its_own_key_and_all_others_with_the_operators(closed, upstream, ours):
    theirs = closed.http((await closed.mint("org_b")).secret)

    async def key_of(client) -> str:
        reply = await client.post("/v1/responses", json={"model": "stage", "input": "Hi"})
        assert reply.status_code == 200
        assert SECRET not in reply.text
        return upstream.last.headers["authorization"]

    assert await key_of(ours) == await key_of(theirs) == f"Bearer {UPSTREAM_KEY}"
    await ours.put(ONE, json={"key": SECRET})
    assert (await key_of(ours), await key_of(theirs)) == (f"Bearer {SECRET}", f"Bearer {UPSTREAM_KEY}")
    await ours.delete(ONE)
    assert await key_of(ours) == f"Bearer {UPSTREAM_KEY}"


async def test_a_key_that_cannot_be_opened_is_not_replaced_by_the_operators(opened, upstream):
    body = {"model": "stage", "input": "Hi"}
    first = await opened(secrets=parts.Secrets(key="r" * 40))
    await first.http().put(PATH.format("org_local") + "/stage", json={"key": SECRET})
    second = await opened(secrets=parts.Secrets(key="w" * 40))
    reply = await second.post("/v1/model/response", {"inputs": "Hi"})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (503, "provider_key_unreadable")
    assert "FREDDY_SECRET_KEY" in error["details"]
    assert upstream.calls == []
    third = await opened(secrets=parts.Secrets(key=f"{'w' * 40},{'r' * 40}"))
    assert (await third.post("/v1/responses", body)).status_code == 200
    assert upstream.last.headers["authorization"] == f"Bearer {SECRET}"


async def test_a_key_that_the_vendor_refuses_is_not_repeated(closed, upstream, ours, caplog):
    await ours.put(ONE, json={"key": SECRET})
    upstream.says(Fault(401, f"Incorrect API key provided: {SECRET}"))
    reply = await ours.post("/v1/responses", json={"model": "stage", "input": "Hi"})
    assert reply.status_code == 502
    assert SECRET not in reply.text
    assert all(SECRET not in str(record.__dict__) for record in caplog.records)
    for file in closed.settings.home.rglob("*"):
        assert not (file.is_file() and SECRET.encode() in file.read_bytes())


async def test_secret_keys_are_in_no_text_of_the_settings():
    assert "r" * 40 not in repr(parts.Secrets(key="r" * 40))
