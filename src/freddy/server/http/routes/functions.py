"""The paths of registered functions: parse, require, one call down, encode."""

from typing import Final

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core.functions import Change
from freddy.server.dialects.freddy import functions as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.resources.functions import Functions

_PATH: Final = "/v1/functions"


class FunctionRoutes:
    def __init__(self, functions: Functions, *, max_body_bytes: int) -> None:
        self._functions = functions
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        one = _PATH + "/{function_id}"
        return [
            route("POST", _PATH, self.create),
            route("GET", _PATH, self.list),
            route("GET", one, self.get),
            route("PUT", one, self.replace),
            route("PATCH", one, self.update),
            route("DELETE", one, self.delete),
            route("POST", one + "/test", self.test),
            route("POST", one + "/rotate-secret", self.rotate_secret),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_change(await self._read(scope, receive))
        caller = require(scope["caller"], "functions:write", asked.organization_id)
        made = await self._functions.create(caller, asked)
        await send_json(send, wire.encode_made(made.kept, made.secret), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "functions:read", query.get("organization_id"))
        found, more, total = await self._functions.list(caller, paging.page(query), search=query.get("search", ""))
        await send_json(send, wire.encode_list(found, has_more=more, total=total))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "functions:read", _organization(scope))
        await send_json(send, wire.encode_function(await self._functions.get(caller, _id(scope))))

    async def replace(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._change(scope, send, wire.decode_replacement(await self._read(scope, receive)))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._change(scope, send, wire.decode_change(await self._read(scope, receive)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "functions:write", _organization(scope))
        await self._functions.delete(caller, _id(scope))
        await send_json(send, wire.encode_deleted(_id(scope)))

    async def test(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_test(await self._read(scope, receive))
        caller = require(scope["caller"], "functions:write", asked.organization_id or _organization(scope))
        tested = await self._functions.test(caller, _id(scope), arguments=asked.arguments)
        await send_json(send, wire.encode_test(tested.answer, seconds=tested.seconds))

    async def rotate_secret(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_rotation(await self._read(scope, receive))
        caller = require(scope["caller"], "functions:write", asked.organization_id or _organization(scope))
        made = await self._functions.rotate(caller, _id(scope), overlap_seconds=asked.overlap_seconds)
        await send_json(send, wire.encode_made(made.kept, made.secret))

    async def _change(self, scope: Scope, send: Send, asked: Change) -> None:
        caller = require(scope["caller"], "functions:write", asked.organization_id or _organization(scope))
        kept = await self._functions.change(caller, _id(scope), asked)
        await send_json(send, wire.encode_function(kept))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _organization(scope: Scope) -> str | None:
    return HttpRequest(scope).query_params.get("organization_id")


def _id(scope: Scope) -> str:
    function_id: str = scope["path_params"]["function_id"]
    return function_id
