"""The paths of people: members of an organization, invitations, one's own account."""

import re
from typing import Final
from urllib.parse import quote

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts import access
from freddy.server.accounts.access import require
from freddy.server.accounts.organizations import Organizations
from freddy.server.accounts.sign_in import SignIn
from freddy.server.accounts.users import Users
from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.core.accounts import Scope as Right
from freddy.server.dialects.freddy import invitations, members
from freddy.server.dialects.freddy import users as wire
from freddy.server.http import body
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json, send_nothing

_SHOWN: Final = re.compile(r"/v1/invitations/validate/[^/]+")


class UserRoutes:
    """`public_url` is the server's address in links; without one they have none."""

    def __init__(
        self,
        users: Users,
        sign_in: SignIn,
        organizations: Organizations,
        *,
        max_body_bytes: int,
        public_url: str | None,
    ) -> None:
        self._users = users
        self._sign_in = sign_in
        self._organizations = organizations
        self._max_body_bytes = max_body_bytes
        self._public_url = public_url or ""

    def routes(self) -> list[Route]:
        own = "/v1/organizations/{organization}"
        return [
            route("GET", own + "/users", self.list),
            route("POST", own + "/users", self.list),
            route("POST", own + "/users/ids", self.ids),
            route("POST", own + "/users/by-ids", self.by_ids),
            route("GET", own + "/users/status-summary", self.summary),
            route("GET", own + "/users/{user_id}", self.get),
            route("PUT", own + "/users/{user_id}", self.update),
            route("DELETE", own + "/users/{user_id}/delete", self.remove),
            route("POST", own + "/users/{user_id}/reset-password", self.reset_password),
            route("POST", own + "/invite-user", self.invite),
            route("GET", own + "/invitation", self.invitation),
            route("GET", own + "/invitations", self.invitations),
            route("DELETE", own + "/invitations/{invitation_id}", self.cancel_invitation),
            route("GET", "/v1/invitations/validate/{email_key}", self.show_invitation),
            route("POST", "/v1/invitations/accept", self.accept),
            route("GET", "/v1/user/me", self.me),
            route("GET", "/v1/user/current", self.me),
            route("PATCH", "/v1/user/profile", self.rename),
            route("GET", "/v1/user/devices", self.sessions),
            route("DELETE", "/v1/user/devices/{session_id}", self.end_session),
        ]

    # Members

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        organization_id = _read_allowed(scope).organization_id
        asked = members.decode_members_asked(await self._read(scope, receive))
        await send_json(send, members.encode_members(await self._users.members(organization_id), asked))

    async def ids(self, scope: Scope, receive: Receive, send: Send) -> None:
        organization_id = _read_allowed(scope).organization_id
        await send_json(send, members.encode_member_ids(await self._users.members(organization_id)))

    async def by_ids(self, scope: Scope, receive: Receive, send: Send) -> None:
        organization_id = _read_allowed(scope).organization_id
        wanted = members.decode_ids(await self._read(scope, receive))
        await send_json(send, members.encode_members_by_id(await self._users.members(organization_id), wanted))

    async def summary(self, scope: Scope, receive: Receive, send: Send) -> None:
        organization_id = _read_allowed(scope).organization_id
        invited = await self._users.invitations(organization_id)
        found = await self._users.members(organization_id)
        await send_json(send, members.encode_status_summary(found, invited=len(invited)))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _read_allowed(scope)
        await self._tell_member(send, caller, _user_id(scope))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller, user_id = _allowed(scope), _user_id(scope)
        asked = members.decode_member_change(await self._read(scope, receive))
        await self._users.member(caller.organization_id, user_id)
        if asked.role is not None:
            await self._users.set_role(caller, caller.organization_id, user_id, asked.role)
        if asked.status == "inactive":
            await self._users.deactivate(caller, user_id)
        elif asked.status == "active":
            await self._users.activate(caller, user_id)
        await self._tell_member(send, caller, user_id)

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        await self._users.remove_member(caller, caller.organization_id, _user_id(scope))
        await send_nothing(send)

    async def reset_password(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        reset = await self._users.reset_password(caller, _user_id(scope))
        await send_json(send, members.encode_reset(_user_id(scope), reset.secret, reset.expires_at))

    # Invitations

    async def invite(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        asked = invitations.decode_invite(await self._read(scope, receive))
        invited = await self._users.invite(caller, caller.organization_id, asked.email, asked.role)
        link = f"{self._public_url}/v1/invitations/validate/{quote(invited.secret, safe='')}"
        view = invitations.encode_invitation(invited.invitation, secret=invited.secret, link=link)
        await send_json(send, view, status=201)

    async def invitation(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By its id or the e-mail address; the published client also has a user's id for it."""
        caller = _allowed(scope)
        query = HttpRequest(scope).query_params
        email = query.get("email", "").lower()
        wanted = query.get("invitation_id") or query.get("user_id")
        if not email and not wanted:
            raise errors.InvalidValue("invitation_id", "or email is required")
        for one in await self._users.invitations(caller.organization_id):
            if (not email or one.email == email) and (not wanted or one.id == wanted):
                await send_json(send, invitations.encode_invitation(one))
                return
        raise errors.NotFound("There is no such invitation", param="invitation_id")

    async def invitations(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        await send_json(send, invitations.encode_invitations(await self._users.invitations(caller.organization_id)))

    async def cancel_invitation(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _allowed(scope)
        invitation_id = scope["path_params"]["invitation_id"]
        await self._users.cancel_invitation(caller, caller.organization_id, invitation_id)
        await send_nothing(send)

    async def show_invitation(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Its secret is the credential."""
        invitation = await self._sign_in.invitation(scope["path_params"]["email_key"])
        organization = await self._organizations.get(invitation.organization_id)
        await send_json(send, invitations.encode_shown(invitation, organization.name))

    async def accept(self, scope: Scope, receive: Receive, send: Send) -> None:
        secret = HttpRequest(scope).query_params.get("email_key", "")
        await send_json(send, invitations.encode_accepted(await self._sign_in.accept(scope["caller"], secret)))

    # One's own account

    async def me(self, scope: Scope, receive: Receive, send: Send) -> None:
        standing = await self._users.me(scope["caller"])
        organizations = []
        for member in standing.members:
            organization = await self._organizations.get(member.organization_id)
            organizations.append((organization.id, organization.name, member.role))
        await send_json(send, wire.encode_myself(standing.user, organizations))

    async def rename(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller = scope["caller"]
        name = wire.decode_profile(await self._read(scope, receive))
        user = (await self._users.me(caller)).user if name is None else await self._users.rename(caller, name)
        await send_json(send, wire.encode_profile(user))

    async def sessions(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller = scope["caller"]
        found = await self._sign_in.sessions(access.require_person(caller))
        await send_json(send, wire.encode_sessions(found, caller.session_id))

    async def end_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        user_id = access.require_person(scope["caller"])
        await self._sign_in.end_session(user_id, scope["path_params"]["session_id"])
        await send_nothing(send)

    async def _tell_member(self, send: Send, caller: Caller, user_id: str) -> None:
        await send_json(send, members.encode_member(*await self._users.member(caller.organization_id, user_id)))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def is_invitation(scope: Scope) -> bool:
    """Whether the request has an invitation's secret in its address."""
    return scope["method"] in ("GET", "HEAD") and _SHOWN.fullmatch(scope["path"]) is not None


def _allowed(scope: Scope) -> Caller:
    """The caller within the organization of the path, whose members it may manage."""
    return require(scope["caller"], "members:manage", scope["path_params"]["organization"])


def _read_allowed(scope: Scope) -> Caller:
    """Colleagues see each other; a key has to have the right to manage them."""
    caller: Caller = scope["caller"]
    right: Right | None = None if caller.user_id is not None else "members:manage"
    return require(caller, right, scope["path_params"]["organization"])


def _user_id(scope: Scope) -> str:
    user_id: str = scope["path_params"]["user_id"]
    return user_id
