"""API keys: minted, hashed, verified. The secret is shown once and never kept."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence

from msgspec import Struct

from freddy.server.core import errors, ids
from freddy.server.core.accounts import SCOPES, ApiKey, Caller, Scope
from freddy.server.ports.stores import AccountStore
from freddy.server.ports.world import Clock, IdSource

PREFIX = "sk-frdy-"
_SHOWN = len(PREFIX) + 4
_REMEMBERED = 10_000


class Minted(Struct, frozen=True):
    """`secret` is what the caller sends; only its digest is in `key`."""

    key: ApiKey
    secret: str


def mint(
    name: str,
    organization_ids: Sequence[str],
    *,
    clock: Clock,
    ids_from: IdSource,
    scopes: Sequence[Scope] = SCOPES,
    expires_at: int | None = None,
    secret: str | None = None,
) -> Minted:
    """A new key, not yet kept. `secret` is made up unless one is given."""
    secret = secret or PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=ids_from.new(ids.KEY),
        name=name,
        prefix=secret[:_SHOWN],
        digest=digest(secret),
        organization_ids=tuple(organization_ids),
        scopes=tuple(scopes),
        created_at=int(clock.now()),
        expires_at=expires_at,
    )
    return Minted(key, secret)


def digest(secret: str) -> bytes:
    # A plain SHA-256: secrets are 256 random bits, which no slower hash would protect better.
    return hashlib.sha256(secret.encode()).digest()


class Verifier:
    """Secrets to callers. What was looked up is remembered for `seconds`, so a revoked key lives that long at most.

    `unkept` are keys that hold for this process only.
    """

    def __init__(
        self, store: AccountStore, *, clock: Clock, seconds: float = 5.0, unkept: Iterable[ApiKey] = ()
    ) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._unkept = {key.digest: key for key in unkept}
        self._known: dict[bytes, tuple[float, ApiKey]] = {}

    async def verify(self, secret: str) -> Caller:
        """Raises `errors.NotAuthenticated`: unknown, revoked and expired keys are not told apart."""
        key = await self._find(digest(secret))
        if key is None or key.revoked_at is not None:
            raise refused()
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            raise refused()
        return Caller(
            organization_id=key.organization_ids[0],
            organization_ids=key.organization_ids,
            scopes=frozenset(key.scopes),
            key_id=key.id,
        )

    async def _find(self, wanted: bytes) -> ApiKey | None:
        now = self._clock.monotonic()
        known = self._known.get(wanted)
        if known is not None and known[0] > now:
            return known[1]
        key = self._unkept.get(wanted) or await self._store.find_key(wanted)
        if key is None:
            # Unknown secrets are not remembered: there is no end of them.
            self._known.pop(wanted, None)
            return None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[wanted] = (now + self._seconds, key)
        return key


def refused() -> errors.NotAuthenticated:
    return errors.NotAuthenticated("Invalid API key provided")
