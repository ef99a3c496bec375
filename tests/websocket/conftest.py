"""A server over a scripted upstream, and a WebSocket to it."""

import pytest
import sockets

from scripted import gateway, no_surroundings, opened, upstream

__all__ = ["gateway", "no_surroundings", "opened", "upstream"]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def wire(gateway):
    async with sockets.opened(gateway) as wire:
        yield wire
