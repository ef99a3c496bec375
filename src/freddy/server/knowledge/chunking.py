"""Cuts a text into chunks: at its own joints, never longer than asked, with nothing of it lost. Pure.

A text is first taken apart into atoms: sentences, lines of code, rows of tables. A chunk is a run of them, and ends
where the text itself makes the deepest break. The next chunk begins with the last whole atoms of the one before, and
with what a reader needs who sees it alone: the page, the headings that it stands under, the head of its table.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from freddy.server.core import media_types
from freddy.server.core.vector_stores import Chunking

Form: TypeAlias = Literal["prose", "lines", "rows"]
"""What a text is made of: paragraphs with sentences, lines that stand for themselves (code), or rows under a head."""

# Whatever a text holds, each of these looks at a character a bounded number of times.
_PIECE: Final = re.compile(
    r"[A-Z]?[a-z]{1,7}|[A-Z]{1,3}|[0-9]{1,3}|[!-/:-@\[-`{-~]{1,3}|\s{16}|[\x00-\x08\x0e-\x1f\x7f]"
)
_OTHERS: Final = re.compile(r"[^\x00-\x7f\s]")
_WIDE: Final = re.compile("[\u0e00-\u0eff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00010000-\U0010ffff]")
"""Scripts where a character is about a token, and emoji."""
_OTHER_TOKENS: Final = 0.5

_LINE: Final = re.compile(r"(?:[ \t]*\n)+|[^\n]*\n|[^\n]+")
"""A line, or all blank ones that follow each other."""
_MARK: Final = re.compile(r"\[(?:Page|Slide|Sheet) [^\]\n]{1,100}\]\s*")
"""Where a page begins, as the texts of documents have it."""
_SHEET: Final = "[Sheet "
_HEADING: Final = re.compile(r"(#{1,6})[ \t]+\S")
_UNDERLINE: Final = re.compile(r"[ \t]*(?:={3,}|-{3,})\s*")
_FENCE: Final = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"\s*(?:[-*+•]|\(?\d{1,3}[.)])\s")
_TABLE: Final = re.compile(r"[ \t]*\|")
_END: Final = re.compile(r"(?<=[.!?…])[\"')\]»”]*[ \t]+(?=[^\sa-z])|(?<=[。！？])(?=[^\s」』）])")
_ABBREVIATED: Final = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|No|Fig|approx|z\.B|d\.h)\.|\b[A-Z]\.)$")
_LONGEST_END: Final = 16
"""Characters before the end of a sentence in which it may be told that it is none."""
_ENDS_LINE: Final = (".", "!", "?", "…", ":", ";", "。", "！", "？", ">", "|")

_SENTENCE, _SAME_LINE, _PARAGRAPH, _SECTION, _PAGE = 0, 1, 2, 3, 4
"""How deep a break is."""
_STUCK: Final = -1
"""What belongs to the atom before, such as the first words under a heading."""
_CONTEXT: Final = 4
"""The part of a chunk that its context may take: one in so many."""
_ROW_LINES: Final = 64
"""Lines of a row at most: a quotation mark that is never closed must not swallow the table."""
_FEW: Final = 12
"""Tokens that lie together, where no deeper break is between them: a text of tiny lines has not a million atoms."""
_SLICE: Final = 65_536
"""Characters that are counted at once."""
_PLAIN: Final = ("txt", "text", "md", "markdown", "rst", "tex", "org")
"""Extensions of prose that is text as it stands."""


class Cut(Struct, frozen=True):
    """A chunk: `text` is its `context`, then what stands from `start` to `end` in the text. `tokens` are estimated."""

    text: str
    start: int
    end: int
    tokens: int
    context: str = ""


class _Atom(Struct, frozen=True, gc=False):
    """`depth` is that of the break before it; `context` what a reader has to know who begins here."""

    start: int
    end: int
    tokens: float
    depth: int
    context: tuple[str, ...] = ()


def form_of(media_type: str, filename: str) -> Form:
    """By its type, and where that only says text, by its name."""
    kind = media_types.format_of(media_type)
    if kind == "xlsx" or media_type in ("text/csv", "text/tab-separated-values"):
        return "rows"
    if kind != "text" or media_type == "text/markdown":
        return "prose"
    if media_type != "text/plain":
        return "lines"
    code = media_types.told(None, filename, b"") == media_type and filename.lower().rpartition(".")[2] not in _PLAIN
    return "lines" if code else "prose"


def tokens(text: str) -> float:
    """About how many tokens a text is to most models. Of a text in two parts never much more than of both."""
    if len(text) > _SLICE:
        return sum(tokens(text[start : start + _SLICE]) for start in range(0, len(text), _SLICE))
    counted: float = len(_PIECE.findall(text))
    if not text.isascii():
        wide = len(_WIDE.findall(text))
        counted += wide + _OTHER_TOKENS * (len(_OTHERS.findall(text)) - wide)
    return counted


def cut(text: str, chunking: Chunking, form: Form = "prose") -> list[Cut]:
    """The chunks of a text in their order; none of a blank one."""
    if not text.strip():
        return []
    return list(_packed(text, list(_atoms(text, form, most=chunking.tokens)), chunking))


def windows(text: str, most: int) -> list[str]:
    """The text in parts of about the same size, none longer than `most` tokens: what an embedder reads at once."""
    whole = tokens(text)
    if whole <= most:
        return [text]
    parts: list[str] = []
    start, left = 0, math.ceil(whole / (0.9 * most))
    while start < len(text):
        end = len(text) if left <= 1 else _blank(text, start, start + math.ceil((len(text) - start) / left))
        # Where words are longer than elsewhere, an even part of the characters has too many tokens.
        parts += [text[first:last] for first, last, _ in _pieces(text, start, end, most=most)]
        start, left = end, left - 1
    return parts


def _packed(text: str, atoms: Sequence[_Atom], chunking: Chunking) -> Iterator[Cut]:
    sums = [0.0, *accumulate(atom.tokens for atom in atoms)]
    first, done = 0, 0
    while done < len(atoms):
        context = _context(atoms[first], most=chunking.tokens // _CONTEXT)
        room = chunking.tokens - tokens(context)
        # What the chunk before has as well goes, one atom after the other, until there is room for something new.
        if first < done and sums[done + 1] - sums[first] > room:
            first += 1
            continue
        last = done + 1
        while last < len(atoms) and sums[last + 1] - sums[first] <= room:
            last += 1
        if last < len(atoms):
            last = _joint(atoms, sums, done, last)
        if not text[atoms[done].start : atoms[last - 1].end].isspace():
            yield _cut(text, context, atoms[first].start, atoms[last - 1].end, sums[last] - sums[first])
        first, done = last, last
        while first > 0 and sums[done] - sums[first - 1] <= chunking.overlap:
            first -= 1
        while first < done and not atoms[first].tokens:
            first += 1


def _joint(atoms: Sequence[_Atom], sums: Sequence[float], done: int, last: int) -> int:
    """The atom to end before: the deepest break in the second half of what is new, the last of those."""
    least = sums[done] + (sums[last] - sums[done]) / 2
    best = last
    place = last - 1
    while place > done and sums[place] >= least:
        if atoms[place].depth > atoms[best].depth:
            best = place
        place -= 1
    if atoms[best].depth == _STUCK:
        # What belongs together is longer than half a chunk.
        while best > done + 1 and atoms[best].depth == _STUCK:
            best -= 1
        return last if atoms[best].depth == _STUCK else best
    return best


def _cut(text: str, context: str, start: int, end: int, size: float) -> Cut:
    body = text[start:end].strip("\n")
    whole = f"{context}\n{body}" if context else body
    return Cut(whole.rstrip(), start, end, math.ceil(size + tokens(context)), context)


def _context(atom: _Atom, most: int) -> str:
    """As much of it as there is room for: what is nearest counts most."""
    kept: list[str] = []
    for line in reversed(atom.context):
        most -= math.ceil(tokens(line))
        if most < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept))


def _atoms(text: str, form: Form, *, most: int) -> Iterator[_Atom]:
    """All of the text, each atom no longer than `most` tokens."""
    match form:
        case "prose":
            found = _Prose(text).atoms()
        case "lines":
            found = _lines(text)
        case "rows":
            found = _rows(text)
    # Room for a context beside the longest one.
    most -= most // _CONTEXT
    for atom in _gathered(found):
        if atom.tokens <= most:
            yield atom
            continue
        depth = atom.depth
        for start, end, size in _pieces(text, atom.start, atom.end, most=most):
            yield _Atom(start, end, size, depth, atom.context)
            depth = _SENTENCE


def _gathered(atoms: Iterator[_Atom]) -> Iterator[_Atom]:
    """With the tiniest of them put together."""
    before = None
    for atom in atoms:
        if (
            before is not None
            and atom.depth <= _SAME_LINE
            and before.tokens + atom.tokens <= _FEW
            and atom.context == before.context
        ):
            before = _Atom(before.start, atom.end, before.tokens + atom.tokens, before.depth, before.context)
            continue
        if before is not None:
            yield before
        before = atom
    if before is not None:
        yield before


def _pieces(text: str, start: int, end: int, *, most: int) -> Iterator[tuple[int, int, float]]:
    """Something long without joints, in pieces that end at a blank where there is one."""
    guess = 4 * most
    while start < end:
        stop = min(end, start + guess)
        size = tokens(text[start:stop])
        if size > most and stop - start > 1:
            guess = max(1, min(guess - 1, int((stop - start) * most / size * 0.95)))
            continue
        if stop < end:
            stop = _blank(text, start, stop)
            size = tokens(text[start:stop])
        yield start, stop, size
        start = stop
        if size < most * 0.7:
            guess = 2 * guess


def _blank(text: str, start: int, stop: int) -> int:
    """Behind the last blank before `stop`, but not long before."""
    blank = max(text.rfind(" ", start, stop), text.rfind("\n", start, stop))
    return blank + 1 if blank > start + (stop - start) // 2 else stop


class _Prose:
    """Takes prose apart, line by line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._page: tuple[str, ...] = ()
        self._headings: list[tuple[int, str]] = []
        self._table: tuple[str, ...] = ()
        self._depth = _PAGE

    def atoms(self) -> Iterator[_Atom]:
        spans = [match.span() for match in _LINE.finditer(self._text)]
        place, fence = 0, ""
        while place < len(spans):
            start, end = spans[place]
            line = self._text[start:end]
            place += 1
            following = self._line(spans, place)
            if not line.strip():
                yield self._atom(start, end, depth=_STUCK)
                if self._depth != _STUCK:
                    self._depth = max(self._depth, _SAME_LINE if fence else _PARAGRAPH)
            elif fence or (opened := _FENCE.match(line)):
                self._table = ()
                if not fence and opened:
                    fence = opened[1]
                    yield self._atom(start, end)
                    self._depth = _STUCK
                    continue
                closes = line.strip().startswith(fence) and not line.strip().strip(fence[0])
                yield self._atom(start, end, depth=_STUCK if closes else None)
                fence = "" if closes else fence
                self._depth = _PARAGRAPH if closes else _SENTENCE
            elif _MARK.fullmatch(line):
                self._page, self._table = (line.strip(),), ()
                yield self._atom(start, end, depth=_PAGE, context=())
                self._depth = _STUCK
            elif heading := _HEADING.match(line):
                yield self._heading(start, end, level=len(heading[1]))
            elif self._depth not in (_SENTENCE, _SAME_LINE) and len(line) <= 200 and _is_underlined(line, following):
                level = 1 if following.lstrip().startswith("=") else 2
                yield self._heading(start, spans[place][1], level=level)
                place += 1
            elif _TABLE.match(line):
                yield from self._row(start, end, following=following)
            else:
                self._table = ()
                while place < len(spans) and _goes_on(line, following):
                    line, end = following, spans[place][1]
                    place += 1
                    following = self._line(spans, place)
                yield from self._sentences(start, end)

    def _line(self, spans: Sequence[tuple[int, int]], place: int) -> str:
        return self._text[slice(*spans[place])] if place < len(spans) else ""

    def _heading(self, start: int, end: int, *, level: int) -> _Atom:
        self._headings = [one for one in self._headings if one[0] < level]
        above = tuple(line for _, line in self._headings)
        self._headings.append((level, self._text[start:end].strip().partition("\n")[0]))
        self._table = ()
        atom = self._atom(start, end, depth=max(_SECTION, self._depth), context=(*self._page, *above))
        self._depth = _STUCK
        return atom

    def _row(self, start: int, end: int, *, following: str) -> Iterator[_Atom]:
        if not self._table and _is_rule(following):
            yield self._atom(start, end)
            self._table = (self._text[start:end].rstrip(), following.rstrip())
            self._depth = _STUCK
            return
        yield self._atom(start, end, context=() if _is_rule(self._text[start:end]) else None)
        self._depth = _SENTENCE

    def _sentences(self, start: int, end: int) -> Iterator[_Atom]:
        for match in _END.finditer(self._text, start, end):
            stop = match.end()
            if _ABBREVIATED.search(self._text[max(start, match.start() - _LONGEST_END) : match.start()]):
                continue
            yield self._atom(start, stop)
            start, self._depth = stop, _SENTENCE
        if start < end:
            yield self._atom(start, end)
        self._depth = _SAME_LINE

    def _atom(self, start: int, end: int, *, depth: int | None = None, context: tuple[str, ...] | None = None) -> _Atom:
        if context is None:
            context = (*self._page, *(line for _, line in self._headings), *self._table)
        return _Atom(start, end, tokens(self._text[start:end]), self._depth if depth is None else depth, context)


def _is_rule(line: str) -> bool:
    """Whether it is what stands below the head of a table."""
    return "-" in line and not line.strip(" \t\r\n:|-")


def _is_underlined(line: str, following: str) -> bool:
    return bool(_UNDERLINE.fullmatch(following)) and not _UNDERLINE.fullmatch(line)


def _goes_on(line: str, following: str) -> bool:
    """Whether a sentence is only broken into lines, as pages break them."""
    return (
        following[:1].islower()
        and not line.rstrip().endswith(_ENDS_LINE)
        and not _ITEM.match(following)
        and not _FENCE.match(following)
    )


def _lines(text: str) -> Iterator[_Atom]:
    """Code: a break is the deeper, the less what follows is indented, and deepest behind a blank line."""
    depth = _PAGE
    for match in _LINE.finditer(text):
        line = match[0]
        if not line.strip():
            yield _Atom(match.start(), match.end(), tokens(line), _STUCK)
            depth = _PARAGRAPH
            continue
        at_the_edge = not line[0].isspace() and line[0] not in ")]}"
        if depth == _PARAGRAPH and at_the_edge:
            depth = _SECTION
        elif depth == _SENTENCE and at_the_edge:
            depth = _SAME_LINE
        yield _Atom(match.start(), match.end(), tokens(line), depth)
        depth = _SENTENCE


def _rows(text: str) -> Iterator[_Atom]:
    """A table, or several of them: the first row of each is repeated."""
    sheet: tuple[str, ...] = ()
    head: tuple[str, ...] | None = None
    start, lines, depth, quoted = -1, 0, _PAGE, False
    for match in _LINE.finditer(text):
        line = match[0]
        if not quoted and line.startswith(_SHEET) and _MARK.fullmatch(line):
            sheet, head = (line.strip(),), None
            yield _Atom(match.start(), match.end(), tokens(line), _PAGE)
            depth = _STUCK
            continue
        if not quoted:
            start, lines = match.start(), 0
        lines += 1
        quoted = (quoted != bool(line.count('"') % 2)) and lines < _ROW_LINES and match.end() < len(text)
        if quoted:
            continue
        row = text[start : match.end()]
        if not row.strip():
            yield _Atom(start, match.end(), tokens(row), _STUCK)
        elif head is None:
            yield _Atom(start, match.end(), tokens(row), depth, sheet)
            head, depth = (*sheet, row.strip()), _STUCK
        else:
            yield _Atom(start, match.end(), tokens(row), depth, head)
            depth = _SAME_LINE
