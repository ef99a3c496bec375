"""The paths of the keys that organizations bring for upstreams."""

from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.accounts.audit import Audit
from freddy.server.accounts.provider_keys import ProviderKeys
from freddy.server.core.accounts import Caller
from freddy.server.dialects.freddy import provider_keys as wire
from freddy.server.http import body
from freddy.server.http.replies import send_json


class ProviderKeyRoutes:
    def __init__(self, keys: ProviderKeys, *, audit: Audit, max_body_bytes: int) -> None:
        self._keys = keys
        self._audit = audit
        self._max_body_bytes = max_body_bytes

    async def put(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, upstream = _allowed(scope), _upstream(scope)
        secret = wire.decode_provider_key(await body.read(scope, receive, limit=self._max_body_bytes))
        kept = await self._keys.put(caller.organization_id, upstream, secret=secret)
        await self._audit.record(caller, "provider_key.put", resource_type="provider_key", resource_id=upstream)
        await send_json(send, wire.encode_provider_key(kept))

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, wire.encode_provider_keys(await self._keys.list(_allowed(scope).organization_id)))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = await self._keys.get(_allowed(scope).organization_id, _upstream(scope))
        await send_json(send, wire.encode_provider_key(found))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, upstream = _allowed(scope), _upstream(scope)
        await self._keys.remove(caller.organization_id, upstream)
        await self._audit.record(caller, "provider_key.delete", resource_type="provider_key", resource_id=upstream)
        await send_json(send, wire.encode_deleted(upstream))


def _allowed(scope: Scope) -> Caller:
    """The caller within the organization of the path, whose keys it may manage."""
    return require(scope["caller"], "providers:manage", scope["path_params"]["organization"])


def _upstream(scope: Scope) -> str:
    upstream: str = scope["path_params"]["upstream"]
    return upstream
