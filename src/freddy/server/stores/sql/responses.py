"""Keeps responses and their items."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from freddy.server.core import errors
from freddy.server.core.items import Item
from freddy.server.core.response import Response
from freddy.server.ports.stores import Page
from freddy.server.stores.sql import response_queries as queries
from freddy.server.stores.sql import rows, tables
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.statements import Value

_INTERRUPTED = errors.Failure(
    message="The server stopped before the response was finished.",
    code="interrupted",
    details="Send the request again.",
)


class SqlResponses:
    """The port `ResponseStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, response: Response) -> None:
        values, thread = _response_values(response), _thread_values(response)
        inputs = _item_rows(response, "in", enumerate(response.request.input))

        def work(connection: sqlite3.Connection) -> None:
            if thread:
                connection.execute(queries.ADD_THREAD.sql, thread)
            try:
                connection.execute(queries.ADD.sql, values)
            except sqlite3.IntegrityError as error:
                raise errors.Conflict(f"There is a response {response.id!r} already.") from error
            connection.executemany(rows.INSERT_ITEM.sql, inputs)

        await self._database.write(work)

    async def keep(self, response: Response) -> None:
        values, thread, touch = _response_values(response), _thread_values(response), _touch_values(response)
        items = _item_rows(response, "in", enumerate(response.request.input))
        items += _item_rows(response, "out", enumerate(response.output))

        def work(connection: sqlite3.Connection) -> None:
            if thread:
                connection.execute(queries.ADD_THREAD.sql, thread)
            if not connection.execute(queries.ADD_ONCE.sql, values).rowcount:  # a repeated write
                return
            connection.executemany(rows.INSERT_ITEM.sql, items)
            if touch:
                connection.execute(queries.TOUCH_THREAD.sql, touch)

        await self._database.write(work)

    async def add_items(self, response_id: str, start: int, items: Sequence[Item]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            owner = connection.execute(queries.OWNER.sql, (response_id,)).fetchone()
            if not owner:  # deleted while it was made
                return
            connection.executemany(
                rows.INSERT_ITEM.sql,
                [
                    rows.item_row(
                        item,
                        response_id=response_id,
                        organization_id=owner[0],
                        direction="out",
                        position=position,
                    )
                    for position, item in enumerate(items, start)
                ],
            )

        await self._database.write(work)

    async def finish(self, response: Response) -> None:
        end = queries.END.bind(
            id=response.id,
            organization_id=response.organization_id,
            status=response.status,
            model=response.model,
            provider=response.provider,
            completed_at=response.completed_at,
            outcome=rows.outcome(response),
        )
        touch = _touch_values(response)

        def work(connection: sqlite3.Connection) -> None:
            if not connection.execute(queries.END.sql, end).rowcount:  # deleted while it was made
                return
            if response.output:
                kept = {row[0] for row in connection.execute(queries.KEPT.sql, queries.KEPT.bind(id=response.id))}
                missing = ((place, item) for place, item in enumerate(response.output) if place not in kept)
                connection.executemany(rows.INSERT_ITEM.sql, _item_rows(response, "out", missing))
            if touch:
                connection.execute(queries.TOUCH_THREAD.sql, touch)

        await self._database.write(work)

    async def get(self, organization_id: str, response_id: str) -> Response | None:
        values = queries.GET.bind(id=response_id, organization_id=organization_id)

        def work(connection: sqlite3.Connection) -> Response | None:
            row = connection.execute(queries.GET.sql, values).fetchone()
            if row is None:
                return None
            return rows.response(row, connection.execute(queries.PARTS.sql, (response_id,)))

        return await self._database.read(work)

    async def delete(self, organization_id: str, response_id: str) -> bool:
        values = queries.DELETE.bind(id=response_id, organization_id=organization_id)
        return await self._database.write(
            lambda connection: connection.execute(queries.DELETE.sql, values).rowcount > 0
        )

    async def input_items(self, organization_id: str, response_id: str, page: Page) -> tuple[Sequence[Item], bool]:
        def work(connection: sqlite3.Connection) -> tuple[Sequence[Item], bool]:
            found, more = queries.INPUT.page(connection, page, id=response_id, organization_id=organization_id)
            return [rows.item(data) for (data,) in found], more

        return await self._database.read(work)

    async def find_items(self, organization_id: str, item_ids: Sequence[str]) -> Mapping[str, Item]:
        def work(connection: sqlite3.Connection) -> Mapping[str, Item]:
            found = {}
            for item_id in item_ids:
                values = queries.FIND.bind(id=item_id, organization_id=organization_id)
                row = connection.execute(queries.FIND.sql, values).fetchone()
                if row:
                    found[item_id] = rows.item(row[0])
            return found

        return await self._database.read(work)

    async def chain(self, organization_id: str, response_id: str) -> Sequence[Response]:
        def work(connection: sqlite3.Connection) -> Sequence[Response]:
            scope = {"id": response_id, "organization_id": organization_id}
            found = connection.execute(queries.CHAIN.sql, queries.CHAIN.bind(**scope)).fetchall()
            parts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
            for owner, direction, data in connection.execute(
                queries.CHAIN_PARTS.sql, queries.CHAIN_PARTS.bind(**scope)
            ):
                parts[owner].append((direction, data))
            return [rows.response(row, parts[row[0]]) for row in found]

        return await self._database.read(work)

    async def fail_unfinished(self, response_ids_alive: Sequence[str], now: int) -> int:
        alive = frozenset(response_ids_alive)

        def work(connection: sqlite3.Connection) -> int:
            lost = [
                queries.FAIL.bind(id=response_id, completed_at=now, outcome=rows.failed_outcome(outcome, _INTERRUPTED))
                for response_id, outcome in connection.execute(
                    queries.UNFINISHED.sql, queries.UNFINISHED.bind()
                ).fetchall()
                if response_id not in alive
            ]
            connection.executemany(queries.FAIL.sql, lost)
            return len(lost)

        return await self._database.write(work)


def _item_rows(
    response: Response, direction: rows.Direction, placed: Iterable[tuple[int, Item]]
) -> list[tuple[Value, ...]]:
    return [
        rows.item_row(
            item,
            response_id=response.id,
            organization_id=response.organization_id,
            direction=direction,
            position=position,
        )
        for position, item in placed
    ]


def _response_values(response: Response) -> tuple[Value, ...]:
    return queries.ADD.bind(
        id=response.id,
        organization_id=response.organization_id,
        key_id=response.key_id,
        thread_id=response.thread_id,
        previous_response_id=response.request.previous_response_id,
        status=response.status,
        model=response.model,
        provider=response.provider,
        created_at=response.created_at,
        completed_at=response.completed_at,
        request=rows.request_text(response),
        outcome=rows.outcome(response),
    )


def _thread_values(response: Response) -> tuple[Value, ...] | None:
    """The thread to make where there is none."""
    if response.thread_id is None:
        return None
    asked = response.request.thread
    return queries.ADD_THREAD.bind(
        organization_id=response.organization_id,
        id=response.thread_id,
        created_at=response.created_at,
        updated_at=response.created_at,
        last_message_at=None,
        title=None,
        metadata=rows.text(asked.metadata if asked else {}),
        last_model=None,
        pinned_at=None,
    )


def _touch_values(response: Response) -> tuple[Value, ...] | None:
    if response.thread_id is None or response.status not in tables.SUCCEEDED:
        return None
    return queries.TOUCH_THREAD.bind(
        id=response.thread_id,
        organization_id=response.organization_id,
        now=response.completed_at or response.created_at,
        last_model=response.model,
    )
