"""Says what PostgreSQL could not do in the words of `core.errors`."""

import asyncpg

from freddy.server.core import errors

_AWAY = (
    "The database cannot be reached.",
    "Check that PostgreSQL runs, and that FREDDY_DATABASE names its host and port; the server goes on by itself when "
    "it is back.",
)
_STARTING = ("The database is starting or stopping.", "Try again in a moment.")
_REFUSED = (
    "The database refused the user or the password.",
    "Correct the user and password in FREDDY_DATABASE, or what pg_hba.conf says of them.",
)
_BUSY = ("The database is too busy with other writes of the same rows.", "Try again in a moment.")
_FAULTS = {
    "53100": (
        "The database cannot grow: the disk is full.",
        "Free space on the disk of the PostgreSQL server; no restart of this server is needed.",
    ),
    "53200": ("There is no memory left for the database.", "Give the PostgreSQL server more memory."),
    "53300": (
        "The database has no connection left.",
        "Raise max_connections of PostgreSQL, end connections of others, or put a pooler in front of it.",
    ),
    "25006": (
        "The database cannot be written: it is read-only.",
        "Name the primary server in FREDDY_DATABASE, or let it write again.",
    ),
    "28000": _REFUSED,
    "28P01": _REFUSED,
    "3D000": (
        "The PostgreSQL server has no database of this name.",
        "Make it with CREATE DATABASE, or correct the name in FREDDY_DATABASE.",
    ),
    "3F000": ("The database has no schema to make tables in.", "Make the schema that search_path names."),
    "42501": (
        "The user of the database may not do this.",
        "Give it the right to make tables in the schema, and to read and write its own.",
    ),
    "42704": (
        "PostgreSQL does not know a parameter of the address of the database.",
        "Correct what stands behind the ? in FREDDY_DATABASE.",
    ),
    "40001": _BUSY,
    "40P01": _BUSY,
    "55P03": _BUSY,
    "57014": ("The database took too long and was stopped.", "Try again; see what keeps PostgreSQL busy."),
    "57P03": _STARTING,
    "58030": ("The disk failed to read or write the database.", "Check the disk of the PostgreSQL server."),
    "XX001": ("The database is damaged.", "Restore it from a backup."),
    "XX002": ("An index of the database is damaged.", "Run REINDEX DATABASE, or restore a backup."),
}
_LOST = frozenset({"57P01", "57P02", "57P03", "25P03"})
"""The server ended the connection, or did not begin one."""
_PASSING = frozenset({"40001", "40P01", "55P03"})
"""The same work may succeed when it is run again."""
_TAKEN = frozenset({"23503", "23505"})
_STAYING = frozenset({"28000", "28P01", "3D000", "3F000", "42501", "42704", "58030", "XX001", "XX002"})
"""Somebody has to do something first."""
_AGAIN_SECONDS = 2.0
"""When a caller may come back, where it may be well again by itself."""


def state(error: BaseException) -> str | None:
    """PostgreSQL's SQLSTATE, None where the error is none of its: https://www.postgresql.org/docs/18/errcodes-appendix.html"""
    found: str | None = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
    return found


def lost(error: BaseException) -> bool:
    """Whether the connection is of no more use."""
    code = state(error)
    if code is not None:
        return code in _LOST or code.startswith("08")
    # One that is a ValueError, too, is told before anything is sent.
    return isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError | EOFError) and not (
        isinstance(error, ValueError)
    )


def worth_waiting(error: BaseException) -> bool:
    """Whether a connection that was refused so may be had a little later."""
    return state(error) == "53300" or lost(error)


def passing(error: BaseException) -> bool:
    return state(error) in _PASSING


def taken(error: BaseException) -> bool:
    return state(error) in _TAKEN


def translated(error: Exception) -> Exception:
    """`errors.StorageUnavailable` where the world is at fault, `errors.InvalidInput` for text that cannot be kept,
    else the error itself."""
    code = state(error)
    if code == "22021":
        refused = errors.InvalidInput(
            "A text holds the character U+0000, which the database cannot keep.", details="Leave it out."
        )
        refused.__cause__ = error
        return refused
    fault = _FAULTS.get(code or "", _AWAY if lost(error) else None)
    if fault is None:
        return error
    message, cure = fault
    unavailable = errors.StorageUnavailable(
        message, details=cure, retry_after=None if code in _STAYING else _AGAIN_SECONDS
    )
    unavailable.__cause__ = error
    return unavailable
