"""The contracts of `UserStore` and `AuditStore`."""

import asyncio
from collections.abc import Sequence

import pytest
from contract_examples import ACME, OTHERS
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.accounts import Invitation, Member, Organization, Reset, Role, Session, User
from freddy.server.core.audit import Change, Entry
from freddy.server.ports.audit import Wanted
from freddy.server.ports.stores import Page
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.audit import SqlAudit
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.users import SqlUsers


@pytest.fixture
def users(database: Database) -> SqlUsers:
    return SqlUsers(database)


@pytest.fixture
def log(database: Database) -> SqlAudit:
    return SqlAudit(database)


def user(name: str) -> User:
    return User(id=f"usr_{name}", email=f"{name}@example.com", name=name, password="p", created_at=1, updated_at=1)


def member(name: str, role: Role = "member", organization_id: str = ACME) -> Member:
    return Member(organization_id=organization_id, user_id=f"usr_{name}", role=role, created_at=1)


def place(organization_id: str = ACME) -> Organization:
    return Organization(id=organization_id, name=organization_id, created_at=1)


def session(name: str, number: int = 1) -> Session:
    return Session(
        id=f"sess_{name}{number}",
        user_id=f"usr_{name}",
        digest=f"{name}{number}".encode(),
        created_at=number,
        refreshed_at=number,
        expires_at=100,
    )


def entry(number: int, **changes: object) -> Entry:
    made = Entry(
        id=f"audit_{number:03}",
        organization_id=ACME,
        at=number,
        actor_type="user",
        actor_id="usr_a",
        action="key.create",
        resource_type="api_key",
        resource_id=f"key_{number}",
        resource_name="a key",
        changes=(Change("name", None, "a"), Change("scopes", '["x"]', None)),
    )
    return replace(made, **changes)


async def test_members_are_found_one_by_one(users: SqlUsers) -> None:
    await users.add(user("a"), organization=place(), member=member("a"))
    await users.add(user("b"), organization=place(OTHERS), member=member("b", "owner", OTHERS))
    assert await users.owner(ACME) is None
    await users.add(user("d"), member=replace(member("d", "owner"), created_at=3))
    await users.add(user("c"), member=replace(member("c", "owner"), created_at=2))
    assert (await users.owner(ACME), await users.owner(OTHERS)) == ("usr_c", "usr_b")
    assert await users.member(ACME, "usr_a") == (member("a"), user("a"))
    assert await users.member(ACME, "usr_b") is None
    assert await users.member(ACME, "usr_none") is None


async def test_a_user_comes_with_organization_and_membership(users: SqlUsers, log: SqlAudit) -> None:
    made = replace(user("a"), reset=Reset("00", 9), last_login_at=5)
    await users.add(made, member=member("a", "owner"), organization=place(), told=(entry(1),))
    standing = await users.get(made.id)
    assert standing is not None
    assert (standing.user, standing.members) == (made, (member("a", "owner"),))
    assert await users.find("a@example.com") == made
    assert await users.find("b@example.com") is None
    assert await users.get("usr_none") is None
    assert await users.list() == [made]
    assert (await log.page(ACME, Wanted(), Page()))[0] == [entry(1)]


async def test_neither_address_nor_subject_is_taken_twice_and_nothing_is_left_of_the_second(
    users: SqlUsers, log: SqlAudit
) -> None:
    first = replace(user("a"), issuer="https://issuer", subject="s")
    await users.add(first)
    for second in (
        replace(user("b"), email=first.email),
        replace(user("b"), issuer=first.issuer, subject=first.subject),
    ):
        with pytest.raises(errors.Conflict):
            await users.add(second, member=member("b"), organization=place(), told=(entry(1),))
    await users.add(replace(user("c"), issuer=first.issuer, subject="other"))
    assert await users.find_subject("https://issuer", "s") == first
    assert await users.find_subject("https://other", "s") is None
    assert await users.members(ACME) == []
    assert (await log.page(ACME, Wanted(), Page()))[0] == []
    assert len(await users.list()) == 2


async def test_memberships_in_deleted_organizations_do_not_count(users: SqlUsers, database: Database) -> None:
    await users.add(user("a"), member=member("a", "owner"), organization=place())
    accounts = SqlAccounts(database)
    await accounts.change_organization(ACME, lambda known: (replace(known, deleted_at=5), ()))
    standing = await users.get("usr_a")
    assert standing is not None
    assert standing.members == ()


async def test_a_change_knows_where_nobody_else_is_owner(users: SqlUsers) -> None:
    await users.add(user("a"), member=member("a", "owner"), organization=place())
    await users.add(user("b"), member=member("b", "owner", OTHERS), organization=place(OTHERS))
    seen: list[Sequence[str]] = []

    def look(known: User, alone: Sequence[str]) -> tuple[User, Sequence[Entry]]:
        seen.append(alone)
        return replace(known, deactivated_at=9), ()

    await users.change_member(OTHERS, "usr_a", lambda _, __: (member("a", "owner", OTHERS), ()))
    await users.change("usr_a", look)
    await users.change("usr_b", look)
    assert [list(alone) for alone in seen] == [[ACME], [OTHERS]]
    assert await users.change("usr_none", look) is None


async def test_members_change_one_after_the_other(users: SqlUsers) -> None:
    for name in ("a", "b"):
        await users.add(user(name), member=member(name, "owner"), organization=place())

    def leave(known: Member | None, owners: Sequence[str]) -> tuple[Member | None, Sequence[Entry]]:
        assert known is not None
        if list(owners) == [known.user_id]:
            raise errors.Conflict("the last one")
        return None, ()

    async def go(name: str) -> bool:
        try:
            await users.change_member(ACME, f"usr_{name}", leave)
        except errors.Conflict:
            return False
        return True

    assert sorted(await asyncio.gather(go("a"), go("b"))) == [False, True]
    (left,) = await users.members(ACME)
    changed = await users.change_member(ACME, left[0].user_id, lambda known, _: (replace(known, role="admin"), ()))
    assert changed is not None
    assert (await users.members(ACME))[0][0].role == changed.role == "admin"


async def test_a_session_opens_for_who_may_sign_in(users: SqlUsers) -> None:
    await users.add(user("a"))
    assert await users.open_session(session("a"), password="p")
    assert await users.session("sess_a1") == session("a")
    assert not await users.open_session(session("a", 2), password="another")
    assert not await users.open_session(session("none"), password="p")
    late = replace(session("a", 3), created_at=100, expires_at=200)
    assert await users.open_session(late, password="p")
    assert await users.sessions("usr_a") == [late]
    standing = await users.get("usr_a")
    assert standing is not None
    assert standing.user.last_login_at == 100
    await users.change("usr_a", lambda known, _: (replace(known, deactivated_at=9), ()))
    assert not await users.open_session(session("a", 4), password="p")


async def test_a_refresh_token_is_exchanged_once(users: SqlUsers) -> None:
    await users.add(user("a"))
    first = session("a")
    await users.open_session(first, password="p")

    async def rotate(digest: bytes) -> bool:
        return await users.rotate_session(first, digest=digest, now=5, expires_at=300)

    assert sorted(await asyncio.gather(rotate(b"x"), rotate(b"y"))) == [False, True]
    kept = await users.session(first.id)
    assert kept is not None
    assert (kept.previous, kept.refreshed_at, kept.expires_at) == (first.digest, 5, 300)
    assert await users.end_session(first.id, 6)
    assert not await users.end_session(first.id, 7)
    assert not await users.rotate_session(kept, digest=b"z", now=8, expires_at=300)


async def test_a_change_may_end_sessions_but_one(users: SqlUsers) -> None:
    await users.add(user("a"))
    for number in (1, 2, 3):
        await users.open_session(session("a", number), password="p")
    await users.change("usr_a", lambda known, _: (known, ()), sessions_end=9, but="sess_a2")
    assert {one.id for one in await users.sessions("usr_a") if one.lives(10)} == {"sess_a2"}


async def test_an_invitation_is_accepted_once(users: SqlUsers, log: SqlAudit) -> None:
    made = Invitation(
        id="inv_1", organization_id=ACME, email="b@example.com", role="admin", digest=b"1", created_at=1, expires_at=9
    )
    await users.invite(made, told=(entry(1),))
    later = replace(made, id="inv_2", digest=b"2", invited_by="usr_a", created_at=2)
    await users.invite(later)
    assert await users.invitations(ACME) == [later]
    assert await users.invitation(b"1") is None
    assert await users.invitation(b"2") == later
    new = user("b")

    async def accept() -> bool:
        try:
            return await users.accept(later, member("b", "admin"), user=new, now=5, told=(entry(2),))
        except errors.Conflict:
            return False

    assert sorted(await asyncio.gather(accept(), accept())) == [False, True]
    assert await users.members(ACME) == [(member("b", "admin"), new)]
    assert await users.invitations(ACME) == []
    assert not await users.cancel_invitation(ACME, later.id, told=(entry(3),))
    other = replace(made, id="inv_3", digest=b"3")
    await users.invite(other)
    assert not await users.cancel_invitation(OTHERS, other.id)
    assert await users.cancel_invitation(ACME, other.id, told=(entry(4),))
    assert [one.id for one in (await log.page(ACME, Wanted(), Page()))[0]] == ["audit_004", "audit_002", "audit_001"]


async def test_the_log_is_told_by_page_and_by_what_is_asked(log: SqlAudit) -> None:
    entries = [
        entry(1),
        entry(2, action="key.update"),
        entry(3, actor_type="key", actor_id="key_9"),
        entry(4, resource_type="member", resource_id="usr_b", actor_type="cli", actor_id=None),
        entry(5, organization_id=OTHERS),
    ]
    await log.add(entries)
    assert (await log.page(ACME, Wanted(), Page(limit=2))) == ([entries[3], entries[2]], True)
    assert (await log.page(ACME, Wanted(), Page(limit=9, after="audit_003"))) == ([entries[1], entries[0]], False)
    assert (await log.page(ACME, Wanted(), Page(limit=1, order="asc"))) == ([entries[0]], True)
    with pytest.raises(errors.InvalidValue):
        await log.page(ACME, Wanted(), Page(after="audit_005"))
    for wanted, numbers in (
        (Wanted(action="key.update"), [2]),
        (Wanted(actor_id="key_9"), [3]),
        (Wanted(resource_type="member"), [4]),
        (Wanted(resource_id="key_1"), [1]),
        (Wanted(user_id="usr_b"), [4]),
        (Wanted(user_id="usr_a"), [2, 1]),
        (Wanted(since=2, until=4), [3, 2]),
        (Wanted(since=2, action="key.create"), [4, 3]),
    ):
        found, total = await log.slice(ACME, wanted, skip=0, take=10)
        assert [one.at for one in found] == numbers
        assert total == len(numbers)
    assert await log.slice(ACME, Wanted(), skip=1, take=1) == ([entries[2]], 4)
