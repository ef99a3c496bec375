"""MCP configurations over either database, and behind the doors of a whole server."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))  # where `gateway` is

from mcp_configurations_stage import Stage

from databases import fresh_database
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.postgres.database import PostgresDatabase


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        async with SqliteDatabase(None) as sqlite:
            yield sqlite
        return
    async with fresh_database() as url, PostgresDatabase(url) as postgres:
        yield postgres


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> Stage:
    return Stage(database, tmp_path)
