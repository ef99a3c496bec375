"""What a request costs in instructions of the CPU: a figure that other work on the machine does not move.

    python bench/instructions.py

The server runs in valgrind, which must be installed, and is asked by `gateway/loadgen.c` as for the gateway's table, 16
requests at once. Counted is what the process does itself, in all its threads; what the kernel does for it is not.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure_gateway as gateway
import run
from measure_gateway import TARGETS, Target

import server

REQUESTS = {False: 320, True: 64}
"""How many are counted: of streams fewer, each is as long as several."""
CONNECTIONS = 16
SUMS_SECONDS = 7.0
"""By then the server has added up usage once, and compiled the statements for it."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="freddy-bench-") as name:
        folder = Path(name)
        tools, home, counts = run.build(folder), folder / "home", folder / "counts"
        home.mkdir()
        counts.mkdir()
        key = server.make_key(home)
        python = list(server.FREDDY)
        with gateway.upstream(tools) as upstream:
            server.FREDDY[:] = [
                "valgrind",
                "--tool=callgrind",
                "--instr-atstart=no",
                "--separate-threads=yes",
                f"--callgrind-out-file={counts}/out",
                *python,
            ]
            settings = {
                "FREDDY_DEV_MODE": "off",
                "FREDDY_MODEL": "none",
                "FREDDY_UPSTREAM_URL": f"http://{upstream}/v1",
                "FREDDY_LOG_LEVEL": "warning",
            }
            with server.serving(home, **settings) as running:
                for stream in (False, True):
                    _ask(tools, running.address, TARGETS[0], key, stream=stream, requests=64)
                time.sleep(SUMS_SECONDS)
                for target in TARGETS:
                    for stream in (False, True):
                        _count(tools, running, counts, target, key, stream=stream)
    return 0


def _count(tools: Path, running: server.Running, counts: Path, target: Target, key: str, *, stream: bool) -> None:
    _ask(tools, running.address, target, key, stream=stream, requests=64)
    for old in counts.iterdir():
        old.unlink()
    _control("--instr=on", running.pid)
    _ask(tools, running.address, target, key, stream=stream, requests=REQUESTS[stream])
    _control("--instr=off", running.pid)
    _control("--dump", running.pid)
    time.sleep(2)  # valgrind says that it is done before it is
    by_thread = [
        int(total[1]) / REQUESTS[stream] / 1000
        for one in counts.iterdir()
        if (total := re.search(r"^totals: (\d+)", one.read_text(errors="replace"), re.MULTILINE))
    ]
    loop, *others = sorted(by_thread, reverse=True)
    kind = "stream" if stream else "json"
    told = f"{loop + sum(others):10.0f}{loop:10.0f}{sum(others):10.0f}"
    print(f"{target.name:22}{kind:8}{told}  thousand: in all, event loop, database threads", flush=True)


def _control(what: str, pid: int) -> None:
    subprocess.run(["callgrind_control", what, str(pid)], capture_output=True, check=True)


def _ask(tools: Path, address: str, target: Target, key: str, *, stream: bool, requests: int) -> None:
    command = gateway.command(tools, address, target, stream, CONNECTIONS, 300, key)
    subprocess.run([*command, "-n", str(requests), "-t", "200"], capture_output=True, check=True)


if __name__ == "__main__":
    sys.exit(main())
