"""Makes the text of a rule shorter, always in the same way: no sentence and no block of code is ever cut through."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

# Whatever a text holds, each of these looks at a character a bounded number of times.
_FENCE: Final = re.compile(r"^(`{3,}|~{3,})[^\n]*$.*?(?:^\1[^\n]*$\n?|\Z)", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`[^`\n]+`")
_END: Final = re.compile(r"(?<=[.!?…])[\"')\]»”]*[ \t]+(?=[^\sa-z])|(?<=[。！？])")
_ABBREVIATED: Final = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|No|Fig|approx|z\.B|d\.h)\.|\b[A-Z]\.)$")
_LONGEST_END: Final = 16
"""Characters before the end of a sentence in which it may be told that it is none."""
_MARK: Final = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_EXAMPLE: Final = re.compile(
    r"^\W*(?:for (?:example|instance)|e\.g\.|examples?\b|such as\b|note that\b|background\b|in other words)",
    re.IGNORECASE,
)
_ORDER: Final = re.compile(
    r"\b(?:must|never|always|do not|don't|only|shall|may not|cannot|required?|forbidden|prohibited|avoid|ensure|refuse"
    r"|use|answer|reply|write|cite|keep|include|exclude|muss|nie|niemals|immer|nur|jamais|toujours|siempre|nunca)\b",
    re.IGNORECASE,
)
_ASIDE: Final = re.compile(r" ?\((?![^()]{0,300}\b(?:not|never|must|only|except)\b)[^()\n]{1,300}\)", re.IGNORECASE)
_COMMENT: Final = re.compile(r"<!--.{0,1000}?-->", re.DOTALL)
_LINK: Final = re.compile(r"!?\[([^\]\n]{0,300})\]\([^)\s]{0,1000}\)")
_EMPHASIS: Final = re.compile(r"(\*\*|__)(?=\S)(.{1,300}?)(?<=\S)\1")
_LEADING: Final = re.compile(r"^(?:[ \t]*(?:[-*_][ \t]*){3,}$|#{1,6}[ \t]+|[ \t]*>[ \t]?)", re.MULTILINE)


class _Unit(Struct, frozen=True):
    """A sentence or a block of code, and where it stands."""

    text: str
    paragraph: int
    line: int
    weight: int


def shorten(text: str, most: int) -> str | None:
    """The text within `most` characters, None where not even one of its sentences fits.

    Step by step, no further than needed: blanks, decoration, examples and asides, then the least important sentences.
    """
    for step in (_same, _without_blanks, _without_decoration, _without_asides):
        text = step(text) or text
        if len(text) <= most:
            return text or None
    return _chosen(list(_units(text)), most)


def _same(text: str) -> str:
    return text.strip()


def _without_blanks(text: str) -> str:
    def tidy(piece: str) -> str:
        lines = [re.sub(r"(?<=\S)[ \t]+", " ", line).rstrip() for line in piece.split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))

    return _outside_code(text.replace("\r\n", "\n"), tidy).strip()


def _without_decoration(text: str) -> str:
    def plain(piece: str) -> str:
        piece = _LINK.sub(r"\1", _COMMENT.sub("", piece))
        return _LEADING.sub("", _EMPHASIS.sub(r"\2", piece))

    return _without_blanks(_outside_code(text, plain))


def _without_asides(text: str) -> str:
    kept = [unit for unit in _units(_outside_code(text, lambda piece: _ASIDE.sub("", piece))) if unit.weight >= 0]
    return _joined(kept)


def _chosen(units: list[_Unit], most: int) -> str | None:
    """The weightiest units that fit, in their order."""
    kept: list[int] = []
    room = most
    for place in sorted(range(len(units)), key=lambda place: (-units[place].weight, place)):
        needed = len(units[place].text) + (2 if kept else 0)
        if needed <= room:
            kept.append(place)
            room -= needed
    return _joined([units[place] for place in sorted(kept)]) or None


def _units(text: str) -> Iterator[_Unit]:
    paragraph = line = 0
    after_example = False
    for piece, is_code in _pieces(text):
        if is_code:
            line += 1
            yield _Unit(piece.rstrip("\n"), paragraph, line, -1 if after_example else 1)
            after_example = False
            continue
        for each in piece.split("\n"):
            line += 1
            if not each.strip():
                paragraph += 1
                continue
            for place, sentence in enumerate(_sentences(each.rstrip())):
                after_example = bool(_EXAMPLE.match(_MARK.sub("", sentence)))
                yield _Unit(sentence, paragraph, line, _weight(sentence, place, line, example=after_example))


def _weight(sentence: str, place: int, line: int, *, example: bool) -> int:
    if example:
        return -1
    weight = 5 * bool(_ORDER.search(sentence)) + 2 * (place == 0) + 2 * (line == 1 and place == 0)
    # A title, or what leads over to a list, says little without what follows it.
    return weight if not sentence.endswith(":") else weight // 2


def _sentences(line: str) -> Iterator[str]:
    begun = 0
    for end in _END.finditer(_CODE.sub(lambda code: "x" * len(code.group()), line)):
        # What closes the sentence, such as a quotation mark, stays with it.
        last = line[max(begun, end.end() - _LONGEST_END) : end.end()].rstrip()
        if _ABBREVIATED.search(last) or (not begun and _MARK.fullmatch(line[: end.end()])):
            continue
        yield line[begun : end.end()].rstrip()
        begun = end.end()
    if rest := line[begun:].rstrip():
        yield rest


def _joined(units: list[_Unit]) -> str:
    words: list[str] = []
    before: _Unit | None = None
    for unit in units:
        if before is not None:
            same_paragraph = unit.paragraph == before.paragraph
            words.append(" " if unit.line == before.line else "\n" if same_paragraph else "\n\n")
        words.append(unit.text)
        before = unit
    return "".join(words)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, and whether each is a block of code."""
    begun = 0
    for fence in _FENCE.finditer(text):
        if fence.start() > begun:
            yield text[begun : fence.start()].removesuffix("\n"), False
        yield fence.group(), True
        begun = fence.end()
    if begun < len(text):
        yield text[begun:], False


def _outside_code(text: str, alter: Callable[[str], str]) -> str:
    """The text with `alter` done to all that is neither a block of code nor code in a line."""
    altered: list[str] = []
    begun = 0
    for fence in [*_FENCE.finditer(text), None]:
        prose = text[begun : fence.start() if fence else len(text)]
        altered.append(_outside_inline(prose, alter))
        if fence:
            altered.append(fence.group())
            begun = fence.end()
    return "".join(altered)


def _outside_inline(prose: str, alter: Callable[[str], str]) -> str:
    """Code is put aside meanwhile, so that what stands around it is seen as one."""
    prose = prose.replace("\0", "")
    aside = _CODE.findall(prose)
    places = iter(range(len(aside)))
    altered = alter(_CODE.sub(lambda _: f"\0{next(places)}\0", prose))
    return re.sub("\0(\\d+)\0", lambda mark: aside[int(mark[1])], altered)
