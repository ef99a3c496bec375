"""Says who somebody is by now: what was asked for a while ago may be nobody's to ask for any more."""

from collections.abc import Iterable

from msgspec.structs import replace

from freddy.server.accounts import access, development, keys
from freddy.server.core import errors
from freddy.server.core.accounts import Caller, Scope
from freddy.server.ports.stores import AccountStore
from freddy.server.ports.users import UserStore
from freddy.server.ports.world import Clock

_WAIT = "what was under way for it is not gone on with"


class Renewal:
    """Nothing is remembered: what has changed holds at once.

    A session may end meanwhile: who has asked and signs out still wants the answer.
    """

    def __init__(
        self,
        accounts: AccountStore,
        users: UserStore,
        *,
        clock: Clock,
        needed: Scope = "responses:write",
    ) -> None:
        self._accounts = accounts
        self._users = users
        self._clock = clock
        self._needed: Scope = needed

    async def __call__(self, before: Caller) -> Caller:
        """The caller with the rights and limits of now.

        Raises `errors.NotAuthenticated` where the key or the user is not let in any more, `errors.PermissionDenied`
        where the organization or the right is not theirs any more.
        """
        if before.user_id is not None:
            return await self._person(before, before.user_id)
        if before.key_id is not None and not development.is_of_the_mode(before.key_id):
            return await self._key(before, before.key_id)
        # The anonymous caller has nothing that could be taken away, and a key of local development is not kept.
        await self._require_open(before.organization_id)
        return before

    async def _key(self, before: Caller, key_id: str) -> Caller:
        key = await self._accounts.get_key(before.organization_ids[0], key_id)
        if key is None or not key.active or (key.expires_at is not None and key.expires_at <= self._clock.now()):
            raise errors.NotAuthenticated(
                "The API key that asked for this was revoked, paused or deleted, or has expired",
                details=f"{_WAIT}: ask again with another key",
            )
        reached = await keys.reached(self._accounts, key)
        if not reached or reached[0] != key.organization_ids[0] or before.organization_id not in reached:
            raise _closed()
        self._require_right(key.scopes, "key")
        return replace(keys.caller_of(key, reached), organization_id=before.organization_id)

    async def _person(self, before: Caller, user_id: str) -> Caller:
        standing = await self._users.get(user_id)
        if standing is None or standing.user.deactivated_at is not None:
            raise errors.NotAuthenticated(
                "The user who asked for this was removed or deactivated",
                code="invalid_token",
                details=f"{_WAIT}: let another user ask again",
            )
        roles = {member.organization_id: member.role for member in standing.members}
        if before.organization_id not in roles:
            raise errors.PermissionDenied(
                "The user who asked for this is no member of the organization any more",
                details=f"{_WAIT}: let a member ask again",
            )
        now = access.person(user_id, roles, session_id=before.session_id, named=before.organization_id)
        self._require_right(now.scopes, "role of the user")
        return now

    async def _require_open(self, organization_id: str) -> None:
        found = await self._accounts.find_organization(organization_id)
        if found is not None and found.deleted_at is not None:
            raise _closed()

    def _require_right(self, scopes: Iterable[Scope], whose: str) -> None:
        if self._needed not in scopes:
            raise errors.PermissionDenied(
                f"The {whose} that asked for this lacks the scope {self._needed!r} by now",
                details=f"{_WAIT}: give the scope back, and ask again",
            )


def _closed() -> errors.PermissionDenied:
    return errors.PermissionDenied(
        "The organization that this was asked for is deleted, or out of the key's reach",
        details=f"{_WAIT}: restore it, and ask again",
    )
