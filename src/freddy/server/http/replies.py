"""Sends whole answers."""

from collections.abc import Mapping

from starlette.types import Send

_JSON = (b"content-type", b"application/json")


async def send_json(send: Send, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
    told = [_JSON, (b"content-length", str(len(body)).encode())]
    told += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


async def send_nothing(send: Send) -> None:
    """It is done, and there is nothing to say of it."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
