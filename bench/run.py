"""Measures the gateway, the embedded model and the start of this checkout. `make bench` runs it all."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import measure_gateway  # noqa: E402
import measure_model  # noqa: E402
import measure_start  # noqa: E402
import measure_streams  # noqa: E402
import measure_workers  # noqa: E402

PARTS = ("gateway", "streams", "workers", "model", "start")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help=f"{', '.join(PARTS)}; all of them by default")
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="how long each row of the gateway and the workers takes"
    )
    asked = parser.parse_args()
    what = set(asked.what or PARTS)
    if unknown := what - set(PARTS):
        parser.error(f"there is no {unknown.pop()!r} to measure: choose among {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="freddy-bench-") as folder:
        if "gateway" in what:
            measure_gateway.run(build(Path(folder)), Path(folder), seconds=asked.seconds)
        if "streams" in what:
            measure_streams.run(build(Path(folder)), Path(folder))
        if "workers" in what:
            measure_workers.run(build(Path(folder)), Path(folder), seconds=asked.seconds)
        if "model" in what:
            asyncio.run(measure_model.run(Path(folder)))
        if "start" in what:
            measure_start.run(Path(folder))
    return 0


def build(folder: Path) -> Path:
    """Where the compiled load generator and upstream are."""
    for name in ("loadgen", "mock"):
        source = HERE / "gateway" / f"{name}.c"
        subprocess.run(["cc", "-O2", "-w", "-o", str(folder / name), str(source)], check=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
