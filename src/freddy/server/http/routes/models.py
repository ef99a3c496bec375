"""The paths of models, and of what can be chosen for them."""

from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.dialects.freddy import choices
from freddy.server.dialects.freddy import models as wire
from freddy.server.http import paging
from freddy.server.http.replies import send_json
from freddy.server.runtime.route import Route
from freddy.server.runtime.routing import Routing


class ModelRoutes:
    def __init__(self, routing: Routing) -> None:
        self._routing = routing

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        require(scope["caller"], "models:read")
        query = {"include_capabilities": "true", **HttpRequest(scope).query_params}
        wanted = wire.Wanted(
            ui_only=paging.truth(query, "ui_models_only"),
            pricing=paging.truth(query, "include_pricing"),
            details=paging.truth(query, "include_details"),
            capabilities=paging.truth(query, "include_capabilities"),
            deprecated=paging.truth(query, "include_deprecated"),
        )
        models = [_listed(name, found) for name, found in await self._routing.listed()]
        await send_json(send, wire.encode_models(models, wanted))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        require(scope["caller"], "models:read")
        name = wire.named(scope["path_params"]["model"])
        await send_json(send, wire.encode_model(_listed(name, self._routing.find(name))))

    async def output_modes(self, scope: Scope, receive: Receive, send: Send) -> None:
        require(scope["caller"], "models:read")
        await send_json(send, choices.OUTPUT_MODES)

    async def reasoning_levels(self, scope: Scope, receive: Receive, send: Send) -> None:
        require(scope["caller"], "models:read")
        await send_json(send, choices.REASONING_LEVELS)


def _listed(name: str, found: Route) -> wire.Listed:
    return wire.Listed(name, found.name, found.profile, found.availability)
