"""Webhooks over either database, behind the doors of a whole server, and receivers that are called for real."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from webhooks_stage import Receiver, WebhookStage

from databases import database
from freddy.server.stores.sql.connection import Database
from scripted import closed, gateway, opened, upstream

__all__ = ["closed", "database", "gateway", "opened", "upstream"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> WebhookStage:
    return WebhookStage(database, tmp_path)
