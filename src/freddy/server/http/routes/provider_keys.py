"""The paths of the keys that organizations bring for upstreams."""

from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.accounts.provider_keys import ProviderKeys
from freddy.server.dialects.freddy import provider_keys as wire
from freddy.server.http import body
from freddy.server.http.replies import send_json


class ProviderKeyRoutes:
    def __init__(self, keys: ProviderKeys, *, max_body_bytes: int) -> None:
        self._keys = keys
        self._max_body_bytes = max_body_bytes

    async def put(self, scope: Scope, receive: Receive, send: Send) -> None:
        organization_id, upstream = _allowed(scope), _upstream(scope)
        secret = wire.decode_provider_key(await body.read(scope, receive, limit=self._max_body_bytes))
        kept = await self._keys.put(organization_id, upstream, secret=secret)
        await send_json(send, wire.encode_provider_key(kept))

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, wire.encode_provider_keys(await self._keys.list(_allowed(scope))))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, wire.encode_provider_key(await self._keys.get(_allowed(scope), _upstream(scope))))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._keys.remove(_allowed(scope), _upstream(scope))
        await send_json(send, wire.encode_deleted(_upstream(scope)))


def _allowed(scope: Scope) -> str:
    """The organization of the path, which the caller may manage."""
    return require(scope["caller"], "providers:manage", scope["path_params"]["organization"]).organization_id


def _upstream(scope: Scope) -> str:
    upstream: str = scope["path_params"]["upstream"]
    return upstream
