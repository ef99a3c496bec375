"""A disk that is really full: a small file system of the server's own, where the machine lets one be mounted."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from freddy_process import Served, environment, greeting, serving, wait_until
from freddy_upstream import ANSWER, Upstream

SIZE = 12 * 2**20
MOUNTS = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]
_INSIDE = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def _mounts() -> bool:
    """Containers often may not, even as root."""
    if shutil.which("unshare") is None:
        return False
    words = [*MOUNTS, "sh", "-c", _INSIDE, "sh", "1m", "/tmp", "true"]
    return subprocess.run(words, check=False, capture_output=True, timeout=30).returncode == 0


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not _mounts(), reason="this machine lets nobody mount a file system"
)


@contextmanager
def confined(home: Path, **variables: str) -> Iterator[Served]:
    """A server whose home is a small file system, which is gone with it."""
    home.mkdir()
    log = home.with_name("log")
    words = [*MOUNTS, "sh", "-c", _INSIDE, "sh", str(SIZE), str(home), sys.executable, "-m", "freddy", "serve"]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            words,
            env=environment(home, **variables),
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            yield Served(process, greeting(process, log), home, log)
        finally:
            process.kill()


def inside(server: Served) -> Path:
    """Its home as it sees it itself."""
    return Path(f"/proc/{server.process.pid}/root{server.home}")


def fill(server: Served) -> Path:
    """Takes all the space that is left."""
    filler = inside(server) / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue
    return filler


def test_a_disk_without_space_is_told_and_what_is_kept_outlives_it(tmp_path: Path):
    with (
        Upstream() as upstream,
        confined(tmp_path / "home", FREDDY_UPSTREAM_URL=upstream.url) as server,
        server.client() as client,
    ):
        asked = {"inputs": "Hi", "model": "m", "thread": "trip"}
        uploaded = {"file": ("notes.txt", b"Foxes are red.", "text/plain")}
        before = client.post("/v1/model/response", json=asked).json()
        file = client.post("/v1/files", files=uploaded, data={"purpose": "user_data"})
        assert file.status_code in (200, 201), file.text
        filler = fill(server)

        def refused() -> bool:
            answer = client.post("/v1/model/response", json=asked)
            if answer.status_code == 200:
                return False
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable")
            assert answer.headers["retry-after"]
            return True

        # The write-ahead log has room of its own, until it is used up.
        wait_until(refused)
        large = {"file": ("large.txt", b"x" * 2**20, "text/plain")}
        upload = client.post("/v1/files", files=large, data={"purpose": "user_data"})
        assert upload.status_code == 503
        assert "free space" in upload.text.lower() or "the server's log says why" in upload.text
        assert upload.headers["retry-after"]
        assert client.get(f"/v1/model/response/{before['id']}").json() == before
        assert client.get(f"/v1/files/{file.json()['id']}/content").content == b"Foxes are red."
        assert client.get("/health/live").status_code == 200

        filler.unlink()
        after = client.post("/v1/model/response", json=asked)
        assert (after.status_code, after.json()["response"]) == (200, ANSWER)
        assert client.post("/v1/files", files=large, data={"purpose": "user_data"}).status_code in (200, 201)
        messages = client.get("/v1/threads/trip/messages?order=asc&limit=100").json()["data"]
        assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)

        # As a power cut would, while the file system is still there to be copied.
        server.send(signal.SIGSTOP)
        kept = tmp_path / "kept"
        kept.mkdir()
        for path in inside(server).glob("freddy.db*"):
            shutil.copy(path, kept)
        shutil.copy(inside(server) / "dev_key", kept)
        server.kill()
        with closing(sqlite3.connect(kept / "freddy.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with serving(kept, FREDDY_UPSTREAM_URL=upstream.url) as again, again.client() as client:
            assert client.get(f"/v1/model/response/{after.json()['id']}").json() == after.json()
