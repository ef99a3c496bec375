"""Settings of addresses that callers choose and the server calls."""

from typing import Annotated

from msgspec import Struct

from freddy.server.config.declarations import Setting


class Network(Struct, frozen=True, kw_only=True):
    """What the server may call of the addresses that callers choose: those of functions, MCP servers and webhooks."""

    allow_private: Annotated[
        tuple[str, ...],
        Setting(
            "FREDDY_ALLOW_PRIVATE",
            "Networks and hosts that may be called though they are private, such as `10.0.0.0/8` and `mcp.internal`, "
            "on any port. Without it only public addresses are called; in local development mode this machine, too.",
            form="networks",
            shown="none",
        ),
    ] = ()


class Webhooks(Struct, frozen=True, kw_only=True):
    """Addresses that are told when responses in the background have ended."""

    most: Annotated[
        int, Setting("FREDDY_WEBHOOKS_MOST", "How many webhooks an organization may have.", low=0, high=1_000)
    ] = 20
    at_once: Annotated[
        int,
        Setting(
            "FREDDY_WEBHOOKS_AT_ONCE",
            "How many deliveries this process makes at the same time, at most 2 to one webhook and a quarter of them "
            "for one organization; 0 leaves them to other processes on the same database.",
            low=0,
            high=1_000,
        ),
    ] = 32
    seconds: Annotated[
        float, Setting("FREDDY_WEBHOOKS_SECONDS", "How long one attempt may take.", low=0.1, high=120)
    ] = 10.0
    attempts: Annotated[
        int,
        Setting(
            "FREDDY_WEBHOOKS_ATTEMPTS",
            "How often a delivery is attempted. The pause after the first attempt is 15 seconds, each further one four "
            "times as long, a day at most: 8 attempts take about a day.",
            low=1,
            high=30,
        ),
    ] = 8
    poll_seconds: Annotated[
        float,
        Setting(
            "FREDDY_WEBHOOKS_POLL_SECONDS",
            "How often is looked for deliveries whose time has come, and for those of other processes. One that comes "
            "about in this process is sent at once.",
            low=0.05,
            high=3600,
        ),
    ] = 5.0
    failing_days: Annotated[
        float,
        Setting(
            "FREDDY_WEBHOOKS_FAILING_DAYS",
            "A webhook to which nothing could be delivered for so long is disabled.",
            low=0.01,
            high=365,
        ),
    ] = 3.0
    kept_days: Annotated[
        float,
        Setting(
            "FREDDY_WEBHOOKS_KEPT_DAYS",
            "So long after their end deliveries are listed, and can be made again.",
            low=0.01,
            high=3650,
        ),
    ] = 7.0
