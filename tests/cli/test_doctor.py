"""`freddy doctor`: what is set, what is there and what is missing."""

import json
import socket
import sqlite3
import stat
from contextlib import closing

import pytest

from freddy.server import cli


@pytest.fixture
def doctor(environment, monkeypatch, capsys):
    """Runs the command in this process: the exit code, the settings by name, the checks by name."""

    def run(*arguments: str, **variables: str) -> tuple[int, dict[str, dict], dict[str, dict]]:
        # Without the embedded engine, whose trial takes a second.
        defaults = {"FREDDY_MODEL": "none", "FREDDY_PORT": "0"}
        for name, text in {**defaults, **variables}.items():
            monkeypatch.setenv(name, text)
        code = cli.run(["doctor", "--json", *arguments])
        told = json.loads(capsys.readouterr().out)
        return (
            code,
            {row["name"]: row for row in told["settings"]},
            {check["name"]: check for check in told["checks"]},
        )

    return run


def test_a_fresh_machine_is_told_what_it_has_as_text(freddy):
    done = freddy("doctor", FREDDY_PORT="0", FREDDY_UPSTREAM_URL="")
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert any(line.split()[:3] == ["server.host", "127.0.0.1", "default"] for line in lines)
    assert any(line.split()[:3] == ["server.port", "0", "FREDDY_PORT"] for line in lines)
    for name in (
        "python",
        "platform",
        "memory",
        "home",
        "disk",
        "database",
        "port",
        "processor",
        "engine",
        "model",
    ):
        assert any(f"  {name}: " in line for line in lines), name


def test_each_value_has_the_place_it_came_from_and_secrets_are_masked(doctor, tmp_path):
    file = tmp_path / "freddy.toml"
    file.write_text('[log]\nlevel = "debug"\n[[upstream]]\nname = "a"\nurl = "http://127.0.0.1:1"\nkey = "hush"\n')
    _, settings, checks = doctor(FREDDY_DEV_API_KEY="hush", FREDDY_INDEX_URL="http://ada:hush@index.test")
    assert settings["log.level"] == {
        "name": "log.level",
        "value": "debug",
        "origin": str(file),
        "variable": "FREDDY_LOG_LEVEL",
    }
    assert (settings["dev.api_key"]["value"], settings["dev.api_key"]["origin"]) == (
        "***",
        "FREDDY_DEV_API_KEY",
    )
    assert settings["model.index_url"]["value"] == "http://***@index.test"
    assert settings["upstream.a"]["value"] == "http://127.0.0.1:1 (with a key; *)"
    assert "hush" not in json.dumps([settings, checks])


def test_a_list_is_told_with_commas_and_an_empty_one_as_nothing(doctor, tmp_path):
    _, settings, _ = doctor()
    assert settings["network.allow_private"]["value"] == "-"
    file = tmp_path / "freddy.toml"
    file.write_text('[network]\nallow_private = ["10.0.0.0/8", "mcp.internal"]\n')
    _, settings, _ = doctor("--config", str(file))
    assert settings["network.allow_private"]["value"] == "10.0.0.0/8, mcp.internal"


def test_a_settings_file_with_a_key_that_others_may_read_is_warned_of(doctor, tmp_path):
    file = tmp_path / "freddy.toml"
    file.write_text('[dev]\napi_key = "hush"\n')
    file.chmod(stat.S_IRUSR | stat.S_IRGRP)
    assert "chmod 600" in doctor()[2]["settings"]["cure"]
    file.chmod(stat.S_IRUSR)
    assert doctor()[2]["settings"]["verdict"] == "ok"


def test_wrong_settings_are_problems_with_the_rest_still_looked_at(doctor):
    code, settings, checks = doctor(FREDDY_PORT="x")
    assert (code, settings) == (1, {})
    assert checks["settings"]["verdict"] == "problem"
    assert "FREDDY_PORT" in checks["settings"]["said"]
    assert checks["python"]["verdict"] == "ok"


def test_no_model_at_all_is_a_problem(doctor):
    code, _, checks = doctor()
    assert code == 1
    assert checks["models"]["verdict"] == "problem"


def test_an_upstream_that_answers_is_well_and_one_that_does_not_is_a_problem(doctor, script):
    code, _, checks = doctor(FREDDY_UPSTREAM_URL=f"{script.url}/v1")
    assert (code, checks["upstream upstream"]["verdict"]) == (0, "ok")
    code, _, checks = doctor(FREDDY_UPSTREAM_URL="http://127.0.0.1:1/v1")
    assert (code, checks["upstream upstream"]["verdict"]) == (1, "problem")


def test_a_port_that_a_running_freddy_holds_is_well(doctor, script):
    _, _, checks = doctor(FREDDY_PORT=script.url.rpartition(":")[2])
    assert checks["port"]["said"].endswith("is held by a running Freddy")


def test_a_port_that_another_program_holds_is_a_problem(doctor):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as holder:
        holder.listen(1)
        _, _, checks = doctor(FREDDY_PORT=str(holder.getsockname()[1]))
    assert checks["port"]["verdict"] == "problem"
    assert "FREDDY_PORT" in checks["port"]["cure"]


def test_a_database_of_another_program_is_a_problem_and_is_left_alone(doctor, home):
    with closing(sqlite3.connect(home / "freddy.db")) as connection:
        connection.execute("CREATE TABLE cats (name)")
    before = (home / "freddy.db").read_bytes()
    _, _, checks = doctor()
    assert checks["database"]["verdict"] == "problem"
    assert (home / "freddy.db").read_bytes() == before


def test_a_file_that_is_no_database_is_a_problem(doctor, home):
    (home / "freddy.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    assert doctor()[2]["database"]["verdict"] == "problem"


def test_our_own_database_is_well(doctor, capsys):
    cli.run(["keys", "create"])
    capsys.readouterr()
    assert "schema" in doctor()[2]["database"]["said"]
    assert doctor()[2]["database"]["verdict"] == "ok"


def test_a_home_that_is_a_file_is_a_problem(doctor, tmp_path):
    (tmp_path / "file").write_text("")
    _, _, checks = doctor(FREDDY_HOME=str(tmp_path / "file"))
    assert checks["home"]["verdict"] == "problem"


def test_an_unknown_variable_is_a_warning(doctor):
    _, _, checks = doctor(FREDDY_PROT="1")
    assert checks["settings"]["verdict"] == "warning"
    assert "FREDDY_PROT" in checks["settings"]["said"]
