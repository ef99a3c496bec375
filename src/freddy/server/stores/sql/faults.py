"""Says what SQLite could not do in the words of `core.errors`."""

import sqlite3

from freddy.server.core import errors

_FAULTS = {
    sqlite3.SQLITE_FULL: (
        "The database cannot grow: the disk is full.",
        "Free space on the disk that holds the database; no restart is needed.",
    ),
    sqlite3.SQLITE_IOERR: (
        "The disk failed to read or write the database.",
        "Check the disk that holds the database and its free space.",
    ),
    sqlite3.SQLITE_READONLY: (
        "The database cannot be written: it is read-only.",
        "Let the server's user write the database file and the folder it is in.",
    ),
    sqlite3.SQLITE_PERM: (
        "The database may not be opened.",
        "Let the server's user read and write the database file and the folder it is in.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "The database cannot be opened.",
        "Check that the folder of the database exists and that the server's user may write to it.",
    ),
    sqlite3.SQLITE_BUSY: (
        "The database is locked by another process.",
        "Try again; if it stays locked, end the other process that writes to it.",
    ),
    sqlite3.SQLITE_LOCKED: (
        "The database is locked by another process.",
        "Try again; if it stays locked, end the other process that writes to it.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "The database file is damaged.",
        "Stop the server and restore the file from a backup.",
    ),
    sqlite3.SQLITE_NOTADB: (
        "The database file is not an SQLite database.",
        "Name another file for the database, or restore this one from a backup.",
    ),
    sqlite3.SQLITE_NOMEM: ("There is no memory left for the database.", "Give the server more memory."),
}

_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM})
_AGAIN_SECONDS = 2.0
"""When a caller may come back, where it may be well again by itself."""


def primary(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code, None where Python's own checks raised the error."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def translated(error: Exception) -> Exception:
    """`errors.StorageUnavailable` where the world is at fault, else the error itself."""
    if not isinstance(error, sqlite3.Error):
        return error
    code = primary(error) or 0
    fault = _FAULTS.get(code)
    if fault is None:
        return error
    message, cure = fault
    again = _AGAIN_SECONDS if code in _PASSING else None
    unavailable = errors.StorageUnavailable(message, details=cure, retry_after=again)
    unavailable.__cause__ = error
    return unavailable
