"""Headers to the caller. Every path needs one but those the application lists as public."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers

from freddy.server.accounts import tokens
from freddy.server.accounts.keys import Verifier, refused
from freddy.server.accounts.standings import Standings
from freddy.server.accounts.users import Users
from freddy.server.core import errors
from freddy.server.core.accounts import Caller, Role

if TYPE_CHECKING:
    from freddy.server.accounts.oidc import Oidc  # imports cryptography

_LOCAL_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
_REMEMBERED = 10_000
_ORGANIZATION_HEADERS = ("aitronos-organization", "openai-organization")


class Issued:
    """Whom another issuer signs in, and as what they arrive here."""

    def __init__(self, oidc: "Oidc", users: Users, *, organization_id: str, role: Role) -> None:
        self.issuer = oidc.issuer
        self._oidc = oidc
        self._users = users
        self._organization_id = organization_id
        self._role = role
        self._known: dict[str, str] = {}

    async def user(self, token: str) -> str:
        """The user's id. Raises `errors.NotAuthenticated`."""
        identity = await self._oidc.read(token)
        known = self._known.get(identity.subject)
        if known is not None:
            return known
        user_id = await self._users.arrived(identity, organization_id=self._organization_id, role=self._role)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        # Who is called so once is called so for ever: nothing of it has to be forgotten.
        self._known[identity.subject] = user_id
        return user_id


class People:
    """Tokens of users to callers: of this server's own, and of another issuer's where one is set."""

    def __init__(self, own: tokens.Tokens, standings: Standings, issued: Issued | None = None) -> None:
        self._own = own
        self._standings = standings
        self._issued = issued

    async def caller(self, token: str, *, named: str | None) -> Caller:
        """`named` is the organization that the request names. Raises `errors.NotAuthenticated`."""
        if self._issued is not None and tokens.issuer_of(token) == self._issued.issuer:
            return await self._standings.of_user(await self._issued.user(token), named=named)
        return await self._standings.of_session(await self._own.read(token), named=named)


class Auth:
    """`anonymous` is who calls without a credential; None refuses them. Without `people` there are no users."""

    def __init__(self, verifier: Verifier, *, anonymous: Caller | None, people: People | None = None) -> None:
        self._verifier = verifier
        self._anonymous = anonymous
        self._people = people

    async def caller(self, headers: Headers, query: bytes = b"") -> Caller:
        """What kind of credential it is, is read from it: a JWT is a user's, and any other an API key.

        A key is taken from `Authorization: Bearer` or `X-API-Key`, a token from the first alone. Raises
        `errors.NotAuthenticated`.
        """
        secret = credential(headers)
        if secret is None:
            if self._anonymous is not None and _from_here(headers):
                return self._anonymous
            raise errors.NotAuthenticated(
                "No API key provided", details="send it as `Authorization: Bearer <key>` or `X-API-Key: <key>`"
            )
        if self._people is None or not tokens.looks_like_one(secret):
            return await self._verifier.verify(secret)
        if "authorization" not in headers:
            raise errors.NotAuthenticated(
                "A token was sent as an API key",
                code="invalid_token",
                details="send it as `Authorization: Bearer <token>`",
            )
        return await self._people.caller(secret, named=_named(headers, query))


def _named(headers: Headers, query: bytes) -> str | None:
    """The organization that a request says it is for. Its body or its path may say another, and they hold."""
    if b"organization_id=" in query:
        asked = parse_qs(query.decode("latin-1")).get("organization_id")
        if asked:
            return asked[0]
    for name in _ORGANIZATION_HEADERS:
        if named := headers.get(name):
            return named
    return None


def _from_here(headers: Headers) -> bool:
    """Whether a call without a credential comes from this machine, and from no other site's page in its browser.

    A foreign page can send requests to a loopback address, or have its own name lead there.
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    if any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip")):
        return False
    try:
        return urlsplit(f"//{host}").hostname in _LOCAL_NAMES and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:  # such as half of a bracket
        return False


def credential(headers: Headers) -> str | None:
    """Raises `errors.NotAuthenticated` when the two headers hold different credentials.

    Clients that always send `X-API-Key` leave it empty beside a token: that says nothing.
    """
    bearer, key = headers.get("authorization"), headers.get("x-api-key")
    if bearer is not None:
        scheme, _, token = bearer.partition(" ")
        token = token.strip()
        if scheme.lower() == "bearer" and not token:
            raise _empty()
        if scheme.lower() != "bearer":
            raise refused()
        if key is not None and key.strip() not in ("", token):
            raise errors.NotAuthenticated(
                "Two different API keys provided",
                details="send one of Authorization and X-API-Key, or the same in both",
            )
        return token
    if key is not None:
        if not key.strip():
            raise _empty()
        return key.strip()
    return None


def _empty() -> errors.NotAuthenticated:
    return errors.NotAuthenticated(
        "An empty API key was provided",
        details="set the variable that it is taken from; on the server's own machine, local development needs none",
    )
