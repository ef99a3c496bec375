"""Owns what counts as a word when texts are searched, and which words are where. Pure.

Letters are compared without their case and accents. Scripts that put no blanks between words (Chinese, Japanese, Korean
and those of South-East Asia) are cut into single characters and pairs: a pair is what most of their words are.
"""

import re
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from unicodedata import normalize

from msgspec import Struct

SEGMENT = 256
"""The most texts that are indexed together: an offset is a byte."""
POSTING = 2
"""The bytes of a posting."""
_LONGEST = 64
"""Characters of a word that count."""
_PLAIN = re.compile("[a-z0-9]+")
# The vowel signs of Indic scripts belong to their words, though Unicode does not call them letters.
_RUN = re.compile("(?:[^\\W_]|[\u0900-\u0963\u0966-\u0dff])+")
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff]+"
)


class Indexed(Struct, frozen=True):
    """Up to `SEGMENT` texts: how many words each has, and for each word the texts that have it.

    `lengths` are little-endian 32-bit numbers. A posting is one of 16 bits: the text's offset times 256, and how often
    the word is in it, up to 255.
    """

    lengths: bytes
    postings: dict[str, bytes]


def indexed(texts: Sequence[str]) -> Indexed:
    lengths = array("I")
    postings: defaultdict[str, array[int]] = defaultdict(lambda: array("H"))
    for offset, text in enumerate(texts):
        counts = Counter(_words(text, asked=False))
        lengths.append(counts.total())
        for word, count in counts.items():
            postings[word].append(offset << 8 | min(count, 255))
    return Indexed(_little(lengths), {word: _little(found) for word, found in postings.items()})


def asked(text: str, *, most: int) -> list[str]:
    """The different words of a question, the first of them."""
    return list(dict.fromkeys(_words(text, asked=True)))[:most]


def _words(text: str, *, asked: bool) -> list[str]:
    if text.isascii():
        return [word[:_LONGEST] for word in _PLAIN.findall(text.lower())]
    folded = normalize("NFC", _ACCENTS.sub("", normalize("NFD", normalize("NFKC", text).casefold())))
    words: list[str] = []
    for run in _RUN.findall(folded):
        if run.isascii():
            words.append(run[:_LONGEST])
            continue
        end = 0
        for unspaced in _UNSPACED.finditer(run):
            if unspaced.start() > end:
                words.append(run[end : unspaced.start()][:_LONGEST])
            words += _pieces(unspaced[0], asked=asked)
            end = unspaced.end()
        if end < len(run):
            words.append(run[end:][:_LONGEST])
    return words


def _pieces(run: str, *, asked: bool) -> list[str]:
    pairs = [run[place : place + 2] for place in range(len(run) - 1)]
    # A question of one character has no pair; of a longer one the pairs say more.
    return pairs if asked and pairs else [*run, *pairs]


def _little(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()
