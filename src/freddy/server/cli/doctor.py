"""`freddy doctor`: the settings with their origins, then what was found."""

import argparse
import sys
from collections.abc import Iterator

import msgspec

from freddy.server import config, doctor, upstreams
from freddy.server.cli import terminal
from freddy.server.config import checks, settings
from freddy.server.doctor import Check

_COLOURS = {"ok": terminal.GREEN, "warning": terminal.YELLOW, "problem": terminal.RED}


class _Row(msgspec.Struct, frozen=True):
    name: str
    value: str
    origin: str
    variable: str = ""


def run(arguments: argparse.Namespace) -> int:
    try:
        found, origins = config.read(arguments.config)
    except config.ConfigError as error:
        rows: list[_Row] = []
        results: Iterator[Check] = iter([*_refused(error), *doctor.machine()])
    else:
        rows = list(_rows(found, origins))
        results = _results(found, origins)
    if arguments.json:
        everything = list(results)
        whole = {"version": terminal.version(), "settings": rows, "checks": everything}
        terminal.say(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
    else:
        everything = _show(rows, results)
    return 1 if any(one.verdict == "problem" for one in everything) else 0


def _show(rows: list[_Row], results: Iterator[Check]) -> list[Check]:
    """Each line as soon as it is known: an upstream may take its time."""
    terminal.say(f"Freddy {terminal.version()}")
    if rows:
        terminal.say("\nSettings")
    names, values = (max((len(part) for part in parts), default=0) for parts in _columns(rows))
    for row in rows:
        origin = terminal.paint(row.origin, terminal.DIM, sys.stdout)
        terminal.say(f"  {row.name:<{names}}  {row.value:<{values}}  {origin}")
    terminal.say("\nChecks")
    everything = []
    for one in results:
        verdict = terminal.paint(f"{one.verdict:<7}", _COLOURS[one.verdict], sys.stdout)
        terminal.say(f"  {verdict}  {one.name}: {one.said}")
        if one.cure:
            terminal.say(f"           → {one.cure}")
        sys.stdout.flush()
        everything.append(one)
    return everything


def _columns(rows: list[_Row]) -> tuple[list[str], list[str]]:
    return [row.name for row in rows], [row.value for row in rows if len(row.value) <= 50]


def _rows(found: config.Settings, origins: config.Origins) -> Iterator[_Row]:
    for one in settings.declared():
        value = settings.value(found, one.name)
        shown = "***" if one.setting.secret and value is not None else _plain(value)
        origin = origins.places[one.name]
        origin = one.setting.variable if origin == "environment" else origin
        yield _Row(one.name, shown, origin, one.setting.variable)
    for upstream in found.upstreams:
        key = "with a key" if upstreams.keyed(upstream) else "without a key"
        shown = f"{upstream.url or upstream.vendor} ({key}; {', '.join(upstream.models)})"
        yield _Row(f"upstream.{upstream.name}", shown, origins.places[f"upstream.{upstream.name}"])
    for name, target in found.aliases.items():
        yield _Row(f"aliases.{name}", target, origins.places[f"aliases.{name}"])


def _plain(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value) or "-"
    return checks.without_password(str(value))


def _results(found: config.Settings, origins: config.Origins) -> Iterator[Check]:
    yield _settings_file(found, origins)
    for warning in origins.warnings:
        yield Check("settings", "warning", warning, "correct or unset it")
    yield from doctor.everything(found)


def _settings_file(found: config.Settings, origins: config.Origins) -> Check:
    mode = "development mode: anyone on this machine may call" if found.development else "callers need a key"
    if origins.file is None:
        return Check("settings", "ok", f"no file; {mode}")
    secret = any(name in origins.places and origins.places[name] == str(origins.file) for name in _secrets(found))
    if secret and sys.platform != "win32" and origins.file.stat().st_mode & 0o077:
        said = f"{origins.file} holds a key, and others may read it"
        return Check("settings", "warning", said, f"chmod 600 {origins.file}, or use key_env")
    return Check("settings", "ok", f"{origins.file}; {mode}")


def _secrets(found: config.Settings) -> Iterator[str]:
    if found.dev.api_key:
        yield "dev.api_key"
    if found.secrets.key:
        yield "secrets.key"
    yield from (f"upstream.{one.name}" for one in found.upstreams if one.key)


def _refused(error: config.ConfigError) -> Iterator[Check]:
    for problem in error.problems:
        yield Check("settings", "problem", problem, "the server does not start before this is cured")
