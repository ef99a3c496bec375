"""The paths of signing in and out. Most need no credential: what they are sent is one."""

from typing import Any, Final

from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.sign_in import SignedIn, SignIn
from freddy.server.accounts.users import address
from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.dialects.freddy import signing_in as wire
from freddy.server.http import body
from freddy.server.http.auth import Auth
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.ports.world import Clock

PUBLIC: Final = frozenset(
    (
        "/v1/auth/login",
        "/v1/auth/dev-login",
        "/v1/auth/register",
        "/v1/auth/refresh",
        "/v1/auth/logout",
        "/v1/auth/validate",
        "/v1/auth/password/set",
        "/v1/invitations/complete",
        "/v1/config/auth-mode",
    )
)
"""Paths that need no credential."""
_MAX_BODY = 16 * 1024
"""Bytes. Nothing that is sent here is long, and anybody may send it."""


class AuthRoutes:
    """`issuer` is the external one whose tokens are accepted, too."""

    def __init__(self, sign_in: SignIn, auth: Auth, *, clock: Clock, issuer: str | None) -> None:
        self._sign_in = sign_in
        self._auth = auth
        self._clock = clock
        self._issuer = issuer

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/auth/login", self.login),
            # Clients that cannot wait for a letter with a code have this path for a sign-in at one go.
            route("POST", "/v1/auth/dev-login", self.login),
            route("POST", "/v1/auth/register", self.register),
            route("POST", "/v1/auth/refresh", self.refresh),
            route("POST", "/v1/auth/logout", self.logout),
            route("GET", "/v1/auth/validate", self.validate),
            route("PUT", "/v1/auth/password/update", self.change_password),
            route("POST", "/v1/auth/password/set", self.set_password),
            route("POST", "/v1/invitations/complete", self.complete),
            route("GET", "/v1/config/auth-mode", self.mode),
        ]

    async def login(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_login(await _read(scope, receive))
        signed_in = await self._sign_in.login(asked.email, asked.password, address=_address(scope))
        await _send_tokens(send, wire.encode_signed_in(signed_in.user, **_tokens(signed_in)))

    async def register(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_registration(await _read(scope, receive))
        user = await self._sign_in.register(
            address(asked.email), asked.password, name=asked.name, address=_address(scope)
        )
        await send_json(send, wire.encode_registered(user), status=201)

    async def refresh(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = wire.decode_refresh(await _read(scope, receive))
        if not token:
            raise errors.InvalidValue("refresh_token", "is required")
        await _send_tokens(send, wire.encode_refreshed(**_tokens(await self._sign_in.refresh(token))))

    async def logout(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By the refresh token, or by the access token of the header."""
        token = wire.decode_refresh(await _read(scope, receive))
        if token:
            await self._sign_in.logout_by(token)
        else:
            caller = await self._caller(scope)
            if caller.session_id is None:
                raise errors.PermissionDenied(
                    "There is no sign-in to end", details="keys and tokens of another issuer have none here"
                )
            await self._sign_in.logout(caller.session_id)
        await send_json(send, wire.encode_logged_out(int(self._clock.now())))

    async def validate(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._caller(scope)
        except errors.NotAuthenticated as error:
            await send_json(send, wire.encode_validity(error.message))
            return
        await send_json(send, wire.encode_validity(None))

    async def change_password(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller = scope["caller"]
        asked = wire.decode_new_password(await _read(scope, receive))
        await self._sign_in.change_password(caller, asked.current, asked.new, address=_address(scope))
        await send_json(send, wire.encode_success("The password is changed; other sign-ins have ended"))

    async def set_password(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_reset(await _read(scope, receive))
        await self._sign_in.set_password(asked.secret, asked.new)
        await send_json(send, wire.encode_success("The password is set: sign in"))

    async def complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_completion(await _read(scope, receive))
        signed_in, invitation = await self._sign_in.complete(
            asked.secret, asked.password, name=asked.name, address=_address(scope)
        )
        await _send_tokens(send, wire.encode_completed(invitation, signed_in.user, **_tokens(signed_in)))

    async def mode(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, wire.encode_mode(issuer=self._issuer, registration=self._sign_in.registration))

    async def _caller(self, scope: Scope) -> Caller:
        return await self._auth.caller(Headers(scope=scope))


async def _read(scope: Scope, receive: Receive) -> bytes:
    return await body.read(scope, receive, limit=_MAX_BODY)


async def _send_tokens(send: Send, view: bytes) -> None:
    await send_json(send, view, headers={"cache-control": "no-store"})


def _tokens(signed_in: SignedIn) -> dict[str, Any]:
    return {
        "access_token": signed_in.access_token,
        "refresh_token": signed_in.refresh_token,
        "expires_in": signed_in.seconds,
        "session_id": signed_in.session_id,
    }


def _address(scope: Scope) -> str:
    """Of who is connected, be it a proxy."""
    client = scope.get("client")
    return client[0] if client else ""
