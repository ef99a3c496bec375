"""One worker and two over PostgreSQL, beside one process over SQLite: the same load on each in turns."""

import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

import measure_gateway
from measure_gateway import TARGETS, load

import server

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from databases import postgres_server

CONNECTIONS = (16, 64)
ROUNDS = 3


def run(tools: Path, folder: Path, *, seconds: float) -> None:
    print("\nworkers: what is kept is committed to the disk; `CPU` is of the server without PostgreSQL, `all` with it")
    print(f"{'':50}{'at once':>8}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>8}{'all ms':>8}")
    with ExitStack() as stack:
        address = stack.enter_context(measure_gateway.upstream(tools))
        database = stack.enter_context(postgres_server("shared_buffers=256MB", "autovacuum=on", fsync=True))
        postmaster = int((database.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        running = {}
        for name, workers in (("SQLite", 0), ("PostgreSQL, 1 worker", 1), ("PostgreSQL, 2 workers", 2)):
            home = folder / f"workers-{workers}"
            home.mkdir()
            settings = {
                "FREDDY_DEV_MODE": "off",
                "FREDDY_MODEL": "none",
                "FREDDY_UPSTREAM_URL": f"http://{address}/v1",
                "FREDDY_LOG_LEVEL": "error",
            }
            if workers:
                database.say(f"CREATE DATABASE bench_{workers}")
                settings["FREDDY_DATABASE"] = database.url(f"bench_{workers}")
                settings["FREDDY_WORKERS"] = str(workers)
            key = server.make_key(home, **settings)
            running[name] = (stack.enter_context(server.serving(home, **settings)), key, bool(workers))
        for target in TARGETS[:2]:
            for stream in (False, True):
                for connections in CONNECTIONS:
                    rows: dict[str, list[dict[str, float]]] = {name: [] for name in running}
                    for turn in range(ROUNDS + 1):
                        for name, (freddy, key, shared) in running.items():
                            before = server.cpu_seconds(postmaster) if shared else 0.0
                            row = load(
                                tools,
                                freddy.address,
                                target,
                                stream,
                                connections,
                                seconds if turn else 1,
                                key,
                                freddy.pid,
                            )
                            beside = (server.cpu_seconds(postmaster) - before if shared else 0.0) * 1000
                            row["all_ms"] = row["cpu_ms"] + beside / max(1.0, row["ok"])
                            if turn:
                                rows[name].append(row)
                    for name, each in rows.items():
                        told = {
                            what: statistics.median(row[what] for row in each)
                            for what in each[0]
                            if _is_number(each, what)
                        }
                        kind = "stream" if stream else "json"
                        print(
                            f"{target.name + ', ' + kind:28}{name:22}{connections:8}{told['rps']:10.0f}"
                            f"{told['p50_ms']:9.2f}{told['p99_ms']:9.2f}{told['cpu_ms']:8.2f}{told['all_ms']:8.2f}",
                            flush=True,
                        )
        for name, (freddy, _, _) in running.items():
            processes = [one for one in server.tree(freddy.pid) if server.memory_mb(one)]
            print(f"{name}: {server.memory_mb(freddy.pid):.0f} MB of memory, {len(processes)} processes")


def _is_number(rows: list[dict[str, float]], what: str) -> bool:
    return isinstance(rows[0][what], int | float)
