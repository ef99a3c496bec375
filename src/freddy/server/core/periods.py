"""Owns the calendar of accounting, in UTC: hours, days and months, and how a stretch of time is made of them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Span: TypeAlias = Literal["hour", "day", "month"]

HOUR: Final = 3600
DAY: Final = 86_400


class Slice(Struct, frozen=True):
    """The spans that begin from `since` to before `until`, in Unix seconds."""

    span: Span
    since: int
    until: int


def start(span: Span, at: int) -> int:
    """When the span began that a moment is in."""
    if span == "hour":
        return at - at % HOUR
    if span == "day":
        return at - at % DAY
    day = datetime.fromtimestamp(at, UTC)
    return month(day.year, day.month)


def following(span: Span, begun: int) -> int:
    """When the next span begins."""
    if span == "hour":
        return begun + HOUR
    if span == "day":
        return begun + DAY
    day = datetime.fromtimestamp(begun, UTC)
    return month(day.year, day.month + 1)


def month(year: int, number: int) -> int:
    """When a month begins. Months before 1 and after 12 are those of the years around."""
    year, place = year + (number - 1) // 12, (number - 1) % 12
    return int(datetime(year, place + 1, 1, tzinfo=UTC).timestamp())


def each(span: Span, since: int, until: int) -> Iterator[int]:
    """The beginnings of the spans that have a part in that time."""
    begun = start(span, since)
    while begun < until:
        yield begun
        begun = following(span, begun)


def slices(since: int, until: int, *, longest: Span = "month") -> tuple[Slice, ...]:
    """The time from hour to hour as few spans, none longer than `longest`: what is whole is taken whole.

    The beginning is rounded down to its hour and the end up.
    """
    since, until = start("hour", since), -(-until // HOUR) * HOUR
    if longest == "hour":
        return (Slice("hour", since, until),) if since < until else ()
    shorter: Span = "hour" if longest == "day" else "day"
    inner_since = since if start(longest, since) == since else following(longest, start(longest, since))
    inner_until = start(longest, until)
    if inner_since >= inner_until:
        return slices(since, until, longest=shorter)
    return (
        *slices(since, inner_since, longest=shorter),
        Slice(longest, inner_since, inner_until),
        *slices(inner_until, until, longest=shorter),
    )


def iso(at: int) -> str:
    """`2026-03-05T14:00:00Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def named(span: Span, begun: int) -> str:
    """`2026-03`, `2026-03-05`, `2026-03-05T14:00:00Z`."""
    return iso(begun)[: {"month": 7, "day": 10, "hour": 20}[span]]
