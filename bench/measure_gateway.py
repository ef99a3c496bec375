"""The cost of the gateway: load on it, and the same load straight on its upstream."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import server

QUESTION = "Explain photosynthesis in one paragraph."
CONNECTIONS = (1, 16, 64)


@dataclass
class Target:
    name: str
    path: str
    body: dict[str, object]


TARGETS = (
    Target("responses", "/v1/responses", {"input": QUESTION}),
    Target("responses, not kept", "/v1/responses", {"input": QUESTION, "store": False}),
    Target("freddy", "/v1/model/response", {"inputs": [{"role": "user", "texts": [{"text": QUESTION}]}]}),
)
DIRECT = Target("upstream alone", "/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}]})


def run(tools: Path, folder: Path, *, seconds: float) -> None:
    print("\ngateway: one process, key checked, upstream on this machine")
    print(f"{'':30}{'at once':>8}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>8}{'of direct':>11}{'others':>8}")
    home = folder / "gateway"
    home.mkdir()
    with upstream(tools) as address:
        direct: dict[tuple[bool, int], float] = {}
        for stream in (False, True):
            for connections in CONNECTIONS:
                row = load(tools, address, DIRECT, stream, connections, seconds, None, None)
                direct[stream, connections] = row["rps"]
                show(DIRECT, stream, row, None)
        key = server.make_key(home)
        settings = {
            "FREDDY_DEV_MODE": "off",
            "FREDDY_MODEL": "none",
            "FREDDY_UPSTREAM_URL": f"http://{address}/v1",
            "FREDDY_LOG_LEVEL": "warning",
        }
        with server.serving(home, **settings) as freddy:
            for target in TARGETS:
                for stream in (False, True):
                    for connections in CONNECTIONS:
                        load(tools, freddy.address, target, stream, connections, 1, key, None)
                        row = load(tools, freddy.address, target, stream, connections, seconds, key, freddy.pid)
                        show(target, stream, row, direct[stream, connections])


@contextlib.contextmanager
def upstream(tools: Path) -> Iterator[str]:
    port = server.free_port()
    process = subprocess.Popen([str(tools / "mock"), str(port), "100"], stderr=subprocess.DEVNULL)
    try:
        server.wait_ok(f"http://127.0.0.1:{port}/health")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def load(
    tools: Path,
    address: str,
    target: Target,
    stream: bool,  # noqa: FBT001
    connections: int,
    seconds: float,
    key: str | None,
    pid: int | None,
) -> dict[str, float]:
    asking = command(tools, address, target, stream, connections, seconds, key)
    used = server.cpu_seconds(pid) if pid else 0.0
    busy, own, began = server.busy_seconds(), os.times(), time.monotonic()
    row: dict[str, float] = json.loads(subprocess.run(asking, capture_output=True, text=True, check=True).stdout)
    spent = (server.cpu_seconds(pid) if pid else 0.0) - used
    children = os.times().children_user + os.times().children_system - own.children_user - own.children_system
    row["others"] = (server.busy_seconds() - busy - spent - children) / (time.monotonic() - began)
    row["cpu_ms"] = spent * 1000 / max(1.0, row["ok"])
    if row["bad"]:
        raise RuntimeError(f"{target.name}: {row['bad']:.0f} bad answers: {row['first_bad']}")
    return row


def command(
    tools: Path,
    address: str,
    target: Target,
    stream: bool,  # noqa: FBT001
    connections: int,
    seconds: float,
    key: str | None,
) -> list[str]:
    body = json.dumps({"model": "mock", "stream": stream, **target.body})
    told = [str(tools / "loadgen"), "-a", address, "-p", target.path, "-b", body]
    told += ["-c", str(connections), "-d", str(seconds)] + (["-s"] if stream else [])
    return [*told, "-H", f"Authorization: Bearer {key}"] if key else told


def show(target: Target, stream: bool, row: dict[str, float], direct: float | None) -> None:  # noqa: FBT001
    share = f"{row['rps'] / direct:.3f}" if direct else ""
    cpu = f"{row['cpu_ms']:.2f}" if row["cpu_ms"] else ""
    kind = "stream" if stream else "json"
    print(
        f"{target.name:22}{kind:8}{row['c']:8.0f}{row['rps']:10.0f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}"
        f"{cpu:>8}{share:>11}{row['others']:8.2f}",
        flush=True,
    )
