"""Keeps what was made for the last names that were asked for."""

from collections.abc import Callable
from typing import Generic, TypeVar

_MOST = 512

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """`make` is cheap; it is asked again for what was not asked for lately. Callers may choose names without end."""

    def __init__(self, make: Callable[[str, str | None], Made]) -> None:
        self._make = make
        self._made: dict[tuple[str, str | None], Made] = {}

    def get(self, called: str, key: str | None) -> Made:
        place = (called, key)
        made = self._made.pop(place, None)
        if made is None:
            made = self._make(called, key)
            if len(self._made) >= _MOST:
                del self._made[next(iter(self._made))]
        self._made[place] = made
        return made
