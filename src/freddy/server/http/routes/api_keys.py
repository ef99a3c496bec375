"""The paths of API keys."""

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.accounts.api_keys import ApiKeys, Switch
from freddy.server.core.accounts import Caller
from freddy.server.dialects.freddy import api_keys as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json

_LONGEST_PAGE = 100
_SAID: dict[Switch, str] = {
    "activate": "The key is active",
    "deactivate": "The key is inactive",
    "pause": "The key is paused",
    "unpause": "The key is not paused any more",
}


class ApiKeyRoutes:
    def __init__(self, keys: ApiKeys, *, max_body_bytes: int) -> None:
        self._keys = keys
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        own = "/v1/organizations/{organization}/api-keys"
        switches: tuple[Switch, ...] = ("activate", "deactivate", "pause", "unpause")
        return [
            route("GET", own, self.list),
            route("POST", own, self.create),
            route("GET", own + "/{key_id}", self.get),
            route("PATCH", own + "/{key_id}", self.update),
            route("DELETE", own + "/{key_id}", self.delete),
            *(route("POST", f"{own}/{{key_id}}/{switch}", self.switch, how=switch) for switch in switches),
            route("POST", own + "/{key_id}/rotate", self.rotate),
        ]

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        query = HttpRequest(scope).query_params
        if "skip" in query or "take" in query:
            size = paging.whole_number(query, "take", default=20, low=1, high=_LONGEST_PAGE)
            skip = paging.whole_number(query, "skip", default=0, low=0, high=10**9)
            number = skip // size + 1
        else:
            size = paging.whole_number(query, "page_size", default=20, low=1, high=_LONGEST_PAGE)
            number = paging.whole_number(query, "page", default=1, low=1, high=10**9)
            skip = (number - 1) * size
        found, total = await self._keys.page(caller, skip=skip, take=size)
        await send_json(send, wire.encode_keys(found, total=total, page=number, page_size=size))

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        asked = wire.decode_new(await self._read(scope, receive))
        minted = await self._keys.create(
            caller,
            asked.name,
            scopes=asked.scopes,
            expires_at=asked.expires_at,
            limits=asked.limits,
            metadata=asked.metadata,
        )
        await send_json(send, wire.encode_created(minted.key, minted.secret), status=201)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, wire.encode_key(await self._keys.get(_allowed(scope), _id(scope))))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        asked = wire.decode_change(await self._read(scope, receive))
        await send_json(send, wire.encode_key(await self._keys.change(caller, _id(scope), asked)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._keys.delete(_allowed(scope), _id(scope))
        await send_json(send, wire.encode_action("The key is deleted", None))

    async def switch(self, scope: Scope, receive: Receive, send: Send, *, how: Switch) -> None:
        key = await self._keys.switch(_allowed(scope), _id(scope), how)
        await send_json(send, wire.encode_action(_SAID[how], key))

    async def rotate(self, scope: Scope, receive: Receive, send: Send) -> None:
        minted = await self._keys.rotate(_allowed(scope), _id(scope))
        await send_json(send, wire.encode_rotated(minted.key, minted.secret))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _allowed(scope: Scope) -> Caller:
    """The caller within the organization of the path, whose keys it may manage."""
    return require(scope["caller"], "keys:manage", scope["path_params"]["organization"])


def _id(scope: Scope) -> str:
    key_id: str = scope["path_params"]["key_id"]
    return key_id
