"""Lines to Redis and to upstreams that are cut, reset and stalled in the middle of the work."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking import Line
from faults_stage import Ledger

from freddy_process import Served, serving, wait_until
from freddy_upstream import ANSWER, Upstream
from valkeys import Valkey, valkey


@pytest.fixture
def counters() -> Iterator[Valkey]:
    with valkey() as server:
        yield server


def asked(server: Served, text: str = "Hi") -> tuple[int, str]:
    with server.client() as client:
        answer = client.post("/v1/model/response", json={"inputs": text, "model": "m"})
        return answer.status_code, (answer.json().get("error") or {}).get("code", "")


def said(server: Served, event: str) -> int:
    return sum(one["event"] == event for one in server.events())


@pytest.mark.parametrize("how", ["stall", "cut"])
async def test_redis_that_goes_away_costs_nobody_an_answer_where_that_is_allowed(tmp_path: Path, counters, how: str):
    with Upstream() as upstream, Line(str(counters.path)) as line:
        variables = {
            "FREDDY_UPSTREAM_URL": upstream.url,
            "FREDDY_REDIS_URL": f"redis://127.0.0.1:{line.port}/0",
            "FREDDY_LIMITS_KEY_REQUESTS_PER_MINUTE": "1000000",
        }
        with serving(tmp_path / "home", **variables) as server:
            ledger = Ledger(server)
            async with ledger.asking():
                await ledger.wait_done(20)
                line.stall() if how == "stall" else line.cut()
                await ledger.wait_done(60)
                line.mend()
                wait_until(lambda: said(server, "limits_store_back") == 1)
                await ledger.wait_done(20)
            assert (ledger.refused, ledger.others) == ([], [])
            assert said(server, "limits_store_away") == 1
            await ledger.check_kept()


def test_redis_that_goes_away_refuses_those_with_limits_where_that_is_asked_for(tmp_path: Path, counters: Valkey):
    with Upstream() as upstream:
        variables = {
            "FREDDY_UPSTREAM_URL": upstream.url,
            "FREDDY_REDIS_URL": counters.url,
            "FREDDY_LIMITS_KEY_REQUESTS_PER_MINUTE": "1000000",
            "FREDDY_LIMITS_ON_FAILURE": "refuse",
        }
        with serving(tmp_path / "home", **variables) as server:
            assert asked(server) == (200, "")
            counters.stop()
            assert asked(server) == (503, "limits_unavailable")
            with server.client() as client:
                refused = client.post("/v1/model/response", json={"inputs": "Hi", "model": "m"})
                assert refused.headers["retry-after"] == "1"
                assert client.get("/health/ready").status_code == 200
                assert client.post("/v1/threads", json={}).status_code in (200, 201)
            counters.start()
            wait_until(lambda: asked(server) == (200, ""))


def test_an_upstream_whose_line_breaks_ends_the_answer_and_not_the_server(tmp_path: Path):
    with Upstream() as upstream, Line(int(upstream.url.rpartition(":")[2].split("/")[0])) as line:
        address = upstream.url.replace(upstream.url.rpartition(":")[2].split("/")[0], str(line.port))
        variables = {"FREDDY_UPSTREAM_URL": address, "FREDDY_UPSTREAM_IDLE_SECONDS": "2", "FREDDY_RETRIES": "0"}
        with serving(tmp_path / "home", **variables) as server, server.client() as client:
            assert asked(server) == (200, "")
            # A line that breaks, and one that is silent for longer than an upstream may be.
            for how in (line.reset, line.stall):
                with client.stream(
                    "POST", "/v1/model/response", json={"inputs": "hold", "model": "m", "stream": True}
                ) as answer:
                    lines = answer.iter_lines()
                    assert any("becomes" in one for one in lines)
                    how()
                    last = [one for one in lines if one.startswith("data: {")][-1]
                assert "response.failed" in last
                line.mend()
            line.cut()
            status, code = asked(server)
            assert status in (502, 503), code
            line.mend()
            answer = client.post("/v1/model/response", json={"inputs": "Hi", "model": "m"})
            assert answer.json()["response"] == ANSWER
