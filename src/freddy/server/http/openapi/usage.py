"""What the paths of usage do, take and answer."""

from freddy.server.core.limits import LARGEST_BUDGET
from freddy.server.dialects.freddy import usage_views as wire
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import Schema, Types, either, number, text, thing, whole, word

_USAGE, _KEYS = "/v1/analytics/usage", "/v1/analytics/api-keys"
_WRONG = (422,)
_CLIENT = "In the shape of the platform's clients. Amounts are US dollars."

_COUNTS: dict[str, Schema] = {
    "requests": {"description": "Responses: each counts at the first of its calls."},
    "calls": {"description": "Of models and tools; tries that came to nothing are calls, too."},
    "failures": {"description": "Calls that failed."},
    "input_tokens": {"description": "Read, by all calls."},
    "cached_tokens": {"description": "Of these, what the vendor had read before."},
    "output_tokens": {"description": "Written."},
    "reasoning_tokens": {"description": "Of these, what was thought."},
    "neurons": {"description": "`input_tokens` in the unit of the server."},
    "synapses": {"description": "`output_tokens` in the unit of the server."},
    "cost": {"description": "US dollars, without the `unpriced_calls`."},
    "unpriced_calls": {"description": "Calls of which no price is known."},
    "milliseconds": {"description": "That the calls took together."},
}
_POINT: dict[str, Schema] = {
    **_COUNTS,
    "period": {"description": "`2026`, `2026-03`, `2026-03-05` or `2026-03-05T14:00:00Z`."},
    "start": {"description": "When it begins, in UTC."},
    "month": {"description": "Null in years."},
    "date": {"description": "Null in years and months."},
    "hour": {"description": "Of the day, from 0; null but in hours."},
}
_VALUE: Schema = {"description": "Neurons, synapses or both, as `metric` asked."}
_LIMIT: dict[str, Schema] = {
    "monthly_limit": {"description": "US dollars in a month of the calendar, in UTC; null where there is none."},
    "current_usage": {"description": "US dollars."},
    "remaining_budget": {"description": "US dollars; less than 0 where more was spent, 0 without a limit."},
    "status": {"description": "`warning` from 80 percent on, `exceeded` from 100."},
}
_WORDS: dict[str, dict[str, Schema]] = {
    "Used": _COUNTS,
    "UsageEntry": {
        **_COUNTS,
        "start": {"description": "Unix seconds."},
        "end": {"description": "Unix seconds; the moment itself is not part of it."},
        "model": {"description": "The name of the model or tool, as its provider calls it."},
        "api_key_id": {"description": "Null for what was used without a key."},
        "user_id": {"description": "Null for what no user used."},
    },
    "UsagePoint": _POINT,
    "TrendPoint": {
        **_POINT,
        "value": _VALUE,
        "change_percentage": {"description": "Against the month before; null where that was nothing."},
    },
    "ModelUse": {**_COUNTS, "cost_percentage": {"description": "Of the cost of all."}},
    "HourUse": {"value": _VALUE},
    "WeekdayUse": {"value": _VALUE},
    "PeakHour": {"value": _VALUE},
    "SpendingLimit": _LIMIT,
    "KeyLimit": _LIMIT,
    "MonthForecast": {
        "projected_cost": {"description": "If the month goes on as it began; null on its first day."},
    },
    "Forecast": {"value": {"description": "Null with fewer than three whole months to go by."}},
    "HeatmapData": {"values": {"description": "A row for each weekday, with a number for each hour in UTC."}},
    "UsageLimits": {
        "api_limits": {"description": "What all keys spent together; they have no limit in common."},
        "api_key_limits": {"description": "Of every key of the organization."},
    },
    "TopKey": {
        "api_key_name": {"description": "Null where the key is no more."},
        "daily_usage": {"description": "Only with `period=daily`."},
    },
}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names = {
        kind: kind.__name__
        for kind in vars(wire).values()
        if isinstance(kind, type) and kind.__module__ == wire.__name__
    }
    written = Types(found, "Usage", words=_WORDS, names=names)
    for answer in (
        wire.UsageReport,
        wire.UsageAnalytics,
        wire.UsageSummary,
        wire.UsageDashboard,
        wire.UsageTrends,
        wire.UsageHeatmap,
        wire.UsageLimits,
        wire.LimitsChanged,
        wire.KeysSummary,
        wire.KeysDaily,
        wire.KeyUsage,
        wire.TopKeys,
    ):
        written.add(answer)
    budget = either("", number("US dollars a month.", 0, LARGEST_BUDGET), {"type": "null"})
    return found | {
        "UsageLimitChange": thing(
            "New limits; what is left out stays, null takes away. Also in camelCase.",
            {
                "monthly_api_limit": budget | {"description": "Of the organization."},
                "api_key_id": text("Which key has the `api_key_limit`."),
                "api_key_limit": budget | {"description": "Of that key."},
            },
        )
    }


def _query(name: str, schema: Schema) -> Schema:
    says = schema.pop("description")
    return {"name": name, "in": "query", "schema": schema, "description": says}


def _path(name: str, schema: Schema) -> Schema:
    return _query(name, schema) | {"in": "path", "required": True}


_PARAMETERS: dict[str, Schema] = {
    "usage_start": _query("start", text("Unix seconds, a date or a time. Default: 30 days before `end`.")),
    "usage_end": _query("end", text("The same. Default: now.")),
    "usage_bucket": _query("bucket", word("What is added up.", ("hour", "day", "month", "none"), default="day")),
    "usage_group_by": _query(
        "group_by", text("Some of `model`, `provider`, `kind`, `key`, `user`, with commas between them.")
    ),
    "usage_model": _query("model", text("Only this model or tool.")),
    "usage_provider": _query("provider", text("Only this provider.")),
    "usage_kind": _query("kind", word("Only these calls.", ("model", "tool", "embedding"))),
    "usage_key": _query("api_key_id", text("Only this key; empty for what was used without one.")),
    "usage_user": _query("user_id", text("Only this user; empty for what no user used.")),
    "usage_years": _query("years", whole("How many, up to this one.", 1, 10, default=3)),
    "usage_months": _query("months", whole("How many, up to `month`, or to December.", 1, 36, default=12)),
    "usage_of_year": _query("year", whole("Needed.", 2000, 9000)),
    "usage_of_month": _query("month", whole("Needed but where `months` may be asked.", 1, 12)),
    "usage_year": _query("year", whole("Default: this one.", 2000, 9000)),
    "usage_month": _query("month", whole("Default: this one.", 1, 12)),
    "usage_date": _query("date", text("Needed, such as `2026-03-05`.", format="date")),
    "usage_days": _query("days", whole("How many, up to today.", 7, 90, default=30)),
    "usage_trend_months": _query("months", whole("How many, up to this one.", 3, 12, default=6)),
    "usage_metric": _query("metric", word("What counts; left out, both do.", ("neurons", "synapses"))),
    "usage_top": _query("limit", whole("How many keys.", 1, 100, default=10)),
    "usage_top_period": _query("period", word("`daily` adds the days.", ("daily", "monthly"), default="monthly")),
    "month": _path("month", whole("1 to 12.", 1, 12)),
    "year": _path("year", whole("Such as 2026.", 2000, 9000)),
}


def _get(path: str, name: str, title: str, answer: str, *query: str, statuses: tuple[int, ...] = _WRONG) -> Operation:
    return Operation(
        method="get",
        path=path,
        name=name,
        tag="Usage",
        title=title,
        says=_CLIENT,
        query=query,
        answer=answer,
        statuses=statuses,
    )


AREA = Area(
    operations=(
        Operation(
            method="get",
            path="/v1/usage",
            name="getUsage",
            tag="Usage",
            title="What was used",
            says=(
                "By hour, day or month, and by whom. Up to 31 days of hours, 400 of days, ten years of months, and "
                "10,000 entries. Times are UTC, and whole hours: the first is taken from its beginning, the last to "
                "its end."
            ),
            query=(
                "organization_id",
                "usage_start",
                "usage_end",
                "usage_bucket",
                "usage_group_by",
                "usage_model",
                "usage_provider",
                "usage_kind",
                "usage_key",
                "usage_user",
            ),
            answer="UsageReport",
            statuses=(400, 422),
        ),
        _get(_USAGE + "/yearly/{organization}", "getYearlyUsage", "By year", "UsageAnalytics", "usage_years"),
        _get(
            _USAGE + "/monthly/{organization}",
            "getMonthlyUsage",
            "By month",
            "UsageAnalytics",
            "usage_of_year",
            "usage_of_month",
            "usage_months",
        ),
        _get(
            _USAGE + "/daily/{organization}",
            "getDailyUsage",
            "By day, of a month",
            "UsageAnalytics",
            "usage_of_year",
            "usage_of_month",
        ),
        _get(_USAGE + "/hourly/{organization}", "getHourlyUsage", "By hour, of a day", "UsageAnalytics", "usage_date"),
        _get(_USAGE + "/summary/{organization}", "getUsageSummary", "All that was ever used", "UsageSummary"),
        _get(
            _USAGE + "/dashboard/{organization}",
            "getUsageDashboard",
            "The last days at a glance",
            "UsageDashboard",
            "usage_days",
            "usage_metric",
        ),
        _get(
            _USAGE + "/trends/{organization}",
            "getUsageTrends",
            "The last months, and where they lead",
            "UsageTrends",
            "usage_trend_months",
            "usage_metric",
        ),
        _get(
            _USAGE + "/heatmap/{organization}",
            "getUsageHeatmap",
            "By weekday and hour",
            "UsageHeatmap",
            "usage_days",
            "usage_metric",
        ),
        _get(
            _USAGE + "/limits/{organization}",
            "getUsageLimits",
            "What may be spent, and what was",
            "UsageLimits",
            "usage_month",
            "usage_year",
            statuses=(404, 422),
        ),
        Operation(
            method="put",
            path=_USAGE + "/limits/{organization}",
            name="setUsageLimits",
            tag="Usage",
            title="Change what may be spent",
            says="In US dollars a month. Needs the scope `organizations:manage`.",
            body="UsageLimitChange",
            requests={
                "organization": {"monthly_api_limit": 250},
                "key": {"api_key_id": "key_019a6f3c2b7d4e1f8a2b3c4d5e6f", "api_key_limit": 20},
            },
            answer="LimitsChanged",
            statuses=(400, 404, 413, 422),
        ),
        _get(
            _KEYS + "/summary/{organization}",
            "getKeysSummary",
            "What keys used in a month",
            "KeysSummary",
            "usage_month",
            "usage_year",
        ),
        _get(
            _KEYS + "/daily/{organization}",
            "getKeysDaily",
            "What keys used in a month, by day",
            "KeysDaily",
            "usage_month",
            "usage_year",
        ),
        _get(
            _KEYS + "/usage/{organization}/{key_id}",
            "getKeyUsage",
            "What one key used in a month",
            "KeyUsage",
            "usage_month",
            "usage_year",
            statuses=(404, 422),
        ),
        _get(
            "/v1/analytics/{organization}/api-keys/top/{month}/{year}",
            "getTopKeys",
            "The keys that cost most in a month",
            "TopKeys",
            "usage_top",
            "usage_top_period",
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
