"""Owns the nouns of who: organization, user, member, session, invitation, key, caller, scope, role."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core.assistants import Settings
from freddy.server.core.limits import Limits

Scope: TypeAlias = Literal[
    "responses:read",
    "responses:write",
    "threads:read",
    "threads:write",
    "models:read",
    "files:read",
    "files:write",
    "vector_stores:read",
    "vector_stores:write",
    "assistants:read",
    "assistants:write",
    "rules:read",
    "rules:write",
    "prompts:read",
    "prompts:write",
    "mcp:read",
    "mcp:write",
    "functions:read",
    "functions:write",
    "webhooks:read",
    "webhooks:write",
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
ROLES: tuple[Role, ...] = get_args(Role)

_READS: tuple[Scope, ...] = (
    "responses:read",
    "threads:read",
    "models:read",
    "files:read",
    "vector_stores:read",
    "assistants:read",
    "rules:read",
    "prompts:read",
    "mcp:read",
    "functions:read",
    "usage:read",
)
_WRITES: tuple[Scope, ...] = (
    "responses:write",
    "threads:write",
    "files:write",
    "vector_stores:write",
    "assistants:write",
    "prompts:write",
    "mcp:write",
    "functions:write",
)
_OWNS: frozenset[Scope] = frozenset(("organizations:manage",))

MAY: Final[Mapping[Role, frozenset[Scope]]] = {
    "owner": frozenset(SCOPES),
    "admin": frozenset(SCOPES) - _OWNS,
    "member": frozenset((*_READS, *_WRITES)),
    "viewer": frozenset(_READS),
}
"""What each role may do."""
SEES_ALL: Final[frozenset[Role]] = frozenset(("owner", "admin"))
"""The roles that see the threads and responses of everybody; others see their own."""


def outranks(role: Role, other: Role) -> bool:
    """Whether the role is at least as high."""
    return ROLES.index(role) <= ROLES.index(other)


class About(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an organization says of itself. It is kept and told, and changes nothing."""

    type: str = "other"
    description: str | None = None
    website: str | None = None
    industry: str | None = None
    company_size: str | None = None
    logo_image: str | None = None
    image_url: str | None = None
    domains: tuple[str, ...] = ()


class Organization(Struct, frozen=True, kw_only=True):
    """Times are Unix seconds. A deleted one answers nobody, until it is restored or purged."""

    id: str
    name: str
    created_at: int
    updated_at: int = 0
    deleted_at: int | None = None
    limits: Limits | None = None
    about: About = About()
    defaults: Settings = Settings()
    """What holds for its requests where neither they nor their assistants say otherwise."""


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

    @property
    def active(self) -> bool:
        """Whether it holds, but for its expiry."""
        return self.revoked_at is None and self.paused_at is None and self.deactivated_at is None


class OrganizationChange(Struct, frozen=True, kw_only=True):
    """What is to be different; `UNSET` stays as it is, None is taken away. `about` has fields of `About`.

    A `budget` is the monthly one alone, and stands before that of `limits`; so it does for keys.
    """

    name: str | UnsetType = UNSET
    about: Mapping[str, object] = {}
    limits: Limits | UnsetType | None = UNSET
    budget: float | UnsetType | None = UNSET
    defaults: Settings | UnsetType = UNSET


class KeyChange(Struct, frozen=True, kw_only=True):
    """What is to be different; `UNSET` stays as it is, None is taken away."""

    name: str | UnsetType = UNSET
    scopes: tuple[Scope, ...] | UnsetType = UNSET
    expires_at: int | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    limits: Limits | UnsetType | None = UNSET
    budget: float | UnsetType | None = UNSET


def changed_limits(
    known: Limits | None, *, limits: Limits | UnsetType | None, budget: float | UnsetType | None
) -> Limits | None:
    """None where nothing is limited."""
    altered = known if limits is UNSET else limits
    if budget is not UNSET:
        altered = replace(altered or Limits(), monthly_budget=budget)
    return None if altered == Limits() else altered


class Reset(Struct, frozen=True):
    """Lets who has the secret of this SHA-256 (hexadecimal) set a new password, once, until then (Unix seconds)."""

    digest: str
    expires_at: int


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
    reset: Reset | None = None


class Session(Struct, frozen=True, kw_only=True):
    """One sign-in. `digest` is the SHA-256 of its newest refresh token, `previous` that of the one before.

    Times are Unix seconds.
    """

    id: str
    user_id: str
    digest: bytes
    previous: bytes | None = None
    created_at: int
    refreshed_at: int
    expires_at: int
    revoked_at: int | None = None

    def lives(self, now: float) -> bool:
        return self.revoked_at is None and now < self.expires_at


class Invitation(Struct, frozen=True, kw_only=True):
    """An offer to become a member, for who has the secret of which `digest` is the SHA-256. Times are Unix seconds."""

    id: str
    organization_id: str
    email: str
    role: Role
    digest: bytes
    invited_by: str | None = None
    created_at: int
    expires_at: int
    accepted_at: int | None = None


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
    roles: Mapping[str, Role] = {}
    """Of a user: the role in each organization, from which scopes follow. Empty for keys."""
    session_id: str | None = None
    """The sign-in that a user's token is of; None for keys and for tokens of another issuer."""

    @property
    def reach(self) -> tuple[str, ...]:
        """Where things are looked for by their id alone: a user's rights are those of one organization."""
        return self.organization_ids if self.user_id is None else (self.organization_id,)
