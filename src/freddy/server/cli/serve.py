"""`freddy serve`."""

import argparse
import gc
import sys

from freddy.server.cli import started

_FLAGS = {
    "host": "server.host",
    "port": "server.port",
    "workers": "server.workers",
    "model": "model.name",
    "log_level": "log.level",
}


def run(arguments: argparse.Namespace) -> int:
    settings = started.settings_of(arguments, _FLAGS)
    # Only now: the settings' errors come fast, and without the server's other packages.
    if arguments.handed is None and settings.server.workers > 1:
        from freddy.server import crew  # noqa: PLC0415

        return crew.serve(settings, _again(arguments))
    # Most of what is imported stays: looking for garbage meanwhile takes a seventh of the time. `serving` begins again.
    gc.disable()
    from freddy.server import serving  # noqa: PLC0415

    if arguments.handed is None:
        return serving.serve(settings)
    return serving.serve_handed(settings, serving.Handed(*map(int, arguments.handed.split(","))))


def _again(arguments: argparse.Namespace) -> list[str]:
    """The command of one worker, up to what it is handed."""
    told = {"config": arguments.config, **{flag: getattr(arguments, flag) for flag in _FLAGS}}
    said = [f"--{flag.replace('_', '-')}={text}" for flag, text in told.items() if text is not None]
    return [sys.executable, "-m", "freddy", "serve", *said, "--handed"]
