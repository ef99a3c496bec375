"""A server over a simulated vendor whose answers cost two dollars each, for every test that takes `gateway`."""

import contextlib

import pytest
from gateway import serving, settings

from freddy.server.config import Served
from freddy.server.config.settings import Accounts, Candidate, Development, Price
from scripted import gateway
from upstream import Answer, Upstream, text

__all__ = ["gateway"]

DEAR = Served(
    name="dear", candidates=(Candidate(upstream="stage", model="stage-dear"),), price=Price(input=1000, output=2000)
)


@pytest.fixture
async def upstream():
    async with Upstream(answering=lambda _: Answer(text("Hello."), usage=(1000, 500))) as upstream:
        yield upstream
        assert upstream.complaints == []


@pytest.fixture
async def opened(upstream, tmp_path):
    """Opens servers with other settings on one home, each when the one before it has ended."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(**changes):
            await stack.aclose()
            chosen = settings(tmp_path, upstream, **{"models": (DEAR,), **changes})
            return await stack.enter_async_context(serving(chosen, upstream))

        yield open_


@pytest.fixture
async def registering(opened):
    """As it stands before the world, where anybody may register."""
    return await opened(dev=Development(mode="off"), accounts=Accounts(registration=True, password_cost=8))
