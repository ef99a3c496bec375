"""Owns the nouns of who: organization, key, caller, scope."""

from typing import Literal, TypeAlias, get_args

from msgspec import Struct

Scope: TypeAlias = Literal[
    "responses:read",
    "responses:write",
    "threads:read",
    "threads:write",
    "models:read",
    "files:read",
    "files:write",
    "keys:manage",
    "providers:manage",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class Organization(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: int


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


class Caller(Struct, frozen=True):
    """Who asks, with the organization already settled for look-ups."""

    organization_id: str
    organization_ids: tuple[str, ...]
    scopes: frozenset[Scope]
    key_id: str | None = None
    """None for the anonymous caller of local development mode."""
