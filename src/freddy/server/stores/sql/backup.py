"""Copies an SQLite database while it is in use."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def back_up(path: Path, target: Path) -> None:
    """Copies a database that may be in use, as it is at one moment, without holding anybody up.

    The copy is whole or not there. Raises OSError and sqlite3.Error.
    """
    half = target.with_name(f"{target.name}.part")
    half.unlink(missing_ok=True)
    try:
        os.close(os.open(half, os.O_CREAT | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(half),))
        with half.open("rb") as written:
            os.fsync(written.fileno())
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)
