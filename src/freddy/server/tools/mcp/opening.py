"""Opens the two streams to an MCP server, over the transport that it speaks.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Literal, Self, TypeAlias

import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage

from freddy.server.ports.mcp import Server
from freddy.server.ports.outward import Outward
from freddy.server.tools.mcp import programs
from freddy.server.tools.mcp.exchange import Exchange, Wire, current
from freddy.server.tools.mcp.terms import Program, Terms

Kind: TypeAlias = Literal["streamable_http", "sse", "program"]
Settled: TypeAlias = Callable[[], None]
Streams: TypeAlias = tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]


class Doors:
    """Where servers are reached: outward, or as one of the operator's programs."""

    def __init__(self, outward: Outward, programs: Mapping[str, Program], terms: Terms) -> None:
        self._outward = outward
        self._programs = programs
        self._terms = terms

    def has(self, program: str) -> bool:
        return program in self._programs

    @asynccontextmanager
    async def open(
        self, server: Server, kind: Kind, *, wires: list[Wire], broken: Callable[[Exchange], None]
    ) -> AsyncGenerator[Streams]:
        """The wire is put into `wires` for whoever opens to settle it; `broken` hears of what the SDK keeps quiet."""
        most = self._terms.wire_bytes
        if kind == "program":
            name = server.program or ""
            async with programs.running(name, self._programs[name], most=most, ended=lambda: broken(Exchange())) as (
                read,
                write,
            ):
                yield read, _Handing(write)
            return
        assert server.url is not None
        client = self._client(server, kind, wires, broken)
        if kind == "sse":  # enters and closes the client itself
            make = lambda headers=None, timeout=None, auth=None: client  # noqa: ARG005, E731 the SDK's own signature
            async with sse_client(server.url, httpx_client_factory=make) as (read_, write_):
                # One message is sent after the other, and the wire sees each that is.
                yield read_, write_
            return
        async with (
            client,
            streamable_http_client(server.url, http_client=client, max_sse_event_size=most) as (read_, write_),
        ):
            yield read_, _Handing(write_)

    def _client(
        self, server: Server, kind: Kind, wires: list[Wire], broken: Callable[[Exchange], None]
    ) -> httpx2.AsyncClient:
        terms = self._terms
        # A stream may be silent for as long as a call may take, or the session may lie idle.
        patience = httpx2.Timeout(
            terms.connect_seconds, read=max(terms.call_seconds, terms.idle_seconds) + terms.connect_seconds, pool=None
        )
        inner = self._outward.client(timeout=patience)
        wire = Wire(inner, most=terms.wire_bytes, values=terms.wire_values, broken=broken if kind == "sse" else None)
        wires.append(wire)
        return httpx2.AsyncClient(transport=wire, headers=dict(server.headers), timeout=patience, trust_env=False)


class _Handing:
    """Notes that the transport has a message, which it may send at any time from then on."""

    def __init__(self, inner: WriteStream[SessionMessage]) -> None:
        self._inner = inner

    async def send(self, item: SessionMessage, /) -> None:
        exchange = current.get()
        if exchange is not None:
            exchange.handed = True
        await self._inner.send(item)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
