"""A server that may open no more files: those who are connected are served, and the others when there is room again."""

import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from freddy_process import BOUND, Served, serving, wait_until
from freddy_upstream import ANSWER, Upstream

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes descriptors from a process that runs")


def opened(server: Served) -> int:
    return len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])


def answers(server: Served) -> bool:
    with server.client() as client:
        return client.post("/v1/model/response", json={"inputs": "Hi", "model": "m"}).json().get("response") == ANSWER


def test_a_server_without_descriptors_answers_again_when_it_has_some(tmp_path: Path):
    with Upstream() as upstream, serving(tmp_path / "home", FREDDY_UPSTREAM_URL=upstream.url) as server:
        assert answers(server)
        most = opened(server) + 20
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (most, limits[1]))
        with ExitStack() as stack, server.client() as client:
            assert client.get("/health/live").status_code == 200
            for _ in range(60):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), BOUND))
            wait_until(lambda: opened(server) >= most - 1)
            # Who came before is served, as far as nothing has to be opened for it.
            assert client.get("/health/live").status_code == 200
        wait_until(lambda: opened(server) < most - 10)
        assert answers(server)
        assert server.process.poll() is None
        # One line a second at most: a log that fills the disk would be the next fault.
        assert len(server.said().splitlines()) < 200, server.said()[-2000:]
