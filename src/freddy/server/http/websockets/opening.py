"""A WebSocket before it is open: the request for it is a GET, and is refused like one."""

from typing import Final

from starlette.types import Message, Receive, Scope, Send

SHUTDOWN: Final = "freddy.shutdown"
"""What an open connection receives when the server begins to stop. https://asgi.readthedocs.io has no word for it."""


def as_get(scope: Scope) -> Scope:
    """The request for a WebSocket, as the GET that it is. `is_socket` knows it again."""
    return {**scope, "type": "http", "method": "GET", "socket": True}


def is_socket(scope: Scope) -> bool:
    return "socket" in scope


def refusing(send: Send) -> Send:
    """Sends the answer of a GET in the place of a WebSocket, and what is said on an open one as it is."""

    async def told(message: Message) -> None:
        kind: str = message["type"]
        await send({**message, "type": f"websocket.{kind}"} if kind.startswith("http.") else message)

    return told


async def accept(receive: Receive, send: Send) -> None:
    await receive()  # It says that a connection is wanted.
    await send({"type": "websocket.accept", "headers": []})
