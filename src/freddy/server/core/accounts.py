"""Owns the nouns of who: organization, user, member, key, caller, scope, role."""

from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from freddy.server.core.limits import Limits

Scope: TypeAlias = Literal[
    "responses:read",
    "responses:write",
    "threads:read",
    "threads:write",
    "models:read",
    "files:read",
    "files:write",
    "assistants:read",
    "assistants:write",
    "rules:read",
    "rules:write",
    "prompts:read",
    "prompts:write",
    "usage:read",
    "keys:manage",
    "providers:manage",
    "members:manage",
    "organizations:manage",
    "audit:read",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)

Role: TypeAlias = Literal["owner", "admin", "member", "viewer"]
"""From the one who may do everything to the one who only reads."""


class Organization(Struct, frozen=True, kw_only=True):
    """Times are Unix seconds."""

    id: str
    name: str
    created_at: int
    updated_at: int = 0
    deleted_at: int | None = None
    limits: Limits | None = None


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as it is kept: `digest` is the SHA-256 of the secret, `prefix` its first characters for people to see.

    `organization_ids` are the organizations it reaches; the first is the one it implies. Times are Unix seconds.
    """

    id: str
    name: str
    prefix: str
    digest: bytes
    organization_ids: tuple[str, ...]
    scopes: tuple[Scope, ...] = SCOPES
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    paused_at: int | None = None
    deactivated_at: int | None = None
    last_used_at: int | None = None
    created_by: str | None = None
    limits: Limits | None = None
    metadata: dict[str, str] = {}


class User(Struct, frozen=True, kw_only=True):
    """A person. `password` is what a password is checked against, None for those whom another issuer signs in.

    `issuer` and `subject` are who that is, and its name for the person. Times are Unix seconds.
    """

    id: str
    email: str
    name: str = ""
    password: str | None = None
    issuer: str | None = None
    subject: str | None = None
    created_at: int
    updated_at: int
    deactivated_at: int | None = None
    last_login_at: int | None = None


class Member(Struct, frozen=True, kw_only=True):
    organization_id: str
    user_id: str
    role: Role
    created_at: int


class Caller(Struct, frozen=True):
    """Who asks, with the organization already settled for look-ups."""

    organization_id: str
    organization_ids: tuple[str, ...]
    scopes: frozenset[Scope]
    key_id: str | None = None
    """None for users, and for the anonymous caller of local development mode."""
    user_id: str | None = None
    """None for keys."""
    sees_only: str | None = None
    """The user whose threads and responses alone are seen; None sees all of the organization's."""
    limits: Limits | None = None
    """Those of the key; the organization's hold besides."""
    implied: bool = True
    """Whether the credential says which organization is meant. A user of several has to."""
