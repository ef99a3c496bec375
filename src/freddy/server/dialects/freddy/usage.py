"""Owns how the usage of an organization is told: as a report, by spans of time, in sums and in patterns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from freddy.server.core import money, periods
from freddy.server.core.periods import Span
from freddy.server.core.usage import Sums
from freddy.server.dialects.freddy import usage_counting
from freddy.server.dialects.freddy import usage_views as views
from freddy.server.dialects.freddy.usage_counting import Counting, Started
from freddy.server.dialects.freddy.usage_views import Period

_MUCH: Final = 25.0
"""Percent that a cost may change before it is worth a word."""
_FAILING: Final = 5.0
"""Percent of calls."""
_encode = msgspec.json.Encoder().encode


class Teller:
    """Writes answers for one organization."""

    def __init__(self, organization_id: str, counting: Counting) -> None:
        self._organization_id = organization_id
        self._counting = counting

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
            data.append(views.UsageEntry(start=start, end=end, **told, **self._counting.counts(sums)))
        return _encode(
            views.UsageReport(
                organization_id=self._organization_id,
                start=since,
                end=until,
                bucket=bucket,
                group_by=tuple(group_by),
                data=tuple(data),
                total=self._counting.used(total),
            )
        )

    def analytics(self, period: Period, span: Span | Literal["year"], points: Sequence[Started]) -> bytes:
        total = usage_counting.total(points)
        busiest = max(points, key=lambda one: one[1].requests, default=None)
        return _encode(
            views.UsageAnalytics(
                organization_id=self._organization_id,
                period=period,
                data=tuple(self._counting.point(span, *one) for one in points),
                total_requests=total.requests,
                total_neurons=self._counting.neurons(total),
                total_synapses=self._counting.synapses(total),
                total_cost=money.dollars(total.cost),
                summary=views.AnalyticsTotals(
                    average_cost_per_request=usage_counting.each(money.dollars(total.cost), total.requests),
                    busiest_period=usage_counting.named(span, busiest[0]) if busiest and busiest[1].requests else None,
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
                total_neurons=self._counting.neurons(total),
                total_synapses=self._counting.synapses(total),
                total_cost=money.dollars(total.cost),
                average_cost_per_request=usage_counting.each(money.dollars(total.cost), total.requests),
                unpriced_calls=total.unpriced,
                top_models=tuple(
                    views.ModelUse(
                        model=name,
                        provider=provider,
                        cost_percentage=usage_counting.percent(sums.cost, total.cost),
                        **self._counting.counts(sums),
                    )
                    for name, provider, sums in ranked
                ),
                current_month=self._counting.used(current),
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
        total = usage_counting.total(hours)
        days = {begun: Sums() for begun in periods.each("day", since, until)}
        for begun, sums in hours:
            day = periods.start("day", begun)
            days[day] = days[day].plus(sums)
        return _encode(
            views.UsageDashboard(
                organization_id=self._organization_id,
                metric=self._counting.metric,
                period=usage_counting.days(since, until),
                current_summary=self._counting.used(total),
                daily_trends=tuple(self._counting.point("day", begun, sums) for begun, sums in days.items()),
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
            value = self._counting.value(sums)
            point = self._counting.point("month", begun, sums)
            told: dict[str, Any] = {name: getattr(point, name) for name in views.UsagePoint.__struct_fields__}
            change = usage_counting.percent(value - previous, previous) if previous else None
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
                metric=self._counting.metric,
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
                    value=usage_counting.ahead([self._counting.value(sums) for _, sums in whole], steps + 1),
                    requests=usage_counting.ahead([float(sums.requests) for _, sums in whole], steps + 1),
                    cost=usage_counting.ahead([money.dollars(sums.cost) for _, sums in whole], steps + 1),
                ),
            )
        )

    def heatmap(self, hours: Sequence[Started], *, since: int, until: int) -> bytes:
        requests = [[0] * 24 for _ in usage_counting.WEEKDAYS]
        values = [[0.0] * 24 for _ in usage_counting.WEEKDAYS]
        for begun, sums in hours:
            weekday, hour = usage_counting.weekday(begun), begun % periods.DAY // periods.HOUR
            requests[weekday][hour] += sums.requests
            values[weekday][hour] += self._counting.value(sums)
        places = [(weekday, hour) for weekday in range(7) for hour in range(24)]
        ranked = sorted(places, key=lambda place: (-values[place[0]][place[1]], place))
        total = sum(map(sum, values))
        return _encode(
            views.UsageHeatmap(
                organization_id=self._organization_id,
                metric=self._counting.metric,
                period=usage_counting.days(since, until),
                heatmap_data=views.HeatmapData(
                    weekdays=usage_counting.WEEKDAYS,
                    hours=tuple(range(24)),
                    values=tuple(tuple(row) for row in values),
                    requests=tuple(tuple(row) for row in requests),
                ),
                peak_hours=tuple(
                    views.PeakHour(
                        weekday=usage_counting.WEEKDAYS[weekday],
                        hour=hour,
                        requests=requests[weekday][hour],
                        value=values[weekday][hour],
                    )
                    for weekday, hour in ranked[:5]
                    if requests[weekday][hour] or values[weekday][hour]
                ),
                patterns=views.HeatmapPatterns(
                    weekend_percentage=usage_counting.percent(sum(values[5]) + sum(values[6]), total),
                    idle_hours=tuple(hour for hour in range(24) if not any(requests[day][hour] for day in range(7))),
                ),
            )
        )

    def _patterns(self, hours: Sequence[Started]) -> views.UsagePatterns:
        by_hour, by_weekday = [Sums()] * 24, [Sums()] * 7
        for begun, sums in hours:
            hour, weekday = begun % periods.DAY // periods.HOUR, usage_counting.weekday(begun)
            by_hour[hour], by_weekday[weekday] = by_hour[hour].plus(sums), by_weekday[weekday].plus(sums)
        peak_hour = max(range(24), key=lambda place: self._counting.value(by_hour[place]))
        peak_day = max(range(7), key=lambda place: self._counting.value(by_weekday[place]))
        return views.UsagePatterns(
            by_hour=tuple(
                views.HourUse(hour=hour, requests=sums.requests, value=self._counting.value(sums))
                for hour, sums in enumerate(by_hour)
            ),
            by_weekday=tuple(
                views.WeekdayUse(
                    weekday=usage_counting.WEEKDAYS[day], requests=sums.requests, value=self._counting.value(sums)
                )
                for day, sums in enumerate(by_weekday)
            ),
            peak_hour=peak_hour if self._counting.value(by_hour[peak_hour]) else None,
            peak_weekday=usage_counting.WEEKDAYS[peak_day] if self._counting.value(by_weekday[peak_day]) else None,
        )

    def _efficiency(self, sums: Sums) -> views.Efficiency:
        dollars = money.dollars(sums.cost)
        return views.Efficiency(
            cost_per_request=usage_counting.each(dollars, sums.requests),
            cost_per_thousand_synapses=usage_counting.each(dollars * 1000, self._counting.synapses(sums)),
            neurons_per_request=usage_counting.each(self._counting.neurons(sums), sums.requests),
            synapses_per_request=usage_counting.each(self._counting.synapses(sums), sums.requests),
            cached_percentage=usage_counting.percent(sums.cached_tokens, sums.input_tokens),
            failure_percentage=usage_counting.percent(sums.failures, sums.calls),
            average_milliseconds=round(usage_counting.each(sums.milliseconds, sums.calls), 1),
        )


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
    if before.cost and abs(change := usage_counting.percent(total.cost - before.cost, before.cost)) >= _MUCH:
        way = "more" if change > 0 else "less"
        yield views.Insight(
            type="cost_change", message=f"It cost {abs(change):g} % {way} than in the time as long before it."
        )
    if (failing := usage_counting.percent(total.failures, total.calls)) >= _FAILING:
        yield views.Insight(type="failures", message=f"{failing:g} % of the calls failed.")
    if total.unpriced:
        yield views.Insight(
            type="unpriced_calls",
            message=f"{total.unpriced} calls are not in the cost: no price is known for their models.",
        )
