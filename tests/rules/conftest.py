"""A server over a scripted upstream, and rules over a store of their own."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))  # where `gateway` is

from gateway import serving, settings
from rules_stage import RulesStage

from freddy.server.config import settings as parts
from freddy.server.stores.sql.engine import Database
from upstream import Upstream


@pytest.fixture
async def stage() -> AsyncIterator[RulesStage]:
    async with Database(None) as database:
        yield RulesStage(database)


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
