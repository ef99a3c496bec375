"""A server over a scripted upstream whose model reads a known number of tokens."""

import pytest

from freddy.server.config import settings as parts
from scripted import closed, no_surroundings, opened, upstream

__all__ = ["closed", "no_surroundings", "opened", "upstream"]

WINDOW = 8000


@pytest.fixture
async def gateway(opened):
    return await opened(routing=parts.Routing(context_tokens=WINDOW))
