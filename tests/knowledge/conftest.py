"""Vector stores and their files over a database of their own."""

import pytest
from knowledge_stage import staged


@pytest.fixture
async def stage(tmp_path):
    async with staged(tmp_path) as stage:
        yield stage
