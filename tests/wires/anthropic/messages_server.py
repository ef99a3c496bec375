"""A simulator of Anthropic's Messages API over real sockets, built from the published specification.

It refuses what the vendor documents to refuse, answers what it is told to, and breaks where it is told to.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from freddy_fakes import PATIENCE

_FIELDS = {
    "model",
    "max_tokens",
    "messages",
    "system",
    "stream",
    "temperature",
    "top_p",
    "stop_sequences",
    "thinking",
    "tools",
    "tool_choice",
    "output_config",
}
_COUNTED = _FIELDS - {"max_tokens", "stream", "temperature", "top_p", "stop_sequences"}
_BLOCKS = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use"},
}


class Refused(Exception):
    """What the vendor answers with status 400."""


def must(holds: object, message: str) -> None:
    if not holds:
        raise Refused(message)


def check(asked: dict[str, Any], *, counts: bool = False) -> None:
    """The rules of the reference, as far as they concern what a client writes."""
    must(not set(asked) - (_COUNTED if counts else _FIELDS), "Extra inputs are not permitted")
    must(isinstance(asked.get("model"), str), "model: Field required")
    if not counts:
        must(isinstance(asked.get("max_tokens"), int) and asked["max_tokens"] > 0, "max_tokens: Field required")
    must(0 <= asked.get("temperature", 1) <= 1, "temperature: range: 0..1")
    thinking, choice = asked.get("thinking", {}), asked.get("tool_choice", {})
    if thinking.get("type") == "enabled":
        must(thinking["budget_tokens"] >= 1024, "thinking.budget_tokens: at least 1024")
        must(counts or thinking["budget_tokens"] < asked["max_tokens"], "max_tokens must be greater than the budget")
    if thinking.get("type") in ("enabled", "adaptive"):
        must(asked.get("temperature", 1) == 1, "temperature may only be set to 1 when thinking is enabled")
        must(asked.get("top_p", 1) >= 0.95, "top_p must be at least 0.95 when thinking is enabled")
        must(choice.get("type") not in ("any", "tool"), "Thinking may not be enabled when tool_choice forces tool use.")
    names = [tool["name"] for tool in asked.get("tools", ())]
    must(len(names) == len(set(names)), "tools: Tool names must be unique.")
    must(all(tool["input_schema"]["type"] == "object" for tool in asked.get("tools", ())), "input_schema.type: object")
    must(not choice or names, "tool_choice may only be specified while providing tools")
    must(choice.get("type") != "tool" or choice["name"] in names, "Tool not found in provided tools")
    _messages(asked["messages"], tools=bool(names))


def _messages(messages: list[dict[str, Any]], *, tools: bool) -> None:
    must(messages, "messages: at least one message is required")
    must(messages[0]["role"] == "user", "messages: first message must use the user role")
    waiting: list[str] = []
    used: set[str] = set()
    for at, message in enumerate(messages):
        role, content = message["role"], message["content"]
        must(role == ("user", "assistant")[at % 2], "roles must alternate")
        must(content, "messages: content must not be empty")
        must(all(block["type"] in _BLOCKS[role] for block in content), "unknown block")
        must(all(block["type"] != "text" or block["text"].strip() for block in content), "text must be non-empty")
        if role == "assistant":
            must(content[-1]["type"] not in ("thinking", "redacted_thinking"), "final block cannot be `thinking`")
            waiting = [block["id"] for block in content if block["type"] == "tool_use"]
            must(all(re.fullmatch(r"[a-zA-Z0-9_-]+", one) for one in waiting), "String should match pattern")
            must(not used & set(waiting) and len(set(waiting)) == len(waiting), "`tool_use` ids must be unique")
            must(tools or not waiting, "tools must be defined")
            used |= set(waiting)
            continue
        answered = [block.get("tool_use_id") for block in content[: len(waiting)]]
        must(set(answered) == set(waiting), "`tool_use` ids were found without `tool_result` blocks immediately after")
        rest = content[len(waiting) :]
        must(all(block["type"] != "tool_result" for block in rest), "unexpected `tool_use_id`")
        waiting = []
    must(not waiting, "`tool_use` without `tool_result`")


@dataclass(frozen=True)
class Say:
    """Answers with these events, or with this message where no stream is asked for. `cut` breaks off after so many."""

    events: tuple[bytes, ...] = ()
    message: bytes = b""
    cut: int | None = None
    how: Literal["end", "close", "reset"] = "close"


@dataclass(frozen=True)
class Fault:
    """Answers with a status."""

    status: int
    kind: str
    message: str = "No."
    retry_after: str | None = None


class MessagesServer:
    def __init__(self, answers: Iterable[Say | Fault] = (), *, key: str = "secret") -> None:
        self.asked: list[dict[str, Any]] = []
        self._answers = list(answers)
        self._key = key
        self._tasks: list[asyncio.Task[None] | None] = []
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(task for task in self._tasks if task is not None), return_exceptions=True)
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.current_task())
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                if not await self._answer(first.split(" ")[1], headers, json.loads(body), writer):
                    break
        writer.close()

    async def _answer(
        self, path: str, headers: dict[str, str], asked: dict[str, Any], writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection goes on."""
        self.asked.append(asked)
        counts = path.endswith("/count_tokens")
        if headers.get("x-api-key") != self._key:
            return self._fault(writer, Fault(401, "authentication_error", "invalid x-api-key"))
        if headers.get("anthropic-version") != "2023-06-01" or path not in (
            "/v1/messages",
            "/v1/messages/count_tokens",
        ):
            return self._fault(writer, Fault(404, "not_found_error", "Not found"))
        try:
            check(asked, counts=counts)
        except Refused as refused:
            return self._fault(writer, Fault(400, "invalid_request_error", str(refused)))
        if counts:
            return self._whole(writer, "200 OK", json.dumps({"input_tokens": len(json.dumps(asked))}).encode())
        answer = self._answers.pop(0)
        if isinstance(answer, Fault):
            return self._fault(writer, answer)
        if not asked.get("stream"):
            return self._whole(writer, "200 OK", answer.message)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for event in answer.events[: answer.cut]:
            writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        if answer.cut is not None and answer.how != "end":
            if answer.how == "reset":
                writer.transport.abort()
            return False
        writer.write(b"0\r\n\r\n")
        return True

    def _fault(self, writer: asyncio.StreamWriter, fault: Fault) -> bool:
        told = {"type": "error", "error": {"type": fault.kind, "message": fault.message}, "request_id": "req_011"}
        again = f"retry-after: {fault.retry_after}\r\n" if fault.retry_after else ""
        return self._whole(writer, f"{fault.status} X", json.dumps(told).encode(), again)

    def _whole(self, writer: asyncio.StreamWriter, status: str, body: bytes, more: str = "") -> bool:
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        return True
