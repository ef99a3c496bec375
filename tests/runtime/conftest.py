"""Builds the stage on which runs are performed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from runtime_stage import Stage, ToolStage

from freddy_fakes import PATIENCE, MemoryStores, ScriptedModel


@pytest.fixture
def stores() -> MemoryStores:
    return MemoryStores()


@pytest.fixture
async def stage(stores) -> AsyncIterator[Callable[..., Stage]]:
    """Builds a stage whose host is under way; pass models by name, or the lines of one."""
    async with AsyncExitStack() as stack:

        async def build(
            *lines, grace_seconds: float = PATIENCE, tools: ToolStage | None = None, **models: ScriptedModel
        ) -> Stage:
            built = Stage(models or {"scripted": ScriptedModel(*lines)}, stores, grace_seconds, tools=tools)
            await stack.enter_async_context(built.host)
            return built

        yield build
