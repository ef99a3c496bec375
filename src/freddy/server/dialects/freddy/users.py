"""Owns how people are written and read: signing in, members, invitations, one's own account."""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from freddy.server.core.accounts import Invitation, Member, Role, Session, User
from freddy.server.dialects.freddy import accounts
from freddy.server.dialects.freddy.accounts import Success
from freddy.server.dialects.freddy.fields import Fields

_DEVICE: Final = "device_information"
LOGIN: Final = accounts.names("password", _DEVICE, email=("email_or_username", "username"))
REGISTER: Final = accounts.names("email", "password", "user_name", _DEVICE, full_name=("name",))
REFRESH: Final = accounts.names("refresh_token")
PASSWORD: Final = accounts.names("current_password", "new_password", "confirm_password")
RESET: Final = accounts.names("reset_key", "new_password")
INVITE: Final = accounts.names("email", "send_invitation", role_id=("role",))
COMPLETE: Final = accounts.names("email_key", "password", full_name=("name",))
MEMBER: Final = accounts.names("status_id", role_id=("role",))
PROFILE: Final = accounts.names("full_name", "first_name", "last_name", "username", "timezone")
MEMBERS: Final = accounts.names(
    "skip", "take", "search_term", "role_id", "status_id", "sort_field", "sort_direction", "include_deleted"
)
BY_IDS: Final = accounts.names("user_ids")
_SORTS: Final = {"joined_at": "joined_at", "email": "email", "full_name": "full_name", "role": "role"}
_MOST: Final = 100
_encode = msgspec.json.Encoder().encode

Status: TypeAlias = Literal["active", "inactive"]


class Login(Struct, frozen=True):
    email: str
    password: str


class Registration(Struct, frozen=True):
    email: str
    password: str
    name: str


class NewPassword(Struct, frozen=True):
    current: str
    new: str


class ResetPassword(Struct, frozen=True):
    secret: str
    new: str


class Completion(Struct, frozen=True):
    secret: str
    password: str
    name: str


class Invite(Struct, frozen=True):
    email: str
    role: Role


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


class UserView(Struct, kw_only=True):
    object: Literal["user"] = "user"
    id: str
    email: str
    username: str
    full_name: str
    first_name: str
    last_name: str
    is_active: bool
    last_login: str | None
    created_at: str
    updated_at: str


class MembershipView(Struct):
    id: str
    name: str
    role: str


class MyselfView(UserView, kw_only=True):
    organizations: tuple[MembershipView, ...]
    current_organization_id: str | None


class SignedInView(Struct, kw_only=True):
    success: bool = True
    message: str = "Signed in"
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 as OAuth calls it
    expires_in: int
    device_id: str
    user: UserView
    email: str
    email_key: str = ""
    requires_verification: bool = False
    next_step: str = "done"
    type: str = "login"


class RefreshedView(Struct, kw_only=True):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 as OAuth calls it
    expires_in: int
    device_id: str


class RegisteredView(Struct, kw_only=True):
    success: bool = True
    user_id: str
    email: str
    email_key: str = ""
    verification_required: bool = False
    type: str = "register"
    message: str = "Registered: sign in"


class LoggedOut(Struct):
    message: str
    logged_out_at: str


class TokenValidity(Struct, kw_only=True):
    is_valid: bool
    error: str | None
    requires_reconnect: bool


class AuthMode(Struct, kw_only=True):
    authentication_mode: str
    dev_login_enabled: bool
    registration_enabled: bool
    issuer: str | None


class DeviceView(Struct, kw_only=True):
    object: Literal["session"] = "session"
    id: str
    device_id: str
    is_active: bool = True
    is_current: bool
    last_used_at: str
    created_at: str
    expires_at: str


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


class InvitationView(Struct, kw_only=True):
    object: Literal["invitation"] = "invitation"
    invitation_id: str
    email: str
    user_id: str
    organization_id: str
    role_id: str
    invitation_link: str
    email_key: str | None
    expires_at: str
    created_at: str


class InvitationList(Struct):
    object: Literal["list"]
    data: tuple[InvitationView, ...]


class InvitationShown(Struct, kw_only=True):
    is_valid: bool = True
    email: str
    organization_id: str
    organization_name: str
    role_id: str
    expires_at: str


class InvitationAccepted(Struct, kw_only=True):
    success: bool = True
    organization_id: str
    role_id: str


class InvitationCompleted(Struct, kw_only=True):
    success: bool = True
    user_id: str
    email: str
    organization_id: str
    token: str
    access_token: str
    refresh_token: RefreshedView
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 as OAuth calls it
    expires_in: int
    device_id: str
    recommended_username: str


class ResetView(Struct, kw_only=True):
    success: bool = True
    user_id: str
    reset_key: str
    expires_at: str


def decode_login(body: bytes) -> Login:
    def take(fields: Fields) -> Login:
        return Login(accounts.required(fields, "email").lower(), accounts.password(fields))

    return accounts.decoded(body, LOGIN, take)


def decode_registration(body: bytes) -> Registration:
    def take(fields: Fields) -> Registration:
        email = accounts.required(fields, "email")
        return Registration(email, accounts.password(fields), accounts.name_of(fields, "full_name") or "")

    return accounts.decoded(body, REGISTER, take)


def decode_refresh(body: bytes) -> str | None:
    return accounts.decoded(body, REFRESH, lambda fields: fields.string("refresh_token", most=1000))


def decode_new_password(body: bytes) -> NewPassword:
    def take(fields: Fields) -> NewPassword:
        new = accounts.password(fields, "new_password")
        if fields.string("confirm_password") not in (None, new):
            raise fields.wrong("confirm_password", "must be the same as new_password")
        return NewPassword(accounts.password(fields, "current_password"), new)

    return accounts.decoded(body, PASSWORD, take)


def decode_reset(body: bytes) -> ResetPassword:
    def take(fields: Fields) -> ResetPassword:
        return ResetPassword(accounts.required(fields, "reset_key"), accounts.password(fields, "new_password"))

    return accounts.decoded(body, RESET, take)


def decode_invite(body: bytes) -> Invite:
    def take(fields: Fields) -> Invite:
        return Invite(accounts.required(fields, "email"), accounts.role(fields, "role_id") or "member")

    return accounts.decoded(body, INVITE, take)


def decode_completion(body: bytes) -> Completion:
    def take(fields: Fields) -> Completion:
        secret = accounts.required(fields, "email_key")
        return Completion(secret, accounts.password(fields), accounts.name_of(fields, "full_name") or "")

    return accounts.decoded(body, COMPLETE, take)


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


def decode_profile(body: bytes) -> str | None:
    """The name to be: whole, or of its two parts."""

    def take(fields: Fields) -> str | None:
        for name in ("username", "timezone"):
            if name in fields:
                raise fields.wrong(name, "cannot be changed: it is not kept")
        parts = [accounts.name_of(fields, name) for name in ("first_name", "last_name")]
        whole = accounts.name_of(fields, "full_name")
        return whole if whole is not None else " ".join(part for part in parts if part) or None

    return accounts.decoded(body, PROFILE, take)


def encode_signed_in(user: User, *, access_token: str, refresh_token: str, expires_in: int, session_id: str) -> bytes:
    return _encode(
        SignedInView(
            access_token=access_token,
            refresh_token=refresh_token,
            expires_in=expires_in,
            device_id=session_id,
            user=UserView(**_user(user)),
            email=user.email,
        )
    )


def encode_refreshed(*, access_token: str, refresh_token: str, expires_in: int, session_id: str) -> bytes:
    return _encode(
        RefreshedView(
            access_token=access_token, refresh_token=refresh_token, expires_in=expires_in, device_id=session_id
        )
    )


def encode_registered(user: User) -> bytes:
    return _encode(RegisteredView(user_id=user.id, email=user.email))


def encode_logged_out(now: int) -> bytes:
    return _encode(LoggedOut("Signed out", accounts.iso(now)))


def encode_validity(error: str | None) -> bytes:
    return _encode(TokenValidity(is_valid=error is None, error=error, requires_reconnect=error is not None))


def encode_mode(*, issuer: str | None, registration: bool) -> bytes:
    mode = "password" if issuer is None else "password_and_issuer"
    return _encode(
        AuthMode(authentication_mode=mode, dev_login_enabled=True, registration_enabled=registration, issuer=issuer)
    )


def encode_success(message: str) -> bytes:
    return _encode(Success(True, message))  # noqa: FBT003 a field of the wire


def encode_user(user: User) -> bytes:
    return _encode(UserView(**_user(user)))


def encode_myself(user: User, organizations: Sequence[tuple[str, str, Role]]) -> bytes:
    """Id, name and role of each organization."""
    return _encode(
        MyselfView(
            **_user(user),
            organizations=tuple(MembershipView(*one) for one in organizations),
            current_organization_id=organizations[0][0] if len(organizations) == 1 else None,
        )
    )


def encode_profile(user: User) -> bytes:
    return _encode({"success": True, "message": "Changed", "profile": UserView(**_user(user))})


def encode_sessions(sessions: Sequence[Session], current: str | None) -> bytes:
    return _encode(
        [
            DeviceView(
                id=session.id,
                device_id=session.id,
                is_current=session.id == current,
                last_used_at=accounts.iso(session.refreshed_at),
                created_at=accounts.iso(session.created_at),
                expires_at=accounts.iso(session.expires_at),
            )
            for session in sessions
        ]
    )


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


def encode_invitation(invitation: Invitation, *, secret: str | None = None, link: str = "") -> bytes:
    """With its secret where it is new."""
    return _encode(_invitation(invitation, secret, link))


def encode_invitations(invitations: Sequence[Invitation]) -> bytes:
    return _encode(InvitationList("list", tuple(_invitation(one, None, "") for one in invitations)))


def encode_shown(invitation: Invitation, organization_name: str) -> bytes:
    return _encode(
        InvitationShown(
            email=invitation.email,
            organization_id=invitation.organization_id,
            organization_name=organization_name,
            role_id=invitation.role,
            expires_at=accounts.iso(invitation.expires_at),
        )
    )


def encode_accepted(invitation: Invitation) -> bytes:
    return _encode(InvitationAccepted(organization_id=invitation.organization_id, role_id=invitation.role))


def encode_completed(
    invitation: Invitation, user: User, *, access_token: str, refresh_token: str, expires_in: int, session_id: str
) -> bytes:
    return _encode(
        InvitationCompleted(
            user_id=user.id,
            email=user.email,
            organization_id=invitation.organization_id,
            token=access_token,
            access_token=access_token,
            refresh_token=RefreshedView(
                access_token=access_token, refresh_token=refresh_token, expires_in=expires_in, device_id=session_id
            ),
            expires_in=expires_in,
            device_id=session_id,
            recommended_username=user.email.partition("@")[0],
        )
    )


def encode_reset(user_id: str, secret: str, expires_at: int) -> bytes:
    return _encode(ResetView(user_id=user_id, reset_key=secret, expires_at=accounts.iso(expires_at)))


def _status(fields: Fields) -> Status | None:
    options: dict[str, Status] = {"active": "active", "inactive": "inactive"}
    return fields.choice("status_id", options)


def _user(user: User) -> dict[str, Any]:
    first, _, last = user.name.partition(" ")
    return {
        "id": user.id,
        "email": user.email,
        "username": user.email,
        "full_name": user.name,
        "first_name": first,
        "last_name": last,
        "is_active": user.deactivated_at is None,
        "last_login": accounts.time(user.last_login_at),
        "created_at": accounts.iso(user.created_at),
        "updated_at": accounts.iso(user.updated_at),
    }


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


def _invitation(invitation: Invitation, secret: str | None, link: str) -> InvitationView:
    return InvitationView(
        invitation_id=invitation.id,
        email=invitation.email,
        # There is no user before somebody accepts.
        user_id=invitation.id,
        organization_id=invitation.organization_id,
        role_id=invitation.role,
        invitation_link=link,
        email_key=secret,
        expires_at=accounts.iso(invitation.expires_at),
        created_at=accounts.iso(invitation.created_at),
    )
