"""A small server that answers `freddy ask` as it was told, and the command line in a place of its own."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "small",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello there", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}


class Script:
    """What the server answers, and what it was asked. `hold` keeps the stream open after its first words."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.words = ["Hello", " there"]
        self.final: dict[str, Any] = RESPONSE
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.cancelled = threading.Event()
        self.url = ""

    def events(self) -> list[dict[str, Any]]:
        started = {**self.final, "status": "in_progress", "output": []}
        deltas = [
            {"type": "response.output_text.delta", "index": 0, "item_id": "msg_1", "delta": word}
            for word in self.words
        ]
        last = {"type": f"response.{self.final['status']}", "response": self.final}
        return [{"type": "response.created", "response": started}, *deltas, last]


class Handler(BaseHTTPRequestHandler):
    script: Script

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.script.requests.append((self.path, headers, body))
        if self.path.endswith("/cancel"):
            self._json(200, {**RESPONSE, "status": "cancelled"})
            self.script.cancelled.set()
            self.script.hold.set()
        elif self.script.refusal:
            self._json(*self.script.refusal)
        else:
            self._stream()

    def do_GET(self) -> None:
        self._json(200, {"status": "ok"})

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        *early, last = self.script.events()
        for event in early:
            self._event(event)
        self.script.hold.wait(5)
        self._event(last)

    def _event(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()

    def _json(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("freddy-processing-ms", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A caller that hangs up is part of the tests."""


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
    kept = {"PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "PYTHONPATH"}
    import os

    for name in list(os.environ):
        if name not in kept and (name.startswith("FREDDY_") or name in {"NO_COLOR", "TERM", "XDG_DATA_HOME"}):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FREDDY_HOME", str(tmp_path / "home"))
    return {name: value for name, value in os.environ.items() if name in kept | {"HOME", "FREDDY_HOME"}}


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
