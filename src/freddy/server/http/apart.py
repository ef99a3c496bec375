"""What processes tell that callers do not reach, or not one by one: their health and their counts."""

from starlette.types import ASGIApp, Receive, Scope, Send

from freddy.server.core import errors
from freddy.server.dialects.freddy import FREDDY
from freddy.server.http.replies import send_json
from freddy.server.http.websockets.opening import refusing

_PATH = "/metrics"
_HEALTH = ("/health/live", "/health/ready")
_NO_CALLERS = errors.Failure(
    "This process performs responses in the background, and answers no callers",
    "invalid_request_error",
    "no_callers",
    404,
    details="ask a server: `freddy serve`",
)


def metrics_apart(app: ASGIApp, port: int | None) -> ASGIApp:
    """The app, that tells its counts on its own port and nowhere else; nowhere at all where it has none."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == _PATH and (scope["server"] or (None, None))[1] != port:
            status, body = FREDDY.encode_error(_elsewhere(port))
            await send_json(send, body, status=status)
            return
        await app(scope, receive, send)

    return guarded


def operations_alone(app: ASGIApp) -> ASGIApp:
    """Of the app what tells how the process is, and nothing for callers."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in (_PATH, *_HEALTH):
            status, body = FREDDY.encode_error(_NO_CALLERS)
            told = refusing(send) if scope["type"] == "websocket" else send
            await send_json(told, body, status=status)
            return
        await app(scope, receive, send)

    return guarded


def _elsewhere(port: int | None) -> errors.Failure:
    told = (
        "set FREDDY_METRICS_PORT: each process then tells its own on a port of its own, beginning with that one"
        if port is None
        else "ask each process on a port of its own, beginning with FREDDY_METRICS_PORT"
    )
    return errors.Failure(
        "This server is several processes, and each has counts of its own",
        "invalid_request_error",
        "metrics_elsewhere",
        404,
        details=told,
    )
