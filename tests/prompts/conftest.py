"""The gateway of tests/api for prompts."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))  # where `gateway` is

from gateway import serving, settings

from upstream import Upstream


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream
        assert upstream.complaints == []


@pytest.fixture
async def gateway(upstream, tmp_path):
    async with serving(settings(tmp_path, upstream), upstream) as gateway:
        yield gateway
