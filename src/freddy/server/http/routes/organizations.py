"""The paths of organizations."""

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.accounts.organizations import Organizations
from freddy.server.accounts.users import Users
from freddy.server.core.accounts import Caller, Organization
from freddy.server.core.accounts import Scope as Right
from freddy.server.dialects.freddy import organizations as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json, send_nothing


class OrganizationRoutes:
    def __init__(self, organizations: Organizations, users: Users, *, max_body_bytes: int) -> None:
        self._organizations = organizations
        self._users = users
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        own = "/v1/organizations"
        return [
            route("GET", own, self.list),
            route("POST", own, self.create),
            route("GET", own + "/{organization}", self.get),
            route("PATCH", own + "/{organization}", self.update),
            route("DELETE", own + "/{organization}", self.delete),
            route("GET", own + "/{organization}/roles", self.roles),
            route("GET", own + "/{organization}/statuses", self.statuses),
        ]

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whoever has a credential sees those that it reaches."""
        query = HttpRequest(scope).query_params
        skip = paging.whole_number(query, "skip", default=0, low=0, high=10**9)
        limit = paging.whole_number(query, "limit", default=20, low=1, high=100)
        paging.truth(query, "active_only")  # those that are not are deleted
        found = await self._organizations.list(scope["caller"])
        part = [(one, await self._users.owner(one.id)) for one in found[skip : skip + limit]]
        await send_json(send, wire.encode_organizations(part, total=len(found), skip=skip, limit=limit))

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller = scope["caller"]
        if caller.user_id is None:
            caller = require(caller, "organizations:manage")
        asked = wire.decode_new(await self._read(scope, receive))
        made = await self._organizations.create(caller, asked.name, about=asked.about)
        await send_json(send, wire.encode_organization(made, caller.user_id), status=201)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope, None)
        await self._tell(send, await self._organizations.get(caller.organization_id))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope, "organizations:manage")
        asked = wire.decode_change(await self._read(scope, receive))
        await self._tell(send, await self._organizations.change(caller, caller.organization_id, asked))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope, "organizations:manage")
        await self._organizations.delete(caller, caller.organization_id)
        await send_nothing(send)

    async def roles(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, wire.encode_roles(_allowed(scope, None).organization_id))

    async def statuses(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, wire.encode_statuses(_allowed(scope, None).organization_id))

    async def _tell(self, send: Send, organization: Organization) -> None:
        await send_json(send, wire.encode_organization(organization, await self._users.owner(organization.id)))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _allowed(scope: Scope, right: Right | None) -> Caller:
    return require(scope["caller"], right, scope["path_params"]["organization"])
