"""Settings of responses under way: how they are performed in the background, and followed."""

from typing import Annotated

from msgspec import Struct

from freddy.server.config.declarations import ONE_YEAR, Setting


class Channel(Struct, frozen=True, kw_only=True):
    """How long a response's events can be followed again."""

    retention_seconds: Annotated[
        float,
        Setting("FREDDY_CHANNEL_RETENTION_SECONDS", "Kept so long after the response's end.", low=0, high=ONE_YEAR),
    ] = 600.0
    retention_events: Annotated[
        int,
        Setting(
            "FREDDY_CHANNEL_RETENTION_EVENTS",
            "Kept events of all ended responses together; the oldest response goes first.",
            low=0,
            high=100_000_000,
        ),
    ] = 200_000


class Background(Struct, frozen=True, kw_only=True):
    """How responses in the background are performed, by this process and others (see [background](background.md))."""

    at_once: Annotated[
        int,
        Setting(
            "FREDDY_BACKGROUND_AT_ONCE",
            "Performed by this process at the same time; others wait for their turn. 0 leaves all to other processes.",
            low=0,
            high=10_000,
        ),
    ] = 100
    heartbeat_seconds: Annotated[
        float,
        Setting("FREDDY_BACKGROUND_HEARTBEAT_SECONDS", "A process says so often that it lives.", low=0.05, high=600),
    ] = 3.0
    lease_seconds: Annotated[
        float,
        Setting(
            "FREDDY_BACKGROUND_LEASE_SECONDS",
            "A process that did not say so for this long is taken for dead, and others go on with its responses. It "
            "should be several times the heartbeat.",
            low=0.2,
            high=3600,
        ),
    ] = 15.0
    poll_seconds: Annotated[
        float,
        Setting(
            "FREDDY_BACKGROUND_POLL_SECONDS",
            "How often a process looks for what others have accepted, or do, where no Redis or Valkey tells it.",
            low=0.05,
            high=60,
        ),
    ] = 0.5
    log_hours: Annotated[
        float,
        Setting(
            "FREDDY_BACKGROUND_LOG_HOURS",
            "The events of a response can be followed again as they were told for so long after its end; after that, "
            "they are told from what is kept of it.",
            low=0,
            high=24 * 366,
        ),
    ] = 24.0
