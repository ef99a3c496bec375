"""uvicorn's WebSocket, but that a server which stops tells its application before it closes the connection."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from freddy.server.http.websockets.opening import SHUTDOWN

_CLOSE_SECONDS = 1.0
"""How long a client may take to answer the word that a connection of a stopping server is closed."""


class Socket(WebSocketsSansIOProtocol):
    def shutdown(self) -> None:
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.close_timeout = _CLOSE_SECONDS
        self.queue.put_nowait({"type": SHUTDOWN})  # type: ignore[arg-type, misc]
