"""Reads a request's body, no further than it may be long."""

from collections.abc import AsyncIterator

from starlette.types import Receive, Scope

from freddy.server.core import errors


class ClientGone(Exception):
    """The client left before its request was whole: there is nobody to answer."""


async def read(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """Raises `errors.TooLarge`, `errors.UnsupportedMediaType` and `ClientGone`. `limit` is in bytes."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
        if name == b"content-encoding" and value.lower() not in (b"", b"identity"):
            raise errors.UnsupportedMediaType(
                f"The request body is encoded as {value[:20].decode('latin-1')!r}",
                details="send it as it is, without the header Content-Encoding",
            )
    first = await receive()
    if first["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = first.get("body", b"")
    if first.get("more_body", False):
        body = await _rest(body, receive, limit)
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes, of any length. Raises `ClientGone`."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if piece := message.get("body", b""):
            yield piece
        more = message.get("more_body", False)


async def _rest(body: bytes, receive: Receive, limit: int) -> bytes:
    pieces, length = [body], len(body)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _too_large(limit: int) -> errors.TooLarge:
    return errors.TooLarge(
        f"The request body is larger than {limit:,} bytes", details="send less, or raise `server.max_body_bytes`"
    )
