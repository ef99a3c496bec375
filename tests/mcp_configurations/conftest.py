"""MCP configurations over either database, and behind the doors of a whole server."""

from pathlib import Path

import pytest
from mcp_configurations_stage import Stage

from databases import database
from freddy.server.stores.sql.connection import Database

__all__ = ["database"]


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> Stage:
    return Stage(database, tmp_path)
