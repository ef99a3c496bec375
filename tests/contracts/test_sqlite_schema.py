"""A database has the schema of this version, whatever it had before."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from contract_examples import ACME, begun
from migrations_to_come import COMING, break_migration

from freddy.server.core import errors
from freddy.server.stores.sql import schema, tables
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses


def migrated(path: Path) -> None:
    """Runs every migration on an empty file."""
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def described(path: Path) -> set[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master").fetchall()
    # SQLite writes a column that was added into the same line.
    return {(*what, " ".join(sql.split())) for *what, sql in found}


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    return connection


def test_the_migrations_make_the_schema_that_is_described(tmp_path: Path) -> None:
    migrated(tmp_path / "migrated.db")
    with closing(connect(tmp_path / "made.db")) as connection:
        schema.bring_up(connection, tmp_path / "made.db")
    assert described(tmp_path / "made.db") == described(tmp_path / "migrated.db")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'migrated.db'}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_the_newest_migration_is_known_by_name() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_alembic_is_not_imported_without_need(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from freddy.server.stores.sql.engine import Database\n"
        "async def main():\n"
        "    for _ in range(2):\n"
        "        async with Database(pathlib.Path(sys.argv[1])): pass\n"
        "asyncio.run(main())\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "freddy.db")], check=True, timeout=60)


async def test_an_old_database_is_migrated_and_a_copy_kept(tmp_path: Path, newer: Path) -> None:
    path = tmp_path / "freddy.db"
    response = begun("hello", thread_id="t")
    async with Database(path) as database:
        await SqlResponses(database).open(response)
    with closing(connect(path)) as connection:
        schema.bring_up(connection, path, head=COMING, migrations=newer)
        assert schema.version(connection) == COMING
        assert connection.execute("SELECT id, colour FROM threads").fetchall() == [("t", None)]
    async with Database(tmp_path / f"freddy.db.{schema.HEAD}.backup") as backup:
        assert await SqlResponses(backup).get(ACME, response.id) == response


async def test_an_old_database_without_data_is_not_copied(tmp_path: Path, newer: Path) -> None:
    path = tmp_path / "freddy.db"
    async with Database(path):
        pass
    with closing(connect(path)) as connection:
        schema.bring_up(connection, path, head=COMING, migrations=newer)
    assert not [name for name in os.listdir(tmp_path) if "backup" in name]


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path, newer: Path) -> None:
    path = tmp_path / "freddy.db"
    async with Database(path) as database:
        await SqlResponses(database).open(begun("hello"))
    before = described(path)
    break_migration(newer)
    with closing(connect(path)) as connection:
        with pytest.raises(RuntimeError, match="no"):
            schema.bring_up(connection, path, head=COMING, migrations=newer)
        assert schema.version(connection) == schema.HEAD
    assert described(path) == before
    async with Database(path) as database:
        await SqlResponses(database).open(begun("again"))


async def test_several_may_migrate_at_once(tmp_path: Path, newer: Path) -> None:
    path = tmp_path / "freddy.db"
    async with Database(path) as database:
        await SqlResponses(database).open(begun("hello"))

    def migrate() -> str | None:
        with closing(connect(path)) as connection:
            schema.bring_up(connection, path, head=COMING, migrations=newer)
            return schema.version(connection)

    assert await asyncio.gather(*(asyncio.to_thread(migrate) for _ in range(3))) == [COMING] * 3


async def test_several_may_make_a_database_at_once(tmp_path: Path) -> None:
    path = tmp_path / "freddy.db"

    async def use() -> None:
        async with Database(path) as database:
            await SqlResponses(database).open(begun("hello"))

    await asyncio.gather(*(use() for _ in range(8)))


async def test_a_database_that_another_is_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "freddy.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # SQLite gives up at once where this meets a change of the journal's mode

        async def use() -> None:
            async with Database(path) as database:
                await SqlResponses(database).open(begun("hello"))

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            using = tasks.create_task(use())
            await asyncio.sleep(0.1)
            assert not using.done()
            other.execute("COMMIT")


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "freddy.db"
    async with Database(path):
        pass
    with closing(connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(errors.StorageUnavailable, match="9999") as refused:
        async with Database(path):
            pass
    assert "Run the version of Freddy that wrote it" in (refused.value.details or "")


async def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (word TEXT)")
    with pytest.raises(errors.StorageUnavailable, match="another program"):
        async with Database(path):
            pass


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Buy milk and bread on the way home. " * 100)
    with pytest.raises(errors.StorageUnavailable, match="not an SQLite database"):
        async with Database(path):
            pass


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.StorageUnavailable, match="file/freddy"):
        async with Database(tmp_path / "file" / "freddy.db"):
            pass
