"""uvicorn's HTTP, but that only a GET can become a WebSocket. https://www.rfc-editor.org/rfc/rfc6455#section-4.1"""

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freddy.server.http.gathering import Gathering


class Http(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", Gathering(transport)))

    def _should_upgrade(self) -> bool:
        # What speaks WebSockets would choke on anything else, and the request would have no answer.
        return self.scope["method"] == "GET" and super()._should_upgrade()
