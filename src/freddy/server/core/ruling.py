"""Owns how rules become instructions: which of them a request is told, in which order, and how they fit in."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, relevance
from freddy.server.core.rules import HIGHEST, Considered, Reason, Rule, Verdict

Shorten = Callable[[str, int], str | None]
"""A text within so many characters, None where that cannot be; see `core.shortening`."""

REQUEST: Final = "request"
ASSISTANT: Final = "assistant"
SOURCES: Final = (REQUEST, ASSISTANT, "user", "vector_store", "model", "organization")
"""What may bring a rule: the more special comes first."""

_SHARE: Final = 3
"""A rule is not made shorter than this part of itself (a third) to make room; it is left out then."""
_OVERHEAD: Final = len("\n\n## \n\n")
_VALUE: Final = 200
"""Characters of a value of the rule context that the model is told."""
_PLACE: Final = re.compile(r"\{\{\s{0,20}rule_context\.([A-Za-z0-9_]{1,64})\s{0,20}\}\}")
_SAYS: Final = (
    ("request_type", "The request is of the type {}."),
    ("user_expertise", "The reader's expertise: {}."),
    ("output_format", "The format of the answer: {}."),
    ("target_audience", "The answer is for: {}."),
)


class Candidate(Struct, frozen=True):
    """A rule, and what brings it. `named`: by hand, which is what rules of mode `manual` wait for.

    `rule` None is one that was named once and is gone; `active` is whether it is attached still.
    """

    id: str
    name: str
    rule: Rule | None
    source: str
    priority: int
    character_limit: int | None = None
    named: bool = False
    active: bool = True


class Ruling(Struct, frozen=True):
    """`instructions` is what the model is told of rules, None where none applies; `considered` is in their order."""

    instructions: str | None = None
    considered: tuple[Considered, ...] = ()

    def after(self, instructions: str | None) -> str | None:
        """The instructions of the request, and the rules behind them."""
        if self.instructions is None or not instructions:
            return self.instructions or instructions
        return f"{instructions}\n\n{self.instructions}"


class _Placed(Struct, frozen=True):
    candidate: Candidate
    rule: Rule
    why: Reason
    text: str
    verdict: Verdict = "applied"

    @property
    def length(self) -> int:
        return len(self.text) + len(self.candidate.name) + _OVERHEAD

    @property
    def whole(self) -> bool:
        """Whether it is told as it is, or the request fails."""
        return self.candidate.priority >= HIGHEST


def ruled(
    candidates: Sequence[Candidate], context: Mapping[str, str], message: str, *, characters: int, shorten: Shorten
) -> Ruling:
    """What becomes of each rule. `message` is what the user said last, `characters` what all may take together.

    Raises `errors.ContextOverflow` when the rules that are told whole take more than that.
    """
    chosen, left = _chosen(candidates, context, message)
    placed: list[_Placed] = []
    for one in chosen:
        limited = _limited(one, shorten)
        if limited is None:
            left.append(_filtered(one.candidate, "character_limit"))
        else:
            placed.append(limited)
    told, dropped = _fitted(placed, characters, shorten)
    left += [_filtered(one.candidate, "budget") for one in dropped]
    return Ruling(_written(told, context), (*map(_told, told), *sorted(left, key=_place_of)))


def _chosen(
    candidates: Sequence[Candidate], context: Mapping[str, str], message: str
) -> tuple[list[_Placed], list[Considered]]:
    """Those that apply, each once and in their order, and the others."""
    judge = _Judge(context, message)
    best: dict[str, _Placed] = {}
    left: dict[str, Considered] = {}
    for one in sorted(candidates, key=_order):
        if one.id in best:
            continue
        why = judge.judged(one)
        if one.rule is not None and why in ("named", "always", "fits"):
            best[one.id] = _Placed(one, one.rule, why, _filled(one.rule.content, context))
            left.pop(one.id, None)
        else:
            left.setdefault(one.id, _filtered(one, why))
    return list(best.values()), list(left.values())


class _Judge:
    def __init__(self, context: Mapping[str, str], message: str) -> None:
        self._context = context
        self._message = message

    def judged(self, one: Candidate) -> Reason:
        if one.rule is None:
            return "deleted"
        if not (one.rule.is_active and one.active):
            return "inactive"
        if one.source == REQUEST:
            return "named"
        match one.rule.apply_mode:
            case "always":
                return "always"
            case "manual":
                return "named" if one.named else "not_named"
            case "auto":
                return "fits" if relevance.fits(one.rule, one.name, self._about) else "does_not_fit"

    @cached_property
    def _about(self) -> relevance.Subject:
        """Only rules of mode `auto` ask what a request is about, and most organizations have none."""
        return relevance.subject(self._context, self._message)


def _limited(one: _Placed, shorten: Shorten) -> _Placed | None:
    """Within the limits that it has by itself; None where no sentence of it is so short."""
    limits = [limit for limit in (one.candidate.character_limit, one.rule.character_limit) if limit is not None]
    if one.whole or not limits or len(one.text) <= min(limits):
        return one
    text = shorten(one.text, min(limits))
    return None if text is None else replace(one, text=text, verdict="compressed", why="character_limit")


def _fitted(placed: Sequence[_Placed], characters: int, shorten: Shorten) -> tuple[list[_Placed], list[_Placed]]:
    """Those that fit in, the lowest made shorter as far as needed; and those that had to go."""
    if sum(one.length for one in placed) <= characters:
        return list(placed), []
    needed = sum(one.length for one in placed if one.whole)
    if needed > characters:
        names = ", ".join(repr(one.candidate.id) for one in placed if one.whole)
        raise errors.ContextOverflow(
            f"Rules of priority {HIGHEST} take {needed} characters, and there is room for {characters}",
            param="rules",
            details=f"they are never left out: shorten them, or give them a lower priority ({names})",
        )
    kept: list[_Placed] = []
    dropped: list[_Placed] = []
    # The lowest go until the others fit in as short as they may become.
    least = needed + sum(_least(one) for one in placed if not one.whole)
    for one in reversed(placed):
        if one.whole or least <= characters:
            kept.append(one)
        else:
            least -= _least(one)
            dropped.append(one)
    kept.reverse()
    over = sum(one.length for one in kept) - characters
    for place in range(len(kept) - 1, -1, -1):
        one = kept[place]
        if over <= 0 or one.whole:
            continue
        text = shorten(one.text, max(len(one.text) - over, len(one.text) // _SHARE))
        over -= one.length if text is None else len(one.text) - len(text)
        if text is None:
            dropped.append(kept.pop(place))
        else:
            kept[place] = replace(one, text=text, verdict="compressed", why="budget")
    return kept, dropped


def _least(one: _Placed) -> int:
    return one.length - len(one.text) + len(one.text) // _SHARE


def _written(told: Sequence[_Placed], context: Mapping[str, str]) -> str | None:
    if not told:
        return None
    says = [says.format(_value(context[name])) for name, says in _SAYS if context.get(name)]
    known = dict(_SAYS)
    says += [f"{name.replace('_', ' ')}: {_value(value)}." for name, value in context.items() if name not in known]
    head = "# Rules\n\nThese rules hold for the answer. Where two of them disagree, the one that comes first holds."
    if says:
        head += "\n\n" + " ".join(says)
    return "\n\n".join((head, *(f"## {one.candidate.name}\n\n{one.text}" for one in told)))


def _filled(content: str, context: Mapping[str, str]) -> str:
    """With the values of the rule context in their places. What they hold is not looked at again."""
    if "{{" not in content:
        return content.strip()
    return _PLACE.sub(lambda place: _value(context.get(place[1], "")) or "not given", content).strip()


def _value(value: str) -> str:
    """In one line, and short: a value is a word or two, and no place for more instructions."""
    return " ".join(value.split())[:_VALUE]


def _order(one: Candidate) -> tuple[int, int, str, str]:
    return -one.priority, SOURCES.index(one.source), one.name, one.id


def _place_of(one: Considered) -> tuple[int, int, str, str]:
    return -one.priority, SOURCES.index(one.source), one.name, one.id


def _told(one: _Placed) -> Considered:
    return Considered(
        id=one.candidate.id,
        name=one.candidate.name,
        verdict=one.verdict,
        reason=one.why,
        source=one.candidate.source,
        priority=one.candidate.priority,
        characters=len(one.text),
    )


def _filtered(one: Candidate, why: Reason) -> Considered:
    return Considered(
        id=one.id,
        name=one.name,
        verdict="filtered",
        reason=why,
        source=one.source,
        priority=one.priority,
    )
