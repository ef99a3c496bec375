"""Settings of the server as a process: where it listens, whom it lets in, what it writes."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Struct

from freddy.server.config.declarations import Setting

DevMode: TypeAlias = Literal["auto", "on", "off"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["auto", "json", "text"]


class Server(Struct, frozen=True, kw_only=True):
    """Where the server listens."""

    host: Annotated[
        str,
        Setting(
            "FREDDY_HOST",
            "Address to listen on. A loopback address is reached from this machine only; `0.0.0.0` is every address.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Setting("FREDDY_PORT", "Port to listen on; 0 takes any free one.", low=0, high=65535)] = 8000
    public_url: Annotated[
        str | None,
        Setting(
            "FREDDY_PUBLIC_URL",
            "Address under which callers reach the server, when it stands behind a proxy.",
            form="url",
        ),
    ] = None
    max_body_bytes: Annotated[
        int,
        Setting("FREDDY_MAX_BODY_BYTES", "Largest request body; a larger one gets 413.", low=1024, high=2**31),
    ] = 10 * 1024 * 1024
    ping_seconds: Annotated[
        float,
        Setting(
            "FREDDY_PING_SECONDS",
            "A stream that is silent for so long gets a comment line, so that proxies keep it open.",
            low=1,
            high=3600,
        ),
    ] = 15.0
    websocket_minutes: Annotated[
        float,
        Setting(
            "FREDDY_WEBSOCKET_MINUTES",
            "After so long no response begins on a [WebSocket](websocket.md) any more: its client opens another.",
            low=0.01,
            high=1440,
        ),
    ] = 60.0
    shutdown_seconds: Annotated[
        float,
        Setting("FREDDY_SHUTDOWN_SECONDS", "Time that running responses get to end at shutdown.", low=0, high=3600),
    ] = 20.0
    workers: Annotated[
        int,
        Setting(
            "FREDDY_WORKERS",
            "Processes that serve, on one port. More than one needs a PostgreSQL database "
            "(see [several processes](operate.md#several-processes)).",
            low=1,
            high=256,
        ),
    ] = 1
    metrics_port: Annotated[
        int | None,
        Setting(
            "FREDDY_METRICS_PORT",
            "Port on which the server listens, too, for who asks for `/metrics`. Of several processes each has its "
            "own, beginning with this one. A worker tells its health there, too.",
            low=1,
            high=65535,
        ),
    ] = None


class Development(Struct, frozen=True, kw_only=True):
    """Local development mode: anonymous calls, a ready key, any model name answers."""

    mode: Annotated[
        DevMode,
        Setting(
            "FREDDY_DEV_MODE",
            "`auto` is on when `server.host` is a loopback address, and `server.public_url` too where it "
            "is set. `on` with another address refuses to start.",
        ),
    ] = "auto"
    api_key: Annotated[
        str | None,
        Setting(
            "FREDDY_DEV_API_KEY",
            "The key of development mode. Without it one is made at first start and kept in the home folder.",
            secret=True,
        ),
    ] = None
    mcp_url: Annotated[
        str | None,
        Setting(
            "FREDDY_DEV_MCP_URL",
            "The MCP server that the configuration `mcp_config_abc123` of the documentation's examples leads to.",
        ),
    ] = None

    def __repr__(self) -> str:
        return f"Development(mode={self.mode!r})"


class Log(Struct, frozen=True, kw_only=True):
    """What is written to stderr."""

    level: Annotated[LogLevel, Setting("FREDDY_LOG_LEVEL", "The least important lines that are written.")] = "info"
    format: Annotated[LogFormat, Setting("FREDDY_LOG_FORMAT", "`auto` is text on a terminal and JSON elsewhere.")] = (
        "auto"
    )
