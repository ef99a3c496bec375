"""A disk that is full: what cannot be kept is refused, what is there can be read, and no restart is needed."""

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from freddy_process import Served, serving, stream_events
from freddy_upstream import ANSWER, Upstream

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes the space from a process that runs")


@contextmanager
def no_space(server: Served) -> Iterator[None]:
    """No file of the server can grow."""
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in server.home.glob("freddy.db*"))
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)


def held_stream(server: Served) -> str:
    asked = {"input": "hold", "model": "m", "stream": True}
    with server.client() as client:
        return client.post("/v1/responses", json=asked).text


def test_a_full_disk_is_told_and_nothing_is_lost_or_half_written(tmp_path: Path):
    with (
        Upstream() as upstream,
        ThreadPoolExecutor() as callers,
        serving(tmp_path / "home", FREDDY_UPSTREAM_URL=upstream.url) as server,
        server.client() as client,
    ):
        asked = {"inputs": "Hi", "model": "m", "thread": "trip"}
        before = client.post("/v1/model/response", json=asked).json()
        streamed = callers.submit(held_stream, server)
        whole = callers.submit(client.post, "/v1/model/response", json={**asked, "inputs": "hold"})
        upstream.wait_held(2)

        with no_space(server):
            refusal = client.post("/v1/model/response", json=asked)
            assert refusal.status_code == 503
            error = refusal.json()["error"]
            assert (error["type"], error["code"]) == ("service_unavailable_error", "storage_unavailable")
            assert "free space" in error["details"]
            for stream in (False, True):
                refusal = client.post("/v1/responses", json={"input": "Hi", "model": "m", "stream": stream})
                assert refusal.status_code == 503
                assert refusal.json()["error"]["code"] == "server_error"
                assert "free space" in refusal.json()["error"]["message"]
            assert client.post("/v1/threads", json={}).status_code == 503
            # What need not be kept is answered, what was kept is told.
            unkept = client.post("/v1/responses", json={"input": "Hi", "model": "m", "store": False})
            assert unkept.json()["status"] == "completed"
            assert client.get(f"/v1/model/response/{before['id']}").json() == before
            assert len(client.get("/v1/threads/trip/messages").json()["data"]) == 2

            # What was under way cannot end well, and says why.
            upstream.release()
            last = stream_events(streamed.result())[-1]
            assert last["type"] == "response.failed"
            assert "free space" in last["response"]["error"]["message"]
            assert whole.result().status_code == 503

        after = client.post("/v1/model/response", json=asked)
        assert after.json()["response"] == ANSWER
        # The ends for which there was no room are kept now.
        kept = client.get(f"/v1/responses/{last['response']['id']}").json()
        assert (kept["status"], kept["error"]) == ("failed", last["response"]["error"])
        messages = client.get("/v1/threads/trip/messages?order=asc").json()["data"]
        assert [message["role"] for message in messages] == ["user", "assistant"] * 2
        server.send(signal.SIGTERM)
        assert server.wait_ended() == 0
        assert "traceback" not in server.said().lower()
