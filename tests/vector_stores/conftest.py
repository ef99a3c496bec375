"""A server with vector stores in the loop of the test."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "api"))  # where `gateway` is

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
