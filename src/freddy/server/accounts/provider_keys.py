"""Keys that organizations bring for an upstream: kept sealed, and opened for the request that uses them."""

import logging
from collections.abc import Collection, Mapping, Sequence

from freddy.server.core import errors, provider_keys
from freddy.server.core.provider_keys import ProviderKey
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.stores import ProviderKeyStore
from freddy.server.ports.world import Clock

_log = logging.getLogger(__name__)
_REMEMBERED = 10_000


class ProviderKeys:
    """`upstreams` are the names that a key can be brought for.

    What was looked up is remembered for `seconds`, sealed: so long a change by another process may go unseen.
    """

    def __init__(
        self,
        store: ProviderKeyStore,
        *,
        sealer: Sealer,
        clock: Clock,
        upstreams: Collection[str],
        seconds: float = 10.0,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._upstreams = upstreams
        self._seconds = seconds
        self._known: dict[str, tuple[float, Mapping[str, ProviderKey]]] = {}
        self._changes = 0

    async def key(self, organization_id: str, provider: str) -> str | None:
        """The organization's own key for the upstream, None where it has none.

        Raises `errors.StorageUnavailable` for one that cannot be opened: the operator's would be the wrong one to use.
        """
        known = self._known.get(organization_id)
        kept = known[1] if known and known[0] > self._clock.monotonic() else await self._find(organization_id)
        found = kept.get(provider)
        return None if found is None else await self._opened(found)

    async def put(self, organization_id: str, upstream: str, *, secret: str) -> ProviderKey:
        """Raises `errors.NotFound` for an unknown upstream and `errors.InvalidValue` for what can be no key."""
        self._require_known(upstream)
        sealed = await self._sealer.seal(
            provider_keys.checked(secret), provider_keys.bound_to(organization_id, upstream)
        )
        now = int(self._clock.now())
        kept = await self._store.put(
            ProviderKey(
                organization_id=organization_id,
                upstream=upstream,
                sealed=sealed,
                hint=provider_keys.hint(secret),
                created_at=now,
                updated_at=now,
            )
        )
        self._forget(organization_id)
        _log.info("provider_key_kept", extra={"organization_id": organization_id, "upstream": upstream})
        return kept

    async def list(self, organization_id: str) -> Sequence[ProviderKey]:
        return await self._store.list(organization_id)

    async def get(self, organization_id: str, upstream: str) -> ProviderKey:
        """Raises `errors.NotFound`."""
        for found in await self._store.list(organization_id):
            if found.upstream == upstream:
                return found
        raise self._missing(upstream)

    async def remove(self, organization_id: str, upstream: str) -> None:
        """Also of an upstream that the settings name no more. Raises `errors.NotFound`."""
        gone = await self._store.delete(organization_id, upstream)
        self._forget(organization_id)
        if not gone:
            raise self._missing(upstream)
        _log.info("provider_key_removed", extra={"organization_id": organization_id, "upstream": upstream})

    async def opens(self, kept: ProviderKey) -> bool:
        """Whether the server has the secret key that sealed it."""
        try:
            await self._open(kept)
        except errors.StorageUnavailable:
            return False
        return True

    async def reseal(self) -> tuple[int, Sequence[ProviderKey]]:
        """Seals every key anew with the first secret key: how many, and those that could not be opened."""
        done, unreadable = 0, []
        for kept in await self._store.list_all():
            try:
                secret = await self._open(kept)
            except errors.StorageUnavailable:
                unreadable.append(kept)
                continue
            place = provider_keys.bound_to(kept.organization_id, kept.upstream)
            # One that was replaced meanwhile is sealed with the first secret key already.
            await self._store.reseal(kept, await self._sealer.seal(secret, place))
            done += 1
        return done, unreadable

    async def _find(self, organization_id: str) -> Mapping[str, ProviderKey]:
        changes = self._changes
        kept = {one.upstream: one for one in await self._store.list(organization_id)}
        if changes == self._changes:  # else what was read may be of before the change
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[organization_id] = (self._clock.monotonic() + self._seconds, kept)
        return kept

    def _forget(self, organization_id: str) -> None:
        self._changes += 1
        self._known.pop(organization_id, None)

    async def _opened(self, kept: ProviderKey) -> str:
        try:
            return await self._open(kept)
        except errors.StorageUnavailable as error:
            _log.warning(
                "provider_key_unreadable",
                extra={
                    "organization_id": kept.organization_id,
                    "upstream": kept.upstream,
                    "reason": error.message,
                    "cure": error.details,
                },
            )
            raise errors.StorageUnavailable(
                f"The organization's own key for the upstream {kept.upstream!r} cannot be opened",
                code="provider_key_unreadable",
                details="store it again; or let the operator add the secret key that sealed it to FREDDY_SECRET_KEY",
            ) from error

    async def _open(self, kept: ProviderKey) -> str:
        return await self._sealer.open(kept.sealed, provider_keys.bound_to(kept.organization_id, kept.upstream))

    def _require_known(self, upstream: str) -> None:
        if upstream not in self._upstreams:
            raise self._unknown(upstream)

    def _missing(self, upstream: str) -> errors.NotFound:
        if upstream not in self._upstreams:
            return self._unknown(upstream)
        return errors.NotFound(
            f"The organization has no key of its own for the upstream {upstream!r}",
            param="upstream",
            details="the operator's key is used for it, where there is one",
        )

    def _unknown(self, upstream: str) -> errors.NotFound:
        names = ", ".join(sorted(self._upstreams))
        return errors.NotFound(
            f"There is no upstream {upstream[:64]!r}",
            param="upstream",
            details=f"there are: {names}" if names else "the settings of this server name none",
        )
