"""Fits a long conversation into what a model can read, by leaving the oldest of it out. Pure.

What belongs together stays together: a message of the user and all that followed from it (thoughts, calls, their
outputs, the answer). System messages, and everything from the user's last message on, are never left out.
"""

from collections.abc import Callable, Sequence

from freddy.server.core import items


def fitted(said: Sequence[items.Item], fits: Callable[[Sequence[items.Item]], bool]) -> tuple[items.Item, ...]:
    """Without as many of the oldest exchanges as it takes; without all that may go where that is not enough."""
    most = len(_exchanges(said)) - 1
    fewest = 0
    while fewest < most:
        middle = (fewest + most) // 2
        if fits(_without(said, middle)):
            most = middle
        else:
            fewest = middle + 1
    return _without(said, max(0, fewest))


def halved(said: Sequence[items.Item]) -> tuple[items.Item, ...]:
    """Without the older half of the exchanges that may go; the same where none may."""
    may_go = len(_exchanges(said)) - 1
    return _without(said, -(-may_go // 2)) if may_go > 0 else tuple(said)


def _without(said: Sequence[items.Item], count: int) -> tuple[items.Item, ...]:
    gone = {place for exchange in _exchanges(said)[:count] for place in exchange}
    return tuple(item for place, item in enumerate(said) if place not in gone)


def _exchanges(said: Sequence[items.Item]) -> list[list[int]]:
    """The places of each exchange, oldest first. The last one holds what the model must answer."""
    told: list[list[int]] = []
    last: items.Item | None = None
    for place, item in enumerate(said):
        if isinstance(item, items.Message) and item.role in ("system", "developer"):
            continue
        begins = _of_user(item) and not (last is not None and _of_user(last))
        if begins or not told:
            told.append([])
        told[-1].append(place)
        last = item
    return told


def _of_user(item: items.Item) -> bool:
    return isinstance(item, items.Message) and item.role == "user"
