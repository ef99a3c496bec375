"""Keeps responses and their items, and adds those that succeeded to their threads.

What others do in the transactions of their own is here as works: `opening`, `ending`, `adding`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from freddy.server.core import errors
from freddy.server.core.items import HostedCall, Item
from freddy.server.core.response import SUCCEEDED, Response
from freddy.server.ports.stores import ANY_RESPONSE, Page, ResponseFilter
from freddy.server.stores.sql import entries, rows, usage, webhooks
from freddy.server.stores.sql import response_queries as queries
from freddy.server.stores.sql.connection import Connection, Database, Taken, Work
from freddy.server.stores.sql.statements import Row, Value

_INTERRUPTED = errors.Failure(
    message="The server stopped before the response was finished.",
    code=queries.INTERRUPTED,
    details="Send the request again.",
)
_ASKED = ("thread_id", "status", "model", "user_id")


class SqlResponses:
    """The port `ResponseStore`. `performer` is the worker that makes the responses it opens."""

    def __init__(self, database: Database, performer: str | None = None) -> None:
        self._database = database
        self._performer = performer

    async def open(self, response: Response) -> None:
        await self._database.write(opening(response, self._performer))

    async def keep(self, response: Response) -> None:
        values = _response_values(response)
        items = _item_rows(response, "in", enumerate(response.request.input))
        items += _item_rows(response, "out", enumerate(response.output))
        calls = usage.values(response)

        async def work(connection: Connection) -> None:
            await usage.record(connection, calls)
            await _make_thread(connection, response)
            added = await connection.one(queries.ADD_ONCE, **values)
            if added is None:  # a repeated write
                return
            await connection.many(rows.INSERT_ITEM, items)
            await _label(connection, response)
            await _join_thread(connection, response, added[0])

        await self._database.write(work)

    async def add_items(self, response_id: str, items: Mapping[int, Item]) -> None:
        async def work(connection: Connection) -> None:
            owner = await connection.one(queries.OWNER, id=response_id)
            if owner:  # else deleted while it was made
                await adding(response_id, owner[0], items)(connection)

        await self._database.write(work)

    async def finish(self, response: Response) -> None:
        await self._database.write(ending(response))

    async def get(self, organization_id: str, response_id: str) -> Response | None:
        async def work(connection: Connection) -> Response | None:
            row = await connection.one(queries.GET, id=response_id, organization_id=organization_id)
            return rows.response(row, await connection.all(queries.PARTS, id=response_id)) if row else None

        return await self._database.read(work)

    async def list(
        self, organization_id: str, page: Page, having: ResponseFilter = ANY_RESPONSE
    ) -> tuple[Sequence[Response], bool]:
        asked = {name: value for name in _ASKED if (value := getattr(having, name)) is not None}
        listing = queries.listing(frozenset(asked), len(having.metadata))
        asked |= rows.label_values(having.metadata)

        async def work(connection: Connection) -> tuple[Sequence[Response], bool]:
            found, more = await listing.page(connection, page, organization_id=organization_id, **asked)
            return [rows.response(row, await connection.all(queries.PARTS, id=row[0])) for row in found], more

        return await self._database.read(work)

    async def delete(self, organization_id: str, response_id: str) -> bool:
        async def work(connection: Connection) -> bool:
            deleted = await connection.one(queries.DELETE, id=response_id, organization_id=organization_id)
            if deleted is None:
                return False
            items = await connection.all(queries.DELETE_ITEMS, id=response_id)
            was_entry = await connection.run(queries.DELETE_ENTRY, id=response_id, organization_id=organization_id)
            await connection.run(queries.DELETE_LABELS, id=response_id, organization_id=organization_id)
            gone = sum(kind == entries.MESSAGE and not hidden for kind, hidden in items)
            if deleted[0] is not None and was_entry and gone:
                await entries.take(connection, organization_id, deleted[0], gone, now=0)
            return True

        return await self._database.write(work)

    async def input_items(self, organization_id: str, response_id: str, page: Page) -> tuple[Sequence[Item], bool]:
        async def work(connection: Connection) -> tuple[Sequence[Item], bool]:
            found, more = await queries.INPUT.page(connection, page, id=response_id, organization_id=organization_id)
            return [rows.item(data) for (data,) in found], more

        return await self._database.read(work)

    async def find_items(
        self, organization_id: str, item_ids: Sequence[str], *, user_id: str | None = None
    ) -> Mapping[str, Item]:
        async def work(connection: Connection) -> Mapping[str, Item]:
            found = {}
            for item_id in item_ids:
                scope = {"id": item_id, "organization_id": organization_id}
                if user_id is None:
                    row = await connection.one(queries.FIND, **scope)
                else:
                    row = await connection.one(queries.FIND_OWN, **scope, user_id=user_id)
                if row:
                    found[item_id] = rows.item(row[0])
            return found

        return await self._database.read(work)

    async def chain(self, organization_id: str, response_id: str, *, limit: int | None = None) -> Sequence[Response]:
        async def work(connection: Connection) -> Sequence[Response]:
            furthest = (limit or queries.LONGEST_CHAIN) - 1
            scope: dict[str, Value] = {"id": response_id, "organization_id": organization_id, "furthest": furthest}
            return await _whole(connection, await connection.all(queries.CHAIN, **scope), **scope)

        return await self._database.read(work)

    async def chain_start(self, organization_id: str, response_id: str, *, limit: int) -> Sequence[Response]:
        async def work(connection: Connection) -> Sequence[Response]:
            scope: dict[str, Value] = {"id": response_id, "organization_id": organization_id}
            furthest = queries.LONGEST_CHAIN - 1
            found = await connection.all(queries.CHAIN_START, **scope, furthest=furthest, limit=limit)
            if not found:
                return []
            # From the last of them: the way to it was long enough once.
            return await _whole(connection, found, **scope | {"id": found[-1][0]}, furthest=len(found) - 1)

        return await self._database.read(work)


def opening(response: Response, performer: str | None = None) -> Work[int]:
    """What `ResponseStore.open` does. Returns the place of the response in the order of all."""
    values = _response_values(response) | {"performer": performer}
    inputs = _item_rows(response, "in", enumerate(response.request.input))

    async def work(connection: Connection) -> int:
        await _make_thread(connection, response)
        try:
            added = await connection.one(queries.ADD, **values)
        except Taken as error:
            raise errors.Conflict(f"There is a response {response.id!r} already.") from error
        assert added is not None
        await connection.many(rows.INSERT_ITEM, inputs)
        await _label(connection, response)
        seq: int = added[0]
        return seq

    return work


def adding(response_id: str, organization_id: str, items: Mapping[int, Item]) -> Work[None]:
    """What `ResponseStore.add_items` does for a response that is there."""
    values = [
        rows.item_row(item, owner_id=response_id, organization_id=organization_id, direction="out", position=position)
        for position, item in sorted(items.items())
    ]

    async def work(connection: Connection) -> None:
        await connection.many(rows.PUT_ITEM, values)

    return work


def ending(response: Response) -> Work[None]:
    """What `ResponseStore.finish` does."""
    end: dict[str, Value] = {
        "id": response.id,
        "organization_id": response.organization_id,
        "status": response.status,
        "model": response.model,
        "provider": response.provider,
        "completed_at": response.completed_at,
        "outcome": rows.outcome(response),
    }
    calls = usage.values(response)

    async def work(connection: Connection) -> None:
        # What was used is accounted, whatever became of the response.
        await usage.record(connection, calls)
        ended = await connection.one(queries.END, **end)
        if ended is None:  # deleted while it was made, or a repeated write
            return
        if response.output:
            kept = {position for (position,) in await connection.all(queries.KEPT, id=response.id)}
            missing = [
                (place, item)
                for place, item in enumerate(response.output)
                if place not in kept or isinstance(item, HostedCall)  # it may have been kept without its answer
            ]
            await connection.many(rows.PUT_ITEM, _item_rows(response, "out", missing))
        await _join_thread(connection, response, ended[0])
        await webhooks.due(connection, response)

    return work


async def _whole(connection: Connection, chain: Sequence[Row], **scope: Value) -> Sequence[Response]:
    """The responses of a chain with their items. `scope` is that of `queries.CHAIN`."""
    parts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for owner, direction, data in await connection.all(queries.CHAIN_PARTS, **scope):
        parts[owner].append((direction, data))
    return [rows.response(row, parts[row[0]]) for row in chain]


async def fail(connection: Connection, lost: Sequence[Row], now: int) -> int:
    """Marks responses as failed, because their process is gone: `lost` holds ids and outcomes. Returns how many."""
    await connection.many(
        queries.FAIL,
        [
            {"id": response_id, "completed_at": now, "outcome": rows.failed_outcome(outcome, _INTERRUPTED)}
            for response_id, outcome in lost
        ],
    )
    return len(lost)


async def _make_thread(connection: Connection, response: Response) -> None:
    """Makes the thread that the request names where nobody has yet; one that was seen is not made again."""
    asked = response.request.thread
    if response.thread_id is None or (asked is not None and asked.seen is not None):
        return
    metadata = asked.metadata if asked else {}
    made = await connection.run(
        queries.ADD_THREAD,
        organization_id=response.organization_id,
        id=response.thread_id,
        created_at=response.created_at,
        updated_at=response.created_at,
        last_message_at=None,
        title=None,
        metadata=rows.text(metadata),
        last_model=None,
        pinned_at=None,
        assistant_id=None,
        user_id=response.user_id,
        visible=True,
        message_count=0,
        places=0,
    )
    if made and metadata:
        labels = rows.label_rows(response.organization_id, "thread", response.thread_id, metadata)
        await connection.many(rows.INSERT_LABEL, labels)


async def _label(connection: Connection, response: Response) -> None:
    metadata = response.request.metadata
    if metadata:
        labels = rows.label_rows(response.organization_id, "response", response.id, metadata)
        await connection.many(rows.INSERT_LABEL, labels)


async def _join_thread(connection: Connection, response: Response, thread_id: str | None) -> None:
    """Adds the response to its thread. `thread_id` is what is kept: None where the thread was deleted."""
    if thread_id is None or not (response.status in SUCCEEDED or response.partial):
        return
    request = response.request
    await entries.append(
        connection,
        response.organization_id,
        thread_id,
        response.id,
        (*request.input, *response.output),
        created_at=response.created_at,
        now=response.completed_at or response.created_at,
        model=response.model,
        assistant_id=request.assistant_id,
        seen=(request.thread.seen or 0) if request.thread else 0,
        spot=request.thread.spot if request.thread else None,
    )


def _item_rows(
    response: Response, direction: rows.Direction, placed: Iterable[tuple[int, Item]]
) -> list[dict[str, Value]]:
    return [
        rows.item_row(
            item,
            owner_id=response.id,
            organization_id=response.organization_id,
            direction=direction,
            position=position,
        )
        for position, item in placed
    ]


def _response_values(response: Response) -> dict[str, Value]:
    asked = response.request.thread
    return {
        "id": response.id,
        "organization_id": response.organization_id,
        "key_id": response.key_id,
        "user_id": response.user_id,
        "thread_id": response.thread_id,
        "seen": (asked.seen or 0) if asked else 0,
        "previous_response_id": response.request.previous_response_id,
        "status": response.status,
        "model": response.model,
        "provider": response.provider,
        "created_at": response.created_at,
        "completed_at": response.completed_at,
        "request": rows.request_text(response),
        "outcome": rows.outcome(response),
        "performer": None,
    }
