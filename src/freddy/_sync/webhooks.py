# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.webhooks`: addresses that are told when responses in the background have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from freddy import _webhooks
from freddy._sync.paging import Page, fetch_page
from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted
from freddy.types.webhooks import Webhook, WebhookDelivery, WebhookEvent, WebhookTest


class Webhooks:
    """Webhooks of an organization, and what became of their deliveries."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        url: str,
        *,
        name: str | NotGiven = NOT_GIVEN,
        event_types: Sequence[str] | NotGiven = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Webhook:
        """Makes a webhook. Keep the `signing_secret` of the answer: it verifies events, and is not told again.

        Without `event_types` it is told of everything.
        """
        fields = {
            "url": url,
            "name": name,
            "event_types": event_types,
            "enabled": enabled,
            "organization_id": organization_id or self._transport.settings.organization_id or NOT_GIVEN,
            **extra,
        }
        call = Call(method="POST", path=path("webhooks"), body=without_omitted(fields))
        return Webhook((self._transport.send(call)).body)

    def get(self, webhook_id: str) -> Webhook:
        call = Call(method="GET", path=path("webhooks", webhook_id))
        return Webhook((self._transport.send(call)).body)

    def update(
        self,
        webhook_id: str,
        *,
        url: str | NotGiven = NOT_GIVEN,
        name: str | NotGiven = NOT_GIVEN,
        event_types: Sequence[str] | NotGiven = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        expected_version: int | NotGiven = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Webhook:
        """Changes the fields that are given, and no other.

        With `expected_version` it fails when somebody else has changed the webhook since that version.
        """
        fields = {
            "url": url,
            "name": name,
            "event_types": event_types,
            "enabled": enabled,
            "expected_version": expected_version,
            **extra,
        }
        call = Call(method="PATCH", path=path("webhooks", webhook_id), body=without_omitted(fields))
        return Webhook((self._transport.send(call)).body)

    def delete(self, webhook_id: str) -> Deleted:
        """Deletes a webhook with its secrets and deliveries."""
        call = Call(method="DELETE", path=path("webhooks", webhook_id))
        return Deleted((self._transport.send(call)).body)

    def list(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[Webhook]:
        """Webhooks, the newest first. Iterating goes through all pages."""
        query = {"limit": limit, "order": order, "after": after}
        return fetch_page(self._transport, path("webhooks"), query, Webhook)

    def test(self, webhook_id: str, *, event_type: str | NotGiven = NOT_GIVEN) -> WebhookTest:
        """Sends an event about nothing. One that fails is `success=False` with an error, and raises nothing."""
        call = Call(
            method="POST",
            path=path("webhooks", webhook_id, "test"),
            body=without_omitted({"event_type": event_type}),
        )
        return WebhookTest((self._transport.send(call)).body)

    def rotate_secret(self, webhook_id: str, *, overlap_seconds: int | NotGiven = NOT_GIVEN) -> Webhook:
        """A new `signing_secret`. The one before signs events, too, for a day or for as long as you say."""
        call = Call(
            method="POST",
            path=path("webhooks", webhook_id, "rotate"),
            body=without_omitted({"overlap_seconds": overlap_seconds}),
        )
        return Webhook((self._transport.send(call)).body)

    def deliveries(
        self,
        webhook_id: str,
        *,
        status: Literal["pending", "delivered", "failed"] | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[WebhookDelivery]:
        """Deliveries of the last days, the newest events first. Iterating goes through all pages."""
        query = {"status": status, "limit": limit, "order": order, "after": after}
        return fetch_page(self._transport, path("webhooks", webhook_id, "deliveries"), query, WebhookDelivery)

    def redeliver(self, webhook_id: str, event_id: str) -> WebhookDelivery:
        """Delivers an event again, with all attempts."""
        call = Call(method="POST", path=path("webhooks", webhook_id, "deliveries", event_id, "redeliver"))
        return WebhookDelivery((self._transport.send(call)).body)

    @staticmethod
    def unwrap(body: str | bytes, headers: Mapping[str, str], *, secret: str, tolerance: int = 300) -> WebhookEvent:
        """The event that came to a webhook. `body` is what came, to the byte; no server is asked.

        Raises `InvalidSignatureError` for one that nobody with the secret has signed within `tolerance` seconds.
        """
        return _webhooks.unwrap(body, headers, secret=secret, tolerance=tolerance)
