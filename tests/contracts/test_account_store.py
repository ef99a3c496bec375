"""The contract of `AccountStore`."""

import asyncio
import hashlib

import pytest
from contract_examples import ACME, OTHERS
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.accounts import About, ApiKey, Member, Organization
from freddy.server.core.audit import Change, Entry
from freddy.server.core.limits import Limits
from freddy.server.ports.audit import Wanted
from freddy.server.ports.stores import AccountStore, Page
from freddy.server.stores.sql.audit import SqlAudit
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.users import SqlUsers

ACME_ITSELF = Organization(
    id=ACME,
    name="Acme",
    created_at=2,
    updated_at=3,
    limits=Limits(requests_per_minute=5, monthly_budget=1.5),
    about=About(type="company", website="https://acme.example", domains=("acme.example",)),
)


def key(name: str, *organization_ids: str) -> ApiKey:
    return ApiKey(
        id=f"key_{name}",
        name=name,
        prefix=f"sk-{name}",
        digest=hashlib.sha256(name.encode()).digest(),
        organization_ids=organization_ids or (ACME,),
        created_at=1_000,
    )


def told(action: str, organization_id: str = ACME) -> Entry:
    return Entry(
        id=f"audit_{action}",
        organization_id=organization_id,
        at=7,
        actor_type="cli",
        action=action,
        resource_type="api_key",
        resource_id="key_a",
        changes=(Change("name", None, "a"),),
    )


async def actions(database: Database) -> list[str]:
    found, _ = await SqlAudit(database).page(ACME, Wanted(), Page(limit=100))
    return [entry.action for entry in found]


async def test_organizations_are_listed_in_the_order_they_came(accounts: AccountStore) -> None:
    first = Organization(id=OTHERS, name="Others", created_at=1)
    await accounts.add_organization(ACME_ITSELF)
    await accounts.add_organization(first)
    assert await accounts.list_organizations() == [first, ACME_ITSELF]
    assert await accounts.find_organization(ACME) == ACME_ITSELF
    assert await accounts.find_organization("org_none") is None


async def test_an_organization_that_is_there_stays_as_it_is(accounts: AccountStore, database: Database) -> None:
    owner = Member(organization_id=ACME, user_id="usr_a", role="owner", created_at=2)
    await accounts.add_organization(ACME_ITSELF, told=(told("one"),))
    await accounts.add_organization(replace(ACME_ITSELF, name="Other"), owner=owner, told=(told("two"),))
    assert await accounts.list_organizations() == [ACME_ITSELF]
    assert await SqlUsers(database).members(ACME) == []
    assert await actions(database) == ["one"]


async def test_an_organization_comes_with_the_key_that_reaches_it_or_not_at_all(accounts: AccountStore) -> None:
    await accounts.add_organization(ACME_ITSELF)
    await accounts.add_key(key("a"))
    more = Organization(id=OTHERS, name="Others", created_at=1)
    with pytest.raises(errors.NotFound):
        await accounts.add_organization(more, key_id="key_none")
    assert await accounts.find_organization(OTHERS) is None
    await accounts.add_organization(more, key_id=key("a").id)
    assert await accounts.get_key(ACME, key("a").id) == replace(key("a"), organization_ids=(ACME, OTHERS))


async def test_an_organization_is_changed_as_one_with_what_is_told_of_it(
    accounts: AccountStore, database: Database
) -> None:
    await accounts.add_organization(ACME_ITSELF)

    def rename(known: Organization) -> tuple[Organization, list[Entry]]:
        return replace(known, name=known.name + "!", updated_at=9), [told("rename")]

    def refuse(known: Organization) -> tuple[Organization, list[Entry]]:
        raise errors.Conflict("no")

    assert await accounts.change_organization(ACME, rename) == replace(ACME_ITSELF, name="Acme!", updated_at=9)
    with pytest.raises(errors.Conflict):
        await accounts.change_organization(ACME, refuse)
    assert await accounts.find_organization(ACME) == replace(ACME_ITSELF, name="Acme!", updated_at=9)
    assert await accounts.change_organization("org_none", rename) is None
    assert await actions(database) == ["rename"]


async def test_a_deleted_organization_is_still_found_and_gone_when_it_is_purged(
    accounts: AccountStore, database: Database
) -> None:
    await accounts.add_organization(ACME_ITSELF, told=(told("made"),))
    await accounts.add_organization(Organization(id=OTHERS, name="Others", created_at=1))
    await accounts.add_key(key("a"))
    await accounts.add_key(key("b", OTHERS))
    assert await accounts.purge_organization(ACME) == 0
    gone = await accounts.change_organization(ACME, lambda known: (replace(known, deleted_at=5), ()))
    assert gone is not None
    assert await accounts.list_deleted_organizations() == [gone]
    assert [one.id for one in await accounts.list_organizations()] == [OTHERS]
    assert await accounts.find_organization(ACME) == gone
    assert await accounts.purge_organization(ACME) == 3
    assert await accounts.find_organization(ACME) is None
    assert await accounts.list_keys(ACME) == []
    assert await actions(database) == []
    assert await accounts.list_keys(OTHERS) == [key("b", OTHERS)]
    assert await accounts.purge_organization(ACME) == 0


async def test_a_key_is_found_by_the_digest_of_its_secret(accounts: AccountStore) -> None:
    made = replace(
        key("a", ACME, OTHERS),
        scopes=("models:read",),
        expires_at=5,
        paused_at=6,
        deactivated_at=7,
        created_by="usr_a",
        limits=Limits(concurrent_runs=2),
        metadata={"team": "tea"},
    )
    await accounts.add_key(made)
    await accounts.add_key(key("b"))
    assert await accounts.find_key(made.digest) == made
    assert await accounts.find_key(b"unknown") is None


@pytest.mark.parametrize("taken", ["id", "digest"])
async def test_neither_id_nor_digest_is_taken_twice(accounts: AccountStore, database: Database, taken: str) -> None:
    first, second = key("a"), key("b")
    await accounts.add_key(first)
    with pytest.raises(errors.Conflict) as refused:
        await accounts.add_key(replace(second, **{taken: getattr(first, taken)}), told=(told("second"),))
    assert first.digest.hex() not in str(refused.value)
    assert await accounts.list_keys(ACME) == [first]
    assert await actions(database) == []


async def test_an_organization_lists_the_keys_that_belong_to_it(accounts: AccountStore) -> None:
    mine, both, theirs = key("a", ACME), key("b", OTHERS, ACME), key("c", OTHERS)
    for made in (mine, both, theirs):
        await accounts.add_key(made)
    assert await accounts.list_keys(ACME) == [mine]
    assert await accounts.list_keys(OTHERS) == [both, theirs]
    assert await accounts.page_keys(OTHERS, skip=0, take=1) == ([theirs], 2)
    assert await accounts.page_keys(OTHERS, skip=1, take=9) == ([both], 2)
    assert await accounts.page_keys("org_none", skip=0, take=9) == ([], 0)
    assert await accounts.get_key(OTHERS, both.id) == both
    assert await accounts.get_key(ACME, both.id) is None


async def test_a_key_can_be_changed_and_revoked_but_is_still_found(accounts: AccountStore) -> None:
    made = key("a")
    await accounts.add_key(made)
    changed = replace(made, name="new", scopes=(), organization_ids=(OTHERS,), expires_at=9, revoked_at=2_000)
    assert await accounts.update_key(changed)
    assert await accounts.find_key(made.digest) == changed
    assert not await accounts.update_key(key("unknown"))


async def test_a_key_is_changed_as_one_with_what_is_told_of_it(accounts: AccountStore, database: Database) -> None:
    made = key("a")
    await accounts.add_key(made, told=(told("made"),))

    def add_one(known: ApiKey) -> tuple[ApiKey, list[Entry]]:
        return replace(known, metadata={"count": str(int(known.metadata.get("count", "0")) + 1)}), []

    await asyncio.gather(*(accounts.change_key(ACME, made.id, add_one) for _ in range(20)))
    kept = await accounts.get_key(ACME, made.id)
    assert kept is not None
    assert kept.metadata == {"count": "20"}
    rotated = await accounts.change_key(ACME, made.id, lambda known: (replace(known, digest=b"new", prefix="x"), ()))
    assert await accounts.find_key(b"new") == rotated
    assert await accounts.find_key(made.digest) is None
    assert await accounts.change_key(OTHERS, made.id, add_one) is None
    assert await accounts.delete_key(OTHERS, made.id, told=(told("other"),)) is None
    assert await accounts.delete_key(ACME, made.id, told=(told("deleted"),)) == rotated
    assert await accounts.delete_key(ACME, made.id) is None
    assert sorted(await actions(database)) == ["deleted", "made"]


async def test_when_keys_were_used_never_goes_back(accounts: AccountStore) -> None:
    made = key("a")
    await accounts.add_key(made)
    await accounts.touch_keys({made.id: 50, "key_none": 60})
    await accounts.touch_keys({made.id: 40})
    assert await accounts.get_key(ACME, made.id) == replace(made, last_used_at=50)
    # Who replaces the key does not know of it.
    assert await accounts.update_key(replace(made, name="new"))
    assert await accounts.get_key(ACME, made.id) == replace(made, name="new", last_used_at=50)
