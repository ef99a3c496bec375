"""Owns one session with an MCP server: one task opens and closes it, any number of tasks ask on it at once."""

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, TypeVar

import anyio
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.session import ClientSession, IncomingMessage
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from freddy.server.core import errors, items
from freddy.server.ports.mcp import Server
from freddy.server.ports.tools import Answer
from freddy.server.ports.world import Clock
from freddy.server.tools.mcp import failures, listing, results
from freddy.server.tools.mcp.confidence import Confidence
from freddy.server.tools.mcp.exchange import Exchange, Wire, current
from freddy.server.tools.mcp.opening import Doors, Kind, Streams
from freddy.server.tools.mcp.terms import Terms

Got = TypeVar("Got")

_log = logging.getLogger(__name__)

_CLOSING: Final = 5.0
"""Seconds that saying goodbye may take."""
_PAGES: Final = 100
_LISTINGS: Final = 3
"""How often a list is read that changes while it is read."""
_WORDS: Final = 4000
"""Bytes of a server's own words that are passed on."""
_UNAUTHORIZED: Final = (401, 403)
_CUT_OFF: Final = ("Connection closed", "SSE stream")
"""How the SDK begins the errors of its own that say so; servers have the same code for other things."""
_RESULT: Final[TypeAdapter[types.CallToolResult | types.InputRequiredResult]] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)

# The SDK's own lines hold messages and what is in them.
for _name in ("mcp", "client"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class Session:
    """`users` are those who hold it now; `over` is said as soon as nobody else may have it."""

    def __init__(self, server: Server, doors: Doors, terms: Terms, clock: Clock) -> None:
        self.users = 0
        self.over = False
        self._server = server
        self._where = failures.place(server)
        self._confidence = Confidence(server.headers)
        self._doors = doors
        self._terms = terms
        self._clock = clock
        self._used_at = clock.monotonic()
        self._opened = anyio.Event()
        self._closing = anyio.Event()
        self._failure: errors.ToolFailed | None = None
        self._broke: Exchange | None = None
        self._client: ClientSession | None = None
        self._tools: tuple[items.McpTool, ...] | None = None
        self._listed_at = 0.0
        self._changes = 0
        self._listing = anyio.Lock()

    async def run(self) -> None:
        """Opens it, keeps it until it is closed, broken or idle for too long, and closes it. Never raises."""
        try:
            for kind in self._kinds():
                if await self._kept(kind):
                    return
        finally:
            self.over = True
            self._opened.set()

    def close(self) -> None:
        """Lets go of it; who still waits for an answer gets none."""
        self.over = True
        self._closing.set()

    def _break(self, exchange: Exchange) -> None:
        if self._client is not None:
            self._broke = self._broke or exchange
            self.close()

    def used(self) -> None:
        self._used_at = self._clock.monotonic()

    async def wait_open(self) -> None:
        """Raises `errors.ToolFailed` where it could not be opened."""
        await self._opened.wait()
        if self._client is None:
            raise self._failure or failures.ended(self._where)

    async def tools(self, *, fresh: bool) -> Sequence[items.McpTool]:
        """What the server offers; those who ask at once ask it once. Raises `ToolFailed`, `Told` and `Unsent`."""
        async with self._listing:
            known = self._clock.monotonic() - self._listed_at < self._terms.list_seconds
            if self._tools is None or fresh or not known:
                self._tools = await self._list()
                self._listed_at = self._clock.monotonic()
            return self._tools or ()

    async def call(self, name: str, arguments: dict[str, Any]) -> Answer:
        """Raises `ToolFailed`, `Told` and `Unsent`."""
        params = types.CallToolRequestParams(name=name, arguments=arguments)

        # Not `Client.call_tool`: it checks results with schemas of strangers, and asks for lists to find them.
        async def send(client: ClientSession) -> types.CallToolResult | types.InputRequiredResult:
            return await client.send_request(types.CallToolRequest(params=params), _RESULT)

        async def send_knowing(client: ClientSession) -> types.CallToolResult | types.InputRequiredResult:
            try:
                return await send(client)
            except MCPError as error:
                # Some arguments are to be in headers, too, as only the list of tools says. Nothing was called.
                if error.code != types.HEADER_MISMATCH:
                    raise
            await self._pages(client)
            return await send(client)

        result = await self._ask(send_knowing)
        if isinstance(result, types.InputRequiredResult):
            return Answer(error="The tool asks for more than its arguments, and nobody is here to answer it.")
        return self._confidence.answer(results.answer(result, self._terms.result_bytes))

    def _kinds(self) -> tuple[Kind, ...]:
        if self._server.url is None:
            return ("program",)
        match self._server.transport:
            case "auto":
                return ("streamable_http", "sse")
            case kind:
                return (kind,)

    async def _kept(self, kind: Kind) -> bool:
        """One life of the session. False where it did not even begin, and another transport might."""
        exchange = Exchange()
        token = current.set(exchange)
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._terms.connect_seconds) as scope:
                await self._live(kind, scope)
        except Exception as error:  # noqa: BLE001 the boundary to a stranger's server and the SDK's groups of errors
            if self._client is not None:
                _log.info("mcp_session_broke", extra={"server": self._where, "reason": type(error).__name__})
                return True
            self._fail(exchange, self._why_closed(exchange, error))
        else:
            if scope.cancelled_caught and self._client is None:
                self._fail(exchange, failures.slow(self._where, self._terms.connect_seconds))
        finally:
            current.reset(token)
        return self._client is not None or not _speaks_another(exchange)

    async def _live(self, kind: Kind, scope: anyio.CancelScope) -> None:
        wires: list[Wire] = []
        streams: AbstractAsyncContextManager[Streams] = self._doors.open(
            self._server, kind, wires=wires, broken=self._break
        )
        client = Client(
            streams,
            message_handler=self._hear,
            client_info=types.Implementation(name="freddy", version=_version()),
            cache=None,
        )
        async with client:
            scope.deadline = math.inf
            for wire in wires:
                wire.settled = True
            self._client = client.session
            self._opened.set()
            _log.debug("mcp_session_opened", extra={"server": self._where, "protocol": client.protocol_version})
            async with anyio.create_task_group() as tasks:
                if _tells_changes(client):
                    tasks.start_soon(self._listen, client)
                await self._wait_done()
                tasks.cancel_scope.cancel()
            scope.deadline = anyio.current_time() + _CLOSING

    async def _wait_done(self) -> None:
        most = self._terms.idle_seconds
        while True:
            idle = 0.0 if self.users else self._clock.monotonic() - self._used_at
            if idle >= most:
                self.over = True
                return
            with anyio.move_on_after(most - idle):
                await self._closing.wait()
                return

    async def _listen(self, client: Client) -> None:
        """Since 2026-07-28 who wants to hear of changes says so. Without it the list is only as old as it may be."""
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._forget()
        except (MCPError, SubscriptionLost, ListenNotSupportedError, TimeoutError):
            _log.debug("mcp_changes_unheard", extra={"server": self._where})

    async def _hear(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._forget()

    def _forget(self) -> None:
        self._tools = None
        self._changes += 1

    async def _list(self) -> tuple[items.McpTool, ...]:
        tools: tuple[items.McpTool, ...] = ()
        for _ in range(_LISTINGS):
            changes = self._changes
            tools = self._confidence.tools(listing.read(await self._ask(self._pages), self._where))
            if changes == self._changes:
                break
        return tools

    async def _pages(self, client: ClientSession) -> list[types.Tool]:
        found: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await client.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            found += page.tools
            if not page.next_cursor or page.next_cursor == cursor or len(found) > listing.MOST:
                break
            cursor = page.next_cursor
        return found

    async def _ask(self, send: Callable[[ClientSession], Awaitable[Got]]) -> Got:
        assert self._client is not None
        exchange = Exchange()
        token = current.set(exchange)
        try:
            return await send(self._client)
        except MCPError as error:
            raise self._translated(exchange, error) from None
        except ValidationError:
            raise failures.garbled(self._where) from None
        finally:
            current.reset(token)

    def _translated(self, exchange: Exchange, error: MCPError) -> Exception:
        """What the server says is `Told`; what became of the request otherwise is in the exchange."""
        # What ended the session of all may have come of another's request.
        failure = self._why(exchange if not exchange.untouched else self._broke or exchange)
        if exchange.unsent:
            return failures.Unsent(failure or failures.ended(self._where))
        if failure is not None:
            return failure
        if _is_cut_off(error):
            return failures.ended(self._where)
        words = results.cut(self._confidence.text(error.message), _WORDS)
        return failures.Told(words or "The server refused and did not say why.")

    def _why(self, exchange: Exchange) -> errors.ToolFailed | None:
        if exchange.too_large:
            return failures.too_large(self._where, self._terms.wire_bytes)
        if exchange.error is not None:
            return failures.connection(self._where, exchange.error)
        status = exchange.status
        if status is not None and status >= 300 and (status in _UNAUTHORIZED or not exchange.explained):
            return failures.status(self._where, status)
        return None

    def _why_closed(self, exchange: Exchange, error: Exception) -> errors.ToolFailed:
        if exchange.error is None and exchange.status is not None and exchange.status >= 300:
            return failures.status(self._where, exchange.status)
        if _is_cut_off(error):
            return failures.ended(self._where)
        return self._why(exchange) or failures.connection(self._where, error)

    def _fail(self, exchange: Exchange, failure: errors.ToolFailed) -> None:
        # What was said of the first transport stays, for the second is tried only because old servers may be there,
        # but for those that are there and want authorization.
        if self._failure is None or exchange.status in _UNAUTHORIZED:
            self._failure = failure


def _version() -> str:
    try:
        return version("freddy-gateway")
    except PackageNotFoundError:
        return "0"


def _speaks_another(exchange: Exchange) -> bool:
    """A server of the old transport refuses the POST of the new one."""
    status = exchange.status
    return exchange.error is None and status is not None and 400 <= status < 500 and status not in (*_UNAUTHORIZED, 429)


def _is_cut_off(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_cut_off(one) for one in error.exceptions)
    return isinstance(error, MCPError) and error.code == types.CONNECTION_CLOSED and error.message.startswith(_CUT_OFF)


def _tells_changes(client: Client) -> bool:
    tools = client.server_capabilities.tools
    return bool(tools and tools.list_changed) and client.protocol_version in MODERN_PROTOCOL_VERSIONS
