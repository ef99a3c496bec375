"""Starts the server of this checkout as a process of its own, and reads what it uses."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
FREDDY = [sys.executable, "-m", "freddy"]


@dataclass
class Running:
    """`ready_seconds` is from the start of the process to the first answer of /health/ready."""

    url: str
    pid: int
    ready_seconds: float

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")


@contextlib.contextmanager
def serving(home: Path, **settings: str) -> Iterator[Running]:
    environment = {**os.environ, "FREDDY_HOME": str(home), "FREDDY_PORT": str(free_port()), **settings}
    began = time.monotonic()
    process = subprocess.Popen(
        [*FREDDY, "serve"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        if url is None:
            raise RuntimeError(process.communicate()[1])
        wait_ok(f"{url[0]}/health/ready")
        yield Running(url[0], process.pid, time.monotonic() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def wait_ok(url: str) -> None:
    for _ in range(3000):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.01)
    raise TimeoutError(url)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def make_key(home: Path, **settings: str) -> str:
    environment = {**os.environ, "FREDDY_HOME": str(home), **settings}
    made = subprocess.run(
        [*FREDDY, "keys", "create", "bench"], env=environment, capture_output=True, text=True, check=True
    )
    return made.stdout.strip()


def tree(pid: int) -> list[int]:
    """The process and all that came of it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def cpu_seconds(pid: int) -> float:
    used = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            used += sum(int(ticks) for ticks in Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:13])
    return used / TICKS


def memory_mb(pid: int) -> float:
    """The memory that would be free without it: shared pages count in part."""
    used = 0.0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            pss = re.search(r"Pss:\s+(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text())
            used += int(pss[1]) / 1024 if pss else 0
    return used


def busy_seconds() -> float:
    """CPU time that the whole machine has used."""
    ticks = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS
