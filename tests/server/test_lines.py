"""What a server writes to its log, what it keeps in memory, and what hang-ups do, with one server for all."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from freddy_process import Served, serving, stream_events, wait_until
from freddy_upstream import ANSWER, Upstream

pytestmark = pytest.mark.xdist_group("lines")
STREAMS = 200
PER_STREAM = 128 * 1024
"""Bytes that one idle stream may take, coarsely: sockets, tasks and events of both its sides."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("lines") / "home"
    variables = {"FREDDY_LOG_LEVEL": "debug", "FREDDY_UPSTREAM_KEY": "sk-upstream-secret"}
    with serving(home, FREDDY_UPSTREAM_URL=upstream.url, **variables) as server:
        yield server


def memory(server: Served) -> int:
    """Bytes of the server in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


async def one_stream(client: httpx2.AsyncClient, begun: asyncio.Semaphore) -> list[dict[str, Any]]:
    text, said = "", False
    asked = {"inputs": "hold", "model": "m"}
    async with client.stream("POST", "/v1/model/response/stream", json=asked) as answer:
        async for piece in answer.aiter_text():
            text += piece
            if not said and "becomes" in text:
                said = True
                begun.release()
    return stream_events(text)


async def test_two_hundred_idle_streams_take_little_and_all_end(server: Served, upstream: Upstream):
    async with server.asynchronous() as client:
        # The first ones fill pools and caches.
        for hundred in (20, STREAMS):
            before = memory(server)
            begun = asyncio.Semaphore(0)
            async with asyncio.TaskGroup() as tasks:
                streams = [tasks.create_task(one_stream(client, begun)) for _ in range(hundred)]
                for _ in streams:
                    await begun.acquire()
                grown = memory(server) - before
                upstream.release()
            upstream.hold()
            for stream in streams:
                last = stream.result()[-1]
                assert last["type"] == "response.completed"
                assert last["response"]["response"] == ANSWER
        assert grown < STREAMS * PER_STREAM
        metrics = (await client.get("/metrics")).text
    assert "freddy_runs_in_progress 0.0" in metrics


@pytest.mark.parametrize("stream", [True, False])
async def test_a_caller_that_leaves_stops_the_upstream(server: Served, upstream: Upstream, stream: bool):
    async with server.asynchronous() as client:
        left = upstream.left
        asked = {"inputs": "hold", "model": "m", "stream": stream, "thread": f"left_{stream}"}
        async with asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(client.post("/v1/model/response", json=asked))
            await asyncio.to_thread(upstream.wait_held, 1)
            calling.cancel()
        await asyncio.to_thread(upstream.wait_left, left + 1)
        # The thread goes on as if nobody had asked.
        asked |= {"inputs": "Hi", "stream": False}
        assert (await client.post("/v1/model/response", json=asked)).json()["response"] == ANSWER
        messages = (await client.get(f"/v1/threads/left_{stream}/messages")).json()["data"]
        assert [message["content"] for message in messages] == [ANSWER, "Hi"]


def test_every_log_line_is_json_and_none_holds_what_people_said(server: Served):
    secrets = ["sk-frdy-notakey0123456789", "repeat-violet", "break-crimson", "title-amber"]
    with server.client() as client:
        for path in ("/v1/model/response", "/v1/responses"):
            for text in secrets[1:]:
                for stream in (False, True):
                    asked = {"inputs": text, "input": text, "model": "m", "stream": stream}
                    del asked["input" if "model" in path else "inputs"]
                    client.post(path, json=asked)
            client.post(path, content=b'{"input": "repeat-violet')
            client.post(path, json={"input": "title-amber", "model": "title-amber", "temperature": "title-amber"})
        client.post("/v1/threads", json={"title": "title-amber", "metadata": {"title-amber": "title-amber"}})
        client.get("/v1/threads/title-amber?key=sk-frdy-notakey0123456789")
        client.get("/title-amber")
    with server.client(secrets[0]) as client:
        assert client.get("/v1/models").status_code == 401
    lines = server.said().splitlines()
    assert sum(json.loads(line).get("event") == "request" for line in lines) > 20
    assert all({"time", "level", "logger"} <= json.loads(line).keys() for line in lines)
    said = server.said()
    for secret in (*secrets, server.key, "sk-upstream-secret", ANSWER, "leaves", "becomes"):
        assert secret not in said
    assert "traceback" not in said


def test_runs_that_ended_leave_no_process_and_no_connection(server: Served, upstream: Upstream):
    wait_until(lambda: upstream.held == 0)
    assert server.children() == []
