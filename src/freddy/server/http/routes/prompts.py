"""The paths of prompt templates: parse, require, one call down, encode."""

from typing import Final

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.dialects.freddy import prompts as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.resources.prompts import Prompts

_PATH: Final = "/v1/prompts"


class PromptRoutes:
    def __init__(self, prompts: Prompts, *, max_body_bytes: int) -> None:
        self._prompts = prompts
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        one = _PATH + "/{prompt_id}"
        return [
            route("POST", _PATH, self.create),
            route("GET", _PATH, self.list),
            route("GET", one, self.get),
            route("PUT", one, self.replace),
            route("PATCH", one, self.update),
            route("DELETE", one, self.delete),
            route("GET", one + "/versions", self.versions),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_new(await self._read(scope, receive))
        caller = require(scope["caller"], "prompts:write", asked.organization_id)
        kept = await self._prompts.create(caller, name=asked.name, prompt=asked.prompt)
        await send_json(send, wire.encode_prompt(kept), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "prompts:read", query.get("organization_id"))
        found, more, total = await self._prompts.list(
            caller, paging.page(query), search=query.get("search", ""), tags=query.getlist("tag")
        )
        await send_json(send, wire.encode_list(found, has_more=more, total=total))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "prompts:read", query.get("organization_id"))
        kept = await self._prompts.get(caller, _id(scope), version=query.get("version"))
        await send_json(send, wire.encode_prompt(kept))

    async def replace(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._change(scope, send, wire.decode_replacement(await self._read(scope, receive)))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._change(scope, send, wire.decode_change(await self._read(scope, receive)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "prompts:write", query.get("organization_id"))
        await self._prompts.delete(caller, _id(scope))
        await send_json(send, wire.encode_deleted(_id(scope)))

    async def versions(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "prompts:read", query.get("organization_id"))
        found = await self._prompts.versions(caller, _id(scope))
        await send_json(send, wire.encode_list(found, has_more=False, total=len(found)))

    async def _change(self, scope: Scope, send: Send, asked: wire.PromptChange) -> None:
        caller = require(
            scope["caller"],
            "prompts:write",
            asked.organization_id or HttpRequest(scope).query_params.get("organization_id"),
        )
        kept = await self._prompts.change(caller, _id(scope), asked.apply, expected_version=asked.expected_version)
        await send_json(send, wire.encode_prompt(kept))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _id(scope: Scope) -> str:
    prompt_id: str = scope["path_params"]["prompt_id"]
    return prompt_id
