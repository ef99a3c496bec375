"""Keeps blobs in a folder."""

import asyncio
import os
from collections.abc import AsyncIterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from freddy.server.core import errors
from freddy.server.stores.blobs.objects import ObjectBlobs

if TYPE_CHECKING:
    from obstore.store import LocalStore


class LocalBlobs(ObjectBlobs):
    """Raises `errors.StorageUnavailable` when the folder cannot be made."""

    def __init__(self, folder: Path) -> None:
        try:
            # What people upload is nobody else's business.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise errors.StorageUnavailable(
                f"The folder of files {str(folder)!r} cannot be made: {error.strerror}.",
                details="Name a folder that the server's user may write to.",
            ) from error
        self._folder = folder.resolve()
        super().__init__(self._opened, str(folder))

    def _opened(self) -> "LocalStore":
        from obstore.store import LocalStore  # noqa: PLC0415 — not before it is needed

        return LocalStore(self._folder)

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> None:
        await super().write(name, chunks)
        with self._translated("write"):
            await asyncio.to_thread(_flush, self._folder / name)

    async def delete(self, names: Sequence[str]) -> None:
        await super().delete(names)
        with self._translated("delete"):
            await asyncio.to_thread(_clear, [self._folder / name for name in names])


def _flush(path: Path) -> None:
    for each in (path, path.parent, path.parent.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _clear(paths: Sequence[Path]) -> None:
    """What a process that was killed left behind: obstore writes to `name#1` and renames it at the end."""
    for path in paths:
        for half in path.parent.glob(f"{path.name}#*"):
            half.unlink(missing_ok=True)
