"""Owns what is kept in memory under a budget: what was used least recently goes first."""

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    @property
    def size(self) -> int:
        """The bytes that it takes."""
        ...


T = TypeVar("T", bound=Sized)


class Shelf(Generic[T]):
    def __init__(self, budget: int) -> None:
        """`budget` is in bytes. What is larger by itself is not kept."""
        self._budget = budget
        self._kept: OrderedDict[str, T] = OrderedDict()

    @property
    def size(self) -> int:
        return sum(each.size for each in self._kept.values())

    def get(self, key: str) -> T | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: str, value: T) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        self.fit()

    def drop(self, key: str) -> None:
        self._kept.pop(key, None)

    def fit(self) -> None:
        """Makes room where things have grown."""
        taken = self.size
        while taken > self._budget:
            _, gone = self._kept.popitem(last=False)
            taken -= gone.size
