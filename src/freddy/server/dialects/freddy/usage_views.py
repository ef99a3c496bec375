"""Owns the shapes in which usage is told: amounts are US dollars, also where a client calls them otherwise."""

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from freddy.server.core.periods import Span
from freddy.server.core.usage import BudgetStatus

Metric: TypeAlias = Literal["neurons", "synapses"]
Period: TypeAlias = Literal["yearly", "monthly", "daily", "hourly"]


class Used(Struct, kw_only=True):
    """`cost` is in US dollars, without the `unpriced_calls`."""

    requests: int
    calls: int
    failures: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int
    neurons: float
    synapses: float
    cost: float
    unpriced_calls: int
    milliseconds: int


class UsageEntry(Used, kw_only=True):
    """Without a bucket, `start` and `end` are those of the whole answer."""

    start: int
    end: int
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    api_key_id: str | UnsetType | None = UNSET
    user_id: str | UnsetType | None = UNSET


class UsageReport(Struct, kw_only=True):
    object: Literal["usage"] = "usage"
    organization_id: str
    start: int
    end: int
    bucket: Span | None
    group_by: tuple[str, ...]
    currency: Literal["USD"] = "USD"
    data: tuple[UsageEntry, ...]
    total: Used


class UsagePoint(Used, kw_only=True):
    period: str
    start: str
    year: int
    month: int | None
    date: str | None
    hour: int | None


class AnalyticsTotals(Struct, kw_only=True):
    average_cost_per_request: float
    busiest_period: str | None
    total_calls: int
    total_failures: int
    unpriced_calls: int
    currency: Literal["USD"] = "USD"


class UsageAnalytics(Struct, kw_only=True):
    organization_id: str
    period: Period
    data: tuple[UsagePoint, ...]
    total_requests: int
    total_neurons: float
    total_synapses: float
    total_cost: float
    summary: AnalyticsTotals


class ModelUse(Used, kw_only=True):
    model: str
    provider: str
    cost_percentage: float


class TimeRange(Struct):
    start: str
    end: str


class UsageSummary(Struct, kw_only=True):
    organization_id: str
    total_requests: int
    total_neurons: float
    total_synapses: float
    total_cost: float
    average_cost_per_request: float
    unpriced_calls: int
    currency: Literal["USD"] = "USD"
    top_models: tuple[ModelUse, ...]
    current_month: Used
    time_range: TimeRange


class Days(Struct, kw_only=True):
    days: int
    start: str
    end: str


class HourUse(Struct, kw_only=True):
    hour: int
    requests: int
    value: float


class WeekdayUse(Struct, kw_only=True):
    weekday: str
    requests: int
    value: float


class UsagePatterns(Struct, kw_only=True):
    by_hour: tuple[HourUse, ...]
    by_weekday: tuple[WeekdayUse, ...]
    peak_hour: int | None
    peak_weekday: str | None


class Efficiency(Struct, kw_only=True):
    cost_per_request: float
    cost_per_thousand_synapses: float
    neurons_per_request: float
    synapses_per_request: float
    cached_percentage: float
    failure_percentage: float
    average_milliseconds: float


class MonthForecast(Struct, kw_only=True):
    month: str
    cost_so_far: float
    projected_cost: float | None
    method: Literal["linear"] = "linear"


class Insight(Struct, kw_only=True):
    type: Literal["cost_change", "failures", "unpriced_calls"]
    message: str


class UsageDashboard(Struct, kw_only=True):
    organization_id: str
    metric: Metric | None
    period: Days
    current_summary: Used
    daily_trends: tuple[UsagePoint, ...]
    usage_patterns: UsagePatterns
    efficiency_metrics: Efficiency
    predictions: MonthForecast
    insights: tuple[Insight, ...]


class TrendPoint(UsagePoint, kw_only=True):
    value: float
    change_percentage: float | None


class Months(Struct, kw_only=True):
    months: int
    start: str
    end: str


class Trends(Struct, kw_only=True):
    months: tuple[TrendPoint, ...]
    average_change_percentage: float | None


class TrendPattern(Struct, kw_only=True):
    type: Literal["highest_month", "lowest_month"]
    month: str
    value: float


class Forecast(Struct, kw_only=True):
    next_month: str
    value: float | None
    requests: float | None
    cost: float | None
    method: Literal["least_squares"] = "least_squares"


class UsageTrends(Struct, kw_only=True):
    organization_id: str
    metric: Metric | None
    period: Months
    trends: Trends
    patterns: tuple[TrendPattern, ...]
    forecasts: Forecast


class HeatmapData(Struct, kw_only=True):
    weekdays: tuple[str, ...]
    hours: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    requests: tuple[tuple[int, ...], ...]


class PeakHour(Struct, kw_only=True):
    weekday: str
    hour: int
    requests: int
    value: float


class HeatmapPatterns(Struct, kw_only=True):
    weekend_percentage: float
    idle_hours: tuple[int, ...]


class UsageHeatmap(Struct, kw_only=True):
    organization_id: str
    metric: Metric | None
    period: Days
    heatmap_data: HeatmapData
    peak_hours: tuple[PeakHour, ...]
    patterns: HeatmapPatterns


class SpendingLimit(Struct, kw_only=True):
    monthly_limit: float | None
    current_usage: float
    utilization_percentage: float
    remaining_budget: float
    status: BudgetStatus


class KeyLimit(Struct, kw_only=True):
    api_key_id: str
    api_key_name: str
    monthly_limit: float | None
    current_usage: float
    utilization_percentage: float
    remaining_budget: float
    status: BudgetStatus


class LimitsSummary(Struct, kw_only=True):
    total_keys: int
    keys_with_limits: int
    keys_exceeded: int
    overall_status: BudgetStatus


class UsageLimits(Struct, kw_only=True):
    organization_id: str
    month: int
    year: int
    currency: Literal["USD"] = "USD"
    organization_limits: SpendingLimit
    api_limits: SpendingLimit
    api_key_limits: tuple[KeyLimit, ...]
    summary: LimitsSummary


class LimitsChanged(Struct, kw_only=True):
    success: Literal[True] = True
    message: str


class KeyUse(Struct, kw_only=True):
    requests: int
    calls: int
    failures: int
    neurons: float
    synapses: float
    cost: float
    unpriced_calls: int
    average_cost_per_request: float


class KeyUsage(Struct, kw_only=True):
    api_key_id: str
    api_key_name: str
    organization_id: str
    month: int
    year: int
    usage: KeyUse
    limit: SpendingLimit


class KeysSummary(Struct, kw_only=True):
    organization_id: str
    month: int
    year: int
    total_api_key_requests: int
    total_api_key_cost: float
    average_cost_per_request: float
    total_synapses: float
    total_neurons: float
    unpriced_calls: int
    currency: Literal["USD"] = "USD"
    generated_at: str


class KeysDay(Struct, kw_only=True):
    date: str
    requests: int
    cost: float
    synapses: float
    neurons: float


class KeysPeriod(Struct, kw_only=True):
    year: int
    month: int
    start: str
    end: str


class KeysDaily(Struct, kw_only=True):
    organization_id: str
    period: KeysPeriod
    daily_usage: tuple[KeysDay, ...]
    summary: KeysSummary


class TopKey(Struct, kw_only=True):
    rank: int
    api_key_id: str
    api_key_name: str | None
    requests: int
    neurons: float
    synapses: float
    cost: float
    cost_percentage: float
    daily_usage: tuple[KeysDay, ...] | UnsetType = UNSET


class TopKeys(Struct, kw_only=True):
    organization_id: str
    month: int
    year: int
    period: Literal["daily", "monthly"]
    currency: Literal["USD"] = "USD"
    top_api_keys: tuple[TopKey, ...]
    total: int
