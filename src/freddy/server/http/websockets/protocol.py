"""uvicorn's WebSocket, but that a server which stops tells its application before it closes the connection.

And a client cannot fill the memory with what its application never sees: pings, and pieces of a message.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from freddy.server.http.websockets.opening import SHUTDOWN

_CLOSE_SECONDS = 1.0
"""How long a client may take to answer the word that a connection of a stopping server is closed."""


class Socket(WebSocketsSansIOProtocol):
    def __init__(self, *settings: Any) -> None:  # noqa: ANN401 uvicorn's own
        super().__init__(*settings)
        self._deaf = False
        """Whether nothing is read because the client does not read."""
        # At the log level `debug` the library would write down what is said, and the headers with their keys.
        self.conn.debug = False

    def shutdown(self) -> None:
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.close_timeout = _CLOSE_SECONDS
        self.queue.put_nowait({"type": SHUTDOWN})  # type: ignore[arg-type, misc]

    def handle_ping(self) -> None:
        """Who asks again and again, and reads no answer, is not heard until it does."""
        super().handle_ping()
        if not self.writable.is_set() and not self.read_paused:
            self._deaf = self.read_paused = True
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        deaf, self._deaf = self._deaf, False
        if deaf and self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        """Pieces are put together as they come: thousands of a few bytes would take many times as much."""
        if not isinstance(self.frames[0], bytearray):
            self.frames = [bytearray(self.frames[0])]  # type: ignore[list-item]
        self.frames[0] += event.data
        if event.fin:
            self.send_receive_event_to_app()
