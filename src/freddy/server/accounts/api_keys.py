"""The API keys of an organization: made, shown once, changed, paused, rotated, deleted."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from msgspec import UNSET
from msgspec.structs import replace

from freddy.server.accounts import keys
from freddy.server.accounts.audit import Audit
from freddy.server.core import errors
from freddy.server.core.accounts import SCOPES, ApiKey, Caller, KeyChange, Scope, changed_limits
from freddy.server.core.audit import Entry, changes
from freddy.server.core.limits import Limits
from freddy.server.ports.stores import AccountStore
from freddy.server.ports.world import Clock, IdSource

Switch: TypeAlias = Literal["activate", "deactivate", "pause", "unpause"]


class ApiKeys:
    """`caller` is always within the organization whose keys they are."""

    def __init__(
        self, store: AccountStore, *, verifier: keys.Verifier, audit: Audit, clock: Clock, ids_from: IdSource
    ) -> None:
        self._store = store
        self._verifier = verifier
        self._audit = audit
        self._clock = clock
        self._ids = ids_from

    async def create(
        self,
        caller: Caller,
        name: str,
        *,
        scopes: Sequence[Scope] | None = None,
        expires_at: int | None = None,
        limits: Limits | None = None,
        metadata: dict[str, str] | None = None,
    ) -> keys.Minted:
        """With all the scopes that the caller has, unless some of them are named.

        Raises `errors.PermissionDenied` for a scope that the caller lacks, `errors.InvalidValue`.
        """
        if scopes is not None:
            _require_own(caller, scopes)
        self._require_ahead(expires_at)
        minted = keys.mint(
            name,
            [caller.organization_id],
            clock=self._clock,
            ids_from=self._ids,
            scopes=[scope for scope in SCOPES if scope in (caller.scopes if scopes is None else scopes)],
            expires_at=expires_at,
            created_by=caller.user_id or caller.key_id,
            limits=limits,
            metadata=metadata,
        )
        told = self._entry(caller, "key.create", minted.key, old=None)
        await self._store.add_key(minted.key, told=(told,))
        return minted

    async def page(self, caller: Caller, *, skip: int, take: int) -> tuple[Sequence[ApiKey], int]:
        """The newest first; and how many there are."""
        await self._verifier.write_used()
        return await self._store.page_keys(caller.organization_id, skip=skip, take=take)

    async def get(self, caller: Caller, key_id: str) -> ApiKey:
        """Raises `errors.NotFound`."""
        await self._verifier.write_used()
        found = await self._store.get_key(caller.organization_id, key_id)
        if found is None:
            raise missing(key_id)
        return found

    async def change(self, caller: Caller, key_id: str, asked: KeyChange) -> ApiKey:
        """Raises like `create`, and `errors.NotFound`."""
        if asked.expires_at is not UNSET:
            self._require_ahead(asked.expires_at)

        def alter(key: ApiKey) -> ApiKey:
            more = set() if asked.scopes is UNSET else set(asked.scopes) - set(key.scopes)
            if more:  # those it has already may stay
                _require_own(caller, more)
                _require_reach(caller, key)
            return _changed(key, asked)

        return await self._change(caller, key_id, "key.update", alter)

    async def switch(self, caller: Caller, key_id: str, how: Switch) -> ApiKey:
        """A revoked key stays revoked. Raises `errors.NotFound`, `errors.Conflict`."""
        now = int(self._clock.now())

        def alter(key: ApiKey) -> ApiKey:
            if key.revoked_at is not None:
                raise errors.Conflict("The key was revoked", param="key_id", details="make another")
            match how:
                case "activate":
                    return replace(key, deactivated_at=None)
                case "deactivate":
                    return replace(key, deactivated_at=key.deactivated_at or now)
                case "pause":
                    return replace(key, paused_at=key.paused_at or now)
                case "unpause":
                    return replace(key, paused_at=None)

        return await self._change(caller, key_id, f"key.{how}", alter)

    async def rotate(self, caller: Caller, key_id: str) -> keys.Minted:
        """The same key with another secret; the old one is refused at once.

        Raises `errors.NotFound`, `errors.Conflict` for a revoked one, and `errors.PermissionDenied` for a key with
        scopes that the caller lacks, or with organizations: its secret would give them.
        """
        secret = keys.new_secret()

        def alter(key: ApiKey) -> ApiKey:
            if key.revoked_at is not None:
                raise errors.Conflict("The key was revoked", param="key_id", details="make another")
            _require_own(caller, key.scopes)
            _require_reach(caller, key)
            return replace(key, digest=keys.digest(secret), prefix=keys.shown(secret))

        return keys.Minted(await self._change(caller, key_id, "key.rotate", alter), secret)

    async def delete(self, caller: Caller, key_id: str) -> ApiKey:
        """The key that is gone. Raises `errors.NotFound`."""
        known = await self._store.get_key(caller.organization_id, key_id)
        if known is None:
            raise missing(key_id)
        told = self._entry(caller, "key.delete", None, old=known)
        gone = await self._store.delete_key(caller.organization_id, key_id, told=(told,))
        self._verifier.forget()
        if gone is None:
            raise missing(key_id)
        return gone

    async def _change(self, caller: Caller, key_id: str, action: str, alter: Callable[[ApiKey], ApiKey]) -> ApiKey:
        def told(key: ApiKey) -> tuple[ApiKey, Sequence[Entry]]:
            altered = alter(key)
            return altered, (self._entry(caller, action, altered, old=key),)

        changed = await self._store.change_key(caller.organization_id, key_id, told)
        self._verifier.forget()
        if changed is None:
            raise missing(key_id)
        return changed

    def _entry(self, caller: Caller, action: str, new: ApiKey | None, *, old: ApiKey | None) -> Entry:
        key = new or old
        assert key is not None
        return self._audit.entry(
            caller,
            action,
            organization_id=caller.organization_id,
            resource_type="api_key",
            resource_id=key.id,
            name=key.name,
            changes=changes(facts(old), facts(new)),
        )

    def _require_ahead(self, expires_at: int | None) -> None:
        if expires_at is not None and expires_at <= self._clock.now():
            raise errors.InvalidValue("expires_at", "must be in the future")


def facts(key: ApiKey | None) -> dict[str, object]:
    """What the audit log may tell of a key: the prefix is what people see of it anyway."""
    if key is None:
        return {}
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "paused": key.paused_at is not None,
        "active": key.deactivated_at is None,
        "limits": key.limits,
    }


def missing(key_id: str) -> errors.NotFound:
    return errors.NotFound(f"There is no API key {key_id[:64]!r}", param="key_id")


def _changed(key: ApiKey, asked: KeyChange) -> ApiKey:
    return replace(
        key,
        name=key.name if asked.name is UNSET else asked.name,
        scopes=key.scopes if asked.scopes is UNSET else tuple(scope for scope in SCOPES if scope in asked.scopes),
        expires_at=key.expires_at if asked.expires_at is UNSET else asked.expires_at,
        metadata=key.metadata if asked.metadata is UNSET else asked.metadata,
        limits=changed_limits(key.limits, limits=asked.limits, budget=asked.budget),
    )


def _require_own(caller: Caller, scopes: Sequence[Scope] | set[Scope]) -> None:
    """Nobody hands on more than they have."""
    lacking = [scope for scope in SCOPES if scope in scopes and scope not in caller.scopes]
    if lacking:
        raise errors.PermissionDenied(
            f"You lack scopes that the key would have: {', '.join(lacking)}",
            param="scopes",
            details="name only scopes that you have yourself",
        )


def _require_reach(caller: Caller, key: ApiKey) -> None:
    """Nobody reaches organizations through a key that are not their own."""
    if key.id != caller.key_id and not set(key.organization_ids) <= set(caller.organization_ids):
        raise errors.PermissionDenied(
            "The key reaches organizations that you do not",
            param="key_id",
            details="delete it and make another, or have the operator change it with `freddy keys`",
        )
