"""Organizations: made, looked at, changed, deleted; and the limits and defaults that hold for each."""

from collections.abc import Sequence

from msgspec import UNSET, structs
from msgspec.structs import replace

from freddy.server.accounts.audit import Audit
from freddy.server.accounts.keys import Verifier
from freddy.server.accounts.remembered import Remembered
from freddy.server.accounts.standings import Standings
from freddy.server.core import errors, ids
from freddy.server.core.accounts import (
    About,
    Caller,
    Member,
    Organization,
    OrganizationChange,
    changed_limits,
)
from freddy.server.core.assistants import Settings
from freddy.server.core.audit import Entry, changes
from freddy.server.core.limits import Limits
from freddy.server.ports.stores import AccountStore, AlterOrganization
from freddy.server.ports.world import Clock, IdSource


class Organizations:
    """A caller of None is the command line. Limits and defaults are remembered for `seconds`."""

    def __init__(
        self,
        store: AccountStore,
        *,
        verifier: Verifier,
        standings: Standings,
        audit: Audit,
        clock: Clock,
        ids_from: IdSource,
        seconds: float = 5.0,
    ) -> None:
        self._store = store
        self._verifier = verifier
        self._standings = standings
        self._audit = audit
        self._clock = clock
        self._ids = ids_from
        self._known: Remembered[str, Organization] = Remembered(clock, seconds=seconds)

    async def limits(self, organization_id: str) -> Limits | None:
        found = await self._known.get(organization_id, self._store.find_organization)
        return None if found is None else found.limits

    async def defaults(self, organization_id: str) -> Settings:
        found = await self._known.get(organization_id, self._store.find_organization)
        return Settings() if found is None else found.defaults

    async def create(self, caller: Caller | None, name: str, *, about: About) -> Organization:
        """A user becomes its owner; a key reaches it from then on.

        Raises `errors.PermissionDenied` for users who own none yet; and for the anonymous caller and the key of local
        development mode, of which nothing is kept.
        """
        now = int(self._clock.now())
        made = Organization(id=self._ids.new(ids.ORGANIZATION), name=name, created_at=now, updated_at=now, about=about)
        owner = None
        if caller is not None and caller.user_id is not None:
            if "owner" not in caller.roles.values():
                raise errors.PermissionDenied(
                    "Only who owns an organization can make another",
                    details="ask the operator: `freddy organizations`",
                )
            owner = Member(organization_id=made.id, user_id=caller.user_id, role="owner", created_at=now)
        elif caller is not None and await self._kept_key(caller) is None:
            raise errors.PermissionDenied(
                "Local development mode has its own organizations",
                details="sign in, or use a key made with `freddy keys create`",
            )
        entry = self._entry(caller, "organization.create", made, old=None)
        key_id = None if caller is None else caller.key_id
        await self._store.add_organization(made, owner=owner, key_id=key_id, told=(entry,))
        self._forget()
        return made

    async def list(self, caller: Caller) -> Sequence[Organization]:
        """Those that the caller reaches."""
        found = [await self._store.find_organization(one) for one in caller.organization_ids]
        there = [one for one in found if one is not None and one.deleted_at is None]
        return sorted(there, key=lambda one: (one.created_at, one.id))

    async def get(self, organization_id: str) -> Organization:
        """Raises `errors.NotFound`."""
        found = await self._store.find_organization(organization_id)
        if found is None or found.deleted_at is not None:
            raise missing(organization_id)
        return found

    async def change(self, caller: Caller | None, organization_id: str, asked: OrganizationChange) -> Organization:
        """Raises `errors.NotFound`."""
        now = int(self._clock.now())

        def alter(known: Organization) -> tuple[Organization, Sequence[Entry]]:
            if known.deleted_at is not None:
                raise missing(organization_id)
            altered = replace(
                known,
                name=known.name if asked.name is UNSET else asked.name,
                about=replace(known.about, **asked.about),
                limits=changed_limits(known.limits, limits=asked.limits, budget=asked.budget),
                defaults=known.defaults if asked.defaults is UNSET else asked.defaults,
                updated_at=now,
            )
            return altered, (self._entry(caller, "organization.update", altered, old=known),)

        return await self._changed(organization_id, alter)

    async def delete(self, caller: Caller | None, organization_id: str) -> Organization:
        """Its keys and members are refused at once. What is kept of it stays, until it is restored or purged."""
        now = int(self._clock.now())

        def alter(known: Organization) -> tuple[Organization, Sequence[Entry]]:
            if known.deleted_at is not None:
                raise missing(organization_id)
            altered = replace(known, deleted_at=now, updated_at=now)
            return altered, (self._entry(caller, "organization.delete", altered, old=known),)

        return await self._changed(organization_id, alter)

    async def restore(self, caller: Caller | None, organization_id: str) -> Organization:
        now = int(self._clock.now())

        def alter(known: Organization) -> tuple[Organization, Sequence[Entry]]:
            altered = replace(known, deleted_at=None, updated_at=now)
            return altered, (self._entry(caller, "organization.restore", altered, old=known),)

        return await self._changed(organization_id, alter)

    async def _changed(self, organization_id: str, alter: AlterOrganization) -> Organization:
        changed = await self._store.change_organization(organization_id, alter)
        self._forget()
        if changed is None:
            raise missing(organization_id)
        return changed

    async def _kept_key(self, caller: Caller) -> str | None:
        if caller.key_id is None:
            return None
        found = await self._store.get_key(caller.organization_ids[0], caller.key_id)
        return None if found is None else found.id

    def _forget(self) -> None:
        self._known.forget()
        self._verifier.forget()
        self._standings.forget()

    def _entry(self, caller: Caller | None, action: str, new: Organization, *, old: Organization | None) -> Entry:
        return self._audit.entry(
            caller,
            action,
            organization_id=new.id,
            resource_type="organization",
            resource_id=new.id,
            name=new.name,
            changes=changes({} if old is None else _facts(old), _facts(new)),
        )


def missing(organization_id: str) -> errors.NotFound:
    return errors.NotFound(f"There is no organization {organization_id[:64]!r}", param="organization_id")


def _facts(organization: Organization) -> dict[str, object]:
    return {
        "name": organization.name,
        "limits": organization.limits,
        "defaults": organization.defaults.outline,
        "deleted": organization.deleted_at is not None,
        **structs.asdict(organization.about),
    }
