"""The paths that tell how the server is: for load balancers, Prometheus and people."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from starlette.types import Receive, Scope, Send

from freddy.server.core import errors
from freddy.server.http.replies import send_json

Check = Callable[[], Awaitable[str]]
"""Gives `ok`, or in a few words what is wrong. Raises nothing but `errors.FreddyError`."""


class HealthRoutes:
    """`needed` must be well for the server to be ready; `told` is reported and no more."""

    def __init__(
        self,
        *,
        needed: Mapping[str, Check],
        told: Mapping[str, Check],
        metrics: Callable[[], tuple[bytes, str]],
        version: str,
    ) -> None:
        self._needed = needed
        self._told = told
        self._metrics = metrics
        self._version = version

    async def live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, msgspec.json.encode({"status": "ok", "version": self._version}))

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = {name: await _ask(check) for name, check in self._needed.items()}
        told = {name: await _ask(check) for name, check in self._told.items()}
        well = all(state == "ok" for state in needed.values())
        answer = {"status": "ready" if well else "not_ready", "checks": needed | told}
        await send_json(send, msgspec.json.encode(answer), status=200 if well else 503)

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        text, kind = self._metrics()
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})


async def _ask(check: Check) -> str:
    try:
        return await check()
    except errors.FreddyError as error:
        return error.message
