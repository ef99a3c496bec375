"""The outermost layer: request ids, times, errors, metrics and the access log of every request."""

import logging
import re
from collections.abc import Callable
from typing import Protocol

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freddy.server.core import errors, ids
from freddy.server.dialects.base import Dialect
from freddy.server.http.auth import Auth
from freddy.server.http.body import ClientGone
from freddy.server.http.errors import encode
from freddy.server.http.once import Once
from freddy.server.http.replies import send_json
from freddy.server.http.websockets import opening
from freddy.server.ports.world import Clock, IdSource

_log = logging.getLogger(__name__)
_GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Requests(Protocol):
    """Who counts requests."""

    def request_done(self, *, route: str, method: str, status: int, seconds: float) -> None: ...


class Door:
    """Everything but the paths in `public` needs a caller, who is left in `scope["caller"]`.

    Requests that `is_link` knows have their credential in the address, which their handlers check. A POST with an
    idempotency key is answered `once`, but on the paths that see to that themselves. A WebSocket comes in as the GET
    that asks for it, to one of the paths in `sockets`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        auth: Auth,
        public: frozenset[str],
        is_link: Callable[[Scope], bool],
        dialect_of: Callable[[str], Dialect],
        methods_of: Callable[[Scope], str],
        clock: Clock,
        ids: IdSource,
        requests: Requests,
        once: Once,
        once_themselves: frozenset[str],
        sockets: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._auth = auth
        self._public = public
        self._is_link = is_link
        self._dialect_of = dialect_of
        self._methods_of = methods_of
        self._clock = clock
        self._ids = ids
        self._requests = requests
        self._once = once
        self._once_themselves = once_themselves
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] != "websocket":
                return
            scope, send = opening.as_get(scope), opening.refusing(send)
        began = self._clock.monotonic()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else self._ids.new(ids.REQUEST)
        status = 0

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                milliseconds = (self._clock.monotonic() - began) * 1000
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    (b"freddy-processing-ms", b"%d" % milliseconds),
                    *((name.encode(), value.encode()) for name, value in scope.get("told", ())),
                ]
            elif message["type"] == "websocket.accept":
                status = 101
                message["headers"] = [(b"x-request-id", request_id.encode())]
                # What follows is a conversation, and no answer to this request.
                done()
            await send(message)

        def done() -> None:
            self._done(scope, status, self._clock.monotonic() - began)

        scope["app"] = self
        scope["request_id"] = request_id
        path: str = scope["path"]
        try:
            if opening.is_socket(scope) and path not in self._sockets:
                raise _no_socket()  # noqa: TRY301
            if path not in self._public and not self._is_link(scope):
                scope["caller"] = await self._auth.caller(headers, scope["query_string"])
            key = headers.get("idempotency-key")
            if key is not None and self._repeatable(scope):
                await self._once(scope, receive, tell, key=key, app=self._app)
            else:
                await self._app(scope, receive, tell)
        except ClientGone:
            status = status or 499
        except Exception as error:
            if status:
                # The head is out; all that can be done is to end without an end.
                _log.exception("answer_broken", extra={"request_id": request_id})
                raise
            code, more, body = encode(self._plain(error, scope), self._dialect_of(path))
            if code == 405:
                more = {**more, "allow": self._methods_of(scope)}
            await send_json(tell, body, status=code, headers=more)
        if status != 101:
            done()

    def _done(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route_path") or "unmatched"
        method: str = scope["method"]
        self._requests.request_done(route=route, method=method, status=status, seconds=seconds)
        if _log.isEnabledFor(logging.INFO):
            _log.info(
                "request",
                extra={
                    "request_id": scope["request_id"],
                    "method": method,
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                },
            )

    def _repeatable(self, scope: Scope) -> bool:
        return scope["method"] == "POST" and "caller" in scope and scope["path"] not in self._once_themselves

    def _plain(self, error: Exception, scope: Scope) -> Exception:
        """The router's own errors in the core's words."""
        if not isinstance(error, HTTPException):
            return error
        if error.status_code == 405:
            return errors.MethodNotAllowed(
                "This path does not know that method", details=f"it knows {self._methods_of(scope)}"
            )
        return errors.NotFound("There is no such path", details="see GET /openapi.json for the paths there are")


def _no_socket() -> errors.InvalidRequest:
    return errors.InvalidRequest(
        "There is no WebSocket at this path", details="leave out the header Upgrade, or ask for /v1/responses"
    )
