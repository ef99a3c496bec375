"""Owns webhooks: who is told of which events, what is told, and when a delivery that failed is tried again."""

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core import errors, ids, signing
from freddy.server.core.functions import Previous
from freddy.server.core.response import Response

EventType: TypeAlias = Literal[
    "response.completed", "response.failed", "response.incomplete", "response.cancelled", "response.requires_action"
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
EVERY: Final = "*"
"""Stands for all types of events, also those of versions to come."""
TEST: Final = "webhook.test"
"""The type of an event that means nothing."""

Status: TypeAlias = Literal["pending", "delivered", "failed"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
Failure: TypeAlias = Literal[
    "status",
    "redirect",
    "gone",
    "timeout",
    "unreachable",
    "certificate",
    "refused",
    "broken",
    "unsigned",
    "interrupted",
    "disabled",
]
"""Why an attempt came to nothing. What the other side says of it is not kept."""
FAILURES: Final[Mapping[Failure, str]] = {
    "status": "it answered with a status that is no success",
    "redirect": "it redirects, which is not followed: name the address it leads to",
    "gone": "it answered with status 410: nothing is sent there any more",
    "timeout": "it did not answer in time",
    "unreachable": "no connection could be made",
    "certificate": "its TLS certificate is not trusted",
    "refused": "its address may not be called",
    "broken": "it broke off the connection before it had answered",
    "unsigned": "its secret cannot be opened with the secret keys of this server",
    "interrupted": "whoever sent it did not come to the end",
    "disabled": "the webhook is not enabled",
}
Why: TypeAlias = Literal["gone", "failing"]
"""Why this server has disabled a webhook itself: it answered with 410, or nothing could be delivered for days."""

OVERLAP_SECONDS: Final = 24 * 3600
"""A secret that was replaced goes on signing for so long, where nobody says another time."""
MOST_OVERLAP_SECONDS: Final = 7 * 24 * 3600
FIRST_PAUSE: Final = 15.0
"""Seconds before the second attempt; each pause is `GROWTH` times the one before."""
GROWTH: Final = 4.0
SPREAD: Final = 0.2
"""What chance makes of a pause: so much of it more, or less."""
LONGEST_PAUSE: Final = 24 * 3600.0
_GONE: Final = 410
_ALL: Final = (EVERY,)
"""The one object that is all: what is left out of JSON as a default is known by that."""
_encode = msgspec.json.Encoder().encode


class Configuration(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A webhook at `url`. `secret` is the sealed one that signs, `hint` what people may see of it."""

    url: str = ""
    event_types: tuple[str, ...] = _ALL
    enabled: bool = True
    disabled_because: Why | None = None
    secret: bytes = b""
    hint: str = ""
    previous: Previous | None = None

    def __repr__(self) -> str:
        return "Configuration()"  # the path of an address may be secret, too

    def wants(self, event_type: str) -> bool:
        return self.enabled and (EVERY in self.event_types or event_type in self.event_types)


class Change(Struct, frozen=True, kw_only=True):
    """What is to be different; `UNSET` stays as it is."""

    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    event_types: tuple[str, ...] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    organization_id: str | None = None
    expected_version: int | None = None

    def __repr__(self) -> str:
        return "Change()"


class Delivery(Struct, frozen=True, kw_only=True):
    """An event on its way to a webhook, which has each event once. Times are Unix seconds.

    `attempts` counts those that were begun. While it is pending `next_at` is when somebody may take it: whoever has it
    moves that on, until when it is theirs. `status_code` and `failure` are of the last attempt.
    """

    webhook_id: str
    event_id: str
    organization_id: str
    event_type: str
    subject_id: str
    """What the event is about: the response."""
    created_at: int
    status: Status = "pending"
    attempts: int = 0
    next_at: int
    status_code: int | None = None
    failure: Failure | None = None
    ended_at: int | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of an attempt. `retry_after` is how many seconds the other side asks to be left alone."""

    status_code: int | None = None
    failure: Failure | None = None
    retry_after: float | None = None


def secret_bound_to(organization_id: str, webhook_id: str) -> tuple[str, ...]:
    return ("webhook", organization_id, webhook_id, "secret")


def hint(secret: str) -> str:
    """Enough to tell two secrets apart."""
    return f"{signing.PREFIX}...{secret.rstrip('=')[-4:]}"


def changed(before: Configuration, change: Change) -> Configuration:
    """Raises `errors.InvalidValue`, and `errors.InvalidRequest` where there is no address."""
    names = ("url", "event_types", "enabled")
    told = {name: getattr(change, name) for name in names}
    after = replace(before, **{name: value for name, value in told.items() if value is not UNSET})
    if not after.url:
        raise errors.InvalidRequest("Missing required parameter: 'url'", param="url", code="missing_required_parameter")
    if change.event_types is not UNSET:
        after = replace(after, event_types=_checked(change.event_types))
    # Whoever says what is to be has seen to the reason.
    return after if change.enabled is UNSET else replace(after, disabled_because=None)


def named_after(url: str) -> str:
    """The name of a webhook that was given none."""
    return urlsplit(url).hostname or "webhook"


def announced(response: Response) -> EventType | None:
    """The event that the end of this response is, None for one that nobody is told of."""
    if not response.request.background:
        return None
    return next((kind for kind in EVENT_TYPES if kind == f"response.{response.status}"), None)


def event_id(response_id: str) -> str:
    """The id of the event that is this response's end: the same whoever makes it, however often."""
    return f"{ids.EVENT}_{response_id.removeprefix(ids.RESPONSE + '_')}"


def body(delivery: Delivery) -> bytes:
    """What is sent, the same at every attempt: https://platform.openai.com/docs/api-reference/webhook-events"""
    return _encode(
        {
            "id": delivery.event_id,
            "object": "event",
            "created_at": delivery.created_at,
            "type": delivery.event_type,
            "data": {"id": delivery.subject_id},
        }
    )


def after(delivery: Delivery, outcome: Outcome, *, now: float, most: int, chance: float) -> Delivery:
    """The delivery after an attempt. `most` counts attempts, `chance` is from 0 up to 1."""
    told = replace(delivery, status_code=outcome.status_code, failure=outcome.failure)
    if outcome.failure is None:
        return replace(told, status="delivered", ended_at=int(now))
    if outcome.status_code == _GONE:
        return replace(told, status="failed", failure="gone", ended_at=int(now))
    if outcome.failure == "disabled" or delivery.attempts >= most:
        return replace(told, status="failed", ended_at=int(now))
    wait = pause(delivery.attempts, chance)
    if outcome.retry_after is not None:
        wait = max(wait, min(outcome.retry_after, LONGEST_PAUSE))
    return replace(told, next_at=int(now + wait))


def pause(attempts: int, chance: float) -> float:
    """Seconds to wait after so many attempts."""
    usual = min(FIRST_PAUSE * GROWTH ** min(attempts - 1, 32), LONGEST_PAUSE)
    return usual * (1 - SPREAD + 2 * SPREAD * chance)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds, from the text of the header: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    if value is None:
        return None
    if value.strip().isdecimal() and len(value) < 10:
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def shares(
    waiting: Iterable[tuple[str, str]],
    *,
    room: int,
    each: int,
    together: int,
    busy: Mapping[str, int],
) -> dict[str, int]:
    """How many deliveries of which webhooks to begin: `waiting` are webhooks with their organizations, in turn.

    A webhook has `each` at once at most, an organization has `together`; `busy` counts what both have under way.
    """
    taken = dict(busy)
    wanted: dict[str, int] = {}
    for webhook_id, organization_id in waiting:
        free = min(room, each - taken.get(webhook_id, 0), together - taken.get(organization_id, 0))
        if free <= 0:
            continue
        wanted[webhook_id] = free
        room -= free
        taken[organization_id] = taken.get(organization_id, 0) + free
    return wanted


def _checked(event_types: tuple[str, ...]) -> tuple[str, ...]:
    if not event_types:
        raise errors.InvalidValue("event_types", f'must name an event, or be ["{EVERY}"] for all')
    for place, one in enumerate(event_types):
        if one not in EVENT_TYPES and one != EVERY:
            raise errors.InvalidValue(f"event_types[{place}]", f"must be one of {', '.join((*EVENT_TYPES, EVERY))}")
    return _ALL if EVERY in event_types else tuple(dict.fromkeys(event_types))
