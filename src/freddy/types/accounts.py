"""Organizations, people and API keys, as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from freddy.types._view import Reader, View, many, one, plain


class ApiKey(View):
    """A key. `key`, the secret, is there when it is new, and only then."""

    id: str
    organization_id: str
    key_name: str
    key_prefix: str
    key: str | None
    is_active: bool
    is_paused: bool
    usage_limit_chf: float | None
    limits: dict[str, Any] | None
    scopes: list[str]
    metadata: dict[str, str]
    created_by: str
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    _readers: ClassVar[Mapping[str, Reader]] = {"limits": plain, "metadata": plain}


class Organization(View):
    id: str
    name: str
    type: str
    description: str | None
    is_active: bool
    owner_id: str | None
    api_usage_limit: float
    limits: dict[str, Any] | None
    created_at: str
    updated_at: str
    _readers: ClassVar[Mapping[str, Reader]] = {"limits": plain}


class Role(View):
    """A role, and what it may do (`permissions`)."""

    id: str
    name: str
    description: str
    permissions: list[str]


class AuditEntry(View):
    """A change: who did what to what."""

    id: str
    timestamp: str
    actor_type: str
    actor_id: str | None
    action: str
    resource_type: str
    resource_id: str
    resource_name: str | None
    changes: list[View]


class User(View):
    id: str
    email: str
    full_name: str
    is_active: bool
    last_login: str | None
    created_at: str
    organizations: list[View]


class Member(View):
    user_id: str
    organization_id: str
    full_name: str
    email: str
    role: View
    status: View
    joined_at: str


class Invitation(View):
    """`email_key`, the secret, is there when it is new, and only then."""

    invitation_id: str
    email: str
    role_id: str
    organization_id: str
    email_key: str | None
    invitation_link: str
    expires_at: str


class PasswordReset(View):
    """`reset_key` is a one-time secret: hand it over to the user."""

    user_id: str
    reset_key: str
    expires_at: str


class SignedIn(View):
    """Tokens. The access token is sent as the key is: `FreddyClient(signed_in.access_token)`."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: User | None
    _readers: ClassVar[Mapping[str, Reader]] = {"user": one(User)}


read_keys = many(ApiKey)
read_organizations = many(Organization)
read_members = many(Member)
read_invitations = many(Invitation)
read_roles = many(Role)
