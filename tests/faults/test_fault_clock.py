"""The machine's clock jumps by hours, forwards and backwards, under a server that runs."""

import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from freddy_process import Served, serving
from freddy_upstream import ANSWER, Upstream
from valkeys import valkey

HOURS = 6 * 3600
PASSWORD = "correct horse battery"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="puts a library of its own before the C library"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clock") / "clock.so"
    words = ["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(Path(__file__).with_name("clock.c")), "-ldl"]
    subprocess.run(words, check=True, timeout=60)
    return made


class Clock:
    """The one that a server reads."""

    def __init__(self, file: Path, library: Path) -> None:
        self._file = file
        self.variables = {"LD_PRELOAD": str(library), "CLOCK_JUMP_FILE": str(file)}
        self.set(0)

    def set(self, seconds: int) -> None:
        """So far from the right time."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("@l", seconds))


@pytest.fixture
def clock(tmp_path: Path, library: Path) -> Clock:
    return Clock(tmp_path / "jump", library)


@contextmanager
def served(tmp_path: Path, clock: Clock, upstream: Upstream, **more: str) -> Iterator[Served]:
    variables = {"FREDDY_UPSTREAM_URL": upstream.url, "FREDDY_REGISTRATION": "on", "FREDDY_PASSWORD_COST": "8"}
    with serving(tmp_path / "home", **clock.variables, **variables, **more) as server:
        yield server


def ask(server: Served, text: str, **more: object) -> dict[str, Any]:
    with server.client() as client:
        answer = client.post("/v1/model/response", json={"inputs": text, "model": "m", **more})
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_runs_and_threads_go_on_through_jumps_of_the_clock(tmp_path: Path, clock: Clock):
    with (
        Upstream() as upstream,
        ThreadPoolExecutor() as callers,
        served(tmp_path, clock, upstream) as server,
        server.client() as client,
    ):
        said = ["repeat 0"]
        first = ask(server, said[0], thread="trip")
        now = first["created_at"]
        for number, jump in enumerate((HOURS, -HOURS, 0), 1):
            upstream.hold()
            held = callers.submit(ask, server, "hold")
            upstream.wait_held(1)
            clock.set(jump)
            said.append(f"repeat {number}")
            turn = ask(server, said[-1], thread="trip")
            assert abs(turn["created_at"] - (now + jump)) < 600, "the clock did not jump"
            upstream.release()
            assert held.result()["response"] == ANSWER
        messages = client.get("/v1/threads/trip/messages?order=asc&limit=100").json()["data"]
        assert [str(one["content"]).count(text) for one, text in zip(messages[::2], said, strict=True)] == [1] * 4
        # What a model is told is in the order in which it was said, too.
        assert [one["content"] for one in upstream.asked[-1]["messages"] if one["role"] == "user"] == said
        newest = client.get("/v1/threads/trip/messages?order=desc&limit=2").json()["data"]
        assert [one["response_id"] for one in newest] == [turn["id"]] * 2


@pytest.mark.parametrize("shared", [False, True], ids=["memory", "valkey"])
def test_limits_recover_within_a_minute_whatever_the_clock_says(tmp_path: Path, clock: Clock, shared: bool):
    with Upstream() as upstream, valkey() as counters:
        more = {"FREDDY_LIMITS_KEY_REQUESTS_PER_MINUTE": "3"} | ({"FREDDY_REDIS_URL": counters.url} if shared else {})
        with served(tmp_path, clock, upstream, **more) as server, server.client() as client:
            asked = {"inputs": "Hi", "model": "m"}
            for jump in (0, HOURS, -HOURS):
                clock.set(jump)
                answers = [client.post("/v1/model/response", json=asked) for _ in range(4)]
                assert answers[-1].status_code == 429
                assert 1 <= int(answers[-1].headers["retry-after"]) <= 61


def test_those_who_are_signed_in_refresh_and_go_on(tmp_path: Path, clock: Clock):
    with Upstream() as upstream, served(tmp_path, clock, upstream) as server:
        with server.client() as client:
            person = {"email": "ann@example.com", "password": PASSWORD, "full_name": "Ann"}
            assert client.post("/v1/auth/register", json=person).status_code in (200, 201)
            login = {"email_or_username": "ann@example.com", "password": PASSWORD}
            pair = client.post("/v1/auth/login", json=login).json()
        for jump in (0, HOURS, -HOURS, 0):
            clock.set(jump)
            with server.client(pair["access_token"]) as client:
                # A token of another time is old, or not of this world yet.
                assert client.get("/v1/user/me").status_code in (200, 401)
                pair = client.post("/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json()
            with server.client(pair["access_token"]) as client:
                assert client.get("/v1/user/me").status_code == 200


def test_a_request_that_is_sent_again_is_the_same_one_still(tmp_path: Path, clock: Clock):
    with Upstream() as upstream, served(tmp_path, clock, upstream) as server, server.client() as client:
        told = set()
        for jump in (0, HOURS, -HOURS, 0):
            clock.set(jump)
            answer = client.post(
                "/v1/model/response", json={"inputs": "Hi", "model": "m"}, headers={"idempotency-key": "once"}
            )
            assert answer.status_code == 200, answer.text
            told.add(answer.json()["id"])
        assert len(told) == 1
        assert len(upstream.asked) == 1
