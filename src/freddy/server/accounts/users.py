"""People and their places in organizations: who is there, in which role, and who may change that."""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.accounts import access, sign_in, tokens
from freddy.server.accounts.audit import Audit
from freddy.server.accounts.passwords import Passwords
from freddy.server.accounts.standings import Standings
from freddy.server.core import errors, ids
from freddy.server.core.accounts import Caller, Invitation, Member, Organization, Reset, Role, User, outranks
from freddy.server.core.audit import Change, Entry, changes
from freddy.server.ports.users import AlterUser, Standing, UserStore
from freddy.server.ports.world import Clock, IdSource

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")
NOWHERE: Final = "users.invalid"
"""Where the e-mail addresses of users are of whom none is known: https://www.rfc-editor.org/rfc/rfc2606"""


class Invited(Struct, frozen=True):
    """`secret` is shown once."""

    invitation: Invitation
    secret: str


class ResetKey(Struct, frozen=True):
    """`secret` is shown once, and good until then (Unix seconds)."""

    secret: str
    expires_at: int


class Identity(Struct, frozen=True):
    """Whom another issuer signed in. `email` only where that issuer has made sure of it."""

    issuer: str
    subject: str
    email: str | None = None
    name: str = ""


class Users:
    """`seconds` is how long invitations and secrets to reset a password are good for.

    A caller of None is the command line, which may do everything.
    """

    def __init__(
        self,
        store: UserStore,
        *,
        standings: Standings,
        passwords: Passwords,
        audit: Audit,
        clock: Clock,
        ids_from: IdSource,
        invitation_seconds: int,
        reset_seconds: int,
    ) -> None:
        self._store = store
        self._standings = standings
        self._passwords = passwords
        self._audit = audit
        self._clock = clock
        self._ids = ids_from
        self._invitation_seconds = invitation_seconds
        self._reset_seconds = reset_seconds

    async def me(self, caller: Caller) -> Standing:
        """Raises `errors.PermissionDenied` for keys."""
        found = await self._store.get(access.require_person(caller))
        if found is None:
            raise tokens.refused()
        return found

    async def rename(self, caller: Caller, name: str) -> User:
        now = int(self._clock.now())

        def alter(user: User, _: Sequence[str]) -> tuple[User, Sequence[Entry]]:
            return replace(user, name=name, updated_at=now), ()

        changed = await self._store.change(access.require_person(caller), alter)
        if changed is None:
            raise tokens.refused()
        return changed

    async def create(
        self,
        caller: Caller | None,
        email: str,
        *,
        password: str | None,
        name: str,
        organization: Organization,
        role: Role,
    ) -> User:
        """A user in an organization, which is made where it is not there. Raises `errors.Conflict`."""
        now = int(self._clock.now())
        user = User(
            id=self._ids.new(ids.USER),
            email=address(email),
            name=name,
            password=None if password is None else await self._passwords.hashed(password),
            created_at=now,
            updated_at=now,
        )
        member = Member(organization_id=organization.id, user_id=user.id, role=role, created_at=now)
        entry = self._audit.entry(
            caller,
            "user.create",
            organization_id=organization.id,
            resource_type="user",
            resource_id=user.id,
            name=user.email,
            changes=(Change("role", None, role),),
        )
        await self._store.add(user, member=member, organization=organization, told=(entry,))
        return user

    async def arrived(self, identity: Identity, *, organization_id: str, role: Role) -> str:
        """The id of whom another issuer signed in; made, as a member, when first seen.

        An account with the same e-mail address is another one: who made it may be somebody else.
        """
        known = await self._store.find_subject(identity.issuer, identity.subject)
        if known is not None:
            return known.id
        now = int(self._clock.now())
        user_id = self._ids.new(ids.USER)
        nameless = f"{user_id}@{NOWHERE}"
        email = identity.email if identity.email and await self._store.find(identity.email) is None else nameless
        user = User(
            id=user_id,
            email=email,
            name=identity.name,
            issuer=identity.issuer,
            subject=identity.subject,
            created_at=now,
            updated_at=now,
        )
        member = Member(organization_id=organization_id, user_id=user.id, role=role, created_at=now)
        entry = self._audit.entry(
            Caller("", (), frozenset(), user_id=user.id),
            "user.arrive",
            organization_id=organization_id,
            resource_type="user",
            resource_id=user.id,
            name=email,
            changes=(Change("role", None, role), Change("issuer", None, identity.issuer)),
        )
        try:
            await self._store.add(user, member=member, told=(entry,))
        except errors.Conflict:
            # Two first requests at once, or somebody has just taken the address.
            known = await self._store.find_subject(identity.issuer, identity.subject)
            if known is None:
                raise
            return known.id
        return user.id

    async def everybody(self) -> Sequence[User]:
        return await self._store.list()

    async def find(self, wanted: str) -> Standing:
        """By id or e-mail address. Raises `errors.NotFound`."""
        user = await self._store.find(wanted.lower()) if "@" in wanted else None
        found = await self._store.get(user.id if user else wanted)
        if found is None:
            raise missing(wanted)
        return found

    async def members(self, organization_id: str) -> Sequence[tuple[Member, User]]:
        return await self._store.members(organization_id)

    async def member(self, organization_id: str, user_id: str) -> tuple[Member, User]:
        """Raises `errors.NotFound`."""
        found = await self._store.member(organization_id, user_id)
        if found is None:
            raise missing(user_id)
        return found

    async def owner(self, organization_id: str) -> str | None:
        """The id of the first of the owners."""
        return await self._store.owner(organization_id)

    async def set_role(self, caller: Caller | None, organization_id: str, user_id: str, role: Role) -> None:
        """Also makes somebody a member, on the command line. Raises `errors.NotFound`, `errors.Conflict` for the last
        owner, and `errors.PermissionDenied` where the role now or then is above the caller's.
        """
        now = int(self._clock.now())
        if await self._store.get(user_id) is None:
            raise missing(user_id)

        def alter(member: Member | None, owners: Sequence[str]) -> tuple[Member | None, Sequence[Entry]]:
            if member is None:
                if caller is not None:
                    raise missing(user_id)
                made = Member(organization_id=organization_id, user_id=user_id, role=role, created_at=now)
                return made, [self._member_entry(caller, "member.add", made, None, role)]
            _require_rank(caller, member.role, role)
            if member.role == "owner" and role != "owner":
                _require_other_owner(owners, user_id)
            return replace(member, role=role), [self._member_entry(caller, "member.update", member, member.role, role)]

        await self._store.change_member(organization_id, user_id, alter)
        self._standings.forget()

    async def remove_member(self, caller: Caller | None, organization_id: str, user_id: str) -> None:
        """Raises like `set_role`."""

        def alter(member: Member | None, owners: Sequence[str]) -> tuple[Member | None, Sequence[Entry]]:
            if member is None:
                raise missing(user_id)
            _require_rank(caller, member.role)
            if member.role == "owner":
                _require_other_owner(owners, user_id)
            return None, [self._member_entry(caller, "member.remove", member, member.role, None)]

        await self._store.change_member(organization_id, user_id, alter)
        self._standings.forget()

    async def deactivate(self, caller: Caller | None, user_id: str) -> User:
        """In every organization: sessions end, tokens are refused. Raises `errors.Conflict` for the last owner."""
        now = int(self._clock.now())
        standing = await self._required_over(caller, user_id)

        def alter(user: User, alone: Sequence[str]) -> tuple[User, Sequence[Entry]]:
            if alone and user.deactivated_at is None:
                raise _last_owner(alone[0])
            changed = replace(user, deactivated_at=user.deactivated_at or now, updated_at=now, reset=None)
            return changed, self._audit.of_user(caller, "user.deactivate", standing.user, standing.members)

        return await self._changed(user_id, alter, sessions_end=now)

    async def activate(self, caller: Caller | None, user_id: str) -> User:
        now = int(self._clock.now())
        standing = await self._required_over(caller, user_id)

        def alter(user: User, _: Sequence[str]) -> tuple[User, Sequence[Entry]]:
            changed = replace(user, deactivated_at=None, updated_at=now)
            return changed, self._audit.of_user(caller, "user.activate", standing.user, standing.members)

        return await self._changed(user_id, alter)

    async def reset_password(self, caller: Caller | None, user_id: str) -> ResetKey:
        """A secret with which the user sets a new password. The old one holds until then."""
        now = int(self._clock.now())
        standing = await self._required_over(caller, user_id)
        if standing.user.issuer is not None:
            raise errors.Conflict(
                "This user has no password here", param="user_id", details="another issuer signs them in"
            )
        secret = sign_in.new_secret(f"{sign_in.RESET_PREFIX}{user_id}.")
        expires_at = now + self._reset_seconds

        def alter(user: User, _: Sequence[str]) -> tuple[User, Sequence[Entry]]:
            reset = Reset(sign_in.digest(secret).hex(), expires_at)
            return replace(user, reset=reset), self._audit.of_user(
                caller, "user.reset_password", standing.user, standing.members
            )

        await self._changed(user_id, alter)
        return ResetKey(secret, expires_at)

    async def invite(self, caller: Caller | None, organization_id: str, email: str, role: Role) -> Invited:
        """Raises `errors.Conflict` for who is a member, `errors.PermissionDenied` for a role above the caller's."""
        _require_rank(caller, role)
        email = address(email)
        known = await self._store.find(email)
        if known is not None and await self._store.member(organization_id, known.id) is not None:
            raise errors.Conflict("This user is a member already", param="email")
        now = int(self._clock.now())
        secret = sign_in.new_secret(sign_in.INVITATION_PREFIX)
        invitation = Invitation(
            id=self._ids.new(ids.INVITATION),
            organization_id=organization_id,
            email=email,
            role=role,
            digest=sign_in.digest(secret),
            invited_by=None if caller is None else caller.user_id or caller.key_id,
            created_at=now,
            expires_at=now + self._invitation_seconds,
        )
        await self._store.invite(invitation, told=(self._invitation_entry(caller, "invitation.create", invitation),))
        return Invited(invitation, secret)

    async def invitations(self, organization_id: str) -> Sequence[Invitation]:
        return await self._store.invitations(organization_id)

    async def cancel_invitation(self, caller: Caller | None, organization_id: str, invitation_id: str) -> None:
        """Raises `errors.NotFound`."""
        for invitation in await self._store.invitations(organization_id):
            if invitation.id == invitation_id:
                told = (self._invitation_entry(caller, "invitation.cancel", invitation),)
                if await self._store.cancel_invitation(organization_id, invitation_id, told=told):
                    return
        raise errors.NotFound(f"There is no invitation {invitation_id[:64]!r}", param="invitation_id")

    async def _changed(self, user_id: str, alter: AlterUser, *, sessions_end: int | None = None) -> User:
        changed = await self._store.change(user_id, alter, sessions_end=sessions_end)
        self._standings.forget()
        if changed is None:
            raise missing(user_id)
        return changed

    async def _required_over(self, caller: Caller | None, user_id: str) -> Standing:
        """The user, whom the caller may manage in every organization: what is done to the account is done to all.

        Raises `errors.NotFound` for who is not in the caller's organization, `errors.PermissionDenied`.
        """
        standing = await self._store.get(user_id)
        if standing is None:
            raise missing(user_id)
        if caller is None:
            return standing
        if caller.organization_id not in {member.organization_id for member in standing.members}:
            raise missing(user_id)
        for member in standing.members:
            if member.organization_id not in caller.organization_ids:
                raise errors.PermissionDenied(
                    "The user belongs to other organizations, too",
                    param="user_id",
                    details="remove the member from yours; the operator can do more with `freddy users`",
                )
            there = access.require(caller, "members:manage", member.organization_id)
            _require_rank(there, member.role)
        return standing

    def _member_entry(
        self, caller: Caller | None, action: str, member: Member, old: Role | None, new: Role | None
    ) -> Entry:
        return self._audit.entry(
            caller,
            action,
            organization_id=member.organization_id,
            resource_type="member",
            resource_id=member.user_id,
            changes=changes({"role": old}, {"role": new}),
        )

    def _invitation_entry(self, caller: Caller | None, action: str, invitation: Invitation) -> Entry:
        return self._audit.entry(
            caller,
            action,
            organization_id=invitation.organization_id,
            resource_type="invitation",
            resource_id=invitation.id,
            name=invitation.email,
            changes=(Change("role", None, invitation.role),),
        )


def address(text: str, *, param: str = "email") -> str:
    """An e-mail address as it is kept. Raises `errors.InvalidValue`.

    Whether mail arrives there is nothing that a form could show: https://www.rfc-editor.org/rfc/rfc5321
    """
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise errors.InvalidValue(param, "must be an e-mail address")
    if email.endswith("@" + NOWHERE):
        raise errors.InvalidValue(param, f"must not be of {NOWHERE}")
    return email


def missing(wanted: str) -> errors.NotFound:
    return errors.NotFound(f"There is no user {wanted[:64]!r}", param="user_id")


def _require_rank(caller: Caller | None, *roles: Role) -> None:
    own = access.role_of(caller)
    for role in roles:
        if not outranks(own, role):
            raise errors.PermissionDenied(f"The role {role!r} is above your own", param="role_id")


def _require_other_owner(owners: Sequence[str], user_id: str) -> None:
    if all(owner == user_id for owner in owners):
        raise errors.Conflict(
            "This is the last owner of the organization",
            param="user_id",
            code="last_owner",
            details="make somebody else an owner first",
        )


def _last_owner(organization_id: str) -> errors.Conflict:
    return errors.Conflict(
        f"This is the last owner of the organization {organization_id!r}",
        param="user_id",
        code="last_owner",
        details="make somebody else an owner first",
    )
