"""Settings of tools that the server runs for models: functions, and those of MCP servers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Struct

from freddy.server.config.declarations import Setting


class Tools(Struct, frozen=True, kw_only=True):
    """Tools that the server runs for models, whatever they are."""

    seconds: Annotated[
        float,
        Setting(
            "FREDDY_TOOLS_SECONDS",
            "How long one call of a tool may take, whatever else limits it. The model is told where it takes longer.",
            low=0.1,
            high=86_400,
        ),
    ] = 330.0
    at_once: Annotated[
        int,
        Setting("FREDDY_TOOLS_AT_ONCE", "How many calls of one model's turn run at the same time.", low=1, high=128),
    ] = 8
    approval_seconds: Annotated[
        int,
        Setting(
            "FREDDY_TOOLS_APPROVAL_SECONDS",
            "How long a call that needs approval waits for it.",
            low=1,
            high=31_536_000,
        ),
    ] = 86_400


class Functions(Struct, frozen=True, kw_only=True):
    """Functions that the server runs for models."""

    seconds: Annotated[
        float,
        Setting(
            "FREDDY_FUNCTIONS_SECONDS",
            "Longest time that a function of an installed package may take. Registered functions have a time of "
            "their own.",
            low=0.1,
            high=3600,
        ),
    ] = 60.0
    most: Annotated[
        int,
        Setting("FREDDY_FUNCTIONS_MOST", "How many functions an organization may register.", low=0, high=1_000),
    ] = 200


class McpProgram(Struct, frozen=True, kw_only=True):
    """A program that speaks MCP over stdin and stdout. `environment` may hold secrets."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = {}
    folder: Path | None = None

    def __repr__(self) -> str:
        return f"McpProgram(command={self.command[0]!r})"


class Mcp(Struct, frozen=True, kw_only=True):
    """Servers of the Model Context Protocol, whose tools are called here."""

    sessions: Annotated[
        int,
        Setting(
            "FREDDY_MCP_SESSIONS",
            "How many sessions may be open at once; an organization may have half of them. Where another is needed, "
            "the one that lay idle for longest is closed.",
            low=1,
            high=10_000,
        ),
    ] = 100
    idle_seconds: Annotated[
        float,
        Setting("FREDDY_MCP_IDLE_SECONDS", "A session that nobody used for so long is closed.", low=0.1, high=86_400),
    ] = 300.0
    connect_seconds: Annotated[
        float,
        Setting(
            "FREDDY_MCP_CONNECT_SECONDS",
            "How long opening a session may take, or starting a program.",
            low=0.1,
            high=600,
        ),
    ] = 20.0
    call_seconds: Annotated[
        float, Setting("FREDDY_MCP_CALL_SECONDS", "How long a call of a tool may take.", low=0.1, high=86_400)
    ] = 60.0
    list_seconds: Annotated[
        float,
        Setting(
            "FREDDY_MCP_LIST_SECONDS",
            "How long the list of a server's tools is remembered, if the server does not say that it changed.",
            low=0,
            high=86_400,
        ),
    ] = 300.0
    result_bytes: Annotated[
        int,
        Setting(
            "FREDDY_MCP_RESULT_BYTES",
            "How much of one answer of a tool a model may be given; the rest is cut, with a note.",
            low=1024,
            high=67_108_864,
        ),
    ] = 1_048_576
    programs: Mapping[str, McpProgram] = {}
