"""Usage: who used what, as the server tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from freddy.types._view import Reader, View, many, one


class Used(View):
    """What was used. `cost` is in US dollars, without the `unpriced_calls`."""

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


class UsageEntry(Used):
    """What was used from `start` to before `end` (Unix seconds), by those that were asked for with `group_by`."""

    start: int
    end: int
    model: str | None
    provider: str | None
    kind: str | None
    api_key_id: str | None
    user_id: str | None


class UsageReport(View):
    """`data` has only what there is: nothing stands for an hour in which nothing was used."""

    organization_id: str
    start: int
    end: int
    bucket: str | None
    group_by: list[str]
    currency: str
    data: list[UsageEntry]
    total: Used
    _readers: ClassVar[Mapping[str, Reader]] = {"data": many(UsageEntry), "total": one(Used)}


class SpendingLimit(View):
    """US dollars in a month. `status` is `ok`, `warning` (from 80 percent on), `exceeded` or `no_limit`."""

    monthly_limit: float | None
    current_usage: float
    utilization_percentage: float
    remaining_budget: float
    status: str


class KeyLimit(SpendingLimit):
    api_key_id: str
    api_key_name: str


class UsageLimits(View):
    """`api_limits` is what all keys spent together."""

    organization_id: str
    month: int
    year: int
    organization_limits: SpendingLimit
    api_limits: SpendingLimit
    api_key_limits: list[KeyLimit]
    _readers: ClassVar[Mapping[str, Reader]] = {
        "organization_limits": one(SpendingLimit),
        "api_limits": one(SpendingLimit),
        "api_key_limits": many(KeyLimit),
    }
