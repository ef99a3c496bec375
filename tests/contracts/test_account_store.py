"""The contract of `AccountStore`."""

import hashlib

import pytest
from contract_examples import ACME, OTHERS
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.accounts import ApiKey, Organization
from freddy.server.ports.stores import AccountStore


def key(name: str, *organization_ids: str) -> ApiKey:
    return ApiKey(
        id=f"key_{name}",
        name=name,
        prefix=f"sk-{name}",
        digest=hashlib.sha256(name.encode()).digest(),
        organization_ids=organization_ids or (ACME,),
        created_at=1_000,
    )


async def test_organizations_are_listed_in_the_order_they_came(accounts: AccountStore) -> None:
    first = Organization(id=OTHERS, name="Others", created_at=1)
    second = Organization(id=ACME, name="Acme", created_at=2)
    await accounts.add_organization(second)
    await accounts.add_organization(first)
    assert await accounts.list_organizations() == [first, second]


async def test_an_organization_that_is_there_stays_as_it_is(accounts: AccountStore) -> None:
    first = Organization(id=ACME, name="Acme", created_at=2)
    await accounts.add_organization(first)
    await accounts.add_organization(replace(first, name="Other"))
    assert await accounts.list_organizations() == [first]


async def test_a_key_is_found_by_the_digest_of_its_secret(accounts: AccountStore) -> None:
    made = replace(key("a", ACME, OTHERS), scopes=("models:read",), expires_at=5)
    await accounts.add_key(made)
    await accounts.add_key(key("b"))
    assert await accounts.find_key(made.digest) == made
    assert await accounts.find_key(b"unknown") is None


@pytest.mark.parametrize("taken", ["id", "digest"])
async def test_neither_id_nor_digest_is_taken_twice(accounts: AccountStore, taken: str) -> None:
    first, second = key("a"), key("b")
    await accounts.add_key(first)
    with pytest.raises(errors.Conflict) as refused:
        await accounts.add_key(replace(second, **{taken: getattr(first, taken)}))
    assert first.digest.hex() not in str(refused.value)
    assert await accounts.list_keys(ACME) == [first]


async def test_an_organization_lists_every_key_that_reaches_it(accounts: AccountStore) -> None:
    mine, both, theirs = key("a", ACME), key("b", OTHERS, ACME), key("c", OTHERS)
    for made in (mine, both, theirs):
        await accounts.add_key(made)
    assert await accounts.list_keys(ACME) == [mine, both]
    assert await accounts.list_keys(OTHERS) == [both, theirs]


async def test_a_key_can_be_changed_and_revoked_but_is_still_found(accounts: AccountStore) -> None:
    made = key("a")
    await accounts.add_key(made)
    changed = replace(made, name="new", scopes=(), organization_ids=(OTHERS,), expires_at=9, revoked_at=2_000)
    assert await accounts.update_key(changed)
    assert await accounts.find_key(made.digest) == changed
    assert not await accounts.update_key(key("unknown"))
