"""`freddy providers`: keys come from a prompt or a pipe, and nothing shows them."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from freddy.server import cli

SECRET = "sk-vendor-0123456789-wxyz"


@pytest.fixture
def place(environment, tmp_path, monkeypatch):
    """A server's settings with an upstream and an organization."""
    (tmp_path / "freddy.toml").write_text('[[upstream]]\nname = "openai"\nurl = "http://127.0.0.1:9/v1"\n')
    assert cli.run(["keys", "create", "app", "--organization", "org_a"]) == 0
    return Path(environment["FREDDY_HOME"])


def test_a_key_is_brought_listed_and_removed(place, freddy):
    done = freddy("providers", "set", "openai", stdin=f"{SECRET}\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "org_a uses its own key …wxyz for openai\n", "")
    listed = freddy("providers", "list", "--json")
    (told,) = json.loads(listed.stdout)
    assert (told["upstream"], told["organization_id"], told["hint"], told["opens"]) == (
        "openai",
        "org_a",
        "…wxyz",
        True,
    )
    assert freddy("providers", "list").stdout.startswith("openai                …wxyz  20")
    for file in place.rglob("*"):
        assert not (file.is_file() and SECRET.encode() in file.read_bytes())
    assert freddy("providers", "rm", "openai").returncode == 0
    again = freddy("providers", "rm", "openai")
    assert again.returncode == 2
    assert "no key of its own for the upstream 'openai'" in again.stderr
    assert "Bring one with: freddy providers set UPSTREAM" in freddy("providers", "list").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_person_is_asked_at_a_prompt_that_shows_nothing(place, environment, tmp_path):
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "freddy", "providers", "set", "openai"]
    with subprocess.Popen(
        command,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment,
        cwd=tmp_path,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        shown = b""
        while b"Key for openai: " not in shown:
            shown += os.read(controller, 1024)
        os.write(controller, f"{SECRET}\n".encode())
        told, _ = process.communicate(timeout=30)
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        shown += os.read(controller, 1024)
    os.close(controller)
    assert process.returncode == 0
    assert "…wxyz" in told.decode()
    assert SECRET.encode() not in shown


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (["set", "opena"], SECRET, 2, "There is no upstream 'opena': there are: openai"),
        (["set", "openai"], "", 2, "stdin is empty"),
        (["set", "openai"], "two words", 2, "key must be ASCII characters without spaces"),
        (["set", "openai"], "k" * 5000, 2, "key must be at most 4096 characters long"),
        (["set", "openai", "--organization", "org_x"], SECRET, 2, "there is no organization 'org_x'; there are: org_a"),
        (["set", "openai", SECRET], "", 2, "unrecognized arguments"),
        (["rm", "gone"], None, 2, "There is no upstream 'gone'"),
    ],
)
def test_wrong_use_says_what_would_be_right(place, freddy, arguments, stdin, code, said):
    done = freddy("providers", *arguments, stdin=stdin)
    assert done.returncode == code
    assert said in done.stderr


def test_with_several_organizations_one_is_named(place, freddy):
    cli.run(["keys", "create", "b", "--organization", "org_b"])
    done = freddy("providers", "set", "openai", stdin=SECRET)
    assert (done.returncode, "--organization: org_a, org_b" in done.stderr) == (2, True)
    assert freddy("providers", "set", "openai", "--organization", "org_b", stdin=SECRET).returncode == 0
    assert json.loads(freddy("providers", "list", "--organization", "org_a", "--json").stdout) == []


def test_the_secret_key_is_changed_without_losing_a_key(place, freddy):
    old, new = "o" * 40, "n" * 40
    assert freddy("providers", "set", "openai", stdin=SECRET, FREDDY_SECRET_KEY=old).returncode == 0
    assert not (place / "secret_key").exists()
    wrong = freddy("providers", "reseal", FREDDY_SECRET_KEY=new)
    assert wrong.returncode == 1
    assert "the key of org_a for openai cannot be opened" in wrong.stderr
    assert "cannot be opened" in freddy("providers", "list", FREDDY_SECRET_KEY=new).stdout
    done = freddy("providers", "reseal", FREDDY_SECRET_KEY=f"{new},{old}")
    assert (done.returncode, done.stdout) == (0, "1 sealed with the first secret key\n")
    assert "cannot" not in freddy("providers", "list", FREDDY_SECRET_KEY=new).stdout
    assert json.loads(freddy("providers", "list", "--json", FREDDY_SECRET_KEY=old).stdout)[0]["opens"] is False


@pytest.mark.parametrize("given", ["short", "o" * 40 + ",", "o" * 40 + ",short", "schlüssel" * 5])
def test_a_weak_secret_key_is_refused_and_not_shown(place, freddy, given):
    done = freddy("providers", "list", FREDDY_SECRET_KEY=given)
    assert done.returncode == 2
    assert done.stderr.startswith("freddy: FREDDY_SECRET_KEY must be random keys of at least 32 characters")
    assert given not in done.stderr
