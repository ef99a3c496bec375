"""What the stores ask of a database, whichever it is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

from freddy.server.stores.sql.statements import Row, Statement, Value

T = TypeVar("T")


class Connection(Protocol):
    """One transaction under way. Values are given by name and bound in the order that the database wants."""

    async def all(self, statement: Statement, **values: Value) -> list[Row]: ...

    async def one(self, statement: Statement, **values: Value) -> Row | None:
        """The first row."""
        ...

    async def run(self, statement: Statement, **values: Value) -> int:
        """How many rows the statement wrote. Raises `Taken` where a unique key exists already."""
        ...

    async def many(self, statement: Statement, values: Sequence[Mapping[str, Value]]) -> None:
        """Runs the statement for each."""
        ...


class Taken(Exception):
    """A row with this unique key is there already, or one that it refers to is not."""


Work: TypeAlias = Callable[[Connection], Awaitable[T]]
"""What one transaction does. It may run again after a rollback, so it touches nothing but the connection, and waits
for nothing else: on SQLite it runs to its end in the database's own thread, where there is no event loop."""


class Database(Protocol):
    async def write(self, work: Work[T]) -> T:
        """What the work returns, when it is on the disk."""
        ...

    async def read(self, work: Work[T]) -> T:
        """What the work returns. All it reads is of one moment, and holds every write that has returned."""
        ...
