"""`freddy db`: looks at the database, backs it up, upgrades it, and moves it."""

import json
import os
import sqlite3
import stat
import subprocess
from contextlib import closing

import pytest

from databases import server
from freddy.server import cli
from freddy.server.stores.sql import schema
from freddy.server.stores.sql.claim import claimed


@pytest.fixture
def made(home, capsys):
    """A database with a key in it."""
    assert cli.run(["keys", "create", "app", "--organization", "org_a"]) == 0
    capsys.readouterr()
    return home / "freddy.db"


@pytest.fixture
def postgres():
    name = f"cli_{os.getpid()}"
    server().say(f"CREATE DATABASE {name}")
    yield server().url(name, password="hunter2")
    server().say(f"DROP DATABASE {name} WITH (FORCE)")


def keys(path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM api_keys")]


def test_the_status_says_where_the_database_is_and_what_schema_it_has(environment, capsys, home):
    assert cli.run(["db", "status"]) == 0
    assert "none: it is made at the first start" in capsys.readouterr().out
    assert not (home / "freddy.db").exists()
    assert cli.run(["db", "upgrade"]) == 0
    capsys.readouterr()
    assert cli.run(["db", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "database": str(home / "freddy.db"),
        "schema": schema.HEAD,
        "newest": schema.HEAD,
        "current": True,
    }


def test_a_backup_is_whole_and_its_owners_alone(made, tmp_path, capsys):
    target = tmp_path / "backup.db"
    with closing(sqlite3.connect(made, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")  # a server that writes is not waited for
        assert cli.run(["db", "backup", str(target)]) == 0
    told = capsys.readouterr()
    assert told.out == f"{target}\n"
    assert "secret_key" in told.err
    assert "files" in told.err
    assert keys(target) == ["app"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "home"]


def test_a_backup_overwrites_nothing_and_says_why_it_fails(made, tmp_path, capsys):
    (tmp_path / "there").write_text("mine")
    assert cli.run(["db", "backup", str(tmp_path / "there")]) == 2
    assert (tmp_path / "there").read_text() == "mine"
    assert cli.run(["db", "backup", str(tmp_path / "no" / "folder.db")]) == 1
    assert "could not be written" in capsys.readouterr().err


def test_an_old_database_is_upgraded_before_the_start(made, capsys):
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert cli.run(["db", "status"]) == 1
    assert cli.run(["db", "upgrade"]) == 1
    assert "9999" in capsys.readouterr().err


def test_everything_goes_to_postgresql_and_back(made, postgres, tmp_path, capsys, freddy):
    assert cli.run(["db", "copy", "--to", postgres]) == 0
    told = capsys.readouterr()
    assert " rows of " in told.out
    assert "hunter2" not in told.out + told.err
    listed = freddy("keys", "list", "--organization", "org_a", "--json", FREDDY_DATABASE=postgres)
    assert [key["name"] for key in json.loads(listed.stdout)] == ["app"]
    back = tmp_path / "back.db"
    assert cli.run(["db", "copy", "--from", postgres, "--to", str(back)]) == 0
    assert keys(back) == ["app"]
    assert cli.run(["db", "copy", "--from", str(back), "--to", postgres]) == 1
    assert "holds data" in capsys.readouterr().err


def test_a_copy_needs_two_databases_and_no_server(made, tmp_path, capsys):
    assert cli.run(["db", "copy", "--to", str(made)]) == 2
    assert cli.run(["db", "copy", "--from", str(tmp_path / "none.db"), "--to", str(tmp_path / "b.db")]) == 2
    assert cli.run(["db", "copy", "--to", "postgresql://ada:hunter2@h:port/x"]) == 2
    with claimed(made):
        assert cli.run(["db", "copy", "--to", str(tmp_path / "b.db")]) == 1
    told = capsys.readouterr().err
    assert "same database" in told
    assert "hunter2" not in told
    assert not (tmp_path / "b.db").exists()


def test_the_doctor_looks_at_postgresql_and_shows_no_password(postgres, freddy):
    def told(url: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        done = freddy("doctor", "--json", FREDDY_DATABASE=url, FREDDY_MODEL="none")
        (check,) = (one for one in json.loads(done.stdout)["checks"] if one["name"] == "database")
        assert "hunter2" not in done.stdout + done.stderr
        return done, check

    assert "will be made" in told(postgres)[1]["said"]
    assert freddy("db", "upgrade", FREDDY_DATABASE=postgres).returncode == 0
    assert told(postgres)[1]["verdict"] == "ok"
    _, away = told(postgres.replace("host=", "host=/nowhere"))
    assert away["verdict"] == "problem"
    assert "FREDDY_DATABASE" in away["cure"]


def test_a_backup_of_postgresql_is_left_to_its_own_tools(postgres, freddy, tmp_path):
    done = freddy("db", "backup", str(tmp_path / "x"), FREDDY_DATABASE=postgres)
    assert done.returncode == 2
    assert "pg_dump" in done.stderr
