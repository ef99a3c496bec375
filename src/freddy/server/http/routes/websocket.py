"""`GET /v1/responses` with `Upgrade: websocket`: opens the connection for a caller who may make responses."""

from functools import partial
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors
from freddy.server.dialects.openai import OPENAI
from freddy.server.http.auth import Auth
from freddy.server.http.places import Places
from freddy.server.http.replies import send_json
from freddy.server.http.websockets import opening
from freddy.server.http.websockets.connection import Connection
from freddy.server.http.websockets.session import Terms
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime.responses import Responses

_UPGRADE_REQUIRED: Final = errors.Failure(
    "The request did not arrive as one for a WebSocket",
    "invalid_request_error",
    "upgrade_required",
    426,
    details="use POST with server-sent events, or have proxies pass the headers Connection and Upgrade",
)


class WebSocketRoutes:
    def __init__(
        self,
        responses: Responses,
        auth: Auth,
        *,
        places: Places,
        clock: Clock,
        ids: IdSource,
        max_body_bytes: int,
        minutes: float,
    ) -> None:
        """A frame may be as long as a body; after so many `minutes` no response begins on a connection."""
        self._responses = responses
        self._auth = auth
        self._places = places
        self._clock = clock
        self._ids = ids
        self._terms = Terms(seconds=minutes * 60, bytes=max_body_bytes, hold_seconds=2.0)

    async def open(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not opening.is_socket(scope):
            if headers.get("upgrade", "").lower() != "websocket":
                raise HTTPException(405)
            # Clients that would rather speak over a WebSocket go back to HTTP at a 426; at a 405 they try again first.
            status, body = OPENAI.encode_error(_UPGRADE_REQUIRED)
            await send_json(send, body, status=status)
            return
        caller = require(scope["caller"], "responses:write")
        connection = Connection(
            self._responses,
            send,
            authenticate=partial(self._auth.caller, headers, scope["query_string"]),
            clock=self._clock,
            ids=self._ids,
            terms=self._terms,
        )
        with self._places.taken(caller.organization_id):
            await opening.accept(receive, send)
            await connection.serve(receive)
