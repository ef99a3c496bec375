"""The paths of webhooks: parse, require, one call down, encode."""

from typing import Final

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors
from freddy.server.core.webhooks import STATUSES, Status
from freddy.server.dialects.freddy import webhooks as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.resources.webhooks import Webhooks

_PATH: Final = "/v1/webhooks"
_OPENAI: Final = "/v1/webhook_endpoints"


class WebhookRoutes:
    def __init__(self, webhooks: Webhooks, *, max_body_bytes: int) -> None:
        self._webhooks = webhooks
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        own, openai = _PATH + "/{webhook_id}", _OPENAI + "/{webhook_id}"
        delivery = own + "/deliveries/{event_id}"
        return [
            route("POST", _PATH, self.create),
            route("GET", _PATH, self.list),
            route("GET", own, self.get),
            route("PATCH", own, self.update),
            route("DELETE", own, self.delete),
            route("POST", own + "/test", self.test),
            route("POST", own + "/rotate", self.rotate),
            route("GET", own + "/deliveries", self.deliveries),
            route("GET", delivery, self.delivery),
            route("POST", delivery + "/redeliver", self.redeliver),
            route("POST", _OPENAI, self.create),
            route("GET", _OPENAI, self.list),
            route("GET", openai, self.get),
            route("POST", openai, self.update),
            route("DELETE", openai, self.delete),
            route("POST", openai + "/test", self.test),
            route("POST", openai + "/rotate_secret", self.rotate_secret),
            route("GET", "/v1/webhook_event_types", self.event_types),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_change(await self._read(scope, receive))
        caller = require(scope["caller"], "webhooks:write", asked.organization_id)
        made = await self._webhooks.create(caller, asked)
        await send_json(send, wire.encode_made(made.kept, made.secret), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "webhooks:read", query.get("organization_id"))
        found, more = await self._webhooks.list(caller, paging.page(query))
        await send_json(send, wire.encode_list(found, has_more=more))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "webhooks:read", _organization(scope))
        await send_json(send, wire.encode_webhook(await self._webhooks.get(caller, _id(scope))))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_change(await self._read(scope, receive))
        caller = require(scope["caller"], "webhooks:write", asked.organization_id or _organization(scope))
        await send_json(send, wire.encode_webhook(await self._webhooks.change(caller, _id(scope), asked)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "webhooks:write", _organization(scope))
        await self._webhooks.delete(caller, _id(scope))
        await send_json(send, wire.encode_deleted(_id(scope)))

    async def test(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_test(await self._read(scope, receive))
        caller = require(scope["caller"], "webhooks:write", asked.organization_id or _organization(scope))
        tested = await self._webhooks.test(caller, _id(scope), event_type=asked.event_type)
        told = wire.encode_test(_id(scope), tested.event_type, tested.outcome, seconds=tested.seconds)
        await send_json(send, told)

    async def rotate(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._rotate(scope, send, wire.decode_rotation(await self._read(scope, receive)))

    async def rotate_secret(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._rotate(scope, send, wire.decode_openai_rotation(await self._read(scope, receive)))

    async def deliveries(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "webhooks:read", query.get("organization_id"))
        status = _status(query.get("status"))
        found, more = await self._webhooks.deliveries(caller, _id(scope), paging.page(query), status=status)
        await send_json(send, wire.encode_deliveries(found, has_more=more))

    async def delivery(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "webhooks:read", _organization(scope))
        found = await self._webhooks.delivery(caller, _id(scope), scope["path_params"]["event_id"])
        await send_json(send, wire.encode_delivery(found))

    async def redeliver(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "webhooks:write", _organization(scope))
        found = await self._webhooks.redeliver(caller, _id(scope), scope["path_params"]["event_id"])
        await send_json(send, wire.encode_delivery(found))

    async def event_types(self, scope: Scope, receive: Receive, send: Send) -> None:
        require(scope["caller"], "webhooks:read", _organization(scope))
        await send_json(send, wire.encode_event_types())

    async def _rotate(self, scope: Scope, send: Send, asked: wire.WebhookRotation) -> None:
        caller = require(scope["caller"], "webhooks:write", asked.organization_id or _organization(scope))
        made = await self._webhooks.rotate(caller, _id(scope), overlap_seconds=asked.overlap_seconds)
        await send_json(send, wire.encode_made(made.kept, made.secret))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _status(given: str | None) -> Status | None:
    if given is None:
        return None
    for one in STATUSES:
        if one == given:
            return one
    raise errors.InvalidValue("status", f"must be one of {', '.join(STATUSES)}")


def _organization(scope: Scope) -> str | None:
    return HttpRequest(scope).query_params.get("organization_id")


def _id(scope: Scope) -> str:
    webhook_id: str = scope["path_params"]["webhook_id"]
    return webhook_id
