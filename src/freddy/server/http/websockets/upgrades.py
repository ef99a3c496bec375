"""uvicorn's HTTP, but that only a GET can become a WebSocket, and that an answer can be broken off on purpose.

https://www.rfc-editor.org/rfc/rfc6455#section-4.1
"""

import asyncio
from functools import partial
from typing import cast
from weakref import ref

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from freddy.server.http.gathering import Gathering
from freddy.server.http.replies import CUT


class Http(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", Gathering(transport)))

    def on_headers_complete(self) -> None:
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            # Weakly: the cycle has the scope, and what was answered is not to wait until somebody looks for garbage.
            self.scope[CUT] = partial(_cut, ref(self.cycle))  # type: ignore[typeddict-unknown-key]

    def _should_upgrade(self) -> bool:
        # What speaks WebSockets would choke on anything else, and the request would have no answer.
        return self.scope["method"] == "GET" and super()._should_upgrade()


def _cut(kept: ref[RequestResponseCycle]) -> None:
    cycle = kept()
    if cycle is None:
        return
    # Whom nobody hears any more uvicorn does not blame for an answer without an end.
    cycle.disconnected = True
    cycle.transport.close()
