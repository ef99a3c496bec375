"""A chat-completions server in a thread of its own, for servers that run as processes. Prompts steer it."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any, Self

WORDS = ("Light ", "becomes ", "sugar ", "in ", "leaves.")
ANSWER = "".join(WORDS)
BOUND = 30.0


class Upstream:
    """Says `WORDS`. By what the last message contains it does otherwise:

    `hold` waits after the second word until `release`; `call` calls a function after the words, and holds in
    the middle of its arguments; `repeat` says the message itself; `break` fails and tells what it was asked.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.held = 0
        """Answers that wait now."""
        self.left = 0
        """Callers that went away while their answer waited."""
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._released = asyncio.Event()
        self._ended = asyncio.Event()

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)))
        self._thread.start()
        ready.wait(BOUND)
        return self

    def __exit__(self, *_: object) -> None:
        self._tell(self._ended)
        self._thread.join(BOUND)

    def release(self) -> None:
        """Lets every held answer go on, and those to come."""
        self._tell(self._released)

    def hold(self) -> None:
        """Answers to come are held again."""
        self._released.clear()

    def wait_held(self, number: int) -> None:
        """Until so many answers wait at once."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.held >= number, BOUND), f"{self.held} of {number} held"

    def wait_left(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.left >= number, BOUND), f"{self.left} of {number} left"

    def _tell(self, event: asyncio.Event) -> None:
        assert self._loop
        self._loop.call_soon_threadsafe(event.set)

    async def _run(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await self._ended.wait()
        server.close()
        self._released.set()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self._answer(reader, writer)
            finally:
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        body = json.loads(await reader.readexactly(length))
        self.asked.append(body)
        prompt = _prompt(body)
        if "break" in prompt:
            _whole(writer, 500, {"error": {"message": f"broken by {prompt}"}})
            return
        chunks = list(_chunks(prompt))
        stop, usage = chunks.pop(), {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        if not body.get("stream"):
            await self._wait(prompt, reader)
            _whole(writer, 200, _completion(chunks, stop, usage))
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        middle = len(chunks) - 1 if "call" in prompt else 2
        for place, chunk in enumerate([*chunks, {**stop, "usage": usage}]):
            if place == middle:
                await writer.drain()
                if not await self._wait(prompt, reader):
                    return
            writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()

    async def _wait(self, prompt: str, reader: asyncio.StreamReader) -> bool:
        """Whether the caller is still there after the wait."""
        if "hold" not in prompt:
            return True
        self._count(held=1)
        waits = asyncio.ensure_future(self._released.wait())
        gone = asyncio.ensure_future(reader.read())
        try:
            await asyncio.wait((waits, gone), return_when=asyncio.FIRST_COMPLETED)
            stays = not gone.done()
        finally:
            waits.cancel()
            gone.cancel()
            await asyncio.gather(waits, gone, return_exceptions=True)
            self._count(held=-1)
        self._count(left=not stays)
        return stays

    def _count(self, *, held: int = 0, left: int = 0) -> None:
        with self._changed:
            self.held += held
            self.left += left
            self._changed.notify_all()


def _prompt(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _chunks(prompt: str) -> Iterator[dict[str, Any]]:
    """The words, then how it ended."""
    words = (prompt,) if "repeat" in prompt else WORDS
    yield from (_chunk({"content": word}) for word in words)
    if "call" not in prompt:
        yield _chunk({}, "stop")
        return
    pieces = ('{"city":', '"Rome"}')
    function = {"name": "get_weather", "arguments": pieces[0]}
    yield _chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
    yield _chunk({"tool_calls": [{"index": 0, "function": {"arguments": pieces[1]}}]})
    yield _chunk({}, "tool_calls")


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "model": "scripted", "choices": [choice]}


def _completion(chunks: list[dict[str, Any]], stop: dict[str, Any], usage: dict[str, int]) -> dict[str, Any]:
    said = [chunk["choices"][0]["delta"] for chunk in chunks]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(one.get("content", "") for one in said),
    }
    calls = [call for one in said for call in one.get("tool_calls", ())]
    if calls:
        arguments = "".join(call["function"]["arguments"] for call in calls)
        message["tool_calls"] = [{**calls[0], "function": {**calls[0]["function"], "arguments": arguments}}]
    choice = {"index": 0, "message": message, "finish_reason": stop["choices"][0]["finish_reason"]}
    return {"id": "c", "object": "chat.completion", "model": "scripted", "choices": [choice], "usage": usage}


def _whole(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n"
    writer.write(f"{head}connection: close\r\n\r\n".encode() + text)
