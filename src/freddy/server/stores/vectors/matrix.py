"""Owns the vectors of a store in memory: one block of numbers, searched exactly."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from freddy.server.stores.vectors.outline import Flags, Numbers, Outline

Floats: TypeAlias = NDArray[np.float32]
Ranked: TypeAlias = tuple[Floats, Numbers]
"""Scores, the best first, and the ids of chunks."""

_SPARE = 1.1
"""Room for so many times the vectors that there are: few are added at a time."""
_GAPS = 0.25
"""The part of removed vectors from which on the block is made anew."""
_MANY = 0.3
"""From such a part on, all vectors are compared rather than the runs of those that fit."""


class Matrix:
    """Vectors are only added, behind those that are there: who searches at the same time sees none of them.

    Those of segments that are gone stay until `crowded` says that a new block is due.
    """

    def __init__(self, dimensions: int, room: int) -> None:
        """`room` is how many vectors are expected."""
        self._dimensions = dimensions
        self._block: Floats = np.empty((int(room * _SPARE) + 256, dimensions), dtype=np.float32)
        self._ids: Numbers = np.empty(len(self._block), dtype=np.int64)
        self._rows = 0
        self._spans: dict[int, tuple[int, int]] = {}
        self._of = (-1, -1)

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return self._block.nbytes + self._ids.nbytes

    def is_of(self, outline: Outline) -> bool:
        """Whether it is known to have all of it."""
        return self._of == (outline.version, outline.chunks)

    def now_of(self, outline: Outline) -> None:
        """It has all of it."""
        self._of = (outline.version, outline.chunks)

    def missing(self, outline: Outline) -> list[int]:
        """The segments that are not here yet."""
        return [number for number in outline.index if number not in self._spans]

    def crowded(self, outline: Outline) -> bool:
        """Whether too much of it is of segments that are gone, or there is no room for those to come."""
        coming = sum(int(outline.sizes[outline.index[number]]) for number in self.missing(outline))
        gone = self._rows + coming - outline.chunks
        return gone > self._rows * _GAPS or self._rows + coming > len(self._block)

    def renewed(self, outline: Outline) -> "Matrix":
        """A block with those of the vectors that are still wanted, and room for those to come."""
        fresh = Matrix(self._dimensions, outline.chunks)
        for number in outline.index:
            if number in self._spans:
                start, end = self._spans[number]
                fresh._append(number, self._block[start:end])
        return fresh

    def add(self, segment: int, vectors: bytes) -> None:
        self._append(segment, rows_of(vectors, self._dimensions))

    def nearest(self, vector: Floats, outline: Outline, fitting: Flags | None, *, limit: int) -> Ranked:
        if fitting is None and self._rows == outline.chunks and self.is_of(outline):
            return best(self._block[: outline.chunks] @ vector, self._ids[: outline.chunks], limit=limit)
        wanted = outline.segments if fitting is None else outline.segments[fitting]
        spans = sorted(self._spans[number] for number in wanted.tolist() if number in self._spans)
        rows = sum(end - start for start, end in spans)
        if not rows:
            return np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64)
        if rows == self._rows:
            return best(self._block[:rows] @ vector, self._ids[:rows], limit=limit)
        runs = list(_runs(spans))
        if rows < self._rows * _MANY or len(runs) == 1:
            scores = np.concatenate([self._block[start:end] @ vector for start, end in runs])
            return best(scores, np.concatenate([self._ids[start:end] for start, end in runs]), limit=limit)
        inside = np.zeros(spans[-1][1], dtype=np.bool_)
        for start, end in runs:
            inside[start:end] = True
        scores = self._block[: len(inside)] @ vector
        return best(scores[inside], self._ids[: len(inside)][inside], limit=limit)

    def _append(self, segment: int, vectors: Floats) -> None:
        start, end = self._rows, self._rows + len(vectors)
        self._block[start:end] = vectors
        self._ids[start:end] = segment * 256 + np.arange(len(vectors))
        self._rows = end
        self._spans[segment] = (start, end)


def rows_of(vectors: bytes, dimensions: int) -> Floats:
    return np.frombuffer(vectors, dtype="<f4").reshape(-1, dimensions)


def best(scores: Floats, ids: Numbers, *, limit: int) -> Ranked:
    """The highest scores; where they are alike, the chunk with the lower id comes first."""
    if len(scores) > limit:
        # One that shares the last place with others may be any of them.
        among = np.argpartition(scores, len(scores) - limit)[len(scores) - limit :]
        scores, ids = scores[among], ids[among]
    order = np.lexsort((ids, -scores))
    return scores[order], ids[order]


def _runs(spans: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Spans that touch, as one."""
    start = end = -1
    for first, last in spans:
        if first == end:
            end = last
            continue
        if end > start:
            yield start, end
        start, end = first, last
    if end > start:
        yield start, end
