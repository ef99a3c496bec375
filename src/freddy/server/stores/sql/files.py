"""Opens and closes connections to a database file."""

import os
import sqlite3
import time
from pathlib import Path
from typing import Literal

from freddy.server.core import errors
from freddy.server.stores.sql import faults, schema

_CACHED_STATEMENTS = 256
_AGAIN_SECONDS = 0.01
_PRAGMAS = {
    "read": ("PRAGMA query_only = ON", "PRAGMA cache_size = -16384"),
    "write": (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA fullfsync = ON",  # macOS: a plain fsync does not reach the disk
        "PRAGMA foreign_keys = ON",
        "PRAGMA cache_size = -32768",
        "PRAGMA journal_size_limit = 67108864",
    ),
    # A file that nobody will open again needs no flush.
    "throwaway": ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", "PRAGMA foreign_keys = ON"),
}


def open_writer(path: Path, *, throwaway: bool, patience: float) -> sqlite3.Connection:
    """Makes the file where there is none, and brings its schema up to date."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What people say to models is nobody else's business. SQLite gives its other files the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise errors.StorageUnavailable(
            f"The database {str(path)!r} cannot be opened: {error.strerror}.",
            details="Name a file that the server's user may read and write.",
        ) from error
    try:
        connection = _open(path, "throwaway" if throwaway else "write", patience=patience)
        try:
            schema.bring_up(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise faults.translated(error) from error
    return connection


def open_reader(path: Path, *, patience: float) -> sqlite3.Connection:
    try:
        return _open(path, "read", patience=patience)
    except sqlite3.Error as error:
        raise faults.translated(error) from error


def close_writer(connection: sqlite3.Connection) -> None:
    """Moves the write-ahead log into the file, where nobody else reads it."""
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error:
        # Nothing is lost: the log stays beside the file, and the next open reads it.
        return
    finally:
        connection.close()


def _open(path: Path, purpose: Literal["read", "write", "throwaway"], *, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=patience, cached_statements=_CACHED_STATEMENTS)
    try:
        until = time.monotonic() + patience
        for pragma in _PRAGMAS[purpose]:
            _set(connection, pragma, until=until)
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: sqlite3.Connection, pragma: str, *, until: float) -> None:
    """SQLite itself does not wait where two change the journal's mode at once: each may have what the other needs."""
    while True:
        try:
            connection.execute(pragma)
        except sqlite3.OperationalError as error:
            if faults.primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return
