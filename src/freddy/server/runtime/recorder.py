"""Keeps what a run tells before anyone hears it."""

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from freddy.server.core import errors, events
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.ports.channel import Channel
from freddy.server.ports.stores import ResponseStore
from freddy.server.ports.usage import UsageStore

_MOST_OWED = 10_000
_KEPT = (events.ItemDone, events.Called)
_AFTER_UNTOLD = (events.Finished, *events.UNTOLD)
"""What a batch ends with that holds something which is not told."""

_log = logging.getLogger(__name__)


class Recorder:
    """A run that tells nothing before its end is kept by one write, at its end, unless it is to be kept early.

    Any other is kept from its beginning on.

    Of a response that is not to be kept, `usage` keeps what it used.
    """

    def __init__(self, responses: ResponseStore, channel: Channel, usage: UsageStore | None = None) -> None:
        self._responses = responses
        self._channel = channel
        self._usage = usage
        self._unopened: set[str] = set()
        self._owed: deque[Response] = deque(maxlen=_MOST_OWED)
        """What the store could not take: no answer is held back for that."""

    async def open(self, run: Run) -> None:
        """Raises `errors.StorageUnavailable`: a run that cannot be kept does not begin."""
        response = run.response
        if response.request.store:
            if run.live or run.early:
                # Nothing waits before a run: it is under way as soon as it is kept.
                await self._responses.open(replace(response, status="in_progress"))
            else:
                self._unopened.add(response.id)
        self._channel.open(response.id)

    async def keep(self, run: Run, batch: Sequence[events.Event]) -> None:
        """Keeps finished items and the end. May be repeated when it was interrupted."""
        last, response = batch[-1], run.response
        if isinstance(last, events.Finished):
            await self.keep_end(last.response)
        elif response.request.store and (done := [event for event in batch if isinstance(event, _KEPT)]):
            if response.id in self._unopened:
                # A conflict is with itself: the write that was interrupted had come through.
                with suppress(errors.Conflict):
                    await self._responses.open(response)
                self._unopened.discard(response.id)
            await self._responses.add_items(response.id, {event.index: event.item for event in done})

    async def keep_end(self, response: Response) -> None:
        if not response.request.store:
            await self._account(response)
        elif response.id in self._unopened:
            await self._responses.keep(response)
            self._unopened.discard(response.id)
        else:
            await self._responses.finish(response)

    async def _account(self, response: Response) -> None:
        if self._usage is None:
            return
        due = (*self._owed, _bare(response))
        self._owed.clear()
        try:
            await self._usage.add(due)
        except errors.FreddyError as error:
            _log.error("usage_not_kept", extra={"response_id": response.id, "code": error.code})
            self._owed.extend(due)
        except BaseException:
            # Keeping it is repeated, and changes nothing where it had come through.
            self._owed.extend(due[:-1])
            raise

    def give_up(self, run: Run) -> None:
        """Forgets a run that can never be kept."""
        self._unopened.discard(run.response.id)

    def tell(self, run: Run, batch: Sequence[events.Event]) -> None:
        if isinstance(batch[-1], _AFTER_UNTOLD):
            batch = [event for event in batch if not isinstance(event, events.UNTOLD)]
            if not batch:
                return
        self._channel.append(run.response.id, batch)


def _bare(response: Response) -> Response:
    """Without what was said: what is owed may have to wait for long."""
    return replace(response, request=replace(response.request, input=()), output=())
