"""A server over the simulator of an adapter, for every test that takes `adapter`."""

import contextlib

import pytest
from gateway import UPSTREAM_KEY, serving, settings


@pytest.fixture
async def upstream(adapter):
    async with adapter.simulator(key=UPSTREAM_KEY) as upstream:
        yield upstream
        assert upstream.complaints == []


@pytest.fixture
async def opened(adapter, upstream, tmp_path):
    """Opens servers with other settings on one home, each when the one before it has ended."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(**changes):
            await stack.aclose()
            sections = {"models": adapter.served(), **changes}
            return await stack.enter_async_context(serving(settings(tmp_path, upstream, **sections), upstream))

        yield open_
