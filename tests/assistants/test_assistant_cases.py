"""Assistants and other kept things: made, found, changed in versions, and filled into requests."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.accounts import SCOPES, Caller
from freddy.server.core.assistants import Assistant, Settings
from freddy.server.core.request import Request
from freddy.server.ports.records import Kind, Record, RecordStore
from freddy.server.resources.assistants import Assistants, Filters
from freddy.server.resources.base import Collection, Kept, Listing, page
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.records import SqlRecords
from freddy_fakes import CountingIds, FixedClock

ASKED = Request(model="", input=())
RULE = Record(id="rule_1", organization_id="org_1", kind="rule", name="R", data=b"{}", created_at=1, updated_at=1)


def caller(user_id: str | None = None, *, organization: str = "org_1", admin: bool = False, **more: Any) -> Caller:
    sees_only = None if admin else user_id
    key_id = "key_1" if user_id is None else None
    return Caller(
        organization, more.pop("reach", (organization,)), frozenset(SCOPES), key_id, user_id, sees_only, **more
    )


KEY, MAKER, OTHER, ADMIN = caller(), caller("usr_maker"), caller("usr_other"), caller("usr_admin", admin=True)


class Heard:
    """A `Changed` that remembers."""

    def __init__(self) -> None:
        self.changes: list[tuple[Caller, str, str, str | None, str | None]] = []

    async def __call__(
        self, caller: Caller, action: str, kind: Kind, before: Record | None, after: Record | None
    ) -> None:
        self.changes.append((caller, action, kind, before and before.name, after and after.name))


@pytest.fixture
async def records() -> AsyncIterator[RecordStore]:
    async with Database(None) as database:
        yield SqlRecords(database)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def assistants(records: RecordStore, clock: FixedClock, heard: Heard) -> Assistants:
    return Assistants(records, clock=clock, ids_from=CountingIds(), most=5, changed=heard)


async def add(assistants: Assistants, *, name: str = "Fox", by: Caller = KEY, **fields: Any) -> Kept[Assistant]:
    return await assistants.create(by, name=name, assistant=Assistant(**fields))


async def names(assistants: Assistants, by: Caller = KEY, filters: Filters = Filters(), **listing: Any) -> list[str]:  # noqa: B008 it is frozen
    found, _ = await assistants.list(by, Listing(**listing), filters)
    return [kept.name for kept, _ in found]


# --- Kept things ------------------------------------------------------------------------------


async def test_an_assistant_comes_back_as_it_was_made(assistants: Assistants, clock: FixedClock) -> None:
    made = await add(assistants, description="For tea", by=MAKER)
    assert (made.organization_id, made.version, made.created_by) == ("org_1", 1, "usr_maker")
    assert made.created_at == made.updated_at == int(clock.now())
    assert await assistants.get(MAKER, made.id) == (made, "owner")
    assert await assistants.get(OTHER, made.id) == (made, "view")
    assert (await add(assistants)).created_by == "key_1"


async def test_those_of_other_organizations_are_as_unknown_as_unknown_ones(assistants: Assistants) -> None:
    made = await add(assistants)
    stranger = caller(organization="org_2")
    for ask in (
        lambda: assistants.get(stranger, made.id),
        lambda: assistants.get(KEY, "asst_unknown"),
        lambda: assistants.change(stranger, made.id, lambda *old: old),
        lambda: assistants.delete(stranger, made.id),
        lambda: assistants.versions(stranger, made.id),
        lambda: assistants.settle(replace(ASKED, assistant_id=made.id), stranger),
    ):
        with pytest.raises(errors.NotFound, match="There is no assistant"):
            await ask()
    assert await assistants.get(KEY, made.id) == (made, "owner")


async def test_a_key_of_several_organizations_finds_by_id_in_all_and_uses_in_one(assistants: Assistants) -> None:
    made = await add(assistants)
    wide = caller(organization="org_2", reach=("org_2", "org_1"))
    assert (await assistants.get(wide, made.id))[0] == made
    changed, _ = await assistants.change(wide, made.id, lambda _, value: ("New", value))
    assert (changed.name, len(await assistants.versions(wide, made.id))) == ("New", 2)
    with pytest.raises(errors.NotFound):
        await assistants.settle(replace(ASKED, assistant_id=made.id), wide)
    await assistants.delete(wide, made.id)
    assert await names(assistants) == []


async def test_a_thing_of_another_kind_is_not_an_assistant(assistants: Assistants, records: RecordStore) -> None:
    await records.add(RULE, most=9)
    for ask in (
        lambda: assistants.get(KEY, "rule_1"),
        lambda: assistants.change(KEY, "rule_1", lambda *old: old),
        lambda: assistants.delete(KEY, "rule_1"),
        lambda: assistants.versions(KEY, "rule_1"),
        lambda: assistants.settle(replace(ASKED, assistant_id="rule_1"), KEY),
    ):
        with pytest.raises(errors.NotFound, match="There is no assistant"):
            await ask()
    assert await records.get("org_1", "rule_1") == RULE


async def test_an_organization_has_so_many_and_no_more(assistants: Assistants) -> None:
    made = [await add(assistants) for _ in range(5)]
    with pytest.raises(errors.Conflict, match="5 assistants"):
        await add(assistants)
    await add(assistants, by=caller(organization="org_2"))
    await assistants.delete(KEY, made[0].id)
    await add(assistants)


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "a\nb", "a\x00b", "a\u2028b"])
async def test_a_name_is_short_and_can_be_shown(assistants: Assistants, name: str) -> None:
    with pytest.raises(errors.InvalidValue) as refused:
        await add(assistants, name=name)
    assert refused.value.param == "name"
    made = await add(assistants)
    with pytest.raises(errors.InvalidValue):
        await assistants.change(KEY, made.id, lambda _, value: (name, value))


async def test_blanks_around_a_name_go_and_any_writing_stays(assistants: Assistants) -> None:
    assert (await add(assistants, name="  Füchsin 👩‍👧 می‌خواهم ")).name == "Füchsin 👩‍👧 می‌خواهم"


async def test_a_thing_may_not_be_huge(assistants: Assistants) -> None:
    huge = Settings(system_message=("x" * 300_000,))
    with pytest.raises(errors.TooLarge):
        await add(assistants, settings=huge)
    made = await add(assistants)
    with pytest.raises(errors.TooLarge):
        await assistants.change(KEY, made.id, lambda name, value: (name, replace(value, settings=huge)))
    assert (await assistants.get(KEY, made.id))[0] == made


async def test_every_change_is_a_version_and_no_change_is_none(assistants: Assistants, clock: FixedClock) -> None:
    made = await add(assistants, by=MAKER)
    clock.advance(10)
    same, _ = await assistants.change(ADMIN, made.id, lambda name, value: (name, value))
    assert same == made
    changed, access = await assistants.change(ADMIN, made.id, lambda _, value: ("Vixen", value))
    assert changed == replace(made, name="Vixen", version=2, updated_at=made.updated_at + 10)
    assert access == "owner"
    assert await assistants.versions(MAKER, made.id) == [replace(changed, created_by="usr_admin"), made]


async def test_a_change_of_another_version_than_expected_is_a_conflict(assistants: Assistants) -> None:
    made = await add(assistants)
    await assistants.change(KEY, made.id, lambda _, value: ("B", value), expected_version=1)
    with pytest.raises(errors.Conflict) as late:
        await assistants.change(KEY, made.id, lambda _, value: ("C", value), expected_version=1)
    assert late.value.param == "expected_version"
    assert "version 2, not 1" in late.value.message
    assert (await assistants.get(KEY, made.id))[0].name == "B"


async def test_rules_are_looked_for_where_the_assistant_is(assistants: Assistants, records: RecordStore) -> None:
    await records.add(RULE, most=9)
    made = await add(assistants, rules=("rule_1",))
    for rules in (("rule_1", "rule_x"), ("rule_1", made.id)):
        with pytest.raises(errors.NotFound) as missing:
            await add(assistants, rules=rules)
        assert missing.value.param == "rule_ids[1]"
    with pytest.raises(errors.NotFound):
        await add(assistants, rules=("rule_1",), by=caller(organization="org_2"))
    with pytest.raises(errors.NotFound) as absent:
        await assistants.change(KEY, made.id, lambda *old: old, rules=("rule_x",))
    assert absent.value.param == "rule_ids[0]"
    wide = caller(organization="org_2", reach=("org_2", "org_1"))
    await assistants.change(wide, made.id, lambda _, value: ("New", value), rules=("rule_1",))


async def test_every_change_is_told_to_whoever_listens(assistants: Assistants, heard: Heard) -> None:
    made = await add(assistants, name="A")
    await assistants.change(ADMIN, made.id, lambda _, value: ("B", value))
    await assistants.change(ADMIN, made.id, lambda _, value: ("B", value))
    await assistants.delete(KEY, made.id)
    assert heard.changes == [
        (KEY, "created", "assistant", None, "A"),
        (ADMIN, "updated", "assistant", "A", "B"),
        (KEY, "deleted", "assistant", "B", None),
    ]


# --- Lists ------------------------------------------------------------------------------------


async def test_lists_are_searched_sorted_and_cut(assistants: Assistants, clock: FixedClock) -> None:
    for name, description in (("beta", "For tea"), ("Alpha", None), ("gamma", "For TEA and coffee")):
        await add(assistants, name=name, description=description)
        clock.advance(1)
    assert await names(assistants) == ["gamma", "Alpha", "beta"]
    assert await names(assistants, descending=False) == ["beta", "Alpha", "gamma"]
    assert await names(assistants, sort="name", descending=False) == ["Alpha", "beta", "gamma"]
    assert await names(assistants, sort="updated_at") == ["gamma", "Alpha", "beta"]
    assert await names(assistants, search="tea") == ["gamma", "beta"]
    assert await names(assistants, search="coffee GAM") == ["gamma"]
    assert await names(assistants, search="nothing") == []
    assert await names(assistants, limit=1, offset=1) == ["Alpha"]
    found, total = await assistants.list(KEY, Listing(limit=1), Filters())
    assert (len(found), total) == (1, 3)


async def test_lists_hold_what_the_caller_may_use_and_asks_for(assistants: Assistants) -> None:
    await add(assistants, name="private", access="private", by=MAKER)
    await add(assistants, name="asleep", active=False, by=MAKER)
    await add(assistants, name="stores", vector_store_ids=("vs_1",), chatters=("usr_maker",), by=MAKER)
    assert set(await names(assistants, MAKER)) == {"private", "stores"}
    assert await names(assistants, OTHER) == ["stores"]
    assert set(await names(assistants, KEY)) == {"private", "stores"}
    assert set(await names(assistants, ADMIN, Filters(inactive=True))) == {"private", "asleep", "stores"}
    assert await names(assistants, MAKER, Filters(access="private")) == ["private"]
    assert await names(assistants, MAKER, Filters(vector_store_id="vs_1")) == ["stores"]
    assert await names(assistants, OTHER, Filters(in_chat=True)) == []
    found, _ = await assistants.list(OTHER, Listing(), Filters())
    assert [access for _, access in found] == ["view"]


async def test_a_page_of_nothing_is_empty() -> None:
    assert page([], Listing(), words=lambda kept: (kept.name,)) == ([], 0)


# --- Who may change ---------------------------------------------------------------------------


async def test_users_change_what_they_made_and_what_they_are_editors_of(assistants: Assistants) -> None:
    made = await add(assistants, by=MAKER)
    for act in (
        lambda: assistants.change(OTHER, made.id, lambda _, value: ("Mine", value)),
        lambda: assistants.delete(OTHER, made.id),
    ):
        with pytest.raises(errors.PermissionDenied) as refused:
            await act()
        assert refused.value.param == "assistant_id"
    await assistants.change(MAKER, made.id, lambda name, value: (name, replace(value, editors=("usr_other",))))
    changed, access = await assistants.change(OTHER, made.id, lambda _, value: ("Ours", value))
    assert (changed.name, access) == ("Ours", "edit")
    await assistants.delete(OTHER, made.id)


async def test_a_private_assistant_is_not_there_for_other_users(assistants: Assistants) -> None:
    made = await add(assistants, access="private", by=MAKER)
    for ask in (
        lambda: assistants.get(OTHER, made.id),
        lambda: assistants.change(OTHER, made.id, lambda *old: old),
        lambda: assistants.delete(OTHER, made.id),
        lambda: assistants.versions(OTHER, made.id),
        lambda: assistants.settle(replace(ASKED, assistant_id=made.id), OTHER),
    ):
        with pytest.raises(errors.NotFound, match="There is no assistant"):
            await ask()
    assert (await assistants.get(ADMIN, made.id))[1] == "owner"


async def test_an_editor_who_shuts_the_door_behind_them_is_still_answered(assistants: Assistants) -> None:
    made = await add(assistants, editors=("usr_other",), access="private", by=MAKER)
    _, access = await assistants.change(OTHER, made.id, lambda name, value: (name, replace(value, editors=())))
    assert access == "edit"
    with pytest.raises(errors.NotFound):
        await assistants.get(OTHER, made.id)


# --- Requests ---------------------------------------------------------------------------------


async def test_a_request_is_filled_in_by_its_assistant_then_by_the_organization(
    records: RecordStore, clock: FixedClock
) -> None:
    async def defaults(organization_id: str) -> Settings:
        return Settings(model=f"default-of-{organization_id}", temperature=0.9, seed=4)

    assistants = Assistants(records, clock=clock, ids_from=CountingIds(), defaults=defaults)
    made = await add(assistants, settings=Settings(model="own", temperature=0.1))
    plain = await assistants.settle(ASKED, KEY)
    assert (plain.request.model, plain.request.sampling.temperature, plain.assistant) == ("default-of-org_1", 0.9, None)
    named = await assistants.settle(replace(ASKED, assistant_id=made.id), KEY)
    assert (named.request.model, named.request.sampling.temperature, named.request.sampling.seed) == ("own", 0.1, 4)
    assert named.assistant == made
    said = await assistants.settle(replace(ASKED, model="said", assistant_id=made.id), KEY)
    assert said.request.model == "said"


async def test_a_request_that_nothing_is_kept_for_stays_as_it_is(assistants: Assistants) -> None:
    settled = await assistants.settle(ASKED, KEY)
    assert settled.request is ASKED
    assert (settled.assistant, settled.warnings) == (None, ())


async def test_the_assistant_of_a_thread_is_taken_where_the_request_names_none(assistants: Assistants) -> None:
    bound = await add(assistants, settings=Settings(model="bound"))
    named = await add(assistants, settings=Settings(model="named"))
    taken = await assistants.settle(ASKED, KEY, bound=bound.id)
    assert (taken.request.model, taken.request.assistant_id, taken.assistant) == ("bound", bound.id, bound)
    other = await assistants.settle(replace(ASKED, assistant_id=named.id), KEY, bound=bound.id)
    assert other.request.model == "named"


async def test_a_thread_goes_on_without_the_assistant_that_is_gone(assistants: Assistants) -> None:
    made = await add(assistants, settings=Settings(model="bound"))
    await assistants.delete(KEY, made.id)
    settled = await assistants.settle(ASKED, KEY, bound=made.id)
    assert (settled.request, settled.assistant) == (ASKED, None)
    (warning,) = settled.warnings
    assert made.id in warning
    assert "without the assistant" in warning


@pytest.mark.parametrize(("field", "cure"), [("active", "is_active"), ("api_enabled", "api_enabled")])
async def test_an_assistant_that_may_not_be_asked_says_why(assistants: Assistants, field: str, cure: str) -> None:
    made = await add(assistants, **{field: False})
    with pytest.raises(errors.NotFound) as refused:
        await assistants.settle(replace(ASKED, assistant_id=made.id), KEY)
    assert refused.value.param == "assistant_id"
    assert cure in str(refused.value.details)
    settled = await assistants.settle(ASKED, KEY, bound=made.id)
    assert (settled.assistant, len(settled.warnings)) == (None, 1)


async def test_what_is_not_there_for_keys_is_there_for_users(assistants: Assistants) -> None:
    made = await add(assistants, api_enabled=False)
    settled = await assistants.settle(replace(ASKED, assistant_id=made.id), OTHER)
    assert settled.assistant == made


# --- Collections of other kinds ---------------------------------------------------------------


class Note(Struct, frozen=True):
    text: str = ""


@pytest.fixture
def notes(records: RecordStore, clock: FixedClock) -> Collection[Note]:
    return Collection("prompt", Note, prefix="note", records=records, clock=clock, ids=CountingIds())


async def test_things_are_found_and_checked_together(notes: Collection[Note]) -> None:
    made = [await notes.create(KEY, name=f"N{number}", value=Note(str(number))) for number in range(3)]
    wanted = [each.id for each in made[:2]]
    assert await notes.find("org_1", [*wanted, "note_x"]) == {each.id: each for each in made[:2]}
    await notes.check("org_1", wanted, param="prompts")
    await notes.check("org_1", (), param="prompts")
    with pytest.raises(errors.NotFound) as missing:
        await notes.check("org_1", [wanted[0], "note_x"], param="prompts")
    assert (missing.value.param, missing.value.message) == ("prompts[1]", "There is no prompt 'note_x'")


async def test_a_version_can_be_got_alone(notes: Collection[Note]) -> None:
    made = await notes.create(KEY, name="N", value=Note("first"))
    await notes.change(KEY, made.id, lambda kept: (kept.name, Note("second")))
    assert (await notes.get(KEY, made.id, version=1)).value == Note("first")
    assert (await notes.get(KEY, made.id)).value == Note("second")
    with pytest.raises(errors.NotFound, match="in version 3") as missing:
        await notes.get(KEY, made.id, version=3, param="prompt.version")
    assert missing.value.param == "prompt.version"
