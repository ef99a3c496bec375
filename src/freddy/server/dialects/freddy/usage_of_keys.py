"""Owns how the usage of API keys is told: of one, of all together, and of those that used most."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from freddy.server.core import money, periods
from freddy.server.core.usage import Budget, Sums
from freddy.server.dialects.freddy import usage_counting, usage_limits
from freddy.server.dialects.freddy import usage_views as views
from freddy.server.dialects.freddy.usage_counting import Counting, Started

_encode = msgspec.json.Encoder().encode


class KeyTeller:
    """Writes answers about the keys of one organization."""

    def __init__(self, organization_id: str, counting: Counting) -> None:
        self._organization_id = organization_id
        self._counting = counting

    def usage(self, year: int, month: int, *, key_id: str, name: str, sums: Sums, budget: Budget) -> bytes:
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
                    neurons=self._counting.neurons(sums),
                    synapses=self._counting.synapses(sums),
                    cost=money.dollars(sums.cost),
                    unpriced_calls=sums.unpriced,
                    average_cost_per_request=usage_counting.each(money.dollars(sums.cost), sums.requests),
                ),
                limit=views.SpendingLimit(**usage_limits.spending(budget)),
            )
        )

    def summary(self, year: int, month: int, sums: Sums, *, now: int) -> bytes:
        return _encode(self._summary(year, month, sums, now=now))

    def daily(self, year: int, month: int, days: Sequence[Started], *, since: int, until: int, now: int) -> bytes:
        return _encode(
            views.KeysDaily(
                organization_id=self._organization_id,
                period=views.KeysPeriod(year=year, month=month, start=periods.iso(since), end=periods.iso(until)),
                daily_usage=tuple(self._day(*day) for day in days),
                summary=self._summary(year, month, usage_counting.total(days), now=now),
            )
        )

    def top(
        self,
        year: int,
        month: int,
        keys: Sequence[tuple[str, str | None, Sequence[Started]]],
        *,
        daily: bool,
        limit: int,
    ) -> bytes:
        """`keys` have id, name and what they used by days, or in one."""
        sums = [(key_id, name, days, usage_counting.total(days)) for key_id, name, days in keys]
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
                        neurons=self._counting.neurons(total),
                        synapses=self._counting.synapses(total),
                        cost=money.dollars(total.cost),
                        cost_percentage=usage_counting.percent(total.cost, cost),
                        daily_usage=tuple(self._day(*day) for day in days) if daily else UNSET,
                    )
                    for rank, (key_id, name, days, total) in enumerate(sums[:limit], 1)
                ),
                total=len(sums),
            )
        )

    def _summary(self, year: int, month: int, sums: Sums, *, now: int) -> views.KeysSummary:
        return views.KeysSummary(
            organization_id=self._organization_id,
            month=month,
            year=year,
            total_api_key_requests=sums.requests,
            total_api_key_cost=money.dollars(sums.cost),
            average_cost_per_request=usage_counting.each(money.dollars(sums.cost), sums.requests),
            total_synapses=self._counting.synapses(sums),
            total_neurons=self._counting.neurons(sums),
            unpriced_calls=sums.unpriced,
            generated_at=periods.iso(now),
        )

    def _day(self, begun: int, sums: Sums) -> views.KeysDay:
        return views.KeysDay(
            date=periods.named("day", begun),
            requests=sums.requests,
            cost=money.dollars(sums.cost),
            synapses=self._counting.synapses(sums),
            neurons=self._counting.neurons(sums),
        )
