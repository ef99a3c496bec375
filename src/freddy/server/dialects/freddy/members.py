"""Owns how the members of an organization are written and read, and how one finds some of them."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from freddy.server.core.accounts import Member, Role, User
from freddy.server.dialects.freddy import accounts
from freddy.server.dialects.freddy.fields import Fields

MEMBER: Final = accounts.names("status_id", role_id=("role",))
MEMBERS: Final = accounts.names(
    "skip", "take", "search_term", "role_id", "status_id", "sort_field", "sort_direction", "include_deleted"
)
BY_IDS: Final = accounts.names("user_ids")
_SORTS: Final = {"joined_at": "joined_at", "email": "email", "full_name": "full_name", "role": "role"}
_MOST: Final = 100
_encode = msgspec.json.Encoder().encode

Status: TypeAlias = Literal["active", "inactive"]


class MemberChange(Struct, frozen=True):
    """None stays as it is."""

    role: Role | None
    status: Status | None


class MembersAsked(Struct, frozen=True, kw_only=True):
    skip: int = 0
    take: int = 20
    search: str = ""
    role: Role | None = None
    status: Status | None = None
    sort: str = "joined_at"
    descending: bool = False


class RoleInfo(Struct):
    id: str
    name: str


class StatusInfo(Struct):
    id: str
    name: str
    selectable_in_ui: bool


class MemberView(Struct, kw_only=True):
    object: Literal["member"] = "member"
    id: str
    user_id: str
    organization_id: str
    full_name: str
    email: str
    username: str
    role: RoleInfo
    status: StatusInfo
    joined_at: str
    created_at: str
    last_modified_at: str
    last_login: str | None


class MemberList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    users: tuple[MemberView, ...]
    total_users_count: int
    skip: int
    take: int


class StatusCount(Struct):
    status_id: str
    status_name: str
    count: int


class StatusSummary(Struct):
    status_counts: tuple[StatusCount, ...]


class ResetView(Struct, kw_only=True):
    success: bool = True
    user_id: str
    reset_key: str
    expires_at: str


def decode_member_change(body: bytes) -> MemberChange:
    return accounts.decoded(
        body, MEMBER, lambda fields: MemberChange(accounts.role(fields, "role_id"), _status(fields))
    )


def decode_members_asked(body: bytes) -> MembersAsked:
    def take(fields: Fields) -> MembersAsked:
        if fields.boolean("include_deleted"):
            raise fields.wrong("include_deleted", "cannot be true: who was removed is no member")
        return MembersAsked(
            skip=fields.integer("skip", 0) or 0,
            take=fields.integer("take", 1, _MOST) or 20,
            search=(fields.string("search_term", most=accounts.LONGEST_NAME) or "").strip().lower(),
            role=accounts.role(fields, "role_id"),
            status=_status(fields),
            sort=fields.choice("sort_field", _SORTS) or "joined_at",
            descending=fields.choice("sort_direction", {"asc": False, "desc": True}) or False,
        )

    return accounts.decoded(body, MEMBERS, take)


def decode_ids(body: bytes) -> tuple[str, ...]:
    return accounts.decoded(body, BY_IDS, lambda fields: fields.strings("user_ids"))


def encode_member(member: Member, user: User) -> bytes:
    return _encode(_member(member, user))


def encode_members(found: Sequence[tuple[Member, User]], asked: MembersAsked) -> bytes:
    """The part of them that was asked for."""
    chosen = [one for one in found if _is_asked(*one, asked)]
    chosen.sort(key=lambda one: _sort_key(*one, sort=asked.sort), reverse=asked.descending)
    part = chosen[asked.skip : asked.skip + asked.take]
    return _encode(
        MemberList(
            users=tuple(_member(*one) for one in part),
            total_users_count=len(chosen),
            skip=asked.skip,
            take=asked.take,
        )
    )


def encode_member_ids(found: Sequence[tuple[Member, User]]) -> bytes:
    return _encode([user.id for _, user in found])


def encode_members_by_id(found: Sequence[tuple[Member, User]], wanted: Sequence[str]) -> bytes:
    return _encode({"users": [_member(*one) for one in found if one[1].id in wanted]})


def encode_status_summary(found: Sequence[tuple[Member, User]], *, invited: int) -> bytes:
    active = sum(user.deactivated_at is None for _, user in found)
    counts = (("active", active), ("inactive", len(found) - active), ("invited", invited))
    return _encode(StatusSummary(tuple(StatusCount(name, name.capitalize(), count) for name, count in counts)))


def encode_reset(user_id: str, secret: str, expires_at: int) -> bytes:
    return _encode(ResetView(user_id=user_id, reset_key=secret, expires_at=accounts.iso(expires_at)))


def _status(fields: Fields) -> Status | None:
    options: dict[str, Status] = {"active": "active", "inactive": "inactive"}
    return fields.choice("status_id", options)


def _member(member: Member, user: User) -> MemberView:
    status = "active" if user.deactivated_at is None else "inactive"
    return MemberView(
        id=user.id,
        user_id=user.id,
        organization_id=member.organization_id,
        full_name=user.name,
        email=user.email,
        username=user.email,
        role=RoleInfo(member.role, member.role.capitalize()),
        status=StatusInfo(status, status.capitalize(), True),  # noqa: FBT003 a field of the wire
        joined_at=accounts.iso(member.created_at),
        created_at=accounts.iso(user.created_at),
        last_modified_at=accounts.iso(user.updated_at),
        last_login=accounts.time(user.last_login_at),
    )


def _is_asked(member: Member, user: User, asked: MembersAsked) -> bool:
    if asked.search not in user.email and asked.search not in user.name.lower():
        return False
    if asked.role is not None and member.role != asked.role:
        return False
    return asked.status is None or (asked.status == "active") == (user.deactivated_at is None)


def _sort_key(member: Member, user: User, *, sort: str) -> tuple[str | int, ...]:
    first: dict[str, str | int] = {
        "joined_at": member.created_at,
        "email": user.email,
        "full_name": user.name.lower(),
        "role": member.role,
    }
    return first[sort], user.id
