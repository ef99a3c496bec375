"""`freddy users` and `freddy organizations`: passwords and secrets come and go by pipes, and changes are told."""

import json
from pathlib import Path

import pytest

PASSWORD = "correct horse battery"


@pytest.fixture
def owner(freddy):
    done = freddy("users", "create", "Ann@Example.com", "--owner", "--name", "Ann", "--json", stdin=f"{PASSWORD}\n")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_the_first_user_owns_the_default_organization(owner, freddy, environment):
    assert (owner["email"], owner["name"], owner["active"]) == ("ann@example.com", "Ann", True)
    assert owner["roles"] == {"org_default": "owner"}
    assert "ann@example.com  org_default:owner" in freddy("users", "list").stdout
    for file in Path(environment["FREDDY_HOME"]).rglob("*"):
        assert not (file.is_file() and PASSWORD.encode() in file.read_bytes())
    again = freddy("users", "create", "ann@example.com", stdin=f"{PASSWORD}\n")
    assert again.returncode == 1
    assert "There is a user 'ann@example.com' already" in again.stderr
    short = freddy("users", "create", "bob@example.com", stdin="short\n")
    assert short.returncode == 1
    assert "10 to 1024 characters" in short.stderr


def test_users_get_roles_secrets_and_an_end(owner, freddy):
    made = freddy("users", "create", "bob@example.com", "--role", "viewer", "--json", stdin=f"{PASSWORD}\n")
    assert json.loads(made.stdout)["roles"] == {"org_default": "viewer"}
    assert freddy("users", "role", "bob@example.com", "admin").stdout == "bob@example.com is admin of org_default\n"
    last = freddy("users", "role", owner["id"], "member")
    assert last.returncode == 1
    assert "last owner" in last.stderr
    assert freddy("users", "invite", "eve@example.com").stdout.startswith("inv-frdy-")
    assert freddy("users", "reset", "bob@example.com").stdout.startswith("reset-frdy-usr_")
    assert freddy("users", "deactivate", "bob@example.com").returncode == 0
    listed = {one["email"]: one for one in json.loads(freddy("users", "list", "--json").stdout)}
    assert not listed["bob@example.com"]["active"]
    assert freddy("users", "activate", "bob@example.com").returncode == 0
    assert "no user 'nobody@example.com'" in freddy("users", "reset", "nobody@example.com").stderr


def test_organizations_are_made_limited_deleted_restored_and_purged(owner, freddy):
    made = json.loads(freddy("organizations", "create", "Acme", "--json").stdout)
    limit = freddy(
        "organizations", "limit", made["id"], "--requests-per-minute", "600", "--monthly-budget", "9.5", "--json"
    )
    assert json.loads(limit.stdout)["limits"] == {"requests_per_minute": 600, "monthly_budget": 9.5}
    less = freddy("organizations", "limit", made["id"], "--monthly-budget", "none", "--json")
    assert json.loads(less.stdout)["limits"] == {"requests_per_minute": 600}
    assert freddy("organizations", "limit", made["id"], "--concurrent-runs", "many").returncode == 2
    assert freddy("organizations", "limit", made["id"], "--concurrent-runs", "0").returncode == 1
    assert freddy("organizations", "purge", made["id"]).returncode == 2
    assert freddy("organizations", "delete", made["id"]).returncode == 0
    assert freddy("organizations", "restore", made["id"]).stdout == f"{made['id']} (Acme) is back\n"
    assert freddy("organizations", "delete", made["id"]).returncode == 0
    assert "deleted" in freddy("organizations", "list").stdout
    assert freddy("organizations", "purge", made["id"]).returncode == 0
    assert [one["id"] for one in json.loads(freddy("organizations", "list", "--json").stdout)] == ["org_default"]
    assert freddy("organizations", "delete", "org_none").returncode == 1
