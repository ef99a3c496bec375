"""Keeps what happens in a run that some process has claimed, and tells it to whoever follows, wherever they are."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import chain, repeat

import msgspec

from freddy.server.core import errors, events, log
from freddy.server.core.run import Run
from freddy.server.ports.runs import Claim, Entry, RunStore
from freddy.server.ports.signals import Signals, topic_of

GATHER_SECONDS = 0.03
"""What a model says is gathered for so long, and kept by one write."""
_WAITS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between tries while nothing can be kept; the last again and again."""
_KEPT = (events.ItemDone, events.Called, events.Withdrawn)
_MATTERS = (
    events.Created,
    *_KEPT,
    events.Finished,
    events.Failed,
    *(kind for kind in events.UNTOLD if kind is not events.Asked),
)
"""What is kept at once: a run that goes on elsewhere goes on behind it."""

_log = logging.getLogger(__name__)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def heard(payload: bytes | None) -> Entry | None:
    """What a journal told, as others hear it; None where there is nothing, or it was more than a signal carries."""
    return _decoder.decode(payload) if payload else None


class Journal:
    """The log of one run from `place` and `number` on. It waits for a store that is away, as long as it takes.

    Once somebody else has the run, or it was let go, everything raises `errors.ClaimLost`.
    """

    def __init__(self, claim: Claim, runs: RunStore, signals: Signals, *, place: int = 0, number: int = 0) -> None:
        self.claim = claim
        self._runs = runs
        self._signals = signals
        self._place = place
        self._number = number
        self._due: list[events.Event] = []
        self._last: Sequence[events.Event] = ()
        self._entry: tuple[Entry, list[events.Event]] | None = None
        """What is being written: where nobody knows whether it was, it is written again as it is."""
        self._untold: list[Entry] = []
        self._more = asyncio.Event()
        self._turn = asyncio.Lock()
        self._lost = False
        self._failure: Exception | None = None

    async def keep(self, run: Run, batch: Sequence[events.Event]) -> None:  # noqa: ARG002
        """Keeps the batch, or has it kept soon: what matters is kept when it returns. May be repeated."""
        if self._failure is not None:
            raise self._failure
        if batch is not self._last:
            self._last = batch
            self._due += batch
        if any(isinstance(event, _MATTERS) for event in batch):
            await self._write()
        else:
            self._more.set()

    def tell(self, run: Run, batch: Sequence[events.Event]) -> None:  # noqa: ARG002
        """Tells what was kept."""
        self._tell_kept()

    def give_up(self, run: Run) -> None:  # noqa: ARG002
        """What cannot be kept is left to whoever claims the run next."""
        self.let_go()

    def let_go(self) -> None:
        self._lost = True

    async def gather(self) -> None:
        """Keeps and tells what the model says, every so often, until it is cancelled."""
        while True:
            await self._more.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._more.clear()
            try:
                await self._write()
            except Exception as error:  # noqa: BLE001
                # Whatever it is meets the run when it keeps something next, and takes no other run along.
                self._failure = error
                return
            self._tell_kept()

    def _tell_kept(self) -> None:
        untold, self._untold = self._untold, []
        for entry in untold:
            self._signals.tell(topic_of(self.claim.response_id), _encoder.encode(entry))

    async def _write(self) -> None:
        async with self._turn:
            while self._entry or self._due:
                if self._entry is None:
                    happened, self._due = self._due, []
                    told = sum(not isinstance(event, events.UNTOLD) for event in happened)
                    self._entry = (Entry(self._place, self._number, told, log.write(happened)), happened)
                entry, happened = self._entry
                await self._until_kept(entry, happened)
                self._entry = None
                self._place += 1
                self._number += entry.told
                self._untold.append(entry)

    async def _until_kept(self, entry: Entry, happened: Sequence[events.Event]) -> None:
        for wait in chain(_WAITS, repeat(_WAITS[-1])):
            if self._lost:
                raise self._gone()
            try:
                last = happened[-1]
                if isinstance(last, events.Finished):
                    await self._runs.finish(self.claim, last.response, entry)
                else:
                    items = {event.index: event.item for event in happened if isinstance(event, _KEPT)}
                    await self._runs.record(self.claim, entry, items)
            except errors.StorageUnavailable as error:
                _log.warning("run_waits_for_store", extra={"response_id": self.claim.response_id, "code": error.code})
            else:
                return
            await asyncio.sleep(wait)

    def _gone(self) -> errors.ClaimLost:
        return errors.ClaimLost("Somebody else performs this run")
