"""Owns what the JSON of keys, organizations and users has in common: names, times, limits, e-mail addresses."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import errors
from freddy.server.core.accounts import ROLES, Role
from freddy.server.core.limits import LARGEST_BUDGET, Limits
from freddy.server.dialects.freddy.aliases import Names, camel
from freddy.server.dialects.freddy.fields import Fields, read, too_deep

T = TypeVar("T")

LONGEST_NAME: Final = 200
_LATEST: Final = 253_402_300_800
"""Unix seconds of the year 10000, which no date can be written of."""
_PASSWORD: Final = 1024


def names(*canonical: str, **others: tuple[str, ...]) -> Names:
    """Each name in snake_case and camelCase; `others` have further spellings."""
    every = {name: (name,) for name in canonical} | {name: (name, *more) for name, more in others.items()}
    return {form: name for name, forms in every.items() for each in forms for form in (each, camel(each))}


LIMITS: Final = names("requests_per_minute", "tokens_per_minute", "concurrent_runs", "monthly_budget")
BUDGETS: Final = ("usage_limit_chf", "monthly_budget")


class LimitsView(Struct, kw_only=True):
    """Null is no limit. The budget is in US dollars."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_runs: int | None
    monthly_budget: float | None


class Success(Struct):
    success: bool
    message: str


def decoded(body: bytes, known: Names, take: Callable[[Fields], T]) -> T:
    """What is made of the object that a body holds."""
    try:
        return take(Fields(read(body), known))
    except RecursionError:
        raise too_deep() from None


def required(fields: Fields, name: str, *, most: int = LONGEST_NAME) -> str:
    """A text that must be there."""
    found = fields.string(name, least=1, most=most)
    if found is None or not found.strip():
        raise fields.wrong(name, "is required")
    return found.strip()


def name_of(fields: Fields, name: str) -> str | None:
    """A name that people read: one line."""
    found = fields.string(name, most=LONGEST_NAME)
    if found is not None and not found.isprintable():
        raise fields.wrong(name, "must not have control characters in it")
    return None if found is None else found.strip()


def password(fields: Fields, name: str = "password") -> str:
    """Whether it is a good one is not decided here."""
    found = fields.string(name, most=_PASSWORD)
    if not found:
        raise fields.wrong(name, "is required")
    return found


def role(fields: Fields, name: str) -> Role | None:
    options: Mapping[str, Role] = {each: each for each in ROLES}
    return fields.choice(name, options)


def moment(fields: Fields, name: str) -> int | None:
    """Unix seconds of a time: ISO 8601 (in UTC where it says no zone), or Unix seconds."""
    value = fields.get(name)
    want = "must be a time such as 2030-01-31T12:00:00Z, or Unix seconds"
    match value:
        case None:
            return None
        case bool():
            raise fields.wrong(name, want)
        case int():
            if not 0 <= value < _LATEST:
                raise fields.wrong(name, want)
            return value
        case str():
            try:
                found = datetime.fromisoformat(value)
                return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
            except (ValueError, OverflowError):
                raise fields.wrong(name, want) from None
        case _:
            raise fields.wrong(name, want)


def limits(fields: Fields) -> Limits | UnsetType | None:
    """The object `limits`; null takes them away."""
    if not fields.given("limits"):
        return UNSET
    value = fields.mapping("limits")
    if value is None:
        return None
    inner = Fields(value, LIMITS, fields.place("limits"))
    try:
        return Limits(
            requests_per_minute=inner.get("requests_per_minute"),  # type: ignore[arg-type] # it checks
            tokens_per_minute=inner.get("tokens_per_minute"),  # type: ignore[arg-type] # it checks
            concurrent_runs=inner.get("concurrent_runs"),  # type: ignore[arg-type] # it checks
            monthly_budget=inner.get("monthly_budget"),  # type: ignore[arg-type] # it checks
        )
    except errors.InvalidValue as error:
        field = error.param or ""
        raise inner.wrong(field, (error.details or "").removeprefix(f"{field} ")) from None


def budget(fields: Fields, name: str) -> float | UnsetType | None:
    """US dollars for a month; null takes the budget away. `limits` must not say another."""
    if not fields.given(name):
        return UNSET
    found = fields.number(name, 0, LARGEST_BUDGET)
    inside = limits(fields)
    if inside is not UNSET and inside is not None and inside.monthly_budget not in (None, found):
        raise fields.wrong(name, "and limits.monthly_budget say different things: send one")
    return found


def limits_view(kept: Limits | None) -> LimitsView | None:
    if kept is None:
        return None
    return LimitsView(
        requests_per_minute=kept.requests_per_minute,
        tokens_per_minute=kept.tokens_per_minute,
        concurrent_runs=kept.concurrent_runs,
        monthly_budget=kept.monthly_budget,
    )


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def time(seconds: int | None) -> str | None:
    return None if seconds is None else iso(seconds)
