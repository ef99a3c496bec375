"""Tells which processes are dead: by their heartbeats alone, so that clocks need not agree."""

from collections.abc import Sequence

from freddy.server.ports.runs import Pulse
from freddy.server.ports.world import Clock


class Watch:
    """Sees whose heart stands still. Times are this process's own, and only those in which it could look count."""

    def __init__(self, worker_id: str, clock: Clock, *, heartbeat: float, lease: float) -> None:
        self._worker_id = worker_id
        self._clock = clock
        self._lease = lease
        self._gap = max(2 * heartbeat, lease / 2)
        self._looked: float | None = None
        self._began: float | None = None
        self._seen: dict[str, tuple[int, float]] = {}

    def dead(self, pulses: Sequence[Pulse]) -> list[Pulse]:
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked > self._gap:
            # Nobody could be seen to beat meanwhile: not that nobody did.
            self._seen.clear()
            self._began = now
        self._looked = now
        before, self._seen = self._seen, {}
        dead = []
        for pulse in pulses:
            beats, since = before.get(pulse.worker_id, (pulse.beats, now))
            self._seen[pulse.worker_id] = (pulse.beats, since if beats == pulse.beats else now)
            if pulse.worker_id != self._worker_id and now - self._seen[pulse.worker_id][1] >= self._lease:
                dead.append(pulse)
        return dead

    @property
    def settled(self) -> bool:
        """Whether it has looked for as long as a worker may take to make itself known."""
        return self._began is not None and self._looked is not None and self._looked - self._began >= self._lease
