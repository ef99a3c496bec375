"""A server with all tools in the loop of the test."""

import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("api", "vector_stores")]

from stores_stage import library

from upstream import Upstream


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream
        assert upstream.complaints == []


@pytest.fixture
async def shelf(upstream, tmp_path):
    async with library(tmp_path, upstream) as library_:
        yield library_


@pytest.fixture
def gateway(shelf):
    return shelf.gateway
