"""Knows which queued runs this process does not claim just now: nothing is tried again and again in vain."""

from freddy.server.accounts.limits import Full
from freddy.server.ports.runs import Held
from freddy.server.ports.world import Clock

_LEAST_SECONDS = 1.0
_MOST_SECONDS = 10.0
"""How long who has no room is left alone: a limit that is raised meanwhile is seen after that."""
_FORGOTTEN_SECONDS = 60.0
"""Who was not asked for again in so long wants no room."""
_SHORTEST_WAIT = 0.05
_MOST_TRIED = 10_000
"""Runs of which is known how often they were tried: of more, the one that was not tried for longest begins anew."""


class Holding:
    """Who has no room for more runs, and which runs could not be taken up, each with the moment to try again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full: dict[tuple[str, str | None], float] = {}
        """Keys in organizations, and with None organizations. They stay when their moment has come: see `most`."""
        self._runs: dict[str, float] = {}
        self._tries: dict[str, int] = {}

    def tried(self, response_id: str) -> int:
        """How often the run could not be taken up here, this time included."""
        tries = self._tries[response_id] = self._tries.pop(response_id, 0) + 1
        while len(self._tries) > _MOST_TRIED:
            del self._tries[next(iter(self._tries))]
        return tries

    def forget(self, response_id: str) -> None:
        """It was taken up, or is over."""
        self._tries.pop(response_id, None)

    def is_full(self, organization_id: str, key_id: str | None) -> bool:
        """Whether it is in vain to ask for the leave to perform one more."""
        now = self._clock.monotonic()
        return any(self._full.get((organization_id, whose), now) > now for whose in (key_id, None))

    def fill(self, full: Full) -> bool:
        """Whether that is new."""
        whose = (full.organization_id, full.key_id)
        known = whose in self._full
        seconds = min(max(full.seconds, _LEAST_SECONDS), _MOST_SECONDS)
        self._full[whose] = self._clock.monotonic() + seconds
        return not known

    def hold(self, response_id: str, seconds: float) -> None:
        self._runs[response_id] = self._clock.monotonic() + seconds

    def freed(self, organization_id: str) -> bool:
        """A run of the organization has ended here: there may be room. Whether anybody waits for that."""
        freed = [full for full in self._full if full[0] == organization_id]
        self._full |= dict.fromkeys(freed, self._clock.monotonic())
        return bool(freed)

    def held(self) -> Held:
        now = self._clock.monotonic()
        self._runs = {response_id: until for response_id, until in self._runs.items() if until > now}
        self._full = {full: until for full, until in self._full.items() if until > now - _FORGOTTEN_SECONDS}
        held = [full for full, until in self._full.items() if until > now]
        return Held(
            runs=tuple(self._runs),
            organizations=tuple(organization_id for organization_id, key_id in held if key_id is None),
            keys=tuple((organization_id, key_id) for organization_id, key_id in held if key_id is not None),
        )

    def most(self, room: int) -> int:
        """How many to claim at once: one by one while it may be of those who had no room, so that few come back."""
        return min(room, 1) if self._due() else room

    def found_nothing(self) -> None:
        """All that is not held was asked for, and nothing waits: who had no room wants none."""
        for full in self._due():
            del self._full[full]

    def wait(self, most: float) -> float:
        """Seconds until something may be tried again, and no more than `most`."""
        now = self._clock.monotonic()
        moments = [until for until in (*self._full.values(), *self._runs.values()) if until > now]
        return min(most, max(min(moments) - now, _SHORTEST_WAIT)) if moments else most

    def _due(self) -> list[tuple[str, str | None]]:
        now = self._clock.monotonic()
        return [full for full, until in self._full.items() if until <= now]
