"""Responses in the background that wait in the queue while their key, their user or their limits change."""

import asyncio
from typing import Any

import pytest
from gateway import DEV_KEY, Gateway, spelled

from freddy.server.config import settings as parts
from people import Person, Site
from simulators.script import Answer, Gate, text
from upstream import PATIENCE, Upstream

ORGANIZATION = "org_local"
KEYS = f"/v1/organizations/{ORGANIZATION}/api-keys"
GOING = ("queued", "in_progress")
ONE_AT_ONCE = {"background": parts.Background(at_once=1)}


@pytest.fixture
def gates() -> dict[str, Gate]:
    """By what is said: the answer waits for it."""
    return {}


@pytest.fixture
async def upstream(gates):
    def answering(call: Any) -> Answer:
        waits = [gate for said, gate in gates.items() if said in str(call.body)]
        return Answer(*waits, text("Well."))

    async with Upstream(answering=answering) as upstream:
        yield upstream
        assert upstream.complaints == []


async def made_key(gateway: Gateway, **fields: Any) -> tuple[str, str]:
    """The secret of a new key, and its path."""
    made = (await gateway.post(KEYS, {"key_name": "queued", **fields})).json()
    return made["key"], f"{KEYS}/{made['id']}"


async def asked(gateway: Gateway, key: str = DEV_KEY, **body: Any) -> str:
    """The id of a response that was accepted."""
    reply = await gateway.post(*spelled("freddy", background=True, **body), key=key)
    assert reply.status_code == 200, reply.text
    return reply.json()["id"]


async def busy(gateway: Gateway, upstream: Any) -> Gate:
    """Has the server perform all that it performs at once, until the gate is opened."""
    gate = Gate()
    upstream.says(Answer(gate, text("Well.")))
    await asked(gateway)
    await gate.reached()
    return gate


async def revoked(gateway: Gateway, path: str) -> None:
    assert (await gateway.delete(path)).status_code in (200, 204)


async def paused(gateway: Gateway, path: str) -> None:
    assert (await gateway.post(f"{path}/pause")).status_code == 200


async def without_scope(gateway: Gateway, path: str) -> None:
    assert (await gateway.http().patch(path, json={"scopes": ["responses:read"]})).status_code == 200


@pytest.mark.parametrize(
    ("change", "code", "kind"),
    [
        (revoked, "invalid_api_key", "authentication_error"),
        (paused, "invalid_api_key", "authentication_error"),
        (without_scope, "insufficient_permissions", "permission_error"),
    ],
)
async def test_what_waits_fails_when_its_key_may_not_ask_any_more(opened, upstream, change, code, kind):
    gateway = await opened(**ONE_AT_ONCE)
    gate = await busy(gateway, upstream)
    key, path = await made_key(gateway)
    waiting = await asked(gateway, key)
    await change(gateway, path)
    gate.open()
    ended = await gateway.ended(waiting)
    assert ended["status"] == "failed"
    assert (ended["error"]["code"], ended["error"]["type"]) == (code, kind)
    assert "asked for this" in ended["error"]["message"]
    theirs = (await gateway.get(f"/v1/responses/{waiting}")).json()
    assert theirs["status"] == "failed"
    assert theirs["error"]["message"].startswith(ended["error"]["message"])
    assert len(upstream.calls) == 1


async def test_what_the_ready_key_of_development_has_asked_for_goes_on_after_a_restart(opened, upstream):
    gateway = await opened(**ONE_AT_ONCE, server=parts.Server(shutdown_seconds=0))
    gate = await busy(gateway, upstream)
    waiting = await asked(gateway)
    gateway = await opened(**ONE_AT_ONCE)
    gate.open()
    assert (await gateway.ended(waiting))["status"] == "completed"


@pytest.mark.parametrize(
    ("method", "end", "body", "code"),
    [
        ("PUT", "", {"status_id": "inactive"}, "invalid_token"),
        ("PUT", "", {"role_id": "viewer"}, "insufficient_permissions"),
        ("DELETE", "/delete", None, "insufficient_permissions"),
    ],
    ids=["deactivated", "viewer", "no member"],
)
async def test_what_waits_fails_when_its_user_may_not_ask_any_more(opened, upstream, method, end, body, code):
    gateway = await opened(**ONE_AT_ONCE, accounts=parts.Accounts(password_cost=8, registration=True))
    site = Site(gateway)
    ann, organization = await site.register("ann@example.com")
    bob = await site.invite(ann, organization, "bob@example.com", "member")
    gate = await busy(gateway, upstream)
    path, wanted = spelled("freddy", background=True)
    waiting, other = [(await one.ask("POST", path, wanted)).json()["id"] for one in (bob, ann)]
    changed = await ann.ask(method, f"/v1/organizations/{organization}/users/{bob.id}{end}", body)
    assert changed.status_code in (200, 204), changed.text
    gate.open()
    assert (await ended(ann, other))["status"] == "completed"
    told = await ended(ann, waiting)
    assert (told["status"], told["error"]["code"]) == ("failed", code)
    assert len(upstream.calls) == 2


async def test_what_waits_is_performed_though_its_user_signs_out(opened, upstream):
    gateway = await opened(**ONE_AT_ONCE, accounts=parts.Accounts(password_cost=8, registration=True))
    site = Site(gateway)
    ann, _ = await site.register("ann@example.com")
    gate = await busy(gateway, upstream)
    path, wanted = spelled("freddy", background=True)
    waiting = (await ann.ask("POST", path, wanted)).json()["id"]
    assert (await ann.ask("POST", "/v1/auth/logout", {})).status_code in (200, 204)
    gate.open()
    assert (await ended(await site.login("ann@example.com"), waiting))["status"] == "completed"


async def ended(person: Person, response_id: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while (told := (await person.ask("GET", f"/v1/model/response/{response_id}")).json())["status"] in GOING:
            pass
    return told


async def test_what_has_no_room_waits_and_others_do_not(opened, upstream, gates):
    gateway = await opened(background=parts.Background(at_once=2))
    gates |= {"busy 0": Gate(), "busy 1": Gate(), "limited 0": Gate(), "limited 1": Gate()}
    for said in ("busy 0", "busy 1"):
        await asked(gateway, input=said)
        await gates[said].reached()
    key, _ = await made_key(gateway, limits={"concurrent_runs": 1})
    # Each is accepted, since none of them is under way.
    waiting = [await asked(gateway, key, input=said) for said in ("limited 0", "limited 1")]
    other = await asked(gateway, input="other")
    for said in ("busy 0", "busy 1"):
        gates[said].open()
    await gates["limited 0"].reached()
    # There is a place for one more, which whoever is behind them has, time and again.
    for one in (other, await asked(gateway, input="another"), await asked(gateway, input="one more")):
        assert (await gateway.ended(one))["status"] == "completed"
    assert (await gateway.get(f"/v1/model/response/{waiting[1]}")).json()["status"] == "queued"
    gates["limited 0"].open()
    await gates["limited 1"].reached()
    assert (await gateway.ended(waiting[0]))["status"] == "completed"
    gates["limited 1"].open()
    assert (await gateway.ended(waiting[1]))["status"] == "completed"
    metrics = (await gateway.get("/metrics")).text
    assert 'freddy_background_given_back_total{reason="limits"}' in metrics
