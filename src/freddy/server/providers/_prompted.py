"""Tools for models that know of none: they are told of them in words, and calls are found in what they write."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeAlias

import msgspec

from freddy.server.core import deltas
from freddy.server.core.turn import Turn
from freddy.server.providers import _tool_calls, _tool_prompt

Ask: TypeAlias = Callable[[Turn], AsyncGenerator[Sequence[deltas.Delta], None]]


async def answer(ask: Ask, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
    """The answer, with the calls that are found in what the model writes. `ask` has it write the turn as plain text."""
    offered = _tool_prompt.offered(turn)
    reader = _tool_calls.Reader(
        (tool.name for tool in offered),
        parallel=turn.parallel_tool_calls,
        answered=() if _tool_prompt.must_call(turn) else _tool_prompt.answered(turn),
    )
    async with contextlib.aclosing(ask(turn)) as asked:
        async for batch in asked:
            if not offered:
                yield batch
                continue
            stop = batch[-1] if batch and isinstance(batch[-1], deltas.Stop) else None
            told = reader.feed(batch[:-1] if stop else batch)
            if stop is None and reader.spent:
                stop = deltas.Stop("tool_calls")
            ended = reader.close(stop) if stop else []
            if reader.repeats:
                break
            if told or ended:
                yield [*told, *ended]
            if ended:
                return
    if reader.repeats:
        # Small models call again what they have the output of; without tools they answer with it.
        silent = msgspec.structs.replace(turn, tool_choice="none")
        async with contextlib.aclosing(ask(silent)) as asked:
            async for batch in asked:
                yield batch
