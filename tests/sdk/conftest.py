"""Both clients over a scripted server: every test that takes `server` runs once with each."""

import pytest
from scripted_server import Server


@pytest.fixture(params=["sync", "async"])
async def server(request, monkeypatch):
    for name in ("FREDDY_API_KEY", "FREDDY_BASE_URL", "FREDDY_ORG_ID"):
        monkeypatch.delenv(name, raising=False)
    async with Server(kind=request.param) as server:
        yield server
