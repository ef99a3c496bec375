"""The engine's own process: one model behind llama.cpp's HTTP server, ended by the end of stdin.

Imports nothing of the gateway: run by file path it costs no more than the engine itself. It is
told what to do by one JSON line on stdin and answers with one JSON line on stdout.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn


def main() -> None:
    answer = _private_stdout()
    order = json.loads(sys.stdin.buffer.readline())
    socket = order["socket"]
    ended = threading.Thread(target=_end_with_stdin, args=(socket,), daemon=True)
    ended.start()
    if order["nice"] and hasattr(os, "nice"):
        os.nice(order["nice"])
    try:
        import xllamacpp  # noqa: PLC0415 (a missing library is an answer, not a traceback)
    except ImportError as error:
        _fail(answer, "import", str(error))
    try:
        server = xllamacpp.Server(_params(xllamacpp, order))
    except (RuntimeError, ValueError, MemoryError) as error:
        _fail(answer, "start", str(error))
    # The server has put its own handlers in place of Python's; the default ends at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _say(answer, {"address": socket or server.listening_address})
    ended.join()


def _params(xllamacpp: ModuleType, order: dict[str, Any]) -> object:
    cores = _cores()
    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.model_alias = {order["name"]}
    params.hostnames = [order["socket"] or "127.0.0.1"]
    params.port = 0
    params.api_keys = [order["api_key"]]
    params.n_parallel = order["parallel"]
    params.n_ctx = order["context"]
    params.kv_unified = not order["vectors"]
    params.embedding = order["vectors"]
    params.cache_ram_mib = order["cache_mib"]
    params.sleep_idle_seconds = order["idle_seconds"] or -1  # -1 is never
    params.n_threads_http = order["http_threads"]
    params.cpuparams.n_threads = order["threads"] or max(1, cores - 1)
    # Threads that wait for each other on a busy machine take many times as long: vectors leave one core to the rest.
    params.cpuparams_batch.n_threads = order["batch_threads"] or (max(1, cores - 1) if order["vectors"] else cores)
    if order["gpu_layers"] is not None:
        params.n_gpu_layers = order["gpu_layers"]
    if order["batch"] is not None:
        params.n_batch = params.n_ubatch = order["batch"]
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1
    params.use_jinja = True
    params.cache_prompt = True
    params.warmup = True
    return params


def _cores() -> int:
    """The cores this process may use: its affinity, and the quota of its container."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    if quota == "max":
        return cores
    return max(1, min(cores, round(int(quota) / int(period))))


def _private_stdout() -> int:
    """Keeps stdout for the answer alone; what the engine prints goes to stderr."""
    answer = os.dup(1)
    os.dup2(2, 1)
    return answer


def _end_with_stdin(socket: str | None) -> None:
    """The parent holds the other end: whatever way it dies, this process dies with it."""
    while os.read(0, 4096):
        pass
    if socket:
        Path(socket).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Another engine may still have its socket there.
            Path(socket).parent.rmdir()
    os._exit(0)


def _say(answer: int, words: dict[str, Any]) -> None:
    os.write(answer, json.dumps(words).encode() + b"\n")


def _fail(answer: int, stage: str, detail: str) -> NoReturn:
    _say(answer, {"failed": stage, "detail": detail})
    sys.stderr.flush()
    os._exit(3)


if __name__ == "__main__":
    main()
