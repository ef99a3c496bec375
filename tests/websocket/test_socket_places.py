"""One organization cannot have all the connections that a server can take."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from freddy.server.core import errors
from freddy.server.http.places import Places
from freddy_process import BOUND, Served, serving, wait_until
from freddy_upstream import Upstream

resource = pytest.importorskip("resource")
FILES = 100
SHARE = FILES // 4


def test_an_organization_has_a_share_of_the_files_and_gives_back_what_it_took():
    places = Places(lambda: 8)
    with contextlib.ExitStack() as ours:
        ours.enter_context(places.taken("org_a"))
        with places.taken("org_a"):
            with pytest.raises(errors.RateLimited) as refused, places.taken("org_a"):
                pass
            with places.taken("org_b"):
                pass
        with places.taken("org_a"):
            pass
    assert "2 WebSockets and streams" in refused.value.message
    assert refused.value.retry_after


def test_the_share_is_that_of_the_limit_as_it_is_by_now_and_never_nothing():
    files = [4]
    places = Places(lambda: files[0])
    with places.taken("org_a"):
        with pytest.raises(errors.RateLimited), places.taken("org_a"):
            pass
        files[0] = 8
        with places.taken("org_a"):
            pass
    files[0] = 0
    with places.taken("org_a"):
        pass


@contextlib.contextmanager
def socket(server: Served) -> Iterator[ClientConnection]:
    with connect(
        f"ws://127.0.0.1:{server.port}/v1/responses",
        additional_headers={"authorization": f"Bearer {server.key}"},
        proxy=None,
        open_timeout=BOUND,
    ) as connection:
        yield connection


def refused(server: Served) -> tuple[int, dict, str]:
    with pytest.raises(InvalidStatus) as raised, socket(server):
        pass
    reply = raised.value.response
    return reply.status_code, json.loads(reply.body)["error"], reply.headers["retry-after"]


@pytest.mark.skipif(sys.platform != "linux", reason="bounds the files of a process that runs")
def test_sockets_and_streams_are_refused_when_an_organization_has_its_share(tmp_path: Path):
    with (
        Upstream() as upstream,
        serving(tmp_path / "home", FREDDY_UPSTREAM_URL=upstream.url) as server,
        server.client() as http,
    ):
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (FILES, hard))
        body = {"model": "m", "input": "hold", "background": True}
        held = http.post("/v1/responses", json=body).raise_for_status().json()
        upstream.wait_held(1)
        streams = [f"{path}/{held['id']}?stream=true" for path in ("/v1/responses", "/v1/model/response")]
        with contextlib.ExitStack() as stack:
            for _ in range(SHARE - 2):
                stack.enter_context(socket(server))
            for stream in streams:
                assert stack.enter_context(http.stream("GET", stream)).status_code == 200
            status, error, later = refused(server)
            assert (status, error["type"], error["code"]) == (429, "rate_limit_error", "rate_limit_exceeded")
            assert f"{SHARE} WebSockets and streams" in error["message"]
            assert int(later) > 0
            openai, freddy = [http.get(stream) for stream in streams]
            assert (openai.status_code, openai.json()["error"]["code"]) == (429, "rate_limit_exceeded")
            assert (freddy.status_code, freddy.json()["error"]["type"]) == (429, "rate_limit_error")
            assert int(freddy.headers["retry-after"]) > 0
            # Nothing else is refused.
            assert http.get(f"/v1/responses/{held['id']}").json()["status"] == "in_progress"
        wait_until(lambda: opens(server))
        upstream.release()
        assert http.get(streams[0]).text.endswith("data: [DONE]\n\n")


def opens(server: Served) -> bool:
    try:
        with socket(server):
            return True
    except InvalidStatus:
        return False
