"""Limits and budgets as callers meet them: set over the API, told by headers, refused in both dialects."""

import asyncio
import re
from typing import Any

import httpx2
import openai
import pytest
from gateway import Gateway, spelled

from freddy.server.config import Served
from freddy.server.config import settings as parts
from upstream import Answer, Gate, Upstream, text

ORGANIZATION = "org_local"
DIALECTS = ("freddy", "openai")
READ, WRITTEN = 10, 5
DEAR = Served(
    name="dear",
    candidates=(parts.Candidate(upstream="stage", model="stage-dear"),),
    price=parts.Price(input=0, output=1e6),
)
"""A token of output costs a dollar."""
KINDS = tuple(
    f"x-ratelimit-{what}-{noun}" for noun in ("requests", "tokens") for what in ("limit", "remaining", "reset")
)


@pytest.fixture
async def upstream():
    async with Upstream(answering=lambda _: Answer(text("Hello."), usage=(READ, WRITTEN))) as upstream:
        yield upstream
        assert upstream.complaints == []


async def limited(gateway: Gateway, **limits: Any) -> tuple[str, str]:
    """A key with these limits: its secret, and its path."""
    path = f"/v1/organizations/{ORGANIZATION}/api-keys"
    made = (await gateway.post(path, {"key_name": "limited", "limits": limits})).json()
    return made["key"], f"{path}/{made['id']}"


async def change(gateway: Gateway, path: str, **fields: Any) -> None:
    reply = await gateway.http().patch(path, json=fields)
    assert reply.status_code == 200, reply.text


async def ask(gateway: Gateway, key: str, dialect: str = "freddy", **body: Any) -> httpx2.Response:
    return await gateway.post(*spelled(dialect, **body), key=key)


def gauges(reply: httpx2.Response) -> dict[str, str]:
    return {name: reply.headers[name] for name in KINDS if name in reply.headers}


def error(reply: httpx2.Response) -> dict[str, Any]:
    assert reply.status_code == 429, reply.text
    return reply.json()["error"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_answer_tells_what_is_left(gateway, dialect, streamed):
    key, _ = await limited(gateway, requests_per_minute=60, tokens_per_minute=100_000)
    reply = await ask(gateway, key, dialect, stream=streamed, max_output_tokens=500)
    assert reply.status_code == 200
    told = gauges(reply)
    assert set(told) == set(KINDS)
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("60", "59")
    for noun in ("requests", "tokens"):
        assert re.fullmatch(r"1m0(\.\d+)?s|\d+(\.\d+)?s|\d+ms", told[f"x-ratelimit-reset-{noun}"])
    assert told["x-ratelimit-limit-tokens"] == "100000"
    # What it may take at most is told as used, since nobody knows better when it begins.
    assert 99_000 < int(told["x-ratelimit-remaining-tokens"]) < 99_500
    after = gauges(await ask(gateway, key, dialect, max_output_tokens=500))
    used = int(told["x-ratelimit-remaining-tokens"]) - int(after["x-ratelimit-remaining-tokens"])
    assert used <= READ + WRITTEN


async def test_who_has_no_limits_is_told_of_none(gateway):
    key, _ = await limited(gateway)
    assert gauges(await ask(gateway, key)) == {}
    key, _ = await limited(gateway, concurrent_runs=1, monthly_budget=5)
    assert gauges(await ask(gateway, key)) == {}


async def test_what_begins_no_response_is_neither_counted_nor_told(gateway):
    key, _ = await limited(gateway, requests_per_minute=1)
    for path in ("/v1/models", "/v1/threads", "/v1/model/response"):
        assert gauges(await gateway.get(path, key=key)) == {}
    for body in ({"inputs": 5}, {"inputs": "Hi", "model": "unknown"}):
        refused = await gateway.post("/v1/model/response", body, key=key)
        assert refused.status_code in (404, 422)
    assert (await ask(gateway, key)).status_code == 200


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_too_many_requests_are_refused_with_the_time_to_wait(gateway, upstream, dialect, streamed):
    key, path = await limited(gateway, requests_per_minute=2)
    for _ in range(2):
        assert (await ask(gateway, key, dialect)).status_code == 200
    refused = await ask(gateway, key, dialect, stream=streamed)
    said = error(refused)
    assert refused.headers["content-type"] == "application/json"
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert gauges(refused)["x-ratelimit-remaining-requests"] == "0"
    assert said["code"] == "rate_limit_exceeded"
    assert "limit of requests per minute: 2" in said["message"]
    if dialect == "freddy":
        assert (said["type"], "Retry-After" in said["details"]) == ("rate_limit_error", True)
    else:
        assert set(said) == {"message", "type", "param", "code"}
    assert len(upstream.calls) == 2
    await change(gateway, path, limits={"requests_per_minute": 3})
    assert (await ask(gateway, key, dialect)).status_code == 200


async def test_more_tokens_than_the_limit_has_can_never_be_had(gateway, upstream):
    key, _ = await limited(gateway, tokens_per_minute=100)
    refused = await ask(gateway, key, max_output_tokens=200)
    assert error(refused)["code"] == "rate_limit_exceeded"
    assert "retry-after" not in refused.headers
    assert refused.headers["x-should-retry"] == "false"
    assert (await ask(gateway, key, max_output_tokens=20)).status_code == 200
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("whose", ["key", "organization"])
async def test_runs_at_the_same_time_are_no_more_than_the_limit(gateway, upstream, whose):
    key, path = await limited(gateway)
    if whose == "organization":
        path = f"/v1/organizations/{ORGANIZATION}"
    await change(gateway, path, limits={"concurrent_runs": 2})
    gates = [Gate(), Gate()]
    upstream.says(*(Answer(text("Half"), gate) for gate in gates))
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(ask(gateway, key)) for _ in gates]
        for gate in gates:
            await gate.reached()
        refused = await ask(gateway, key)
        said = error(refused)
        gates[0].open()
        async with asyncio.timeout(30):
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert (await ask(gateway, key)).status_code == 200
        gates[1].open()
    assert (said["code"], refused.headers["retry-after"]) == ("rate_limit_exceeded", "1")
    assert f"This {'organization' if whose == 'organization' else 'API key'}" in said["message"]
    assert [one.result().status_code for one in waiting] == [200, 200]


async def test_the_limit_of_the_organization_holds_for_all_of_its_keys_together(gateway):
    await change(gateway, f"/v1/organizations/{ORGANIZATION}", limits={"requests_per_minute": 2})
    keys = [(await limited(gateway, requests_per_minute=100))[0] for _ in range(3)]
    assert [(await ask(gateway, key)).status_code for key in keys] == [200, 200, 429]
    told = gauges(await ask(gateway, keys[0]))
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("2", "0")
    await change(gateway, f"/v1/organizations/{ORGANIZATION}", limits=None)
    assert (await ask(gateway, keys[2])).status_code == 200


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_budget_is_spent_to_its_last_dollar_and_not_beyond(opened, dialect):
    gateway = await opened(models=(DEAR,))
    key, path = await limited(gateway, monthly_budget=12)
    dear = {"model": "dear", "max_output_tokens": WRITTEN}
    for _ in range(2):
        assert (await ask(gateway, key, dialect, **dear)).status_code == 200
    refused = await ask(gateway, key, dialect, **dear)
    said = error(refused)
    assert "may cost 5 US dollars, and 2 are left" in said["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert int(refused.headers["retry-after"]) > 0
    if dialect == "freddy":
        assert (said["type"], said["code"]) == ("rate_limit_error", "budget_exceeded")
    else:
        assert (said["type"], said["code"]) == ("insufficient_quota", "insufficient_quota")
    assert (await ask(gateway, key, dialect)).status_code == 200, "what has no price passes while something is left"
    assert (await ask(gateway, key, dialect, model="dear", max_output_tokens=2)).status_code == 200
    assert error(await ask(gateway, key, dialect, model="dear", max_output_tokens=1))
    await change(gateway, path, monthly_budget=100)
    assert (await ask(gateway, key, dialect, **dear)).status_code == 200


async def test_a_spent_budget_is_spent_after_a_restart(opened):
    gateway = await opened(models=(DEAR,))
    key, _ = await limited(gateway, monthly_budget=8)
    await change(gateway, f"/v1/organizations/{ORGANIZATION}", limits={"monthly_budget": 11})
    dear = {"model": "dear", "max_output_tokens": WRITTEN}
    assert (await ask(gateway, key, **dear)).status_code == 200
    gateway = await opened(models=(DEAR,))
    assert "3 are left of this API key" in error(await ask(gateway, key, **dear))["message"]
    other, _ = await limited(gateway)
    assert (await ask(gateway, other, **dear)).status_code == 200
    assert "1 are left of this organization" in error(await ask(gateway, other, **dear))["message"]


async def test_usage_and_limits_are_shown_afterwards(opened):
    gateway = await opened(models=(DEAR,))
    key, path = await limited(gateway, monthly_budget=8)
    key_id = path.rpartition("/")[2]
    dear = {"model": "dear", "max_output_tokens": WRITTEN}
    assert [(await ask(gateway, key, **dear)).status_code for _ in range(3)] == [200, 429, 429]
    told = (await gateway.get(f"/v1/usage?bucket=none&api_key_id={key_id}")).json()["total"]
    assert (told["requests"], told["input_tokens"], told["output_tokens"], told["cost"]) == (1, READ, WRITTEN, WRITTEN)
    shown = (await gateway.get(f"/v1/analytics/usage/limits/{ORGANIZATION}")).json()
    [mine] = [one for one in shown["api_key_limits"] if one["api_key_id"] == key_id]
    assert (mine["monthly_limit"], mine["current_usage"], mine["status"]) == (8, WRITTEN, "ok")
    again = await gateway.http().put(
        f"/v1/analytics/usage/limits/{ORGANIZATION}", json={"api_key_id": key_id, "api_key_limit": 20}
    )
    assert again.status_code == 200
    assert (await ask(gateway, key, **dear)).status_code == 200


async def test_a_key_that_is_paused_or_switched_off_is_refused_before_any_limit(gateway):
    key, path = await limited(gateway, requests_per_minute=1)
    for off, on in (("pause", "unpause"), ("deactivate", "activate")):
        assert (await gateway.post(f"{path}/{off}")).status_code == 200
        refused = await ask(gateway, key)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert gauges(refused) == {}
        assert (await gateway.post(f"{path}/{on}")).status_code == 200
    assert (await ask(gateway, key)).status_code == 200
    assert (await ask(gateway, key)).status_code == 429


async def test_what_was_refused_can_be_asked_again_with_the_same_idempotency_key(gateway):
    key, path = await limited(gateway, requests_per_minute=1)
    assert (await ask(gateway, key)).status_code == 200
    http = gateway.http(key)
    where, body = spelled("freddy")
    once = {"idempotency-key": "try-1"}
    assert (await http.post(where, json=body, headers=once)).status_code == 429
    await change(gateway, path, limits={"requests_per_minute": 5})
    first = await http.post(where, json=body, headers=once)
    again = await http.post(where, json=body, headers=once)
    assert first.status_code == again.status_code == 200
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["x-ratelimit-remaining-requests"] == "3"


async def test_the_official_client_knows_a_limit_by_its_error(gateway):
    key, _ = await limited(gateway, requests_per_minute=1)
    client = gateway.openai(key)
    told = await client.responses.with_raw_response.create(model="stage", input="Hi")
    assert told.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as caught:
        await client.responses.create(model="stage", input="Hi")
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after"]) >= 1
