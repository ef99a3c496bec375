"""Reads a table of the settings file by the kinds of its keys, and says what is wrong with it."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from freddy.server.config import checks

Say: TypeAlias = Callable[[str], None]

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""https://www.rfc-editor.org/rfc/rfc9110#name-tokens"""
_OURS = frozenset(("connection", "content-length", "host", "transfer-encoding"))
"""Headers that say where a message goes and where it ends."""


class Table:
    """`where` begins each problem that is told to `say`. A key that is not there, or is wrong, gives None."""

    def __init__(self, where: str, values: Mapping[str, Any], say: Say) -> None:
        self.where = where
        self._values = values
        self._say = say

    def only(self, keys: Sequence[str]) -> None:
        for key in sorted(self._values.keys() - set(keys)):
            self._say(f"{self.where} has no key {key!r}{checks.meant(key, keys)}")

    def text(self, key: str, *, secret: bool = False, needed: bool = False) -> str | None:
        given = self._given(key, needed=needed)
        if given is None or (isinstance(given, str) and given.strip()):
            return given
        said = "" if secret else f", not {given!r}"
        self._say(f"{self.where}: {key} must be a text that is not empty{said}")
        return None

    def number(self, key: str, low: float, high: float, *, needed: bool = False) -> float | None:
        given = self._given(key, needed=needed)
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
            self._say(f"{self.where}: {key} must be a number from {low:.10g} to {high:.10g}, not {given!r}")
            return None
        return float(given) if math.isfinite(given) else None

    def whole(self, key: str, low: int, high: int) -> int | None:
        given = self._given(key)
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
            self._say(f"{self.where}: {key} must be a whole number from {low} to {high}, not {given!r}")
            return None
        return given

    def flag(self, key: str) -> bool | None:
        given = self._given(key)
        if given is None or isinstance(given, bool):
            return given
        self._say(f"{self.where}: {key} must be true or false, not {given!r}")
        return None

    def texts(self, key: str, example: str) -> tuple[str, ...] | None:
        given = self._given(key)
        if given is None:
            return None
        if isinstance(given, list) and given and all(isinstance(one, str) and one for one in given):
            return tuple(given)
        self._say(f"{self.where}: {key} must be a list such as {example}, not {given!r}")
        return None

    def words(self, key: str) -> dict[str, str] | None:
        """A table of texts; their values may be secret."""
        given = self._given(key)
        if given is None:
            return None
        if isinstance(given, dict) and all(_fits_a_header(one) for pair in given.items() for one in pair):
            for name in given:
                if not _HEADER.fullmatch(name) or name.lower() in _OURS:
                    self._say(
                        f"{self.where}: {key} cannot have {name!r}: it is no name of a header, or set by the server"
                    )
            return given
        self._say(f"{self.where}: {key} must be a table of printable texts")
        return None

    def tables(self, key: str, example: str) -> list["Table"] | None:
        given = self._given(key)
        if given is None:
            return None
        if not (isinstance(given, list) and given and all(isinstance(one, dict) for one in given)):
            self._say(f"{self.where}: {key} must be a list such as {example}")
            return None
        return [Table(f"{self.where}: {key} {number}", one, self._say) for number, one in enumerate(given, 1)]

    def table(self, key: str, example: str) -> "Table | None":
        given = self._given(key)
        if given is None:
            return None
        if not isinstance(given, dict):
            self._say(f"{self.where}: {key} must be a table such as {example}, not {given!r}")
            return None
        return Table(f"{self.where}: {key}", given, self._say)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def _given(self, key: str, *, needed: bool = False) -> Any:  # noqa: ANN401 it is what the file says
        if needed and key not in self._values:
            self._say(f"{self.where} needs {'an' if key[0] in 'aeiou' and key != 'url' else 'a'} {key}")
        return self._values.get(key)


def _fits_a_header(text: object) -> bool:
    return isinstance(text, str) and bool(text) and text.isascii() and text.isprintable()
