"""What happens on the wire to one request: the SDK tells its callers less than they must know."""

from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Final

import httpx2

from freddy.server.tools.mcp import failures

_REFUSAL: Final = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"unreachable"}}'
_SESSION: Final = "mcp-session-id"
_OF_BODY: Final = (b"content-encoding", b"content-length", b"transfer-encoding")
_LONGEST_REFUSAL: Final = 64 * 1024
_JSON: Final = "application/json"


class Exchange:
    """One request to a server, from being handed to the transport to the end of its answer."""

    def __init__(self) -> None:
        self.handed = False
        """Whether the transport may have begun to send it."""
        self.status: int | None = None
        self.error: Exception | None = None
        self.expired = False
        """The server no longer knows the session, and did not look at the request."""
        self.explained = False
        """The status came with a JSON body, which says more."""
        self.too_large = False

    @property
    def untouched(self) -> bool:
        return self.status is None and self.error is None

    @property
    def unsent(self) -> bool:
        return not self.handed or self.expired or (self.error is not None and failures.unsent(self.error))


current: ContextVar[Exchange | None] = ContextVar("freddy_mcp_exchange", default=None)
"""The SDK sends each message in the context of the task that asked."""


class Wire(httpx2.AsyncBaseTransport):
    """Sends through the client that may call outward, and notes what came of it.

    Once `settled`, a failure is an answer where the SDK would take the whole session down with it; `broken` is told
    of those that the SDK would keep to itself (SSE).
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        most: int,
        values: int = 100_000,
        broken: Callable[[Exchange], None] | None = None,
    ) -> None:
        """`most` bytes of an answer are read, but for streams of events, which the SDK bounds. No message has more than
        so many `values`, about: each takes far longer to read than its bytes do, and meanwhile nobody else is served.
        """
        self.settled = False
        self._client = client
        self._most = most
        self._values = values
        self._broken = broken

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = current.get() or Exchange()
        if request.method != "POST" and not exchange.untouched:
            # Nothing about what was asked: the stream for news, or an attempt to hear the rest of a lost answer.
            exchange = Exchange()
        exchange.handed = True
        try:
            response = await self._sent(request)
        except httpx2.RequestError as error:
            exchange.error = error
            if request.method != "POST" or not self.settled:
                raise
            if self._broken is not None:
                self._broken(exchange)
                raise
            return httpx2.Response(502, headers={"content-type": _JSON}, content=_REFUSAL)
        exchange.status = response.status_code
        exchange.explained = response.headers.get("content-type", "").startswith(_JSON)
        headers = httpx2.Headers([pair for pair in response.headers.raw if pair[0].lower() not in _OF_BODY])
        if request.method == "POST" and response.status_code in (400, 404):
            refusal = await _start_of(response)
            exchange.expired = self._no_session(request, response.status_code, refusal)
            return self._refused(exchange, httpx2.Response(response.status_code, headers=headers, content=refusal))
        body = _Body(
            response,
            exchange,
            self._most,
            values=self._values,
            broken=self._broken,
            only=request.method == "GET",
        )
        answer = httpx2.Response(response.status_code, headers=headers, stream=body)
        return self._refused(exchange, answer) if request.method == "POST" and response.status_code >= 400 else answer

    async def _sent(self, request: httpx2.Request) -> httpx2.Response:
        """Raises `httpx2.DecodingError` for what is compressed: a few bytes of it may be more than there is memory."""
        request.headers["accept-encoding"] = "identity"
        response = await self._client.send(request, stream=True, follow_redirects=False)
        if response.headers.get("content-encoding", "identity").strip().lower() in ("", "identity"):
            return response
        await response.aclose()
        raise httpx2.DecodingError("compressed")

    def _no_session(self, request: httpx2.Request, status: int, refusal: bytes) -> bool:
        """The specification has 404 for it. Many servers give a 400 that speaks of the session:
        https://github.com/modelcontextprotocol/typescript-sdk
        """
        if self._broken is None and _SESSION not in request.headers:
            return False
        return self.settled and (status == 404 or b"session" in refusal.lower())

    def _refused(self, exchange: Exchange, response: httpx2.Response) -> httpx2.Response:
        if self._broken is not None and self.settled:
            self._broken(exchange)
        return response

    async def aclose(self) -> None:
        await self._client.aclose()


class _Body(httpx2.AsyncByteStream):
    """The body, bounded. A failure ends this answer alone, but where there is `broken`, which is told;
    of the `only` stream that all answers come by it is told of the end, too.
    """

    def __init__(
        self,
        response: httpx2.Response,
        exchange: Exchange,
        most: int,
        *,
        values: int,
        broken: Callable[[Exchange], None] | None,
        only: bool,
    ) -> None:
        self._response = response
        self._exchange = exchange
        self._most = most
        self._values = values
        self._broken = broken
        self._only = only
        self._endless = response.headers.get("content-type", "").startswith("text/event-stream")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = values = 0
        try:
            async for piece in self._response.aiter_bytes():
                read += len(piece)
                # A piece is small: what begins and ends in it needs no look.
                end = max(piece.rfind(b"\n\n"), piece.rfind(b"\r\n\r\n")) if self._endless else -1
                values = _values(piece[end:]) if end >= 0 else values + _values(piece)
                if values > self._values or (read > self._most and not self._endless):
                    self._exchange.too_large = True
                    self._break()
                    raise httpx2.StreamError("too large")
                yield piece
        except httpx2.RequestError as error:
            self._exchange.error = error
            self._break()
            if self._broken is None:
                raise httpx2.StreamError("the answer broke off") from error
            raise
        if self._only:
            self._break()

    def _break(self) -> None:
        if self._broken is not None:
            self._broken(self._exchange)

    async def aclose(self) -> None:
        await self._response.aclose()


def _values(piece: bytes) -> int:
    """As many as it has, or more, for those in texts are counted too."""
    return piece.count(b",") + piece.count(b"[") + piece.count(b"{")


async def _start_of(response: httpx2.Response) -> bytes:
    body = b""
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _LONGEST_REFUSAL:
                break
    except httpx2.RequestError:
        return body
    finally:
        await response.aclose()
    return body
