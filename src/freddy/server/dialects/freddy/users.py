"""Owns how a user's own account is written and read: who one is, where, and on which devices."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from freddy.server.core.accounts import Role, Session, User
from freddy.server.dialects.freddy import accounts
from freddy.server.dialects.freddy.fields import Fields

PROFILE: Final = accounts.names("full_name", "first_name", "last_name", "username", "timezone")
_encode = msgspec.json.Encoder().encode


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


class DeviceView(Struct, kw_only=True):
    object: Literal["session"] = "session"
    id: str
    device_id: str
    is_active: bool = True
    is_current: bool
    last_used_at: str
    created_at: str
    expires_at: str


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
    return _encode({"success": True, "message": "Changed", "profile": view(user)})


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


def view(user: User) -> UserView:
    return UserView(**_user(user))


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
