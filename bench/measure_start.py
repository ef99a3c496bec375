"""What it takes to start: time to ready, memory at rest, import of the client."""

import subprocess
import sys
import time
from pathlib import Path

import server


def run(folder: Path) -> None:
    print("\nstart")
    alone = folder / "alone"
    alone.mkdir()
    for again in ("first", "second"):
        with server.serving(alone, FREDDY_MODEL="none", FREDDY_LOG_LEVEL="warning") as freddy:
            time.sleep(2)
            print(
                f"  no model, {again} start: ready {freddy.ready_seconds:.2f} s, {server.memory_mb(freddy.pid):.0f} MB"
            )
    model = folder / "model"
    for again in ("first", "second"):
        with server.serving(model, FREDDY_MODEL="smollm2-135m", FREDDY_LOG_LEVEL="warning") as freddy:
            began = time.monotonic()
            wait_model(freddy.url)
            seconds = freddy.ready_seconds + time.monotonic() - began
            print(f"  smollm2-135m, {again} start: ready {seconds:.2f} s, {server.memory_mb(freddy.pid):.0f} MB")
    print(f"  import freddy: {imported():.0f} ms")


def wait_model(url: str) -> None:
    for _ in range(6000):
        with server.urllib.request.urlopen(f"{url}/health/ready") as answer:
            if b'"embedded_model":"ok"' in answer.read():
                return
        time.sleep(0.02)
    raise TimeoutError("the model was not ready in two minutes")


def imported() -> float:
    """Milliseconds beyond those of an empty program, the best of several."""

    def best(program: str) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    return (best("import freddy; freddy.FreddyClient") - best("pass")) * 1000
