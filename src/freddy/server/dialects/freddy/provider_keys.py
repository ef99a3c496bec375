"""Owns how an organization's own keys for upstreams are written and read. A key itself is never written."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from msgspec import Struct

from freddy.server.core.provider_keys import ProviderKey, checked
from freddy.server.dialects.freddy.aliases import Names
from freddy.server.dialects.freddy.fields import Fields, read, too_deep

_NAMES: Final[Names] = {"key": "key"}
_encode = msgspec.json.Encoder().encode


class ProviderKeyView(Struct, kw_only=True):
    object: Literal["provider_key"] = "provider_key"
    upstream: str
    organization_id: str
    hint: str | None
    created_at: str
    updated_at: str


class ProviderKeyList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[ProviderKeyView, ...]
    has_more: Literal[False] = False
    total_count: int


class ProviderKeyDeleted(Struct, kw_only=True):
    object: Literal["provider_key.deleted"] = "provider_key.deleted"
    upstream: str
    deleted: bool = True


def decode_provider_key(body: bytes) -> str:
    """The key that a caller brings. Raises `errors.InvalidValue` for one that cannot be a key."""
    try:
        fields = Fields(read(body), _NAMES)
    except RecursionError:
        raise too_deep() from None
    return checked(fields.string("key") or "")


def encode_provider_key(key: ProviderKey) -> bytes:
    return _encode(_view(key))


def encode_provider_keys(keys: Sequence[ProviderKey]) -> bytes:
    return _encode(ProviderKeyList(data=tuple(_view(key) for key in keys), total_count=len(keys)))


def encode_deleted(upstream: str) -> bytes:
    return _encode(ProviderKeyDeleted(upstream=upstream))


def _view(key: ProviderKey) -> ProviderKeyView:
    return ProviderKeyView(
        upstream=key.upstream,
        organization_id=key.organization_id,
        hint=key.hint,
        created_at=_iso(key.created_at),
        updated_at=_iso(key.updated_at),
    )


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
