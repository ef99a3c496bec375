"""The need to have runs performed by some process, whichever lives. A method is one transaction.

Only runs in the background are kept here, each with the log of all that has happened in it: whoever claims one goes on
from there. Nobody's clock decides who is dead: a process counts its heartbeats, and others watch whether they grow.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.items import Item
from freddy.server.core.response import Response


class Claim(Struct, frozen=True):
    """Leave to perform a run. `fence` grows with every claim of it: whoever has an older one can write no more."""

    response_id: str
    organization_id: str
    worker_id: str
    fence: int


class Claimed(Struct, frozen=True):
    """`response` has its input and no output. `plan` is what whoever accepted the run put down for who performs it.

    `stop` is how somebody wants it to be stopped, where somebody does. `losses` tells how many who had it were buried,
    or could not go on.
    """

    claim: Claim
    response: Response
    plan: bytes
    stop: str | None = None
    losses: int = 0


class Unread(Struct, frozen=True):
    """A run that was claimed, and of whose response this process cannot read what is kept. `losses` as of `Claimed`."""

    claim: Claim
    losses: int = 0


class Held(Struct, frozen=True):
    """What is not to be claimed just now: these runs, those of these organizations, and of these keys in theirs.

    One that has begun, or is to be stopped, is held back by itself alone: it had its room, or needs none.
    """

    runs: Collection[str] = ()
    organizations: Collection[str] = ()
    keys: Collection[tuple[str, str]] = ()

    def __bool__(self) -> bool:
        return bool(self.runs or self.organizations or self.keys)


NOTHING = Held()


class Entry(Struct, frozen=True):
    """What happened together, in the place `place` of a run's log: 0, 1, 2, … without a gap.

    `events` is JSON that the store does not look into. Those of them that are told have the numbers from `first` on,
    of which there are `told`.
    """

    place: int
    first: int
    told: int
    events: bytes


class Heard(Struct, frozen=True):
    """What a worker learns as it beats: which of its runs somebody wants to be stopped, and how.

    `held` are the fences of its claims, by response.
    `buried`: others took it for dead, and have its runs; it is alive again, with none.
    """

    stops: Mapping[str, str] = {}
    buried: bool = False
    held: Mapping[str, int] = {}


class Pulse(Struct, frozen=True):
    worker_id: str
    beats: int


class RunStore(Protocol):
    """Everything that takes a `Claim` raises `errors.ClaimLost` where somebody else has a newer one, or the run is
    over or deleted: then nothing is written."""

    async def put(self, response: Response, plan: bytes, *, worker_id: str | None) -> Claim | None:
        """Opens a response (see `ResponseStore.open`), and queues its run; for `worker_id`, it is claimed at once.

        A worker that is not known, because it was buried, claims nothing: the run is queued.

        Raises `errors.Conflict` when the response's id is taken.
        """
        ...

    async def claim(self, worker_id: str, *, most: int, held: Held = NOTHING) -> Sequence[Claimed | Unread]:
        """Up to `most` runs that nobody has and that are not `held`, the ones queued first, first.

        No run is claimed by two, and none by a worker that is not known. With a `most` of 0, some of those that are to
        be stopped: nobody need perform them.
        """
        ...

    async def record(self, claim: Claim, entry: Entry, items: Mapping[int, Item]) -> None:
        """Adds an entry to the log, and keeps output items as `ResponseStore.add_items` does.

        With the first entry the response is `in_progress`. The same entry again changes nothing.
        """
        ...

    async def finish(self, claim: Claim, response: Response, entry: Entry) -> None:
        """Keeps the end as `ResponseStore.finish` does; the run is over, its log stays. Again, it changes nothing."""
        ...

    async def abandon(self, claim: Claim, failure: errors.Failure, now: int) -> None:
        """Ends a run that nobody can read: its response has failed, with what was kept of its output, and no log.

        Nobody is told but those who look. Again, it changes nothing.
        """
        ...

    async def release(self, claim: Claim, *, lost: bool = False) -> None:
        """Gives a run back that somebody else may go on with. One that is not claimed any more stays as it is.

        `lost`: whoever had it could not go on, which counts as a loss.
        """
        ...

    async def log(self, response_id: str, *, after: int = -1, most: int = 1000) -> Sequence[Entry]:
        """Entries of a run's log with places above `after`, in order. Empty where there is none.

        Who asks has found the response in its organization.
        """
        ...

    async def stop(self, organization_id: str, response_id: str, how: str) -> bool:
        """Has a run stopped: whoever has it hears of it with the next heartbeat, whoever claims it with the claim.

        Whether there is such a run that is not over.
        """
        ...

    async def beat(self, worker_id: str) -> Heard:
        """One heartbeat more. The first makes the worker known."""
        ...

    async def pulses(self) -> Sequence[Pulse]:
        """All workers that are known."""
        ...

    async def bury(self, pulse: Pulse, now: int) -> int | None:
        """Takes a worker for dead, unless its heart has beaten since: its runs are queued again.

        The responses it was making in the foreground have failed (`code` `interrupted`). How many those are; None for
        one that lives.
        """
        ...

    async def bury_unknown(self, now: int) -> int:
        """The same for what belongs to workers that nobody knows, and to none."""
        ...

    async def leave(self, worker_id: str) -> None:
        """The worker ends: what it still has is queued again."""
        ...

    async def queued(self) -> int:
        """How many runs nobody has."""
        ...

    async def expire(self, before: int) -> int:
        """Forgets the logs of up to 1,000 responses that ended before `before` (Unix seconds). Returns how many."""
        ...
