"""The server with its state in PostgreSQL: it answers, ends, and finds all when it starts again."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import PostgresServer, postgres_server
from freddy_process import Served, refused, serving
from freddy_upstream import Upstream


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    # It is stopped as by a crash right after its tables were made: those are to be there again.
    with postgres_server("synchronous_commit=on") as server:
        yield server


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    name = f"served_{os.getpid()}"
    postgres.renew(name)
    return postgres.url(name, password="hunter2")


def ask(server: Served, text: str, **more: object) -> dict[str, object]:
    with server.client() as client:
        answer = client.post("/v1/model/response", json={"inputs": text, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_a_server_on_postgresql_finds_its_threads_after_a_restart(tmp_path: Path, url: str):
    home = tmp_path / "home"
    with Upstream() as upstream:
        variables = {"FREDDY_DATABASE": url, "FREDDY_UPSTREAM_URL": upstream.url, "FREDDY_UPSTREAM_MODELS": "tiny"}
        with serving(home, **variables) as server:
            first = ask(server, "hello", model="tiny", thread_id="trip")
            assert "hunter2" not in server.said() + server.greeting
        with serving(home, **variables) as server:
            with server.client() as client:
                assert client.get(f"/v1/responses/{first['id']}").status_code == 200
            ask(server, "again", model="tiny", thread_id="trip")
    assert not list(home.glob("freddy.db*"))


def test_a_server_whose_postgresql_is_away_answers_503_and_goes_on_when_it_is_back(
    tmp_path: Path, postgres: PostgresServer, url: str
):
    with Upstream() as upstream:
        variables = {"FREDDY_DATABASE": url, "FREDDY_UPSTREAM_URL": upstream.url, "FREDDY_UPSTREAM_MODELS": "tiny"}
        with serving(tmp_path / "home", **variables) as server, server.client() as client:
            ask(server, "hello", model="tiny")
            postgres.stop()
            try:
                said = client.get("/v1/responses/resp_1")
                assert said.status_code == 503
                assert "hunter2" not in said.text
                assert client.get("/health/live").status_code == 200
            finally:
                postgres.start()
            ask(server, "hello again", model="tiny")


def test_a_postgresql_that_is_not_there_is_named_without_its_password(tmp_path: Path, postgres: PostgresServer):
    code, _, said = refused(tmp_path / "home", FREDDY_DATABASE=postgres.url("nowhere", password="hunter2"))
    assert code == 1
    assert "no database of this name" in said
    assert "hunter2" not in said
