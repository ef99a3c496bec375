"""/v1/webhooks behind the doors of a whole server, by its own client and by the official one."""

import asyncio
import logging
from pathlib import Path

import openai
import pytest
from gateway import Gateway
from webhooks_stage import Receiver, answer, signature_parts, unwrapped

import freddy
from freddy.server.core.webhooks import EVENT_TYPES
from freddy.server.world import SystemClock
from upstream import PATIENCE, Upstream

PATH = "/v1/webhooks"
URL = "http://127.0.0.1:9/a-path-that-is-secret"


def content(home: Path) -> bytes:
    """Of all files there."""
    return b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())


async def made(gateway: Gateway, **fields: object) -> dict:
    reply = await gateway.post(PATH, {"url": URL, **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def delivered(gateway: Gateway, webhook: dict, status: str = "delivered") -> dict:
    """The newest delivery when it has this status: never more than a moment."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = (await gateway.get(f"{PATH}/{webhook['id']}/deliveries?status={status}")).json()["data"]
            if found:
                return found[0]


async def test_a_webhook_is_told_as_it_is_kept_and_its_secret_once(gateway: Gateway):
    webhook = await made(gateway, name="Billing", events=["response.completed"])
    assert webhook == {
        "id": webhook["id"],
        "object": "webhook_endpoint",
        "organization_id": webhook["organization_id"],
        "name": "Billing",
        "url": URL,
        "event_types": ["response.completed"],
        "enabled": True,
        "disabled_because": None,
        "signing_secret": webhook["signing_secret"],
        "signing_secret_hint": webhook["signing_secret_hint"],
        "previous_secret_until": None,
        "version": 1,
        "created_at": webhook["created_at"],
        "updated_at": webhook["created_at"],
        "created_by": webhook["created_by"],
    }
    assert webhook["id"].startswith("wh_")
    secret = webhook.pop("signing_secret")
    assert secret.startswith("whsec_")
    assert webhook["signing_secret_hint"] == f"whsec_...{secret.rstrip('=')[-4:]}"
    assert (await gateway.get(f"{PATH}/{webhook['id']}")).json() == webhook
    assert (await gateway.get(PATH)).json()["data"] == [webhook]


async def test_a_webhook_needs_an_address_and_nothing_else(gateway: Gateway):
    webhook = await made(gateway)
    assert (webhook["name"], webhook["event_types"], webhook["enabled"]) == ("127.0.0.1", ["*"], True)
    reply = await gateway.post(PATH, {"name": "Billing"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "url")


async def test_what_the_server_told_can_be_sent_back_and_a_change_makes_a_version(gateway: Gateway):
    webhook = await made(gateway)
    where = f"{PATH}/{webhook['id']}"
    same = await gateway.http().patch(where, json=webhook)
    assert same.status_code == 200, same.text
    assert same.json()["version"] == 1
    changed = (await gateway.http().patch(where, json={"enabled": False, "eventTypes": ["response.failed"]})).json()
    assert (changed["version"], changed["enabled"], changed["event_types"]) == (2, False, ["response.failed"])
    assert (await gateway.http().patch(where, json={"enabled": True, "expected_version": 1})).status_code == 409
    assert (await gateway.http().patch(where, json={"events": "*"})).json()["event_types"] == ["*"]
    gone = {"id": webhook["id"], "object": "webhook_endpoint.deleted", "deleted": True}
    assert (await gateway.delete(where)).json() == gone
    assert (await gateway.get(where)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"url": "http://10.0.0.1/"}, 422, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, 422, "url"),
        ({"url": "ftp://example.com/"}, 422, "url"),
        ({"url": "http://user:password@example.com/"}, 422, "url"),
        ({"url": None}, 422, "url"),
        ({"event_types": []}, 422, "event_types"),
        ({"event_types": ["response.done"]}, 422, "event_types[0]"),
        ({"event_types": "response.failed"}, 422, "event_types"),
        ({"events": [3]}, 422, "events[0]"),
        ({"enabled": "yes"}, 422, "enabled"),
        ({"name": "x" * 256}, 422, "name"),
        ({"name": "a\nb"}, 422, "name"),
        ({"secret": "mine"}, 400, "secret"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(gateway: Gateway, fields, status, param):
    reply = await gateway.post(PATH, {"url": URL, **fields})
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text


async def test_an_organization_has_so_many_webhooks_and_no_more(gateway: Gateway):
    for _ in range(20):
        await made(gateway)
    reply = await gateway.post(PATH, {"url": URL})
    assert reply.status_code == 409
    assert "20 webhooks" in reply.json()["error"]["message"]


async def test_a_background_response_is_announced_when_its_end_can_be_read(
    gateway: Gateway, receiver: Receiver, upstream: Upstream
):
    webhook = await made(gateway, url=receiver.url)
    begun = await gateway.ask("freddy", background=True)
    [heard] = await receiver.wait_heard(1)
    event = unwrapped(webhook["signing_secret"], heard)
    assert (event.type, event.data.id) == ("response.completed", begun["id"])
    assert (await gateway.get(f"/v1/model/response/{begun['id']}")).json()["status"] == "completed"
    done = await delivered(gateway, webhook)
    assert done == {
        "id": event.id,
        "object": "webhook_endpoint.delivery",
        "webhook_endpoint_id": webhook["id"],
        "event_type": "response.completed",
        "response_id": begun["id"],
        "status": "delivered",
        "attempts": 1,
        "next_attempt_at": None,
        "status_code": 204,
        "error": None,
        "error_code": None,
        "created_at": event.created_at,
        "ended_at": done["ended_at"],
    }
    assert (await gateway.get(f"{PATH}/{webhook['id']}/deliveries/{event.id}")).json() == done
    assert 'freddy_webhook_deliveries_total{outcome="delivered"} 1.0' in (await gateway.get("/metrics")).text
    again = await gateway.post(f"{PATH}/{webhook['id']}/deliveries/{event.id}/redeliver")
    assert (again.status_code, again.json()["status"], again.json()["attempts"]) == (200, "pending", 0)
    _, second = await receiver.wait_heard(2)
    assert (second.headers["webhook-id"], second.body) == (event.id, heard.body)
    await gateway.ask("freddy")  # with a caller who waits for it
    assert len(receiver.heard) == 2


async def test_a_webhook_can_be_tried(gateway: Gateway, receiver: Receiver):
    webhook = await made(gateway, url=receiver.url, enabled=False)
    where = f"{PATH}/{webhook['id']}/test"
    tried = (await gateway.post(where)).json()
    assert tried.pop("duration_ms") >= 0
    assert tried == {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": webhook["id"],
        "event_type": "webhook.test",
        "success": True,
        "status_code": 204,
        "error": None,
    }
    receiver.answers = [answer(500, body=b"the answer of the receiver")]
    tried = (await gateway.post(where, {"event_type": "response.failed"})).json()
    assert (tried["success"], tried["status_code"]) == (False, 500)
    assert tried["error"] == "it answered with a status that is no success"
    first, second = receiver.heard
    assert first.told["type"] == "webhook.test"
    assert unwrapped(webhook["signing_secret"], second).type == "response.failed"
    assert (await gateway.post(where, {"event_type": "batch.completed"})).status_code == 422
    assert (await gateway.get(f"{PATH}/{webhook['id']}/deliveries")).json()["data"] == []


async def test_a_secret_is_rotated(gateway: Gateway, receiver: Receiver):
    webhook = await made(gateway, url=receiver.url)
    where = f"{PATH}/{webhook['id']}"
    first = (await gateway.post(f"{where}/rotate", {})).json()
    assert first["previous_secret_until"] - first["updated_at"] in range(86_395, 86_406)
    await gateway.post(f"{where}/test")
    assert len(signature_parts(receiver.heard[0].headers)) == 2
    for secret in (webhook["signing_secret"], first["signing_secret"]):
        assert unwrapped(secret, receiver.heard[0])
    second = (await gateway.post(f"{where}/rotate", {"overlap_seconds": 0})).json()
    assert second["previous_secret_until"] is None
    await gateway.post(f"{where}/test")
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(first["signing_secret"], receiver.heard[1])
    assert unwrapped(second["signing_secret"], receiver.heard[1])
    assert (await gateway.post(f"{where}/rotate", {"overlap_seconds": -1})).status_code == 422


async def test_other_organizations_see_nothing(closed: Gateway):
    ours = (await closed.mint("org_a")).secret
    theirs = (await closed.mint("org_b")).secret
    reader = (await closed.mint("org_a", scopes=["webhooks:read"])).secret
    webhook = (await closed.http(ours).post(PATH, json={"url": "https://example.com/"})).json()
    where = f"{PATH}/{webhook['id']}"
    unknown = await closed.http(theirs).get(f"{PATH}/wh_unknown")
    for method, path, body in (
        ("GET", where, None),
        ("PATCH", where, {"enabled": False}),
        ("DELETE", where, None),
        ("POST", where + "/test", {}),
        ("POST", where + "/rotate", {}),
        ("GET", where + "/deliveries", None),
        ("GET", where + "/deliveries/evt_1", None),
        ("POST", where + "/deliveries/evt_1/redeliver", None),
    ):
        reply = await closed.http(theirs).request(method, path, json=body)
        assert reply.status_code == unknown.status_code == 404
        error, expected = reply.json()["error"], unknown.json()["error"]
        assert error["code"] == expected["code"] == "webhook_not_found"
        assert error["message"].replace(webhook["id"], "wh_unknown") == expected["message"]
    assert (await closed.http(theirs).get(PATH)).json()["data"] == []
    missing = await closed.http(ours).get(where + "/deliveries/evt_1")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "webhook_delivery_not_found")
    assert (await closed.http(reader).get(where)).status_code == 200
    assert (await closed.http(reader).patch(where, json={"enabled": False})).status_code == 403
    assert (await closed.http(None).get(where)).status_code == 401


async def test_secrets_are_in_no_answer_no_file_and_no_log(
    gateway: Gateway, receiver: Receiver, caplog, tmp_path: Path
):
    caplog.set_level(logging.DEBUG)
    receiver.answers = [answer(500, body=b"the answer of the receiver")]
    webhook = await made(gateway, url=receiver.url)
    where = f"{PATH}/{webhook['id']}"
    rotated = (await gateway.post(f"{where}/rotate", {})).json()
    await gateway.ask("freddy", background=True)
    await receiver.wait_heard(1)
    audit = await gateway.get(f"/v1/organizations/{webhook['organization_id']}/audit-log")
    assert "webhook.create" in audit.text
    ours = repr([vars(record) for record in caplog.records if record.name.startswith("freddy")])
    told = [
        (await gateway.get(where)).text,
        (await gateway.get(PATH)).text,
        (await gateway.get(f"{where}/deliveries")).text,
        (await gateway.http().patch(where, json={"name": "New"})).text,
        (await gateway.post(f"{where}/test")).text,
        audit.text,
        ours,
    ]
    kept = content(tmp_path)
    assert webhook["id"].encode() in kept
    for secret in (webhook["signing_secret"], rotated["signing_secret"]):
        assert all(secret not in one for one in told)
        assert secret.encode() not in kept
    assert all("the answer of the receiver" not in one for one in told)
    assert b"the answer of the receiver" not in kept
    assert "a-path-that-is-secret" not in ours + audit.text


async def test_the_client_keeps_webhooks_and_verifies_events(gateway: Gateway, receiver: Receiver):
    client = gateway.freddy()
    webhook = await client.webhooks.create(receiver.url, name="Billing", event_types=["response.completed"])
    assert webhook.signing_secret
    assert (await client.webhooks.get(webhook.id)).signing_secret is None
    tried = await client.webhooks.test(webhook.id, event_type="response.completed")
    assert (tried.success, tried.status_code) == (True, 204)
    changed = await client.webhooks.update(webhook.id, name="Bills", expected_version=webhook.version)
    assert (changed.name, changed.version) == ("Bills", 2)
    [heard] = receiver.heard
    event = client.webhooks.unwrap(heard.body, heard.headers, secret=webhook.signing_secret)
    assert (event.type, event.data["id"][:5]) == ("response.completed", "resp_")
    for wrong in (
        {"body": heard.body + b" "},
        {"headers": {**heard.headers, "webhook-id": "evt_other"}},
        {"headers": {**heard.headers, "webhook-timestamp": "1"}},
        {"headers": {}},
        {"secret": "whsec_" + "A" * 43 + "="},
        {"tolerance": -1},
    ):
        given = {"body": heard.body, "headers": heard.headers, "secret": webhook.signing_secret, **wrong}
        with pytest.raises(freddy.InvalidSignatureError):
            client.webhooks.unwrap(given.pop("body"), given.pop("headers"), **given)
    await gateway.ask("freddy", background=True)
    await receiver.wait_heard(2)
    await delivered(gateway, {"id": webhook.id})
    [delivery] = [one async for one in await client.webhooks.deliveries(webhook.id, status="delivered")]
    assert (delivery.attempts, delivery.status_code) == (1, 204)
    assert (await client.webhooks.redeliver(webhook.id, delivery.id)).status == "pending"
    rotated = await client.webhooks.rotate_secret(webhook.id, overlap_seconds=60)
    assert rotated.signing_secret not in (None, webhook.signing_secret)
    assert [one.name async for one in await client.webhooks.list()] == ["Bills"]
    assert (await client.webhooks.delete(webhook.id)).deleted
    with pytest.raises(freddy.NotFoundError):
        await client.webhooks.get(webhook.id)


async def test_the_official_client_works_as_it_is(gateway: Gateway, receiver: Receiver):
    client = gateway.openai()
    assert (await client.webhooks.event_types.list()).data == list(EVENT_TYPES)
    webhook = await client.webhooks.create(
        name="Billing", url=receiver.url, event_types=["response.completed", "response.failed"]
    )
    assert webhook.signing_secret
    assert (await client.webhooks.retrieve(webhook.id)).signing_secret_hint == webhook.signing_secret_hint
    assert [one.id async for one in client.webhooks.list()] == [webhook.id]
    tried = await client.webhooks.test(webhook.id, event_type="response.failed")
    assert (tried.success, tried.status_code, tried.event_type) == (True, 204, "response.failed")
    changed = await client.webhooks.update(webhook.id, name="Bills")
    assert (changed.name, changed.event_types) == ("Bills", ["response.completed", "response.failed"])
    await client.webhooks.rotate_secret(webhook.id)
    assert (await gateway.get(f"{PATH}/{webhook.id}")).json()["previous_secret_until"] is None
    kept = await client.webhooks.rotate_secret(webhook.id, keep_old_secret_active_for_24_hours=True)
    until = (await gateway.get(f"{PATH}/{webhook.id}")).json()["previous_secret_until"]
    assert until > SystemClock().now() + 86_000
    response = await client.responses.create(model="stage", input="Hi", background=True)
    _, heard = await receiver.wait_heard(2)
    event = client.webhooks.unwrap(heard.body, heard.headers, secret=kept.signing_secret)
    assert (event.type, event.data.id) == ("response.completed", response.id)
    assert (await client.webhooks.delete(webhook.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.webhooks.retrieve(webhook.id)
