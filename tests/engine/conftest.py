"""What the engine's tests share: the real floor model, rewritten once, and a server of small fake files."""

import hashlib
import http.server
import io
import json
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from freddy.server.providers.embedded import weights
from freddy.server.providers.embedded.keeper import Choice


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder in which the floor model is ready."""
    folder = tmp_path_factory.mktemp("models")
    weights.resolve("smollm2-135m", folder)
    return folder


@pytest.fixture
def floor(models: Path) -> Choice:
    return Choice("smollm2-135m", lambda: weights.resolve("smollm2-135m", models))


class Files:
    """Files by path over HTTP with ranges; `breaks[path]` says after how many bytes an answer breaks off."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.bodies: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.breaks: dict[str, list[int]] = {}
        self.asked: Counter[str] = Counter()
        self.sent = 0
        self.ranges = True

    def put(self, path: str, body: bytes, kind: str = "application/octet-stream") -> str:
        self.bodies[path] = body
        self.types[path] = kind
        return self.address + path

    def put_wheel(self, project: str, member: str, body: bytes, *, html: bool = False) -> None:
        """A wheel of version 1.0 with one member, and the index page that names it."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, body)
        name = f"{project.replace('-', '_')}-1.0-py3-none-any.whl"
        sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
        url = self.put(f"/files/{name}", buffer.getvalue())
        if html:
            self.put(f"/simple/{project}/", f'<a href="{url}#sha256={sha256}">x</a>'.encode(), "text/html")
            return
        file = {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256}}
        listing = json.dumps({"files": [file]}).encode()
        self.put(f"/simple/{project}/", listing, "application/vnd.pypi.simple.v1+json")


@pytest.fixture
def files() -> Iterator[Files]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files.asked[self.path] += 1
            body = files.bodies.get(self.path)
            if body is None:
                self.send_error(404)
                return
            wanted = self.headers.get("Range", "bytes=0-")
            start = files.ranges * int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start and start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", files.types[self.path])
            self.send_header("Content-Length", str(len(body) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            breaks = files.breaks.get(self.path)
            rest = body[start : start + breaks.pop(0)] if breaks else body[start:]
            files.sent += len(rest)
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        files = Files(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield files
        server.shutdown()
        thread.join()
