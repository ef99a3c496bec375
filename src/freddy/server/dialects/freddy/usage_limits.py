"""Owns how limits of spending are asked for and told: US dollars a month."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import money
from freddy.server.core.limits import LARGEST_BUDGET
from freddy.server.core.usage import Budget, BudgetStatus
from freddy.server.dialects.freddy import usage_views as views
from freddy.server.dialects.freddy.aliases import Names, camel
from freddy.server.dialects.freddy.fields import Fields, read, too_deep

_NAMES: Final[Names] = {
    spelling: name
    for name in ("monthly_api_limit", "total_api_key_limit", "api_key_id", "api_key_limit")
    for spelling in (name, camel(name))
}
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


def encode_limits(
    organization_id: str,
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
            organization_id=organization_id,
            month=month,
            year=year,
            organization_limits=views.SpendingLimit(**spending(organization)),
            api_limits=views.SpendingLimit(**spending(by_keys)),
            api_key_limits=tuple(
                views.KeyLimit(api_key_id=key_id, api_key_name=name, **spending(budget))
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


def encode_limits_changed() -> bytes:
    return _encode(views.LimitsChanged(message="The limits hold from now on."))


def spending(budget: Budget) -> dict[str, Any]:
    """The fields of a `SpendingLimit`."""
    limit = None if budget.limit is None else money.dollars(budget.limit)
    return {
        "monthly_limit": limit,
        "current_usage": money.dollars(budget.spent),
        "utilization_percentage": round(budget.share * 100, 2),
        "remaining_budget": 0.0 if budget.limit is None else money.dollars(budget.limit - budget.spent),
        "status": budget.status,
    }


def _dollars(fields: Fields, name: str) -> float | UnsetType | None:
    return fields.number(name, 0, LARGEST_BUDGET) if fields.given(name) else UNSET
