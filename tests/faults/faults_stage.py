"""Callers who keep asking while something breaks, and who write down what they were told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from freddy_process import BOUND, Served

Json = dict[str, Any]


class Ledger:
    """What a server has told its callers.

    `done` are the responses told as completed, `refused` the errors: status, body and headers. Half of the callers ask
    in a thread of their own each, the others stream theirs.
    """

    def __init__(self, server: Served) -> None:
        self.done: list[Json] = []
        self.refused: list[tuple[int, Json, dict[str, str]]] = []
        self.others: list[object] = []
        """What no caller should ever see."""
        self._server = server
        self._changed = asyncio.Event()
        self._over = False

    @asynccontextmanager
    async def asking(self, callers: int = 6) -> AsyncIterator[None]:
        """Callers ask one question after the other until the context ends, and hear the answer to their last."""
        async with self._server.asynchronous() as client, asyncio.TaskGroup() as tasks:
            for number in range(callers):
                tasks.create_task(self._ask_on(client, number, stream=number % 2 == 1))
            try:
                yield
            finally:
                self._over = True

    async def wait_done(self, more: int) -> None:
        """Until so many more were answered."""
        wanted = len(self.done) + more
        await self._wait(lambda: len(self.done) >= wanted)

    async def wait_refused(self) -> None:
        """Until somebody is refused."""
        wanted = len(self.refused) + 1
        await self._wait(lambda: len(self.refused) >= wanted)

    async def check_kept(self) -> None:
        """Every answer that was told is there, as it was told; and threads hold whole turns, and nothing else."""
        async with self._server.asynchronous() as client:
            for told in self.done:
                kept = await client.get(f"/v1/model/response/{told['id']}")
                assert (kept.status_code, kept.json()) == (200, told)
            for thread in sorted({told["thread"] for told in self.done}):
                page = await client.get(f"/v1/threads/{thread}/messages?limit=100&order=asc")
                messages = page.json()["data"]
                assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)
                owners = [message["response_id"] for message in messages]
                assert owners[::2] == owners[1::2]

    async def _wait(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(2 * BOUND):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _ask_on(self, client: httpx2.AsyncClient, number: int, *, stream: bool) -> None:
        turn = 0
        while not self._over:
            # A thread is short enough to be looked at whole.
            thread = f"thread_{number}_{turn // 40}"
            asked = {"inputs": "Hi", "model": "m", "thread": thread, "stream": stream}
            turn += 1
            try:
                await (self._stream(client, asked) if stream else self._whole(client, asked))
            except httpx2.TransportError as error:
                self.others.append(error)
            self._changed.set()
            # A caller that was refused is no faster than others.
            await asyncio.sleep(0.01)

    async def _whole(self, client: httpx2.AsyncClient, asked: Json) -> None:
        self._hear(await client.post("/v1/model/response", json=asked))

    async def _stream(self, client: httpx2.AsyncClient, asked: Json) -> None:
        async with client.stream("POST", "/v1/model/response", json=asked) as answer:
            if answer.status_code != 200:
                await answer.aread()
                self._hear(answer)
                return
            last: Json = {}
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    last = json.loads(line[6:])
        match last.get("type"):
            case "response.completed":
                self.done.append(last["response"])
            case "response.failed":
                self.refused.append((503, {"error": last["response"]["error"]}, {"retry-after": "in a stream"}))
            case _:
                self.others.append(last)

    def _hear(self, answer: httpx2.Response) -> None:
        if answer.status_code == 200:
            self.done.append(answer.json())
        else:
            self.refused.append((answer.status_code, answer.json(), dict(answer.headers)))
