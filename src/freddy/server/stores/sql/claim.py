"""One server for a database: what is under way belongs to it, and a second would take that for lost."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from freddy.server.core import errors

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


@contextlib.contextmanager
def claimed(database: Path) -> Iterator[None]:
    """Holds the database for this server; the system lets go of it when the process dies.

    The command line may read and write beside it. Raises `errors.StorageUnavailable` when another server has it.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("ab") as file:
        try:
            if sys.platform == "win32":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise errors.StorageUnavailable(
                f"Another server uses the database {str(database)!r}",
                details="stop it, or give this one a home of its own with FREDDY_HOME",
            ) from error
        yield
