"""What uvicorn is told so that it hands over WebSockets."""

import asyncio
from typing import Any, Final, TypedDict

PONG_SECONDS: Final = 120.0
"""How long a client may be silent after a ping: one whose program is at work elsewhere may not read meanwhile."""


def socket(config: Any, server_state: Any, app_state: Any) -> asyncio.Protocol:  # noqa: ANN401 uvicorn's own
    """What uvicorn hands a connection to that asks for a WebSocket."""
    # Many servers never see one: the library is read when the first comes.
    from freddy.server.http.websockets.protocol import Socket  # noqa: PLC0415

    return Socket(config, server_state, app_state)


class Options(TypedDict):
    """Of `uvicorn.Config`."""

    http: Any
    ws: Any
    ws_max_size: int
    ws_ping_interval: float
    ws_ping_timeout: float
    ws_per_message_deflate: bool


def options(*, max_bytes: int, ping_seconds: float, pong_seconds: float = PONG_SECONDS) -> Options:
    """A frame may be as long as a body. Nothing is packed: it would cost more than it saves, frame by frame."""
    # Who does not serve, has no use for it.
    from freddy.server.http.websockets.upgrades import Http  # noqa: PLC0415

    return Options(
        http=Http,
        ws=socket,
        ws_max_size=max_bytes,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=pong_seconds,
        ws_per_message_deflate=False,
    )
