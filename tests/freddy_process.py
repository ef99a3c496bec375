"""The server as a user runs it: in a process of its own, with a home folder of its own."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

BOUND = 30.0
"""Seconds that anything may take before it counts as never."""
KEPT = frozenset({"PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "PYTHONPATH"})


class Served:
    """A server that has said where it listens. `key` is its development key, empty outside that mode."""

    def __init__(self, process: subprocess.Popen[bytes], greeting: str, home: Path, log: Path) -> None:
        self.process = process
        self.home = home
        self.greeting = greeting
        self.port = int(re.search(r"http://\S+?:(\d+)", greeting).group(1))
        self.url = f"http://127.0.0.1:{self.port}"
        found = re.search(r"^ +key +(\S+)$", greeting, re.M)
        self.key = found.group(1) if found else ""
        self._log = log

    def client(self, key: str | None = None) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers=_credential(key or self.key), timeout=BOUND, limits=_MANY)

    def asynchronous(self, key: str | None = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers=_credential(key or self.key), timeout=BOUND, limits=_MANY)

    def said(self) -> str:
        """What it wrote to stderr until now."""
        return self._log.read_text()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said().splitlines()]

    def children(self) -> list[int]:
        """The processes that it started: the embedded engine."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_closed(self) -> None:
        """Until nobody can connect any more."""
        wait_until(lambda: not _connects(self.port))

    def wait_ended(self) -> int:
        return self.process.wait(BOUND)

    def kill(self) -> None:
        """As a power cut does."""
        self.process.kill()
        self.process.wait(BOUND)


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), BOUND).close()
    except ConnectionError:
        return False
    return True


_MANY = httpx2.Limits(max_connections=None, max_keepalive_connections=None)


def _credential(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


def environment(home: Path, **variables: str) -> dict[str, str]:
    """A user's with nothing set but what is named. No model, no download, any free port."""
    ours = os.environ  # noqa: TID251 (what the process under test will read)
    temporary = home.with_name(home.name + "-tmp")
    temporary.mkdir(exist_ok=True)
    return {
        **{name: value for name, value in ours.items() if name in KEPT},
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "FREDDY_HOME": str(home),
        "PYTHONFAULTHANDLER": "1",
        "FREDDY_PORT": "0",
        "FREDDY_PULL": "off",
        "FREDDY_MODEL": "none",
        **variables,
    }


@contextmanager
def serving(home: Path, **variables: str) -> Iterator[Served]:
    """Runs it until the context ends: then it is stopped as an operator stops it, if it still runs."""
    with running(home, "serve", **variables) as (process, told, log):
        yield Served(process, told, home, log)


@contextmanager
def running(home: Path, command: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """The same of any command that stays: the process, its greeting, and where it writes its log."""
    home.mkdir(parents=True, exist_ok=True)
    log = home.with_name(home.name + ".log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "freddy", command],
            env=environment(home, **variables),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with process:
        try:
            yield process, greeting(process, log), log
            if process.poll() is None:
                _stop(process, log)
        finally:
            if process.poll() is None:
                process.kill()


def _stop(process: subprocess.Popen[bytes], log: Path) -> None:
    process.terminate()
    try:
        process.wait(BOUND)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # it writes where it stands
        process.wait(BOUND)
        raise AssertionError(f"it did not stop: {log.read_text()[-8000:]}") from None


def refused(home: Path, *, command: str = "serve", **variables: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a server, or a worker, that does not start."""
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "freddy", command],
        env=environment(home, **variables),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def wait_until(condition: Callable[[], bool]) -> None:
    """For what can only be looked at from outside."""
    until = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < until, "it never came about"
        select.select([], [], [], 0.01)


def alive(pid: int) -> bool:
    """Whether it runs: what ended and was not waited for by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def stream_events(text: str) -> list[dict[str, Any]]:
    """The data of every event in a stream's text."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def greeting(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout
    said = b""
    while not said.endswith(b"\n\n"):
        ready, _, _ = select.select([process.stdout], [], [], BOUND)
        piece = os.read(process.stdout.fileno(), 4096) if ready else b""
        assert piece, f"it did not start: {log.read_text()}"
        said += piece
    return said.decode()


def share_models(home: Path, places: pytest.TempPathFactory) -> None:
    """Gives a home the models folder of the whole test run, so that the floor model is made ready only once."""
    shared = places.getbasetemp() / "shared-models"
    shared.mkdir(exist_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(shared, target_is_directory=True)
