"""The world around a cluster: a model and tools that act by the plan in the prompt, and the ledger of what they did.

Nothing of it is in the servers' processes: what the ledger has, happened, whoever died. The model reads all that it
knows from the conversation it is sent, so that a call made again is answered the same, and complains where the
conversation is not what it must be by then.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, Self

import msgspec
from aiohttp import web
from msgspec import Struct

from freddy_process import BOUND

Json = dict[str, Any]
Phase = Literal["asked", "said", "answered", "lost"]

MODEL: Final = "planned"
LABEL: Final = "box"
FUNCTION, ONCE_FUNCTION = "note", "pay"
TOOL, ONCE_TOOL = "jot", "wire"
NAMES: Final = {"f": FUNCTION, "F": ONCE_FUNCTION, "m": TOOL, "M": ONCE_TOOL}
"""Registered functions and tools of the MCP server by the letters of a plan; capitals are those to be run once."""
READ, WRITTEN = 10, 5
"""Tokens of every turn."""


class Plan(Struct, frozen=True):
    """What the model is to do in the run called `run`: the calls of each turn but the last, as letters of `NAMES`.

    The last turn says `words` words. Before it calls, a turn says something too where `says`. Everything takes
    `pause` seconds: each word, and each call.
    """

    run: str
    turns: tuple[str, ...] = ("ffm", "f")
    words: int = 6
    says: bool = False
    pause: float = 0.0

    @property
    def text(self) -> str:
        """The prompt."""
        return msgspec.json.encode(self).decode()

    @property
    def calls(self) -> tuple[str, ...]:
        return tuple(call for turn in range(len(self.turns)) for call in self.calls_of(turn))

    def calls_of(self, turn: int) -> tuple[str, ...]:
        return tuple(f"call_{self.run}_{turn}_{place}" for place in range(len(self.turns[turn])))

    def name_of(self, call: str) -> str:
        _, turn, place = call.rsplit("_", 2)
        return NAMES[self.turns[int(turn)][int(place)]]

    def words_of(self, turn: int) -> tuple[str, ...]:
        """What the turn says."""
        if turn < len(self.turns):
            return (f"{self.run} ", "calls ", f"{turn}.") if self.says else ()
        return (f"{self.run} ", *(f"word{number} " for number in range(self.words - 1)))


def output_of(call: str) -> str:
    return f"done {call}"


def call_of(output: str) -> str:
    """What was called that said this."""
    return output.removeprefix("done ")


class Line(Struct, frozen=True):
    """`what` is `model 1` (a turn) or `call_…` (a call of a tool); `by` the process that asked, where it is known.

    `number` counts the words that were said.
    """

    at: float
    run: str
    what: str
    phase: Phase
    by: str = ""
    number: int = 0


class Trap:
    """Waits for one moment. Who comes there is held, if so wished, until it is let go."""

    def __init__(self, place: tuple[str, str, Phase, int], ledger: Sequence["Line"], *, hold: bool) -> None:
        self._place = place
        self._ledger = ledger
        self._hold = hold
        self._gone = asyncio.Event()
        self._sprung = asyncio.Event()
        self.line: Line | None = None

    def takes(self, line: Line) -> bool:
        return self.line is None and self._place == (line.run, line.what, line.phase, line.number)

    async def spring(self, line: Line) -> None:
        self.line = line
        self._sprung.set()
        if self._hold:
            await self._gone.wait()

    async def sprung(self) -> Line:
        """The line of the moment, once it has come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BOUND):
                await self._sprung.wait()
        last = [line for line in self._ledger if line.run == self._place[0]][-3:]
        assert self.line is not None, f"{self._place} never came; the last of it is {last}"
        return self.line

    def let_go(self) -> None:
        self._gone.set()


class Stage:
    """Listens on a port of its own; `url_for` tells where the model is for a process, so that it is known by it."""

    def __init__(self) -> None:
        self.ledger: list[Line] = []
        self.complaints: list[str] = []
        self.hooks: list[str] = []
        """The ids of the responses whose end a webhook told."""
        self.plans: dict[str, Plan] = {}
        self._traps: list[Trap] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/by/{by}/v1/chat/completions", self._chat)
        app.router.add_get("/by/{by}/v1/models", self._models)
        app.router.add_post("/functions/{name}", self._function)
        app.router.add_post("/mcp", self._mcp)
        app.router.add_post("/hooks", self._hook)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.let_all_go()
        await self._runner.cleanup()

    def url_for(self, by: str) -> str:
        return f"{self.url}/by/{by}/v1"

    def trap(self, run: str, what: str, phase: Phase, number: int = 0, *, hold: bool = False) -> Trap:
        trap = Trap((run, what, phase, number), self.ledger, hold=hold)
        self._traps.append(trap)
        return trap

    def let_all_go(self) -> None:
        for trap in self._traps:
            trap.let_go()

    def asked(self, run: str, what: str) -> list[Line]:
        return [line for line in self.ledger if (line.run, line.what, line.phase) == (run, what, "asked")]

    async def wait(self, fact: Callable[[], bool], *, seconds: float = BOUND) -> None:
        """Returns when the fact holds, which only something in the ledger can bring about."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(fact)

    async def _write(self, run: str, what: str, phase: Phase, by: str = "", number: int = 0) -> None:
        line = Line(time.monotonic(), run, what, phase, by, number)
        self.ledger.append(line)
        async with self._news:
            self._news.notify_all()
        for trap in self._traps:
            if trap.takes(line):
                await trap.spring(line)

    # The model

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        by = request.match_info["by"]
        body = await request.json()
        plan, turn, wrong = self._read(body)
        self.complaints += wrong
        what = f"model {turn}"
        await self._write(plan.run, what, "asked", by)
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        reply.force_close()  # Another request on this connection would wait for whoever is held here.
        try:
            await reply.prepare(request)
            for number, chunk in enumerate(self._chunks(plan, turn, body)):
                await asyncio.sleep(plan.pause)
                await reply.write(chunk)
                await self._write(plan.run, what, "said", by, number)
            with suppress(ConnectionError):  # Who has read the end may leave.
                await reply.write(b"data: [DONE]\n\n")
                await reply.write_eof()
        except ConnectionError:
            await self._write(plan.run, what, "lost", by)
            return reply
        await self._write(plan.run, what, "answered", by)
        return reply

    def _read(self, body: Json) -> tuple[Plan, int, list[str]]:
        """The plan, the turn that is asked for, and what is wrong with the conversation."""
        messages = [one for one in body["messages"] if one["role"] != "system"]
        plan = msgspec.json.decode(messages[0]["content"], type=Plan)
        self.plans.setdefault(plan.run, plan)
        turn = 0
        wrong: list[str] = []
        waiting: dict[str, str] = {}
        for message in messages[1:]:
            match message["role"]:
                case "assistant" if waiting:
                    wrong.append(f"{plan.run}: {[*waiting.values()]} had no outputs in turn {turn}")
                case "assistant":
                    said = message.get("content") or ""
                    if said != "".join(plan.words_of(turn)):
                        wrong.append(f"{plan.run}: turn {turn} said {said!r}")
                    # A turn that broke off had these ids before: then they are others now.
                    called = message.get("tool_calls", ())
                    waiting = {one["id"]: json.loads(one["function"]["arguments"])["call"] for one in called}
                    if turn >= len(plan.turns) or (*waiting.values(),) != plan.calls_of(turn):
                        wrong.append(f"{plan.run}: turn {turn} called {[*waiting.values()]}")
                    turn += 1
                case "tool" if call := waiting.pop(message["tool_call_id"], None):
                    if message["content"] != output_of(call):
                        wrong.append(f"{plan.run}: {call} said {message['content']!r}")
                case _:
                    wrong.append(f"{plan.run}: {message} stands where {[*waiting.values()]} were awaited")
        if waiting:
            wrong.append(f"{plan.run}: {[*waiting.values()]} had no outputs")
        return plan, min(turn, len(plan.turns)), wrong

    def _chunks(self, plan: Plan, turn: int, body: Json) -> Iterator[bytes]:
        yield _chunk({"role": "assistant", "content": ""})
        for word in plan.words_of(turn):
            yield _chunk({"content": word})
        if turn < len(plan.turns):
            offered = [one["function"]["name"] for one in body.get("tools", ())]
            for index, call in enumerate(plan.calls_of(turn)):
                wanted = plan.name_of(call)
                if wanted not in offered:
                    self.complaints.append(f"{plan.run}: {wanted} is not offered, only {offered}")
                arguments = json.dumps({"run": plan.run, "call": call})
                function = {"name": wanted, "arguments": ""}
                yield _chunk({"tool_calls": [{"index": index, "id": call, "type": "function", "function": function}]})
                yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[:9]}}]})
                yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[9:]}}]})
        yield _chunk({}, finish="tool_calls" if turn < len(plan.turns) else "stop")
        used = {"prompt_tokens": READ, "completion_tokens": WRITTEN, "total_tokens": READ + WRITTEN}
        yield _event({**_HEAD, "choices": [], "usage": used})

    # The tools

    async def _function(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"output": await self._work(request.match_info["name"], body["arguments"])})

    async def _mcp(self, request: web.Request) -> web.Response:
        body = await request.json()
        told: Json
        match body.get("method"):
            case "initialize":
                told = {
                    "protocolVersion": body["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": LABEL, "version": "1"},
                }
            case "tools/list":
                told = {"tools": [_tool(TOOL), {**_tool(ONCE_TOOL), "annotations": _ONCE}]}
            case "tools/call":
                params = body["params"]
                said = await self._work(params["name"], params["arguments"])
                told = {"content": [{"type": "text", "text": said}]}
            case method if "id" in body:
                error = {"code": -32601, "message": f"{method} is not here"}
                return web.json_response({"jsonrpc": "2.0", "id": body["id"], "error": error}, status=400)
            case _:
                return web.Response(status=202)
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": told})

    async def _work(self, name: str, arguments: Json) -> str:
        run, call = arguments["run"], arguments["call"]
        plan = self.plans[run]
        if call not in plan.calls or plan.name_of(call) != name:
            self.complaints.append(f"{run}: {name} was called as {call}")
        await self._write(run, call, "asked")
        await asyncio.sleep(plan.pause)
        await self._write(run, call, "answered")
        return output_of(call)

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.hooks.append(body["data"]["id"])
        async with self._news:
            self._news.notify_all()
        return web.Response()


_HEAD: Final[Json] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}


def _chunk(delta: Json, *, finish: str | None = None) -> bytes:
    return _event({**_HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(data: Json) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


PARAMETERS: Final[Json] = {
    "type": "object",
    "properties": {"run": {"type": "string"}, "call": {"type": "string"}},
    "required": ["run", "call"],
    "additionalProperties": False,
}

_ONCE: Final = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False}


def _tool(name: str) -> Json:
    return {"name": name, "description": f"Does {name}.", "inputSchema": PARAMETERS}
