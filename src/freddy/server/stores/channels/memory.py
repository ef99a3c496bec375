"""Tells the runs of this process to whoever listens, and replays those that ended a while ago."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from freddy.server.core.events import Event, Failed, Finished
from freddy.server.ports.channel import Batch
from freddy.server.ports.world import Clock


class MemoryChannel:
    """The port `Channel`. It belongs to one event loop.

    A run that ended can be followed for `keep_seconds`, unless more than `keep_runs` ended after it or the
    ended runs hold more than `keep_events`; a run that goes on is never dropped.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        keep_seconds: float = 300.0,
        keep_runs: int = 1_000,
        keep_events: int = 1_000_000,
    ) -> None:
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._keep_runs = keep_runs
        self._keep_events = keep_events
        self._runs: dict[str, _Run] = {}
        self._ended: dict[str, float] = {}
        """When each ended run did, the first one first."""
        self._ended_events = 0

    def open(self, run_id: str) -> None:
        self._evict()
        self._runs.setdefault(run_id, _Run())

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        if not events:
            return
        run = self._runs[run_id]
        run.append(events)
        if run.over:
            self._ended[run_id] = self._clock.monotonic()
            self._ended_events += len(run.events)
            self._evict()

    def knows(self, run_id: str) -> bool:
        return run_id in self._runs

    def follow(self, run_id: str, after: int = -1) -> AsyncGenerator[Batch, None]:
        return self._runs[run_id].follow(after)

    async def reached(self, run_id: str, number: int) -> None:
        run = self._runs[run_id]
        run.followers += 1
        try:
            while len(run.events) <= number and not run.over:
                await run.wait_more()
        finally:
            run.followers -= 1

    def followers(self, run_id: str) -> int:
        run = self._runs.get(run_id)
        return run.followers if run else 0

    def forget(self, run_id: str) -> None:
        """Those who follow a run that goes on hear no more of it."""
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        if self._ended.pop(run_id, None) is not None:
            self._ended_events -= len(run.events)
        run.stop()

    def _evict(self) -> None:
        oldest = self._clock.monotonic() - self._keep_seconds
        while self._ended:
            run_id, at = next(iter(self._ended.items()))
            if at > oldest and len(self._ended) <= self._keep_runs and self._ended_events <= self._keep_events:
                return
            self.forget(run_id)


class _Run:
    """The events of a run, and those who wait for more of them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.followers = 0
        self.over = False
        self._waiting: set[asyncio.Future[None]] = set()

    def append(self, events: Sequence[Event]) -> None:
        self.events += events
        self.over = isinstance(events[-1], Finished)
        self._wake()

    def stop(self) -> None:
        self.over = True
        self._wake()

    async def follow(self, after: int) -> AsyncGenerator[Batch, None]:
        """A slow follower finds all that came meanwhile in one batch."""
        place = after + 1
        self.followers += 1
        try:
            while True:
                if place < len(self.events):
                    batch = self.events[place:]
                    yield place, batch
                    place += len(batch)
                elif self.over:
                    if place > len(self.events) and (ending := self._ending()):
                        # It had heard more numbers than there are, from another process: it still hears the end.
                        yield place, ending
                    return
                else:
                    await self.wait_more()
        finally:
            self.followers -= 1

    def _ending(self) -> Sequence[Event]:
        """Nothing, of a run that is told no further."""
        return [event for event in self.events[-2:] if isinstance(event, Failed | Finished)]

    async def wait_more(self) -> None:
        more: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(more)
        try:
            await more
        finally:
            self._waiting.discard(more)

    def _wake(self) -> None:
        for more in self._waiting:
            if not more.done():
                more.set_result(None)
        self._waiting.clear()
