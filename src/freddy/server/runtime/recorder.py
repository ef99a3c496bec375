"""Keeps what a run tells before anyone hears it."""

from collections.abc import Sequence

from freddy.server.core import events, items
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.ports.channel import Channel
from freddy.server.ports.stores import ResponseStore


class Recorder:
    def __init__(self, responses: ResponseStore, channel: Channel) -> None:
        self._responses = responses
        self._channel = channel

    async def open(self, run: Run) -> None:
        """Raises `errors.StorageUnavailable`: a run that cannot be kept does not begin."""
        if run.response.request.store:
            await self._responses.open(run.response)
        self._channel.open(run.response.id)

    async def tell(self, run: Run, batch: Sequence[events.Event]) -> None:
        """Keeps finished items and the end, then tells the batch. May be repeated when it was interrupted."""
        last = batch[-1]
        if run.response.request.store:
            if isinstance(last, events.Finished):
                await self.keep_end(last.response)
            elif done := [event for event in batch if type(event) is events.ItemDone]:
                await self._responses.add_items(run.response.id, done[0].index, _items(done))
        self.tell_only(run, batch)

    async def keep_end(self, response: Response) -> None:
        if response.request.store:
            await self._responses.finish(response)

    def tell_only(self, run: Run, batch: Sequence[events.Event]) -> None:
        if isinstance(batch[-1], events.Finished):
            # Only the last batch holds what is not told.
            batch = [event for event in batch if not isinstance(event, events.UNTOLD)]
        self._channel.append(run.response.id, batch)


def _items(done: Sequence[events.ItemDone]) -> list[items.Item]:
    return [event.item for event in sorted(done, key=lambda event: event.index)]
