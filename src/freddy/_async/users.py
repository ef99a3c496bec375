"""`client.users`: signing in, and the people of an organization."""

from __future__ import annotations

import builtins

from freddy._async.organizations import meant
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.accounts import (
    Invitation,
    Member,
    PasswordReset,
    SignedIn,
    User,
    read_invitations,
    read_members,
)
from freddy.types.requests import NOT_GIVEN, Maybe, without_omitted

_PAGE = 100


class AsyncUsers:
    """`organization_id` may be left out where the client has one."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def login(self, email: str, password: str) -> SignedIn:
        """Tokens. Make a client of the access token: `AsyncFreddyClient(signed_in.access_token)`."""
        body = {"email_or_username": email, "password": password}
        return SignedIn((await self._transport.send(Call(method="POST", path=path("auth", "login"), body=body))).body)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """The next tokens. The refresh token holds once."""
        body = {"refresh_token": refresh_token}
        return SignedIn((await self._transport.send(Call(method="POST", path=path("auth", "refresh"), body=body))).body)

    async def logout(self, refresh_token: str | None = None) -> None:
        """Ends the sign-in of the refresh token, or of the client's own access token."""
        body = {} if refresh_token is None else {"refresh_token": refresh_token}
        await self._transport.send(Call(method="POST", path=path("auth", "logout"), body=body))

    async def change_password(self, current: str, new: str) -> None:
        """Every other sign-in ends."""
        body = {"current_password": current, "new_password": new}
        await self._transport.send(Call(method="PUT", path=path("auth", "password", "update"), body=body))

    async def set_password(self, reset_key: str, new: str) -> None:
        """With the one-time secret that `reset_password` made."""
        body = {"reset_key": reset_key, "new_password": new}
        await self._transport.send(Call(method="POST", path=path("auth", "password", "set"), body=body))

    async def me(self) -> User:
        return User((await self._transport.send(Call(method="GET", path=path("user", "me")))).body)

    async def list(self, *, search: str = "", organization_id: str | None = None) -> builtins.list[Member]:
        """The members of the organization."""
        where = path("organizations", meant(self._transport, organization_id), "users")
        found: builtins.list[Member] = []
        while True:
            body = {"skip": len(found), "take": _PAGE, "search_term": search}
            reply = await self._transport.send(Call(method="POST", path=where, body=body))
            part = read_members(reply.body.get("users"))
            found += part
            if not part or len(found) >= reply.body["total_users_count"]:
                return found

    async def get(self, user_id: str, *, organization_id: str | None = None) -> Member:
        call = Call(method="GET", path=self._path(organization_id, user_id))
        return Member((await self._transport.send(call)).body)

    async def update(
        self,
        user_id: str,
        *,
        role: Maybe[str] = NOT_GIVEN,
        status: Maybe[str] = NOT_GIVEN,
        organization_id: str | None = None,
    ) -> Member:
        """`role` is owner, admin, member or viewer; `status` is active or inactive."""
        fields = without_omitted({"role_id": role, "status_id": status})
        call = Call(method="PUT", path=self._path(organization_id, user_id), body=fields)
        return Member((await self._transport.send(call)).body)

    async def remove(self, user_id: str, *, organization_id: str | None = None) -> None:
        """From the organization; the user stays."""
        await self._transport.fetch(Call(method="DELETE", path=self._path(organization_id, user_id, "delete")))

    async def reset_password(self, user_id: str, *, organization_id: str | None = None) -> PasswordReset:
        call = Call(method="POST", path=self._path(organization_id, user_id, "reset-password"))
        return PasswordReset((await self._transport.send(call)).body)

    async def invite(self, email: str, *, role: str = "member", organization_id: str | None = None) -> Invitation:
        """With the secret to accept it with in `email_key`: it is not told again."""
        where = path("organizations", meant(self._transport, organization_id), "invite-user")
        call = Call(method="POST", path=where, body={"email": email, "role_id": role})
        return Invitation((await self._transport.send(call)).body)

    async def invitations(self, *, organization_id: str | None = None) -> builtins.list[Invitation]:
        """Those that nobody has accepted yet."""
        where = path("organizations", meant(self._transport, organization_id), "invitations")
        return read_invitations((await self._transport.send(Call(method="GET", path=where))).body.get("data"))

    async def cancel_invitation(self, invitation_id: str, *, organization_id: str | None = None) -> None:
        where = path("organizations", meant(self._transport, organization_id), "invitations", invitation_id)
        await self._transport.fetch(Call(method="DELETE", path=where))

    async def complete_invitation(self, email_key: str, password: str, *, name: str = "") -> SignedIn:
        """Accepts it, as somebody new or with the password of the account that is there; and signs in."""
        body = {"email_key": email_key, "full_name": name, "password": password}
        call = Call(method="POST", path=path("invitations", "complete"), body=body)
        reply = await self._transport.send(call)
        return SignedIn(reply.body["refresh_token"])

    def _path(self, organization_id: str | None, *segments: str) -> str:
        return path("organizations", meant(self._transport, organization_id), "users", *segments)
