"""Compiles described statements, once for each database, to text that a raw driver runs."""

from collections.abc import Mapping
from functools import cache, cached_property
from operator import itemgetter
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Any, ...]

_SQLITE = sqlite.dialect(paramstyle="qmark")
_OPEN: Any = object()


def param(name: str) -> sa.BindParameter[Any]:
    """A place in a statement that `Text.bind` fills."""
    return sa.bindparam(name, _OPEN)


def params(table: sa.Table, *, leave_out: tuple[str, ...] = ()) -> dict[str, sa.BindParameter[Any]]:
    """A place for each column of the table, by the name of the column."""
    return {column.name: param(column.name) for column in table.columns if column.name not in leave_out}


def insert(table: sa.Table) -> sqlite.Insert:
    """An insert that may say `on_conflict_do_nothing` or `on_conflict_do_update`, on every database.

    SQLite took these clauses from PostgreSQL, and SQLAlchemy writes them for both.
    """
    return sqlite.insert(table)


class Text:
    """A statement in the words of one database, and the order in which its driver wants the values."""

    def __init__(self, described: sa.ClauseElement, dialect: Dialect) -> None:
        compiled: Any = described.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.sql: str = compiled.string
        self.order: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._pick = itemgetter(*self.order) if len(self.order) > 1 else None
        self._constants = {name: value for name, value in compiled.params.items() if value is not _OPEN}

    def bind(self, values: Mapping[str, Value]) -> tuple[Value, ...]:
        """The values in order. Raises KeyError for one that is missing."""
        if self._constants:
            values = {**self._constants, **values}
        if self._pick is None:
            return tuple([values[name] for name in self.order])
        picked: tuple[Value, ...] = self._pick(values)
        return picked


class Statement:
    """What is asked of the database, whichever it is."""

    def __init__(self, described: sa.ClauseElement) -> None:
        self._described = described

    @cached_property
    def sqlite(self) -> Text:
        return Text(self._described, _SQLITE)

    @cached_property
    def postgresql(self) -> Text:
        return Text(self._described, _postgresql())


@cache
def _postgresql() -> Dialect:
    from freddy.server.stores.sql.dialect import PostgresDialect  # noqa: PLC0415 — most databases are SQLite

    return PostgresDialect()
