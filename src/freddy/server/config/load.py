"""Reads the settings: flags before environment before file before default, and where each came from."""

import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
from msgspec import Struct

from freddy.server.config import checks
from freddy.server.config.declarations import Declared
from freddy.server.config.models import Models
from freddy.server.config.programs import Programs
from freddy.server.config.settings import (
    OTHER_VARIABLES,
    SECTIONS,
    UPSTREAM_VARIABLES,
    McpProgram,
    Served,
    Settings,
    Upstream,
    declared,
    is_loopback,
)
from freddy.server.config.upstreams import Upstreams

FILE = "freddy.toml"
ENVIRONMENT = "environment"
DEFAULT = "default"
_LAST_PORT = 65_535
_WORDS = {
    "on": True,
    "yes": True,
    "true": True,
    "1": True,
    "off": False,
    "no": False,
    "false": False,
    "0": False,
}


class ConfigError(Exception):
    """Every problem found, each a line that names the place, the value and the cure."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Origins(Struct, frozen=True):
    """`places`: a setting's name → `default`, `environment`, the path of the file, or the flag."""

    places: Mapping[str, str]
    file: Path | None = None
    warnings: tuple[str, ...] = ()


def read(config_path: Path | None = None, flags: Mapping[str, str] | None = None) -> tuple[Settings, Origins]:
    """The settings of this process."""
    return load(os.environ, config_path, flags)  # noqa: TID251 the one place where the server reads it


def load(
    environment: Mapping[str, str], config_path: Path | None, flags: Mapping[str, str] | None = None
) -> tuple[Settings, Origins]:
    """`config_path` is the file to read instead of the one that would be found; `flags`: name → text.

    Raises `ConfigError`.
    """
    # An empty variable counts as not set: container files pass `FREDDY_X=${FREDDY_X:-}` on.
    variables = {name: text for name, text in environment.items() if text.strip()}
    home = _absolute(variables["FREDDY_HOME"]) if "FREDDY_HOME" in variables else _default_home(variables)
    file = _find(config_path, variables, home)
    reading = _Reading(variables, flags or {}, file, _parse(file) if file else {})
    settings = reading.settings(home)
    if reading.problems:
        raise ConfigError(reading.problems)
    return settings, Origins(reading.places, file, tuple(reading.warnings))


def dev_key(settings: Settings) -> str | None:
    """The development key: the one that is set, else the one in its file, if there is one."""
    if settings.dev.api_key:
        return settings.dev.api_key
    try:
        return settings.dev_key_path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


class _Reading:
    """One reading: collects values, places and problems."""

    def __init__(
        self,
        variables: Mapping[str, str],
        flags: Mapping[str, str],
        file: Path | None,
        tables: dict[str, Any],
    ) -> None:
        self.places: dict[str, str] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._variables = variables
        self._flags = flags
        self._file = file
        self._tables = tables

    def settings(self, home: Path) -> Settings:
        known = tuple(declared())
        self._check_file(known)
        values: dict[str, dict[str, Any]] = {"": {}, **{table: {} for table in SECTIONS}}
        for one in known:
            found = self._value(one)
            if found is not None:
                values[one.table][one.key] = found
        top = values.pop("")
        home = top.setdefault("home", home)
        values["store"].setdefault("database", home / "freddy.db")
        values["mcp"]["programs"] = self._programs()
        sections: dict[str, Any] = {table: SECTIONS[table](**pairs) for table, pairs in values.items()}
        settings = Settings(
            **top,
            **sections,
            upstreams=(upstreams := self._upstreams()),
            models=self._models(upstreams),
            aliases=self._aliases(),
        )
        self._check_variables(known)
        self._check_openness(settings)
        if (settings.files.s3_access_key is None) != (settings.files.s3_secret_key is None):
            self.problems.append("files.s3_access_key and files.s3_secret_key belong together: set both, or neither")
        self._check_issuer(settings)
        self._check_processes(settings)
        return settings

    def _check_processes(self, settings: Settings) -> None:
        """What would show only when it is too late: when somebody dies, or when nothing ever happens."""
        background, server = settings.background, settings.server
        if background.lease_seconds < 2 * background.heartbeat_seconds:
            self.problems.append(
                f"background.lease_seconds is {background.lease_seconds:g}, but must be at least twice "
                f"background.heartbeat_seconds, which is {background.heartbeat_seconds:g}: "
                "processes that live would take each other for dead"
            )
        if not background.at_once and isinstance(settings.store.database, Path):
            self.problems.append(
                "background.at_once is 0, but an SQLite database belongs to one process, and what it takes would wait "
                "for ever: set FREDDY_DATABASE to the address of a PostgreSQL database, or at_once to 1 or more"
            )
        if server.metrics_port is not None and server.metrics_port + server.workers - 1 > _LAST_PORT:
            self.problems.append(
                f"server.metrics_port is {server.metrics_port}, and from there on each of {server.workers} workers "
                f"needs a port: choose one of at most {_LAST_PORT + 1 - server.workers}"
            )
        self.problems += checks.disabling(
            failing_days=settings.webhooks.failing_days, kept_days=settings.webhooks.kept_days
        )

    def _check_issuer(self, settings: Settings) -> None:
        issuer = settings.oidc.issuer
        if (issuer is None) != (settings.oidc.audience is None):
            self.problems.append("oidc.issuer and oidc.audience belong together: set both, or neither")
        if issuer is not None and not (issuer.startswith(("http://", "https://")) and urlsplit(issuer).hostname):
            self.problems.append(f"oidc.issuer must be an address that starts with http:// or https://, not {issuer!r}")

    def _value(self, one: Declared) -> object:
        """The value where something set it; None leaves the default."""
        table = self._tables.get(one.table, {}) if one.table else self._tables
        variable = one.setting.variable
        if one.name in self._flags:
            place, where, raw = f"--{one.key}", f"--{one.key}", self._flags[one.name]
        elif variable in self._variables:
            place, where, raw = ENVIRONMENT, variable, self._variables[variable]
        elif isinstance(table, dict) and one.key in table:
            place, where, raw = str(self._file), f"{self._file}: {one.name}", table[one.key]
        else:
            self.places[one.name] = DEFAULT
            return None
        self.places[one.name] = place
        try:
            return self._convert(one, raw, from_file=place == str(self._file))
        except ValueError as error:
            given = "" if one.setting.secret else f", not {checks.without_password(repr(raw))}"
            self.problems.append(f"{where} must be {error}{given}")
            return None

    def _convert(self, one: Declared, raw: object, *, from_file: bool) -> object:
        """Raises ValueError with what would be right."""
        kind = checks.plain(one.type)
        base = self._file.parent if from_file and self._file else Path()
        if one.setting.form == "database" and checks.is_postgres(raw):
            return checks.postgres_url(str(raw))
        if one.setting.form == "networks":
            return checks.networks(raw)
        if kind is Path or one.setting.form == "database":
            if not isinstance(raw, str) or not raw.strip():
                raise ValueError("a path in quotes")
            return _absolute(raw, base)
        if not from_file and isinstance(raw, str):
            raw = raw.strip()
            if kind is bool:
                raw = _WORDS.get(raw.lower(), raw)
        try:
            found: Any = msgspec.convert(raw, kind, strict=from_file)
        except msgspec.ValidationError:
            raise ValueError(checks.want(one)) from None
        if isinstance(found, float) and not math.isfinite(found):
            raise ValueError(checks.want(one))
        low, high = one.setting.low, one.setting.high
        if (low is not None and found < low) or (high is not None and found > high):
            raise ValueError(checks.want(one))
        if one.setting.form == "url":
            return checks.url(found)
        if one.setting.form == "redis":
            return checks.redis_url(found)
        if one.setting.form == "keys":
            return checks.secret_keys(found)
        if isinstance(found, str):
            found = found.strip()
            if not found:
                raise ValueError("a text that is not empty")
            if one.setting.secret and not (found.isascii() and found.isprintable() and " " not in found):
                raise ValueError("a text without spaces that can stand in an HTTP header")
            if one.name == "model.name" and found.endswith(".gguf"):
                return str(_absolute(found, base))
        return found

    def _upstreams(self) -> tuple[Upstream, ...]:
        reading = Upstreams(self._variables, self._file)
        found = reading.read(self._tables.get("upstream", []))
        self.problems += reading.problems
        self.places |= reading.places
        return found

    def _models(self, upstreams: tuple[Upstream, ...]) -> tuple[Served, ...]:
        reading = Models(self._file, {one.name for one in upstreams})
        found = reading.read(self._tables.get("models", []))
        self.problems += reading.problems
        self.places |= {f"models.{one.name}": str(self._file) for one in found}
        return found

    def _programs(self) -> dict[str, McpProgram]:
        reading = Programs(self._file)
        table = self._tables.get("mcp", {})
        found = reading.read(table.get("programs", {}) if isinstance(table, dict) else {})
        self.problems += reading.problems
        self.places |= {f"mcp.programs.{name}": str(self._file) for name in found}
        return found

    def _aliases(self) -> dict[str, str]:
        table = self._tables.get("aliases", {})
        if not isinstance(table, dict):
            self.problems.append(f"{self._file}: aliases must be a table: [aliases]")
            return {}
        for name, target in table.items():
            if not isinstance(target, str) or not target.strip():
                self.problems.append(f"{self._file}: aliases.{name} must be the name of a model, not {target!r}")
            self.places[f"aliases.{name}"] = str(self._file)
        return {name: str(target).strip() for name, target in table.items()}

    def _check_file(self, known: Iterable[Declared]) -> None:
        keys: dict[str, set[str]] = {"": {"upstream", "models", "aliases", *SECTIONS}, "mcp": {"programs"}}
        for one in known:
            keys.setdefault(one.table, set()).add(one.key)
        for key in self._tables.keys() - keys[""]:
            self.problems.append(f"{self._file}: there is no setting {key!r}{checks.meant(key, keys[''])}")
        for table in SECTIONS:
            pairs = self._tables.get(table, {})
            if not isinstance(pairs, dict):
                self.problems.append(f"{self._file}: {table} must be a table: [{table}]")
                continue
            for key in pairs.keys() - keys[table]:
                names = [f"{table}.{name}" for name in keys[table]]
                meant = checks.meant(f"{table}.{key}", names)
                self.problems.append(f"{self._file}: there is no setting '{table}.{key}'{meant}")

    def _check_variables(self, known: Iterable[Declared]) -> None:
        names = {one.setting.variable for one in known} | UPSTREAM_VARIABLES.keys() | OTHER_VARIABLES.keys()
        listed = self._tables.get("upstream", [])
        if isinstance(listed, list):
            names |= {str(one.get("key_env")) for one in listed if isinstance(one, dict)}
        for name in sorted(self._variables):
            if name.startswith("FREDDY_") and name not in names:
                self.warnings.append(f"the variable {name} is not known and has no effect{checks.meant(name, names)}")

    def _check_openness(self, settings: Settings) -> None:
        if settings.dev.mode == "on" and settings.public:
            addresses = f"server.host is {settings.server.host!r}"
            if settings.server.public_url:
                addresses += f" and server.public_url is {settings.server.public_url!r}"
            self.problems.append(
                f"development mode lets anyone in, so it cannot be on while {addresses}: "
                "set FREDDY_DEV_MODE=off, or only loopback addresses"
            )


def _find(config_path: Path | None, variables: Mapping[str, str], home: Path) -> Path | None:
    named = config_path or (Path(variables["FREDDY_CONFIG"]) if "FREDDY_CONFIG" in variables else None)
    if named is None:
        return next((path for path in (Path(FILE).absolute(), home / FILE) if path.is_file()), None)
    path = _absolute(str(named))
    if not path.is_file():
        raise ConfigError([f"the settings file {path} does not exist; correct --config or FREDDY_CONFIG"])
    return path


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{file} is not valid TOML: {error}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file} is not text in UTF-8"]) from error
    except OSError as error:
        raise ConfigError([f"{file} cannot be read: {error.strerror}"]) from error


def _default_home(variables: Mapping[str, str]) -> Path:
    data = variables.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    if Path(data).is_absolute():
        return Path(data) / "freddy"
    user = variables.get("HOME")
    return (Path(user) if user else Path.home()) / ".freddy"


def _absolute(text: str, base: Path | None = None) -> Path:
    path = Path(text.strip()).expanduser()
    return ((base or Path()) / path).absolute()


def first_set(names: Iterable[str]) -> str | None:
    """The value of the first of these variables that is set: vendors have a usual name for their key."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)  # noqa: TID251


def proxy_for(url: str) -> str | None:
    """The HTTP proxy that the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`) puts before an address."""
    address = urlsplit(url)
    host = address.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(address.scheme)
