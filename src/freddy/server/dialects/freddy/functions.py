"""Owns how registered functions are written and read: the bodies of /v1/functions."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core import errors, items
from freddy.server.core.functions import (
    LONGEST_DESCRIPTION,
    MOST_OVERLAP_SECONDS,
    MOST_SECONDS,
    OVERLAP_SECONDS,
    REDACTED,
    Change,
    Configuration,
)
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy.fields import Fields, raw, read, too_deep
from freddy.server.ports.tools import Answer
from freddy.server.resources.base import Kept

NAME: Final = 256
"""Characters of a field's name that an error repeats."""
_encode = msgspec.json.Encoder().encode


class FunctionRotation(Struct, frozen=True):
    overlap_seconds: int
    organization_id: str | None


class FunctionTrial(Struct, frozen=True):
    arguments: Raw
    organization_id: str | None


class FunctionView(Struct, kw_only=True):
    id: str
    object: Literal["function"] = "function"
    organization_id: str
    name: str
    description: str | None
    parameters: Raw
    url: str
    headers: dict[str, str]
    timeout_seconds: int
    require_approval: bool
    idempotent: bool
    enabled: bool
    metadata: dict[str, str]
    secret: str | UnsetType = UNSET
    previous_secret_until: int | None
    version: int
    created_at: int
    updated_at: int
    created_by: str | None


class FunctionList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[FunctionView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool
    total_count: int


class FunctionDeleted(Struct):
    id: str
    object: Literal["function.deleted"] = "function.deleted"
    deleted: bool = True


class FunctionTest(Struct, kw_only=True):
    object: Literal["function.test"] = "function.test"
    success: bool
    output: str | None
    error: str | None
    duration_ms: int


def decode_change(body: bytes) -> Change:
    """What is to be different, or all of a new one. Raises `errors.InvalidValue` and `errors.UnknownParameter`."""
    try:
        return _change(Fields(read(body), aliases.REGISTERED_FUNCTION))
    except RecursionError:
        raise too_deep() from None


def decode_replacement(body: bytes) -> Change:
    """All of the function: what is not there goes back to what it is where nothing is said."""
    return replace(decode_change(body), whole=True)


def decode_rotation(body: bytes) -> FunctionRotation:
    fields = Fields(read(body), aliases.FUNCTION_ROTATION)
    overlap = fields.integer("overlap_seconds", 0, MOST_OVERLAP_SECONDS)
    return FunctionRotation(OVERLAP_SECONDS if overlap is None else overlap, fields.identifier("organization_id"))


def decode_test(body: bytes) -> FunctionTrial:
    try:
        fields = Fields(read(body), aliases.FUNCTION_TEST)
        return FunctionTrial(raw(fields.mapping("arguments") or {}), fields.identifier("organization_id"))
    except RecursionError:
        raise too_deep() from None


def encode_function(kept: Kept[Configuration]) -> bytes:
    return _encode(_view(kept))


def encode_made(kept: Kept[Configuration], secret: str) -> bytes:
    """With its secret, which no other answer has."""
    view = _view(kept)
    view.secret = secret
    return _encode(view)


def encode_list(found: Sequence[Kept[Configuration]], *, has_more: bool, total: int) -> bytes:
    return _encode(
        FunctionList(
            data=tuple(_view(kept) for kept in found),
            first_id=found[0].id if found else None,
            last_id=found[-1].id if found else None,
            has_more=has_more,
            total_count=total,
        )
    )


def encode_deleted(function_id: str) -> bytes:
    return _encode(FunctionDeleted(function_id))


def encode_test(answer: Answer, *, seconds: float) -> bytes:
    """`seconds` is how long the call took."""
    texts = [part.text for part in answer.parts if isinstance(part, items.Text)]
    return _encode(
        FunctionTest(
            success=answer.error is None,
            output="".join(texts) if answer.error is None else None,
            error=answer.error,
            duration_ms=round(seconds * 1000),
        )
    )


def _change(fields: Fields) -> Change:
    for field in ("name", "url"):
        if fields.given(field) and field not in fields:
            raise fields.wrong(field, "must be a string")
    name, url = fields.string("name", least=1), fields.string("url", least=1)
    description = fields.string("description", most=LONGEST_DESCRIPTION)
    parameters, headers = fields.mapping("parameters"), _headers(fields)
    timeout = fields.integer("timeout_seconds", 1, MOST_SECONDS)
    approval, enabled = fields.boolean("require_approval"), fields.boolean("enabled")
    idempotent = fields.boolean("idempotent")
    metadata = fields.metadata()
    return Change(
        name=UNSET if name is None else name,
        description=description if fields.given("description") else UNSET,
        parameters=UNSET if parameters is None else raw(parameters),
        url=UNSET if url is None else url,
        headers=headers if fields.given("headers") else UNSET,
        timeout_seconds=UNSET if timeout is None else timeout,
        require_approval=UNSET if approval is None else approval,
        idempotent=UNSET if idempotent is None else idempotent,
        enabled=UNSET if enabled is None else enabled,
        metadata=(metadata or {}) if fields.given("metadata") else UNSET,
        organization_id=fields.identifier("organization_id"),
        expected_version=fields.integer("expected_version", 1),
    )


def _headers(fields: Fields) -> dict[str, str]:
    place, headers = fields.place("headers"), {}
    for name, value in (fields.mapping("headers") or {}).items():
        if type(value) is not str:
            raise errors.InvalidValue(f"{place}.{name[:NAME]}", "must be a string")
        headers[name] = value
    return headers


def _view(kept: Kept[Configuration]) -> FunctionView:
    value = kept.value
    return FunctionView(
        id=kept.id,
        organization_id=kept.organization_id,
        name=kept.name,
        description=value.description,
        parameters=value.parameters,
        url=value.url,
        headers=dict.fromkeys(value.header_names, REDACTED),
        timeout_seconds=value.timeout_seconds,
        require_approval=value.require_approval,
        idempotent=value.idempotent,
        enabled=value.enabled,
        metadata=value.metadata,
        previous_secret_until=value.previous.until if value.previous else None,
        version=kept.version,
        created_at=kept.created_at,
        updated_at=kept.updated_at,
        created_by=kept.created_by,
    )
