"""Has a model write the summaries that take the place of what was said, and makes compactions of them."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from freddy.server.core import compaction, errors, events, ids, items
from freddy.server.core.compaction import Split
from freddy.server.core.deltas import Delta
from freddy.server.core.run import Run
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.core.window import Sized
from freddy.server.ports.model import Model
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime import estimate
from freddy.server.runtime.seals import Seals

_PIECE_SHARE: Final = 2
"""A piece takes half of what the model reads: tokens are estimated, and in some scripts they are twice as many."""
_SMALLEST_PIECE: Final = 200
_ANSWER_SHARE: Final = 4
_ANSWER: Final = 8192
"""Where a model does not think, its summary is broken off at this many tokens, or at a quarter of its window."""
_MOST_LEVELS: Final = 8


class Passing:
    """A compaction under way: `turning` is the summary that is being written, and `said` what is whole of it."""

    def __init__(self) -> None:
        self.turn: Turn | None = None
        self.turning: Transcript | None = None
        self.said: list[items.Item] = []
        self.began = 0.0
        self.written: tuple[str, events.Compacted] | None = None

    @property
    def choice(self) -> events.Choice:
        return self.turning.choice if self.turning is not None else events.Choice()

    def end(self) -> events.Choice:
        """Of the summary, which is told of: nobody is asked until the next one."""
        choice, self.turning = self.choice, None
        return choice

    def hear(self, batch: Sequence[Delta]) -> Sequence[events.Event]:
        """What there is to tell of what the model says."""
        assert self.turning is not None
        tries, told = self.turning.tries, self.turning.feed(batch)
        self.said += [event.item for event in told if isinstance(event, events.ItemDone)]
        return [events.Asked(self.turning.choice)] if self.turning.tries != tries and not self.turning.done else ()

    def taken(self, told: Usage | None) -> Usage | None:
        """What a summary took that came to nothing: what is `told` of it, and where that is not all, what was heard.

        None where that is nothing, or was told before.
        """
        if self.turn is None or self.turning is None:
            return told
        asked = estimate.UNCOUNTED if self.choice.asking else None
        told = told or self.turning.usage or self.turning.counted or asked
        open_ = [event.item for event in self.turning.close("incomplete") if isinstance(event, events.ItemDone)]
        self.said += open_
        return estimate.broken_off(self.turn, self.said, told, choice=self.choice)


class Compactor:
    def __init__(self, *, seals: Seals, clock: Clock, ids: IdSource) -> None:
        self._seals = seals
        self._clock = clock
        self._ids = ids

    def due(self, run: Run, turn: Turn) -> Split | None:
        """How the conversation is to be shortened before this turn; None where it need not be."""
        limits = run.compaction
        if limits is None or estimate.input_tokens(turn) <= limits.threshold:
            return None
        return compaction.split(_sized(run), limits)

    async def perform(
        self, run: Run, model: Model, passing: Passing, split: Split | None = None
    ) -> AsyncGenerator[list[events.Event], None]:
        """Ends with the compaction. Raises what keeps a summary from being written."""
        limits = run.compaction
        assert limits is not None
        split = split or compaction.split(_sized(run), limits)
        assert split is not None
        texts: Sequence[str] = tuple(compaction.record(split.older))
        if not texts:
            raise errors.InvalidRequest(
                "There is nothing to compact",
                param="input",
                details="send the conversation as input, or name the response that it ended with",
            )
        index = len(run.output)
        empty = items.Compaction(self._ids.new(ids.COMPACTION), sealed="")
        yield [events.ItemAdded(index, empty)]
        asked, room = compaction.INSTRUCTIONS, self._room(run)
        for _ in range(_MOST_LEVELS):
            waiting = deque(await _pieces(texts, room))
            written: list[str] = []
            while waiting:
                piece = waiting.popleft()
                yield [events.CallProgress(index, empty.id, "compaction", "in_progress")]
                try:
                    async with aclosing(self._pass(run, model, piece, passing, asked=asked)) as asking:
                        async for told in asking:
                            yield [*told]
                except errors.ContextOverflow:
                    if room // 2 < _SMALLEST_PIECE:
                        raise
                    # More tokens than estimated: what is left is told in smaller pieces.
                    room //= 2
                    waiting = deque(await _pieces([piece, *waiting], room))
                    yield [_broken_off(passing.end())]
                    continue
                assert passing.written is not None
                summary, ended = passing.written
                written.append(summary)
                if len(written) == 1 and not waiting:
                    made = replace(empty, summary=summary, before=split.before, after=split.after)
                    closed = await self._seals.close(made, run.response)
                    yield [events.ItemDone(index, closed), ended]
                    return
                passing.end()
                yield [ended]
            texts, asked = written, compaction.MERGE
        raise errors.ProviderFailed(
            "The model did not make its summaries of the conversation any shorter",
            details="choose a model that reads more, or send less",
        )

    async def _pass(
        self, run: Run, model: Model, piece: str, passing: Passing, *, asked: str
    ) -> AsyncGenerator[Sequence[events.Event], None]:
        """One summary, and what it took: `written` tells them."""
        limits = run.compaction
        assert limits is not None
        turn = self._turn(run, model, piece, asked)
        turning = passing.turning = Transcript(index=0, new_id=self._ids.new)
        passing.turn, passing.written = turn, None
        passing.began = self._clock.monotonic()
        said = passing.said = []
        async with aclosing(model.stream(turn)) as saying:
            async for batch in saying:
                if told := passing.hear(batch):
                    yield told
                if turning.done:
                    break
        summary = "\n\n".join(item.text for item in said if isinstance(item, items.Message)).strip()
        if not turning.done:
            raise errors.ProviderFailed(f"{model.profile.provider} ended before its summary did")
        usage = turning.usage or estimate.usage(turn, said)
        choice = turning.choice
        if not choice.milliseconds:
            choice = replace(choice, milliseconds=round((self._clock.monotonic() - passing.began) * 1000))
        if turning.finish == "content_filter" or not summary:
            failed = errors.ProviderFailed(
                "The model wrote no summary of the conversation",
                details="ask again, or with another model; without context_management nothing is shortened",
            )
            failed.usage = usage
            raise failed
        if turning.finish == "length":
            short = "a summary of the conversation was broken off at its longest: its end may be missing"
            choice = replace(choice, warnings=(*choice.warnings, short))
        passing.written = (summary, events.Compacted(usage, turning.model, choice))

    def _turn(self, run: Run, model: Model, piece: str, asked: str) -> Turn:
        limits = run.compaction
        assert limits is not None
        return Turn(
            model=run.model,
            items=(items.Message(self._ids.new(ids.MESSAGE), "user", (items.Text(piece),)),),
            instructions=asked.format(words=limits.words),
            # A model that thinks takes as much for that as it takes: nobody knows what is left for the words.
            max_output_tokens=None if model.profile.reasoning else min(_ANSWER, limits.window // _ANSWER_SHARE),
            tool_choice="none",
            live=run.live,
            organization_id=run.response.organization_id,
            cache_key=run.cache_key,
        )

    def _room(self, run: Run) -> int:
        """Tokens of a piece."""
        assert run.compaction is not None
        return max(_SMALLEST_PIECE, run.compaction.window // _PIECE_SHARE - estimate.tokens([compaction.INSTRUCTIONS]))


async def _pieces(texts: Sequence[str], room: int) -> list[str]:
    """Of millions of characters that takes seconds, in which others must not wait."""
    return await asyncio.to_thread(compaction.pieces, texts, room, estimate.tokens)


def _sized(run: Run) -> list[Sized]:
    said = compaction.current(run.context, run.output)
    return [Sized(item, tokens) for item, tokens in zip(said, estimate.sizes(said), strict=True)]


def _broken_off(choice: events.Choice) -> events.Event:
    """What came to nothing was asked for all the same."""
    return events.Compacted(choice=choice, written=False)
