"""A server behind a socket with a user, and an office over a fresh database, for the suites of accounts."""

import contextlib
from pathlib import Path

import pytest
from gateway import serving, settings

from freddy.server.config import settings as parts
from freddy.server.stores.sql.engine import Database
from people import Desk, Site
from upstream import Upstream


@pytest.fixture
async def database():
    async with Database(None) as database:
        yield database


@pytest.fixture
def desk(database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


@pytest.fixture
async def site(tmp_path):
    """As it stands before the world, where anybody may register."""
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        chosen = settings(
            tmp_path,
            upstream,
            dev=parts.Development(mode="off"),
            accounts=parts.Accounts(registration=True, password_cost=8),
        )
        yield Site(await stack.enter_async_context(serving(chosen, upstream)))
