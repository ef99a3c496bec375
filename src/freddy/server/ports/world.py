"""The need for time and chance."""

from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""
        ...


class Chance(Protocol):
    def __call__(self) -> float:
        """At random from 0 up to 1."""
        ...


class IdSource(Protocol):
    def new(self, prefix: str) -> str:
        """A fresh id: see `core.ids.write`."""
        ...
