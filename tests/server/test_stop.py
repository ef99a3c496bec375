"""A server that is told to stop: what runs gets its time, and nothing is left behind."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from freddy_process import Served, serving, stream_events
from freddy_upstream import ANSWER, Upstream

HOLD = {"inputs": "hold", "model": "m"}


def stream(server: Served, began: threading.Event | None = None) -> list[dict[str, Any]]:
    """The events of a held stream."""
    text = ""
    with server.client() as client, client.stream("POST", "/v1/model/response/stream", json=HOLD) as answer:
        for piece in answer.iter_text():
            text += piece
            if began and "becomes" in text:
                began.set()
    return stream_events(text)


def nothing_left(server: Served) -> bool:
    return os.listdir(server.home.with_name(server.home.name + "-tmp")) == []


def test_what_runs_may_end_and_its_callers_get_all_of_it(tmp_path: Path):
    with Upstream() as upstream, ThreadPoolExecutor() as callers:
        with (
            serving(tmp_path / "home", FREDDY_UPSTREAM_URL=upstream.url) as server,
            server.client() as client,
        ):
            streamed = callers.submit(stream, server)
            whole = callers.submit(client.post, "/v1/responses", json={"input": "hold", "model": "m"})
            upstream.wait_held(2)
            server.send(signal.SIGTERM)
            # The port closes first: whoever comes now finds another server, or tries again.
            server.wait_closed()
            upstream.release()
            last = streamed.result()[-1]
            assert last["type"] == "response.completed"
            assert last["response"]["response"] == ANSWER
            assert whole.result().json()["status"] == "completed"
            assert server.wait_ended() == 0
        assert nothing_left(server)


def test_what_outlasts_the_grace_ends_as_failed_and_says_so(tmp_path: Path):
    variables = {"FREDDY_SHUTDOWN_SECONDS": "0.2"}
    with Upstream() as upstream, ThreadPoolExecutor() as callers:
        variables["FREDDY_UPSTREAM_URL"] = upstream.url
        with serving(tmp_path / "home", **variables) as server, server.client() as client:
            began = threading.Event()
            streamed = callers.submit(stream, server, began)
            whole = callers.submit(client.post, "/v1/responses", json={"input": "hold", "model": "m"})
            background = client.post("/v1/model/response", json={**HOLD, "background": True}).json()
            upstream.wait_held(3)
            assert began.wait(30)
            server.send(signal.SIGTERM)
            events = streamed.result()
            assert server.wait_ended() == 0
            upstream.wait_left(3)
            assert events[-1]["type"] == "response.failed"
            failed = events[-1]["response"]
            assert (failed["status"], failed["error"]["code"]) == ("failed", "shutting_down")
            assert failed["output"][0]["content"][0]["text"] == "Light becomes "
            assert whole.result().status_code == 503
            assert "stopped before the response ended" in whole.result().json()["error"]["message"]
            assert "traceback" not in server.said()
        upstream.release()
        with serving(tmp_path / "home", **variables) as server, server.client() as client:
            kept = client.get(f"/v1/model/response/{failed['id']}").json()
            assert (kept["status"], kept["error"]["code"]) == ("failed", "shutting_down")
            followed = client.get(f"/v1/model/response/{background['id']}?stream=true")
            assert stream_events(followed.text)[-1]["type"] == "response.completed"


@pytest.mark.parametrize("path", ["/v1/model/response", "/v1/responses"])
def test_who_follows_what_goes_on_elsewhere_is_not_told_that_it_ended(tmp_path: Path, path: str):
    with Upstream() as upstream:
        variables = {"FREDDY_UPSTREAM_URL": upstream.url, "FREDDY_BACKGROUND_AT_ONCE": "1"}
        with serving(tmp_path / "home", **variables) as server, server.client() as client:
            client.post("/v1/model/response", json={**HOLD, "background": True})
            upstream.wait_held(1)
            queued = client.post("/v1/model/response", json={**HOLD, "background": True}).json()
            with client.stream("GET", f"{path}/{queued['id']}?stream=true") as answer:
                server.send(signal.SIGTERM)
                server.wait_closed()
                with pytest.raises(httpx2.RemoteProtocolError):
                    answer.read()
            upstream.release()
            assert server.wait_ended() == 0
            # It was broken off on purpose: there is nothing for an operator to look into.
            assert [one for one in server.events() if one["level"] == "error"] == []
        with serving(tmp_path / "home", **variables) as server, server.client() as client:
            followed = client.get(f"{path}/{queued['id']}?stream=true").text
            events = stream_events(followed.removesuffix("data: [DONE]\n\n"))
            assert events[-1]["type"] == "response.completed"
            over = client.get(f"{path}/{queued['id']}?stream=true&starting_after={events[-1]['sequence_number']}")
            assert over.status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_cuts_at_once(tmp_path: Path, number: signal.Signals):
    variables = {"FREDDY_SHUTDOWN_SECONDS": "3600"}
    with Upstream() as upstream, ThreadPoolExecutor() as callers:
        variables["FREDDY_UPSTREAM_URL"] = upstream.url
        with serving(tmp_path / "home", **variables) as server:
            began = threading.Event()
            streamed = callers.submit(stream, server, began)
            upstream.wait_held(1)
            assert began.wait(30)
            server.send(number)
            server.wait_closed()
            server.send(number)
            assert server.wait_ended() == 0
            assert streamed.result()[-1]["type"] == "response.failed"


def test_a_caller_that_does_not_read_cannot_hold_the_server_up(tmp_path: Path):
    variables = {"FREDDY_SHUTDOWN_SECONDS": "0"}
    with Upstream() as upstream:
        variables["FREDDY_UPSTREAM_URL"] = upstream.url
        with serving(tmp_path / "home", **variables) as server, server.client() as client:
            big = {"inputs": "repeat" + "x" * 3_000_000, "model": "m"}
            with client.stream("POST", "/v1/model/response/stream", json=big) as answer:
                assert answer.status_code == 200
                for _ in range(3):
                    server.send(signal.SIGTERM)
                    server.wait_closed()
                assert server.wait_ended() == 0
