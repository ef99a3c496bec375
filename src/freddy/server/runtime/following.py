"""Lets callers follow a run, wherever it is performed: live, from its log, or over again when it has ended."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec

from freddy.server.core import events, log
from freddy.server.core.response import Response
from freddy.server.ports.channel import Batch, Channel
from freddy.server.ports.runs import Entry, RunStore
from freddy.server.ports.signals import Signals, topic_of
from freddy.server.ports.stores import ResponseStore
from freddy.server.runtime import journal, replay, runner

_PAGE = 200
"""Entries of a log that are read at once."""


class Following:
    """`poll_seconds` pass between two looks at a run that some other process performs, where nothing is heard of it.

    Once a run `is_left`, since this process stops, whoever follows it hears no more of it here, and follows it from
    elsewhere.
    """

    def __init__(
        self,
        *,
        channel: Channel,
        store: ResponseStore,
        runs: RunStore,
        signals: Signals,
        is_left: Callable[[str], bool] = lambda _: False,
        poll_seconds: float = 0.5,
    ) -> None:
        self._is_left = is_left
        self._channel = channel
        self._store = store
        self._runs = runs
        self._signals = signals
        self._poll = poll_seconds

    def follow(self, response: Response, after: int = -1) -> AsyncGenerator[Batch, None]:
        """The events with numbers above `after`, of a response just started or got, to the last.

        It ends before that where the response is deleted.
        """
        if self._channel.knows(response.id):
            return self._channel.follow(response.id, after)
        if response.request.background:
            return self._logged(response, after)
        if response.ended:
            return replay.follow(response, after)
        return self._awaited(response, after)

    async def _awaited(self, response: Response, after: int) -> AsyncGenerator[Batch, None]:
        """What another process makes in the foreground can be told when it has ended."""
        async with self._signals.hear(topic_of(response.id)) as hearing:
            while (current := await self._store.get(response.organization_id, response.id)) is not None:
                if current.ended:
                    async with aclosing(replay.follow(current, after)) as batches:
                        async for batch in batches:
                            yield batch
                    return
                if self._is_left(response.id):
                    return
                await hearing.next(self._poll)

    async def _logged(self, response: Response, after: int) -> AsyncGenerator[Batch, None]:
        number = after + 1
        if response.status == "queued" and (ahead := runner.opening(response)[number:]):
            # The log begins with whoever performs it. That it waits, and its id, are known before.
            yield number, ahead
            number += len(ahead)
        async with aclosing(self._entries(response)) as entries:
            async for entry in entries:
                try:
                    happened = log.read(entry.events, response)
                except (msgspec.MsgspecError, ValueError):
                    # Nobody can go on with it either: what there is of it is told when it has ended.
                    break
                over = log.is_end(happened)
                if over and not response.ended:
                    ended = await self._store.get(response.organization_id, response.id)
                    if ended is None:
                        return
                    happened = log.read(entry.events, ended)
                told = [event for event in happened if not isinstance(event, events.UNTOLD)]
                if heard := told[max(0, number - entry.first) :]:
                    yield number, heard
                    number += len(heard)
                elif over:
                    # It had heard more numbers than there are: it still hears the end.
                    yield number, replay.ending(told)
                if over:
                    return
        # Its log is forgotten by now, or has no end, or cannot be read.
        async with aclosing(self._awaited(response, number - 1)) as batches:
            async for batch in batches:
                yield batch

    async def _entries(self, response: Response) -> AsyncGenerator[Entry, None]:
        """The entries of a run's log as they come; no more when it is over."""
        place = -1
        async with self._signals.hear(topic_of(response.id)) as hearing:
            while True:
                page = await self._runs.log(response.id, after=place, most=_PAGE)
                for entry in page:
                    place = entry.place
                    yield entry
                if page:
                    continue
                if await self._is_over(response):
                    for entry in await self._runs.log(response.id, after=place):
                        yield entry
                    return
                if self._is_left(response.id):
                    return
                while (told := journal.heard(await hearing.next(self._poll))) is not None and told.place <= place + 1:
                    if told.place == place + 1:
                        place = told.place
                        yield told

    async def _is_over(self, response: Response) -> bool:
        found = await self._store.get(response.organization_id, response.id)
        return found is None or found.ended
