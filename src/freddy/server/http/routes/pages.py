"""The pages for people."""

from starlette.types import Receive, Scope, Send

from freddy.server.http.replies import send_json


class PageRoutes:
    def __init__(self, *, version: str, development: bool) -> None:
        self._version = version

    async def index(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, b"{}")

    docs = index
    openapi = index
