"""Token counts where nobody counted: estimated from how text looks to tokenizers. Always marked as estimated."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from freddy.server.core import items
from freddy.server.core.request import Request
from freddy.server.core.run import CallModel, Run, decide
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Shares, Usage

_LOOKS = (
    (re.compile("[A-Z]?[a-z]{1,7}|[A-Z]{1,3}"), 1.0),
    (re.compile("[0-9]{1,3}"), 1.4),
    (re.compile(r"[!-/:-@\[-`{-~]{1,3}"), 0.85),
    # Letters with marks, CJK and its like, letters of other scripts, signs and emoji.
    (re.compile("[\u00a1-\u024f\u1e00-\u1eff]"), 0.3),
    (re.compile("[\u0e00-\u0eff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"), 0.75),
    (re.compile("[\u0250-\u0dff\u0f00-\u1dff\ua4d0-\uabff]"), 0.4),
    (re.compile("[\u2010-\u2bff\U00010000-\U0001ffff]"), 1.4),
)
"""Pieces of text, and how many tokens one is on average with tokenizers of OpenAI and of open models.

With English and code this is within a tenth of theirs; in other scripts they themselves are twice apart.
"""
_DEAREST = max(weight for _, weight in _LOOKS)
"""Tokens of a character at most: no piece is shorter than one."""
_SAMPLES = 16
_SAMPLE = 1024
"""Characters that are looked at in each of the samples of a long text: its length changes nothing for the loop."""
_TOKENS_PER_ITEM = 4
_TOKENS_PER_MEDIUM = 256


def usage(turn: Turn, said: Iterable[items.Item]) -> Usage:
    """What a turn took that was answered with `said`, whole or broken off."""
    said = tuple(said)
    thought = tuple(item for item in said if isinstance(item, items.Reasoning))
    reasoning = _items(thought)
    output = reasoning + _items(item for item in said if not isinstance(item, items.Reasoning))
    return Usage(input_tokens(turn), output, reasoning_tokens=reasoning, estimated=True)


def unfinished(run: Run) -> Usage | None:
    """What the turn took that the run is in, as far as it was heard. None where it said nothing, or is in none."""
    outputs = (place for place, item in enumerate(run.output, 1) if isinstance(item, items.FunctionOutput))
    began = max(run.accounted, *outputs, 0)
    said = run.output[began:]
    step = decide(replace(run, output=run.output[:began]))
    return usage(step.turn, said) if said and isinstance(step, CallModel) else None


def wanted(request: Request) -> bool:
    """Whether the caller wants to know what the tokens went to: `shares` looks at every text for it."""
    return bool(request.include) and ("usage.detailed" in request.include or "all" in request.include)


def shares(run: Run, turn: Turn, said: Sequence[items.Item], *, used: Usage) -> Shares:
    """What the tokens of a turn went to: those that somebody counted, divided as an estimate would be.

    `run` is as it was before the turn, which was answered with `said`. What the run itself said before is part of the
    context, but for the outputs of tools.
    """
    own = run.response.request.input
    history = max(0, len(run.context) - len(own))
    context, system, tools, rest = 0, tokens([turn.instructions or ""]), tokens(_definitions(turn)), 0
    earlier = {item.id for item in run.context[:history]}
    asked = {item.id for item in own}
    for item, size in zip(turn.items, sizes(turn.items), strict=True):
        if isinstance(item, items.Message) and item.role in ("system", "developer"):
            system += size
        elif item.id in earlier:
            context += size
        elif isinstance(item, items.FunctionOutput):
            tools += size
        elif item.id in asked:
            rest += size
        else:
            context += size
    read = context + system + tools + rest
    visible = [item for item in said if not isinstance(item, items.Reasoning)]
    written = sizes(visible)
    called = sum(
        size
        for item, size in zip(visible, written, strict=True)
        if isinstance(item, items.FunctionCall | items.HostedCall)
    )
    output = max(0, used.output_tokens - used.reasoning_tokens)
    return Shares(
        context=used.input_tokens * context // max(1, read),
        system=used.input_tokens * system // max(1, read),
        tools=used.input_tokens * tools // max(1, read),
        tool_execution=output * called // max(1, sum(written)),
    )


def input_tokens(turn: Turn) -> int:
    words = [turn.instructions or "", *_definitions(turn)]
    return tokens(words) + _items(turn.items) + _TOKENS_PER_ITEM * len(turn.items)


def at_most(turn: Turn) -> int:
    """No less than `input_tokens`, from the lengths of the texts alone."""
    read = [turn.instructions or "", *_definitions(turn), *(text for item in turn.items for text in _texts(item))]
    media = sum(map(_media, turn.items))
    more = media * _TOKENS_PER_MEDIUM + _TOKENS_PER_ITEM * len(turn.items) + 2
    return math.ceil(_DEAREST * sum(map(len, read))) + more


def _definitions(turn: Turn) -> Iterator[str]:
    for tool in turn.tools:
        yield tool.name
        yield tool.description or ""
        yield bytes(tool.parameters or b"").decode(errors="replace")


def tokens(texts: Iterable[str]) -> int:
    """Rounded up; 0 for no text."""
    text = "\n".join(texts)
    whole, step = len(text), len(text) // _SAMPLES
    if step > _SAMPLE:
        text = "\n".join(text[place : place + _SAMPLE] for place in range(0, step * _SAMPLES, step))
    counted = sum(weight * len(piece.findall(text)) for piece, weight in _LOOKS)
    return math.ceil(counted * max(1.0, whole / max(1, len(text))))


def sizes(several: Sequence[items.Item]) -> list[int]:
    """About how many tokens each of the items is among the others: what a character takes is looked at once for all."""
    texts = [list(_texts(item)) for item in several]
    lengths = [sum(map(len, words)) for words in texts]
    each = tokens(word for words in texts for word in words) / max(1, sum(lengths))
    return [
        math.ceil(length * each) + _media(item) * _TOKENS_PER_MEDIUM + _TOKENS_PER_ITEM
        for item, length in zip(several, lengths, strict=True)
    ]


def _items(several: Iterable[items.Item]) -> int:
    texts: list[str] = []
    media = 0
    for item in several:
        texts += _texts(item)
        media += _media(item)
    return tokens(texts) + media * _TOKENS_PER_MEDIUM


def _media(item: items.Item) -> int:
    if not isinstance(item, items.Message | items.FunctionOutput | items.HostedCall):
        return 0
    return sum(not isinstance(part, items.Text | items.Refusal) for part in item.parts)


def _texts(item: items.Item) -> Iterator[str]:
    match item:
        case items.Message(parts=parts) | items.FunctionOutput(parts=parts):
            yield from (part.text for part in parts if isinstance(part, items.Text))
            yield from (part.refusal for part in parts if isinstance(part, items.Refusal))
        case items.FunctionCall():
            yield item.name
            yield item.arguments
        case items.HostedCall(parts=parts):
            yield item.name
            yield item.arguments
            yield from (part.text for part in parts if isinstance(part, items.Text))
        case items.Reasoning():
            yield from item.texts or item.summaries
        case items.Compaction():
            yield item.summary or item.sealed
        case _:
            return
