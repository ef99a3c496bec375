"""Makes one list of what several searches have found, with scores from 0 to 1 that mean something. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace

from freddy.server.core.vector_stores import Passage
from freddy.server.core.wording import telling

Scored: TypeAlias = Mapping[tuple[str, str], Passage]
"""Passages by file and text: a file that is in two stores is found once."""

_SHARED: Final = 1 / 3
"""The part of a passage that a better one may have as well."""
_NEIGHBOURS: Final = 2
_TAIL: Final = 48
"""Characters by which it is seen where one passage goes on in the next."""


def by_meaning(near: Iterable[Passage]) -> Scored:
    """Scores are cosines of question and passage."""
    return _best(near)


def by_words(matching: Sequence[Passage], query: str) -> Scored:
    """The best passage scores the part of the question's telling words that it has, the others in proportion."""
    if not matching:
        return {}
    wanted = telling(query)
    best = matching[0]
    covered = len(wanted & telling(best.text)) / len(wanted) if wanted else 1.0
    # What matches by other forms of a word only is not nothing.
    scale = max(covered, 0.05)
    return _best(replace(passage, score=passage.score * scale) for passage in matching)


def together(meaning: Scored, words: Scored, *, semantic_weight: float, lexical_weight: float) -> Scored:
    """Scores are the weighted means; what one of them has not found scores 0 there."""
    whole = semantic_weight + lexical_weight
    if whole <= 0:
        semantic_weight = lexical_weight = 1.0
        whole = 2.0
    fused: dict[tuple[str, str], Passage] = {}
    for key, passage in {**words, **meaning}.items():
        near = semantic_weight * meaning[key].score if key in meaning else 0.0
        said = lexical_weight * words[key].score if key in words else 0.0
        fused[key] = replace(passage, score=(near + said) / whole)
    return fused


def merged(several: Iterable[Scored]) -> Scored:
    """Of several questions: a passage scores what it scores for the one that it answers best."""
    return _best(passage for scored in several for passage in scored.values())


def chosen(scored: Scored, *, most: int, least_score: float) -> list[Passage]:
    """The best, without those that mostly repeat a better one that stands beside them in the file."""
    kept: list[Passage] = []
    beside: dict[tuple[str, str], list[Passage]] = {}
    for passage in sorted(scored.values(), key=lambda one: (-one.score, one.file_id, one.place)):
        if len(kept) == most or passage.score < least_score:
            break
        others = beside.setdefault((passage.store_id, passage.file_id), [])
        if any(_repeats(passage, other) for other in others):
            continue
        others.append(passage)
        kept.append(replace(passage, score=round(min(1.0, max(0.0, passage.score)), 4)))
    return kept


def _best(passages: Iterable[Passage]) -> Scored:
    found: dict[tuple[str, str], Passage] = {}
    for passage in passages:
        key = (passage.file_id, passage.text)
        if key not in found or found[key].score < passage.score:
            found[key] = passage
    return found


def _repeats(passage: Passage, better: Passage) -> bool:
    if abs(passage.place - better.place) > _NEIGHBOURS:
        return False
    first, second = sorted((passage, better), key=lambda one: one.place)
    shared = second.text.find(first.text[-_TAIL:]) + _TAIL
    return shared >= _TAIL and shared > _SHARED * len(passage.text)
