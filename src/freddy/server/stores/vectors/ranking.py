"""Owns how chunks are ranked by their words: BM25, https://en.wikipedia.org/wiki/Okapi_BM25"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from freddy.server.stores.vectors.matrix import Floats, Ranked, best
from freddy.server.stores.vectors.outline import Flags, Numbers, Outline

Postings: TypeAlias = Mapping[str, Sequence[tuple[int, bytes]]]
"""Of each word, the segments that have it, and its postings there: see `words.Indexed`."""

_SATURATION = 1.2
_BY_LENGTH = 0.75
_FREQUENT = 0.1
_FEW = 5_000
_MOST = 32


def telling(counts: Mapping[str, int], chunks: int) -> list[str]:
    """Those of the words that say something, the rarest first, when each is in so many of all `chunks`.

    What is in every tenth chunk and in thousands of them is left out where others remain: it costs most and says least.
    """
    there = sorted((count, word) for word, count in counts.items() if count)
    rare = [word for count, word in there if count <= max(chunks * _FREQUENT, _FEW)]
    return (rare or [word for _, word in there[:1]])[:_MOST]


def ranked(stores: Sequence[tuple[Outline, Postings, Flags | None]], words: Sequence[str], *, limit: int) -> Ranked:
    """The chunks of the stores with some of the words; their scores are from 0 to 1, which the best has."""
    bases = np.cumsum([0, *(outline.chunks for outline, _, _ in stores)])
    total = int(bases[-1])
    lengths = np.concatenate([outline.lengths for outline, _, _ in stores])
    spread = _SATURATION * (1 - _BY_LENGTH + _BY_LENGTH * lengths / max(float(lengths.mean()), 1.0))
    scores = np.zeros(total, dtype=np.float32)
    for word in words:
        pieces = [
            (base + places, often)
            for base, (outline, postings, _) in zip(bases.tolist(), stores, strict=False)
            for places, often in [_placed(outline, postings.get(word, ()))]
        ]
        places = np.concatenate([piece[0] for piece in pieces])
        often = np.concatenate([piece[1] for piece in pieces])
        weight = np.log1p((total - len(places) + 0.5) / (len(places) + 0.5))
        scores[places] += weight * often * (_SATURATION + 1) / (often + spread[places])
    for base, (outline, _, fitting) in zip(bases.tolist(), stores, strict=False):
        if fitting is not None:
            scores[base : base + outline.chunks][~np.repeat(fitting, outline.sizes)] = 0
    found = np.flatnonzero(scores)
    ids = np.concatenate(
        [
            outline.ids(found[(found >= base) & (found < base + outline.chunks)] - base)
            for base, (outline, _, _) in zip(bases.tolist(), stores, strict=False)
        ]
    )
    if not len(found):
        return scores[found], ids
    highest, ids = best(scores[found], ids, limit=limit)
    return highest / highest[0], ids


def _placed(outline: Outline, rows: Sequence[tuple[int, bytes]]) -> tuple[Numbers, Floats]:
    """The places of the chunks, and how often each has the word."""
    there = [(outline.index[segment], postings) for segment, postings in rows if segment in outline.index]
    packed = np.frombuffer(b"".join(postings for _, postings in there), dtype="<u2")
    counts = [len(postings) // 2 for _, postings in there]
    starts = outline.starts[np.array([place for place, _ in there], dtype=np.int64)]
    return np.repeat(starts, counts) + (packed >> 8), (packed & 255).astype(np.float32)
