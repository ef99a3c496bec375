"""Webhooks over either database, behind the doors of a whole server, and receivers that are called for real."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))  # where `gateway` is

from gateway import Gateway, serving, settings
from webhooks_stage import Receiver, WebhookStage

from databases import fresh_database
from freddy.server.config import settings as parts
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from upstream import Upstream


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        async with SqliteDatabase(None) as sqlite:
            yield sqlite
        return
    async with fresh_database() as url, PostgresDatabase(url) as postgres:
        yield postgres


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> WebhookStage:
    return WebhookStage(database, tmp_path)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def gateway(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Gateway]:
    """In local development mode."""
    async with serving(settings(tmp_path, upstream), upstream) as gateway:
        yield gateway


@pytest.fixture
async def closed(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Gateway]:
    """As it stands before the world: nobody gets in without a key."""
    async with serving(settings(tmp_path, upstream, dev=parts.Development(mode="off")), upstream) as gateway:
        yield gateway
