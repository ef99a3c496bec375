"""Owns how organizations are written and read, and what can be said of roles and states in them."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import errors
from freddy.server.core.accounts import MAY, ROLES, SCOPES, About, Organization, OrganizationChange
from freddy.server.core.assistants import Settings
from freddy.server.dialects.freddy import accounts
from freddy.server.dialects.freddy.accounts import LimitsView
from freddy.server.dialects.freddy.assistants import SettingsView, decode_defaults, view_defaults
from freddy.server.dialects.freddy.fields import Fields

_TEXTS: Final = ("description", "website", "industry", "company_size", "logo_image", "image_url")
ORGANIZATION: Final = accounts.names(
    "name", "type", *_TEXTS, "domains", "is_active", "limits", "defaults", api_usage_limit=("monthly_budget",)
)
_LONGEST: Final = 2000
_MOST_DOMAINS: Final = 100
_SAYS: Final[Mapping[str, str]] = {
    "owner": "May do everything, also delete the organization.",
    "admin": "Manages members, keys and what is configured.",
    "member": "Uses models, and sees their own threads and responses.",
    "viewer": "Reads, and changes nothing.",
}
STATES: Final[Mapping[str, str]] = {
    "active": "Can sign in.",
    "inactive": "Was deactivated: cannot sign in.",
    "invited": "Has not accepted yet.",
}
_encode = msgspec.json.Encoder().encode


class NewOrganization(Struct, frozen=True):
    name: str
    about: About


class OrganizationView(Struct, kw_only=True):
    object: Literal["organization"] = "organization"
    id: str
    name: str
    type: str
    description: str | None
    domains: tuple[str, ...]
    website: str | None
    industry: str | None
    company_size: str | None
    logo_image: str | None
    image_url: str | None
    is_active: bool
    owner_id: str | None
    api_usage_limit: float
    total_usage_limit: float
    storage_free_bytes_allowance: int = 0
    limits: LimitsView | None
    defaults: SettingsView
    created_at: str
    updated_at: str


class OrganizationList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    organizations: tuple[OrganizationView, ...]
    total: int
    skip: int
    limit: int


class RoleView(Struct, kw_only=True):
    id: str
    name: str
    description: str
    permissions: tuple[str, ...]
    is_base_role: bool = True
    is_custom: bool = False
    organization_id: str


class StatusView(Struct, kw_only=True):
    id: str
    name: str
    description: str
    is_base_status: bool = True
    order: int
    organization_id: str


def decode_new(body: bytes) -> NewOrganization:
    return accounts.decoded(body, ORGANIZATION, _new)


def decode_change(body: bytes) -> OrganizationChange:
    return accounts.decoded(body, ORGANIZATION, _change)


def encode_organization(organization: Organization, owner_id: str | None) -> bytes:
    return _encode(_view(organization, owner_id))


def encode_organizations(
    organizations: Sequence[tuple[Organization, str | None]], *, total: int, skip: int, limit: int
) -> bytes:
    """Each with the id of its owner."""
    views = tuple(_view(organization, owner_id) for organization, owner_id in organizations)
    return _encode(OrganizationList(organizations=views, total=total, skip=skip, limit=limit))


def encode_roles(organization_id: str) -> bytes:
    return _encode(
        [
            RoleView(
                id=role,
                name=role.capitalize(),
                description=_SAYS[role],
                permissions=tuple(scope for scope in SCOPES if scope in MAY[role]),
                organization_id=organization_id,
            )
            for role in ROLES
        ]
    )


def encode_statuses(organization_id: str) -> bytes:
    return _encode(
        [
            StatusView(id=name, name=name.capitalize(), description=says, order=place, organization_id=organization_id)
            for place, (name, says) in enumerate(STATES.items())
        ]
    )


def _new(fields: Fields) -> NewOrganization:
    for name in ("is_active", "limits", "api_usage_limit", "defaults"):
        if name in fields:
            raise fields.wrong(name, "cannot be said of a new organization: change it afterwards")
    accounts.required(fields, "name")
    return NewOrganization(accounts.name_of(fields, "name") or "", msgspec.convert(_about(fields), About))


def _change(fields: Fields) -> OrganizationChange:
    if fields.given("name"):
        accounts.required(fields, "name")
    if fields.boolean("is_active") is False:
        raise fields.wrong("is_active", "cannot be false: delete the organization, or deactivate its keys and users")
    return OrganizationChange(
        name=accounts.name_of(fields, "name") or UNSET,
        about=_about(fields),
        limits=accounts.limits(fields),
        budget=accounts.budget(fields, "api_usage_limit"),
        defaults=_defaults(fields),
    )


def _defaults(fields: Fields) -> Settings | UnsetType:
    if not fields.given("defaults"):
        return UNSET
    told = fields.get("defaults")
    return Settings() if told is None else decode_defaults(told, fields.place("defaults"))


def _about(fields: Fields) -> dict[str, object]:
    about: dict[str, object] = {name: fields.string(name, most=_LONGEST) for name in _TEXTS if fields.given(name)}
    if fields.given("type"):
        about["type"] = accounts.name_of(fields, "type") or "other"
    if fields.given("domains"):
        domains = fields.strings("domains")
        if len(domains) > _MOST_DOMAINS or any(len(domain) > accounts.LONGEST_NAME for domain in domains):
            raise errors.InvalidValue(fields.place("domains"), f"must be at most {_MOST_DOMAINS} names of domains")
        about["domains"] = domains
    return about


def _view(organization: Organization, owner_id: str | None) -> OrganizationView:
    about, limits = organization.about, organization.limits
    budget = (limits.monthly_budget if limits else None) or 0.0
    return OrganizationView(
        id=organization.id,
        name=organization.name,
        type=about.type,
        description=about.description,
        domains=about.domains,
        website=about.website,
        industry=about.industry,
        company_size=about.company_size,
        logo_image=about.logo_image,
        image_url=about.image_url,
        is_active=organization.deleted_at is None,
        owner_id=owner_id,
        api_usage_limit=budget,
        total_usage_limit=budget,
        limits=accounts.limits_view(limits),
        defaults=view_defaults(organization.defaults),
        created_at=accounts.iso(organization.created_at),
        updated_at=accounts.iso(organization.updated_at or organization.created_at),
    )
