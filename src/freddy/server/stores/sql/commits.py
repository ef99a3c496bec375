"""Commits many writes in one transaction, so that they share one flush to the disk."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from freddy.server.stores.sql import faults

Work: TypeAlias = Callable[[sqlite3.Connection], Any]
"""What one transaction does. It may run again after a rollback, so it touches nothing but the connection."""


class Outcome(Struct, frozen=True):
    """What a work returned, or why it failed."""

    value: Any = None
    error: Exception | None = None


def commit(connection: sqlite3.Connection, works: Sequence[Work], *, tries: int) -> list[Outcome]:
    """The outcome of each, when the transaction is on the disk. A work that fails is rolled back alone.

    Where the transaction as a whole fails, as on a full disk, each work gets another chance by itself: one
    that is too big does not take the small ones with it.
    """
    try:
        _begin(connection, tries)
    except sqlite3.Error as error:
        return [Outcome(error=faults.translated(error))] * len(works)
    try:
        outcomes = [_attempt(connection, work) for work in works]
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        if len(works) == 1:
            return [Outcome(error=faults.translated(error))]
        return [outcome for work in works for outcome in commit(connection, [work], tries=tries)]
    return outcomes


def read(connection: sqlite3.Connection, works: Sequence[Work]) -> list[Outcome]:
    """The outcomes of works that only read; all the statements of one see the same moment."""
    return [_look(connection, work) for work in works]


def _look(connection: sqlite3.Connection, work: Work) -> Outcome:
    try:
        connection.execute("BEGIN")
        value = work(connection)
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


def _attempt(connection: sqlite3.Connection, work: Work) -> Outcome:
    connection.execute("SAVEPOINT work")
    try:
        value = work(connection)
    except Exception as error:
        if not connection.in_transaction:  # SQLite gave up all of it, with the works before this one
            raise
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return Outcome(error=faults.translated(error))
    connection.execute("RELEASE work")
    return Outcome(value)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
