"""Keeps the line of deliveries to webhooks."""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from freddy.server.core import webhooks
from freddy.server.core.response import Response
from freddy.server.core.webhooks import Configuration, Delivery, Status
from freddy.server.ports.stores import Page
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.paging import Listing
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_deliveries = tables.webhook_deliveries
_records = tables.records
_configuration = msgspec.json.Decoder(Configuration).decode
_MOST_EXPIRED = 1000

_this = (_deliveries.c.webhook_id == param("webhook_id"), _deliveries.c.event_id == param("event_id"))
_WEBHOOKS = Statement(
    sa.select(_records.c.id, _records.c.data).where(
        _records.c.organization_id == param("organization_id"), _records.c.kind == sa.literal_column("'webhook'")
    )
)
# An end that is kept once more is the same event.
_ADD = Statement(statements.insert(_deliveries).values(statements.params(_deliveries)).on_conflict_do_nothing())
_GET = Statement(sa.select(_deliveries).where(*_this))
_due = sa.and_(tables.UNDELIVERED, _deliveries.c.next_at <= param("now"))
_WAITING = Statement(
    sa.select(_deliveries.c.webhook_id, _deliveries.c.organization_id)
    .where(_due)
    # In this order: grouped by the webhook first, SQLite would look at all that is pending, due or not.
    .group_by(_deliveries.c.organization_id, _deliveries.c.webhook_id)
    .order_by(sa.case((_deliveries.c.webhook_id > param("after"), 0), else_=1), _deliveries.c.webhook_id)
    .limit(param("limit"))
)
_key = (_deliveries.c.webhook_id, _deliveries.c.event_id)
_CLAIM = Statement(
    _deliveries.update()
    .where(
        sa.tuple_(*_key).in_(
            sa.select(*_key)
            .where(_due, _deliveries.c.webhook_id == param("webhook_id"))
            .order_by(_deliveries.c.next_at, _deliveries.c.event_id)
            .limit(param("limit"))
            # What another process takes just now is left to it.
            .with_for_update(skip_locked=True)
        )
    )
    .values(attempts=_deliveries.c.attempts + sa.literal_column("1"), next_at=param("until"))
    .returning(*_deliveries.c)
)
_REPORTED = ("status", "attempts", "next_at", "status_code", "failure", "ended_at")
_REPORT = Statement(
    _deliveries.update()
    .where(*_this, tables.UNDELIVERED, _deliveries.c.attempts == param("held"))
    .values({name: param(name) for name in _REPORTED})
)
_AGAIN = Statement(
    _deliveries.update()
    .where(*_this)
    .values(
        status=sa.literal_column("'pending'"),
        attempts=sa.literal_column("0"),
        next_at=param("now"),
        status_code=sa.null(),
        failure=sa.null(),
        ended_at=sa.null(),
    )
    .returning(*_deliveries.c)
)
_delivered = (
    sa.select(sa.func.max(_deliveries.c.ended_at))
    .where(
        _deliveries.c.webhook_id == param("webhook_id"),
        _deliveries.c.status == sa.literal_column("'delivered'"),
        tables.DELIVERY_OVER,
    )
    .scalar_subquery()
)
_FAILING_SINCE = Statement(
    sa.select(sa.func.min(_deliveries.c.ended_at)).where(
        _deliveries.c.webhook_id == param("webhook_id"),
        _deliveries.c.status == sa.literal_column("'failed'"),
        _deliveries.c.ended_at >= param("since"),
        _deliveries.c.ended_at > sa.func.coalesce(_delivered, sa.literal_column("-1")),
    )
)
_ANY_EXPIRED = Statement(sa.select(*_key).where(_deliveries.c.ended_at < param("before")).limit(1))
_EXPIRE = Statement(
    _deliveries.delete().where(
        sa.tuple_(*_key).in_(
            sa.select(*_key)
            .where(_deliveries.c.ended_at < param("before"))
            .limit(sa.literal_column(str(_MOST_EXPIRED)))
        )
    )
)


def _listed(*, by_status: bool) -> Listing:
    query = sa.select(*_deliveries.c).where(_deliveries.c.webhook_id == param("webhook_id"))
    if by_status:
        query = query.where(_deliveries.c.status == param("status"))
    return Listing(query, key=(_deliveries.c.created_at, _deliveries.c.event_id), cursor=_deliveries.c.event_id)


_LISTS = {by_status: _listed(by_status=by_status) for by_status in (False, True)}


async def due(connection: Connection, response: Response) -> None:
    """Puts the end of a response into the line, for the webhooks that want to know: in the transaction that keeps it.

    What nobody is told of asks the database nothing, and nobody to tell costs one look.
    """
    event_type = webhooks.announced(response)
    if event_type is None:
        return
    at = response.created_at if response.completed_at is None else response.completed_at
    for webhook_id, data in await connection.all(_WEBHOOKS, organization_id=response.organization_id):
        if not _configuration(data).wants(event_type):
            continue
        delivery = Delivery(
            webhook_id=webhook_id,
            event_id=webhooks.event_id(response.id),
            organization_id=response.organization_id,
            event_type=event_type,
            subject_id=response.id,
            created_at=at,
            next_at=at,
        )
        await connection.run(_ADD, **_values(delivery))


class SqlDeliveries:
    """The port `DeliveryStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self, now: int, *, after: str = "", limit: int = 1000) -> Sequence[tuple[str, str]]:
        async def work(connection: Connection) -> Sequence[tuple[str, str]]:
            found = await connection.all(_WAITING, now=now, after=after, limit=limit)
            return [(webhook_id, organization_id) for webhook_id, organization_id in found]

        return await self._database.read(work)

    async def claim(self, wanted: Mapping[str, int], now: int, *, lease: int) -> Sequence[Delivery]:
        async def work(connection: Connection) -> Sequence[Delivery]:
            return [
                _delivery(row)
                for webhook_id, most in wanted.items()
                for row in await connection.all(_CLAIM, webhook_id=webhook_id, limit=most, now=now, until=now + lease)
            ]

        return await self._database.write(work)

    async def report(self, held: Delivery, then: Delivery) -> bool:
        values: dict[str, Value] = {name: getattr(then, name) for name in _REPORTED}

        async def work(connection: Connection) -> bool:
            kept = await connection.run(
                _REPORT, webhook_id=held.webhook_id, event_id=held.event_id, held=held.attempts, **values
            )
            return kept > 0

        return await self._database.write(work)

    async def get(self, webhook_id: str, event_id: str) -> Delivery | None:
        async def work(connection: Connection) -> Delivery | None:
            row = await connection.one(_GET, webhook_id=webhook_id, event_id=event_id)
            return None if row is None else _delivery(row)

        return await self._database.read(work)

    async def list(
        self, webhook_id: str, page: Page, *, status: Status | None = None
    ) -> tuple[Sequence[Delivery], bool]:
        scope: dict[str, Value] = {"webhook_id": webhook_id}
        if status is not None:
            scope["status"] = status

        async def work(connection: Connection) -> tuple[Sequence[Delivery], bool]:
            found, more = await _LISTS[status is not None].page(connection, page, **scope)
            return [_delivery(row) for row in found], more

        return await self._database.read(work)

    async def again(self, webhook_id: str, event_id: str, now: int) -> Delivery | None:
        async def work(connection: Connection) -> Delivery | None:
            row = await connection.one(_AGAIN, webhook_id=webhook_id, event_id=event_id, now=now)
            return None if row is None else _delivery(row)

        return await self._database.write(work)

    async def failing_since(self, webhook_id: str, since: int) -> int | None:
        async def work(connection: Connection) -> int | None:
            row = await connection.one(_FAILING_SINCE, webhook_id=webhook_id, since=since)
            return row[0] if row else None

        return await self._database.read(work)

    async def expire(self, before: int) -> int:
        async def look(connection: Connection) -> Row | None:
            return await connection.one(_ANY_EXPIRED, before=before)

        # Mostly there is nothing to write.
        if await self._database.read(look) is None:
            return 0
        return await self._database.write(lambda connection: connection.run(_EXPIRE, before=before))


def _values(delivery: Delivery) -> dict[str, Value]:
    return msgspec.structs.asdict(delivery)


def _delivery(row: Row) -> Delivery:
    (
        webhook_id, event_id, organization_id, event_type, subject_id, created_at, status, attempts, next_at,
        status_code, failure, ended_at,
    ) = row  # fmt: skip
    return Delivery(
        webhook_id=webhook_id,
        event_id=event_id,
        organization_id=organization_id,
        event_type=event_type,
        subject_id=subject_id,
        created_at=created_at,
        status=status,
        attempts=attempts,
        next_at=next_at,
        status_code=status_code,
        failure=failure,
        ended_at=ended_at,
    )
