"""Several workers on one port: they share the work, are replaced and renewed, and end together."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from databases import PostgresServer, postgres_server
from freddy.server import crew, logs
from freddy.server.config import settings as parts
from freddy_process import Served, alive, refused, serving, wait_until
from freddy_upstream import ANSWER, Upstream

ASKED = {"input": "hello", "model": "m"}


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    name = f"shared_{os.getpid()}"
    postgres.renew(name)
    return postgres.url(name)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as one:
        yield one


@pytest.fixture
def variables(url: str, upstream: Upstream) -> dict[str, str]:
    return {"FREDDY_DATABASE": url, "FREDDY_UPSTREAM_URL": upstream.url, "FREDDY_WORKERS": "2"}


def told(server: Served, event: str) -> list[dict[str, Any]]:
    return [one for one in server.events() if one["event"] == event]


def free_ports() -> int:
    """The first of two neighbours on which nobody listens."""
    for first in range(20_000 + os.getpid() % 10_000, 60_000, 2):
        try:
            for port in (first, first + 1):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no two ports are free")


def test_workers_greet_once_and_end_together(tmp_path: Path, variables: dict[str, str]):
    with serving(tmp_path / "home", **variables) as server:
        workers = server.children()
        assert len(workers) == 2
        assert server.greeting.count("Freddy listens on") == 1
        with server.client() as client:
            kept = client.post("/v1/responses", json=ASKED).json()
            for _ in range(8):
                with server.client() as another:
                    assert another.get(f"/v1/responses/{kept['id']}").json()["output"] == kept["output"]
        server.send(signal.SIGTERM)
        assert server.wait_ended() == 0
        assert not any(map(alive, workers))
        assert os.listdir(server.home.with_name(server.home.name + "-tmp")) == []


def test_a_burst_of_connections_is_shared(tmp_path: Path, variables: dict[str, str]):
    first = free_ports()
    with serving(tmp_path / "home", **variables, FREDDY_METRICS_PORT=str(first)) as server:
        addresses = [f"http://127.0.0.1:{first + place}/metrics" for place in range(2)]

        def served() -> list[int]:
            texts = [httpx2.get(address, trust_env=False).text for address in addresses]
            return [text.count('freddy_requests_total{method="GET",route="/health/live"') for text in texts]

        def burst() -> bool:
            callers = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(40)]
            for caller in callers:
                caller.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            for caller in callers:
                with caller:
                    assert caller.recv(65_536).startswith(b"HTTP/1.1 200")
            return served() == [1, 1]

        wait_until(burst)


def test_counts_are_told_on_the_ports_of_the_workers_alone(tmp_path: Path, variables: dict[str, str]):
    first = free_ports()
    with (
        serving(tmp_path / "home", **variables, FREDDY_METRICS_PORT=str(first)) as server,
        server.client() as client,
    ):
        elsewhere = client.get("/metrics")
        assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (404, "metrics_elsewhere")
        for port in (first, first + 1):
            assert "freddy_info{" in httpx2.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text


def test_one_process_tells_its_counts_on_a_port_of_their_own_too(tmp_path: Path):
    first = free_ports()
    with serving(tmp_path / "home", FREDDY_METRICS_PORT=str(first)) as server, server.client() as client:
        assert "freddy_info{" in client.get("/metrics").text
        assert "freddy_info{" in httpx2.get(f"http://127.0.0.1:{first}/metrics", trust_env=False).text


def test_a_worker_that_dies_is_replaced_and_the_other_answers_meanwhile(tmp_path: Path, variables: dict[str, str]):
    with serving(tmp_path / "home", **variables) as server:
        lost = server.children()[0]
        os.kill(lost, signal.SIGKILL)
        wait_until(lambda: bool(told(server, "worker_died")))
        with server.client() as client:
            assert client.get("/health/live").status_code == 200
        wait_until(lambda: len(told(server, "worker_ready")) == 3)
        now = server.children()
        assert len(now) == 2
        assert lost not in now
        (died,) = told(server, "worker_died")
        assert (died["pid"], died["code"]) == (lost, -9)


def test_a_renewal_refuses_nobody(tmp_path: Path, variables: dict[str, str]):
    with serving(tmp_path / "home", **variables) as server, ThreadPoolExecutor() as callers:
        before = set(server.children())
        over = threading.Event()

        def ask() -> list[int]:
            """One connection for each request, and one for all."""
            statuses = []
            with server.client() as kept:
                # A pause, so that those who come have time to start.
                while not over.wait(0.02):
                    statuses.append(kept.post("/v1/responses", json=ASKED).status_code)
                    with server.client() as new:
                        statuses.append(new.get("/health/ready").status_code)
            return statuses

        asking = [callers.submit(ask) for _ in range(3)]
        try:
            server.send(signal.SIGHUP)
            wait_until(lambda: bool(told(server, "workers_renewed")))
        finally:
            over.set()
        assert {status for one in asking for status in one.result()} == {200}
        now = set(server.children())
        assert len(now) == 2
        assert not now & before


def test_a_renewal_waits_for_what_runs(tmp_path: Path, upstream: Upstream, variables: dict[str, str]):
    with serving(tmp_path / "home", **variables) as server, ThreadPoolExecutor() as callers:
        with server.client() as client:
            held = callers.submit(client.post, "/v1/responses", json={**ASKED, "input": "hold"})
            upstream.wait_held(1)
            server.send(signal.SIGHUP)
            wait_until(lambda: len(told(server, "worker_ready")) >= 3)
            upstream.release()
            assert held.result().json()["status"] == "completed"
        wait_until(lambda: bool(told(server, "workers_renewed")))


def test_workers_that_are_stopped_let_what_runs_end(tmp_path: Path, upstream: Upstream, variables: dict[str, str]):
    with (
        serving(tmp_path / "home", **variables) as server,
        ThreadPoolExecutor() as callers,
        server.client() as client,
    ):
        held = callers.submit(client.post, "/v1/model/response", json={"inputs": "hold", "model": "m"})
        upstream.wait_held(1)
        server.send(signal.SIGTERM)
        upstream.release()
        assert held.result().json()["response"] == ANSWER
        assert server.wait_ended() == 0


def test_a_second_signal_cuts_the_workers(tmp_path: Path, upstream: Upstream, variables: dict[str, str]):
    variables["FREDDY_SHUTDOWN_SECONDS"] = "3600"
    with (
        serving(tmp_path / "home", **variables) as server,
        ThreadPoolExecutor() as callers,
        server.client() as client,
    ):
        held = callers.submit(client.post, "/v1/responses", json={**ASKED, "input": "hold"})
        upstream.wait_held(1)
        workers = server.children()
        server.send(signal.SIGINT)
        # The workers' parent closes nothing itself: those that have nothing to end have ended, and the other waits.
        wait_until(lambda: sum(map(alive, workers)) == 1)
        server.send(signal.SIGINT)
        assert server.wait_ended() == 0
        assert held.result().status_code == 503


def test_workers_end_when_the_process_that_keeps_them_is_killed(tmp_path: Path, variables: dict[str, str]):
    with serving(tmp_path / "home", **variables) as server:
        workers = server.children()
        server.kill()
        wait_until(lambda: not any(map(alive, workers)))
        server.wait_closed()


def test_workers_that_cannot_start_end_the_server(tmp_path: Path, postgres: PostgresServer):
    variables = {"FREDDY_DATABASE": postgres.url("nowhere"), "FREDDY_WORKERS": "2"}
    code, greeting, said = refused(tmp_path / "home", **variables)
    assert (code, greeting) == (1, "")
    assert "no database of this name" in said
    assert "workers_failed" in said


def test_several_workers_are_refused_over_sqlite(tmp_path: Path):
    code, _, said = refused(tmp_path / "home", FREDDY_WORKERS="2")
    assert code == 1
    assert "an SQLite database belongs to one process" in said
    assert "FREDDY_DATABASE" in said


def test_several_workers_do_not_each_load_a_model_that_nobody_asked_for(tmp_path: Path, url: str):
    code, _, said = refused(tmp_path / "home", FREDDY_WORKERS="2", FREDDY_DATABASE=url, FREDDY_MODEL="auto")
    assert code == 1
    assert "each worker would load the embedded model: set FREDDY_MODEL=none" in said


@pytest.mark.usefixtures("own_logging")
def test_where_no_process_can_be_started_the_server_ends_and_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    settings = parts.Settings(
        home=tmp_path,
        server=parts.Server(port=0, workers=2),
        store=parts.Store(database="postgresql://127.0.0.1/none"),
        model=parts.Model(name="none"),
    )
    logs.configure(settings.log.level, settings.log.format)
    assert crew.serve(settings, (str(tmp_path / "no-such-program"),)) == 1
    said = capfd.readouterr().err
    assert "worker_not_started" in said
    assert "workers_failed" in said
