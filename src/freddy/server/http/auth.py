"""Headers to the caller. Every path needs one but those the application lists as public."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers

from freddy.server.accounts.keys import Verifier, refused
from freddy.server.core import errors
from freddy.server.core.accounts import Caller

_LOCAL_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))


class Auth:
    """`anonymous` is who calls without a credential; None refuses them."""

    def __init__(self, verifier: Verifier, *, anonymous: Caller | None) -> None:
        self._verifier = verifier
        self._anonymous = anonymous

    async def caller(self, headers: Headers) -> Caller:
        """The key is read from `Authorization: Bearer` or `X-API-Key`. Raises `errors.NotAuthenticated`."""
        secret = credential(headers)
        if secret is not None:
            return await self._verifier.verify(secret)
        if self._anonymous is not None and _from_here(headers):
            return self._anonymous
        raise errors.NotAuthenticated(
            "No API key provided", details="send it as `Authorization: Bearer <key>` or `X-API-Key: <key>`"
        )


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
    """Raises `errors.NotAuthenticated` when the two headers hold different keys."""
    bearer, key = headers.get("authorization"), headers.get("x-api-key")
    if bearer is not None:
        scheme, _, token = bearer.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise refused()
        if key is not None and key.strip() != token:
            raise errors.NotAuthenticated(
                "Two different API keys provided",
                details="send one of Authorization and X-API-Key, or the same in both",
            )
        return token
    if key is not None:
        if not key.strip():
            raise refused()
        return key.strip()
    return None
