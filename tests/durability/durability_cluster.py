"""Real processes on one database: replicas that serve, workers that only perform, and every way to lose them."""

import asyncio
import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

import asyncpg
import httpx2
import msgspec
from durability_stage import FUNCTION, LABEL, MODEL, ONCE_FUNCTION, PARAMETERS, Plan, Stage, call_of

from databases import PostgresServer
from freddy_process import BOUND, Served, environment, greeting, wait_until

Json = dict[str, Any]
Role = Literal["serve", "worker"]

KEY = "sk-frdy-development-key-of-this-test"
LEASE = 2.0
"""Seconds after which a process that stands still counts as dead, here."""
_QUICK = {
    "FREDDY_BACKGROUND_LEASE_SECONDS": "2",
    "FREDDY_BACKGROUND_HEARTBEAT_SECONDS": "0.3",
    "FREDDY_BACKGROUND_POLL_SECONDS": "0.5",
    "FREDDY_SHUTDOWN_SECONDS": "1",
    "FREDDY_RETRIES": "0",
    "FREDDY_WEBHOOKS_POLL_SECONDS": "0.5",
    "FREDDY_WEBHOOKS_SECONDS": "5",
    "FREDDY_LOG_LEVEL": "warning",
}
DELIVERY_LEASE = 35.0
"""Seconds for which nobody else delivers what somebody held who was lost: an attempt's, and 30."""
_ANSWERS = ("function_output", "hosted_call")
PATHS = {"freddy": "/v1/model/response", "openai": "/v1/responses"}
_numbers = itertools.count()


class Member:
    """One process. It may be killed, frozen, stopped in order, and started again under the same name."""

    def __init__(self, name: str, role: Role, home: Path, variables: Mapping[str, str]) -> None:
        self.name = name
        self.role = role
        self.home = home
        self.frozen = False
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._log = home
        self.url = ""

    @property
    def up(self) -> bool:
        """Whether it runs, and is not frozen."""
        return self._process is not None and self._process.poll() is None and not self.frozen

    @property
    def serves(self) -> bool:
        return self.role == "serve" and self.up and bool(self.url)

    def start(self) -> None:
        """Returns when it has said where it listens, a worker when it has said that it works."""
        self._starts += 1
        self.home.mkdir(parents=True, exist_ok=True)
        self._log = self.home.with_name(f"{self.home.name}-{self._starts}.log")
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "freddy", self.role],
                env=environment(self.home, **self._variables),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        said = greeting(self._process, self._log)
        if self.role == "serve":
            self.url = Served(self._process, said, self.home, self._log).url

    def kill(self) -> None:
        """As a power cut does."""
        self._gone(signal.SIGKILL)

    def stop(self) -> None:
        """As an operator does."""
        code = self._gone(signal.SIGTERM)
        assert code == 0, f"{self.name} ended with {code}: {self.said()[-2000:]}"

    def tell_to_stop(self) -> None:
        """Without waiting for it."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)

    def wait_ended(self) -> int:
        assert self._process
        code = self._process.wait(BOUND)
        if self._process.stdout:
            self._process.stdout.close()
        return code

    def freeze(self) -> None:
        """It stands still in the middle of whatever it does."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        self.frozen = True
        wait_until(self._stands)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)
        self.frozen = False

    def said(self) -> str:
        """All it wrote to stderr since it was first started."""
        logs = sorted(self.home.parent.glob(f"{self.home.name}-*.log"))
        return "".join(log.read_text() for log in logs)

    def end(self) -> None:
        """Whatever state it is in."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(BOUND)
        if self._process.stdout:
            self._process.stdout.close()

    def _gone(self, number: signal.Signals) -> int:
        assert self._process
        self.url = ""
        self._process.send_signal(number)
        if self.frozen and number == signal.SIGKILL:
            self.frozen = False
        return self.wait_ended()

    def _stands(self) -> bool:
        assert self._process
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] in "tT"


class Record(NamedTuple):
    """What the log of a run has: its entries' fences by place, and which turns and calls were answered."""

    fences: tuple[int, ...]
    told: int
    """The number after the last."""
    gaps: bool
    """Whether a place or a number is missing."""
    turns: tuple[int, ...]
    """The turns that ended, by their numbers; one that ended twice is there twice."""
    calls: tuple[str, ...]
    """The calls that were answered, likewise."""

    @property
    def recorded(self) -> frozenset[str]:
        """As the ledger calls them."""
        return frozenset({*(f"model {turn}" for turn in self.turns), *self.calls})


class Cluster:
    """Processes on one database. `database` is the address of a PostgreSQL database, or None: then one may serve, on
    SQLite. `variables` are settings of all."""

    def __init__(self, folder: Path, stage: Stage, database: str | None, **variables: str) -> None:
        self.stage = stage
        self.members: dict[str, Member] = {}
        self._folder = folder
        self._database = database
        self._variables = {
            **_QUICK,
            "FREDDY_UPSTREAM_MODELS": MODEL,
            "FREDDY_FILES_FOLDER": str(folder / "files"),
            "FREDDY_SECRET_KEY": "0123456789abcdef" * 4,
            "FREDDY_DEV_API_KEY": KEY,
            **({"FREDDY_DATABASE": database} if database else {}),
            **variables,
        }
        self._own: dict[str, dict[str, str]] = {}
        self._turn = itertools.count()

    async def __aenter__(self) -> Self:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._http = httpx2.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=BOUND, limits=limits)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        for member in self.members.values():
            member.end()

    # Processes

    def tell(self, name: str, **variables: str) -> None:
        """This process has settings of its own."""
        self._own[name] = {**self._own.get(name, {}), **variables}

    async def start(self, name: str, role: Role = "serve") -> Member:
        member = self.members.get(name)
        if member is None:
            own = {"FREDDY_UPSTREAM_URL": self.stage.url_for(name), **self._variables, **self._own.get(name, {})}
            home = self._folder / (name if self._database else "home")
            member = self.members[name] = Member(name, role, home, own)
        await asyncio.to_thread(member.start)
        return member

    @property
    def serving(self) -> list[Member]:
        return [member for member in self.members.values() if member.serves]

    def some(self) -> Member | None:
        """One that serves, another each time."""
        serving = self.serving
        return serving[next(self._turn) % len(serving)] if serving else None

    def check_logs(self) -> None:
        """No process met a fault of its own."""
        for member in self.members.values():
            said = member.said()
            assert "Traceback" not in said, f"{member.name}: {said[-4000:]}"

    # The API

    async def register(self) -> None:
        """The functions of the stage, and its webhook, for all runs."""
        for name in (FUNCTION, ONCE_FUNCTION):
            function = {"name": name, "url": f"{self.stage.url}/functions/{name}", "parameters": PARAMETERS}
            reply = await self.ask("POST", "/v1/functions", {**function, "idempotent": name == FUNCTION})
            assert reply.status_code == 201, reply.text
        reply = await self.ask("POST", "/v1/webhooks", {"name": "stage", "url": f"{self.stage.url}/hooks"})
        assert reply.status_code == 201, reply.text

    def request(self, plan: Plan, dialect: str = "freddy", **more: Any) -> Json:
        letters = set("".join(plan.turns))
        tools: list[Json] = []
        if letters & {"m", "M"}:
            url = f"{self.stage.url}/mcp"
            tools.append({"type": "mcp", "server_label": LABEL, "server_url": url, "require_approval": "never"})
        if "f" in letters:
            tools.append({"type": "function", "name": FUNCTION})
        if "F" in letters:
            tools.append({"type": "function", "name": ONCE_FUNCTION})
        said = "input" if dialect == "openai" else "inputs"
        asked = {said: plan.text, "model": MODEL, "background": True, "parallel_tool_calls": True, **more}
        return {**asked, "tools": tools} if tools else asked

    async def begin(self, plan: Plan, dialect: str = "freddy", *, by: Member | None = None, **more: Any) -> str:
        """The id of the response. It is asked once: who has no answer does not know whether it began."""
        self.stage.plans[plan.run] = plan
        reply = await self.ask("POST", PATHS[dialect], self.request(plan, dialect, **more), by=by)
        assert reply.status_code in (200, 202), reply.text
        assert reply.json()["status"] in ("queued", "in_progress"), reply.text
        return reply.json()["id"]

    async def ask(
        self, method: str, path: str, body: Json | None = None, *, by: Member | None = None
    ) -> httpx2.Response:
        member = by or self.some()
        assert member is not None, "nobody serves"
        return await self._http.request(method, member.url + path, json=body)

    async def look(self, path: str) -> httpx2.Response:
        """The answer of whoever is there, at once or after a while: it changes nothing to ask again."""
        async with asyncio.timeout(2 * BOUND):
            while True:
                member = self.some()
                with contextlib.suppress(httpx2.TransportError):
                    if member is not None:
                        reply = await self._http.get(member.url + path, timeout=5.0)
                        if reply.status_code < 500:
                            return reply
                await asyncio.sleep(0.05)

    def stream(self, path: str) -> contextlib.AbstractAsyncContextManager[httpx2.Response] | None:
        """From one that serves; None where nobody does."""
        member = self.some()
        return self._http.stream("GET", member.url + path, timeout=5.0) if member else None

    # The database

    async def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """`sql` with `?` for its arguments."""
        if self._database is None:
            with contextlib.closing(sqlite3.connect(self._folder / "home" / "freddy.db", timeout=BOUND)) as database:
                return database.execute(sql, arguments).fetchall()
        for number in range(1, sql.count("?") + 1):
            sql = sql.replace("?", f"${number}", 1)
        connection = await asyncpg.connect(self._database)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()

    async def record(self, response_id: str) -> Record:
        sql = "SELECT place, fence, first, told, events FROM run_log WHERE response_id = ? ORDER BY place"
        rows = await self.rows(sql, response_id)
        gaps, number = False, 0
        turns: list[int] = []
        calls: list[str] = []
        for expected, (place, _, first, told, _) in enumerate(rows):
            gaps = gaps or (place, first) != (expected, number)
            number = first + told
        for event in _events(events for *_, events in rows):
            kind, item = event.get("type"), event.get("item") or {}
            if kind == "turn_done":
                turns.append(len(turns))
            elif kind == "item_done" and item.get("kind") in _ANSWERS and item.get("status") != "incomplete":
                calls.append(call_of("".join(part["text"] for part in item.get("parts", ()))))
        return Record(tuple(fence for _, fence, *_ in rows), number, gaps, tuple(turns), tuple(calls))


def _events(entries: Iterable[bytes]) -> Iterable[Json]:
    for entry in entries:
        told = msgspec.json.decode(bytes(entry))
        yield from told if isinstance(told, list) else [told]


class Way:
    """A way to PostgreSQL by TCP that can be cut, or that somebody gets stuck on."""

    def __init__(self, postgres: PostgresServer) -> None:
        self._socket = postgres.folder / ".s.PGSQL.5432"
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._marked: tuple[bytes, int] | None = None
        self.stuck = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, database: str) -> str:
        return f"postgresql://freddy@127.0.0.1:{self._port}/{database}"

    def cut(self) -> None:
        """All connections break; new ones can be made."""
        for writer in list(self._open):
            writer.transport.abort()

    def close(self) -> None:
        """All connections break, and none can be made until `open`."""
        self._closed = True
        self.cut()

    def open(self) -> None:
        self._closed = False

    def stick(self, mark: bytes, *, behind: int) -> None:
        """Who sends `mark` gets so many messages more through, and then no other: the server waits for it."""
        self._marked = mark, behind

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._closed:
            writer.transport.abort()
            return
        behind, ahead = await asyncio.open_unix_connection(str(self._socket))
        self._open |= {writer, ahead}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pour(behind, writer))
                await self._ask(reader, ahead)
        except* (ConnectionError, asyncio.CancelledError):
            pass  # Somebody left, or the test is over.
        finally:
            self._open -= {writer, ahead}
            writer.close()
            ahead.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left: int | None = None
        while piece := await reader.read(1 << 20):
            if self._marked and self._marked[0] in piece:
                left, self._marked = self._marked[1], None
            elif left is not None:
                left -= 1
            if left is not None and left < 0:
                self.stuck.set()
                await asyncio.Event().wait()
            writer.write(piece)
            await writer.drain()
        writer.close()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1 << 20):
        writer.write(piece)
        await writer.drain()
    writer.close()


@contextmanager
def database(postgres: PostgresServer) -> Any:
    """The name of a database of one's own."""
    name = f"durable_{os.getpid()}_{next(_numbers)}"
    postgres.say(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        postgres.say(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def cluster(
    folder: Path,
    postgres: PostgresServer | None,
    members: Sequence[str] = ("one", "two"),
    ways: Mapping[str, Way] = MappingProxyType({}),
    own: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    **variables: str,
) -> AsyncIterator[Cluster]:
    """With these members up, which serve; those whose names begin with `worker` only perform.

    Some go another way to the database than through its socket, and some have settings of their `own`.
    """
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage())
        name = stack.enter_context(database(postgres)) if postgres else None
        url = postgres.url(name) if postgres and name else None
        made = await stack.enter_async_context(Cluster(folder, stage, url, **variables))
        for member, way in ways.items():
            made.tell(member, FREDDY_DATABASE=way.url(str(name)))
        for member, told in own.items():
            made.tell(member, **told)
        first, *rest = members
        await _started(made, first)
        async with asyncio.TaskGroup() as starting:
            for one in rest:
                starting.create_task(_started(made, one))
        await made.register()
        yield made


async def _started(made: Cluster, name: str) -> None:
    await made.start(name, "worker" if name.startswith("worker") else "serve")
