"""Token counts where nobody counted: estimated from how text looks to tokenizers. Always marked as estimated."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeGuard

from msgspec.structs import replace

from freddy.server.core import calls, events, items
from freddy.server.core.deciding import CallModel, decide, next_turn
from freddy.server.core.request import Request
from freddy.server.core.run import Run
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Shares, Usage

UNCOUNTED: Final = Usage(estimated=True)
"""More than nothing, nobody knows how much."""


def _look(byte: int) -> int:
    """Which of `a`, `A`, `0` and `.` the byte looks like; a space where like none."""
    one = chr(byte) if 0x20 < byte < 0x7F else " "
    if one.isalpha():
        return ord("a" if one.islower() else "A")
    return ord("0" if one.isdigit() else "." if one != " " else " ")


_WORD, _NUMBER, _SIGNS = 1.0, 1.4, 0.85
"""Tokens of up to seven small letters, which a capital may begin, or of three capitals; of three digits; of three
signs: those of ASCII."""
_OTHERS = (
    # Letters with marks, CJK and its like, letters of other scripts, signs and emoji.
    (re.compile("[\u00a1-\u024f\u1e00-\u1eff]+"), 0.3),
    (re.compile("[\u0e00-\u0eff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+"), 0.75),
    (re.compile("[\u0250-\u0dff\u0f00-\u1dff\ua4d0-\uabff]+"), 0.4),
    (re.compile("[\u2010-\u2bff\U00010000-\U0001ffff]+"), 1.4),
)
"""Characters beyond ASCII, and tokens of one.

All these are what tokenizers of OpenAI and of open models take on average. With English and code this is within a tenth
of theirs; in other scripts they themselves are twice apart.
"""
_DEAREST = max(_WORD, _NUMBER, _SIGNS, *(weight for _, weight in _OTHERS))
"""Tokens of a character at most: no piece is shorter than one."""
_ASCII = re.compile("[\x00-\x7f]+")
_LOOKS = bytes(map(_look, range(256)))
_SMALL = bytes(byte if byte == ord("a") else ord(" ") for byte in range(256))
_SAMPLES = 16
_SAMPLE = 1024
"""Characters that are looked at in each of the samples of a long text: its length changes nothing for the loop."""
_TOKENS_PER_ITEM = 4
_TOKENS_PER_MEDIUM = 256


def usage(turn: Turn, said: Iterable[items.Item]) -> Usage:
    """What a turn took that was answered with `said`, whole or broken off."""
    return replace(heard(said), input_tokens=input_tokens(turn))


def heard(said: Iterable[items.Item]) -> Usage:
    """The same without the input."""
    said = tuple(said)
    reasoning = _items(item for item in said if isinstance(item, items.Reasoning))
    written = _items(item for item in said if not isinstance(item, items.Reasoning))
    return Usage(output_tokens=reasoning + written, reasoning_tokens=reasoning, estimated=True)


def completed(turn: Turn, said: Iterable[items.Item], told: Usage | None) -> Usage:
    """What a turn took that broke off: what its vendor `told` of it, and where that is not all, what was heard."""
    if told is not None and not told.estimated:
        return told
    told = told or Usage()
    words = heard(said)
    return replace(
        told,
        input_tokens=told.input_tokens or input_tokens(turn),
        output_tokens=max(told.output_tokens, words.output_tokens),
        reasoning_tokens=max(told.reasoning_tokens, words.reasoning_tokens),
        estimated=True,
    )


def broken_off(turn: Turn, said: Sequence[items.Item], told: Usage | None, *, choice: events.Choice) -> Usage | None:
    """The same, as far as it is in none of the calls of the `choice`, or more than that. None where it is nothing.

    What was `told` of who is still asked is more than nothing, however little.
    """
    if not choice.asking and choice.calls:
        # It was said to be over, with what its vendor told: not with all that was heard of it.
        ended = choice.calls[-1].usage
        if not said or (ended != calls.NOTHING and not ended.estimated):
            return told
        told = told or (ended if ended.estimated else None)
    return completed(turn, said, told) if said or told is not None else None


def unfinished(run: Run) -> Usage | None:
    """What the turn took that the run is in, as far as it was heard. None where nobody is asked, or it is in none."""
    outputs = (place for place, item in enumerate(run.output, 1) if isinstance(item, items.FunctionOutput))
    began = max(run.accounted, *outputs, 0)
    said = run.output[began:]
    step = decide(replace(run, output=run.output[:began]))
    asked = said or (run.asking is not None and run.asking.asking)
    return usage(step.turn, said) if asked and isinstance(step, CallModel) else None


def lost(run: Run, said: Sequence[items.Item]) -> events.TurnLost | None:
    """What was taken of who was asked when the process went that the run was in, and had `said` so much.

    None where nobody was. `run` is as it goes on: the turn is made again.
    """
    if run.asking is None:
        return None
    # What a run that cannot go on has read is not looked up any more: it was the request at least.
    again = run if run.context else replace(run, context=run.response.request.input)
    turn = next_turn(again)
    # Between two tries nobody is asked: what the last one took stands in the choice.
    used = completed(turn, said, None) if run.asking.asking else broken_off(turn, said, None, choice=run.asking)
    return events.TurnLost(used, run.asking)


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
    return math.ceil(_counted(text) * max(1.0, whole / max(1, len(text))))


def _counted(text: str) -> float:
    """Bytes are counted and put in the place of others, in C: a pattern that finds every word takes ten times as long,
    and every request reads what came before it.
    """
    looks = text.encode("utf-8", "surrogatepass").translate(_LOOKS)
    counted = _WORD * _words(looks) + _NUMBER * _threes(looks, b"0") + _SIGNS * _threes(looks, b".")
    others = "" if text.isascii() else _ASCII.sub("", text)
    for look, weight in _OTHERS:
        if not others:
            break
        rest = look.sub("", others)
        counted += weight * (len(others) - len(rest))
        others = rest
    return counted


def _words(looks: bytes) -> int:
    """A capital belongs to the small letters behind it, but for one that ends two or three capitals."""
    sevens = looks.count(b"aaaaaaa")
    rest = looks.replace(b"aaaaaaa", b" ")
    small = sevens + (b" " + rest.translate(_SMALL)).count(b" a")
    if b"A" not in looks:
        return small
    pairs = looks.replace(b"AAA", b" ").replace(b"AA", b" ")
    return small + _threes(looks, b"A") - pairs.count(b"Aa")


def _threes(looks: bytes, one: bytes) -> int:
    """How many pieces of up to three of these there are."""
    if one not in looks:
        return 0
    threes = looks.count(one * 3)
    rest = looks.replace(one * 3, b" ") if threes else looks
    return threes + rest.count(one) - rest.count(one * 2)


def sizes(several: Sequence[items.Item]) -> list[int]:
    """About how many tokens each of the items is among the others: what a character takes is looked at once for all."""
    texts = [_texts(item) for item in several]
    lengths = [sum(map(len, words)) for words in texts]
    each = tokens(word for words in texts for word in words) / max(1, sum(lengths))
    return [
        math.ceil(length * each) + _media(item) * _TOKENS_PER_MEDIUM + _TOKENS_PER_ITEM
        for item, length in zip(several, lengths, strict=True)
    ]


def sizes_at_most(several: Sequence[items.Item]) -> int:
    """No less than all `sizes` together, whichever of the items are looked at together: from lengths alone."""
    texts = [_texts(item) for item in several]
    # Each text has an end of line in a sample, and each item is rounded up twice.
    lengths = sum(len(word) + 1 for words in texts for word in words)
    media = sum(map(_media, several))
    return math.ceil(_DEAREST * lengths) + media * _TOKENS_PER_MEDIUM + (_TOKENS_PER_ITEM + 2) * len(several)


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
    if _is_text(item.parts):
        return 0
    return sum(not isinstance(part, items.Text | items.Refusal) for part in item.parts)


def _texts(item: items.Item) -> Sequence[str]:
    match item:
        case items.Message(parts=parts) | items.FunctionOutput(parts=parts):
            if _is_text(parts):
                return (parts[0].text,)
            refusals = (part.refusal for part in parts if isinstance(part, items.Refusal))
            return (*(part.text for part in parts if isinstance(part, items.Text)), *refusals)
        case items.FunctionCall():
            return item.name, item.arguments
        case items.HostedCall(parts=parts):
            return item.name, item.arguments, *(part.text for part in parts if isinstance(part, items.Text))
        case items.Reasoning():
            return item.texts or item.summaries
        case items.Compaction():
            return (item.summary or item.sealed,)
        case _:
            return ()


def _is_text(parts: Sequence[items.Part]) -> TypeGuard[tuple[items.Text]]:
    """As most are, and every item of a conversation is looked at."""
    return len(parts) == 1 and type(parts[0]) is items.Text
