"""Reads a list page by page, by the keys of the entries next to the page."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from freddy.server.core import errors
from freddy.server.ports.stores import Page
from freddy.server.stores.sql.connection import Connection
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_FIRST: tuple[Value, ...] = (-1, "", -1)
_LAST: tuple[Value, ...] = (2**62, "", -1)
"""Keys that lie before and behind all entries: their first part, a number, decides."""


class Listing:
    """The rows of `query` in the order of `key`, whose first column is a number; `cursor` is their id."""

    def __init__(self, query: sa.Select[Any], *, key: Sequence[sa.Column[Any]], cursor: sa.Column[Any]) -> None:
        self._width = len(key)
        lows = [param(f"low_{place}") for place in range(self._width)]
        highs = [param(f"high_{place}") for place in range(self._width)]
        between = query.where(
            # The comparison of the first column is implied; it is what an index can use in a join.
            key[0] >= lows[0],
            key[0] <= highs[0],
            sa.tuple_(*key) > sa.tuple_(*lows),
            sa.tuple_(*key) < sa.tuple_(*highs),
        ).limit(param("limit"))
        downwards = [column.desc() for column in key]
        self._ascending = Statement(between.order_by(*key))
        self._descending = Statement(between.order_by(*downwards))
        seek = query.with_only_columns(*key).where(cursor == param("cursor")).limit(1)
        # Where an id is listed twice, the nearer place would list what is between them for ever.
        self._seek_low = Statement(seek.order_by(*downwards))
        self._seek_high = Statement(seek.order_by(*key))

    async def page(self, connection: Connection, page: Page, **scope: Value) -> tuple[list[Row], bool]:
        """The rows, and whether more follow: behind the page, or before it where only `before` is given."""
        ascending = page.order == "asc"
        low, high = ("after", "before") if ascending else ("before", "after")
        first = await self._seek(connection, self._seek_low, page, low, scope) or _FIRST
        last = await self._seek(connection, self._seek_high, page, high, scope) or _LAST
        backwards = page.before is not None and page.after is None
        statement = self._ascending if ascending is not backwards else self._descending
        bounds = {f"low_{place}": first[place] for place in range(self._width)}
        bounds |= {f"high_{place}": last[place] for place in range(self._width)}
        rows = await connection.all(statement, **scope, **bounds, limit=page.limit + 1)
        more = len(rows) > page.limit
        rows = rows[: page.limit]
        if backwards:
            rows.reverse()
        return rows, more

    async def _seek(
        self,
        connection: Connection,
        statement: Statement,
        page: Page,
        side: str,
        scope: dict[str, Value],
    ) -> Row | None:
        cursor = page.after if side == "after" else page.before
        if cursor is None:
            return None
        row = await connection.one(statement, **scope, cursor=cursor)
        if row is None:
            raise errors.InvalidValue(side, "must be the id of an entry of this list")
        return row
