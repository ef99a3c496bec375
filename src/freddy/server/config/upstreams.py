"""Reads the upstreams: the `[[upstream]]` tables of the file, and the one that three variables describe."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from freddy.server.config import checks
from freddy.server.config.settings import UPSTREAM_KINDS, UPSTREAM_VARIABLES, Upstream

_KEYS = ("name", "url", "kind", "key", "key_env", "models", "default_model")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


class Upstreams:
    """One reading. `places`: `upstream.<name>` → where it is from."""

    def __init__(self, variables: Mapping[str, str], file: Path | None) -> None:
        self.problems: list[str] = []
        self.places: dict[str, str] = {}
        self._variables = variables
        self._file = file

    def read(self, tables: object) -> tuple[Upstream, ...]:
        found: dict[str, Upstream] = {}
        if not isinstance(tables, list):
            self._say(f"{self._file}: upstream must be written as [[upstream]], with two brackets")
            tables = []
        for number, table in enumerate(tables, 1):
            where = f"{self._file}: upstream {number}"
            upstream = self._from_table(where, table)
            if upstream is None:
                continue
            if upstream.name in found:
                self._say(f"{where} has the same name {upstream.name!r} as another; rename one")
            found[upstream.name] = upstream
            self.places[f"upstream.{upstream.name}"] = str(self._file)
        if short := self._from_variables():
            found[short.name] = short
            self.places[f"upstream.{short.name}"] = "environment"
        return tuple(found.values())

    def _from_table(self, where: str, table: object) -> Upstream | None:
        if not isinstance(table, dict):
            self._say(f"{where} must be a table")
            return None
        before = len(self.problems)
        for key in sorted(table.keys() - set(_KEYS)):
            self._say(f"{where} has no key {key!r}{checks.meant(key, _KEYS)}")
        for key in ("name", "url"):
            if key not in table:
                self._say(f"{where} needs a {key}")
        for key in ("name", "url", "kind", "key", "key_env", "default_model"):
            given = table.get(key, "x")
            if not (isinstance(given, str) and given.strip()):
                said = "" if key == "key" else f", not {given!r}"
                self._say(f"{where}: {key} must be a text that is not empty{said}")
        models = table.get("models", ["*"])
        if not (isinstance(models, list) and models and all(isinstance(one, str) and one for one in models)):
            self._say(f'{where}: models must be a list such as ["gpt-4o", "gpt-5*"], not {models!r}')
        fields: dict[str, Any] = {key: table[key] for key in _KEYS if key in table}
        if "key_env" in fields:
            fields["key"] = self._named_key(where, fields)
        if len(self.problems) > before:
            return None
        fields.pop("key_env", None)
        return self._checked(where, Upstream(**{**fields, "models": tuple(models)}))

    def _named_key(self, where: str, fields: Mapping[str, Any]) -> str | None:
        variable = fields["key_env"]
        if "key" in fields:
            self._say(f"{where} has both key and key_env; remove one")
        elif isinstance(variable, str) and variable.strip() and variable not in self._variables:
            self._say(f"{where}: key_env names the variable {variable!r}, which is not set")
        return self._variables.get(str(variable))

    def _from_variables(self) -> Upstream | None:
        url, key, models, kind = (self._variables.get(name) for name in UPSTREAM_VARIABLES)
        if url is None:
            for name in UPSTREAM_VARIABLES.keys() & self._variables.keys():
                self._say(f"{name} is set, but FREDDY_UPSTREAM_URL is not; set both, or neither")
            return None
        names = tuple(name.strip() for name in (models or "*").split(",") if name.strip())
        fields: dict[str, Any] = {"kind": kind} if kind else {}
        return self._checked("FREDDY_UPSTREAM_URL", Upstream(name="upstream", url=url, key=key, models=names, **fields))

    def _checked(self, where: str, upstream: Upstream) -> Upstream | None:
        if not _NAME.fullmatch(upstream.name) or upstream.name == "embedded":
            self._say(
                f"{where}: name must be lower-case letters, digits and ._- (at most 32), and not `embedded`; "
                f"it is {upstream.name!r}"
            )
            return None
        if upstream.kind not in UPSTREAM_KINDS:
            self._say(f"{where}: kind must be one of {', '.join(UPSTREAM_KINDS)}, not {upstream.kind!r}")
            return None
        key = upstream.key.strip() if upstream.key else None
        if key is not None and not (key.isascii() and key.isprintable()):
            self._say(f"{where}: key has characters that cannot stand in an HTTP header")
            return None
        if "@" in upstream.url:
            self._say(f"{where}: url must be without user and password; the key stands in key or key_env")
            return None
        try:
            return structs.replace(upstream, url=checks.url(upstream.url), key=key)
        except ValueError as error:
            self._say(f"{where}: url must be {error}, not {upstream.url!r}")
            return None

    def _say(self, problem: str) -> None:
        self.problems.append(problem)
