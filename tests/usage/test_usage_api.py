"""What `usage.detailed` tells of a response, and what the paths of usage tell of all."""

import pytest

from freddy.server.config import settings as parts
from people import Site
from promises import promise
from upstream import Answer, Fault, Gate, call, text, thought

ONE = {"requests": 1, "calls": 1, "failures": 0, "input_tokens": 1000, "output_tokens": 500, "cost": 2.0}
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


async def total(gateway, query: str = "", **more) -> dict:
    reply = await gateway.get(f"/v1/usage?bucket=none{query}", **more)
    assert reply.status_code == 200, reply.text
    return reply.json()["total"]


def check(told: dict, **expected) -> None:
    assert {name: told[name] for name in expected} == expected


def parts_of(told: dict, *names: str) -> bool:
    """Whether the parts are there and add up to the total."""
    return sum(told[name] for name in names) == told["total"]


# What a response tells of itself


@promise(87, 283, 284, 285)
async def test_detailed_usage_is_divided_and_adds_up(gateway, upstream):
    upstream.says(
        Answer(thought("Hm, a tool."), text("I look."), call("get_weather", "{}", call_id="call_1"), usage=(1000, 500))
    )
    asked = {
        "model": "dear",
        "inputs": [
            {"role": "system", "content": "You are a weatherman of few words."},
            {"role": "user", "content": "What is the weather like in Oslo today?"},
        ],
        "tools": [TOOL],
        "include": ["usage.detailed"],
        "thread": "thrd_weather",
    }
    first = (await gateway.post("/v1/model/response", asked)).json()["usage"]
    neurons, synapses = first["neurons"], first["synapses"]
    assert (first["input_tokens"], neurons["total"], synapses["total"]) == (1000, 1000, 500)
    assert parts_of(neurons, "input", "context", "system", "tools")
    assert parts_of(synapses, "output", "reasoning", "tool_execution")
    assert neurons["context"] == 0
    assert all(neurons[name] > 0 for name in ("input", "system", "tools"))
    assert all(synapses[name] > 0 for name in ("output", "tool_execution"))
    assert first["cost"] == {"total": 2.0, "currency": "USD"}
    upstream.says(Answer(text("It rains."), usage=(1000, 500)))
    again = await gateway.told("freddy", model="dear", input="And?", thread="thrd_weather", include=["usage.detailed"])
    later = again.last["response"]["usage"]["neurons"]
    assert parts_of(later, "input", "context", "system", "tools")
    assert later["context"] > later["input"] > 0
    kept = await gateway.get(f"/v1/model/response/{again.last['response']['id']}")
    assert kept.json()["usage"] == again.last["response"]["usage"]


async def test_outputs_of_tools_count_as_tools_and_not_as_input(gateway):
    told = await gateway.ask(
        "freddy",
        model="dear",
        input=[
            {"role": "user", "content": "Weather?"},
            {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "It rains cats and dogs. " * 20},
        ],
        include=["usage.detailed"],
    )
    neurons = told["usage"]["neurons"]
    assert neurons["tools"] > neurons["input"] > 0
    assert parts_of(neurons, "input", "context", "system", "tools")


async def test_a_unit_may_be_several_tokens_in_responses_and_in_analytics(opened):
    gateway = await opened(accounting=parts.Accounting(tokens_per_neuron=4, tokens_per_synapse=2))
    told = await gateway.ask("freddy", model="dear", include=["usage.detailed"])
    assert (told["usage"]["neurons"]["total"], told["usage"]["synapses"]["total"]) == (250, 250)
    check(await total(gateway), neurons=250, synapses=250, input_tokens=1000, cost=2.0)


async def test_nothing_is_divided_unless_somebody_asks(gateway):
    told = await gateway.ask("freddy", model="dear")
    assert told["usage"] == {"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500}


# What is counted


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_every_response_is_counted(gateway, dialect, stream, store):
    ask = gateway.told if stream else gateway.ask
    await ask(dialect, model="dear", store=store)
    check(await total(gateway), **ONE)


@pytest.mark.parametrize("store", [True, False])
async def test_a_failure_is_a_call_that_used_nothing(gateway, upstream, store):
    upstream.says(Fault(400, "refused"))
    reply = await gateway.post("/v1/model/response", {"model": "dear", "inputs": "Hi", "store": store})
    assert reply.status_code == 400
    check(await total(gateway), requests=1, calls=1, failures=1, input_tokens=0, cost=0, unpriced_calls=0)


async def test_what_a_listener_heard_who_hung_up_is_counted(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(*text("Hello", " there"), gate, text(" you"), usage=(1000, 500)))
    body = {"model": "dear", "inputs": "Hi", "stream": True}
    async with gateway.listening("/v1/model/response", body) as listening:
        begun = await listening.next("response.created")
        await listening.next("response.output_text.delta")
    ended = await gateway.ended(begun["id"])
    assert ended["status"] == "cancelled"
    told = await total(gateway)
    check(told, requests=1, calls=1, failures=0)
    assert told["output_tokens"] > 0
    assert told["cost"] > 0


async def test_a_deleted_response_was_used_all_the_same(gateway):
    told = await gateway.ask("freddy", model="dear")
    await gateway.delete(f"/v1/model/response/{told['id']}")
    check(await total(gateway), **ONE)


async def test_what_was_used_outlives_the_server(opened):
    gateway = await opened()
    await gateway.ask("freddy", model="dear")
    await gateway.ask("freddy", model="dear", store=False)
    gateway = await opened()
    check(await total(gateway), requests=2, cost=4.0)


async def test_calls_without_a_price_are_in_no_cost_and_said_so(gateway):
    await gateway.ask("freddy")
    check(await total(gateway), requests=1, cost=0, unpriced_calls=1)


# Who asks for what


@promise(22, 286)
async def test_usage_is_an_organizations_own(gateway):
    mine, other = await gateway.mint("org_a", "org_b"), await gateway.mint("org_c")
    body = {"model": "dear", "inputs": "Hi"}
    for more in ({}, {"organization_id": "org_b"}, {"organization_id": "org_b"}):
        await gateway.post("/v1/model/response", body | more, key=mine.secret)
    check(await total(gateway, key=mine.secret), requests=1)
    check(await total(gateway, "&organization_id=org_b", key=mine.secret), requests=2)
    check(await total(gateway, key=other.secret), requests=0)
    refused = await gateway.get("/v1/usage?organization_id=org_a", key=other.secret)
    assert refused.status_code == 403
    assert (await gateway.get("/v1/analytics/usage/summary/org_a", key=other.secret)).status_code == 403


async def test_a_key_needs_the_scope_and_another_one_to_change_budgets(gateway):
    reads = await gateway.mint("org_a", scopes=["usage:read"])
    none = await gateway.mint("org_a", scopes=["responses:write"])
    for path in ("/v1/usage", "/v1/analytics/usage/limits/org_a", "/v1/analytics/org_a/api-keys/top/1/2026"):
        assert (await gateway.get(path, key=reads.secret)).status_code == 200
        refused = (await gateway.get(path, key=none.secret)).json()["error"]
        assert refused["code"] == "insufficient_permissions"
    changed = await gateway.http(reads.secret).put("/v1/analytics/usage/limits/org_a", json={"monthly_api_limit": 1})
    assert changed.status_code == 403


async def test_members_see_what_is_their_own_and_no_budgets(registering):
    site = Site(registering)
    owner, organization = await site.register("ann@example.com")
    member = await site.invite(owner, organization, "bob@example.com", "member")
    body = {"model": "dear", "inputs": "Hi", "organization_id": organization}
    for person in (owner, member, member):
        reply = await person.ask("POST", "/v1/model/response", body)
        assert reply.status_code == 200, reply.text
    path = f"/v1/usage?bucket=none&organization_id={organization}&group_by=user"
    entries = (await owner.ask("GET", path)).json()["data"]
    assert {one["user_id"]: one["requests"] for one in entries} == {owner.id: 1, member.id: 2}
    assert all("api_key_id" not in one for one in entries)
    [own] = (await member.ask("GET", path)).json()["data"]
    assert (own["user_id"], own["requests"]) == (member.id, 2)
    assert (await member.ask("GET", f"{path}&user_id={owner.id}")).json()["data"] == []
    summary = f"/v1/analytics/usage/summary/{organization}"
    assert (await owner.ask("GET", summary)).json()["total_requests"] == 3
    assert (await member.ask("GET", summary)).json()["total_requests"] == 2
    limits = f"/v1/analytics/usage/limits/{organization}"
    assert (await owner.ask("GET", limits)).status_code == 200
    assert (await member.ask("GET", limits)).status_code == 403
    changed = await owner.ask("PUT", limits, {"monthlyApiLimit": 5})
    assert changed.status_code == 200, changed.text
    told = (await owner.ask("GET", limits)).json()["organization_limits"]
    assert (told["monthly_limit"], told["current_usage"], told["status"]) == (5, 6, "exceeded")
    log = (await owner.ask("GET", f"/v1/organizations/{organization}/audit-log")).text
    assert "monthly_budget" in log
    assert (await owner.ask("PUT", limits, {"monthlyApiLimit": None})).status_code == 200
    assert (await owner.ask("GET", limits)).json()["organization_limits"]["status"] == "no_limit"


async def test_entries_are_told_apart_and_left_out_as_asked(gateway):
    await gateway.ask("freddy", model="dear")
    await gateway.ask("freddy")
    told = (await gateway.get("/v1/usage?bucket=month&group_by=provider,model,kind")).json()
    assert told["group_by"] == ["model", "provider", "kind"]
    assert [(one["model"], one["provider"], one["kind"], one["cost"]) for one in told["data"]] == [
        ("stage", "stage", "model", 0),
        ("stage-dear", "stage", "model", 2),
    ]
    assert told["total"]["requests"] == sum(one["requests"] for one in told["data"]) == 2
    check(await total(gateway, "&model=stage-dear"), **ONE)
    check(await total(gateway, "&kind=tool"), requests=0)
    check(await total(gateway, "&api_key_id="), requests=0)
    check(await total(gateway, "&start=2001-01-01&end=2001-02-01T10:30:00%2B02:00"), requests=0)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("bucket=week", "bucket"),
        ("group_by=model,colour", "group_by"),
        ("start=yesterday", "start"),
        ("start=99999999999999", "start"),
        ("end=2026-13-01", "end"),
        ("start=2026-03-02&end=2026-03-01", "end"),
        ("start=2024-01-01&end=2026-03-01", "start"),
        ("start=2026-01-01&end=2026-03-01&bucket=hour", "start"),
        ("start=1990-01-01&end=2026-03-01&bucket=none", "start"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_with_its_parameter(gateway, query, param):
    reply = await gateway.get(f"/v1/usage?{query}")
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("usage/yearly/org_local?years=11", "years"),
        ("usage/monthly/org_local", "year"),
        ("usage/monthly/org_local?year=2026&month=13", "month"),
        ("usage/daily/org_local?year=2026", "month"),
        ("usage/daily/org_local?year=99999&month=1", "year"),
        ("usage/hourly/org_local?date=2026-02-30", "date"),
        ("usage/hourly/org_local", "date"),
        ("usage/heatmap/org_local?days=6", "days"),
        ("usage/trends/org_local?metric=money", "metric"),
        ("org_local/api-keys/top/0/2026", "month"),
        ("org_local/api-keys/top/1/2026?period=weekly", "period"),
    ],
)
async def test_analytics_refuse_what_they_cannot_tell(gateway, path, param):
    reply = await gateway.get(f"/v1/analytics/{path}")
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "monthly_api_limit"),
        ({"api_key_limit": 5}, "api_key_id"),
        ({"api_key_id": "key_1"}, "api_key_limit"),
        ({"totalApiKeyLimit": 5}, "totalApiKeyLimit"),
        ({"monthly_api_limit": -1}, "monthly_api_limit"),
        ({"monthly_api_limit": "5"}, "monthly_api_limit"),
        ({"monthly_limit": 5}, "monthly_limit"),
    ],
)
async def test_a_budget_that_makes_no_sense_is_refused_with_its_parameter(gateway, body, param):
    reply = await gateway.http().put("/v1/analytics/usage/limits/org_local", json=body)
    assert reply.status_code in (400, 422)
    assert reply.json()["error"]["param"] == param


# The client


async def test_the_client_asks_for_usage_and_sets_budgets(gateway):
    await gateway.ask("freddy", model="dear")
    client = gateway.freddy(organization_id="org_local")
    report = await client.usage.get(bucket="none", group_by=["model", "user"])
    [entry] = report.data
    assert (entry.model, entry.user_id, entry.cost, entry.requests) == ("stage-dear", None, 2.0, 1)
    assert (report.total.cost, report.currency, report.bucket) == (2.0, "USD", None)
    assert (await client.usage.get(start=0, end=3600, bucket="hour")).data == []
    await client.usage.set_limits(monthly=4)
    limits = await client.usage.limits()
    whole = limits.organization_limits
    assert (whole.monthly_limit, whole.current_usage, whole.utilization_percentage, whole.status) == (4, 2, 50, "ok")
    await client.usage.set_limits(monthly=None)
    assert (await client.usage.limits()).organization_limits.monthly_limit is None
