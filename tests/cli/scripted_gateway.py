"""A small server that answers `freddy ask` as it was told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
            {"type": "response.output_text.delta", "index": 0, "item_id": "msg_1", "delta": word} for word in self.words
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
