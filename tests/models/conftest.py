"""A server over a scripted upstream, and the directory of models as it is installed."""

import contextlib
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))  # where `gateway` is

from gateway import serving, settings

from freddy.server.providers._directory import Directory
from upstream import Upstream


@pytest.fixture
async def directory():
    return await Directory.load()


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
def unused_port():
    """A port where nobody listens: it is taken, and nothing is done with it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
