"""Where the tests write: in memory, where the machine has room for it.

They flush thousands of small databases to the disk, and none of them has to outlive a power cut.
"""

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30
"""Bytes. A run has never more than a part of it at once."""


def write_in_memory() -> None:
    """Temporary folders of this process and of those that it starts, unless the environment names a place for them."""
    surroundings = os.environ  # noqa: TID251 what the tests' own processes read
    if "TMPDIR" not in surroundings and _has_room():
        surroundings["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def short_folder() -> Path:
    """For sockets, whose paths may not be long."""
    return _MEMORY if tempfile.gettempdir() == str(_MEMORY) else Path("/tmp")


def _has_room() -> bool:
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return False
    # Some tests install programs and run them.
    return not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC and shutil.disk_usage(_MEMORY).free >= _ROOM
