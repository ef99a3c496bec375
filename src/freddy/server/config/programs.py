"""Reads the `[mcp.programs.NAME]` tables: programs that speak MCP over stdin and stdout."""

import re
from pathlib import Path
from typing import Any

from freddy.server.config.sections.tools import McpProgram
from freddy.server.config.tables import Table

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KEYS = ("command", "environment", "folder")


class Programs:
    """One reading. The paths of the file start at its folder."""

    def __init__(self, file: Path | None) -> None:
        self.problems: list[str] = []
        self._file = file

    def read(self, tables: object) -> dict[str, McpProgram]:
        if not isinstance(tables, dict):
            self._say(f"{self._file}: mcp.programs must be written as [mcp.programs.NAME], a table for each")
            return {}
        found = {}
        for name, values in tables.items():
            where = f"{self._file}: mcp.programs.{name}"
            if not _NAME.fullmatch(name):
                self._say(f"{where}: the name must be lower-case letters, digits and ._- (at most 64)")
            elif not isinstance(values, dict):
                self._say(f"{where} must be a table")
            elif program := self._program(where, values):
                found[name] = program
        return found

    def _program(self, where: str, values: dict[str, Any]) -> McpProgram | None:
        before = len(self.problems)
        table = Table(where, values, self._say)
        table.only(_KEYS)
        command = table.texts("command", '["npx", "-y", "@scope/server"]')
        if "command" not in table:
            self._say(f"{where} needs a command")
        environment = values.get("environment", {})
        if not _is_environment(environment):
            self._say(f'{where}: environment must be a table of texts such as {{ TOKEN = "…" }}')
        folder = table.text("folder")
        if len(self.problems) > before or command is None:
            return None
        base = self._file.parent if self._file else Path()
        return McpProgram(
            command=command,
            environment=environment,
            folder=None if folder is None else (base / Path(folder).expanduser()).absolute(),
        )

    def _say(self, problem: str) -> None:
        self.problems.append(problem)


def _is_environment(given: object) -> bool:
    """Values may be secret: they are never repeated."""
    return isinstance(given, dict) and all(
        name and "=" not in name and "\0" not in name and isinstance(text, str) and "\0" not in text
        for name, text in given.items()
    )
