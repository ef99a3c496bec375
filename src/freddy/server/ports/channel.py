"""The need to tell a run's events to whoever listens."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, TypeAlias

from freddy.server.core.events import Event

Batch: TypeAlias = tuple[int, Sequence[Event]]
"""The number of the first event, and the events that follow each other from there."""


class Channel(Protocol):
    """Numbers start at 0 and have no gap; here, and only here, an event gets its number."""

    def open(self, run_id: str) -> None:
        """Makes a run known, so that followers may wait for its first event."""
        ...

    def append(self, run_id: str, events: Sequence[Event]) -> None: ...

    def knows(self, run_id: str) -> bool:
        """Whether the run's events can still be followed here."""
        ...

    def follow(self, run_id: str, after: int = -1) -> AsyncGenerator[Batch, None]:
        """The events with numbers above `after`, as they come, to `Finished`. Raises KeyError when unknown.

        Who has heard more numbers than there will be, from where they were counted otherwise, hears the end.
        """
        ...

    async def reached(self, run_id: str, number: int) -> None:
        """Returns when the event of this number was told, or the run has ended."""
        ...

    def followers(self, run_id: str) -> int:
        """How many wait for what the run tells next, in `follow` or in `reached`."""
        ...

    def forget(self, run_id: str) -> None: ...
