"""The paths of the audit log."""

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.accounts.audit import Audit
from freddy.server.accounts.users import Users
from freddy.server.core.accounts import Caller
from freddy.server.dialects.freddy import audit as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.ports.audit import Wanted

_LATEST = 253_402_300_800


class AuditRoutes:
    def __init__(self, audit: Audit, users: Users, *, max_body_bytes: int) -> None:
        self._audit = audit
        self._users = users
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        own = "/v1/organizations/{organization}"
        return [
            route("GET", own + "/audit-log", self.list),
            route("POST", own + "/dashboard/change-logs", self.change_logs),
            route("POST", own + "/users/{user_id}/change-logs", self.change_logs),
        ]

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        query = HttpRequest(scope).query_params
        wanted = Wanted(
            action=query.get("action"),
            actor_id=query.get("actor_id"),
            resource_type=query.get("resource_type"),
            resource_id=query.get("resource_id"),
            since=paging.whole_number(query, "since", default=0, low=0, high=_LATEST) or None,
            until=paging.whole_number(query, "until", default=0, low=0, high=_LATEST) or None,
        )
        found, more = await self._audit.page(caller.organization_id, wanted, paging.page(query))
        await send_json(send, wire.encode_log(found, has_more=more))

    async def change_logs(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same as the published client asks for it; with a user, what they did and what was done to them."""
        caller = _allowed(scope)
        asked = wire.decode_asked(await body.read(scope, receive, limit=self._max_body_bytes))
        wanted = Wanted(
            action=asked.action,
            resource_type=asked.resource_type,
            user_id=scope["path_params"].get("user_id"),
            since=asked.since,
            until=asked.until,
        )
        found, total = await self._audit.slice(caller.organization_id, wanted, skip=asked.skip, take=asked.take)
        members = await self._users.members(caller.organization_id)
        people = {user.id: (user.name or user.email, user.email) for _, user in members}
        await send_json(send, wire.encode_change_logs(found, people, total=total, asked=asked))


def _allowed(scope: Scope) -> Caller:
    return require(scope["caller"], "audit:read", scope["path_params"]["organization"])
