"""Sends whole answers, and breaks off others."""

from collections.abc import Mapping
from typing import Final

from starlette.types import Scope, Send

CUT: Final = "freddy.cut"
"""Where a request's scope has what closes its connection, whatever has been told: `Callable[[], None]`."""
_JSON = (b"content-type", b"application/json")


async def send_json(send: Send, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
    told = [_JSON, (b"content-length", str(len(body)).encode())]
    told += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


def cut(scope: Scope) -> None:
    """Breaks an answer off that has no end, so that nobody takes what came of it for all.

    A server that cannot be told so does the same by itself when the handler of the request returns, and complains.
    """
    if CUT in scope:
        scope[CUT]()


async def send_nothing(send: Send) -> None:
    """It is done, and there is nothing to say of it."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
