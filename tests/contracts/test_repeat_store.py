"""The contract of `RepeatStore`."""

import asyncio

import pytest
from contract_examples import ACME, OTHERS

from freddy.server.ports.repeats import BEGINNING, Kept, RepeatStore
from freddy.server.stores.sql.repeats import SqlRepeats

NOW = 1_000


@pytest.fixture
def store(database) -> RepeatStore:
    return SqlRepeats(database)


async def begin(store, key="a", organization_id=ACME, now=NOW):
    return await store.begin(organization_id, key, b"print", now=now, expires_at=now + 10)


async def test_a_key_is_new_once_and_for_each_organization(store):
    assert await begin(store) is None
    assert await begin(store) == Kept(b"print")
    assert await begin(store, "b") is None
    assert await begin(store, organization_id=OTHERS) is None


async def test_of_many_at_once_one_begins(store):
    assert sorted(map(repr, await asyncio.gather(*(begin(store) for _ in range(20))))).count("None") == 1


@pytest.mark.parametrize("kept", [Kept(b"other", "resp_1"), Kept(b"other", None, 201, b"\x00\xff")])
async def test_what_a_key_led_to_is_kept(store, kept):
    await begin(store)
    await store.end(ACME, "a", kept, expires_at=NOW + 100)
    assert await begin(store, now=NOW + 50) == kept


async def lead(store, led_to, *, before=None, status=None, key="a"):
    kept = Kept(b"print", led_to, status)
    return await store.lead(ACME, key, kept, before=before, expires_at=NOW + 100)


async def test_of_several_that_have_a_key_lead_elsewhere_one_does(store):
    await begin(store)
    assert await lead(store, "resp_1", status=BEGINNING)
    assert await begin(store) == Kept(b"print", "resp_1", BEGINNING)
    assert not await lead(store, "resp_2")
    assert await lead(store, "resp_1", before="resp_1")
    assert await begin(store) == Kept(b"print", "resp_1")
    led = await asyncio.gather(*(lead(store, f"resp_{number}", before="resp_1") for number in range(10, 30)))
    assert led.count(True) == 1
    assert (await begin(store)).response_id == f"resp_{10 + led.index(True)}"
    assert not await lead(store, "resp_1", key="unknown")


async def test_a_key_that_leads_elsewhere_is_not_forgotten(store):
    await begin(store)
    await lead(store, "resp_1")
    for before in (None, "resp_2"):
        await store.forget(ACME, "a", before=before)
    assert await begin(store) == Kept(b"print", "resp_1")
    await store.forget(ACME, "a", before="resp_1")
    assert await begin(store) is None


async def test_a_key_that_is_forgotten_is_new_again(store):
    await begin(store)
    await begin(store, organization_id=OTHERS)
    await store.forget(ACME, "a")
    assert await begin(store) is None
    assert await begin(store, organization_id=OTHERS) is not None


async def test_a_key_that_has_expired_is_new_again(store):
    await begin(store)
    assert await begin(store, now=NOW + 9) is not None
    assert await begin(store, now=NOW + 10) is None


async def test_what_has_expired_goes(store):
    await begin(store)
    await begin(store, "b", now=NOW + 5)
    assert await store.expire(NOW + 10) == 1
    assert await store.expire(NOW + 10) == 0
    assert await begin(store, "b", now=NOW + 10) is not None
