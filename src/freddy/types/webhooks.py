"""Webhooks and deliveries, as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from freddy.types._view import Reader, View, plain


class Webhook(View):
    """An address that is told when responses in the background have ended.

    `signing_secret` verifies what comes there: it is there only in the answers that made it.
    """

    id: str
    object: str
    organization_id: str
    name: str
    url: str
    event_types: list[str]
    enabled: bool
    disabled_because: str | None
    signing_secret: str | None
    signing_secret_hint: str
    previous_secret_until: int | None
    version: int
    created_at: int
    updated_at: int
    created_by: str | None


class WebhookTest(View):
    """What became of an event that was sent as a test."""

    object: str
    webhook_endpoint_id: str
    event_type: str
    success: bool
    status_code: int | None
    error: str | None
    duration_ms: int


class WebhookDelivery(View):
    """An event on its way to a webhook: `pending`, `delivered` or `failed`. `id` is that of the event."""

    id: str
    object: str
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


class WebhookEvent(View):
    """What comes to a webhook: `data["id"]` is the response that `type` tells of."""

    id: str
    object: str
    type: str
    created_at: int
    data: dict[str, Any]
    _readers: ClassVar[Mapping[str, Reader]] = {"data": plain}
