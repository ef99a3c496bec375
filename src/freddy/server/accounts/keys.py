"""API keys: minted, hashed, verified. The secret is shown once and never kept."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence

from msgspec import Struct

from freddy.server.accounts.remembered import Remembered
from freddy.server.core import errors, ids
from freddy.server.core.accounts import SCOPES, ApiKey, Caller, Scope
from freddy.server.core.limits import Limits
from freddy.server.ports.stores import AccountStore
from freddy.server.ports.world import Clock, IdSource

PREFIX = "sk-frdy-"
_SHOWN = len(PREFIX) + 4
_USE_SECONDS = 60.0
"""When a key was used is kept at most so often."""


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
    created_by: str | None = None,
    limits: Limits | None = None,
    metadata: dict[str, str] | None = None,
) -> Minted:
    """A new key, not yet kept. `secret` is made up unless one is given."""
    secret = secret or new_secret()
    key = ApiKey(
        id=ids_from.new(ids.KEY),
        name=name,
        prefix=shown(secret),
        digest=digest(secret),
        organization_ids=tuple(organization_ids),
        scopes=tuple(scopes),
        created_at=int(clock.now()),
        expires_at=expires_at,
        created_by=created_by,
        limits=limits,
        metadata=metadata or {},
    )
    return Minted(key, secret)


def new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def shown(secret: str) -> str:
    """What people may see of it."""
    return secret[:_SHOWN]


def digest(secret: str) -> bytes:
    # A plain SHA-256: secrets are 256 random bits, which no slower hash would protect better.
    return hashlib.sha256(secret.encode()).digest()


class Verifier:
    """Secrets to callers. What was looked up is remembered for `seconds`: so long a change by another process goes
    unseen. One by this process is seen at once: it says `forget`.

    `unkept` are keys that hold for this process only.
    """

    def __init__(
        self, store: AccountStore, *, clock: Clock, seconds: float = 5.0, unkept: Iterable[ApiKey] = ()
    ) -> None:
        self._store = store
        self._clock = clock
        self._unkept = {key.digest: key for key in unkept}
        self._known: Remembered[bytes, tuple[ApiKey, Caller]] = Remembered(clock, seconds=seconds)
        self._used: dict[str, float] = {}
        self._unwritten: dict[str, int] = {}

    async def verify(self, secret: str) -> Caller:
        """Raises `errors.NotAuthenticated`: unknown, revoked, paused and expired keys are not told apart."""
        wanted = digest(secret)
        known = await self._known.get(wanted, self._find)
        if known is None:
            raise refused()
        key, caller = known
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            raise refused()
        now = self._clock.monotonic()
        if now - self._used.get(key.id, -_USE_SECONDS) >= _USE_SECONDS:
            self._used[key.id] = now
            if wanted not in self._unkept:
                self._unwritten[key.id] = int(self._clock.now())
        return caller

    def forget(self) -> None:
        """Keys or organizations have changed. That happens seldom, so all is forgotten."""
        self._known.forget()

    async def write_used(self) -> None:
        """Keeps when keys were used since it was last kept."""
        if not self._unwritten:
            return
        unwritten, self._unwritten = self._unwritten, {}
        # What is as old as that will be noted again at the next use.
        oldest = self._clock.monotonic() - _USE_SECONDS
        self._used = {key_id: at for key_id, at in self._used.items() if at > oldest}
        await self._store.touch_keys(unwritten)

    async def _find(self, wanted: bytes) -> tuple[ApiKey, Caller] | None:
        key = self._unkept.get(wanted) or await self._store.find_key(wanted)
        if key is None or not key.active:
            return None
        its = await reached(self._store, key)
        if not its or its[0] != key.organization_ids[0]:
            return None
        return key, caller_of(key, its)


async def reached(store: AccountStore, key: ApiKey) -> tuple[str, ...]:
    """Its organizations that are not deleted."""
    its = []
    for organization_id in key.organization_ids:
        organization = await store.find_organization(organization_id)
        if organization is not None and organization.deleted_at is None:
            its.append(organization_id)
    return tuple(its)


def caller_of(key: ApiKey, organization_ids: tuple[str, ...]) -> Caller:
    """Who asks with the key, which reaches these: the first is the one it implies."""
    return Caller(
        organization_id=organization_ids[0],
        organization_ids=organization_ids,
        scopes=frozenset(key.scopes),
        key_id=key.id,
        limits=key.limits,
    )


def refused() -> errors.NotAuthenticated:
    return errors.NotAuthenticated("Invalid API key provided")
