"""The paths of usage: what was used, and what may still be spent."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, get_args

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.accounts.usage import BudgetChange, Ledger, of_month
from freddy.server.core import errors, periods
from freddy.server.core.accounts import Caller
from freddy.server.core.limits import Month
from freddy.server.core.periods import DAY, Span
from freddy.server.core.usage import Sums
from freddy.server.dialects.freddy import usage_limits
from freddy.server.dialects.freddy.response import Units
from freddy.server.dialects.freddy.usage import Teller
from freddy.server.dialects.freddy.usage_counting import Counting, Started
from freddy.server.dialects.freddy.usage_of_keys import KeyTeller
from freddy.server.dialects.freddy.usage_views import Metric
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.ports.usage import Part, Trait

_GROUPS: Final[Mapping[str, Trait]] = {
    "model": "model",
    "provider": "provider",
    "kind": "kind",
    "key": "key",
    "user": "user",
}
_TOLD: Final[Mapping[Trait, str]] = {"key": "api_key_id", "user": "user_id"}
"""What a trait is called where that is not its own name, in queries and answers."""
_LONGEST: Final[Mapping[str, int]] = {"hour": 31, "day": 400, "month": 3660, "": 3660}
"""Days that a question may reach over, by its bucket."""
_MOST: Final = 10_000
"""Entries of one answer."""
_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OFFSET: Final = re.compile(r" [0-9]{2}:?[0-9]{2}$")
_YEARS: Final = (2000, 9000)
_LATEST: Final = 253_000_000_000
"""Unix seconds within the years that dates can say."""


class UsageRoutes:
    def __init__(self, ledger: Ledger, *, units: Units, max_body_bytes: int) -> None:
        self._ledger = ledger
        self._units = units
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        usage, keys = "/v1/analytics/usage", "/v1/analytics/api-keys"
        return [
            route("GET", "/v1/usage", self.report),
            route("GET", usage + "/yearly/{organization}", self.yearly),
            route("GET", usage + "/monthly/{organization}", self.monthly),
            route("GET", usage + "/daily/{organization}", self.daily),
            route("GET", usage + "/hourly/{organization}", self.hourly),
            route("GET", usage + "/summary/{organization}", self.summary),
            route("GET", usage + "/dashboard/{organization}", self.dashboard),
            route("GET", usage + "/trends/{organization}", self.trends),
            route("GET", usage + "/heatmap/{organization}", self.heatmap),
            route("GET", usage + "/limits/{organization}", self.limits),
            route("PUT", usage + "/limits/{organization}", self.set_limits),
            route("GET", keys + "/summary/{organization}", self.keys_summary),
            route("GET", keys + "/daily/{organization}", self.keys_daily),
            route("GET", keys + "/usage/{organization}/{key_id}", self.key_usage),
            route("GET", "/v1/analytics/{organization}/api-keys/top/{month}/{year}", self.top_keys),
        ]

    async def report(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "usage:read", query.get("organization_id"))
        bucket, by = _bucket(query), _groups(query)
        since, until = _stretch(query, bucket, now=self._ledger.now())
        having = {trait: query[name] for trait in _GROUPS.values() if (name := _TOLD.get(trait, trait)) in query}
        parts = await self._ledger.parts(caller, since, until, each=bucket, by=by, having=having)
        if len(parts) > _MOST:
            raise errors.InvalidRequest(
                f"The answer would have {len(parts)} entries, more than {_MOST}",
                param="start",
                code="too_many_entries",
                details="ask for a shorter time, a longer bucket, or fewer groups",
            )
        names = [_TOLD.get(trait, trait) for trait in by]
        told = Teller(caller.organization_id, Counting(self._units)).report(
            [(part.start, dict(zip(names, part.traits, strict=True)), part.sums) for part in parts],
            since=since,
            until=until,
            bucket=bucket,
            group_by=[name for name, trait in _GROUPS.items() if trait in by],
        )
        await send_json(send, told)

    async def yearly(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked(scope)
        last = _year_of(self._ledger.now())
        first = last + 1 - paging.whole_number(query, "years", default=3, low=1, high=10)
        parts = await self._ledger.parts(caller, periods.month(first, 1), periods.month(last + 1, 1), each="month")
        years = {periods.month(year, 1): Sums() for year in range(first, last + 1)}
        for part in parts:
            year = periods.month(_year_of(part.start), 1)
            years[year] = years[year].plus(part.sums)
        await send_json(send, teller.analytics("yearly", "year", tuple(years.items())))

    async def monthly(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked(scope)
        year = _year(query)
        several = paging.whole_number(query, "months", default=1 if "month" in query else 12, low=1, high=36)
        after = _month(query, default=12) + 1
        since, until = periods.month(year, after - several), periods.month(year, after)
        await send_json(send, teller.analytics("monthly", "month", await self._each(caller, "month", since, until)))

    async def daily(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked(scope)
        within = of_month(_year(query), _month(query))
        days = await self._each(caller, "day", within.since, within.until)
        await send_json(send, teller.analytics("daily", "day", days))

    async def hourly(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked(scope)
        day = _date(query)
        hours = await self._each(caller, "hour", day, day + DAY)
        await send_json(send, teller.analytics("hourly", "hour", hours))

    async def summary(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, _ = self._asked(scope)
        now = self._ledger.now()
        parts = await self._ledger.parts(caller, 0, now + 1, each="month", by=("model", "provider", "kind"))
        models: dict[tuple[str, ...], Sums] = {}
        total, current = Sums(), Sums()
        for part in parts:
            total = total.plus(part.sums)
            if part.start == periods.start("month", now):
                current = current.plus(part.sums)
            if part.traits[2] == "model":
                models[part.traits[:2]] = models.get(part.traits[:2], Sums()).plus(part.sums)
        told = teller.summary(
            [(name, provider, sums) for (name, provider), sums in models.items()],
            total=total,
            current=current,
            since=parts[0].start if parts else periods.start("month", now),
            until=now,
        )
        await send_json(send, told)

    async def dashboard(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked(scope)
        now = self._ledger.now()
        since, until = _days(query, now)
        hours = _started(await self._ledger.parts(caller, since, until, each="hour"))
        told = teller.dashboard(
            hours,
            since=since,
            until=until,
            before=await self._ledger.total(caller, since - (until - since), since),
            this_month=await self._ledger.total(caller, periods.start("month", now), until),
            now=now,
        )
        await send_json(send, told)

    async def trends(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked(scope)
        now = self._ledger.now()
        several = paging.whole_number(query, "months", default=6, low=3, high=12)
        begun = datetime.fromtimestamp(now, UTC)
        since = periods.month(begun.year, begun.month + 1 - several)
        months = await self._each(caller, "month", since, periods.month(begun.year, begun.month + 1))
        await send_json(send, teller.trends(months, now=now))

    async def heatmap(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked(scope)
        since, until = _days(query, self._ledger.now())
        hours = _started(await self._ledger.parts(caller, since, until, each="hour"))
        await send_json(send, teller.heatmap(hours, since=since, until=until))

    async def limits(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, _, query = self._asked(scope)
        within = self._within(query)
        budgets = await self._ledger.budgets(caller, within)
        told = usage_limits.encode_limits(
            caller.organization_id,
            *_numbers(within),
            organization=budgets.organization,
            by_keys=budgets.by_keys,
            keys=[(one.key.id, one.key.name, one.budget) for one in budgets.keys],
        )
        await send_json(send, told)

    async def set_limits(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "organizations:manage", scope["path_params"]["organization"])
        asked = usage_limits.decode_limits(await body.read(scope, receive, limit=self._max_body_bytes))
        change = BudgetChange(organization=asked.organization, key_id=asked.key_id, key=asked.key)
        await self._ledger.set_budgets(caller, change)
        await send_json(send, usage_limits.encode_limits_changed())

    async def keys_summary(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked_of_keys(scope)
        within = self._within(query)
        sums = await self._ledger.total(caller, within.since, within.until, keys_only=True)
        await send_json(send, teller.summary(*_numbers(within), sums, now=self._ledger.now()))

    async def keys_daily(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked_of_keys(scope)
        within = self._within(query)
        days = await self._each(caller, "day", within.since, within.until, keys_only=True)
        now = self._ledger.now()
        told = teller.daily(*_numbers(within), days, since=within.since, until=within.until, now=now)
        await send_json(send, told)

    async def key_usage(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked_of_keys(scope)
        within = self._within(query)
        found, sums = await self._ledger.key(caller, scope["path_params"]["key_id"], within)
        told = teller.usage(*_numbers(within), key_id=found.key.id, name=found.key.name, sums=sums, budget=found.budget)
        await send_json(send, told)

    async def top_keys(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, teller, query = self._asked_of_keys(scope)
        within = of_month(_year(scope["path_params"]), _month(scope["path_params"]))
        limit = paging.whole_number(query, "limit", default=10, low=1, high=100)
        daily = query.get("period", "monthly")
        if daily not in ("daily", "monthly"):
            raise errors.InvalidValue("period", "must be daily or monthly")
        parts = await self._ledger.parts(
            caller, within.since, within.until, each="day" if daily == "daily" else None, by=("key",), keys_only=True
        )
        used: dict[str, list[Started]] = {}
        for part in parts:
            used.setdefault(part.traits[0], []).append((part.start, part.sums))
        names = await self._ledger.key_names(caller)
        told = teller.top(
            *_numbers(within),
            [(key_id, names.get(key_id), days) for key_id, days in used.items()],
            daily=daily == "daily",
            limit=limit,
        )
        await send_json(send, told)

    def _asked(self, scope: Scope) -> tuple[Caller, Teller, Mapping[str, str]]:
        caller = require(scope["caller"], "usage:read", scope["path_params"]["organization"])
        query = HttpRequest(scope).query_params
        return caller, Teller(caller.organization_id, Counting(self._units, _metric(query))), query

    def _asked_of_keys(self, scope: Scope) -> tuple[Caller, KeyTeller, Mapping[str, str]]:
        caller = require(scope["caller"], "usage:read", scope["path_params"]["organization"])
        query = HttpRequest(scope).query_params
        return caller, KeyTeller(caller.organization_id, Counting(self._units, _metric(query))), query

    async def _each(
        self, caller: Caller, span: Span, since: int, until: int, *, keys_only: bool = False
    ) -> Sequence[Started]:
        """Every span, those too in which nothing was used."""
        parts = await self._ledger.parts(caller, since, until, each=span, keys_only=keys_only)
        found = dict(_started(parts))
        return [(begun, found.get(begun, Sums())) for begun in periods.each(span, since, until)]

    def _within(self, query: Mapping[str, str]) -> Month:
        now = datetime.fromtimestamp(self._ledger.now(), UTC)
        year = _year(query, default=now.year)
        return of_month(year, _month(query, default=now.month))


def _started(parts: Sequence[Part]) -> Sequence[Started]:
    return [(part.start, part.sums) for part in parts]


def _numbers(within: Month) -> tuple[int, int]:
    begun = datetime.fromtimestamp(within.since, UTC)
    return begun.year, begun.month


def _year_of(at: int) -> int:
    return datetime.fromtimestamp(at, UTC).year


def _metric(query: Mapping[str, str]) -> Metric | None:
    match query.get("metric"):
        case "neurons":
            return "neurons"
        case "synapses":
            return "synapses"
        case None | "" | "all":
            return None
        case _:
            raise errors.InvalidValue("metric", "must be neurons or synapses; left out, both count")


def _bucket(query: Mapping[str, str]) -> Span | None:
    given = query.get("bucket", "day")
    if given == "none":
        return None
    for span in get_args(Span):
        if given == span:
            found: Span = span
            return found
    raise errors.InvalidValue("bucket", "must be hour, day, month or none")


def _groups(query: Mapping[str, str]) -> tuple[Trait, ...]:
    given = [name.strip() for name in query.get("group_by", "").split(",") if name.strip()]
    if any(name not in _GROUPS for name in given):
        raise errors.InvalidValue("group_by", f"must be some of {', '.join(_GROUPS)}, with commas between them")
    return tuple(trait for name, trait in _GROUPS.items() if name in given)


def _stretch(query: Mapping[str, str], bucket: Span | None, *, now: int) -> tuple[int, int]:
    """From hour to hour: what is begun is taken whole."""
    until = _moment(query, "end", default=now)
    since = _moment(query, "start", default=until - 30 * DAY)
    since, until = periods.start("hour", since), -(-until // periods.HOUR) * periods.HOUR
    if since >= until:
        raise errors.InvalidValue("end", "must be after start")
    longest = _LONGEST[bucket or ""]
    if until - since > longest * DAY:
        raise errors.InvalidValue("start", f"must be at most {longest} days before end with this bucket")
    return since, until


def _moment(query: Mapping[str, str], name: str, *, default: int) -> int:
    """Unix seconds, or a date with or without a time; without a zone it is in UTC."""
    given = query.get(name)
    if given is None:
        return default
    want = "must be Unix seconds, a date (2026-03-05) or a time (2026-03-05T14:00:00Z)"
    if given.isascii() and given.isdigit() and len(given) <= len(str(_LATEST)):
        found = int(given)
    else:
        try:
            # A plus sign in a query means a space.
            told = datetime.fromisoformat(given.replace(" ", "+") if _OFFSET.search(given) else given)
        except ValueError:
            raise errors.InvalidValue(name, want) from None
        try:
            found = int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp())
        except (OverflowError, ValueError):
            raise errors.InvalidValue(name, want) from None
    if not 0 <= found <= _LATEST:
        raise errors.InvalidValue(name, want)
    return found


def _year(query: Mapping[str, str], *, default: int | None = None) -> int:
    if default is None and "year" not in query:
        raise errors.InvalidValue("year", "is needed, such as 2026")
    return paging.whole_number(query, "year", default=default or 0, low=_YEARS[0], high=_YEARS[1])


def _month(query: Mapping[str, str], *, default: int | None = None) -> int:
    if default is None and "month" not in query:
        raise errors.InvalidValue("month", "is needed: 1 to 12")
    return paging.whole_number(query, "month", default=default or 0, low=1, high=12)


def _date(query: Mapping[str, str]) -> int:
    """When the day begins."""
    given = query.get("date", "")
    if not _DATE.fullmatch(given):
        raise errors.InvalidValue("date", "is needed, such as 2026-03-05")
    year, number, day = map(int, given.split("-"))
    try:
        return int(datetime(year, number, day, tzinfo=UTC).timestamp())
    except (OverflowError, ValueError):
        raise errors.InvalidValue("date", "must be a day of the calendar, such as 2026-03-05") from None


def _days(query: Mapping[str, str], now: int) -> tuple[int, int]:
    """Whole days up to the hour that it is."""
    several = paging.whole_number(query, "days", default=30, low=7, high=90)
    return periods.start("day", now) - (several - 1) * DAY, periods.start("hour", now) + periods.HOUR
