"""The contract of `ProviderKeyStore`."""

import pytest
from contract_examples import ACME, OTHERS
from msgspec.structs import replace

from freddy.server.core.provider_keys import ProviderKey
from freddy.server.ports.stores import ProviderKeyStore
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.provider_keys import SqlProviderKeys


@pytest.fixture
def store(database: Database) -> ProviderKeyStore:
    return SqlProviderKeys(database)


def key(upstream: str = "openai", organization_id: str = ACME) -> ProviderKey:
    return ProviderKey(
        organization_id=organization_id,
        upstream=upstream,
        sealed=b"\x00\xff" + upstream.encode(),
        hint="…wxyz",
        created_at=1_000,
        updated_at=1_000,
    )


async def test_keys_are_listed_by_upstream_for_their_organization_alone(store: ProviderKeyStore) -> None:
    kept = [key("openai"), key("anthropic"), key("openai", OTHERS)]
    for one in kept:
        assert await store.put(one) == one
    assert await store.list(ACME) == [kept[1], kept[0]]
    assert await store.list(OTHERS) == [kept[2]]
    assert await store.list("org_nobody") == []
    assert await store.list_all() == [kept[1], kept[0], kept[2]]


async def test_another_key_takes_the_place_of_the_one_before_and_keeps_its_time_of_birth(
    store: ProviderKeyStore,
) -> None:
    await store.put(key())
    other = replace(key(), sealed=b"other", hint=None, created_at=2_000, updated_at=2_000)
    assert await store.put(other) == replace(other, created_at=1_000)
    assert await store.list(ACME) == [replace(other, created_at=1_000)]


async def test_a_key_is_deleted_once_and_for_one_organization(store: ProviderKeyStore) -> None:
    await store.put(key())
    await store.put(key(organization_id=OTHERS))
    assert not await store.delete(ACME, "anthropic")
    assert await store.delete(ACME, "openai")
    assert not await store.delete(ACME, "openai")
    assert await store.list_all() == [key(organization_id=OTHERS)]


async def test_a_key_is_sealed_anew_only_as_long_as_it_is_the_same(store: ProviderKeyStore) -> None:
    first = await store.put(key())
    assert await store.reseal(first, b"anew")
    assert await store.list(ACME) == [replace(first, sealed=b"anew")]
    assert not await store.reseal(first, b"late")
    assert not await store.reseal(key(organization_id=OTHERS), b"nobody's")
    assert await store.list_all() == [replace(first, sealed=b"anew")]
