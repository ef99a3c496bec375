"""Compiles described statements, once, to text that a raw driver runs."""

from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Any, ...]

_DIALECT = sqlite.dialect(paramstyle="qmark")
_OPEN: Any = object()


def param(name: str) -> sa.BindParameter[Any]:
    """A place in a statement that `Statement.bind` fills."""
    return sa.bindparam(name, _OPEN)


def params(table: sa.Table, *, leave_out: tuple[str, ...] = ()) -> dict[str, sa.BindParameter[Any]]:
    """A place for each column of the table, by the name of the column."""
    return {column.name: param(column.name) for column in table.columns if column.name not in leave_out}


class Statement:
    """The text of a statement, and the order in which the driver wants its values."""

    def __init__(self, described: sa.ClauseElement) -> None:
        compiled: Any = described.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
        self.sql: str = compiled.string
        self._order: tuple[str, ...] = tuple(compiled.positiontup)
        self._constants = {name: value for name, value in compiled.params.items() if value is not _OPEN}

    def bind(self, **values: Value) -> tuple[Value, ...]:
        """The values in order. Raises KeyError for one that is missing."""
        if self._constants:
            values = self._constants | values
        return tuple([values[name] for name in self._order])
