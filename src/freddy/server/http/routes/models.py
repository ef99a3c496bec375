"""The paths of models."""

from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.dialects.freddy import models as wire
from freddy.server.http.replies import send_json
from freddy.server.runtime.routing import Candidate, Routing


class ModelRoutes:
    def __init__(self, routing: Routing) -> None:
        self._routing = routing

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        require(scope["caller"], "models:read")
        models = [_listed(name, candidate) for name, candidate in self._routing.known()]
        await send_json(send, wire.encode_models(models))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        require(scope["caller"], "models:read")
        name = scope["path_params"]["model"]
        await send_json(send, wire.encode_model(_listed(name, self._routing.find(name))))


def _listed(name: str, candidate: Candidate) -> wire.Listed:
    model = candidate.model
    return wire.Listed(name, candidate.name, model.profile, model.availability)
