"""A server in the loop of the test, as the tests of the API have it."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "api"))

from gateway import serving, settings

from freddy.server.config import settings as parts
from upstream import Upstream


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch):
    for name in ("FREDDY_API_KEY", "FREDDY_BASE_URL", "FREDDY_ORG_ID", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def upstream():
    async with Upstream() as upstream:
        yield upstream
        assert upstream.complaints == []


@pytest.fixture
async def opened(upstream, tmp_path):
    """Opens servers with other settings on one home, each when the one before it has ended."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(**changes):
            await stack.aclose()
            return await stack.enter_async_context(serving(settings(tmp_path, upstream, **changes), upstream))

        yield open_


@pytest.fixture
async def gateway(opened):
    return await opened(files=parts.Files(max_bytes=100_000))


@pytest.fixture
def blobs(tmp_path):
    """The names of all that is kept in the folder of files."""
    folder = tmp_path / "files"
    return lambda: sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
