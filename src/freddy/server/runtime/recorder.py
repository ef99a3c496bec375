"""Keeps what a run tells before anyone hears it."""

from collections.abc import Sequence
from contextlib import suppress

from freddy.server.core import errors, events, items
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.ports.channel import Channel
from freddy.server.ports.stores import ResponseStore


class Recorder:
    """A run that tells nothing before its end is kept by one write, at its end; any other from its beginning on."""

    def __init__(self, responses: ResponseStore, channel: Channel) -> None:
        self._responses = responses
        self._channel = channel
        self._unopened: set[str] = set()

    async def open(self, run: Run) -> None:
        """Raises `errors.StorageUnavailable`: a run that cannot be kept does not begin."""
        response = run.response
        if response.request.store:
            if run.live:
                await self._responses.open(response)
            else:
                self._unopened.add(response.id)
        self._channel.open(response.id)

    async def tell(self, run: Run, batch: Sequence[events.Event]) -> None:
        """Keeps finished items and the end, then tells the batch. May be repeated when it was interrupted."""
        last, response = batch[-1], run.response
        if isinstance(last, events.Finished):
            await self.keep_end(last.response)
        elif response.request.store and (done := [event for event in batch if type(event) is events.ItemDone]):
            if response.id in self._unopened:
                # A conflict is with itself: the write that was interrupted had come through.
                with suppress(errors.Conflict):
                    await self._responses.open(response)
                self._unopened.discard(response.id)
            await self._responses.add_items(response.id, done[0].index, _items(done))
        self.tell_only(run, batch)

    async def keep_end(self, response: Response) -> None:
        if not response.request.store:
            return
        if response.id in self._unopened:
            await self._responses.keep(response)
            self._unopened.discard(response.id)
        else:
            await self._responses.finish(response)

    def give_up(self, run: Run) -> None:
        """Forgets a run that can never be kept."""
        self._unopened.discard(run.response.id)

    def tell_only(self, run: Run, batch: Sequence[events.Event]) -> None:
        if isinstance(batch[-1], events.Finished):
            # Only the last batch holds what is not told.
            batch = [event for event in batch if not isinstance(event, events.UNTOLD)]
        self._channel.append(run.response.id, batch)


def _items(done: Sequence[events.ItemDone]) -> list[items.Item]:
    return [event.item for event in sorted(done, key=lambda event: event.index)]
