"""A server that dies between the end of a response and its delivery: the next one delivers the same event."""

import asyncio
from pathlib import Path

from webhooks_stage import OK, Receiver, unwrapped

from freddy_process import serving, wait_until
from upstream import Upstream

PATH = "/v1/webhooks"


async def test_what_a_killed_server_had_not_delivered_the_next_one_delivers(tmp_path: Path):
    home = tmp_path / "home"
    async with Receiver() as receiver, Upstream() as upstream:
        receiver.answers = [OK]
        webhook, response_id, event_id = await asyncio.to_thread(_killed, home, upstream.url, receiver.url)
        assert receiver.heard == []
        [heard] = await asyncio.to_thread(_served, home, upstream.url, receiver)
    event = unwrapped(webhook["signing_secret"], heard)
    assert (event.type, event.data.id) == ("response.completed", response_id)
    assert heard.headers["webhook-id"] == event.id == event_id


def _killed(home: Path, upstream: str, url: str) -> tuple[dict, str, str]:
    """A server that delivers nothing, and is killed as soon as the response has ended."""
    with serving(home, FREDDY_UPSTREAM_URL=upstream, FREDDY_WEBHOOKS_AT_ONCE="0") as server, server.client() as http:
        webhook = http.post(PATH, json={"url": url}).raise_for_status().json()
        begun = http.post("/v1/responses", json={"model": "stage", "input": "Hi", "background": True}).json()
        where = f"{PATH}/{webhook['id']}/deliveries"
        wait_until(lambda: bool(http.get(where).json()["data"]))
        found = http.get(where).json()["data"]
        assert (found[0]["status"], found[0]["attempts"]) == ("pending", 0)
        server.kill()
    return webhook, begun["id"], found[0]["id"]


def _served(home: Path, upstream: str, receiver: Receiver) -> list:
    with serving(home, FREDDY_UPSTREAM_URL=upstream) as _:
        wait_until(lambda: bool(receiver.heard))
    return receiver.heard
