"""A server over a scripted upstream that takes small files only."""

import pytest
from files_stage import staged

from freddy.server.config import settings as parts
from scripted import no_surroundings, opened, upstream

__all__ = ["no_surroundings", "opened", "upstream"]


@pytest.fixture
async def gateway(opened):
    return await opened(files=parts.Files(max_bytes=100_000))


@pytest.fixture
def blobs(tmp_path):
    """The names of all that is kept in the folder of files."""
    folder = tmp_path / "files"
    return lambda: sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
async def stage(tmp_path):
    """Files behind the doors."""
    async with staged(tmp_path) as stage:
        yield stage
