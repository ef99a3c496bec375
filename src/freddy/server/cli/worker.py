"""`freddy worker`."""

import argparse
import gc
from pathlib import Path

from freddy.server import front
from freddy.server.cli import started

_FLAGS = {
    "at_once": "background.at_once",
    "model": "model.name",
    "log_level": "log.level",
}


def run(arguments: argparse.Namespace) -> int:
    settings = started.settings_of(arguments, _FLAGS)
    if isinstance(settings.store.database, Path):
        return front.refuse(
            "a worker shares a PostgreSQL database with servers: set FREDDY_DATABASE to its address; "
            "with SQLite, `freddy serve` performs everything itself"
        )
    if not settings.background.at_once:
        return front.refuse("this worker would perform nothing: FREDDY_BACKGROUND_AT_ONCE is 0")
    # As in `serve`.
    gc.disable()
    from freddy.server import serving  # noqa: PLC0415

    return serving.work(settings)
