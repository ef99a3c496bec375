"""The client that the platform publishes, before a server of ours: the ground of the suites of its operations."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aitronos import Aitronos, AsyncAitronos
from gateway import DEV_KEY, Gateway, serving, settings

from simulators.chat import Chat
from simulators.script import PATIENCE
from simulators.server import Simulator

_PLAIN: dict[str, Any] = {"trust_env": False, "verify": False, "timeout": PATIENCE}


@dataclass(frozen=True)
class Platform:
    """`client` has the key of local development mode; `vendor` is who answers."""

    gateway: Gateway
    vendor: Simulator
    client: AsyncAitronos

    @contextlib.asynccontextmanager
    async def another(self, key: str) -> AsyncIterator[AsyncAitronos]:
        """A client with another key."""
        async with asynchronous(self.gateway, key) as client:
            yield client

    @contextlib.contextmanager
    def sync(self, key: str = DEV_KEY) -> Iterator[Aitronos]:
        """The synchronous client: for a thread, since the server runs in the loop of the test."""
        with httpx.Client(**_PLAIN) as http:
            yield Aitronos(base_url=self.gateway.url, api_key=key, httpx_client=http)


@contextlib.asynccontextmanager
async def asynchronous(gateway: Gateway, key: str = DEV_KEY) -> AsyncIterator[AsyncAitronos]:
    async with httpx.AsyncClient(**_PLAIN) as http:
        yield AsyncAitronos(base_url=gateway.url, api_key=key, httpx_client=http)


@contextlib.asynccontextmanager
async def platform(home: Path, **changes: Any) -> AsyncIterator[Platform]:
    """`changes` replace sections of the settings."""
    async with (
        Chat() as vendor,
        serving(settings(home, vendor, **changes), vendor) as gateway,
        asynchronous(gateway) as client,
    ):
        yield Platform(gateway, vendor, client)
        assert vendor.complaints == []
