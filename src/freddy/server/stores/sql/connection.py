"""What the stores ask of a database, whichever it is."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from freddy.server.stores.sql.statements import Row, Statement, Value

T = TypeVar("T")


class Connection(Protocol):
    """One transaction under way. Values are given by name and bound in the order that the database wants."""

    async def all(self, statement: Statement, **values: Value) -> list[Row]: ...

    async def one(self, statement: Statement, **values: Value) -> Row | None:
        """The first row."""
        ...

    async def run(self, statement: Statement, **values: Value) -> int:
        """How many rows the statement wrote."""
        ...

    async def many(self, statement: Statement, values: Sequence[Mapping[str, Value]]) -> None:
        """Runs the statement for each."""
        ...


class Taken(Exception):
    """A row with this unique key is there already, or one that it refers to is not.

    Any statement may raise it. It ends the transaction: a work may say it in other words, but asks nothing more. One
    that has to go on says `on_conflict_do_nothing`, and looks at how many rows were written.
    """


Work: TypeAlias = Callable[[Connection], Coroutine[Any, Any, T]]
"""What one transaction does. It may run again after a rollback, so it touches nothing but the connection, and waits
for nothing else: on SQLite it runs to its end in the database's own thread, where there is no event loop.

Works that write take effect as if one ran after the other, in every process that has the database open."""


class Database(Protocol):
    async def write(self, work: Work[T]) -> T:
        """What the work returns, when it is on the disk."""
        ...

    async def read(self, work: Work[T]) -> T:
        """What the work returns. All it reads is of one moment, and holds every write that has returned."""
        ...
