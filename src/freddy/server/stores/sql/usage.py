"""Keeps who used what: each call, and sums by hour, day and month.

A call is one insert, in the transaction that ends its response. It is added to the sums later, by `sum_up`: rows that
many transactions change at once would make them wait for each other. Until then queries read it besides the sums.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from operator import add
from typing import Any

import sqlalchemy as sa

from freddy.server.core import ids, periods
from freddy.server.core.calls import Call
from freddy.server.core.periods import Span
from freddy.server.core.response import Response
from freddy.server.core.usage import Sums
from freddy.server.ports.usage import Apart, Part, Question, Trait
from freddy.server.stores.sql import statements
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Row, Statement, Value, param
from freddy.server.stores.sql.tables import UNSUMMED, usage, usage_sums

_SPANS: tuple[Span, ...] = ("hour", "day", "month")
_WHOLE: dict[Span, str] = {"hour": "hour of all", "day": "day of all", "month": "month of all"}
"""The spans of sums over all keys and users, which most questions are about: they are few, however many those are."""
_COUNTS = Sums.__struct_fields__
_TRAITS: dict[Trait, str] = {
    "key": "key_id",
    "user": "user_id",
    "kind": "kind",
    "model": "name",
    "provider": "provider",
}

_ADD = Statement(
    statements.insert(usage)
    # Written out, because SQLite's driver is slow to learn what a bool is.
    .values({**statements.params(usage, leave_out=("summed",)), "summed": sa.false()})
    .on_conflict_do_nothing()
)

_CALL = (usage.c.response_id, usage.c.place)
_TAKEN = (
    "organization_id", "at", "key_id", "user_id", "kind", "name", "provider", "place", "status",
    "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost", "milliseconds",
)  # fmt: skip
_TAKE = Statement(
    sa.update(usage)
    .where(
        sa.tuple_(*_CALL).in_(
            # What another process adds up just now is left to it.
            sa.select(*_CALL).where(UNSUMMED).limit(param("most")).with_for_update(skip_locked=True)
        )
    )
    .values(summed=sa.true())
    .returning(*(usage.c[name] for name in _TAKEN))
)
_ANY = Statement(sa.select(sa.literal(1)).select_from(usage).where(UNSUMMED).limit(1))

_insert = statements.insert(usage_sums).values(statements.params(usage_sums))
_SUM = Statement(
    _insert.on_conflict_do_update(
        index_elements=usage_sums.primary_key.columns,
        set_={name: usage_sums.c[name] + _insert.excluded[name] for name in _COUNTS},
    )
)

_OLD = Statement(
    sa.select(*_CALL)
    .where(
        # Ids sort by the time of their birth: what is young is not looked at.
        usage.c.response_id >= param("first"),
        usage.c.response_id < param("id"),
        usage.c.at < param("before"),
        usage.c.summed == sa.true(),
    )
    .limit(param("most"))
)
_FORGET = Statement(
    sa.delete(usage).where(usage.c.response_id == param("response_id"), usage.c.place == param("place"))
)


def values(response: Response) -> list[dict[str, Value]]:
    """The rows of a response that has ended."""
    shared: dict[str, Value] = {
        "response_id": response.id,
        "organization_id": response.organization_id,
        "at": response.completed_at or response.created_at,
        "key_id": response.key_id,
        "user_id": response.user_id,
        "thread_id": response.thread_id,
        "assistant_id": response.request.assistant_id,
    }
    return [_row(shared, place, call) for place, call in enumerate(response.calls)]


def _apart(calls: Apart) -> list[dict[str, Value]]:
    shared: dict[str, Value] = {
        "response_id": calls.id,
        "organization_id": calls.organization_id,
        "at": calls.at,
        "key_id": None,
        "user_id": None,
        "thread_id": None,
        "assistant_id": None,
    }
    # What stands in the first place counts as a request.
    return [_row(shared, place, call) for place, call in enumerate(calls.calls, 1)]


def _row(shared: Mapping[str, Value], place: int, call: Call) -> dict[str, Value]:
    return {
        **shared,
        "place": place,
        "kind": call.kind,
        "name": call.name,
        "provider": call.provider,
        "status": call.status,
        "input_tokens": call.usage.input_tokens,
        "cached_tokens": call.usage.cached_tokens,
        "cache_write_tokens": call.usage.cache_write_tokens,
        "output_tokens": call.usage.output_tokens,
        "reasoning_tokens": call.usage.reasoning_tokens,
        "estimated": call.usage.estimated,
        "cost": call.cost,
        "milliseconds": call.milliseconds,
    }


async def record(connection: Connection, rows: list[dict[str, Value]]) -> None:
    """Keeps the calls of a response: `rows` are its `values`. Repeating it changes nothing."""
    if len(rows) == 1:
        await connection.run(_ADD, **rows[0])
    elif rows:
        await connection.many(_ADD, rows)


class SqlUsage:
    """The port `UsageStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, responses: Sequence[Response]) -> None:
        await self._add([row for response in responses for row in values(response)])

    async def add_apart(self, calls: Sequence[Apart]) -> None:
        await self._add([row for one in calls for row in _apart(one)])

    async def _add(self, rows: list[dict[str, Value]]) -> None:
        async def work(connection: Connection) -> None:
            await record(connection, rows)

        if rows:
            await self._database.write(work)

    async def parts(self, question: Question) -> Sequence[Part]:
        found: defaultdict[tuple[int, tuple[str, ...]], Sums] = defaultdict(Sums)

        async def work(connection: Connection) -> None:
            found.clear()
            for row in await _rows(connection, question):
                begun = 0 if question.each is None else periods.start(question.each, row[0])
                place = (begun, tuple(row[1 : 1 + len(question.by)]))
                found[place] = found[place].plus(Sums(*row[1 + len(question.by) :]))

        await self._database.read(work)
        return [Part(begun, traits, sums) for (begun, traits), sums in sorted(found.items(), key=lambda one: one[0])]

    async def month_cost(self, organization_id: str, key_id: str | None, *, since: int, until: int) -> int:
        question = Question(
            organization_id=organization_id,
            slices=periods.slices(since, until),
            having={} if key_id is None else {"key": key_id},
        )
        return sum(part.sums.cost for part in await self.parts(question))

    async def sum_up(self, most: int) -> int:
        async def work(connection: Connection) -> int:
            taken = await connection.all(_TAKE, most=most)
            await connection.many(_SUM, _added_up(taken))
            return len(taken)

        if not await self._database.read(lambda connection: connection.one(_ANY)):
            return 0
        return await self._database.write(work)

    async def forget(self, before: int, most: int) -> int:
        old: list[Row] = []
        for prefix in (ids.RESPONSE, ids.SPENDING):
            young = ids.write(prefix, before * 1000, b"")
            find = partial(_old, first=f"{prefix}_", id=young, before=before, most=most - len(old))
            old += await self._database.read(find)

        async def work(connection: Connection) -> None:
            await connection.many(_FORGET, [{"response_id": row[0], "place": row[1]} for row in old])

        if old:
            await self._database.write(work)
        return len(old)


async def _old(connection: Connection, **wanted: Value) -> Sequence[Row]:
    return await connection.all(_OLD, **wanted)


async def _rows(connection: Connection, question: Question) -> list[Row]:
    """Of each, its hour or the beginning of its span, its traits, and `_COUNTS`."""
    having = {f"having_{trait}": value for trait, value in question.having.items()}
    traits = (question.by, tuple(sorted(question.having)), question.keys_only)
    summed, fresh = _summed(question.each is not None, *traits), _fresh(question.each is not None, *traits)
    apart = question.keys_only or not {"key", "user"}.isdisjoint((*question.by, *question.having))
    rows: list[Row] = []
    for one in question.slices:
        scope: dict[str, Value] = {
            "organization_id": question.organization_id,
            "since": one.since,
            "until": one.until,
            **having,
        }
        rows += await connection.all(summed, span=one.span if apart else _WHOLE[one.span], **scope)
        rows += await connection.all(fresh, **scope)
    return rows


@lru_cache(maxsize=512)
def _summed(each: bool, by: tuple[Trait, ...], having: tuple[Trait, ...], keys_only: bool) -> Statement:  # noqa: FBT001
    table = usage_sums
    begun = table.c.start if each else sa.literal_column("0")
    wanted = [table.c[_TRAITS[trait]] for trait in by]
    counted = [_whole(sa.func.sum(table.c[name])) for name in _COUNTS]
    query = (
        sa.select(begun, *wanted, *counted)
        .where(
            table.c.organization_id == param("organization_id"),
            table.c.span == param("span"),
            table.c.start >= param("since"),
            table.c.start < param("until"),
            *(table.c[_TRAITS[trait]] == param(f"having_{trait}") for trait in having),
            *((table.c.key_id != "",) if keys_only else ()),
        )
        .group_by(*((begun,) if each else ()), *wanted)
        # Without groups there is one row even where there is nothing.
        .having(sa.func.count() > sa.literal_column("0"))
    )
    return Statement(query)


@lru_cache(maxsize=512)
def _fresh(each: bool, by: tuple[Trait, ...], having: tuple[Trait, ...], keys_only: bool) -> Statement:  # noqa: FBT001
    """The same of the calls that are in no sum yet: those of the last seconds."""
    hour: sa.ColumnElement[Any] = sa.literal_column("usage.at - usage.at % 3600" if each else "0")
    wanted = [_trait(trait) for trait in by]
    cost = sa.func.coalesce(sa.func.sum(usage.c.cost), sa.literal_column("0"))
    counts: dict[str, sa.ColumnElement[Any]] = {
        "requests": _number(usage.c.place == sa.literal_column("0")),
        "calls": sa.func.count(),
        "failures": _number(usage.c.status == sa.literal_column("'failed'")),
        "cost": cost,
        "unpriced": _number(usage.c.cost.is_(None)),
    }
    counted = [_whole(counts[name] if name in counts else sa.func.sum(usage.c[name])) for name in _COUNTS]
    query = (
        sa.select(hour, *wanted, *counted)
        .where(
            UNSUMMED,
            usage.c.organization_id == param("organization_id"),
            usage.c.at >= param("since"),
            usage.c.at < param("until"),
            *(_trait(trait) == param(f"having_{trait}") for trait in having),
            *((usage.c.key_id.is_not(None),) if keys_only else ()),
        )
        .group_by(*((hour,) if each else ()), *wanted)
        .having(sa.func.count() > sa.literal_column("0"))
    )
    return Statement(query)


def _trait(trait: Trait) -> sa.ColumnElement[Any]:
    column = usage.c[_TRAITS[trait]]
    # Written out: the same expression stands among the columns and among the groups, and a value bound twice is two.
    return sa.func.coalesce(column, sa.literal_column("''")) if column.nullable else column


def _number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.sum(sa.case((condition, sa.literal_column("1")), else_=sa.literal_column("0")))


def _whole(counted: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """PostgreSQL's sums are decimals."""
    return sa.cast(counted, sa.BigInteger)


def _added_up(taken: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of `_SUM` for calls, which hold `_TAKEN`. In one order always, so that nobody waits in a circle."""
    hours: dict[tuple[Any, ...], list[int]] = {}
    for organization, at, key, user, kind, name, provider, place, status, *rest in taken:
        read, cached, written, thought, cost, milliseconds = rest
        of = (organization, periods.start("hour", at), key or "", user or "", kind, name, provider)
        counted = (
            int(place == 0),
            1,
            int(status == "failed"),
            read,
            cached,
            written,
            thought,
            cost or 0,
            int(cost is None),
            milliseconds,
        )
        _add(hours, of, counted)
    sums: dict[tuple[Any, ...], list[int]] = {}
    for (organization, hour, key, user, *what), counts in hours.items():
        for span in _SPANS:
            begun = periods.start(span, hour)
            _add(sums, (organization, span, begun, key, user, *what), counts)
            _add(sums, (organization, _WHOLE[span], begun, "", "", *what), counts)
    names = [*(column.name for column in usage_sums.primary_key.columns), *_COUNTS]
    return [dict(zip(names, (*of, *counts), strict=True)) for of, counts in sorted(sums.items())]


def _add(sums: dict[tuple[Any, ...], list[int]], of: tuple[Any, ...], more: Sequence[int]) -> None:
    known = sums.get(of)
    sums[of] = list(more) if known is None else [*map(add, known, more)]
