"""Backups that are put back as the documentation says: everything that was in them is there, sealed secrets too."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from databases import _PROGRAMS, PostgresServer, postgres_server
from freddy_process import BOUND, Served, environment, serving
from freddy_upstream import Upstream


def filled(server: Served) -> dict[str, Any]:
    """What is kept, by the path that tells it."""
    with server.client() as client:
        asked = {"inputs": "Hi", "model": "m", "thread": "trip"}
        told = [client.post("/v1/model/response", json=asked).json() for _ in range(3)]
        file = client.post("/v1/files", files={"file": ("a.txt", b"Foxes.")}, data={"purpose": "assistants"}).json()
        paths = [f"/v1/model/response/{one['id']}" for one in told] + ["/v1/threads/trip/messages"]
        return {path: client.get(path).json() for path in paths} | {f"/v1/files/{file['id']}/content": b"Foxes."}


def check(server: Served, kept: dict[str, Any]) -> None:
    with server.client() as client:
        for path, told in kept.items():
            answer = client.get(path)
            assert (answer.content if isinstance(told, bytes) else answer.json()) == told, path
        assert client.post("/v1/model/response", json={"inputs": "Hi", "model": "m"}).status_code == 200


def freddy(home: Path, *words: str, stdin: str = "", **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "freddy", *words],
        env=environment(home, **variables),
        input=stdin,
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * BOUND,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_backup_of_sqlite_is_put_back_with_the_files_and_the_secret_key(tmp_path: Path):
    home, new = tmp_path / "home", tmp_path / "new"
    new.mkdir()
    with Upstream() as upstream:
        variables = {"FREDDY_UPSTREAM_URL": upstream.url}
        with serving(home, **variables) as server:
            freddy(home, "providers", "set", "upstream", stdin="sk-of-our-own\n", **variables)
            kept = filled(server)
            freddy(home, "db", "backup", str(new / "freddy.db"), **variables)
            for name in ("files", "secret_key", "dev_key"):
                whole = home / name
                shutil.copytree(whole, new / name) if whole.is_dir() else shutil.copy(whole, new / name)
            with server.client() as client:
                later = client.post("/v1/model/response", json={"inputs": "Hi", "model": "m"}).json()["id"]
        with serving(new, **variables) as server:
            check(server, kept)
            with server.client() as client:
                assert client.get(f"/v1/model/response/{later}").status_code == 404
        assert "upstream" in freddy(new, "providers", "list", **variables)


def test_a_dump_of_postgresql_is_put_back(tmp_path: Path):
    with Upstream() as upstream, postgres_server() as postgres:
        variables = {"FREDDY_DATABASE": postgres.url(), "FREDDY_UPSTREAM_URL": upstream.url}
        with serving(tmp_path / "home", **variables) as server:
            kept = filled(server)
            dump = postgres.folder / "freddy.dump"
            run(postgres, "pg_dump", "--format=custom", f"--file={dump}", "postgres")
        postgres.say("CREATE DATABASE restored")
        run(postgres, "pg_restore", "--exit-on-error", "--dbname=restored", str(dump))
        with serving(tmp_path / "home", **variables | {"FREDDY_DATABASE": postgres.url("restored")}) as server:
            check(server, kept)


def run(postgres: PostgresServer, program: str, *words: str) -> None:
    asked = [_PROGRAMS / program, f"--host={postgres.folder}", "--username=freddy", *words]
    as_it: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        as_it = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=2 * BOUND, cwd="/", **as_it)
    assert done.returncode == 0, done.stderr
