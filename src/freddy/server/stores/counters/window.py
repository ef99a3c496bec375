"""Owns how much was used in the last sixty seconds."""

import math

MINUTE = 60_000
"""Milliseconds."""
FINE = 64
"""Entries that have their own time. Where there are more, those of the same second share one: what is kept stays small
however many there are, and a use counts for a second longer at most."""
COARSE = 1_000
"""Milliseconds that such entries share."""


class Window:
    """Times are in milliseconds of a clock that never goes back.

    An entry counts until sixty seconds after its mark, and its mark is never before its use.
    """

    __slots__ = ("_amounts", "_newest", "total")

    def __init__(self) -> None:
        self._amounts: dict[int, int] = {}
        """What was used, by mark; the oldest first."""
        self._newest = 0
        self.total = 0

    def at(self, now: float) -> int:
        """What counts now."""
        if not self._amounts:
            return 0
        over = []
        for mark in self._amounts:
            if mark + MINUTE > now:
                break
            over.append(mark)
        for mark in over:
            self.total -= self._amounts.pop(mark)
        return self.total

    def add(self, now: float, amount: int) -> int:
        """The mark under which it counts."""
        amounts = self._amounts
        mark = math.ceil(now) if len(amounts) < FINE else (int(now) // COARSE + 1) * COARSE
        mark = max(mark, self._newest)
        amounts[mark] = amounts.get(mark, 0) + amount
        self._newest = mark
        self.total += amount
        return mark

    def give_back(self, mark: int, amount: int) -> None:
        """Does nothing where the entry counts no more."""
        if mark in self._amounts:
            self._amounts[mark] -= amount
            self.total -= amount
            if not self._amounts[mark]:
                del self._amounts[mark]

    def wait(self, now: float, *, room: int) -> int:
        """After how many milliseconds no more than `room` counts."""
        left = self.total
        for mark, amount in self._amounts.items():
            left -= amount
            if left <= room:
                return math.ceil(mark + MINUTE - now)
        return 0

    def reset(self, now: float) -> int:
        """After how many milliseconds nothing counts any more."""
        for newest in reversed(self._amounts):
            return math.ceil(newest + MINUTE - now)
        return 0
