"""A scripted server that speaks OpenAI's chat completions over real sockets, and holds its caller to their types."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

from openai.types.chat import completion_create_params as params
from pydantic import TypeAdapter, ValidationError

PATIENCE = 5.0
"""Seconds a test waits for something that must happen."""

MODEL = "stage-2026-01-01"
"""What this server calls itself in every answer."""

_BODIES = {
    kind.__name__: (
        TypeAdapter(kind),
        frozenset(kind.__annotations__) | frozenset(params.CompletionCreateParamsBase.__annotations__),
    )
    for kind in (params.CompletionCreateParamsStreaming, params.CompletionCreateParamsNonStreaming)
}


class Gate:
    """A line that waits until the test opens it."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def reached(self) -> None:
        """Returns when the answer has come as far as this gate."""
        async with asyncio.timeout(PATIENCE):
            await self._reached.wait()

    async def passed(self) -> None:
        self._reached.set()
        await self._open.wait()


@dataclass(frozen=True)
class Break:
    """A line at which the connection ends: `reset` by force, `cut` without a word, `end` as if all were said."""

    how: Literal["reset", "cut", "end"]


@dataclass(frozen=True)
class Raw:
    """A line that is sent as it is, in a stream only."""

    data: bytes


@dataclass(frozen=True)
class Said:
    """A line of the model: what a `delta` holds, and the logprobs beside it."""

    delta: Mapping[str, Any]
    logprobs: Any = None


Line: TypeAlias = Said | Gate | Break | Raw


def text(*pieces: str) -> list[Said]:
    return [Said({"content": piece}) for piece in pieces]


def likely(token: str, logprob: float, **rivals: float) -> Said:
    """A token with its logarithmic probability and those of its rivals."""
    top = [{"token": rival, "logprob": value, "bytes": list(rival.encode())} for rival, value in rivals.items()]
    told = {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": top}
    return Said({"content": token}, {"content": [told], "refusal": None})


def thought(*pieces: str) -> list[Said]:
    return [Said({"reasoning_content": piece}) for piece in pieces]


def refusal(*pieces: str) -> list[Said]:
    return [Said({"refusal": piece}) for piece in pieces]


def call(name: str, *arguments: str, call_id: str, index: int = 0) -> list[Said]:
    """A call whose arguments come in pieces."""
    first = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": index, "function": {"arguments": piece}} for piece in arguments]
    return [Said({"tool_calls": [one]}) for one in (first, *rest)]


class Answer:
    """What the model says, streamed or whole as it is asked; `usage` are prompt and completion tokens."""

    def __init__(
        self,
        *lines: Line | Iterable[Line],
        finish: str | None = None,
        usage: tuple[int, int] | None = (11, 7),
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.lines: list[Line] = []
        for line in lines:
            self.lines += [line] if isinstance(line, Said | Gate | Break | Raw) else line
        calls = any("tool_calls" in line.delta for line in self.lines if isinstance(line, Said))
        self.finish = finish or ("tool_calls" if calls else "stop")
        self.usage = None
        if usage is not None:
            counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
            self.usage = counts | dict(details or {})

    def whole(self) -> dict[str, Any]:
        """The message that the lines make together."""
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        calls: dict[int, dict[str, Any]] = {}
        logprobs: list[Any] = []
        for line in self.lines:
            if not isinstance(line, Said):
                continue
            for name, value in line.delta.items():
                if name == "tool_calls":
                    for one in value:
                        known = calls.setdefault(one["index"], {**one, "function": {"arguments": ""}})
                        known["function"]["name"] = one["function"].get("name", known["function"].get("name"))
                        known["function"]["arguments"] += one["function"]["arguments"]
                else:
                    message[name] = (message.get(name) or "") + value
            logprobs += (line.logprobs or {}).get("content", [])
        if calls:
            message["tool_calls"] = [{k: v for k, v in one.items() if k != "index"} for one in calls.values()]
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self.finish,
            "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        }
        return {**_head("chat.completion"), "choices": [choice]} | ({"usage": self.usage} if self.usage else {})


class Fault:
    """An answer with an error status."""

    def __init__(
        self, status: int, message: str = "no", *, code: str | None = None, retry_after: str | None = None
    ) -> None:
        self.status = status
        self.body = {"error": {"message": message, "type": "some_error", "param": None, "code": code}}
        self.headers = {} if retry_after is None else {"retry-after": retry_after}


@dataclass(eq=False)
class Call:
    """A request as it came; `gone` is set when its sender left before the answer's end, `over` when all is done."""

    body: dict[str, Any]
    headers: dict[str, str]
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[tuple[str, Any]]:
        return [(message["role"], message.get("content")) for message in self.body["messages"]]

    async def let_go(self) -> None:
        """Returns when the sender has left before the end."""
        async with asyncio.timeout(PATIENCE):
            await self.gone.wait()


class Upstream:
    """Answers with what it was told, in order; then with `Hello there.`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.complaints: list[str] = []
        """What was wrong with the requests."""
        self._script: list[Answer | Fault | Break] = []
        self._more = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def says(self, *script: Answer | Fault | Break) -> None:
        self._script += script

    @property
    def last(self) -> Call:
        return self.calls[-1]

    async def called(self, times: int = 1) -> Call:
        """The call of this number, once it is there."""
        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(lambda: len(self.calls) >= times)
        return self.calls[times - 1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # The test is over.
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            call = await _read(reader)
        except asyncio.IncompleteReadError:
            return
        self.complaints += _complaints(call)
        reply = self._script.pop(0) if self._script else Answer(text("Hello", " there."))
        async with self._more:
            self.calls.append(call)
            self._more.notify_all()
        # Connections are not kept, so a caller says nothing more: whatever comes is its end.
        answering = asyncio.ensure_future(_tell(reply, call, writer))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                call.gone.set()
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            call.over.set()


async def _read(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    headers["path"] = head[0].split(" ")[1]
    return Call(json.loads(await reader.readexactly(int(headers["content-length"]))), headers)


def _complaints(call: Call) -> Iterable[str]:
    streamed = call.body.get("stream") is True
    adapter, known = _BODIES[f"CompletionCreateParams{'Streaming' if streamed else 'NonStreaming'}"]
    if call.headers["path"] != "/v1/chat/completions":
        yield f"the path {call.headers['path']}"
    if unknown := call.body.keys() - known:
        yield f"unknown fields {sorted(unknown)}"
    try:
        _exhaust(adapter.validate_python(call.body))
    except ValidationError as error:
        yield str(error)


def _exhaust(value: object) -> None:
    """Looks at everything: pydantic checks iterables only as they are read."""
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, str):
        for one in value:
            _exhaust(one)


async def _tell(reply: Answer | Fault | Break, call: Call, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        if isinstance(reply, Break):
            _break(reply, writer)
        elif isinstance(reply, Fault):
            await _send(writer, reply.status, json.dumps(reply.body).encode(), **reply.headers)
        elif call.body.get("stream"):
            await _stream(reply, writer)
        else:
            for line in reply.lines:
                if isinstance(line, Gate):
                    await line.passed()
                elif isinstance(line, Break):
                    _break(line, writer)
                    return
            await _send(writer, 200, json.dumps(reply.whole()).encode())


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, **headers: str) -> None:
    told = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    writer.write(f"HTTP/1.1 {status} Scripted\r\n{head}\r\n".encode() + body)
    await writer.drain()


async def _stream(answer: Answer, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    )
    async for data in _chunks(answer):
        if isinstance(data, Break):
            _break(data, writer)
            return
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _chunks(answer: Answer) -> AsyncGenerator[bytes | Break, None]:
    yield _chunk({"role": "assistant", "content": ""})
    for line in answer.lines:
        match line:
            case Gate():
                await line.passed()
            case Break():
                yield line
                return
            case Raw(data):
                yield data
            case Said(delta, logprobs):
                yield _chunk(delta, logprobs=logprobs)
    yield _chunk({}, finish=answer.finish)
    if answer.usage:
        yield _event({**_head("chat.completion.chunk"), "choices": [], "usage": answer.usage})
    yield b"data: [DONE]\n\n"


def _break(line: Break, writer: asyncio.StreamWriter) -> None:
    match line.how:
        case "reset":
            writer.transport.abort()
        case "cut":
            writer.close()
        case "end":
            writer.write(b"0\r\n\r\n")


def _chunk(delta: Mapping[str, Any], *, finish: str | None = None, logprobs: object = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
    return _event({**_head("chat.completion.chunk"), "choices": [choice]})


def _event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": MODEL}
