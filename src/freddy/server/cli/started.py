"""Reads the settings of a command that stays: with its flags, and with what is said of settings that have no effect."""

import argparse
from collections.abc import Mapping

from freddy.server import config, logs
from freddy.server.config import Settings


def settings_of(arguments: argparse.Namespace, flags: Mapping[str, str]) -> Settings:
    """`flags` are the settings that flags set, by the names of these. Raises `ConfigError`."""
    given = {name: text for flag, name in flags.items() if (text := getattr(arguments, flag)) is not None}
    settings, origins = config.read(arguments.config, given)
    logs.configure(settings.log.level, settings.log.format)
    log = logs.get(f"freddy.server.cli.{arguments.command}")
    for warning in origins.warnings:
        log.warning("setting_ignored", reason=warning)
    return settings
