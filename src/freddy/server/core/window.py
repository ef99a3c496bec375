"""Fits a long conversation into what a model can read, by leaving some of it out. Pure.

What belongs together stays together: a message of the user and all that followed from it (thoughts, calls, their
outputs, the answer) is an exchange; an answer with its thoughts and calls is a piece, as is a message of the user.
System messages, compactions, and everything from the user's last message on are never left out.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from freddy.server.core import items

FIRST: Final = 3
LAST: Final = 7
"""Messages of the beginning and of the end that the mode `smart` keeps, where they fit."""


_ANSWERS: Final = frozenset((items.FunctionOutput, items.ApprovalAnswer))


class Sized(Struct, frozen=True):
    """An item, and about how many tokens it is."""

    item: items.Item
    tokens: int


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


def newest(before: Sequence[Sized], *, follows: Sequence[items.Item], room: int, whole: bool) -> tuple[items.Item, ...]:
    """As many of the newest exchanges as there is room for, in tokens, before what `follows`.

    Not `whole`: there was more, so that the first exchange may lack its beginning, and goes.
    """
    exchanges = _exchanges((*(one.item for one in before), *follows))
    kept = {place for place, one in enumerate(before) if _stands(one.item)}
    room -= sum(before[place].tokens for place in kept)
    for number in range(len(exchanges) - 1, -1, -1):
        places = [place for place in exchanges[number] if place < len(before)]
        room -= sum(before[place].tokens for place in places)
        # What the input goes on with belongs to it: its answer may be to a request for approval in there.
        needed = number == len(exchanges) - 1 or exchanges[number][-1] >= len(before)
        if not needed and (room < 0 or (number == 0 and not whole)):
            break
        kept.update(places)
    return tuple(one.item for place, one in enumerate(before) if place in kept)


def ends(
    start: Sequence[Sized], end: Sequence[Sized], *, follows: Sequence[items.Item], room: int, whole: bool
) -> tuple[items.Item, ...]:
    """The start and the last messages of the end, fewer of them where there is no room: of the last ones first.

    `start` is what `opening` tells. Not `whole`: there was more between the two.
    """
    pieces = _pieces((*(one.item for one in end), *follows))
    needed = [piece for piece in pieces if piece[-1] >= len(end)]
    may_stay = pieces[: len(pieces) - len(needed)]
    if not whole:
        may_stay = may_stay[1:]  # the first one may lack its beginning
    always = {place for place, one in enumerate(end) if _stands(one.item)}
    always.update(place for piece in needed for place in piece if place < len(end))
    room -= sum(end[place].tokens for place in always)
    room -= sum(one.tokens for one in start if _stands(one.item))

    last = _last(may_stay, end)
    first = _pieces([one.item for one in start])
    while sum(_tokens(start, first)) + sum(_tokens(end, last)) > room and (first or last):
        if len(last) > 1 or not first:
            last = last[1:]
        else:
            first = first[:-1]
    early = {place for piece in first for place in piece}
    always.update(place for piece in last for place in piece)
    return (
        *(one.item for place, one in enumerate(start) if place in early or _stands(one.item)),
        *(one.item for place, one in enumerate(end) if place in always),
    )


def opening(said: Sequence[items.Item], *, whole: bool) -> int:
    """How many of the items are the first messages, with what belongs to them. Not `whole`: more follow."""
    messages = place = 0
    pieces = _pieces(said)
    for piece in pieces if whole else pieces[:-1]:
        messages += _messages(said, piece)
        place = piece[-1] + 1
        if messages >= FIRST:
            break
    return place


def begun(said: Sequence[items.Item]) -> bool:
    """Whether the beginning of the last exchange is among what is said."""
    exchanges = _exchanges(said)
    return len(exchanges) > 1 or bool(exchanges and _of_user(said[exchanges[0][0]]))


def count_messages(said: Sequence[items.Item]) -> int:
    return sum(isinstance(item, items.Message) for item in said)


def _without(said: Sequence[items.Item], count: int) -> tuple[items.Item, ...]:
    gone = {place for exchange in _exchanges(said)[:count] for place in exchange}
    return tuple(item for place, item in enumerate(said) if place not in gone)


def _exchanges(said: Sequence[items.Item]) -> list[list[int]]:
    """The places of each exchange, oldest first. The last one holds what the model must answer."""
    told: list[list[int]] = []
    last: items.Item | None = None
    for place, item, severable in severed(said):
        begins = severable and _of_user(item) and not (last is not None and _of_user(last))
        if begins or not told:
            told.append([])
        told[-1].append(place)
        last = item
    return told


def _pieces(said: Sequence[items.Item]) -> list[list[int]]:
    """The places of each piece, oldest first. What follows an answer and is no message belongs to it still."""
    told: list[list[int]] = []
    last: items.Item | None = None
    for place, item, severable in severed(said):
        after_message = isinstance(last, items.Message) and isinstance(item, items.Message)
        begins = severable and (_of_user(item) or after_message or (last is not None and _of_user(last)))
        if begins or not told:
            told.append([])
        told[-1].append(place)
        last = item
    return told


def severed(said: Sequence[items.Item]) -> Iterator[tuple[int, items.Item, bool]]:
    """Every item that may be left out, with its place, and whether nothing before it waits for what is after it: no
    call for its output, and no request for approval for its answer.
    """
    outputs: dict[str, int] = {}
    answered: dict[int, int] = {}
    waits = not _ANSWERS.isdisjoint(map(type, said))
    for place in range(len(said) - 1, -1, -1) if waits else ():
        match said[place]:
            case items.FunctionOutput(call_id=call_id) | items.ApprovalAnswer(request_id=call_id):
                outputs[call_id] = place
            case items.ApprovalRequest(id=request_id, call_id=call_id) if request_id in outputs:
                answered[place] = outputs.pop(request_id)
                # The call of a function stands before it.
                outputs.setdefault(call_id, place)
            case items.FunctionCall(call_id=call_id) if call_id in outputs:
                # Some models count their calls anew in every answer: an output is of the call just before it.
                answered[place] = outputs.pop(call_id)
            case _:
                pass
    until = -1
    for place, item in enumerate(said):
        if not _stands(item):
            yield place, item, place > until
        until = max(until, answered.get(place, -1))


def _last(pieces: Sequence[Sequence[int]], end: Sequence[Sized]) -> Sequence[Sequence[int]]:
    """The last pieces, up to as many messages as are to be kept."""
    said = [one.item for one in end]
    messages = 0
    for number in range(len(pieces) - 1, -1, -1):
        messages += _messages(said, pieces[number])
        if messages > LAST and number < len(pieces) - 1:
            return pieces[number + 1 :]
    return pieces


def _messages(said: Sequence[items.Item], piece: Sequence[int]) -> int:
    return sum(isinstance(said[place], items.Message) for place in piece)


def _tokens(said: Sequence[Sized], pieces: Sequence[Sequence[int]]) -> Iterator[int]:
    return (said[place].tokens for piece in pieces for place in piece)


def _stands(item: items.Item) -> bool:
    if isinstance(item, items.Message):
        return item.role in ("system", "developer")
    return isinstance(item, items.Compaction)


def _of_user(item: items.Item) -> bool:
    return isinstance(item, items.Message) and item.role == "user"
