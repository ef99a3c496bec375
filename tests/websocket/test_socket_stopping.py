"""A server that stops while WebSockets are open, as a process of its own."""

import asyncio
import json
import signal

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from freddy_process import BOUND, serving
from freddy_upstream import Upstream

CREATE = {"type": "response.create", "model": "scripted"}


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        yield upstream


def served(upstream, tmp_path, **variables):
    return serving(tmp_path / "home", FREDDY_UPSTREAM_URL=upstream.url, FREDDY_UPSTREAM_MODELS="*", **variables)


def connected(server):
    return connect(
        f"ws://127.0.0.1:{server.port}/v1/responses",
        additional_headers={"authorization": f"Bearer {server.key}"},
        proxy=None,
    )


async def heard(connection, kind):
    async with asyncio.timeout(BOUND):
        while True:
            event = json.loads(await connection.recv())
            if event["type"] == kind:
                return event


async def test_responses_in_flight_may_end_and_no_other_begins(upstream, tmp_path):
    with served(upstream, tmp_path) as server:
        async with connected(server) as idle, connected(server) as busy:
            await busy.send(json.dumps({**CREATE, "input": "hold", "stream_id": "main"}))
            await heard(busy, "response.output_text.delta")
            server.send(signal.SIGTERM)
            async with asyncio.timeout(BOUND):
                await idle.wait_closed()
            assert idle.close_code == 1012
            await busy.send(json.dumps({**CREATE, "input": "more", "stream_id": "other"}))
            error = await heard(busy, "error")
            assert (error["status"], error["stream_id"]) == (503, "other")
            upstream.release()
            assert (await heard(busy, "response.completed"))["response"]["status"] == "completed"
            async with asyncio.timeout(BOUND):
                await busy.wait_closed()
            assert busy.close_code == 1012
        assert await asyncio.to_thread(server.wait_ended) == 0


async def test_what_goes_on_elsewhere_is_told_no_further(upstream, tmp_path):
    with served(upstream, tmp_path, FREDDY_SHUTDOWN_SECONDS="0.2") as server:
        async with connected(server) as busy:
            await busy.send(json.dumps({**CREATE, "input": "hold", "background": True}))
            await heard(busy, "response.output_text.delta")
            server.send(signal.SIGTERM)
            error = await heard(busy, "error")
            assert error["status"] == 503
            assert "is stopping" in error["error"]["message"]
        assert await asyncio.to_thread(server.wait_ended) == 0


async def test_what_outlasts_the_grace_is_told_as_failed(upstream, tmp_path):
    with served(upstream, tmp_path, FREDDY_SHUTDOWN_SECONDS="0.2") as server:
        async with connected(server) as busy:
            await busy.send(json.dumps({**CREATE, "input": "hold"}))
            await heard(busy, "response.output_text.delta")
            server.send(signal.SIGTERM)
            assert (await heard(busy, "response.failed"))["response"]["status"] == "failed"
            with pytest.raises(ConnectionClosed):
                await heard(busy, "nothing more")
            assert busy.close_code == 1012
        assert await asyncio.to_thread(server.wait_ended) == 0
