"""The keys that organizations bring: found quickly, changed at once, never shown."""

import asyncio
import logging

import pytest

from freddy.server.accounts.provider_keys import ProviderKeys
from freddy.server.core import errors, provider_keys
from freddy.server.core.provider_keys import ProviderKey
from freddy.server.sealing import AesSealer
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.provider_keys import SqlProviderKeys
from freddy_fakes import FixedClock

OLD, NEW = "old-" + "0123456789abcdef" * 2, "new-" + "fedcba9876543210" * 2
SECRET = "sk-vendor-0123456789-wxyz"
UPSTREAMS = ("openai", "anthropic")


class Counting(SqlProviderKeys):
    """Counts the look-ups; `hold` keeps one waiting."""

    def __init__(self, database):
        super().__init__(database)
        self.looks = 0
        self.hold = None
        self.asked = asyncio.Event()

    async def list(self, organization_id):
        self.looks += 1
        found = await super().list(organization_id)
        if self.hold is not None:
            self.asked.set()
            await self.hold.wait()
        return found


@pytest.fixture
async def store(tmp_path):
    async with Database(tmp_path / "freddy.db") as database:
        yield Counting(database)


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def opened(store, clock, tmp_path):
    def open_(*keys, upstreams=UPSTREAMS):
        sealer = AesSealer(keys or [OLD], file=tmp_path / "secret_key")
        return ProviderKeys(store, sealer=sealer, clock=clock, upstreams=upstreams, seconds=10)

    return open_


async def test_an_organizations_key_is_its_own_and_of_one_upstream(opened):
    keys = opened()
    await keys.put("org_a", "openai", secret=SECRET)
    assert await keys.key("org_a", "openai") == SECRET
    assert await keys.key("org_a", "anthropic") is None
    assert await keys.key("org_b", "openai") is None


async def test_who_has_no_key_costs_no_look_into_the_store(opened, store, clock):
    keys = opened()
    for _ in range(100):
        assert await keys.key("org_a", "openai") is None
        assert await keys.key("org_a", "anthropic") is None
    assert store.looks == 1
    clock.advance(10)
    assert await keys.key("org_a", "openai") is None
    assert store.looks == 2


async def test_a_change_is_seen_at_once_here_and_after_a_while_elsewhere(opened, clock):
    here, elsewhere = opened(), opened()
    assert await here.key("org_a", "openai") is await elsewhere.key("org_a", "openai") is None
    await here.put("org_a", "openai", secret=SECRET)
    assert (await here.key("org_a", "openai"), await elsewhere.key("org_a", "openai")) == (SECRET, None)
    clock.advance(10)
    assert await elsewhere.key("org_a", "openai") == SECRET
    await here.remove("org_a", "openai")
    assert await here.key("org_a", "openai") is None
    clock.advance(10)
    assert await elsewhere.key("org_a", "openai") is None


async def test_what_was_read_before_a_change_is_not_remembered_after_it(opened, store):
    keys = opened()
    store.hold = asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        early = tasks.create_task(keys.key("org_a", "openai"))
        await store.asked.wait()
        await keys.put("org_a", "openai", secret=SECRET)
        store.hold.set()
    assert early.result() is None
    assert await keys.key("org_a", "openai") == SECRET


async def test_a_key_that_is_brought_again_keeps_its_first_time(opened, clock):
    keys = opened()
    first = await keys.put("org_a", "openai", secret=SECRET)
    clock.advance(60)
    second = await keys.put("org_a", "openai", secret=SECRET + "2")
    assert (second.created_at, second.updated_at) == (first.created_at, first.created_at + 60)
    assert (first.hint, second.hint) == ("…wxyz", "…xyz2")
    assert await keys.get("org_a", "openai") == second
    assert await keys.list("org_a") == [second]


async def test_an_unknown_upstream_is_refused_with_the_names_that_there_are(opened):
    for call in (opened().put("org_a", "opena", secret=SECRET), opened().get("org_a", "opena")):
        with pytest.raises(errors.NotFound) as refused:
            await call
        assert (refused.value.message, refused.value.details) == (
            "There is no upstream 'opena'",
            "there are: anthropic, openai",
        )
    with pytest.raises(errors.NotFound) as refused:
        await opened(upstreams=()).put("org_a", "openai", secret=SECRET)
    assert refused.value.details == "the settings of this server name none"


async def test_a_key_of_an_upstream_that_is_gone_can_still_be_seen_and_removed(opened):
    await opened().put("org_a", "openai", secret=SECRET)
    later = opened(upstreams=("anthropic",))
    assert (await later.get("org_a", "openai")).upstream == "openai"
    await later.remove("org_a", "openai")
    with pytest.raises(errors.NotFound, match="There is no upstream 'openai'"):
        await later.remove("org_a", "openai")
    with pytest.raises(errors.NotFound, match="no key of its own for the upstream 'anthropic'"):
        await later.remove("org_a", "anthropic")


@pytest.mark.parametrize(
    ("secret", "want"),
    [
        ("", "must not be empty"),
        (" ", "must be ASCII characters without spaces"),
        ("sk-a b", "must be ASCII characters without spaces"),
        ("sk-ab\n", "must be ASCII characters without spaces"),
        ("sk-a\x00b", "must be ASCII characters without spaces"),
        ("sk-schlüssel", "must be ASCII characters without spaces"),
        ("k" * 4097, "must be at most 4096 characters long"),
    ],
)
async def test_what_can_be_no_key_is_refused_and_not_repeated(opened, store, secret, want):
    with pytest.raises(errors.InvalidValue) as refused:
        await opened().put("org_a", "openai", secret=secret)
    assert refused.value.param == "key"
    assert want in refused.value.details
    assert not secret.strip() or secret not in refused.value.details
    assert await store.list_all() == []


@pytest.mark.parametrize(
    ("secret", "hint"), [("k" * 4096, "…kkkk"), ("k" * 20, "…kkkk"), ("k" * 19, None), ("k", None)]
)
async def test_short_keys_show_nothing_of_themselves(opened, secret, hint):
    keys = opened()
    assert (await keys.put("org_a", "openai", secret=secret)).hint == hint
    assert await keys.key("org_a", "openai") == secret


async def test_a_key_that_cannot_be_opened_fails_its_own_requests_only(opened, caplog):
    await opened(OLD).put("org_a", "openai", secret=SECRET)
    wrong = opened(NEW)
    await wrong.put("org_a", "anthropic", secret=SECRET)
    with pytest.raises(errors.StorageUnavailable) as refused:
        await wrong.key("org_a", "openai")
    told = refused.value
    assert (told.status, told.code) == (503, "provider_key_unreadable")
    assert "'openai'" in told.message
    assert "FREDDY_SECRET_KEY" in told.details
    (line,) = [record for record in caplog.records if record.message == "provider_key_unreadable"]
    assert "FREDDY_SECRET_KEY" in line.cure
    assert await wrong.key("org_a", "anthropic") == SECRET
    assert [await wrong.opens(one) for one in await wrong.list("org_a")] == [True, False]
    await wrong.put("org_a", "openai", secret=SECRET)
    assert await wrong.key("org_a", "openai") == SECRET


async def test_a_row_that_is_copied_to_another_organization_does_not_open(opened, store):
    keys = opened()
    kept = await keys.put("org_a", "openai", secret=SECRET)
    for organization_id, upstream in (("org_b", "openai"), ("org_a", "anthropic")):
        await store.put(
            ProviderKey(
                organization_id=organization_id,
                upstream=upstream,
                sealed=kept.sealed,
                hint=None,
                created_at=0,
                updated_at=0,
            )
        )
        with pytest.raises(errors.StorageUnavailable):
            await opened().key(organization_id, upstream)


async def test_all_keys_can_be_sealed_with_a_new_secret_key_before_the_old_one_goes(opened):
    for organization_id in ("org_a", "org_b"):
        await opened(OLD).put(organization_id, "openai", secret=SECRET + organization_id)
    assert await opened(NEW, OLD).reseal() == (2, [])
    for organization_id in ("org_a", "org_b"):
        assert await opened(NEW).key(organization_id, "openai") == SECRET + organization_id
    done, unreadable = await opened(OLD).reseal()
    assert (done, [one.organization_id for one in unreadable]) == (0, ["org_a", "org_b"])
    assert await opened(NEW).key("org_a", "openai") == SECRET + "org_a"


async def test_neither_the_disk_nor_a_text_nor_a_log_has_a_key(opened, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    keys = opened()
    kept = await keys.put("org_a", "openai", secret=SECRET)
    assert await keys.key("org_a", "openai") == SECRET
    await keys.remove("org_a", "openai")
    await keys.put("org_a", "openai", secret=SECRET)
    assert repr(kept) == str(kept) == "ProviderKey(organization_id='org_a', upstream='openai')"
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.name == "freddy.db" for file in files)
    for file in files:
        held = file.read_bytes()
        assert SECRET.encode() not in held
        assert SECRET[:16].encode() not in held
    assert [record.message for record in caplog.records if record.name.endswith("provider_keys")] == [
        "provider_key_kept",
        "provider_key_removed",
        "provider_key_kept",
    ]
    assert all(SECRET not in str(record.__dict__) for record in caplog.records)


async def test_what_is_remembered_is_bounded(opened, store):
    keys = opened()
    for number in range(10_001):
        keys._known[f"org_{number}"] = (float("inf"), {})
    assert await keys.key("org_new", "openai") is None
    assert len(keys._known) == 1


def test_a_place_is_never_taken_for_another():
    assert provider_keys.bound_to("org", "a") != provider_keys.bound_to("or", "ga")
