"""Reads the upstreams: the `[[upstream]]` tables of the file, and the one that some variables describe."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from freddy.server.config import checks
from freddy.server.config.sections.upstreams import UPSTREAM_VARIABLES, Upstream
from freddy.server.config.tables import Table

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_TEXTS = ("url", "vendor", "kind", "default_model", "organization", "project")
_SECONDS = ("connect_seconds", "first_token_seconds", "idle_seconds", "total_seconds")
_KEYS = ("name", *_TEXTS, "key", "key_env", "models", "headers", *_SECONDS)


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

    def _from_table(self, where: str, values: object) -> Upstream | None:
        if not isinstance(values, dict):
            self._say(f"{where} must be a table")
            return None
        before = len(self.problems)
        table = Table(where, values, self._say)
        table.only(_KEYS)
        fields: dict[str, Any] = {"name": table.text("name", needed=True)}
        fields |= {key: table.text(key) for key in _TEXTS}
        fields |= {key: table.number(key, 0.1, 86400) for key in _SECONDS}
        fields |= {"key": self._key(table), "models": table.texts("models", '["gpt-4o", "gpt-5*"]')}
        fields["headers"] = table.words("headers")
        if not {"url", "vendor"} & values.keys():
            self._say(f"{where} needs a url, or a vendor that has one")
        if len(self.problems) > before:
            return None
        return self._checked(where, Upstream(**{key: value for key, value in fields.items() if value is not None}))

    def _key(self, table: Table) -> str | None:
        key, variable = table.text("key", secret=True), table.text("key_env")
        if variable is None:
            return key
        if "key" in table:
            self._say(f"{table.where} has both key and key_env; remove one")
        elif variable not in self._variables:
            self._say(f"{table.where}: key_env names the variable {variable!r}, which is not set")
        return self._variables.get(variable)

    def _from_variables(self) -> Upstream | None:
        given = {name: self._variables[name] for name in UPSTREAM_VARIABLES if name in self._variables}
        url, vendor = given.get("FREDDY_UPSTREAM_URL"), given.get("FREDDY_UPSTREAM_VENDOR")
        if url is None and vendor is None:
            for name in given:
                self._say(f"{name} is set, but FREDDY_UPSTREAM_URL is not; set both, or neither")
            return None
        names = tuple(name.strip() for name in given.get("FREDDY_UPSTREAM_MODELS", "*").split(",") if name.strip())
        return self._checked(
            "FREDDY_UPSTREAM_URL" if url else "FREDDY_UPSTREAM_VENDOR",
            Upstream(
                name="upstream",
                url=url,
                vendor=vendor,
                kind=given.get("FREDDY_UPSTREAM_KIND"),
                key=given.get("FREDDY_UPSTREAM_KEY"),
                models=names,
            ),
        )

    def _checked(self, where: str, upstream: Upstream) -> Upstream | None:
        if not _NAME.fullmatch(upstream.name) or upstream.name == "embedded":
            self._say(
                f"{where}: name must be lower-case letters, digits and ._- (at most 32), and not `embedded`; "
                f"it is {upstream.name!r}"
            )
            return None
        key = upstream.key.strip() if upstream.key else None
        if key is not None and not (key.isascii() and key.isprintable()):
            self._say(f"{where}: key has characters that cannot stand in an HTTP header")
            return None
        if upstream.url is None:
            return structs.replace(upstream, key=key)
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
