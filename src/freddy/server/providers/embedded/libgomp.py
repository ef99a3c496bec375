"""Finds an OpenMP runtime that another installed package brings, for systems without their own."""

import sys
from collections.abc import Iterable
from pathlib import Path

NAME = "libgomp.so.1"


def find(folders: Iterable[str] = tuple(sys.path)) -> Path | None:
    """Wheels keep such a copy beside them, in `<package>.libs/libgomp-<hash>.so.1.0.0`."""
    for folder in folders:
        found = sorted(Path(folder).glob("*.libs/libgomp-*.so*")) if folder else []
        if found:
            return found[0]
    return None


def link(library: Path, directory: Path) -> Path:
    """A folder for `LD_LIBRARY_PATH` where the library has the name that the engine asks for."""
    folder = directory / "lib"
    folder.mkdir(exist_ok=True)
    name = folder / NAME
    name.unlink(missing_ok=True)
    name.symlink_to(library)
    return folder
