"""Takes the deliveries that are in line, and sees each to its end: delivered, or given up."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, webhooks
from freddy.server.core.response import Response
from freddy.server.core.webhooks import Delivery, Outcome
from freddy.server.ports.webhooks import DeliveryStore, Endpoint, Endpoints, Post
from freddy.server.ports.world import Chance, Clock

_log = logging.getLogger(__name__)
_EACH: Final = 2
"""Deliveries to one webhook at once."""
_TOGETHER: Final = 4
"""An organization has one in so many of the places at once: one that waits for nobody must not wait for others."""
_SPARE_SECONDS: Final = 30
"""A lease is that much longer than the attempt may take."""
_RELEASE_SECONDS: Final = 2.0
_DAY: Final = 24 * 3600


class Pace(Struct, frozen=True, kw_only=True):
    """`at_once` counts deliveries. `poll_seconds` pass between two looks for what other processes have put in line.

    A delivery is attempted `attempts` times, each within `seconds`. A webhook to which nothing could be delivered for
    `failing_days` is disabled.
    """

    at_once: int = 32
    poll_seconds: float = 5.0
    seconds: float = 10.0
    attempts: int = 8
    failing_days: float = 3.0

    @property
    def lease(self) -> int:
        return int(self.seconds) + _SPARE_SECONDS


class Deliveries:
    """A `Listener`: where a response ends that is announced, its delivery is in line."""

    def __init__(
        self,
        store: DeliveryStore,
        endpoints: Endpoints,
        post: Post,
        *,
        clock: Clock,
        chance: Chance,
        pace: Pace,
        counted: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`counted` hears of each attempt: `delivered`, `retried` or `failed`."""
        self._store = store
        self._endpoints = endpoints
        self._post = post
        self._clock = clock
        self._chance = chance
        self._pace = pace
        self._counted = counted
        self._waiting = asyncio.Event()
        self._busy: Counter[str] = Counter()
        """What is under way, by webhook and by organization."""
        self._under_way = 0
        self._last = ""
        """The webhook that had its turn last."""

    def run_started(self, response: Response) -> None:
        """Nobody is told of that."""

    def run_left(self, response: Response) -> None:
        """Nor of that."""

    def run_finished(
        self,
        response: Response,
        *,
        seconds: float,  # noqa: ARG002 (of the port)
        first_delta_seconds: float | None,  # noqa: ARG002
    ) -> None:
        if webhooks.announced(response) is not None:
            self.wake()

    def wake(self) -> None:
        """There are deliveries in line."""
        self._waiting.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While the context is open. What is under way at its end is given back, for others to begin anew."""
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(self._work())
            yield
            working.cancel()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                # What comes from here on is seen by the claim, or ends the wait after it.
                self._waiting.clear()
                claimed = await self._claim()
                for delivery in claimed:
                    self._take(tasks, delivery)
                if claimed:
                    continue
                try:
                    async with asyncio.timeout(self._pace.poll_seconds):
                        await self._waiting.wait()
                except TimeoutError:
                    continue

    async def _claim(self) -> Sequence[Delivery]:
        room = self._pace.at_once - self._under_way
        if room <= 0:
            return ()
        now = self._now()
        try:
            waiting = await self._store.waiting(now, after=self._last)
            wanted = webhooks.shares(
                waiting, room=room, each=_EACH, together=max(1, self._pace.at_once // _TOGETHER), busy=self._busy
            )
            if not wanted:
                return ()
            self._last = next(reversed(wanted))
            return await self._store.claim(wanted, now, lease=self._pace.lease)
        except errors.FreddyError as error:
            _log.warning("webhooks_wait", extra={"reason": error.message})
        except Exception:  # noqa: BLE001
            # Deliveries are for later as well as for now: no fault of theirs may take the server along.
            _log.exception("webhooks_fault")
        return ()

    def _take(self, tasks: asyncio.TaskGroup, delivery: Delivery) -> None:
        held = (delivery.webhook_id, delivery.organization_id)
        self._busy.update(held)
        self._under_way += 1
        task = tasks.create_task(self._deliver(delivery))
        # Also for one that is cancelled before its first step.
        task.add_done_callback(lambda _: self._let_go(held))

    def _let_go(self, held: tuple[str, str]) -> None:
        self._under_way -= 1
        self._busy.subtract(held)
        for one in held:
            if not self._busy[one]:
                del self._busy[one]
        self.wake()

    async def _deliver(self, delivery: Delivery) -> None:
        names = {"webhook_id": delivery.webhook_id, "event_id": delivery.event_id, "attempt": delivery.attempts}
        try:
            endpoint, outcome = await self._attempt(delivery)
            then = webhooks.after(
                delivery, outcome, now=self._clock.now(), most=self._pace.attempts, chance=self._chance()
            )
            self._tell(then, names)
            await self._store.report(delivery, then)
            if endpoint is not None:
                await self._judge(endpoint, then)
        except asyncio.CancelledError:
            await self._give_back(delivery)
            raise
        except errors.FreddyError as error:
            # What it needs is away: when its lease is over somebody delivers it, perhaps once more.
            _log.warning("webhook_interrupted", extra={**names, "reason": error.message})
        except Exception:  # noqa: BLE001
            # Whatever one delivery does, the others go on.
            _log.exception("webhook_fault", extra=names)

    async def _attempt(self, delivery: Delivery) -> tuple[Endpoint | None, Outcome]:
        if delivery.attempts > self._pace.attempts:
            return None, Outcome(failure="interrupted")
        try:
            endpoint = await self._endpoints.find(delivery.organization_id, delivery.webhook_id)
        except errors.StorageUnavailable as error:
            _log.warning(
                "webhook_not_signed",
                extra={"webhook_id": delivery.webhook_id, "reason": error.message, "cure": error.details},
            )
            return None, Outcome(failure="unsigned")
        if endpoint is None:
            return None, Outcome(failure="disabled")
        return endpoint, await self._post.post(endpoint, event_id=delivery.event_id, body=webhooks.body(delivery))

    async def _judge(self, endpoint: Endpoint, then: Delivery) -> None:
        """Disables what nobody is behind."""
        if then.status != "failed" or then.ended_at is None:
            return
        if then.failure == "gone":
            await self._endpoints.disable(then.organization_id, endpoint.id, "gone")
            return
        since = await self._store.failing_since(endpoint.id, endpoint.since)
        # By when it failed: by now it may be another day.
        if since is not None and then.ended_at - since >= self._pace.failing_days * _DAY:
            await self._endpoints.disable(then.organization_id, endpoint.id, "failing")

    async def _give_back(self, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                free = replace(delivery, attempts=delivery.attempts - 1, next_at=self._now())
                await self._store.report(delivery, free)
        except (errors.FreddyError, TimeoutError):
            # Then others wait for the end of the lease.
            return

    def _tell(self, then: Delivery, names: dict[str, object]) -> None:
        match then.status:
            case "delivered":
                self._counted("delivered")
                _log.debug("webhook_delivered", extra={**names, "status_code": then.status_code})
            case "pending":
                self._counted("retried")
                _log.info(
                    "webhook_attempt_failed",
                    extra={**names, "reason": then.failure, "status_code": then.status_code, "next_at": then.next_at},
                )
            case "failed":
                self._counted("failed")
                _log.warning(
                    "webhook_given_up", extra={**names, "reason": then.failure, "status_code": then.status_code}
                )

    def _now(self) -> int:
        return int(self._clock.now())
