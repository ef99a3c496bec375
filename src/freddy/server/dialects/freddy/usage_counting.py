"""Owns the numbers of usage: neurons for what was read, synapses for what was written, US dollars; shares and means."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from freddy.server.core import money, periods
from freddy.server.core.periods import Span
from freddy.server.core.usage import Sums
from freddy.server.dialects.freddy import usage_views as views
from freddy.server.dialects.freddy.response import ONE_TO_ONE, Units
from freddy.server.dialects.freddy.usage_views import Metric

Started: TypeAlias = tuple[int, Sums]
"""The beginning of a span in Unix seconds, and what was used in it."""

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_THURSDAY: Final = 3
"""The weekday of Unix second 0."""


class Counting(Struct, frozen=True):
    """`metric` is what `value` counts: both where none was asked for."""

    units: Units = ONE_TO_ONE
    metric: Metric | None = None

    def counts(self, sums: Sums) -> dict[str, Any]:
        return {
            "requests": sums.requests,
            "calls": sums.calls,
            "failures": sums.failures,
            "input_tokens": sums.input_tokens,
            "cached_tokens": sums.cached_tokens,
            "output_tokens": sums.output_tokens,
            "reasoning_tokens": sums.reasoning_tokens,
            "total_tokens": sums.input_tokens + sums.output_tokens,
            "neurons": self.neurons(sums),
            "synapses": self.synapses(sums),
            "cost": money.dollars(sums.cost),
            "unpriced_calls": sums.unpriced,
            "milliseconds": sums.milliseconds,
        }

    def used(self, sums: Sums) -> views.Used:
        return views.Used(**self.counts(sums))

    def point(self, span: Span | Literal["year"], begun: int, sums: Sums) -> views.UsagePoint:
        told = periods.iso(begun)
        return views.UsagePoint(
            period=named(span, begun),
            start=told,
            year=int(told[:4]),
            month=None if span == "year" else int(told[5:7]),
            date=told[:10] if span in ("day", "hour") else None,
            hour=int(told[11:13]) if span == "hour" else None,
            **self.counts(sums),
        )

    def neurons(self, sums: Sums) -> float:
        return sums.input_tokens / self.units.tokens_per_neuron

    def synapses(self, sums: Sums) -> float:
        return sums.output_tokens / self.units.tokens_per_synapse

    def value(self, sums: Sums) -> float:
        match self.metric:
            case "neurons":
                return self.neurons(sums)
            case "synapses":
                return self.synapses(sums)
            case None:
                return self.neurons(sums) + self.synapses(sums)


def total(points: Iterable[Started]) -> Sums:
    added = Sums()
    for _, sums in points:
        added = added.plus(sums)
    return added


def days(since: int, until: int) -> views.Days:
    return views.Days(
        days=len(list(periods.each("day", since, until))), start=periods.iso(since), end=periods.iso(until)
    )


def named(span: Span | Literal["year"], begun: int) -> str:
    return periods.iso(begun)[:4] if span == "year" else periods.named(span, begun)


def weekday(at: int) -> int:
    """0 is Monday."""
    return (at // periods.DAY + _THURSDAY) % 7


def each(amount: float, count: float) -> float:
    return amount / count if count else 0.0


def percent(part: float, whole: float) -> float:
    return round(part / whole * 100, 2) if whole else 0.0


def ahead(values: Sequence[float], place: int) -> float | None:
    """The straight line nearest to the values, at a place further on. None where there are fewer than three."""
    if len(values) < 3 or not any(values):
        return None
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in range(len(values)))
    slope = sum((at - middle) * (value - mean) for at, value in enumerate(values)) / spread
    return round(max(0.0, mean + slope * (place - middle)), 9)
