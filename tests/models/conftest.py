"""A server over a scripted upstream, and the directory of models as it is installed."""

import pytest

from freddy.server.providers._directory import Directory
from scripted import gateway, opened, unused_port, upstream

__all__ = ["gateway", "opened", "unused_port", "upstream"]


@pytest.fixture
async def directory():
    return await Directory.load()
