"""`freddy worker` as a process: it performs what servers accept, tells how it is, and gives back what it cannot end."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from databases import PostgresServer, postgres_server
from freddy_process import BOUND, Served, refused, running, serving, stream_events, wait_until
from freddy_upstream import ANSWER, Upstream

CODE = "no_callers"
LISTENS = "0A"
"""A state of /proc/net/tcp. https://docs.kernel.org/networking/proc_net_tcp.html"""


class Worker:
    """One that has said that it works. `url` is where it tells how it is, empty where nothing was set."""

    def __init__(self, process: subprocess.Popen[bytes], greeting: str, log: Path) -> None:
        self.process = process
        self.greeting = greeting
        found = re.search(r"http://\S+?:\d+", greeting)
        self.url = found.group() if found else ""
        self._log = log

    def said(self) -> str:
        return self._log.read_text()

    def asked(self, path: str, method: str = "GET", **more: Any) -> httpx2.Response:
        return httpx2.request(method, self.url + path, timeout=BOUND, trust_env=False, **more)

    def counted(self, beginning: str) -> float:
        """The sum of the counts whose lines begin so."""
        return counted(self.asked("/metrics").text, beginning)

    def stop(self) -> int:
        """The exit code."""
        self.process.terminate()
        return self.process.wait(BOUND)


@contextmanager
def working(home: Path, **variables: str) -> Iterator[Worker]:
    with running(home, "worker", **variables) as (process, greeting, log):
        yield Worker(process, greeting, log)


def free_port() -> int:
    """One that is given to nobody who asks for any."""
    for port in range(30_000 + os.getpid() % 2_000, 32_768):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")


def listening(process: int) -> int:
    """On how many ports it listens."""
    names = [os.readlink(one) for one in Path(f"/proc/{process}/fd").iterdir() if one.is_symlink()]
    own = {name.removeprefix("socket:[").rstrip("]") for name in names if name.startswith("socket:")}
    lines = "".join(Path(f"/proc/{process}/net/{name}").read_text() for name in ("tcp", "tcp6")).splitlines()
    rows = [line.split() for line in lines]
    return len([row for row in rows if row[3] == LISTENS and row[9] in own])


def counted(text: str, beginning: str) -> float:
    return sum((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(beginning)), 0.0)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server("synchronous_commit=on") as server:
        yield server


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    name = f"worked_{os.getpid()}"
    postgres.renew(name)
    return postgres.url(name)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as one:
        yield one


@pytest.fixture
def shared(url: str, upstream: Upstream) -> dict[str, str]:
    """What servers and workers have to be told alike. Nobody is taken for dead within a test."""
    return {
        "FREDDY_DATABASE": url,
        "FREDDY_UPSTREAM_URL": upstream.url,
        "FREDDY_SECRET_KEY": "k" * 44,
        "FREDDY_BACKGROUND_LEASE_SECONDS": "3600",
    }


@pytest.fixture
def server(tmp_path: Path, shared: dict[str, str]) -> Iterator[Served]:
    """It performs nothing itself."""
    with serving(tmp_path / "server", **shared, FREDDY_BACKGROUND_AT_ONCE="0") as one:
        yield one


@pytest.fixture
def client(server: Served) -> Iterator[httpx2.Client]:
    with server.client() as one:
        yield one


def accepted(client: httpx2.Client, text: str = "hello") -> str:
    """The path of a response in the background."""
    answer = client.post("/v1/model/response", json={"inputs": text, "model": "m", "background": True})
    assert answer.status_code in (200, 202), answer.text
    assert answer.json()["status"] in ("queued", "in_progress")
    return f"/v1/model/response/{answer.json()['id']}"


def wait_over(client: httpx2.Client, path: str) -> dict[str, Any]:
    wait_until(lambda: client.get(path).json()["status"] not in ("queued", "in_progress"))
    return client.get(path).json()


def test_a_worker_performs_what_a_server_that_performs_nothing_accepts(
    tmp_path: Path, shared: dict[str, str], upstream: Upstream, server: Served, client: httpx2.Client
):
    before = [accepted(client, "hello") for _ in range(3)]
    assert upstream.asked == []
    with working(tmp_path / "worker", **shared, FREDDY_METRICS_PORT=str(free_port())) as worker:
        assert "Freddy performs up to" in worker.greeting
        after = accepted(client, "hello again")
        for path in (*before, after):
            ended = wait_over(client, path)
            assert (ended["status"], ended["response"]) == ("completed", ANSWER)
        # Its own count of the last may come a moment after the database has it.
        wait_until(lambda: worker.counted("freddy_responses_total{") == 4)
        assert counted(client.get("/metrics").text, "freddy_responses_total{") == 0
        assert "traceback" not in worker.said() + server.said()
    assert len(upstream.asked) == 4


def test_who_follows_at_the_server_sees_what_the_worker_makes(
    tmp_path: Path, shared: dict[str, str], client: httpx2.Client
):
    path = accepted(client)
    with working(tmp_path / "worker", **shared):
        text = client.get(f"{path}?stream=true").text
    last = stream_events(text)[-1]
    assert (last["type"], last["response"]["response"]) == ("response.completed", ANSWER)


def test_its_health_and_counts_answer_on_its_port_and_nothing_else_does(tmp_path: Path, shared: dict[str, str]):
    port = free_port()
    with working(tmp_path / "worker", **shared, FREDDY_METRICS_PORT=str(port)) as worker:
        assert worker.url == f"http://127.0.0.1:{port}"
        assert worker.asked("/health/live").json()["status"] == "ok"
        ready = worker.asked("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        assert "freddy_info{" in worker.asked("/metrics").text
        for method, path in (
            ("GET", "/"),
            ("GET", "/docs"),
            ("GET", "/openapi.json"),
            ("GET", "/v1/models"),
            ("GET", "/metrics/"),
            ("POST", "/v1/model/response"),
            ("POST", "/v1/responses"),
            ("DELETE", "/v1/responses/resp_1"),
            ("OPTIONS", "/v1/responses"),
        ):
            answer = worker.asked(path, method)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, CODE), (method, path)
        assert listening(worker.process.pid) == 1


def test_its_port_opens_no_websocket(tmp_path: Path, shared: dict[str, str]):
    asking = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    with working(tmp_path / "worker", **shared, FREDDY_METRICS_PORT=str(free_port())) as worker:
        answer = worker.asked("/v1/responses", headers=asking)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, CODE)
        assert worker.asked("/health/live", headers=asking).status_code == 400


def test_a_worker_without_a_port_listens_nowhere(tmp_path: Path, shared: dict[str, str], client: httpx2.Client):
    with working(tmp_path / "worker", **shared, FREDDY_PORT=str(free_port())) as worker:
        assert "http" not in worker.greeting
        assert wait_over(client, accepted(client))["status"] == "completed"
        assert listening(worker.process.pid) == 0


def test_a_worker_whose_database_is_away_is_live_and_not_ready(
    tmp_path: Path, postgres: PostgresServer, shared: dict[str, str], client: httpx2.Client
):
    with working(tmp_path / "worker", **shared, FREDDY_METRICS_PORT=str(free_port())) as worker:
        postgres.stop()
        try:
            wait_until(lambda: worker.asked("/health/ready").status_code == 503)
            assert worker.asked("/health/live").status_code == 200
        finally:
            postgres.start()
        wait_until(lambda: worker.asked("/health/ready").status_code == 200)
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert wait_over(client, accepted(client))["status"] == "completed"


def test_a_worker_that_is_stopped_lets_what_runs_end(
    tmp_path: Path, shared: dict[str, str], upstream: Upstream, client: httpx2.Client
):
    with working(tmp_path / "worker", **shared, FREDDY_METRICS_PORT=str(free_port())) as worker:
        path = accepted(client, "hold")
        upstream.wait_held(1)
        worker.process.send_signal(signal.SIGTERM)
        wait_until(lambda: listening(worker.process.pid) == 0)
        upstream.release()
        assert worker.process.wait(BOUND) == 0
        ended = client.get(path).json()
        assert (ended["status"], ended["response"]) == ("completed", ANSWER)
    assert len(upstream.asked) == 1


def test_what_outlasts_the_grace_is_given_back_and_another_goes_on_with_it(
    tmp_path: Path, shared: dict[str, str], upstream: Upstream, client: httpx2.Client
):
    with working(tmp_path / "one", **shared, FREDDY_SHUTDOWN_SECONDS="0.2") as worker:
        paths = [accepted(client, "hold") for _ in range(3)]
        upstream.wait_held(3)
        assert worker.stop() == 0
        upstream.wait_left(3)
        assert "traceback" not in worker.said()
    assert {client.get(path).json()["status"] for path in paths} <= {"queued", "in_progress"}
    upstream.release()
    # Long before anybody would take the first for dead.
    with working(tmp_path / "two", **shared):
        for path in paths:
            ended = wait_over(client, path)
            assert (ended["status"], ended["response"]) == ("completed", ANSWER)


def test_a_second_signal_ends_the_grace(
    tmp_path: Path, shared: dict[str, str], upstream: Upstream, client: httpx2.Client
):
    variables = {**shared, "FREDDY_SHUTDOWN_SECONDS": "3600", "FREDDY_METRICS_PORT": str(free_port())}
    with working(tmp_path / "worker", **variables) as worker:
        path = accepted(client, "hold")
        upstream.wait_held(1)
        worker.process.send_signal(signal.SIGTERM)
        wait_until(lambda: listening(worker.process.pid) == 0)
        assert worker.stop() == 0
    assert client.get(path).json()["status"] in ("queued", "in_progress")


def test_a_worker_over_sqlite_is_refused(tmp_path: Path):
    code, greeting, said = refused(tmp_path / "home", command="worker")
    assert (code, greeting) == (1, "")
    assert said.splitlines()[-1].startswith("freddy: a worker shares a PostgreSQL database with servers")
    assert "FREDDY_DATABASE" in said
    assert not list((tmp_path / "home").glob("freddy.db*"))


def test_a_worker_that_would_perform_nothing_is_refused(tmp_path: Path, shared: dict[str, str]):
    code, greeting, said = refused(tmp_path / "home", command="worker", **shared, FREDDY_BACKGROUND_AT_ONCE="0")
    assert (code, greeting) == (1, "")
    assert said == "freddy: this worker would perform nothing: FREDDY_BACKGROUND_AT_ONCE is 0\n"


def test_a_worker_whose_port_is_taken_says_which(tmp_path: Path, shared: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, greeting, said = refused(tmp_path / "home", command="worker", **shared, FREDDY_METRICS_PORT=str(port))
    assert (code, greeting) == (1, "")
    assert said.startswith(f"freddy: cannot listen on 127.0.0.1:{port}: ")
