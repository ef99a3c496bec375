"""The MCP configuration that the documentation's examples name. It is there in local development mode, kept nowhere."""

from collections.abc import Collection
from typing import Final

from freddy.server.core import errors
from freddy.server.ports.mcp import Configured, Server

_ID: Final = "mcp_config_abc123"


class SampleMcpConfigurations:
    """`organizations` are those that have it; it leads to the server at `url`."""

    def __init__(self, organizations: Collection[str] = (), *, url: str | None = None) -> None:
        self._organizations = frozenset(organizations)
        self._url = url

    def find(self, organization_id: str, configuration_id: str) -> Configured | None:
        """Raises `errors.ToolFailed` where it leads nowhere."""
        if configuration_id != _ID or organization_id not in self._organizations:
            return None
        if self._url is None:
            raise errors.ToolFailed(
                f"The MCP configuration {_ID!r} is a sample of the documentation, and leads nowhere",
                param="tools",
                details="make one with POST /v1/mcp-configurations, and name it instead",
            )
        return Configured(server=Server(organization_id=organization_id, url=self._url))
