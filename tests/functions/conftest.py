"""Functions over either database, behind the doors of a whole server, and servers that are called for real."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from functions_stage import FunctionServer, FunctionStage, served
from gateway import Gateway, serving, settings

from databases import database
from freddy.server.config import settings as parts
from freddy.server.stores.sql.connection import Database
from upstream import Upstream

__all__ = ["database"]


@pytest.fixture
async def server() -> AsyncIterator[FunctionServer]:
    async with FunctionServer() as server:
        yield server


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> FunctionStage:
    return FunctionStage(database, tmp_path)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """In local development mode."""
    async with (
        Upstream() as upstream,
        serving(settings(tmp_path, upstream), upstream) as gateway,
        served(gateway),
    ):
        yield gateway


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[Gateway]:
    """As it stands before the world: nobody gets in without a key."""
    off = parts.Development(mode="off")
    async with (
        Upstream() as upstream,
        serving(settings(tmp_path, upstream, dev=off), upstream) as gateway,
        served(gateway),
    ):
        yield gateway
