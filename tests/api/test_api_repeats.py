"""Requests sent again with the same idempotency key, over HTTP."""

import asyncio

import pytest
from gateway import spelled

from simulators.script import Answer, Gate, text

KEY = {"idempotency-key": "try-1"}


async def test_a_thing_that_is_made_again_with_the_same_key_is_made_once(gateway):
    body = {"title": "Trip", "metadata": {"a": "b"}}
    first, again = [await gateway.http().post("/v1/threads", json=body, headers=KEY) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert len((await gateway.get("/v1/threads")).json()["data"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/threads", {"title": "Other"}), ("/v1/threads?x=1", {"title": "Trip"}), spelled("freddy")],
)
async def test_a_key_belongs_to_one_request(gateway, path, body):
    await gateway.http().post("/v1/threads", json={"title": "Trip"}, headers=KEY)
    other = await gateway.http().post(path, json=body, headers=KEY)
    assert (other.status_code, other.json()["error"]["param"]) == (409, "Idempotency-Key")


async def test_the_key_of_a_response_is_no_key_of_another_thing(gateway):
    path, body = spelled("freddy")
    await gateway.http().post(path, json=body, headers=KEY)
    other = await gateway.http().post("/v1/threads", json=body, headers=KEY)
    assert (other.status_code, other.json()["error"]["param"]) == (409, "Idempotency-Key")


async def test_a_request_that_was_wrong_may_be_put_right_under_the_same_key(gateway):
    wrong = await gateway.http().post("/v1/threads", json={"title": 1}, headers=KEY)
    assert wrong.status_code == 422
    right = await gateway.http().post("/v1/threads", json={"title": "1"}, headers=KEY)
    assert right.status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "k\u00e9y"])
@pytest.mark.parametrize("path", ["/v1/threads", "/v1/model/response"])
async def test_a_key_must_be_short_and_plain(gateway, key, path):
    headers = {"idempotency-key": key.encode()}
    reply = await gateway.http().post(path, json={"inputs": "Hi"}, headers=headers)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_a_key_is_known_after_a_restart(opened, upstream, dialect):
    path, body = spelled(dialect, store=True)
    first = await opened()
    made = await first.http().post(path, json=body, headers=KEY)
    thread = await first.http().post("/v1/threads", json={}, headers={"idempotency-key": "try-2"})
    second = await opened()
    again = await second.http().post(path, json=body, headers=KEY)
    assert again.json() == made.json()
    assert (
        await second.http().post("/v1/threads", json={}, headers={"idempotency-key": "try-2"})
    ).json() == thread.json()
    assert len(upstream.calls) == 1


async def test_requests_with_one_key_at_once_begin_one_response(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(gate, text("Once.")))
    path, body = spelled("freddy")

    async def ask():
        return await gateway.http().post(path, json=body, headers=KEY)

    asked = asyncio.gather(*(ask() for _ in range(8)))
    await gate.reached()
    gate.open()
    assert len({reply.json()["id"] for reply in await asked}) == 1
    assert len(upstream.calls) == 1


async def test_an_answer_is_told_again_only_to_who_may_do_the_same(gateway):
    strong, weak = await gateway.mint("org_a"), await gateway.mint("org_a", scopes=["models:read"])
    path, body = "/v1/organizations/org_a/api-keys", {"key_name": "x", "scopes": ["models:read"]}
    made = await gateway.http(strong.secret).post(path, json=body, headers=KEY)
    assert made.status_code == 201
    other = await gateway.http(weak.secret).post(path, json=body, headers=KEY)
    assert (other.status_code, other.json()["error"]["param"]) == (409, "Idempotency-Key")
    again = await gateway.http(strong.secret).post(path, json=body, headers=KEY)
    assert again.content == made.content


async def test_a_body_that_nobody_reads_belongs_to_the_request_too(gateway):
    thread = (await gateway.http().post("/v1/threads", json={})).json()["id"]
    first, again = [
        await gateway.http().post(f"/v1/threads/{thread}/pin", json={"why": "best"}, headers=KEY) for _ in range(2)
    ]
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = await gateway.http().post(f"/v1/threads/{thread}/pin", json={"why": "first"}, headers=KEY)
    assert other.status_code == 409
