"""The port `McpServers`: keeps sessions open, shares them among those who may, and asks again what was never sent."""

import asyncio
import contextvars
import hashlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import msgspec
from msgspec import Struct

from freddy.server.core import errors, items
from freddy.server.ports.mcp import Server
from freddy.server.ports.outward import Outward
from freddy.server.ports.tools import Answer
from freddy.server.ports.world import Clock
from freddy.server.tools.mcp import failures
from freddy.server.tools.mcp.terms import Program, Terms

if TYPE_CHECKING:
    from freddy.server.tools.mcp.session import Session

Got = TypeVar("Got")

_log = logging.getLogger(__name__)

_DEEPEST = 100
"""Levels of arguments: what is nested more deeply cannot be written by all that write it on the way."""
_GOODBYE = 8.0
"""Seconds that all sessions together have to close."""


class _Key(Struct, frozen=True):
    """`digest` is that of the headers: they are not kept as the name of anything."""

    organization_id: str
    url: str | None
    program: str | None
    transport: str
    digest: bytes


class PooledMcpServers:
    """While it is entered it owns the tasks of all sessions; it is entered once."""

    def __init__(
        self,
        outward: Outward,
        *,
        clock: Clock,
        terms: Terms | None = None,
        programs: Mapping[str, Program] | None = None,
    ) -> None:
        self._outward = outward
        self._clock = clock
        self._terms = terms or Terms()
        self._programs = dict(programs or {})
        self._sessions: OrderedDict[_Key, Session] = OrderedDict()
        self._open = 0
        self._leaving = anyio.Event()
        self._make: Callable[[Server], Session] | None = None
        self._making = asyncio.Lock()

    async def __aenter__(self) -> Self:
        ready = anyio.Event()
        self._owner = asyncio.TaskGroup()
        await self._owner.__aenter__()
        self._owner.create_task(self._own(ready))
        await ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving.set()
        await self._owner.__aexit__(None, None, None)

    async def _own(self, ready: anyio.Event) -> None:
        # A group of anyio's: it never cancels a task in the middle of what is shielded, such as ending a program.
        async with anyio.create_task_group() as self._tasks:
            ready.set()
            await self._leaving.wait()
            for session in self._sessions.values():
                session.close()
            self._tasks.cancel_scope.deadline = anyio.current_time() + _GOODBYE

    @property
    def open(self) -> int:
        """Sessions that are open, or being opened or closed."""
        return self._open

    async def tools(self, server: Server, *, fresh: bool = False) -> Sequence[items.McpTool]:
        try:
            return await self._asked(server, lambda session: session.tools(fresh=fresh))
        except failures.Told as told:
            raise errors.ToolFailed(
                f"The MCP server {failures.place(server)} does not tell its tools: {told.words}"
            ) from None

    async def call(self, server: Server, name: str, arguments: str) -> Answer:
        try:
            given = _object(arguments)
        except (ValueError, RecursionError):
            return Answer(error="The arguments are not a JSON object, or nested too deeply.")
        try:
            return await self._asked(server, lambda session: session.call(name, given))
        except failures.Told as told:
            return Answer(error=told.words)

    async def _asked(self, server: Server, ask: Callable[["Session"], Awaitable[Got]]) -> Got:
        try:
            return await self._sent(server, ask)
        except errors.ToolFailed as failure:
            # Its message is ours: what the server said stands in none.
            organization_id, where = server.organization_id, failures.place(server)
            _log.info(
                "mcp_failed",
                extra={"organization_id": organization_id, "server": where, "reason": failure.message},
            )
            raise

    async def _sent(self, server: Server, ask: Callable[["Session"], Awaitable[Got]]) -> Got:
        try:
            return await self._once(server, ask)
        except failures.Unsent as unsent:
            _log.info("mcp_asked_again", extra={"server": failures.place(server), "reason": unsent.failure.message})
        try:
            return await self._once(server, ask)
        except failures.Unsent as unsent:
            raise unsent.failure from None

    async def _once(self, server: Server, ask: Callable[["Session"], Awaitable[Got]]) -> Got:
        async with self._lease(server) as session:
            try:
                async with asyncio.timeout(self._terms.call_seconds):
                    return await ask(session)
            except TimeoutError:
                raise failures.slow(failures.place(server), self._terms.call_seconds) from None
            except failures.Unsent:
                session.over = True  # others may still be waiting for answers on it
                raise

    @asynccontextmanager
    async def _lease(self, server: Server) -> AsyncIterator["Session"]:
        make = self._make or await self._prepared(server)
        key = _key(server)
        session = self._sessions.get(key)
        if session is None or session.over:
            session = self._started(key, make(server), server)
        self._sessions.move_to_end(key)
        session.users += 1
        try:
            await session.wait_open()
            yield session
        finally:
            session.users -= 1
            session.used()
            if session.over and not session.users:
                session.close()

    async def _prepared(self, server: Server) -> Callable[[Server], "Session"]:
        """The SDK is an extra, and takes a second to import."""
        async with self._making:
            if self._make is None:
                try:
                    self._make = await asyncio.to_thread(
                        _maker, self._outward, self._clock, self._terms, self._programs
                    )
                except ImportError as error:
                    raise errors.ToolFailed(
                        f"The MCP server {failures.place(server)} cannot be asked: the package `mcp` is not installed",
                        details="whoever runs this server can add it: pip install 'freddy-gateway[server,mcp]'",
                    ) from error
            return self._make

    def _started(self, key: _Key, session: "Session", server: Server) -> "Session":
        if self._leaving.is_set():
            raise errors.ToolFailed("This server is shutting down")
        if server.url is None and server.program not in self._programs:
            raise errors.ToolFailed(
                f"There is no MCP program {server.program!r} on this server",
                details="whoever runs it can add one in the settings: [mcp.programs.NAME]",
            )
        if key not in self._sessions:
            self._make_room(key)
        self._sessions[key] = session
        # In a context of its own: it outlives the request that was the first to want it.
        contextvars.Context().run(self._tasks.start_soon, self._run, key, session)
        return session

    def _make_room(self, key: _Key) -> None:
        """The one that lay idle for longest goes: of the organization, where it has its share already."""
        own = [other for other in self._sessions if other.organization_id == key.organization_id]
        if len(own) >= self._terms.share:
            self._drop_idle(own, f"All {self._terms.share} sessions that an organization may have with MCP servers")
        elif len(self._sessions) >= self._terms.sessions:
            self._drop_idle(list(self._sessions), f"All {self._terms.sessions} sessions with MCP servers")

    def _drop_idle(self, keys: Sequence[_Key], what: str) -> None:
        for key in keys:
            if not self._sessions[key].users:
                self._sessions.pop(key).close()
                return
        raise errors.ToolFailed(
            f"{what} are in use",
            details="try again in a moment; whoever runs this server can raise `mcp.sessions`",
        )

    async def _run(self, key: _Key, session: "Session") -> None:
        self._open += 1
        try:
            await session.run()
        finally:
            self._open -= 1
            if self._sessions.get(key) is session:
                del self._sessions[key]


def _maker(
    outward: Outward, clock: Clock, terms: Terms, programs: Mapping[str, Program]
) -> Callable[[Server], "Session"]:
    from freddy.server.tools.mcp.opening import Doors  # noqa: PLC0415 the first thing here that needs the extra
    from freddy.server.tools.mcp.session import Session  # noqa: PLC0415

    doors = Doors(outward, programs, terms)
    return lambda server: Session(server, doors, terms, clock)


def _key(server: Server) -> _Key:
    headers = sorted((name.lower(), value) for name, value in server.headers.items())
    digest = hashlib.sha256(msgspec.json.encode(headers)).digest()
    return _Key(server.organization_id, server.url, server.program, server.transport, digest)


def _object(arguments: str) -> dict[str, Any]:
    """Raises ValueError and RecursionError. No text at all are no arguments."""
    given = msgspec.json.decode(arguments) if arguments.strip() else {}
    if not isinstance(given, dict):
        raise ValueError  # noqa: TRY004 whoever wrote the text gave a wrong value
    level: list[object] = [given]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    if level:
        raise ValueError
    return given
