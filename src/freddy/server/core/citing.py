"""Turns the marks with which a model cites what it has found into annotations, while it speaks. Pure."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, assert_never

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import deltas, items
from freddy.server.core.wording import telling

# Digits, since models copy them best; behind a sign that no text has in brackets before five of them.
_MARK: Final = re.compile(r"[ \t]{0,8}[\[(【（] ?@[0-9]{5}(?: ?[,;]? ?@?[0-9]{5}){0,7} ?[\])】）]", re.ASCII)
"""One mark, or several that a model has put into one pair of brackets, with the blanks before it."""
_BEGINNING: Final = re.compile(r"[ \t]{0,8}(?:[\[(【（] ?(?:@[0-9@,; ]{0,72})?)?\Z", re.ASCII)
"""What may become a mark yet: every beginning of one, at the end of what was said so far."""
_LONGEST: Final = 84
"""Characters of the longest beginning."""
_LABEL: Final = re.compile(r"[0-9]{5}", re.ASCII)
_BROKEN: Final = re.compile(r"[\[(【（] ?@")
"""In what is left at the end: a mark that was never finished."""

_READ: Final = 16_000
"""Characters of an answer that are compared with what was found, from its end."""
_READ_OF_PASSAGE: Final = 8_000
_FEW: Final = 3
"""Words of an answer, up to which all of them must be in a passage that supports it."""
_ENOUGH: Final = 0.5
"""The part of the answer's words that a passage must have to support it."""
_NEAR: Final = 0.8
"""What supports nearly as well as the best is cited besides."""
_MOST: Final = 3
"""Files that are cited by what they support."""


class _Citation(Struct, frozen=True):
    index: int
    file_id: str
    filename: str
    type: Literal["file_citation"] = "file_citation"


class _Piece(Struct, frozen=True):
    text: str
    logprobs: tuple[items.Logprob, ...]


_encode = msgspec.json.Encoder().encode


def mark(found: items.Found) -> str:
    """What a model writes to cite the file of the passage: `[@04213]`. The same for all passages of a file, always."""
    return f"[@{_label(found.file_id)}]"


class Citing:
    """One turn of a model that has read `found`. Feed it deltas: what comes back has no marks, but citations.

    A citation is a `file_citation` as OpenAI has it; its `index` counts the characters of the part before it. A mark
    that nothing has vanishes. At most what may become a mark is held back. A text that cites nothing cites, at its
    end, the files that support what it says, if there are any.
    """

    def __init__(self, found: Sequence[items.Found]) -> None:
        self._found = found
        self._files: dict[str, items.Found] = {}
        for one in found:
            self._files.setdefault(_label(one.file_id), one)
        self._passages: list[tuple[items.Found, frozenset[str]]] | None = None
        self._calls: set[int] = set()
        self._held: list[_Piece] = []
        self._begin()

    def feed(self, batch: Iterable[deltas.Delta]) -> list[deltas.Delta]:
        if not self._found:
            return list(batch)
        told: list[deltas.Delta] = []
        for delta in batch:
            match delta:
                case deltas.Text():
                    told += self._say(delta)
                case deltas.ToolCall(index=index):
                    if index not in self._calls:
                        self._calls.add(index)
                        told += self._end()
                    told.append(delta)
                case deltas.Refusal() | deltas.Thinking() | deltas.Reasoning() | deltas.Signature():
                    told += self._end()
                    told.append(delta)
                case deltas.Stop() | deltas.Began():
                    told += self._flush()
                    told += self._uncited()
                    self._begin()
                    told.append(delta)
                case deltas.Annotated():
                    self._cited = True
                    told += self._flush()
                    told.append(delta)
                case deltas.Answering() | deltas.Tried() | deltas.Chosen() | deltas.Counted():
                    told.append(delta)
                case _:
                    assert_never(delta)
        return told

    def close(self) -> list[deltas.Delta]:
        """What was held back, where the model breaks off."""
        return self._end() if self._found else []

    def _end(self) -> list[deltas.Delta]:
        """The part ends, without being an answer."""
        told = self._flush()
        self._begin()
        return told

    def _uncited(self) -> list[deltas.Delta]:
        """What the text cites without saying so."""
        if self._cited or not self._length:
            return []
        return [self._citation(one) for one in self._supporting("".join(self._said))]

    def _begin(self) -> None:
        """A new part."""
        self._length = 0
        self._line_begins = True
        self._drops_blanks = False
        self._cited = False
        self._cited_here: set[str] = set()
        self._said: list[str] = []

    def _say(self, delta: deltas.Text) -> list[deltas.Delta]:
        if not self._held and not self._drops_blanks and not _may_be_marked(delta.text):
            # The usual way: nothing is looked at twice, nothing is made anew.
            self._tell(delta.text)
            return [delta]
        self._held.append(_Piece(delta.text, delta.logprobs))
        text = "".join(piece.text for piece in self._held)
        told: list[deltas.Delta] = []
        place = 0
        for match in _MARK.finditer(text):
            told += self._release(text, place, match.start())
            told += self._cite(match[0])
            place = match.end()
        beginning = _BEGINNING.search(text, max(place, len(text) - _LONGEST))
        stop = beginning.start() if beginning else len(text)
        if place == 0:
            # Nothing was removed: what came with the words goes with them.
            return self._pass_on(stop)
        told += self._release(text, place, stop)
        self._held = [_Piece(text[stop:], ())] if stop < len(text) else []
        return told

    def _pass_on(self, stop: int) -> list[deltas.Delta]:
        """The pieces before `stop`. One with logprobs is not cut: it waits as a whole."""
        told: list[deltas.Delta] = []
        held, self._held = self._held, []
        for place, piece in enumerate(held):
            if len(piece.text) <= stop:
                stop -= len(piece.text)
                told += self._plain(piece.text, piece.logprobs)
                continue
            if not piece.logprobs and stop:
                told += self._plain(piece.text[:stop], ())
                piece = _Piece(piece.text[stop:], ())
            self._held = [piece, *held[place + 1 :]]
            break
        return told

    def _release(self, text: str, start: int, end: int) -> list[deltas.Delta]:
        return self._plain(text[start:end], ())

    def _plain(self, text: str, logprobs: tuple[items.Logprob, ...]) -> list[deltas.Delta]:
        if self._drops_blanks:
            shorter = text.lstrip(" \t")
            self._drops_blanks = not shorter
            if shorter != text:
                text, logprobs = shorter, ()
        if not text:
            return []
        self._tell(text)
        return [deltas.Text(text, logprobs)]

    def _tell(self, text: str) -> None:
        if not text:
            return
        self._length += len(text)
        self._line_begins = text.endswith("\n")
        self._cited_here.clear()
        if not self._cited:
            self._said.append(text)

    def _cite(self, marks: str) -> list[deltas.Delta]:
        told: list[deltas.Delta] = []
        for label in _LABEL.findall(marks):
            one = self._files.get(label)
            if one is not None and one.file_id not in self._cited_here:
                self._cited_here.add(one.file_id)
                self._cited = True
                told.append(self._citation(one))
        # Where a line began with the mark, it does not begin with the blank behind it.
        self._drops_blanks = self._line_begins
        return told

    def _flush(self) -> list[deltas.Delta]:
        held, self._held = self._held, []
        text = "".join(piece.text for piece in held)
        broken = _BROKEN.search(text)
        if broken is not None:
            return self._plain(text[: broken.start()].rstrip(" \t"), ())
        return [delta for piece in held for delta in self._plain(piece.text, piece.logprobs)]

    def _citation(self, one: items.Found) -> deltas.Annotated:
        data = _encode(_Citation(self._length, one.file_id, one.filename))
        return deltas.Annotated(items.Annotation("file_citation", Raw(data)))

    def _supporting(self, answer: str) -> list[items.Found]:
        """Of each file at most once, the best first."""
        said = telling(answer[-_READ:])
        if not said:
            return []
        if self._passages is None:
            self._passages = [(one, telling(one.text[:_READ_OF_PASSAGE])) for one in self._found]
        least = 1.0 if len(said) <= _FEW else _ENOUGH
        best: dict[str, tuple[float, items.Found]] = {}
        for one, words in self._passages:
            share = len(said & words) / len(said)
            if share >= least and share > best.get(one.file_id, (0.0, one))[0]:
                best[one.file_id] = (share, one)
        ordered = sorted(best.values(), key=lambda pair: -pair[0])[:_MOST]
        return [one for share, one in ordered if share >= _NEAR * ordered[0][0]]


def _may_be_marked(text: str) -> bool:
    """Whether a mark is in it, or may begin at its end."""
    return "@" in text or text[-1:] in _ENDS


_ENDS: Final = frozenset(" \t[(【（")


def _label(file_id: str) -> str:
    digest = hashlib.blake2b(file_id.encode(errors="replace"), digest_size=8).digest()
    return f"{int.from_bytes(digest) % 100_000:05}"
