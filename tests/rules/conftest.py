"""A server over a scripted upstream, and rules over a store of their own."""

from collections.abc import AsyncIterator

import pytest
from rules_stage import RulesStage

from freddy.server.stores.sql.engine import Database
from scripted import closed, gateway, opened, upstream

__all__ = ["closed", "gateway", "opened", "upstream"]


@pytest.fixture
async def stage() -> AsyncIterator[RulesStage]:
    async with Database(None) as database:
        yield RulesStage(database)
