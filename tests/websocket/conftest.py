"""A server over a scripted upstream, and a WebSocket to it."""

import contextlib

import pytest
import sockets
from gateway import serving, settings

from upstream import Upstream


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch):
    for name in ("FREDDY_API_KEY", "FREDDY_BASE_URL", "FREDDY_ORG_ID", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream
        assert upstream.complaints == []


@pytest.fixture
async def opened(upstream, tmp_path):
    """Opens servers with other settings on one home, each when the one before it has ended."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(**changes):
            await stack.aclose()
            return await stack.enter_async_context(serving(settings(tmp_path, upstream, **changes), upstream))

        yield open_


@pytest.fixture
async def gateway(opened):
    """In local development mode."""
    return await opened()


@pytest.fixture
async def wire(gateway):
    async with sockets.opened(gateway) as wire:
        yield wire
