"""Owns what an operator grants and lets run: limits, and programs that speak MCP over stdin and stdout."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct


class Terms(Struct, frozen=True, kw_only=True):
    """`sessions` counts those that are open at once. A session nobody used for `idle_seconds` is closed, a list of
    tools is told again for `list_seconds`. `result_bytes` is what a model may be given of one answer.
    """

    sessions: int = 100
    idle_seconds: float = 300.0
    connect_seconds: float = 20.0
    call_seconds: float = 60.0
    list_seconds: float = 300.0
    result_bytes: int = 1024 * 1024

    @property
    def wire_bytes(self) -> int:
        """What one message of a server may take: more than a model is given, so that it can be cut with a note."""
        return 16 * 1024 * 1024 + 2 * self.result_bytes

    @property
    def wire_values(self) -> int:
        """Values of JSON in one message: as many as a text of that size may seem to have."""
        return 50_000 + self.result_bytes // 4

    @property
    def share(self) -> int:
        """Sessions that one organization may have: the others need some, too."""
        return max(1, self.sessions // 2)


class Program(Struct, frozen=True, kw_only=True):
    """`environment` goes on top of PATH, HOME and their like; nothing else of this process's is handed on."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = {}
    folder: Path | None = None

    def __repr__(self) -> str:
        return f"Program({self.command[0]!r})"
