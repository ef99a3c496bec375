"""Owns what is to be found in a vector store at one version of it: its segments, of which file each is, how long."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from freddy.server.core import filtering
from freddy.server.core.filtering import Filter
from freddy.server.core.vector_stores import Attribute

Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]
_MOST_FILTERS = 16
"""Filters whose answer is remembered."""
_attributes: msgspec.json.Decoder[dict[str, Attribute]] = msgspec.json.Decoder(dict[str, Attribute])


class Outline:
    """`segments` are rows of a segment's number, its file, how many chunks it has and the words of each.

    `files` holds the JSON of the attributes of each file. A chunk's id is its segment's number times 256, and its
    offset; its place here is its index among all chunks of the store.
    """

    def __init__(
        self,
        store_id: str,
        number: int,
        *,
        version: int,
        dimensions: int,
        segments: Sequence[tuple[int, str, int, bytes]],
        files: Mapping[str, str],
    ) -> None:
        self.store_id = store_id
        self.number = number
        self.version = version
        self.dimensions = dimensions
        self.segments: Numbers = np.array([row[0] for row in segments], dtype=np.int64)
        self.sizes: Numbers = np.array([row[2] for row in segments], dtype=np.int64)
        ends = np.cumsum(self.sizes)
        self.starts: Numbers = ends - self.sizes
        self.chunks = int(ends[-1]) if len(segments) else 0
        self.lengths: NDArray[np.float32] = np.frombuffer(b"".join(row[3] for row in segments), dtype="<u4").astype(
            np.float32
        )
        self.index = {row[0]: place for place, row in enumerate(segments)}
        self._rows = segments
        self._files = files
        self._filtered: dict[str, Flags] = {}
        self.size = self.chunks * 4 + len(segments) * 200 + sum(len(text) + 200 for text in files.values())
        """About the bytes that it takes."""

    def fitting(self, filter_: Filter | None) -> Flags | None:
        """Which of the segments are of files that fit; None where all of them do."""
        if filter_ is None:
            return None
        # Not the filter itself: True and 1 are the same key, and not the same value.
        key = repr(filter_)
        known = self._filtered.get(key)
        if known is None:
            fits = {file_id: filtering.fits(filter_, _attributes.decode(text)) for file_id, text in self._files.items()}
            known = np.array([fits[file_id] for _, file_id, _, _ in self._rows], dtype=np.bool_)
            while len(self._filtered) >= _MOST_FILTERS:
                del self._filtered[next(iter(self._filtered))]
            self._filtered[key] = known
        return known

    def only(self, numbers: Collection[int]) -> "Outline":
        """The same of some of the segments."""
        return Outline(
            self.store_id,
            self.number,
            version=self.version,
            dimensions=self.dimensions,
            segments=[row for row in self._rows if row[0] in numbers],
            files=self._files,
        )

    def ids(self, places: Numbers) -> Numbers:
        """The ids of the chunks at these places."""
        segments = np.searchsorted(self.starts, places, side="right") - 1
        return self.segments[segments] * 256 + (places - self.starts[segments])
