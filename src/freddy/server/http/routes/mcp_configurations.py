"""The paths of MCP configurations: parse, require, one call down, encode."""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors
from freddy.server.core.mcp_configurations import Configuration
from freddy.server.dialects.freddy import mcp_configurations as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.resources.base import Kept, Listing
from freddy.server.resources.mcp_configurations import McpConfigurations

_PATH: Final = "/v1/mcp-configurations"
_MOST: Final = 1_000
_USUAL: Final = 100
_FAR: Final = 10_000_000


class McpConfigurationRoutes:
    def __init__(self, configurations: McpConfigurations, *, max_body_bytes: int) -> None:
        self._configurations = configurations
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        one = _PATH + "/{configuration_id}"
        return [
            route("POST", _PATH, self.create),
            route("GET", _PATH, self.list),
            route("GET", one, self.get),
            route("PUT", one, self.update),
            route("PATCH", one, self.update),
            route("DELETE", one, self.delete),
            route("POST", one + "/test", self.test),
            route("GET", "/v1/mcp/servers", self.servers),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_change(await self._read(scope, receive))
        caller = require(scope["caller"], "mcp:write", asked.organization_id)
        kept = await self._configurations.create(caller, asked)
        await send_json(send, wire.encode_configuration(self._told(kept)), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "mcp:read", query.get("organization_id"))
        limit, offset = _slice(query)
        if _type(query) != "custom":
            await send_json(send, wire.encode_list([], total=0, limit=limit, offset=offset))
            return
        listing = Listing(search=query.get("search") or None, limit=limit, offset=offset)
        enabled = paging.maybe(query, "enabled" if query.get("enabled") else "is_active")
        found, total = await self._configurations.list(caller, listing, enabled=enabled)
        told = [self._told(kept) for kept in found]
        await send_json(send, wire.encode_list(told, total=total, limit=limit, offset=offset))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "mcp:read", _organization(scope))
        kept = await self._configurations.get(caller, _id(scope))
        await send_json(send, wire.encode_configuration(self._told(kept)))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_change(await self._read(scope, receive))
        caller = require(scope["caller"], "mcp:write", asked.organization_id or _organization(scope))
        kept = await self._configurations.change(caller, _id(scope), asked)
        await send_json(send, wire.encode_configuration(self._told(kept)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "mcp:write", _organization(scope))
        await self._configurations.delete(caller, _id(scope))
        await send_json(send, wire.encode_deleted(_id(scope)))

    async def test(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "mcp:write", _organization(scope))
        await send_json(send, wire.encode_test(await self._configurations.test(caller, _id(scope))))

    async def servers(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "mcp:read", _organization(scope))
        found, _ = await self._configurations.list(caller, Listing(limit=_MOST), enabled=True)
        await send_json(send, wire.encode_servers([self._told(kept) for kept in found]))

    def _told(self, kept: Kept[Configuration]) -> wire.Told:
        return wire.Told(kept, self._configurations.connection(kept))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _slice(query: Mapping[str, str]) -> tuple[int, int]:
    """How many, and how many of them to skip: `skip`, also `offset`."""
    limit = paging.whole_number(query, "limit", default=_USUAL, low=1, high=_MOST)
    return limit, paging.whole_number(query, "skip" if "skip" in query else "offset", default=0, low=0, high=_FAR)


def _type(query: Mapping[str, str]) -> str:
    given = query.get("type") or wire.TYPES[0]
    if given not in wire.TYPES:
        raise errors.InvalidValue("type", f"must be one of {', '.join(wire.TYPES)}")
    return given


def _organization(scope: Scope) -> str | None:
    return HttpRequest(scope).query_params.get("organization_id")


def _id(scope: Scope) -> str:
    configuration_id: str = scope["path_params"]["configuration_id"]
    return configuration_id
