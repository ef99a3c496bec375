"""What all simulators share: HTTP over real sockets, the script, what came in, and every way to fail."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any, ClassVar, Protocol, Self

from simulators.script import PATIENCE, Answer, Break, Call, Delivery, Fault, Garbage, Gate, Line, Plain, Raw, Reply
from simulators.script import text as words

Json = dict[str, Any]


class Teller(Protocol):
    """Says one answer on one wire. A stream is what `begin`, `say` and `end` give; `whole` is there after `end`."""

    def begin(self) -> Iterable[bytes]: ...

    def say(self, line: Line) -> Iterable[bytes]: ...

    def end(self) -> Iterable[bytes]: ...

    def whole(self) -> tuple[int, Json]:
        """The status and the body of an answer in one piece."""
        ...


class Simulator:
    """Answers with what it was told, in order; then with `Hello there.`, or as `answering` says.

    `key` is the only one that it takes; without one, any. `models` are those that it lists. With `keep_alive` a
    connection serves several requests.
    """

    kind: ClassVar[str]
    """What settings call the wire."""
    ask: ClassVar[str]
    """The path that models are asked by."""
    others: ClassVar[tuple[str, ...]] = ()
    model = "stage-2026-01-01"
    """What it calls itself in every answer."""

    def __init__(
        self,
        *,
        key: str | None = None,
        models: Sequence[str] = ("stage",),
        keep_alive: bool = False,
        answering: Callable[[Call], Reply] | None = None,
    ) -> None:
        self.calls: list[Call] = []
        """What models were asked."""
        self.looks: list[Call] = []
        """Everything else: tokens to be counted, models to be listed."""
        self.complaints: list[str] = []
        """What was wrong with the requests."""
        self.connections = 0
        self._key = key
        self._models = models
        self._keep_alive = keep_alive
        self._answering = answering or (lambda _: Answer(words("Hello", " there.")))
        self._script: list[Reply] = []
        self._more = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1000)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def says(self, *script: Reply) -> None:
        self._script += script

    @property
    def last(self) -> Call:
        return self.calls[-1]

    async def called(self, times: int = 1) -> Call:
        """The call of this number, once it is there."""
        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(lambda: len(self.calls) >= times)
        return self.calls[times - 1]

    # What a vendor's simulator says of its own wire.

    def teller(self, call: Call, answer: Answer) -> Teller:
        raise NotImplementedError

    def wrong(self, call: Call, raw: bytes) -> Iterator[str]:
        """What the vendor would not take."""
        raise NotImplementedError

    def fault(self, fault: Fault) -> Json:
        raise NotImplementedError

    def look(self, call: Call) -> Json:
        """The answer to what is not asked of a model."""
        raise NotImplementedError

    def given_key(self, headers: Mapping[str, str]) -> str | None:
        raise NotImplementedError

    # HTTP

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            while await self._serve(reader, writer, number) and self._keep_alive:
                pass
        except asyncio.CancelledError:
            pass  # The test is over.
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        """Whether another request may follow."""
        try:
            call, raw = await _read(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        call.connection = number
        reply = self._reply(call, raw)
        async with self._more:
            (self.calls if call.path == self.ask else self.looks).append(call)
            self._more.notify_all()
        # Nobody asks again before the answer is whole: whatever comes is the caller's end.
        answering = asyncio.ensure_future(self._tell(reply, call, writer))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                call.gone.set()
                return False
            return answering.result()
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            call.over.set()

    def _reply(self, call: Call, raw: bytes) -> Reply:
        if call.path not in (self.ask, *self.others):
            return self._refused(404, f"unknown path {call.path}")
        given = self.given_key(call.headers)
        if self._key is not None and given != self._key:
            return self._refused(401, "the key is not the one that was agreed")
        if call.path.endswith("/models"):
            return Plain(json.dumps(self.look(call)).encode())
        if call.headers.get("content-type", "").partition(";")[0] != "application/json":
            return self._refused(400, f"content-type {call.headers.get('content-type')}")
        if wrong := list(self.wrong(call, raw)):
            self.complaints += wrong[1:]
            return self._refused(400, wrong[0])
        if call.path != self.ask:
            return Plain(json.dumps(self.look(call)).encode())
        return self._script.pop(0) if self._script else self._answering(call)

    def _refused(self, status: int, why: str) -> Fault:
        self.complaints.append(why)
        return Fault(status, why)

    async def _tell(self, reply: Reply, call: Call, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        try:
            match reply:
                case Break():
                    _end(reply, writer)
                    return False
                case Garbage(data):
                    writer.write(data)
                    await writer.drain()
                    writer.close()
                    return False
                case Plain(body, status, kind):
                    await _Out(writer, keeps=self._keep_alive).whole(status, body, kind)
                case Fault():
                    body = json.dumps(self.fault(reply)).encode()
                    await _Out(writer, keeps=self._keep_alive).whole(
                        reply.status, body, "application/json", reply.headers
                    )
                case Answer():
                    out = _Out(writer, reply.delivery, keeps=self._keep_alive)
                    await self._answer(reply, call, out)
        except (ConnectionError, _Over):
            return False
        return True

    async def _answer(self, answer: Answer, call: Call, out: "_Out") -> None:
        if answer.delivery.gate is not None:
            await answer.delivery.gate.passed()
        teller = self.teller(call, answer)
        streamed = call.body.get("stream") is True
        if streamed:
            await out.begin()
            await out.events(teller.begin())
        else:
            _exhaust(teller.begin())
        for line in answer.lines:
            match line:
                case Gate():
                    await line.passed()
                case Break():
                    out.end(line)
                case Raw(data):
                    await out.events((data,) if streamed else ())
                case _ if streamed:
                    await out.events(teller.say(line))
                case _:
                    _exhaust(teller.say(line))
        if streamed:
            await out.events(teller.end())
            await out.close()
            return
        _exhaust(teller.end())
        status, body = teller.whole()
        await out.whole(status, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


class _Over(Exception):
    """Nothing more is sent."""


class _Out:
    """Writes one answer as its delivery says."""

    def __init__(self, writer: asyncio.StreamWriter, delivery: Delivery | None = None, *, keeps: bool = False) -> None:
        self._writer = writer
        self._delivery = delivery or Delivery()
        self._sizes = cycle(self._delivery.sizes)
        self._bytes = 0
        self._events = 0
        self._chunked = False
        self._connection = "keep-alive" if keeps else "close"

    async def begin(self) -> None:
        kind = self._delivery.kind or "text/event-stream"
        self._writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n"
            f"connection: {self._connection}\r\n\r\n".encode()
        )
        self._chunked = True
        await self._writer.drain()

    async def events(self, events: Iterable[bytes]) -> None:
        for event in events:
            if self._delivery.most_events is not None and self._events >= self._delivery.most_events:
                self.end(Break(self._delivery.how))
            self._events += 1
            await self._say(event)

    async def close(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def whole(
        self, status: int, body: bytes, kind: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> None:
        told = {
            "content-type": self._delivery.kind or kind,
            "content-length": str(len(body)),
            "connection": self._connection,
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self._writer.write(f"HTTP/1.1 {status} Simulated\r\n{head}\r\n".encode())
        if self._delivery.most_events is not None:
            self.end(Break("cut" if self._delivery.how == "end" else self._delivery.how))
        await self._say(body)

    def end(self, line: Break) -> None:
        """Ends the connection here. What was said in one piece and not to its end cannot end well."""
        _end(line if self._chunked else Break("cut" if line.how == "end" else line.how), self._writer)
        raise _Over

    async def _say(self, data: bytes) -> None:
        while data:
            size = next(self._sizes) if self._delivery.sizes else len(data)
            if self._delivery.most_bytes is not None:
                if self._bytes >= self._delivery.most_bytes:
                    self.end(Break(self._delivery.how))
                size = min(size, self._delivery.most_bytes - self._bytes)
            piece, data = data[:size], data[size:]
            self._bytes += len(piece)
            self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
            await self._writer.drain()
            if self._delivery.sizes:
                await asyncio.sleep(0)  # The reader, in the same loop, sees the piece alone.
        if self._delivery.most_bytes is not None and self._bytes >= self._delivery.most_bytes:
            self.end(Break(self._delivery.how))


def _end(line: Break, writer: asyncio.StreamWriter) -> None:
    match line.how:
        case "reset":
            writer.transport.abort()
        case "cut":
            writer.close()
        case "end":
            writer.write(b"0\r\n\r\n")
            writer.close()


async def _read(reader: asyncio.StreamReader) -> tuple[Call, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    path = head[0].split(" ")[1]
    headers["path"] = path
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        body = {}
    return Call(body if isinstance(body, dict) else {}, headers, path.partition("?")[0]), raw


def _exhaust(events: Iterable[bytes]) -> None:
    for _ in events:
        pass


@contextlib.asynccontextmanager
async def untrusted() -> AsyncIterator[str]:
    """The address of a server whose TLS certificate nobody vouches for."""
    from simulators import certificate

    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context())
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
