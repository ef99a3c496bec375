"""What a client is told on an open connection, frame by frame, for as long as somebody is there."""

from contextlib import suppress

from starlette.types import Send

from freddy.server.core import errors
from freddy.server.dialects.openai import frames
from freddy.server.http.body import ClientGone
from freddy.server.http.errors import failure as failure_of
from freddy.server.http.errors import headers


class Telling:
    def __init__(self, send: Send) -> None:
        self._send = send
        self.open = True
        """Whether somebody is there to be told."""

    async def say(self, frame: str) -> None:
        """Waits while the client reads too slowly. Raises `ClientGone`."""
        if not self.open:
            raise ClientGone
        try:
            await self._send({"type": "websocket.send", "text": frame})
        except OSError as error:
            raise ClientGone from error

    async def refuse(self, error: Exception, lane: str | None) -> None:
        told = error.failure if isinstance(error, FailedAtOnce) else failure_of(error)
        with suppress(ClientGone):
            await self.say(frames.error(told, lane, headers(told)))

    async def close(self, code: int) -> None:
        if self.open:
            self.open = False
            with suppress(OSError):
                await self._send({"type": "websocket.close", "code": code})


class FailedAtOnce(Exception):
    """A response that failed before the model said a word: `failure` is told as if it had never begun."""

    def __init__(self, failure: errors.Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure
