"""Owns how much an organization or a key may use."""

import math
from datetime import UTC, datetime

from msgspec import Struct

from freddy.server.core import errors

LARGEST = 1_000_000_000
"""Of requests, tokens and runs."""
LARGEST_BUDGET = 1_000_000
"""US dollars: several times that, in billionths, is still exact where numbers are floats, as they are in Redis."""


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None is no limit. `tokens_per_minute` are of input and output, `monthly_budget` is in US dollars.

    A minute is any sixty seconds; a month is that of the calendar, in UTC. Raises `errors.InvalidValue` for numbers
    that make no sense.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_runs: int | None = None
    monthly_budget: float | None = None

    def __post_init__(self) -> None:
        for field in ("requests_per_minute", "tokens_per_minute", "concurrent_runs"):
            count = getattr(self, field)
            if count is not None and not (type(count) is int and 1 <= count <= LARGEST):
                raise errors.InvalidValue(field, f"must be a whole number from 1 to {LARGEST}, or null for no limit")
        budget = self.monthly_budget
        if budget is None:
            return
        if type(budget) not in (int, float) or not (math.isfinite(budget) and 0 <= budget <= LARGEST_BUDGET):
            raise errors.InvalidValue(
                "monthly_budget", f"must be US dollars from 0 to {LARGEST_BUDGET}, or null for no limit"
            )

    def over(self, others: "Limits") -> "Limits":
        """These, and where one of them is not set that of the others."""
        return Limits(
            requests_per_minute=_first(self.requests_per_minute, others.requests_per_minute),
            tokens_per_minute=_first(self.tokens_per_minute, others.tokens_per_minute),
            concurrent_runs=_first(self.concurrent_runs, others.concurrent_runs),
            monthly_budget=others.monthly_budget if self.monthly_budget is None else self.monthly_budget,
        )


class Month(Struct, frozen=True):
    """A month of the calendar in UTC: `2026-03`, from `since` to before `until`, in Unix seconds."""

    name: str
    since: int
    until: int


def month(now: float) -> Month:
    """The month of a moment in Unix seconds."""
    day = datetime.fromtimestamp(now, UTC)
    first = datetime(day.year, day.month, 1, tzinfo=UTC)
    following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
    return Month(f"{day.year:04d}-{day.month:02d}", int(first.timestamp()), int(following.timestamp()))


def duration(milliseconds: int) -> str:
    """As OpenAI's headers tell times, which is as Go does: `12ms`, `1.5s`, `6m0s`, `1h0m0s`.

    https://pkg.go.dev/time#Duration.String
    """
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    told = f"{seconds}.{rest:03d}".rstrip("0").rstrip(".") if rest else str(seconds)
    if hours:
        return f"{hours}h{minutes}m{told}s"
    return f"{minutes}m{told}s" if minutes else f"{told}s"


def _first(own: int | None, other: int | None) -> int | None:
    return other if own is None else own
