"""A path, a method and who answers there, as a plain ASGI application: no request object is made for it."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.routing import Route
from starlette.types import Receive, Scope, Send


class Endpoint:
    """Leaves the path's template in `scope["route_path"]` for metrics and logs."""

    def __init__(self, path: str, handler: Callable[..., Awaitable[None]], options: dict[str, Any]) -> None:
        self._path = path
        self._handler = handler
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_path"] = self._path
        await self._handler(scope, receive, send, **self._options)


def route(method: str, path: str, handler: Callable[..., Awaitable[None]], **options: Any) -> Route:  # noqa: ANN401
    """`options` are handed to the handler with every call."""
    return Route(path, Endpoint(path, handler, options), methods=[method])
