"""MCP configurations over a database of their own, with servers and a network that are told what to say."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway import Gateway

from callers import OURS, caller
from freddy.server.accounts.audit import Audit
from freddy.server.core import errors, items
from freddy.server.core.accounts import Caller
from freddy.server.core.mcp_configurations import Change
from freddy.server.http.routes.mcp_configurations import McpConfigurationRoutes
from freddy.server.ports.mcp import McpServers, Server
from freddy.server.ports.outward import Outward
from freddy.server.ports.tools import Answer
from freddy.server.resources.mcp_configurations import McpConfigurations
from freddy.server.resources.sample_mcp_configurations import SampleMcpConfigurations
from freddy.server.sealing import AesSealer
from freddy.server.stores.sql.audit import SqlAudit
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.records import SqlRecords
from freddy.server.world import RandomIds, SystemClock
from freddy_fakes import CountingIds, FixedClock

THEIRS = "org_theirs"
URL = "https://mcp.example.com/mcp"
KEY = "secret-key-0123456789"
TOKEN = "secret-token-0123456789"
HEADER = "secret header 0123456789"
SECRETS = (KEY, TOKEN, HEADER)
PROGRAMS = ("github", "files")


class TestedServers:
    """The port `McpServers`: tells two tools, or what it is told to."""

    __test__ = False

    def __init__(self) -> None:
        self.asked: list[Server] = []
        self.failure: errors.ToolFailed | None = None
        self.silent = False

    async def tools(self, server: Server, *, fresh: bool = False) -> list[items.McpTool]:
        assert fresh, "a test asks the server itself"
        self.asked.append(server)
        if self.silent:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return [items.McpTool("search"), items.McpTool("delete")]

    async def call(self, server: Server, name: str, arguments: str) -> Answer:
        raise AssertionError("nobody calls a tool here")


class NearOutward:
    """The port `Outward`, of a network in which one host is out of reach."""

    def check(self, url: str, *, param: str) -> None:
        if "metadata.internal" in url:
            raise errors.InvalidValue(param, "cannot be called")

    def client(self, **_: Any) -> Any:
        raise AssertionError("nobody calls anything here")


class Stage:
    def __init__(self, database: Database, home: Path, **more: Any) -> None:
        self.clock, self.ids = FixedClock(), CountingIds()
        self.changes: list[Any] = []
        self.records = SqlRecords(database)
        self.servers = TestedServers()
        self.secret_key = home / "secret_key"
        self.configurations = self.opened(**more)

    def opened(self, **more: Any) -> McpConfigurations:
        """As another process has it, which remembers nothing."""
        fields: dict[str, Any] = {
            "sealer": AesSealer((), file=self.secret_key),
            "servers": self.servers,
            "outward": NearOutward(),
            "clock": self.clock,
            "ids_from": self.ids,
            "programs": PROGRAMS,
            "changed": self._changed,
            "samples": SampleMcpConfigurations((OURS,), url=URL),
        }
        return McpConfigurations(self.records, **fields | more)

    async def made(self, *, by: Caller | None = None, **fields: Any) -> Any:
        known = {"name": "Wiki"} | ({} if "program" in fields else {"server_url": URL})
        return await self.configurations.create(by or caller(), Change(**known | fields))

    async def _changed(self, caller: Any, action: Any, kind: Any, before: Any, after: Any) -> None:
        self.changes.append((action, kind, before and before.data, after and after.data))


@contextlib.asynccontextmanager
async def served(gateway: Gateway, servers: McpServers, *, outward: Outward | None = None) -> AsyncIterator[None]:
    """The paths of MCP configurations on the server, over these MCP servers instead of its own."""
    clock, ids = SystemClock(), RandomIds()
    async with SqliteDatabase(gateway.settings.store.database) as database:
        audit = Audit(SqlAudit(database), clock=clock, ids_from=ids)
        configurations = McpConfigurations(
            SqlRecords(database),
            sealer=AesSealer((), file=gateway.settings.secret_key_path),
            servers=servers,
            outward=outward or NearOutward(),
            clock=clock,
            ids_from=ids,
            programs=PROGRAMS,
            changed=audit.changed,
        )
        door: Any = gateway.house.app
        door._app.routes[:0] = McpConfigurationRoutes(configurations, max_body_bytes=1_000_000).routes()
        yield
