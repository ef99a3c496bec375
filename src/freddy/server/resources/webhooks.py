"""The use-cases of webhooks: kept with the secret that signs for them, tried out, and what became of deliveries."""

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from freddy.server.core import errors, ids, signing, webhooks
from freddy.server.core.accounts import Caller
from freddy.server.core.functions import Previous
from freddy.server.core.webhooks import TEST, Change, Configuration, Delivery, Outcome, Status, Why
from freddy.server.ports.outward import Outward
from freddy.server.ports.records import Record, RecordStore
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.stores import Page
from freddy.server.ports.webhooks import DeliveryStore, Endpoint, Post
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.base import Changed, Collection, Kept, OvertakenError, beside, unheard, unless_overtaken
from freddy.server.resources.pacing import Pacing

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Configuration).decode
_TRIES: Final = 10
TESTS_A_MINUTE: Final = 10
"""Of a webhook, at each process: a test is a call of an address at once, and its caller waits for it."""
REDELIVERIES_A_MINUTE: Final = 120
"""The same. What is put into the line again goes out no faster than all else: this bounds what is written for it."""


class Made(Struct, frozen=True):
    """A webhook and the secret that signs for it: it is told this once."""

    kept: Kept[Configuration]
    secret: str

    def __repr__(self) -> str:
        return f"Made({self.kept.id!r})"


class Tested(Struct, frozen=True):
    event_type: str
    outcome: Outcome
    seconds: float


class KeptEndpoints:
    """The port `Endpoints`."""

    def __init__(self, records: RecordStore, *, sealer: Sealer, clock: Clock) -> None:
        self._records = records
        self._sealer = sealer
        self._clock = clock

    async def find(self, organization_id: str, webhook_id: str) -> Endpoint | None:
        record = await self._records.get(organization_id, webhook_id)
        if record is None or record.kind != "webhook":
            return None
        value = _decode(record.data)
        return await self.opened(record, value) if value.enabled else None

    async def opened(self, record: Record | Kept[Configuration], value: Configuration) -> Endpoint:
        """Raises `errors.StorageUnavailable` for a secret that this server cannot open."""
        sealed = [value.secret]
        if value.previous is not None and value.previous.until > self._clock.now():
            sealed.append(value.previous.sealed)
        place = webhooks.secret_bound_to(record.organization_id, record.id)
        opened = [await self._sealer.open(one, place) for one in sealed]
        return Endpoint(id=record.id, url=value.url, secrets=tuple(opened), since=record.updated_at)

    async def disable(self, organization_id: str, webhook_id: str, why: Why) -> None:
        now = int(self._clock.now())
        done = False

        def disabled(record: Record) -> Record:
            nonlocal done
            value = _decode(record.data)
            if record.kind != "webhook" or not value.enabled:
                return record
            done = True
            data = _encode(replace(value, enabled=False, disabled_because=why))
            return replace(record, data=data, updated_at=max(now, record.updated_at), created_by=None)

        await self._records.change(organization_id, webhook_id, disabled)
        if done:
            _log.warning(
                "webhook_disabled",
                extra={"organization_id": organization_id, "webhook_id": webhook_id, "reason": why},
            )


class Webhooks:
    """`added` is told when there is something in the line of deliveries."""

    def __init__(
        self,
        records: RecordStore,
        deliveries: DeliveryStore,
        endpoints: KeptEndpoints,
        *,
        post: Post,
        sealer: Sealer,
        outward: Outward,
        clock: Clock,
        ids_from: IdSource,
        most: int,
        changed: Changed = unheard,
        added: Callable[[], None] = lambda: None,
    ) -> None:
        """`most` counts an organization's."""
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._post = post
        self._sealer = sealer
        self._outward = outward
        self._clock = clock
        self._ids = ids_from
        self._added = added
        self._tests = Pacing(clock, a_minute=TESTS_A_MINUTE)
        self._redeliveries = Pacing(clock, a_minute=REDELIVERIES_A_MINUTE)
        self._kept = Collection(
            "webhook",
            Configuration,
            prefix=ids.WEBHOOK,
            records=records,
            clock=clock,
            ids=ids_from,
            most=most,
            changed=changed,
            param="webhook_id",
            code="webhook_not_found",
        )

    async def create(self, caller: Caller, change: Change) -> Made:
        """Raises `errors.InvalidValue` for what cannot be, `errors.Conflict` where the organization has enough."""
        self._check(change)
        value = webhooks.changed(Configuration(), change)
        webhook_id = self._ids.new(ids.WEBHOOK)
        secret = _new_secret()
        sealed = await self._sealer.seal(secret, webhooks.secret_bound_to(caller.organization_id, webhook_id))
        name = webhooks.named_after(value.url) if change.name is UNSET else change.name
        value = replace(value, secret=sealed, hint=webhooks.hint(secret))
        return Made(await self._kept.create(caller, name=name, value=value, thing_id=webhook_id), secret)

    async def get(self, caller: Caller, webhook_id: str) -> Kept[Configuration]:
        """Raises `errors.NotFound`."""
        return await self._kept.get(caller, webhook_id)

    async def list(self, caller: Caller, page: Page) -> tuple[Sequence[Kept[Configuration]], bool]:
        """Those of one page, and whether more follow."""
        found = await self._kept.all(caller.organization_id)
        return beside(found, page, id_of=lambda one: one.id, noun="webhook")

    async def change(self, caller: Caller, webhook_id: str, change: Change) -> Kept[Configuration]:
        """Raises `errors.NotFound`, `errors.InvalidValue`, and `errors.Conflict` where it is in another version."""
        self._check(change)

        def altered(before: Kept[Configuration]) -> tuple[str, Configuration]:
            name = before.name if change.name is UNSET else change.name
            return name, webhooks.changed(before.value, change)

        return await self._kept.change(caller, webhook_id, altered, expected_version=change.expected_version)

    async def rotate(self, caller: Caller, webhook_id: str, *, overlap_seconds: int) -> Made:
        """With another secret. The one before goes on signing, too, for so long. Raises `errors.NotFound`."""
        for _ in range(_TRIES):
            read = await self._kept.get(caller, webhook_id)
            secret = _new_secret()
            sealed = await self._sealer.seal(secret, webhooks.secret_bound_to(read.organization_id, webhook_id))
            until = int(self._clock.now()) + overlap_seconds
            previous = Previous(read.value.secret, until) if overlap_seconds else None
            value = replace(read.value, secret=sealed, hint=webhooks.hint(secret), previous=previous)
            try:
                kept = await self._kept.change(caller, webhook_id, unless_overtaken(read, read.name, value))
            except OvertakenError:
                continue
            return Made(kept, secret)
        raise errors.Conflict(f"The webhook {webhook_id!r} is being changed by others", details="try again in a moment")

    async def delete(self, caller: Caller, webhook_id: str) -> None:
        """With its deliveries. Raises `errors.NotFound`."""
        await self._kept.delete(caller, webhook_id)

    async def test(self, caller: Caller, webhook_id: str, *, event_type: str = TEST) -> Tested:
        """Sends an event about nothing, once, whether or not the webhook is enabled.

        Raises `errors.NotFound`, `errors.RateLimited`, and `errors.StorageUnavailable` where its secret cannot be
        opened.
        """
        kept = await self._kept.get(caller, webhook_id)
        self._tests.take(kept.id, refusal=f"The webhook {kept.id!r} was tested {TESTS_A_MINUTE} times within a minute")
        endpoint = await self._endpoints.opened(kept, kept.value)
        now = int(self._clock.now())
        event = Delivery(
            webhook_id=kept.id,
            event_id=self._ids.new(ids.EVENT),
            organization_id=kept.organization_id,
            event_type=event_type,
            subject_id=self._ids.new(ids.RESPONSE),
            created_at=now,
            next_at=now,
        )
        begun = self._clock.monotonic()
        outcome = await self._post.post(endpoint, event_id=event.event_id, body=webhooks.body(event))
        return Tested(event_type, outcome, self._clock.monotonic() - begun)

    async def deliveries(
        self, caller: Caller, webhook_id: str, page: Page, *, status: Status | None = None
    ) -> tuple[Sequence[Delivery], bool]:
        """A page, and whether more follow. Raises `errors.NotFound`."""
        kept = await self._kept.get(caller, webhook_id)
        return await self._deliveries.list(kept.id, page, status=status)

    async def delivery(self, caller: Caller, webhook_id: str, event_id: str) -> Delivery:
        """Raises `errors.NotFound`."""
        kept = await self._kept.get(caller, webhook_id)
        found = await self._deliveries.get(kept.id, event_id)
        if found is None:
            raise _missing(event_id)
        return found

    async def redeliver(self, caller: Caller, webhook_id: str, event_id: str) -> Delivery:
        """Sends an event once more, with all attempts.

        Raises `errors.NotFound`, `errors.Conflict` while it is disabled, and `errors.RateLimited`.
        """
        kept = await self._kept.get(caller, webhook_id)
        if not kept.value.enabled:
            raise errors.Conflict(
                f"The webhook {kept.id!r} is not enabled", param="webhook_id", details="enable it, then deliver again"
            )
        self._redeliveries.take(
            kept.id,
            refusal=f"{REDELIVERIES_A_MINUTE} events of the webhook {kept.id!r} were delivered again in a minute",
        )
        found = await self._deliveries.again(kept.id, event_id, int(self._clock.now()))
        if found is None:
            raise _missing(event_id)
        self._added()
        return found

    def _check(self, change: Change) -> None:
        if change.url is not UNSET:
            self._outward.check(change.url, param="url")


def _new_secret() -> str:
    return signing.secret_of(secrets.token_bytes(signing.SECRET_BYTES))


def _missing(event_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"There is no delivery of {event_id[:100]!r}", param="event_id", code="webhook_delivery_not_found"
    )
