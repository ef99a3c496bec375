"""The paths of rules and of what they are attached to: by organization, and by id alone."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace
from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import accounts, errors
from freddy.server.core.accounts import Caller
from freddy.server.core.rules import Entity
from freddy.server.dialects.freddy import rule_views as views
from freddy.server.dialects.freddy import rules as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.resources.rules import Rules, Shown, Wanted, page_of

_MOST = 100
_OWNED = "/v1/organizations/{organization}/rules"
_PLACE = "/v1/rules/{rule_id}/attachments/{entity_type}/{entity_id:path}"


class RuleRoutes:
    def __init__(self, rules: Rules, *, max_body_bytes: int) -> None:
        self._rules = rules
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/rules", self.create),
            route("GET", "/v1/rules", self.list),
            route("GET", "/v1/rules/public", self.public),
            route("GET", "/v1/rules/entities/{entity_type}/{entity_id:path}/rules", self.of_entity),
            *(
                one
                for path in ("/v1/rules/{rule_id}", _OWNED + "/{rule_id}")
                for one in (
                    route("PUT", path, self.update),
                    route("PATCH", path, self.update),
                    route("DELETE", path, self.delete),
                )
            ),
            route("GET", "/v1/rules/{rule_id}", self.get),
            route("GET", "/v1/rules/{rule_id}/attachments", self.attachments),
            route("POST", "/v1/rules/{rule_id}/attachments", self.attach),
            route("GET", _PLACE, self.attachment),
            route("PUT", _PLACE, self.change_attachment),
            route("DELETE", _PLACE, self.detach),
            route("POST", _OWNED, self.create),
            route("GET", _OWNED, self.page),
            route("GET", _OWNED + "/statistics/categories", self.categories),
            route("GET", _OWNED + "/{rule_id}", self.get),
            route("POST", _OWNED + "/{rule_id}/duplicate", self.copy),
            route("GET", _OWNED + "/{rule_id}/statistics/usage", self.usage),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_rule_create(await self._read(scope, receive))
        caller = require(scope["caller"], "rules:write", _organization(scope, asked.organization_id))
        shown = await self._rules.create(caller, name=asked.name, rule=asked.rule, aims=asked.aims)
        await send_json(send, views.encode_rule(shown), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "rules:read", query.get("organization_id"))
        page, with_attachments = paging.page(query), paging.truth(query, "include_attachments")
        found = await self._rules.all(caller, _wanted(query))
        shown, more = page_of(found, page)
        await send_json(
            send,
            views.encode_rules(
                shown, has_more=more, limit=page.limit, total=len(found), with_attachments=with_attachments
            ),
        )

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "rules:read", _organization(scope))
        wanted = _wanted(query)
        await _send_page(send, query, await self._rules.all(caller, wanted), wanted)

    async def public(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "rules:read", query.get("organization_id"))
        wanted = _wanted(query)
        await _send_page(send, query, await self._rules.public(caller, wanted), wanted)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        shown = await self._rules.get(await self._caller(scope, "rules:read"), _id(scope))
        with_attachments = paging.truth(query, "include_attachments") if "include_attachments" in query else True
        await send_json(send, views.encode_rule(shown, with_attachments=with_attachments))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_rule_change(await self._read(scope, receive))
        caller = await self._caller(scope, "rules:write")
        if asked.organization_id not in (None, caller.organization_id):
            raise errors.InvalidValue("organization_id", "cannot be changed: make a copy in the other organization")
        shown = await self._rules.change(
            caller, _id(scope), name=asked.name, values=asked.values, expected_version=asked.expected_version
        )
        await send_json(send, views.encode_rule(shown))

    async def copy(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "rules:write", _organization(scope))
        await send_json(send, views.encode_rule(await self._rules.copy(caller, _id(scope))), status=201)

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = await self._caller(scope, "rules:write")
        force = paging.truth(HttpRequest(scope).query_params, "force")
        await self._rules.delete(caller, _id(scope), force=force)
        await send_json(send, views.encode_deleted(_id(scope)))

    async def categories(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "rules:read", _organization(scope))
        await send_json(send, views.encode_categories(await self._rules.categories(caller)))

    async def usage(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "rules:read", _organization(scope))
        _, attachments = await self._rules.attachments(caller, _id(scope))
        await send_json(send, views.encode_usage(_id(scope), attachments))

    async def attachments(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        kept, found = await self._rules.attachments(await self._caller(scope, "rules:read"), _id(scope))
        kind = wire.entity(query["entity_type"]) if "entity_type" in query else None
        active = paging.maybe(query, "is_active")
        shown = [
            (kept, one) for one in found if kind in (None, one.entity_type) and (active is None or active == one.active)
        ]
        await send_json(send, views.encode_attachments(shown))

    async def attach(self, scope: Scope, receive: Receive, send: Send) -> None:
        aim = wire.decode_attachment_create(await self._read(scope, receive))
        attached = await self._rules.attach(await self._caller(scope, "rules:write"), _id(scope), aim)
        await send_json(send, views.encode_attachment(*attached), status=201)

    async def attachment(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, entity_id = _entity(scope)
        caller = await self._caller(scope, "rules:read")
        found = await self._rules.attachment(caller, _id(scope), entity_type=kind, entity_id=entity_id)
        await send_json(send, views.encode_attachment(*found))

    async def change_attachment(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, entity_id = _entity(scope)
        query = HttpRequest(scope).query_params
        values = wire.decode_attachment_change(await self._read(scope, receive))
        caller = await self._caller(scope, "rules:write")
        kept, changed = await self._rules.change_attachment(
            caller, _id(scope), entity_type=kind, entity_id=entity_id, values=values
        )
        detailed = paging.maybe(query, "include_rule_details") is not False
        await send_json(send, views.encode_attachment(kept if detailed else None, changed))

    async def detach(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, entity_id = _entity(scope)
        caller = await self._caller(scope, "rules:write")
        at = await self._rules.detach(caller, _id(scope), entity_type=kind, entity_id=entity_id)
        await send_json(send, views.encode_detached(_id(scope), kind, entity_id, at=at))

    async def of_entity(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, entity_id = _entity(scope)
        query = HttpRequest(scope).query_params
        asked = query.get("organization_id") or (entity_id if kind == "organization" else None)
        caller = require(scope["caller"], "rules:read", asked)
        found = await self._rules.of_entity(caller, kind, entity_id)
        detailed = paging.maybe(query, "include_rule_details") is not False
        await send_json(send, views.encode_attachments([(kept if detailed else None, one) for kept, one in found]))

    async def _caller(self, scope: Scope, needed: accounts.Scope) -> Caller:
        """Within the organization of the path, or else the one that has the rule."""
        caller: Caller = scope["caller"]
        if "organization" in scope["path_params"]:
            caller = require(caller, needed, _organization(scope))
            # The path names it: a rule of another organization is not there, though the key may reach it.
            return replace(caller, organization_ids=(caller.organization_id,))
        home = await self._rules.home(_id(scope), caller.organization_ids)
        return require(caller, needed, home or caller.organization_id)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


async def _send_page(send: Send, query: Mapping[str, str], found: Sequence[Shown], wanted: Wanted) -> None:
    skip = paging.whole_number(query, "skip", default=0, low=0)
    limit = paging.whole_number(query, "limit", default=20, low=1, high=_MOST)
    told = views.encode_rule_page(
        found[skip : skip + limit],
        total=len(found),
        skip=skip,
        limit=limit,
        filters=views.filters(wanted),
        with_attachments=paging.truth(query, "include_attachments"),
    )
    await send_json(send, told)


def _wanted(query: Mapping[str, str]) -> Wanted:
    """Raises `errors.InvalidValue`."""
    entity_type = wire.entity(query["entity_type"]) if query.get("entity_type") else None
    if query.get("entity_id") and entity_type is None:
        raise errors.InvalidValue("entity_id", "needs entity_type beside it")
    return Wanted(
        search=query.get("search") or None,
        category=query.get("category") or None,
        rule_type=query.get("rule_type") or None,
        scope=query.get("scope") or None,
        is_active=paging.maybe(query, "is_active"),
        is_public=paging.maybe(query, "is_public"),
        entity_type=entity_type,
        entity_id=query.get("entity_id") or None,
        attached_only=paging.maybe(query, "attached_only"),
    )


def _organization(scope: Scope, told: str | None = None) -> str | None:
    """That of the path, or else that of the body. Raises `errors.InvalidValue` where they differ."""
    organization: str | None = scope["path_params"].get("organization")
    if organization is not None and told not in (None, organization):
        raise errors.InvalidValue("organization_id", "must be the organization of the path, or left out")
    return organization or told


def _entity(scope: Scope) -> tuple[Entity, str]:
    return wire.entity(scope["path_params"]["entity_type"]), scope["path_params"]["entity_id"]


def _id(scope: Scope) -> str:
    rule_id: str = scope["path_params"]["rule_id"]
    return rule_id
