"""Tokens of users: short-lived ones that are signed, and those that get the next ones.

Access tokens are JWTs (https://www.rfc-editor.org/rfc/rfc9068), refresh tokens are opaque to who holds them.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.ports.signing import SigningKeys
from freddy.server.ports.world import Clock

REFRESH_PREFIX: Final = "rt-frdy-"
_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_ACCESS, _REFRESH = "access tokens", "refresh tokens"
_CLAIMS = ["iss", "sub", "sid", "iat", "exp", "jti"]
_AHEAD = 60.0
"""Seconds that the clock of another process of this server may be ahead."""


class Claims(Struct, frozen=True):
    user_id: str
    session_id: str


class Tokens:
    """`issuer` is this server's name, `seconds` how long an access token is good for."""

    def __init__(self, keys: SigningKeys, *, issuer: str, clock: Clock, seconds: int) -> None:
        self.seconds = seconds
        self.issuer = issuer
        self._source = keys
        self._clock = clock
        self._kept: dict[str, dict[str, bytes]] = {}

    async def access(self, user_id: str, session_id: str) -> str:
        import jwt  # noqa: PLC0415 — with cryptography 10 MB that callers with keys have no need of

        name, key = next(iter((await self._keys(_ACCESS)).items()))
        now = int(self._clock.now())
        claims = {
            "iss": self.issuer,
            "sub": user_id,
            "sid": session_id,
            "iat": now,
            "exp": now + self.seconds,
            "jti": secrets.token_urlsafe(12),
        }
        return jwt.encode(claims, key, _ALGORITHM, headers={"typ": _TYPE, "kid": name})

    async def read(self, token: str) -> Claims:
        """Raises `errors.NotAuthenticated`. Whether the session still lives is not known here."""
        import jwt  # noqa: PLC0415 — as above

        try:
            head = jwt.get_unverified_header(token)
            key = (await self._keys(_ACCESS)).get(str(head.get("kid")))
            if key is None or head.get("typ") != _TYPE:
                raise refused()
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=self.issuer,
                # The times are compared with our own clock.
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.PyJWTError:
            raise refused() from None
        user_id, session_id, issued, expires = claims["sub"], claims["sid"], claims["iat"], claims["exp"]
        if not (isinstance(session_id, str) and is_time(issued) and is_time(expires)):
            raise refused()
        now = self._clock.now()
        if expires <= now:
            raise expired()
        if issued > now + _AHEAD:
            raise refused()
        return Claims(user_id, session_id)

    async def refresh(self, session_id: str) -> str:
        """It says itself that this server made it: one that was used before is told from one that never was."""
        key = next(iter((await self._keys(_REFRESH)).values()))
        said = f"{session_id}.{secrets.token_urlsafe(32)}"
        return f"{REFRESH_PREFIX}{said}.{_signature(key, said)}"

    async def session_of(self, refresh_token: str) -> str:
        """The session of a refresh token, of an old one too. Raises `errors.NotAuthenticated`."""
        said, _, signature = refresh_token.removeprefix(REFRESH_PREFIX).rpartition(".")
        keys = (await self._keys(_REFRESH)).values()
        if not refresh_token.isascii() or not any(
            secrets.compare_digest(_signature(key, said), signature) for key in keys
        ):
            raise refused()
        return said.partition(".")[0]

    async def _keys(self, purpose: str) -> dict[str, bytes]:
        """By the name that tokens call them."""
        if purpose not in self._kept:
            derived: Sequence[bytes] = await self._source.derived(purpose)
            self._kept[purpose] = {hashlib.sha256(key).hexdigest()[:16]: key for key in derived}
        return self._kept[purpose]


def looks_like_one(credential: str) -> bool:
    """Whether a credential has the form of a JWT: a head that is a JSON object, a body, a signature."""
    return credential.startswith("eyJ") and credential.count(".") == 2


def issuer_of(token: str) -> str | None:
    """Who a token says it is of: to know whom to ask, and nothing more. Raises `errors.NotAuthenticated`."""
    import jwt  # noqa: PLC0415 — as above

    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise refused() from None
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else None


def is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e11  # type: ignore[operator]


def refused() -> errors.NotAuthenticated:
    return errors.NotAuthenticated("Invalid token provided", code="invalid_token", details="sign in again")


def expired() -> errors.NotAuthenticated:
    return errors.NotAuthenticated(
        "The token has expired", code="token_expired", details="refresh it at /v1/auth/refresh, or sign in again"
    )


def _signature(key: bytes, said: str) -> str:
    return hmac.digest(key, said.encode(), "sha256").hex()
