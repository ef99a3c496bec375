"""Runs migrations with Alembic, on a copy kept beforehand."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from freddy.server.core import errors


def upgrade(path: Path, *, head: str, migrations: Path) -> None:
    """Brings a database to `head` in one transaction, which holds the write lock from its first look on."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", _begin_by_hand)
    sa.event.listen(engine, "begin", _take_lock)
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with engine.begin() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if found == head:  # another process was faster
            return
        _require_known(found, config, path=path, head=head)
        if _holds_data(connection):
            _back_up(path, found)
        config.attributes["connection"] = connection
        command.upgrade(config, head)


def _begin_by_hand(connection: sqlite3.Connection, _: object) -> None:
    # The driver would begin late, and commit before each change of the schema:
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    connection.isolation_level = None


def _take_lock(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _require_known(found: str | None, config: Config, *, path: Path, head: str) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found not in known:
        raise errors.StorageUnavailable(
            f"The database {str(path)!r} has schema {found!r}; the newest this version knows is {head!r}.",
            details="Run the version of Freddy that wrote it, or restore the backup that was made before.",
        )


def _holds_data(connection: sa.Connection) -> bool:
    names = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
    tables = [sa.table(name) for name in sorted(names)]
    return any(connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) for table in tables)


def _back_up(path: Path, found: str | None) -> None:
    """Beside the database, as `<name>.<version>.backup`; whole or not at all."""
    target = path.with_name(f"{path.name}.{found}.backup")
    half = target.with_name(f"{target.name}.part")
    half.unlink(missing_ok=True)
    os.close(os.open(half, os.O_CREAT | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(half),))
    half.replace(target)
