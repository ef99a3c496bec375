"""The platform's own client: what was used, by whom and when, and what may still be spent."""

import asyncio
from datetime import UTC, datetime

import pytest
from aitronos.core.api_error import ApiError
from aitronos.errors import UnprocessableEntityError
from aitronos_client import platform as opened
from gateway import spelled

from freddy.server.config import Served
from freddy.server.config.settings import Candidate, Price
from simulators.script import Answer, Fault, text

READ, WRITTEN = 1000, 500
COST = 2.0
"""Dollars of one answer."""
REQUESTS = 3
DEAR = Served(
    name="dear", candidates=(Candidate(upstream="stage", model="stage-dear"),), price=Price(input=1000, output=2000)
)


@pytest.fixture
async def used(tmp_path):
    """A platform where two keys were used: one for two answers, one for an answer and a failure; and its moment."""
    async with opened(tmp_path, models=(DEAR,)) as platform:
        keys = [await platform.gateway.mint("org_acme") for _ in range(2)]
        for key in (keys[0], keys[0], keys[1]):
            platform.vendor.says(Answer(text("Hello."), usage=(READ, WRITTEN)))
            path, body = spelled("freddy", model="dear")
            reply = await platform.gateway.post(path, body, key=key.secret)
            now = datetime.fromtimestamp(reply.json()["completed_at"], UTC)
        platform.vendor.says(Fault(400, "refused"))
        assert (await platform.gateway.post(path, body, key=keys[1].secret)).status_code == 400
        async with platform.another(keys[0].secret) as client:
            yield platform, client, [key.key for key in keys], now


COUNTED = {
    "requests": 4,
    "calls": 4,
    "failures": 1,
    "input_tokens": 3 * READ,
    "cached_tokens": 0,
    "output_tokens": 3 * WRITTEN,
    "reasoning_tokens": 0,
    "total_tokens": 3 * (READ + WRITTEN),
    "neurons": 3.0 * READ,
    "synapses": 3.0 * WRITTEN,
    "cost": 3 * COST,
    "unpriced_calls": 0,
}


def check(told, expected=COUNTED) -> None:
    """That the numbers are in it."""
    assert {name: told[name] for name in expected} == expected


async def test_usage_by_year_month_day_and_hour(used):
    _, client, _, now = used
    usage = client.analytics_usage
    told = [
        await usage.get_yearly_usage("org_acme", years=2),
        await usage.get_monthly_usage("org_acme", year=now.year),
        await usage.get_monthly_usage("org_acme", year=now.year, month=now.month, months=3),
        await usage.get_daily_usage("org_acme", year=now.year, month=now.month),
        await usage.get_hourly_usage("org_acme", date=now.date().isoformat()),
    ]
    assert [one.period for one in told] == ["yearly", "monthly", "monthly", "daily", "hourly"]
    assert [len(one.data) for one in told if one.period != "daily"] == [2, 12, 3, 24]
    assert len(told[3].data) in (28, 29, 30, 31)
    names = [str(now.year), f"{now:%Y-%m}", f"{now:%Y-%m}", f"{now:%Y-%m-%d}", f"{now:%Y-%m-%dT%H}:00:00Z"]
    for one, name in zip(told, names, strict=True):
        assert (one.organization_id, one.total_requests, one.total_cost) == ("org_acme", 4, 3 * COST)
        assert (one.total_neurons, one.total_synapses) == (3 * READ, 3 * WRITTEN)
        point = next(point for point in one.data if point["period"] == name)
        check(point)
        assert point["year"] == now.year
        assert all(other["requests"] == 0 for other in one.data if other is not point)
        assert one.summary == {
            "average_cost_per_request": 1.5,
            "busiest_period": name,
            "total_calls": 4,
            "total_failures": 1,
            "unpriced_calls": 0,
            "currency": "USD",
        }


async def test_the_summary_has_all_there_ever_was(used):
    _, client, _, now = used
    told = await client.analytics_usage.get_usage_summary("org_acme")
    assert (told.organization_id, told.total_requests) == ("org_acme", 4)
    assert (told.total_neurons, told.total_synapses, told.total_cost) == (3 * READ, 3 * WRITTEN, 3 * COST)
    assert told.average_cost_per_request == 1.5
    [model] = told.top_models
    assert (model["model"], model["provider"], model["cost_percentage"]) == ("stage-dear", "stage", 100)
    check(model)
    check(told.current_month)
    assert told.time_range["start"] == f"{now:%Y-%m}-01T00:00:00Z"


async def test_the_dashboard_the_trends_and_the_heatmap(used):
    _, client, _, now = used
    usage = client.analytics_usage
    board = await usage.get_usage_dashboard("org_acme", days=7, metric="synapses")
    assert (board.organization_id, board.metric, board.period["days"]) == ("org_acme", "synapses", 7)
    check(board.current_summary)
    assert [day["requests"] for day in board.daily_trends] == [0] * 6 + [4]
    patterns = board.usage_patterns
    assert (patterns["peak_hour"], patterns["peak_weekday"]) == (now.hour, f"{now:%A}")
    assert patterns["by_hour"][now.hour] == {"hour": now.hour, "requests": 4, "value": 3.0 * WRITTEN}
    assert board.efficiency_metrics["failure_percentage"] == 25
    assert board.efficiency_metrics["cost_per_thousand_synapses"] == 4
    assert board.predictions["cost_so_far"] == 3 * COST
    assert [one["type"] for one in board.insights] == ["failures"]
    trends = await usage.get_usage_trends("org_acme", months=3, metric="neurons")
    assert (trends.organization_id, trends.metric, trends.period["months"]) == ("org_acme", "neurons", 3)
    assert [month["value"] for month in trends.trends["months"]] == [0, 0, 3 * READ]
    assert [one["type"] for one in trends.patterns] == ["highest_month", "lowest_month"]
    assert trends.forecasts["cost"] is None
    heat = await usage.get_usage_heatmap("org_acme", days=7)
    assert (heat.organization_id, heat.metric) == ("org_acme", None)
    assert heat.heatmap_data["requests"][now.weekday()][now.hour] == 4
    assert sum(map(sum, heat.heatmap_data["values"])) == 3 * (READ + WRITTEN)
    [peak] = heat.peak_hours
    assert (peak["weekday"], peak["hour"], peak["requests"]) == (f"{now:%A}", now.hour, 4)
    assert now.hour not in heat.patterns["idle_hours"]


async def test_limits_are_set_and_told_with_what_is_left(used):
    _, client, (first, second), now = used
    limits = client.analytics_limits
    before = await limits.get_usage_limits("org_acme")
    assert before.organization_limits.status == before.summary.overall_status == "no_limit"
    done = await limits.update_usage_limits("org_acme", monthly_api_limit=7.5, api_key_id=first.id, api_key_limit=4)
    assert done.success
    assert done.message
    told = await limits.get_usage_limits("org_acme", month=now.month, year=now.year)
    whole = told.organization_limits
    assert (whole.monthly_limit, whole.current_usage, whole.utilization_percentage) == (7.5, 6, 80)
    assert (whole.remaining_budget, whole.status) == (1.5, "warning")
    assert (told.api_limits.monthly_limit, told.api_limits.current_usage) == (None, 6)
    assert (told.api_limits.remaining_budget, told.api_limits.status) == (0, "no_limit")
    keys = {one.api_key_id: one for one in told.api_key_limits}
    assert keys[first.id].model_dump() == {
        "api_key_id": first.id,
        "api_key_name": "test",
        "monthly_limit": 4,
        "current_usage": 4,
        "utilization_percentage": 100,
        "remaining_budget": 0,
        "status": "exceeded",
    }
    assert (keys[second.id].monthly_limit, keys[second.id].status) == (None, "no_limit")
    summary = told.summary
    assert (summary.total_keys, summary.keys_with_limits, summary.keys_exceeded) == (2, 1, 1)
    assert summary.overall_status == "exceeded"
    one = await limits.get_api_key_usage("org_acme", first.id)
    assert (one.api_key_id, one.api_key_name, one.organization_id) == (first.id, "test", "org_acme")
    assert (one.month, one.year) == (now.month, now.year)
    assert one.usage == {
        "requests": 2,
        "calls": 2,
        "failures": 0,
        "neurons": 2 * READ,
        "synapses": 2 * WRITTEN,
        "cost": 2 * COST,
        "unpriced_calls": 0,
        "average_cost_per_request": COST,
    }
    assert one.limit["status"] == "exceeded"


async def test_what_keys_used(used):
    _, client, (first, second), now = used
    keys = client.analytics_api_keys
    month = await keys.get_api_key_usage_summary("org_acme", year=now.year, month=now.month)
    assert (month.organization_id, month.month, month.year) == ("org_acme", now.month, now.year)
    assert (month.total_api_key_requests, month.total_api_key_cost) == (4, 3 * COST)
    assert (month.average_cost_per_request, month.total_synapses, month.total_neurons) == (1.5, 3 * WRITTEN, 3 * READ)
    assert datetime.fromisoformat(month.generated_at) >= now
    daily = await keys.get_api_key_daily_usage("org_acme")
    assert (daily.organization_id, daily.period["month"], daily.period["year"]) == ("org_acme", now.month, now.year)
    [day] = [one for one in daily.daily_usage if one.requests]
    assert (day.date, day.requests, day.cost) == (f"{now:%Y-%m-%d}", 4, 3 * COST)
    assert (day.synapses, day.neurons) == (3 * WRITTEN, 3 * READ)
    assert daily.summary.total_api_key_cost == 3 * COST
    top = await keys.get_top_api_keys("org_acme", now.month, now.year, limit=1)
    [best] = top["top_api_keys"]
    assert (top["total"], best["rank"], best["api_key_id"], best["api_key_name"]) == (2, 1, first.id, "test")
    assert (best["requests"], best["cost"], best["cost_percentage"]) == (2, 2 * COST, 66.67)
    days = await keys.get_top_api_keys("org_acme", now.month, now.year, period="daily")
    assert [one["api_key_id"] for one in days["top_api_keys"]] == [first.id, second.id]
    assert [day["requests"] for day in days["top_api_keys"][1]["daily_usage"]] == [2]


async def test_the_synchronous_client_reads_the_same(used):
    platform, client, _, _ = used

    def ask():
        with platform.sync() as sync:
            return sync.analytics_usage.get_usage_summary("org_local")

    assert (await asyncio.to_thread(ask)).total_requests == 0
    assert (await client.analytics_usage.get_usage_summary("org_acme")).total_requests == 4


async def test_what_is_wrong_is_told_with_the_clients_errors(used):
    _, client, _, _ = used
    with pytest.raises(UnprocessableEntityError) as wrong:
        await client.analytics_usage.get_usage_dashboard("org_acme", days=91)
    assert wrong.value.body["error"]["param"] == "days"
    with pytest.raises(UnprocessableEntityError) as wrong:
        await client.analytics_limits.update_usage_limits("org_acme", total_api_key_limit=5)
    assert wrong.value.body["error"]["param"] == "total_api_key_limit"
    with pytest.raises(UnprocessableEntityError):
        await client.analytics_limits.update_usage_limits("org_acme", monthly_api_limit=-1)
    with pytest.raises(ApiError) as wrong:
        await client.analytics_limits.update_usage_limits("org_acme", api_key_id="key_nobody", api_key_limit=1)
    assert wrong.value.status_code == 404
    with pytest.raises(ApiError) as wrong:
        await client.analytics_limits.get_api_key_usage("org_acme", "key_nobody")
    assert wrong.value.status_code == 404
    with pytest.raises(ApiError) as wrong:
        await client.analytics_usage.get_usage_summary("org_others")
    assert wrong.value.status_code == 403
