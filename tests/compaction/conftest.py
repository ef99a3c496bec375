"""A server over a scripted upstream whose model reads a known number of tokens."""

import contextlib

import pytest
from gateway import serving, settings

from freddy.server.config import settings as parts
from upstream import Upstream

WINDOW = 8000


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch):
    for name in ("FREDDY_API_KEY", "FREDDY_BASE_URL", "FREDDY_ORG_ID", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream
        assert upstream.complaints == []


@pytest.fixture
async def opened(upstream, tmp_path):
    async with contextlib.AsyncExitStack() as stack:

        async def open_(**changes):
            await stack.aclose()
            return await stack.enter_async_context(serving(settings(tmp_path, upstream, **changes), upstream))

        yield open_


@pytest.fixture
async def gateway(opened):
    return await opened(routing=parts.Routing(context_tokens=WINDOW))


@pytest.fixture
async def closed(opened):
    return await opened(dev=parts.Development(mode="off"))
