"""Owns how usage is asked for and told: neurons for what was read, synapses for what was written, US dollars."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import money, periods
from freddy.server.core.limits import LARGEST_BUDGET
from freddy.server.core.periods import Span
from freddy.server.core.usage import Budget, BudgetStatus, Sums
from freddy.server.dialects.freddy import usage_views as views
from freddy.server.dialects.freddy.aliases import Names, camel
from freddy.server.dialects.freddy.fields import Fields, read, too_deep
from freddy.server.dialects.freddy.response import ONE_TO_ONE, Units
from freddy.server.dialects.freddy.usage_views import Metric, Period

Started: TypeAlias = tuple[int, Sums]
"""The beginning of a span in Unix seconds, and what was used in it."""

_NAMES: Final[Names] = {
    spelling: name
    for name in ("monthly_api_limit", "total_api_key_limit", "api_key_id", "api_key_limit")
    for spelling in (name, camel(name))
}
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_THURSDAY: Final = 3
"""The weekday of Unix second 0."""
_MUCH: Final = 25.0
"""Percent that a cost may change before it is worth a word."""
_FAILING: Final = 5.0
"""Percent of calls."""
_encode = msgspec.json.Encoder().encode


class LimitChange(Struct, frozen=True, kw_only=True):
    """US dollars a month; None takes the limit away, `UNSET` leaves it."""

    organization: float | UnsetType | None = UNSET
    key_id: str | None = None
    key: float | UnsetType | None = UNSET


def decode_limits(body: bytes) -> LimitChange:
    """Raises `errors.InvalidInput`, `InvalidValue` and their like."""
    try:
        fields = Fields(read(body), _NAMES)
    except RecursionError:
        raise too_deep() from None
    if fields.given("total_api_key_limit"):
        raise fields.wrong(
            "total_api_key_limit",
            "is not offered: give each key its own limit, or the organization one for all (monthly_api_limit)",
        )
    key_id = fields.identifier("api_key_id")
    if fields.given("api_key_limit") and key_id is None:
        raise fields.wrong("api_key_id", "is needed with api_key_limit: it says which key")
    if key_id is not None and not fields.given("api_key_limit"):
        raise fields.wrong("api_key_limit", "is needed with api_key_id: US dollars a month, or null for no limit")
    if not fields.given("monthly_api_limit") and key_id is None:
        raise fields.wrong("monthly_api_limit", "or api_key_id with api_key_limit must be there")
    return LimitChange(
        organization=_dollars(fields, "monthly_api_limit"),
        key_id=key_id,
        key=_dollars(fields, "api_key_limit"),
    )


class Teller:
    """Writes answers for one organization, in the units of the server."""

    def __init__(self, organization_id: str, units: Units = ONE_TO_ONE, metric: Metric | None = None) -> None:
        self._organization_id = organization_id
        self._units = units
        self._metric = metric

    def report(
        self,
        entries: Iterable[tuple[int, Mapping[str, str], Sums]],
        *,
        since: int,
        until: int,
        bucket: Span | None,
        group_by: Sequence[str],
    ) -> bytes:
        """`entries` have the beginning of their bucket, and what they are told apart by."""
        data = []
        total = Sums()
        for begun, traits, sums in entries:
            total = total.plus(sums)
            # What has no key or user says so with null.
            told: dict[str, Any] = {
                name: value or (None if name in ("api_key_id", "user_id") else "") for name, value in traits.items()
            }
            end = until if bucket is None else min(until, periods.following(bucket, begun))
            start = since if bucket is None else max(since, begun)
            data.append(views.UsageEntry(start=start, end=end, **told, **self._counts(sums)))
        return _encode(
            views.UsageReport(
                organization_id=self._organization_id,
                start=since,
                end=until,
                bucket=bucket,
                group_by=tuple(group_by),
                data=tuple(data),
                total=self._used(total),
            )
        )

    def analytics(self, period: Period, span: Span | Literal["year"], points: Sequence[Started]) -> bytes:
        total = _total(points)
        busiest = max(points, key=lambda one: one[1].requests, default=None)
        return _encode(
            views.UsageAnalytics(
                organization_id=self._organization_id,
                period=period,
                data=tuple(self._point(span, *one) for one in points),
                total_requests=total.requests,
                total_neurons=self._neurons(total),
                total_synapses=self._synapses(total),
                total_cost=money.dollars(total.cost),
                summary=views.AnalyticsTotals(
                    average_cost_per_request=_each(money.dollars(total.cost), total.requests),
                    busiest_period=_named(span, busiest[0]) if busiest and busiest[1].requests else None,
                    total_calls=total.calls,
                    total_failures=total.failures,
                    unpriced_calls=total.unpriced,
                ),
            )
        )

    def summary(
        self,
        models: Sequence[tuple[str, str, Sums]],
        *,
        total: Sums,
        current: Sums,
        since: int,
        until: int,
        most: int = 10,
    ) -> bytes:
        """`models` have name and provider."""
        ranked = sorted(models, key=lambda one: (-one[2].cost, -one[2].calls, one[0], one[1]))[:most]
        return _encode(
            views.UsageSummary(
                organization_id=self._organization_id,
                total_requests=total.requests,
                total_neurons=self._neurons(total),
                total_synapses=self._synapses(total),
                total_cost=money.dollars(total.cost),
                average_cost_per_request=_each(money.dollars(total.cost), total.requests),
                unpriced_calls=total.unpriced,
                top_models=tuple(
                    views.ModelUse(
                        model=name,
                        provider=provider,
                        cost_percentage=_percent(sums.cost, total.cost),
                        **self._counts(sums),
                    )
                    for name, provider, sums in ranked
                ),
                current_month=self._used(current),
                time_range=views.TimeRange(periods.iso(since), periods.iso(until)),
            )
        )

    def dashboard(
        self,
        hours: Sequence[Started],
        *,
        since: int,
        until: int,
        before: Sums,
        this_month: Sums,
        now: int,
    ) -> bytes:
        """`hours` are those with use; `before` is the time as long before `since`."""
        total = _total(hours)
        days = {begun: Sums() for begun in periods.each("day", since, until)}
        for begun, sums in hours:
            day = periods.start("day", begun)
            days[day] = days[day].plus(sums)
        return _encode(
            views.UsageDashboard(
                organization_id=self._organization_id,
                metric=self._metric,
                period=_days(since, until),
                current_summary=self._used(total),
                daily_trends=tuple(self._point("day", begun, sums) for begun, sums in days.items()),
                usage_patterns=self._patterns(hours),
                efficiency_metrics=self._efficiency(total),
                predictions=_month_forecast(this_month, now),
                insights=tuple(_insights(total, before)),
            )
        )

    def trends(self, months: Sequence[Started], *, now: int) -> bytes:
        """`months` follow each other without a gap; the last may not be over."""
        points: list[views.TrendPoint] = []
        previous: float | None = None
        for begun, sums in months:
            value = self._value(sums)
            point = self._point("month", begun, sums)
            told: dict[str, Any] = {name: getattr(point, name) for name in views.UsagePoint.__struct_fields__}
            change = _percent(value - previous, previous) if previous else None
            points.append(views.TrendPoint(value=value, change_percentage=change, **told))
            previous = value
        changes = [point.change_percentage for point in points if point.change_percentage is not None]
        used = [point for point in points if point.value]
        patterns = []
        if used:
            high, low = max(used, key=lambda one: one.value), min(used, key=lambda one: one.value)
            patterns = [
                views.TrendPattern(type="highest_month", month=high.period, value=high.value),
                views.TrendPattern(type="lowest_month", month=low.period, value=low.value),
            ]
        whole = [one for one in months if periods.following("month", one[0]) <= now]
        ahead = periods.start("month", now)
        steps = len(list(periods.each("month", months[0][0], ahead))) if months else 0
        return _encode(
            views.UsageTrends(
                organization_id=self._organization_id,
                metric=self._metric,
                period=views.Months(
                    months=len(months),
                    start=periods.iso(months[0][0]),
                    end=periods.iso(periods.following("month", months[-1][0])),
                ),
                trends=views.Trends(
                    months=tuple(points),
                    average_change_percentage=round(sum(changes) / len(changes), 2) if changes else None,
                ),
                patterns=tuple(patterns),
                forecasts=views.Forecast(
                    next_month=periods.named("month", periods.following("month", ahead)),
                    value=_ahead([self._value(sums) for _, sums in whole], steps + 1),
                    requests=_ahead([float(sums.requests) for _, sums in whole], steps + 1),
                    cost=_ahead([money.dollars(sums.cost) for _, sums in whole], steps + 1),
                ),
            )
        )

    def heatmap(self, hours: Sequence[Started], *, since: int, until: int) -> bytes:
        requests = [[0] * 24 for _ in _WEEKDAYS]
        values = [[0.0] * 24 for _ in _WEEKDAYS]
        for begun, sums in hours:
            weekday, hour = _weekday(begun), begun % periods.DAY // periods.HOUR
            requests[weekday][hour] += sums.requests
            values[weekday][hour] += self._value(sums)
        places = [(weekday, hour) for weekday in range(7) for hour in range(24)]
        ranked = sorted(places, key=lambda place: (-values[place[0]][place[1]], place))
        total = sum(map(sum, values))
        return _encode(
            views.UsageHeatmap(
                organization_id=self._organization_id,
                metric=self._metric,
                period=_days(since, until),
                heatmap_data=views.HeatmapData(
                    weekdays=_WEEKDAYS,
                    hours=tuple(range(24)),
                    values=tuple(tuple(row) for row in values),
                    requests=tuple(tuple(row) for row in requests),
                ),
                peak_hours=tuple(
                    views.PeakHour(
                        weekday=_WEEKDAYS[weekday],
                        hour=hour,
                        requests=requests[weekday][hour],
                        value=values[weekday][hour],
                    )
                    for weekday, hour in ranked[:5]
                    if requests[weekday][hour] or values[weekday][hour]
                ),
                patterns=views.HeatmapPatterns(
                    weekend_percentage=_percent(sum(values[5]) + sum(values[6]), total),
                    idle_hours=tuple(hour for hour in range(24) if not any(requests[day][hour] for day in range(7))),
                ),
            )
        )

    def limits(
        self,
        year: int,
        month: int,
        *,
        organization: Budget,
        by_keys: Budget,
        keys: Sequence[tuple[str, str, Budget]],
    ) -> bytes:
        """`keys` have id and name."""
        states = [organization.status, *(budget.status for _, _, budget in keys)]
        worst: tuple[BudgetStatus, ...] = ("exceeded", "warning", "ok")
        return _encode(
            views.UsageLimits(
                organization_id=self._organization_id,
                month=month,
                year=year,
                organization_limits=views.SpendingLimit(**_limit(organization)),
                api_limits=views.SpendingLimit(**_limit(by_keys)),
                api_key_limits=tuple(
                    views.KeyLimit(api_key_id=key_id, api_key_name=name, **_limit(budget))
                    for key_id, name, budget in keys
                ),
                summary=views.LimitsSummary(
                    total_keys=len(keys),
                    keys_with_limits=sum(budget.limit is not None for _, _, budget in keys),
                    keys_exceeded=sum(budget.status == "exceeded" for _, _, budget in keys),
                    overall_status=next((state for state in worst if state in states), "no_limit"),
                ),
            )
        )

    def key_usage(self, year: int, month: int, *, key_id: str, name: str, sums: Sums, budget: Budget) -> bytes:
        return _encode(
            views.KeyUsage(
                api_key_id=key_id,
                api_key_name=name,
                organization_id=self._organization_id,
                month=month,
                year=year,
                usage=views.KeyUse(
                    requests=sums.requests,
                    calls=sums.calls,
                    failures=sums.failures,
                    neurons=self._neurons(sums),
                    synapses=self._synapses(sums),
                    cost=money.dollars(sums.cost),
                    unpriced_calls=sums.unpriced,
                    average_cost_per_request=_each(money.dollars(sums.cost), sums.requests),
                ),
                limit=views.SpendingLimit(**_limit(budget)),
            )
        )

    def keys_summary(self, year: int, month: int, sums: Sums, *, now: int) -> bytes:
        return _encode(self._keys_summary(year, month, sums, now=now))

    def keys_daily(self, year: int, month: int, days: Sequence[Started], *, since: int, until: int, now: int) -> bytes:
        return _encode(
            views.KeysDaily(
                organization_id=self._organization_id,
                period=views.KeysPeriod(year=year, month=month, start=periods.iso(since), end=periods.iso(until)),
                daily_usage=tuple(self._keys_day(*day) for day in days),
                summary=self._keys_summary(year, month, _total(days), now=now),
            )
        )

    def top_keys(
        self,
        year: int,
        month: int,
        keys: Sequence[tuple[str, str | None, Sequence[Started]]],
        *,
        daily: bool,
        limit: int,
    ) -> bytes:
        """`keys` have id, name and what they used by days, or in one."""
        sums = [(key_id, name, days, _total(days)) for key_id, name, days in keys]
        sums.sort(key=lambda one: (-one[3].cost, -one[3].requests, one[0]))
        cost = sum(one[3].cost for one in sums)
        return _encode(
            views.TopKeys(
                organization_id=self._organization_id,
                month=month,
                year=year,
                period="daily" if daily else "monthly",
                top_api_keys=tuple(
                    views.TopKey(
                        rank=rank,
                        api_key_id=key_id,
                        api_key_name=name,
                        requests=total.requests,
                        neurons=self._neurons(total),
                        synapses=self._synapses(total),
                        cost=money.dollars(total.cost),
                        cost_percentage=_percent(total.cost, cost),
                        daily_usage=tuple(self._keys_day(*day) for day in days) if daily else UNSET,
                    )
                    for rank, (key_id, name, days, total) in enumerate(sums[:limit], 1)
                ),
                total=len(sums),
            )
        )

    def _counts(self, sums: Sums) -> dict[str, Any]:
        return {
            "requests": sums.requests,
            "calls": sums.calls,
            "failures": sums.failures,
            "input_tokens": sums.input_tokens,
            "cached_tokens": sums.cached_tokens,
            "output_tokens": sums.output_tokens,
            "reasoning_tokens": sums.reasoning_tokens,
            "total_tokens": sums.input_tokens + sums.output_tokens,
            "neurons": self._neurons(sums),
            "synapses": self._synapses(sums),
            "cost": money.dollars(sums.cost),
            "unpriced_calls": sums.unpriced,
            "milliseconds": sums.milliseconds,
        }

    def _used(self, sums: Sums) -> views.Used:
        return views.Used(**self._counts(sums))

    def _point(self, span: Span | Literal["year"], begun: int, sums: Sums) -> views.UsagePoint:
        told = periods.iso(begun)
        return views.UsagePoint(
            period=_named(span, begun),
            start=told,
            year=int(told[:4]),
            month=None if span == "year" else int(told[5:7]),
            date=told[:10] if span in ("day", "hour") else None,
            hour=int(told[11:13]) if span == "hour" else None,
            **self._counts(sums),
        )

    def _neurons(self, sums: Sums) -> float:
        return sums.input_tokens / self._units.tokens_per_neuron

    def _synapses(self, sums: Sums) -> float:
        return sums.output_tokens / self._units.tokens_per_synapse

    def _value(self, sums: Sums) -> float:
        """What the metric counts: both where none was asked for."""
        match self._metric:
            case "neurons":
                return self._neurons(sums)
            case "synapses":
                return self._synapses(sums)
            case None:
                return self._neurons(sums) + self._synapses(sums)

    def _patterns(self, hours: Sequence[Started]) -> views.UsagePatterns:
        by_hour, by_weekday = [Sums()] * 24, [Sums()] * 7
        for begun, sums in hours:
            hour, weekday = begun % periods.DAY // periods.HOUR, _weekday(begun)
            by_hour[hour], by_weekday[weekday] = by_hour[hour].plus(sums), by_weekday[weekday].plus(sums)
        peak_hour = max(range(24), key=lambda place: self._value(by_hour[place]))
        peak_day = max(range(7), key=lambda place: self._value(by_weekday[place]))
        return views.UsagePatterns(
            by_hour=tuple(
                views.HourUse(hour=hour, requests=sums.requests, value=self._value(sums))
                for hour, sums in enumerate(by_hour)
            ),
            by_weekday=tuple(
                views.WeekdayUse(weekday=_WEEKDAYS[day], requests=sums.requests, value=self._value(sums))
                for day, sums in enumerate(by_weekday)
            ),
            peak_hour=peak_hour if self._value(by_hour[peak_hour]) else None,
            peak_weekday=_WEEKDAYS[peak_day] if self._value(by_weekday[peak_day]) else None,
        )

    def _efficiency(self, sums: Sums) -> views.Efficiency:
        dollars = money.dollars(sums.cost)
        return views.Efficiency(
            cost_per_request=_each(dollars, sums.requests),
            cost_per_thousand_synapses=_each(dollars * 1000, self._synapses(sums)),
            neurons_per_request=_each(self._neurons(sums), sums.requests),
            synapses_per_request=_each(self._synapses(sums), sums.requests),
            cached_percentage=_percent(sums.cached_tokens, sums.input_tokens),
            failure_percentage=_percent(sums.failures, sums.calls),
            average_milliseconds=round(_each(sums.milliseconds, sums.calls), 1),
        )

    def _keys_summary(self, year: int, month: int, sums: Sums, *, now: int) -> views.KeysSummary:
        return views.KeysSummary(
            organization_id=self._organization_id,
            month=month,
            year=year,
            total_api_key_requests=sums.requests,
            total_api_key_cost=money.dollars(sums.cost),
            average_cost_per_request=_each(money.dollars(sums.cost), sums.requests),
            total_synapses=self._synapses(sums),
            total_neurons=self._neurons(sums),
            unpriced_calls=sums.unpriced,
            generated_at=periods.iso(now),
        )

    def _keys_day(self, begun: int, sums: Sums) -> views.KeysDay:
        return views.KeysDay(
            date=periods.named("day", begun),
            requests=sums.requests,
            cost=money.dollars(sums.cost),
            synapses=self._synapses(sums),
            neurons=self._neurons(sums),
        )


def encode_limits_changed() -> bytes:
    return _encode(views.LimitsChanged(message="The limits hold from now on."))


def _dollars(fields: Fields, name: str) -> float | UnsetType | None:
    return fields.number(name, 0, LARGEST_BUDGET) if fields.given(name) else UNSET


def _limit(budget: Budget) -> dict[str, Any]:
    limit = None if budget.limit is None else money.dollars(budget.limit)
    return {
        "monthly_limit": limit,
        "current_usage": money.dollars(budget.spent),
        "utilization_percentage": round(budget.share * 100, 2),
        "remaining_budget": 0.0 if budget.limit is None else money.dollars(budget.limit - budget.spent),
        "status": budget.status,
    }


def _month_forecast(this_month: Sums, now: int) -> views.MonthForecast:
    begun = periods.start("month", now)
    whole, passed = periods.following("month", begun) - begun, now - begun
    so_far = money.dollars(this_month.cost)
    return views.MonthForecast(
        month=periods.named("month", begun),
        cost_so_far=so_far,
        # A day at least: what an hour says of a month is nothing.
        projected_cost=round(so_far * whole / passed, 9) if passed >= periods.DAY else None,
    )


def _insights(total: Sums, before: Sums) -> Iterable[views.Insight]:
    if before.cost and abs(change := _percent(total.cost - before.cost, before.cost)) >= _MUCH:
        way = "more" if change > 0 else "less"
        yield views.Insight(
            type="cost_change", message=f"It cost {abs(change):g} % {way} than in the time as long before it."
        )
    if (failing := _percent(total.failures, total.calls)) >= _FAILING:
        yield views.Insight(type="failures", message=f"{failing:g} % of the calls failed.")
    if total.unpriced:
        yield views.Insight(
            type="unpriced_calls",
            message=f"{total.unpriced} calls are not in the cost: no price is known for their models.",
        )


def _ahead(values: Sequence[float], place: int) -> float | None:
    """The straight line nearest to the values, at a place further on. None where there are fewer than three."""
    if len(values) < 3 or not any(values):
        return None
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in range(len(values)))
    slope = sum((at - middle) * (value - mean) for at, value in enumerate(values)) / spread
    return round(max(0.0, mean + slope * (place - middle)), 9)


def _total(points: Iterable[Started]) -> Sums:
    total = Sums()
    for _, sums in points:
        total = total.plus(sums)
    return total


def _days(since: int, until: int) -> views.Days:
    return views.Days(
        days=len(list(periods.each("day", since, until))), start=periods.iso(since), end=periods.iso(until)
    )


def _named(span: Span | Literal["year"], begun: int) -> str:
    return periods.iso(begun)[:4] if span == "year" else periods.named(span, begun)


def _weekday(at: int) -> int:
    """0 is Monday."""
    return (at // periods.DAY + _THURSDAY) % 7


def _each(amount: float, count: float) -> float:
    return amount / count if count else 0.0


def _percent(part: float, whole: float) -> float:
    return round(part / whole * 100, 2) if whole else 0.0
