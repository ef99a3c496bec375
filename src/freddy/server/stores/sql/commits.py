"""Commits many writes in one SQLite transaction, so that they share one flush to the disk."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from msgspec import Struct

from freddy.server.stores.sql import faults
from freddy.server.stores.sql.connection import T, Taken, Work
from freddy.server.stores.sql.statements import Row, Statement, Value

_TAKEN = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_ROWID,
        sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    }
)


class Outcome(Struct, frozen=True):
    """What a work returned, or why it failed."""

    value: Any = None
    error: Exception | None = None


class Direct:
    """The port `Connection`, for one work. Nothing in it ever suspends."""

    __slots__ = ("_raw",)

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    async def all(self, statement: Statement, **values: Value) -> list[Row]:
        text = statement.sqlite
        try:
            return self._raw.execute(text.sql, text.bind(values)).fetchall()
        except sqlite3.IntegrityError as error:
            self._give_up(error)

    async def one(self, statement: Statement, **values: Value) -> Row | None:
        text = statement.sqlite
        try:
            row: Row | None = self._raw.execute(text.sql, text.bind(values)).fetchone()
        except sqlite3.IntegrityError as error:
            self._give_up(error)
        return row

    async def run(self, statement: Statement, **values: Value) -> int:
        text = statement.sqlite
        try:
            return self._raw.execute(text.sql, text.bind(values)).rowcount
        except sqlite3.IntegrityError as error:
            self._give_up(error)

    async def many(self, statement: Statement, values: Sequence[Mapping[str, Value]]) -> None:
        text = statement.sqlite
        try:
            self._raw.executemany(text.sql, [text.bind(each) for each in values])
        except sqlite3.IntegrityError as error:
            self._give_up(error)

    def _give_up(self, error: sqlite3.IntegrityError) -> NoReturn:
        if error.sqlite_errorcode not in _TAKEN:
            raise error
        del self._raw  # other databases do not go on after this either
        raise Taken(str(error)) from error


def perform(raw: sqlite3.Connection, work: Work[T]) -> T:
    """Runs the work to its end, here and now. Raises RuntimeError for one that waits for anything else."""
    going = work(Direct(raw))
    try:
        going.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        going.close()
    raise RuntimeError("A work waited for something other than its connection.")


def commit(connection: sqlite3.Connection, works: Sequence[Work[Any]], *, tries: int) -> list[Outcome]:
    """The outcome of each, when the transaction is on the disk. A work that fails is rolled back alone.

    Where the transaction as a whole fails, as on a full disk, each work gets another chance by itself: one
    that is too big does not take the small ones with it.
    """
    try:
        _begin(connection, tries)
    except sqlite3.Error as error:
        return [Outcome(error=faults.translated(error))] * len(works)
    try:
        outcomes = [Outcome(perform(connection, work)) for work in works]
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 — a work's, or the commit's
        _roll_back(connection)
        if len(works) == 1:
            return [Outcome(error=faults.translated(error))]
        return _commit_guarded(connection, works, tries=tries)
    return outcomes


def _commit_guarded(connection: sqlite3.Connection, works: Sequence[Work[Any]], *, tries: int) -> list[Outcome]:
    """The same with a savepoint before each work: those cost as much as a small work, and few works fail."""
    try:
        _begin(connection, tries)
    except sqlite3.Error as error:
        return [Outcome(error=faults.translated(error))] * len(works)
    try:
        outcomes = [_attempt(connection, work) for work in works]
        connection.execute("COMMIT")
    except Exception:  # noqa: BLE001 — the commit's, or of a work that made SQLite give up all of it
        return [outcome for work in works for outcome in commit(connection, [work], tries=tries)]
    return outcomes


def read(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[Outcome]:
    """The outcomes of works that only read; all the statements of one see the same moment."""
    return [_look(connection, work) for work in works]


def _look(connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
    try:
        connection.execute("BEGIN")
        value = perform(connection, work)
    except Exception as error:  # noqa: BLE001 — whatever it is, it belongs to the one who waits for the outcome
        return Outcome(error=faults.translated(error))
    finally:
        _roll_back(connection)
    return Outcome(value)


def _begin(connection: sqlite3.Connection, tries: int) -> None:
    """Each try waits for `busy_timeout`; some kinds of busy do not wait at all, hence several."""
    _roll_back(connection)
    for left in reversed(range(tries)):
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if faults.primary(error) != sqlite3.SQLITE_BUSY or not left:
                raise
        else:
            return


def _attempt(connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
    connection.execute("SAVEPOINT work")
    try:
        value = perform(connection, work)
    except Exception as error:
        if not connection.in_transaction:  # SQLite gave up the works before this one too
            raise
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return Outcome(error=faults.translated(error))
    connection.execute("RELEASE work")
    return Outcome(value)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
