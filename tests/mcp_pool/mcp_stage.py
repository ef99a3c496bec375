"""What the tests of MCP share: the pool, over plain HTTP, and servers as the pool is told of them."""

from collections.abc import Mapping
from typing import Any

import httpx2

from freddy.server.core import items
from freddy.server.ports.mcp import Server
from freddy.server.ports.outward import Outward, Refused
from freddy.server.ports.tools import Answer
from freddy.server.ports.world import Clock
from freddy.server.tools.mcp.servers import PooledMcpServers
from freddy.server.tools.mcp.terms import Program, Terms
from freddy.server.world import SystemClock
from mcp_servers import PythonServer


class PlainOutward:
    """Calls whatever it is told to."""

    def check(self, url: str, *, param: str) -> None:
        pass

    def client(
        self, *, headers: Mapping[str, str] | None = None, timeout: httpx2.Timeout | float | None = None
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=False)


class ClosedOutward(PlainOutward):
    """Calls nobody."""

    def client(
        self, *, headers: Mapping[str, str] | None = None, timeout: httpx2.Timeout | float | None = None
    ) -> httpx2.AsyncClient:
        def refuse(_: httpx2.Request) -> httpx2.Response:
            raise Refused("The address cannot be called: it is private")

        return httpx2.AsyncClient(headers=headers, timeout=timeout, transport=httpx2.MockTransport(refuse))


def pool(
    *,
    outward: Outward | None = None,
    clock: Clock | None = None,
    programs: Mapping[str, Program] | None = None,
    **terms: Any,
) -> PooledMcpServers:
    return PooledMcpServers(
        outward or PlainOutward(), clock=clock or SystemClock(), terms=Terms(**terms), programs=programs
    )


def at(server: PythonServer | str, organization_id: str = "org_one", **more: Any) -> Server:
    url = server if isinstance(server, str) else server.url
    return Server(organization_id=organization_id, url=url, **more)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def text(answer: Answer) -> str:
    assert answer.error is None, answer.error
    return "".join(part.text for part in answer.parts if isinstance(part, items.Text))
