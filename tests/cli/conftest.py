"""A scripted server, and the command line in a place of its own."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from scripted_gateway import Handler, QuietServer, Script

KEPT = frozenset({"PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "PYTHONPATH"})


@pytest.fixture
def script():
    script = Script()
    with QuietServer(("127.0.0.1", 0), type("Bound", (Handler,), {"script": script})) as server:
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
        thread.start()
        yield script
        script.hold.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def environment(tmp_path, monkeypatch) -> dict[str, str]:
    """A user with an empty home folder, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    ours = os.environ  # noqa: TID251 (what the commands under test will read)
    for name in list(ours):
        if name.startswith("FREDDY_") or name in {"NO_COLOR", "TERM", "XDG_DATA_HOME"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FREDDY_HOME", str(tmp_path / "home"))
    return {name: value for name, value in ours.items() if name in KEPT | {"HOME", "FREDDY_HOME"}}


@pytest.fixture
def freddy(environment, tmp_path):
    """Runs the command line as a user does: in a process of its own."""

    def run(*arguments: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "freddy", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env={**environment, **variables},
            cwd=tmp_path,
            timeout=30,
            check=False,
        )

    return run


@pytest.fixture
def home(environment) -> Path:
    folder = Path(environment["FREDDY_HOME"])
    folder.mkdir()
    return folder
