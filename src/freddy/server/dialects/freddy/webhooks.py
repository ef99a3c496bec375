"""Owns how webhooks are written and read: /v1/webhooks, and /v1/webhook_endpoints for OpenAI's clients.

One shape serves both: https://platform.openai.com/docs/guides/webhooks
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core.webhooks import (
    EVENT_TYPES,
    EVERY,
    FAILURES,
    MOST_OVERLAP_SECONDS,
    OVERLAP_SECONDS,
    TEST,
    Change,
    Configuration,
    Delivery,
    Outcome,
)
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy.fields import Fields, read, too_deep
from freddy.server.resources.base import Kept

_TESTS: Final = {name: name for name in (TEST, *EVENT_TYPES)}
_encode = msgspec.json.Encoder().encode


class WebhookRotation(Struct, frozen=True):
    overlap_seconds: int
    organization_id: str | None


class WebhookTrial(Struct, frozen=True):
    event_type: str
    organization_id: str | None


class WebhookView(Struct, kw_only=True):
    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    organization_id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    enabled: bool
    disabled_because: str | None
    signing_secret: str | UnsetType = UNSET
    signing_secret_hint: str
    previous_secret_until: int | None
    version: int
    created_at: int
    updated_at: int
    created_by: str | None


class WebhookList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[WebhookView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class WebhookDeleted(Struct):
    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: bool = True


class WebhookTest(Struct, kw_only=True):
    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: str
    success: bool
    status_code: int | None
    error: str | None
    duration_ms: int


class WebhookEventTypes(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[str, ...] = EVENT_TYPES


class WebhookDelivery(Struct, kw_only=True):
    id: str
    object: Literal["webhook_endpoint.delivery"] = "webhook_endpoint.delivery"
    webhook_endpoint_id: str
    event_type: str
    response_id: str
    status: str
    attempts: int
    next_attempt_at: int | None
    status_code: int | None
    error: str | None
    error_code: str | None
    created_at: int
    ended_at: int | None


class WebhookDeliveryList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[WebhookDelivery, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


def decode_change(body: bytes) -> Change:
    """What is to be different, or all of a new one. Raises `errors.InvalidValue` and `errors.UnknownParameter`."""
    try:
        fields = Fields(read(body), aliases.WEBHOOK)
        for field in ("name", "url", "enabled", "event_types"):
            # Sent as null: there is no webhook without these.
            if fields.given(field) and field not in fields:
                raise fields.wrong(field, "must be left out, or have a value")
        name, url, enabled = fields.string("name", least=1), fields.string("url", least=1), fields.boolean("enabled")
        if fields.get("event_types") == EVERY:
            events: tuple[str, ...] = (EVERY,)
        else:
            events = fields.strings("event_types")
    except RecursionError:
        raise too_deep() from None
    return Change(
        name=UNSET if name is None else name,
        url=UNSET if url is None else url,
        event_types=events if "event_types" in fields else UNSET,
        enabled=UNSET if enabled is None else enabled,
        organization_id=fields.identifier("organization_id"),
        expected_version=fields.integer("expected_version", 1),
    )


def decode_rotation(body: bytes) -> WebhookRotation:
    fields = Fields(read(body), aliases.WEBHOOK_ROTATION)
    overlap = fields.integer("overlap_seconds", 0, MOST_OVERLAP_SECONDS)
    keep = fields.boolean("keep_old_secret_active_for_24_hours")
    if overlap is None:
        overlap = 0 if keep is False else OVERLAP_SECONDS
    elif keep is not None:
        raise fields.wrong("keep_old_secret_active_for_24_hours", "must be left out beside overlap_seconds")
    return WebhookRotation(overlap, fields.identifier("organization_id"))


def decode_openai_rotation(body: bytes) -> WebhookRotation:
    """Where nothing is said the secret before signs no more, as OpenAI has it."""
    fields = Fields(read(body), aliases.WEBHOOK_ROTATION)
    if fields.given("overlap_seconds") or fields.boolean("keep_old_secret_active_for_24_hours"):
        return decode_rotation(body)
    return WebhookRotation(0, fields.identifier("organization_id"))


def decode_test(body: bytes) -> WebhookTrial:
    fields = Fields(read(body), aliases.WEBHOOK_TEST)
    return WebhookTrial(fields.choice("event_type", _TESTS) or TEST, fields.identifier("organization_id"))


def encode_webhook(kept: Kept[Configuration]) -> bytes:
    return _encode(_view(kept))


def encode_made(kept: Kept[Configuration], secret: str) -> bytes:
    """With its secret, which no other answer has."""
    view = _view(kept)
    view.signing_secret = secret
    return _encode(view)


def encode_list(found: Sequence[Kept[Configuration]], *, has_more: bool) -> bytes:
    return _encode(
        WebhookList(
            data=tuple(_view(kept) for kept in found),
            first_id=found[0].id if found else None,
            last_id=found[-1].id if found else None,
            has_more=has_more,
        )
    )


def encode_deleted(webhook_id: str) -> bytes:
    return _encode(WebhookDeleted(webhook_id))


def encode_test(webhook_id: str, event_type: str, outcome: Outcome, *, seconds: float) -> bytes:
    """`seconds` is how long the attempt took."""
    return _encode(
        WebhookTest(
            webhook_endpoint_id=webhook_id,
            event_type=event_type,
            success=outcome.failure is None,
            status_code=outcome.status_code,
            error=None if outcome.failure is None else FAILURES[outcome.failure],
            duration_ms=round(seconds * 1000),
        )
    )


def encode_event_types() -> bytes:
    return _encode(WebhookEventTypes())


def encode_delivery(delivery: Delivery) -> bytes:
    return _encode(_delivery(delivery))


def encode_deliveries(found: Sequence[Delivery], *, has_more: bool) -> bytes:
    return _encode(
        WebhookDeliveryList(
            data=tuple(_delivery(one) for one in found),
            first_id=found[0].event_id if found else None,
            last_id=found[-1].event_id if found else None,
            has_more=has_more,
        )
    )


def _view(kept: Kept[Configuration]) -> WebhookView:
    value = kept.value
    return WebhookView(
        id=kept.id,
        organization_id=kept.organization_id,
        name=kept.name,
        url=value.url,
        event_types=value.event_types,
        enabled=value.enabled,
        disabled_because=value.disabled_because,
        signing_secret_hint=value.hint,
        previous_secret_until=value.previous.until if value.previous else None,
        version=kept.version,
        created_at=kept.created_at,
        updated_at=kept.updated_at,
        created_by=kept.created_by,
    )


def _delivery(delivery: Delivery) -> WebhookDelivery:
    failure = delivery.failure
    return WebhookDelivery(
        id=delivery.event_id,
        webhook_endpoint_id=delivery.webhook_id,
        event_type=delivery.event_type,
        response_id=delivery.subject_id,
        status=delivery.status,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_at if delivery.status == "pending" else None,
        status_code=delivery.status_code,
        error=None if failure is None else FAILURES[failure],
        error_code=failure,
        created_at=delivery.created_at,
        ended_at=delivery.ended_at,
    )
