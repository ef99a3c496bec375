"""Verifies what comes to a webhook: https://www.standardwebhooks.com"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

from freddy._errors import InvalidSignatureError
from freddy.types.webhooks import WebhookEvent

_PREFIX = "whsec_"


def unwrap(
    body: str | bytes,
    headers: Mapping[str, str],
    *,
    secret: str,
    tolerance: int = 300,
    now: float | None = None,
) -> WebhookEvent:
    """The event that a body holds. Raises `InvalidSignatureError` for one that nobody with the secret has signed,
    or that was signed more than `tolerance` seconds before or after `now`.
    """
    raw = body.encode() if isinstance(body, str) else body
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp = given["webhook-id"], given["webhook-timestamp"]
        signatures, signed_at = given["webhook-signature"].split(), int(timestamp)
    except (KeyError, ValueError):
        raise InvalidSignatureError("a header of the signature is missing, or no such header") from None
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = b".".join((message_id.encode(), timestamp.encode(), raw))
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in signatures):
        raise InvalidSignatureError("it was not signed with this secret")
    at = time.time() if now is None else now  # noqa: TID251 what was signed elsewhere goes by the clock of the world
    if abs(at - signed_at) > tolerance:
        raise InvalidSignatureError(f"it was signed more than {tolerance} seconds ago, or is to come")
    return WebhookEvent(json.loads(raw))
