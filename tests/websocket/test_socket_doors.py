"""Who may open a WebSocket, what is refused before it is open, and what is nobody else's."""

import json

import pytest
import sockets
from gateway import DEV_KEY, Stream
from websockets.exceptions import InvalidStatus

from freddy.server.accounts import development
from freddy.server.config import settings as parts


async def refusal(gateway, key, **options):
    with pytest.raises(InvalidStatus) as raised:
        async with sockets.opened(gateway, key, **options):
            pass
    reply = raised.value.response
    return reply.status_code, json.loads(reply.body)["error"], reply.headers


async def test_nobody_gets_in_without_a_key_that_is_one(opened):
    gateway = await opened(dev=parts.Development(mode="off"))
    for key in (None, "sk-frdy-no-such-key"):
        status, error, headers = await refusal(gateway, key)
        assert (status, error["type"], error["code"]) == (401, "invalid_request_error", "invalid_api_key")
        assert headers["content-type"] == "application/json"
        assert headers["x-request-id"]
    minted = await gateway.mint("org_a", scopes=("responses:read",))
    status, error, _ = await refusal(gateway, minted.secret)
    assert (status, error["code"]) == (403, "insufficient_permissions")


async def test_development_mode_lets_this_machine_in_and_no_page_of_another_site(gateway):
    async with sockets.opened(gateway, None) as wire:
        assert (await wire.ask())["status"] == "completed"
    status, error, _ = await refusal(gateway, None, headers={"origin": "https://evil.example"})
    assert (status, error["code"]) == (401, "invalid_api_key")


async def test_a_key_may_come_as_x_api_key(gateway):
    async with sockets.opened(gateway, None, headers={"x-api-key": DEV_KEY}) as wire:
        assert (await wire.ask())["status"] == "completed"


async def test_there_is_a_socket_at_one_path_only(gateway):
    for path in ("/v1/models", "/v1/responses/resp_1", "/no/such/path", "/"):
        status, error, _ = await refusal(gateway, DEV_KEY, path=path)
        assert (status, error["type"]) == (400, "invalid_request_error")
        assert "WebSocket" in error["message"]


async def test_a_get_that_asks_for_no_socket_is_told_what_the_path_knows(gateway):
    reply = await gateway.get("/v1/responses")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


async def test_a_key_that_was_taken_back_asks_for_nothing_more(gateway):
    keys = f"/v1/organizations/{development.ORGANIZATIONS[0]}/api-keys"
    made = (await gateway.post(keys, {"name": "agent"})).json()
    async with sockets.opened(gateway, made["key"]) as wire:
        assert (await wire.ask())["status"] == "completed"
        assert (await gateway.delete(f"{keys}/{made['id']}")).status_code in (200, 204)
        error = await wire.refused()
    assert (error["status"], error["error"]["code"]) == (401, "invalid_api_key")


async def test_ids_of_other_organizations_are_as_unknown_as_any(opened):
    gateway = await opened(dev=parts.Development(mode="off"))
    one, other = await gateway.mint("org_a"), await gateway.mint("org_b")
    async with sockets.opened(gateway, one.secret) as theirs, sockets.opened(gateway, other.secret) as mine:
        stored = (await theirs.ask("Secret"))["id"]
        held = (await theirs.ask("Secret", store=False))["id"]
        answers = [await mine.refused(previous_response_id=found) for found in (stored, held, "resp_no")]
        for found, told in zip((stored, held, "resp_no"), answers, strict=True):
            assert told["status"] == 400
            assert {**told["error"], "message": told["error"]["message"].replace(found, "…")} == {
                **answers[2]["error"],
                "message": answers[2]["error"]["message"].replace("resp_no", "…"),
            }
        await mine.send({"type": "response.cancel", "response_id": stored})
        assert (await mine.next())["error"]["code"] == "response_not_found"
        await mine.send({"type": "response.steer", "previous_response_id": stored, "input": "Hi"})
        assert (await mine.next())["error"]["code"] == "response_not_found"


async def test_the_request_is_counted_and_its_responses_are_listed(gateway, wire):
    begun = await wire.ask()
    kept = Stream((await gateway.get(f"/v1/responses/{begun['id']}?stream=true")).content)
    assert kept.last["response"]["id"] == begun["id"]
    metrics = (await gateway.get("/metrics")).text
    told = [line for line in metrics.splitlines() if 'route="/v1/responses"' in line and 'status="101"' in line]
    assert told
