"""Owns how API keys are written and read. A secret is written once: when it is new."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct

from freddy.server.core.accounts import SCOPES, ApiKey, KeyChange, Scope
from freddy.server.core.limits import Limits
from freddy.server.dialects.freddy import accounts
from freddy.server.dialects.freddy.accounts import LimitsView
from freddy.server.dialects.freddy.fields import Fields

API_KEY: Final = accounts.names(
    "scopes", "expires_at", "metadata", "limits", key_name=("name",), usage_limit_chf=("monthly_budget",)
)
_encode = msgspec.json.Encoder().encode


class NewKey(Struct, frozen=True, kw_only=True):
    """`scopes` of None are all that the caller has."""

    name: str
    scopes: tuple[Scope, ...] | None = None
    expires_at: int | None = None
    limits: Limits | None = None
    metadata: dict[str, str] = {}


class ApiKeyView(Struct, kw_only=True):
    object: Literal["api_key"] = "api_key"
    id: str
    organization_id: str
    key_name: str
    key_prefix: str
    is_active: bool
    is_paused: bool
    usage_limit_chf: float | None
    limits: LimitsView | None
    scopes: tuple[str, ...]
    metadata: dict[str, str]
    created_by: str
    created_at: str
    last_used_at: str | None
    expires_at: str | None


class ApiKeyCreated(ApiKeyView, kw_only=True):
    key: str


class ApiKeyList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    keys: tuple[ApiKeyView, ...]
    total: int
    page: int
    page_size: int


class ApiKeyAction(Struct, kw_only=True):
    success: bool = True
    message: str
    key: ApiKeyView | None


class ApiKeyRotated(Struct, kw_only=True):
    success: bool = True
    message: str
    old_key_id: str
    new_key: ApiKeyCreated


def decode_new(body: bytes) -> NewKey:
    return accounts.decoded(body, API_KEY, _new)


def decode_change(body: bytes) -> KeyChange:
    return accounts.decoded(body, API_KEY, _change)


def encode_key(key: ApiKey) -> bytes:
    return _encode(_view(key))


def encode_created(key: ApiKey, secret: str) -> bytes:
    return _encode(_created(key, secret))


def encode_keys(keys: Sequence[ApiKey], *, total: int, page: int, page_size: int) -> bytes:
    return _encode(ApiKeyList(keys=tuple(_view(key) for key in keys), total=total, page=page, page_size=page_size))


def encode_action(message: str, key: ApiKey | None) -> bytes:
    return _encode(ApiKeyAction(message=message, key=None if key is None else _view(key)))


def encode_rotated(key: ApiKey, secret: str) -> bytes:
    return _encode(
        ApiKeyRotated(
            message="The key has another secret; the old one is refused",
            old_key_id=key.id,
            new_key=_created(key, secret),
        )
    )


def _new(fields: Fields) -> NewKey:
    budget, limits = accounts.budget(fields, "usage_limit_chf"), accounts.limits(fields)
    chosen = None if limits is UNSET else limits
    if budget is not UNSET and budget is not None:
        chosen = msgspec.structs.replace(chosen or Limits(), monthly_budget=budget)
    accounts.required(fields, "key_name")
    return NewKey(
        name=accounts.name_of(fields, "key_name") or "",
        scopes=_scopes(fields),
        expires_at=accounts.moment(fields, "expires_at"),
        limits=chosen,
        metadata=fields.metadata() or {},
    )


def _change(fields: Fields) -> KeyChange:
    if fields.given("key_name"):
        accounts.required(fields, "key_name")
    if fields.given("scopes") and "scopes" not in fields:
        raise fields.wrong("scopes", "must be an array")
    return KeyChange(
        name=accounts.name_of(fields, "key_name") or UNSET,
        scopes=UNSET if (scopes := _scopes(fields)) is None else scopes,
        expires_at=accounts.moment(fields, "expires_at") if fields.given("expires_at") else UNSET,
        metadata=(fields.metadata() or {}) if fields.given("metadata") else UNSET,
        limits=accounts.limits(fields),
        budget=accounts.budget(fields, "usage_limit_chf"),
    )


def _scopes(fields: Fields) -> tuple[Scope, ...] | None:
    if "scopes" not in fields:
        return None
    asked = set(fields.strings("scopes"))
    unknown = sorted(asked - set(SCOPES))
    if unknown:
        raise fields.wrong("scopes", f"must be among {', '.join(SCOPES)}, and not {unknown[0][:64]!r}")
    return tuple(scope for scope in SCOPES if scope in asked)


def _view(key: ApiKey) -> ApiKeyView:
    return ApiKeyView(**_told(key))


def _created(key: ApiKey, secret: str) -> ApiKeyCreated:
    return ApiKeyCreated(**_told(key), key=secret)


def _told(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "organization_id": key.organization_ids[0],
        "key_name": key.name,
        "key_prefix": key.prefix,
        "is_active": key.deactivated_at is None and key.revoked_at is None,
        "is_paused": key.paused_at is not None,
        "usage_limit_chf": None if key.limits is None else key.limits.monthly_budget,
        "limits": accounts.limits_view(key.limits),
        "scopes": key.scopes,
        "metadata": key.metadata,
        # Keys of the command line were made by nobody in particular.
        "created_by": key.created_by or "",
        "created_at": accounts.iso(key.created_at),
        "last_used_at": accounts.time(key.last_used_at),
        "expires_at": accounts.time(key.expires_at),
    }
