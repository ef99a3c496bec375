"""A server that dies in the middle of everything: what it had told as done is there when it comes back."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2

from freddy_process import Served, serving
from freddy_upstream import ANSWER, Upstream

ENOUGH = 150
"""Answers told as done before the end, with others on their way at any moment."""
TOOLS = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]


class Callers:
    """Many at once, and what each was told before the line went dead."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self.done: list[dict[str, Any]] = []
        """Responses told as completed, as they were told."""
        self.items: dict[str, list[dict[str, Any]]] = {}
        """Items told as done, by the path of their response."""
        self.held: set[str] = set()
        """Responses in whose middle the end came."""
        self.enough = asyncio.Event()
        self.holding = asyncio.Semaphore(0)

    async def perform(self, *, streams: int, items: int) -> None:
        async with self._server.asynchronous() as client, asyncio.TaskGroup() as tasks:
            for number in range(4):
                tasks.create_task(self._until_dead(self._whole(client, number)))
                tasks.create_task(self._until_dead(self._streams(client, number)))
            for _ in range(streams):
                tasks.create_task(self._until_dead(self._held(client, "/v1/model/response", {"inputs": "hold"})))
            for _ in range(items):
                asked = {"input": "hold call", "tools": TOOLS}
                tasks.create_task(self._until_dead(self._held(client, "/v1/responses", asked)))
            for _ in range(streams + items):
                await self.holding.acquire()
            await self.enough.wait()
            await asyncio.to_thread(self._server.kill)

    async def _until_dead(self, calling: Awaitable[None]) -> None:
        try:
            await calling
        except httpx2.TransportError:
            return
        raise AssertionError("it outlived the server")

    async def _whole(self, client: httpx2.AsyncClient, number: int) -> None:
        while True:
            asked = {"inputs": "Hi", "model": "m", "thread": f"thread_whole_{number}"}
            answer = await client.post("/v1/model/response", json=asked)
            assert answer.status_code == 200
            self._tell_done(answer.json())

    async def _streams(self, client: httpx2.AsyncClient, number: int) -> None:
        path = "/v1/model/response"
        while True:
            asked = {"inputs": "Hi", "model": "m", "thread": f"thread_stream_{number}", "stream": True}
            async with client.stream("POST", path, json=asked) as answer:
                async for response_id, event in _events(answer):
                    self._hear(f"{path}/{response_id}", event)

    async def _held(self, client: httpx2.AsyncClient, path: str, asked: dict[str, Any]) -> None:
        thread = {"thread": "thread_held"} if "inputs" in asked else {"conversation": None}
        async with client.stream("POST", path, json={**asked, **thread, "model": "m", "stream": True}) as answer:
            waited_for = "response.function_call_arguments.delta" if "call" in str(asked) else "becomes"
            async for response_id, event in _events(answer):
                self._hear(f"{path}/{response_id}", event)
                if waited_for in str(event):
                    self.held.add(response_id)
                    self.holding.release()

    def _hear(self, place: str, event: dict[str, Any]) -> None:
        if event["type"] == "response.output_item.done":
            self.items.setdefault(place, []).append(event["item"])
        elif event["type"] == "response.completed":
            self._tell_done(event["response"])

    def _tell_done(self, response: dict[str, Any]) -> None:
        self.done.append(response)
        if len(self.done) >= ENOUGH:
            self.enough.set()


async def _events(answer: httpx2.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Each with the id of its response, which the first one tells."""
    response_id = ""
    async for line in answer.aiter_lines():
        if line.startswith("data: {"):
            event = json.loads(line[6:])
            response_id = response_id or event.get("response", event)["id"]
            yield response_id, event


async def test_what_was_told_as_done_outlives_the_power(tmp_path: Path):
    home = tmp_path / "home"
    with Upstream() as upstream:
        variables = {"FREDDY_UPSTREAM_URL": upstream.url}
        with serving(home, **variables) as server:
            callers = Callers(server)
            # Some end only when nobody waits for them.
            async with server.asynchronous() as client:
                asked = {"inputs": "hold", "model": "m", "background": True}
                answers = [await client.post("/v1/model/response", json=asked) for _ in range(5)]
                background = {answer.json()["id"] for answer in answers}
            await callers.perform(streams=30, items=20)

        done = {response["id"] for response in callers.done}
        cut = callers.held | background
        assert len(done) >= ENOUGH
        assert len(cut) == 55
        assert len(callers.items) >= 20
        with closing(sqlite3.connect(home / "freddy.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

        with serving(home, **variables) as server:
            said = server.events()[0]
            assert said["event"] == "worker_buried"
            assert said["interrupted"] >= len(callers.held)
            async with server.asynchronous() as client:
                for told in callers.done:
                    kept = await client.get(f"/v1/model/response/{told['id']}")
                    assert kept.json() == told
                for response_id in background:
                    path = f"/v1/model/response/{response_id}"
                    assert (await client.get(path)).json()["status"] in ("queued", "in_progress")
                    assert (await client.post(f"{path}/cancel")).json()["status"] == "cancelled"
                for response_id in callers.held:
                    kept = (await client.get(f"/v1/model/response/{response_id}")).json()
                    assert (kept["status"], kept["error"]["code"]) == ("failed", "interrupted")
                    assert "Send the request again" in kept["error"]["details"]
                    assert kept["completed_at"]
                for path, items in callers.items.items():
                    kept = await client.get(path)
                    assert kept.json()["output"][: len(items)] == items
                    assert kept.json()["status"] in ("failed", "completed")
                await whole_threads(client)


async def whole_threads(client: httpx2.AsyncClient) -> None:
    """Every thread holds questions with their answers, and nothing else; and it goes on."""
    for kind in ("whole", "stream"):
        for number in range(4):
            thread = f"thread_{kind}_{number}"
            path = f"/v1/threads/{thread}/messages?limit=100&order=asc"
            messages = (await client.get(path)).json()["data"]
            assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)
            owners = [message["response_id"] for message in messages]
            assert owners[::2] == owners[1::2]
            assert ANSWER in str(messages[-1])
            asked = {"inputs": "Hi", "model": "m", "thread": thread}
            answer = await client.post("/v1/model/response", json=asked)
            assert answer.json()["response"] == ANSWER
    assert (await client.get("/v1/threads/thread_held/messages")).json()["data"] == []
