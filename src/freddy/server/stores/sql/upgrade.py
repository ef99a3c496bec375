"""Runs migrations with Alembic, on a copy kept beforehand."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from freddy.server.core import errors
from freddy.server.stores.sql.backup import back_up


def upgrade(path: Path, *, head: str, migrations: Path) -> None:
    """Brings a database to `head` in one transaction, which holds the write lock from its first look on."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", _begin_by_hand)
    sa.event.listen(engine, "begin", _take_lock)
    with engine.begin() as connection:
        found = version(connection)
        if found == head:  # another process was faster
            return
        require_known(connection, head=head, migrations=migrations, place=f"The database {str(path)!r}")
        if _holds_data(connection):
            back_up(path, path.with_name(f"{path.name}.{found}.backup"))
        migrate(connection, head=head, migrations=migrations)


def migrate(connection: sa.Connection, *, head: str, migrations: Path) -> None:
    """Runs in the transaction of the connection."""
    config = _config(migrations)
    config.attributes["connection"] = connection
    command.upgrade(config, head)


def version(connection: sa.Connection) -> str | None:
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def require_known(connection: sa.Connection, *, head: str, migrations: Path, place: str) -> None:
    """Raises `errors.StorageUnavailable` for a schema that these migrations do not lead to."""
    found = version(connection)
    known = {script.revision for script in ScriptDirectory.from_config(_config(migrations)).walk_revisions()}
    if found not in known:
        raise errors.StorageUnavailable(
            f"{place} has schema {found!r}; the newest this version knows is {head!r}.",
            details="Run the version of Freddy that wrote it, or restore the backup that was made before.",
        )


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config


def _begin_by_hand(connection: sqlite3.Connection, _: object) -> None:
    # The driver would begin late, and commit before each change of the schema:
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    connection.isolation_level = None


def _take_lock(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _holds_data(connection: sa.Connection) -> bool:
    names = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
    tables = [sa.table(name) for name in sorted(names)]
    return any(connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) for table in tables)
