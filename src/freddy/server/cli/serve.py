"""`freddy serve`."""

import argparse

from freddy.server import config, logs

_FLAGS = {
    "host": "server.host",
    "port": "server.port",
    "model": "model.name",
    "log_level": "log.level",
}


def run(arguments: argparse.Namespace) -> int:
    flags = {name: text for flag, name in _FLAGS.items() if (text := getattr(arguments, flag)) is not None}
    settings, origins = config.read(arguments.config, flags)
    logs.configure(settings.log.level, settings.log.format)
    log = logs.get(__name__)
    for warning in origins.warnings:
        log.warning("setting_ignored", reason=warning)
    # Only now: the settings' errors come fast, and without the server's other packages.
    from freddy.server.serving import serve  # noqa: PLC0415

    return serve(settings)
