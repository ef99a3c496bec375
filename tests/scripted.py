"""A server over a scripted upstream, in the loop of the test: the `conftest` of a folder takes what its tests need."""

import contextlib
import socket

import pytest
from gateway import serving, settings

from freddy.server.config import settings as parts
from upstream import Upstream


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch):
    """Clients see nothing of the variables of who runs the tests."""
    for name in ("FREDDY_API_KEY", "FREDDY_BASE_URL", "FREDDY_ORG_ID", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


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
async def closed(opened):
    """As it stands before the world: nobody gets in without a key."""
    return await opened(dev=parts.Development(mode="off"))


@pytest.fixture
def unused_port():
    """A port where nobody listens: it is taken, and nothing is done with it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
