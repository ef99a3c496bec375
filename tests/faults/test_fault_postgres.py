"""PostgreSQL that goes away under load and comes back: who was answered keeps the answer, the others are told why."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from breaking import Line
from faults_stage import Ledger

from databases import PostgresServer, postgres_server
from freddy.server.core import errors
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.wiring import storage
from freddy_process import BOUND, Served, serving, wait_until
from freddy_upstream import Upstream

SOCKET = ".s.PGSQL.5432"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    # What it said is committed is in the system's hands when it is killed. Only a power cut would take that.
    with postgres_server("synchronous_commit=on") as server:
        yield server


def variables(upstream: Upstream, database: str) -> dict[str, str]:
    return {"FREDDY_DATABASE": database, "FREDDY_UPSTREAM_URL": upstream.url}


def kill(postgres: PostgresServer) -> None:
    """The postmaster alone, as the system's killer of memory does; its children end when they see that."""
    postgres.stop("KILL")  # type: ignore[arg-type]
    data = postgres.folder / "data"
    wait_until(lambda: not any(_works_in(process, data) for process in Path("/proc").glob("[0-9]*")))


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink() == folder
    except OSError:
        return False


def check_refusals(ledger: Ledger) -> None:
    """Everybody who was not answered was told what it is, and when to come again."""
    assert ledger.others == []
    for status, body, headers in ledger.refused:
        error: dict[str, Any] = body["error"]
        assert (status, error["code"]) == (503, "storage_unavailable"), body
        assert error["details"]
        if "cannot say what became" not in error["message"]:
            assert headers.get("retry-after"), body


async def unended(postgres: PostgresServer) -> list[str]:
    """Responses that nobody makes any more, and that say otherwise."""
    import asyncpg

    connection = await asyncpg.connect(postgres.url())
    try:
        rows = await connection.fetch("SELECT id FROM responses WHERE status NOT IN ('completed', 'failed')")
        return [row[0] for row in rows]
    finally:
        await connection.close()


def ask(server: Served) -> None:
    with server.client() as client:
        assert client.post("/v1/model/response", json={"inputs": "Hi", "model": "m"}).status_code == 200
        assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("how", ["restarted", "killed"])
async def test_a_postgresql_that_is_away_for_a_while_takes_no_answer_with_it(tmp_path: Path, postgres, how: str):
    with Upstream() as upstream, serving(tmp_path / "home", **variables(upstream, postgres.url())) as server:
        ledger = Ledger(server)
        async with ledger.asking():
            await ledger.wait_done(30)
            if how == "killed":
                kill(postgres)
            else:
                postgres.stop("INT")
            await ledger.wait_refused()
            with server.client() as client:
                assert client.get("/health/live").status_code == 200
                assert client.get("/health/ready").status_code == 503
            postgres.start()
            await ledger.wait_done(30)
        check_refusals(ledger)
        await ledger.check_kept()
        ask(server)
        assert await unended(postgres) == []


async def test_a_postgresql_that_is_back_within_seconds_is_hardly_noticed(tmp_path: Path, postgres):
    with Upstream() as upstream, serving(tmp_path / "home", **variables(upstream, postgres.url())) as server:
        ledger = Ledger(server)
        async with ledger.asking():
            for how in ("INT", "QUIT"):
                await ledger.wait_done(20)
                postgres.stop(how)
                postgres.start()
            await ledger.wait_done(20)
        check_refusals(ledger)
        await ledger.check_kept()
        ask(server)


async def test_connections_to_postgresql_that_break_are_made_again(tmp_path: Path, postgres):
    with Upstream() as upstream, Line(f"{postgres.folder}/{SOCKET}") as line:
        database = f"postgresql://freddy@127.0.0.1:{line.port}/postgres?sslmode=disable"
        with serving(tmp_path / "home", **variables(upstream, database)) as server:
            ledger = Ledger(server)
            async with ledger.asking():
                for _ in range(10):
                    await ledger.wait_done(10)
                    line.reset()
                await ledger.wait_done(20)
            check_refusals(ledger)
            await ledger.check_kept()
            ask(server)
            assert await unended(postgres) == []
            assert "traceback" not in server.said().lower()


async def test_a_postgresql_that_falls_silent_is_given_up_and_taken_up_again(postgres):
    with Line(f"{postgres.folder}/{SOCKET}") as line:
        url = f"postgresql://freddy@127.0.0.1:{line.port}/postgres?sslmode=disable"
        async with asyncio.timeout(BOUND), PostgresDatabase(url, patience=0.5) as database:
            assert await storage.readable(database) == "ok"
            line.stall()
            for _ in range(3):
                with pytest.raises(errors.StorageUnavailable) as told:
                    await storage.readable(database)
                assert told.value.retry_after
            line.mend()
            assert await storage.readable(database) == "ok"
