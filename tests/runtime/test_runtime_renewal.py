"""Who may still have what was asked for a while ago, over the accounts as they are kept."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from freddy.server.accounts import access, development, keys
from freddy.server.accounts.renewal import Renewal
from freddy.server.core import errors
from freddy.server.core.accounts import SCOPES, ApiKey, Caller, Member, Organization, User
from freddy.server.core.limits import Limits
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.users import SqlUsers
from freddy_fakes import CountingIds, FixedClock

HERE, THERE = "org_here", "org_there"
KEY = ApiKey(id="key_1", name="one", prefix="sk", digest=b"1", organization_ids=(HERE, THERE), created_at=1)
BY_KEY = Caller(HERE, (HERE, THERE), frozenset(SCOPES), "key_1")


class Accounts:
    def __init__(self, database: Database) -> None:
        self.accounts, self.users, self.clock = SqlAccounts(database), SqlUsers(database), FixedClock()
        self.renewal = Renewal(self.accounts, self.users, clock=self.clock)

    async def delete(self, organization_id: str, at: int | None = 5) -> None:
        await self.accounts.change_organization(organization_id, lambda one: (replace(one, deleted_at=at), ()))


@pytest.fixture
async def kept() -> AsyncIterator[Accounts]:
    async with Database(None) as database:
        kept = Accounts(database)
        for name in (HERE, THERE):
            await kept.accounts.add_organization(Organization(id=name, name=name, created_at=1))
        await kept.accounts.add_key(KEY)
        member = Member(organization_id=HERE, user_id="user_1", role="member", created_at=1)
        await kept.users.add(User(id="user_1", email="a@b.c", created_at=1, updated_at=1), member=member)
        yield kept


async def test_a_key_has_the_rights_and_limits_that_it_has_by_now(kept):
    assert await kept.renewal(BY_KEY) == BY_KEY
    elsewhere = replace(BY_KEY, organization_id=THERE)
    assert await kept.renewal(elsewhere) == elsewhere
    limits = Limits(concurrent_runs=1)
    await kept.accounts.update_key(replace(KEY, scopes=("responses:write",), limits=limits))
    now = await kept.renewal(BY_KEY)
    assert (now.scopes, now.limits) == ({"responses:write"}, limits)


@pytest.mark.parametrize("change", [{"revoked_at": 5}, {"paused_at": 5}, {"deactivated_at": 5}, {"expires_at": 100}])
async def test_a_key_that_does_not_hold_any_more_is_not_renewed(kept, change):
    await kept.accounts.update_key(replace(KEY, **change))
    with pytest.raises(errors.NotAuthenticated, match="revoked, paused or deleted, or has expired") as caught:
        await kept.renewal(BY_KEY)
    assert caught.value.code == "invalid_api_key"


async def test_a_key_expires_when_its_time_has_come(kept):
    await kept.accounts.update_key(replace(KEY, expires_at=int(kept.clock.now()) + 10))
    await kept.renewal(BY_KEY)
    kept.clock.advance(10)
    with pytest.raises(errors.NotAuthenticated):
        await kept.renewal(BY_KEY)


async def test_a_key_that_is_deleted_or_lacks_the_scope_is_not_renewed(kept):
    await kept.accounts.update_key(replace(KEY, scopes=("responses:read",)))
    with pytest.raises(errors.PermissionDenied, match="responses:write"):
        await kept.renewal(BY_KEY)
    await kept.accounts.delete_key(HERE, "key_1")
    with pytest.raises(errors.NotAuthenticated):
        await kept.renewal(BY_KEY)


async def test_nobody_is_renewed_for_an_organization_that_is_deleted_or_out_of_reach(kept):
    elsewhere = replace(BY_KEY, organization_id=THERE)
    anonymous = Caller(THERE, (THERE,), frozenset(SCOPES))
    assert await kept.renewal(anonymous) == anonymous
    await kept.delete(THERE)
    assert (await kept.renewal(BY_KEY)).organization_ids == (HERE,)
    for caller in (elsewhere, anonymous):
        with pytest.raises(errors.PermissionDenied):
            await kept.renewal(caller)
    await kept.delete(THERE, None)
    assert await kept.renewal(elsewhere) == elsewhere
    await kept.accounts.update_key(replace(KEY, organization_ids=(HERE,)))
    with pytest.raises(errors.PermissionDenied):
        await kept.renewal(elsewhere)
    await kept.delete(HERE)
    with pytest.raises(errors.PermissionDenied):
        await kept.renewal(BY_KEY)


async def test_a_user_has_the_role_of_now(kept):
    before = access.person("user_1", {HERE: "owner"}, session_id="ses_1")
    now = await kept.renewal(before)
    assert now == access.person("user_1", {HERE: "member"}, session_id="ses_1", named=HERE)
    await kept.delete(HERE)
    with pytest.raises(errors.PermissionDenied):
        await kept.renewal(before)


async def test_a_user_who_is_not_there_any_more_is_not_renewed(kept):
    with pytest.raises(errors.NotAuthenticated) as caught:
        await kept.renewal(access.person("user_unknown", {HERE: "owner"}))
    assert caught.value.code == "invalid_token"


async def test_a_key_of_development_is_the_same_one_at_every_start_and_nobody_keeps_it(kept):
    rings = [
        development.key_ring("sk-frdy-secret", clock=FixedClock(now), ids_from=CountingIds()) for now in (1.0, 2.0)
    ]
    assert [key.id for key in rings[0]] == [key.id for key in rings[1]]
    assert len({key.id for key in rings[0]}) == len(rings[0])
    for name in development.ORGANIZATIONS:
        await kept.accounts.add_organization(Organization(id=name, name=name, created_at=1))
    before = keys.caller_of(rings[0][0], development.ORGANIZATIONS)
    assert await kept.renewal(before) == before
    await kept.delete(before.organization_id)
    with pytest.raises(errors.PermissionDenied):
        await kept.renewal(before)
