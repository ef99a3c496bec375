"""The command line as a whole, and the commands that need no server."""

import json
import os
import stat
import subprocess
import sys

import pytest

from freddy.server import cli
from freddy.server.accounts import development

COMMANDS = ["serve", "ask", "keys", "providers", "models", "db", "doctor"]


def test_without_a_command_the_help_teaches_each_one(environment, capsys):
    assert cli.run([]) == 0
    told = capsys.readouterr().out
    assert all(f"freddy {command}" in told for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_with_examples(environment, capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.run([command, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  freddy {command}" in capsys.readouterr().out


def test_the_version_is_told(freddy):
    done = freddy("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("freddy 0.")


def test_the_help_loads_neither_the_server_nor_the_client():
    heavy = ("msgspec", "httpx2", "rich", "uvicorn", "sqlalchemy", "asyncio", "importlib.metadata")
    text = f"import sys, freddy.__main__; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [["serve"], ["keys", "list"], ["models", "list"], ["doctor"]])
def test_without_the_servers_packages_a_command_says_how_to_get_them(environment, command):
    text = f"import sys; sys.modules['msgspec'] = None; from freddy.server import cli; sys.exit(cli.run({command!r}))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "pip install 'freddy-gateway[server,embedded]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ask_works_without_the_servers_packages(script, environment):
    text = "import sys; sys.modules['msgspec'] = None; from freddy.server import cli; sys.exit(cli.run(['ask', 'hi']))"
    done = subprocess.run(
        [sys.executable, "-c", text],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**environment, "FREDDY_BASE_URL": script.url},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello there\n", "")


def test_wrong_settings_are_told_line_by_line_and_nothing_starts(environment, monkeypatch, capsys):
    monkeypatch.setenv("FREDDY_PORT", "x")
    monkeypatch.setenv("FREDDY_PULL", "y")
    assert cli.run(["serve"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "freddy: FREDDY_PORT must be a whole number from 0 to 65535, not 'x'",
        "freddy: FREDDY_PULL must be true or false, not 'y'",
    ]


def test_serve_passes_its_flags_on_as_settings(environment, capsys):
    assert cli.run(["serve", "--port", "-1", "--log-level", "loud"]) == 2
    told = capsys.readouterr().err
    assert "--port must be a whole number from 0 to 65535, not '-1'" in told
    assert "--log-level must be one of debug, info, warning, error" in told or "--level" in told


def test_models_are_listed_with_what_to_expect_of_them(environment, capsys):
    assert cli.run(["models", "list", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["qwen2.5-coder-0.5b"]["present"] is False
    assert "smoke-test" in listed["smollm2-135m"]["note"]
    assert cli.run(["models", "list"]) == 0
    assert "not here" in capsys.readouterr().out


def test_an_unknown_model_cannot_be_pulled_and_an_absent_one_not_removed(environment, capsys):
    assert cli.run(["models", "pull", "gpt-9"]) == 2
    assert "qwen2.5-coder-0.5b" in capsys.readouterr().err
    assert cli.run(["models", "rm", "qwen2.5-coder-0.5b"]) == 1
    assert capsys.readouterr().err.startswith("freddy: nothing of")


def test_a_model_cannot_be_pulled_from_a_wrong_file(environment, capsys, tmp_path):
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF")
    assert cli.run(["models", "pull", "--from", str(wrong)]) == 1
    assert "sha256" in capsys.readouterr().err


def test_a_key_is_made_listed_and_revoked(environment, capsys):
    assert cli.run(["keys", "create", "app", "--expires", "30d", "--scopes", "responses:read"]) == 0
    made = capsys.readouterr()
    secret = made.out.strip()
    assert secret.startswith("sk-frdy-")
    assert secret not in made.err
    assert cli.run(["keys", "list", "--json"]) == 0
    told = capsys.readouterr().out
    assert secret not in told
    (key,) = json.loads(told)
    assert (key["name"], key["scopes"], key["revoked_at"]) == ("app", ["responses:read"], None)
    assert key["expires_at"] - key["created_at"] == pytest.approx(30 * 86400, abs=2)
    assert cli.run(["keys", "list"]) == 0
    assert f"{key['id']}  {key['prefix']}…  until 20" in capsys.readouterr().out
    assert cli.run(["keys", "revoke", secret]) == 0
    assert secret not in capsys.readouterr().out
    cli.run(["keys", "list"])
    assert "revoked" in capsys.readouterr().out


def test_keys_belong_to_the_organization_that_is_named(environment, capsys):
    cli.run(["keys", "create", "a", "--organization", "org_a"])
    cli.run(["keys", "create", "b", "--organization", "org_b"])
    capsys.readouterr()
    cli.run(["keys", "list", "--organization", "org_b", "--json"])
    assert [key["name"] for key in json.loads(capsys.readouterr().out)] == ["b"]
    assert cli.run(["keys", "create", "c"]) == 2
    assert "--organization: org_a, org_b" in capsys.readouterr().err


def test_beside_development_mode_a_key_belongs_to_the_organization_of_the_mode(environment, capsys):
    for organization in development.ORGANIZATIONS:
        cli.run(["keys", "create", "--organization", organization])
    capsys.readouterr()
    assert cli.run(["keys", "create", "app", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["organization_ids"] == [development.ORGANIZATIONS[0]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["create", "--expires", "soon"],
            "--expires is a number with m, h, d, w or y, such as 30d, not 'soon'",
        ),
        (["create", "--scopes", "everything"], "not everything"),
        (["create", ""], "a key's name is a text"),
        (["create", "my\x1b[31mapp"], "without control characters"),
        (["revoke", "key_gone"], "there is no key 'key_gone'; see: freddy keys list"),
    ],
)
def test_wrong_use_of_keys_says_what_would_be_right(environment, capsys, arguments, said):
    assert cli.run(["keys", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_the_database_of_keys_is_its_owners_alone(environment, capsys):
    cli.run(["keys", "create"])
    place = os.path.join(environment["FREDDY_HOME"], "freddy.db")
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
