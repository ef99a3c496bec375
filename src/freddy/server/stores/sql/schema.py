"""Gives a database the schema of this version: made when new, migrated when old, refused when newer."""

import sqlite3
from functools import cache
from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from freddy.server.core import errors
from freddy.server.stores.sql.tables import metadata

HEAD = "0007"
"""The newest migration. Known without Alembic, which takes long to import and is seldom needed."""

MIGRATIONS = Path(__file__).parent / "migrations"

STAMP = (
    "CREATE TABLE alembic_version (\n\tversion_num VARCHAR(32) NOT NULL, \n"
    "\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)"
)


def bring_up(connection: sqlite3.Connection, path: Path, *, head: str = HEAD, migrations: Path = MIGRATIONS) -> None:
    """Safe when two processes start at once: one changes the schema while the other waits."""
    if version(connection) == head:
        return
    if _create(connection, head):
        return
    found = version(connection)
    if found == head:
        return
    if found is None:
        raise errors.StorageUnavailable(
            f"The database {str(path)!r} belongs to another program.",
            details="Name another file for the database.",
        )
    from freddy.server.stores.sql import upgrade  # noqa: PLC0415 — imports Alembic

    upgrade.upgrade(path, head=head, migrations=migrations)


def version(connection: sqlite3.Connection) -> str | None:
    """The newest migration that the database has had, None where it never had one."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def definition(dialect: Dialect) -> list[str]:
    """The statements that make the schema from nothing, equal to running every migration on such a database."""
    statements: list[str] = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            # The tables say it for SQLite alone: to say it for PostgreSQL, too, its dialect is loaded at every start.
            index.dialect_options[dialect.name]["where"] = index.dialect_options["sqlite"]["where"]
            statements.append(str(CreateIndex(index).compile(dialect=dialect)))
    return statements


@cache
def _definition() -> list[str]:
    return definition(sqlite.dialect())


def _create(connection: sqlite3.Connection, head: str) -> bool:
    """Whether the database was empty, and now has the schema."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        empty = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
        if empty:
            for statement in (*_definition(), STAMP):
                connection.execute(statement)
            connection.execute("INSERT INTO alembic_version VALUES (?)", (head,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return empty
