"""The need to talk to servers of the Model Context Protocol: https://modelcontextprotocol.io/specification"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from freddy.server.core import items, toolspec
from freddy.server.ports.tools import Answer

Transport: TypeAlias = Literal["auto", "streamable_http", "sse"]


class Server(Struct, frozen=True, kw_only=True):
    """Where an MCP server is and how it is asked: at an `url`, or as the program that the operator calls `program`.

    Sessions are shared by those with the same server, organization and headers, and by nobody else. `headers` hold
    the credentials, and are never logged.
    """

    organization_id: str
    url: str | None = None
    program: str | None = None
    transport: Transport = "auto"
    headers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Server(url={self.url!r}, program={self.program!r})"


class McpServers(Protocol):
    """All raise `errors.ToolFailed`, in words for a model and for a caller: nobody is there, it takes too long,
    it wants other credentials, its address may not be called.
    """

    async def tools(self, server: Server, *, fresh: bool = False) -> Sequence[items.McpTool]:
        """All that the server offers; a list read a moment ago may be told again, where it need not be `fresh`."""
        ...

    async def call(self, server: Server, name: str, arguments: str) -> Answer:
        """Calls a tool. What the tool itself says went wrong is the answer's `error`.

        Cancelling it cancels the call at the server. Images and sounds in the result become parts with their data.
        """
        ...


class Configured(Struct, frozen=True, kw_only=True):
    """An MCP server that an organization has saved. A request may allow less of it than `allowed` and `excluded`, and
    what it says of approvals goes before `approval`.
    """

    server: Server
    allowed: toolspec.Which | None = None
    excluded: toolspec.Which | None = None
    approval: toolspec.Approval | None = None


class McpConfigurations(Protocol):
    async def server(self, organization_id: str, configuration_id: str) -> Configured:
        """The saved configuration with its credentials opened.

        Raises `errors.NotFound` (param `tools`, code `mcp_configuration_not_found`), also for what belongs to others,
        and `InvalidRequest` where it is not enabled; `ToolFailed` where it leads nowhere.
        """
        ...
