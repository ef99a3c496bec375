"""One HTTP/1.1 connection to a vendor: bytes out, the parsed answer in. https://www.rfc-editor.org/rfc/rfc9112"""

import asyncio
from typing import cast

import httptools

_MOST_WAITING = 1024 * 1024
"""Bytes of an answer that may wait to be read before the vendor is held back."""


class Broken(Exception):
    """The connection ended, or did not speak HTTP, before the answer was whole."""

    def __init__(self, *, spoke: bool, garbled: bool = False) -> None:
        """`spoke`: something of the answer had come; `garbled`: it was not HTTP."""
        super().__init__()
        self.spoke = spoke
        self.garbled = garbled


class Connection(asyncio.Protocol):
    """Carries one exchange at a time: `send`, then `head`, then `piece` until it gives nothing."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = True
        """Whether the answer is whole."""
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._headed = False
        self._spoke = False
        self._broken: Broken | None = None
        self._until_close = False
        self._keeps = False
        self._reader: asyncio.Future[None] | None = None

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow: what nobody read of this one must never become part of the next."""
        transport = self._transport
        return (
            self.ended
            and not self._pieces
            and self._broken is None
            and transport is not None
            and not transport.is_closing()
            and self._keeps
        )

    @property
    def alive(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> None:
        self.status, self.headers, self.ended = 0, {}, False
        self._headed, self._spoke, self._until_close = False, False, False
        self._parser = httptools.HttpResponseParser(self)
        assert self._transport is not None
        self._transport.write(request)

    async def head(self, *, seconds: float) -> None:
        """Returns when status and headers are there. Raises `Broken` and TimeoutError."""
        while not self._headed:
            await self._more(seconds)

    async def piece(self, *, seconds: float) -> bytes:
        """What has come of the body since the last call, waiting for some; nothing at its end.

        Raises `Broken`, and TimeoutError when nothing comes.
        """
        while not self._pieces:
            if self.ended:
                return b""
            await self._more(seconds)
        whole = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._waiting = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return whole

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _more(self, seconds: float) -> None:
        if self._broken is not None:
            raise self._broken
        loop = asyncio.get_running_loop()
        self._reader = loop.create_future()
        # A plain timer: `asyncio.timeout` costs several times as much, and this is waited for with every piece.
        timer = loop.call_later(seconds, self._expire, self._reader)
        try:
            await self._reader
        finally:
            timer.cancel()
            self._reader = None

    @staticmethod
    def _expire(reader: "asyncio.Future[None]") -> None:
        if not reader.done():
            reader.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do what asyncio's do without being of their type.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.ended:
            # Nobody asked: whatever it is, this connection cannot be trusted with another request.
            self.close()
            return
        self._spoke = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._broken = Broken(spoke=True, garbled=True)
            self.close()
        if self._waiting > _MOST_WAITING and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended and self._headed and self._until_close and exc is None:
            self.ended = True
        elif not self.ended and self._broken is None:
            self._broken = Broken(spoke=self._spoke)
        self._wake()

    # httptools' callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return
        self.status, self._headed = status, True
        self._until_close = "content-length" not in self.headers and "chunked" not in self.headers.get(
            "transfer-encoding", ""
        )

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._waiting += len(body)

    def on_message_complete(self) -> None:
        if self._headed:
            # Asked now, because the parser forgets it with the message.
            self._keeps = not self._until_close and self._parser.should_keep_alive()
            self.ended = True
        else:
            self.headers = {}
