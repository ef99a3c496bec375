"""The items that came before a request, as far as the model can read them.

They are those of its thread, or of the responses it continues. They are read from the end, and no further than fits:
a long conversation costs what one costs that is as long as the model can read.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from freddy.server.core import compaction, errors, items, reading, toolspec, window
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.threads import Spot
from freddy.server.core.turn import Turn
from freddy.server.core.window import Sized
from freddy.server.ports.stores import PlacedItem, ResponseStore, ThreadStore
from freddy.server.runtime import estimate
from freddy.server.runtime.seals import Seals

CONTEXT_TOKENS: Final = 128_000
"""What a model is taken to read where nobody says."""
_ANSWER_SHARE: Final = 8
_ANSWER_TOKENS: Final = 16_384
"""The room for an answer that has no limit of its own: an eighth of what the model reads, and never more than this."""
_SURELY: Final = 1.2
"""An estimate that is over the window by more than its own error."""
_MESSAGES: Final = frozenset((items.Message,))
_PAGE: Final = 100
_SHORT: Final = 32
"""Tokens of a short message: there is hardly room for more items than of these."""
_SMALLEST_PAGE: Final = 20
_LARGEST_PAGE: Final = 1000


class Before(Struct, frozen=True):
    """What came before a request, oldest first; `warnings` tell what was left out of it."""

    said: tuple[items.Item, ...] = ()
    warnings: tuple[str, ...] = ()


class History:
    def __init__(
        self,
        responses: ResponseStore,
        threads: ThreadStore,
        *,
        context_tokens: int = CONTEXT_TOKENS,
        seals: Seals | None = None,
    ) -> None:
        """`context_tokens` is what a model is taken to read where nobody says. Without `seals` no compaction opens."""
        self._responses = responses
        self._threads = threads
        self._context_tokens = context_tokens
        self._seals = seals

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    async def before(
        self,
        caller: Caller,
        request: Request,
        capacity: int | None = None,
        *,
        largest: int | None = None,
        instructions: str | None = None,
    ) -> Before:
        """No more than the model can read of it, beside the input and an answer: `capacity` tokens in all.

        `largest` is what the one reads that reads most of those who may be asked: what is surely more is refused.
        `instructions` are all that the model is given, where that is more than the request's own. Where the request
        has the conversation shortened, all of it is told that its last compaction does not stand for.
        Raises `errors.InvalidRequest`, `Conflict` and `NotFound` for what is not there or has not ended, and
        `ContextOverflow`.
        """
        if request.compaction is not None:
            largest = None
        turn = _turn(request, instructions or request.instructions)
        if not _continues(request) and (largest is None or estimate.at_most(turn) <= largest):
            return Before()
        asked = estimate.input_tokens(turn)
        _refuse(asked, request, largest)
        pages = await self._pages(caller, request)
        if pages is None:
            return Before()
        if compaction.last(request.input) is not None:
            await pages.back(_SMALLEST_PAGE)  # nothing of it is read, and yet it must be there
            return Before()
        capacity = capacity or self._context_tokens
        room = capacity - _answer(request, capacity) - asked
        if request.context_mode == "full" or request.compaction is not None:
            return await self._full(pages, request, asked=asked, largest=largest)
        return await self._shortened(pages, request, room=room, capacity=capacity)

    async def resolve(
        self, caller: Caller, input_: Sequence[items.Item], *, param: str = "input"
    ) -> tuple[items.Item, ...]:
        """The input with every reference replaced by the item it names, and every compaction of ours opened.

        A thought that comes back without its sealed part is as good as a reference, where it is kept. Raises
        `errors.InvalidRequest` for `param`.
        """
        if self._seals is not None and any(isinstance(item, items.Compaction) for item in input_):
            input_ = [
                await self._seals.open(item, caller, at=f"{param}[{place}]")
                if isinstance(item, items.Compaction)
                else item
                for place, item in enumerate(input_)
            ]
        wanted = [item.id for item in input_ if _is_reference(item)]
        thoughts = [item.id for item in input_ if _is_unsealed(item)]
        if not wanted and not thoughts:
            return compaction.adopted(input_)
        found = await self._responses.find_items(caller.organization_id, [*wanted, *thoughts], user_id=caller.sees_only)
        if missing := [item_id for item_id in wanted if item_id not in found]:
            raise errors.InvalidRequest(f"Item with id {missing[0]!r} not found", param=param, code="item_not_found")
        return compaction.adopted([_kept(item, found.get(item.id)) for item in input_])

    async def _full(self, pages: "_Pages", request: Request, *, asked: int, largest: int | None) -> Before:
        """All of it, but for what nobody could read."""
        read = _Read(pages, request)
        room = None if largest is None else int(largest * _SURELY) - asked
        await read.back(room)
        if read.whole:
            if not read.fits(room):
                _refuse(asked + read.tokens, request, largest)
            return Before(tuple(read.items))
        if request.truncation == "disabled":
            raise _overflow(largest)
        systems = await read.systems()
        known = (*systems, *read.said)
        kept = window.newest(known, follows=request.input, room=sum(one.tokens for one in known), whole=read.whole)
        if read.whole:
            return Before(kept)
        return Before(kept, (await _told(pages, read, kept, "truncation auto", largest),))

    async def _shortened(self, pages: "_Pages", request: Request, *, room: int, capacity: int) -> Before:
        read = _Read(pages, request)
        await read.back(room)
        if read.whole and read.fits(room):
            return Before(tuple(read.items))
        if request.context_mode == "recent":
            systems = await read.systems()
            kept = window.newest((*systems, *read.said), follows=request.input, room=room, whole=read.whole)
        else:
            start, end = await read.ends()
            kept = window.ends(start, end, follows=request.input, room=room, whole=read.whole)
        if len(kept) == len(read.items) and read.whole:
            return Before(kept)
        return Before(kept, (await _told(pages, read, kept, f"thread_context_mode {request.context_mode}", capacity),))

    async def _pages(self, caller: Caller, request: Request) -> "_Pages | None":
        if request.previous_response_id is not None:
            return _ChainPages(self._responses, caller, request.previous_response_id)
        if request.thread is None or request.thread.id is None:
            return None
        organization_id = caller.organization_id
        thread_id = request.thread.id
        unseen = request.thread.must_exist and request.thread.seen is None
        if unseen and await self._threads.get(organization_id, thread_id) is None:
            raise errors.NotFound(
                f"Conversation with id {thread_id!r} not found", param="conversation", code="conversation_not_found"
            )
        return _ThreadPages(self._threads, organization_id, thread_id, request.thread.spot)


class _Pages(Protocol):
    """What came before, from its end to its beginning. `over` when the beginning was told.

    Where it is `linked`, the way to the beginning leads over all that is between.
    """

    linked: bool

    @property
    def over(self) -> bool: ...

    async def back(self, limit: int) -> Sequence[items.Item]:
        """About `limit` items before those told last, oldest first."""
        ...

    async def start(self, limit: int) -> Sequence[items.Item]:
        """About `limit` items of the beginning, oldest first, without those that `back` told: `over` if they join."""
        ...

    async def messages(self) -> int | None:
        """How many messages there are in all, where somebody counts them."""
        ...


class _ThreadPages:
    linked = False

    def __init__(self, threads: ThreadStore, organization_id: str, thread_id: str, until: Spot | None) -> None:
        self._threads = threads
        self._place = (organization_id, thread_id)
        self._until = until
        self._spot = until
        self.over = False

    async def back(self, limit: int) -> Sequence[items.Item]:
        page = await self._threads.tail(*self._place, before=self._spot, limit=limit)
        self.over = len(page) < limit
        if page:
            self._spot = page[-1].spot
        return [placed.item for placed in reversed(page)]

    async def start(self, limit: int) -> Sequence[items.Item]:
        page = await self._threads.head(*self._place, limit=limit)
        earlier = [placed.item for placed in page if self._is_earlier(placed)]
        self.over = len(earlier) < limit
        return earlier

    async def messages(self) -> int | None:
        if self._until is not None:
            return None  # those that the request leaves behind are counted, too
        thread = await self._threads.get(*self._place)
        return None if thread is None else thread.message_count

    def _is_earlier(self, placed: PlacedItem) -> bool:
        return self._spot is None or placed.spot < self._spot


class _ChainPages:
    """Raises `errors.InvalidRequest` and `Conflict` where the last response is not there or has not ended."""

    linked = True

    def __init__(self, responses: ResponseStore, caller: Caller, response_id: str) -> None:
        self._responses = responses
        self._organization_id = caller.organization_id
        self._sees_only = caller.sees_only
        self._last = response_id
        self._next: str | None = response_id

    @property
    def over(self) -> bool:
        return self._next is None

    async def back(self, limit: int) -> Sequence[items.Item]:
        if self._next is None:
            return ()
        # A response has two items at least.
        page = await self._responses.chain(self._organization_id, self._next, limit=-(-limit // 2))
        if self._next == self._last:
            self._check(page)
        self._next = page[0].request.previous_response_id if page else None
        return [item for response in page for item in (*response.request.input, *response.output)]

    async def start(self, limit: int) -> Sequence[items.Item]:
        if self._next is None:
            return ()
        limit = -(-limit // 2)
        page = await self._responses.chain_start(self._organization_id, self._next, limit=limit)
        if len(page) < limit:
            self._next = None
        return [item for response in page for item in (*response.request.input, *response.output)]

    async def messages(self) -> int | None:
        return None

    def _check(self, page: Sequence[Response]) -> None:
        if not page or self._sees_only not in (None, page[-1].user_id):
            raise errors.InvalidRequest(
                f"Previous response with id {self._last[:100]!r} not found",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        if not page[-1].ended:
            raise errors.Conflict(
                f"The response {self._last!r} has not ended",
                param="previous_response_id",
                details="wait for it, or cancel it, before it is continued",
            )


class _Read:
    """What was read of what came before, without what is of no use: its `items`, and whether it is all.

    `said` and `tokens` tell their sizes, which are looked at when they are asked for: mostly it is plain that all fits.
    """

    def __init__(self, pages: _Pages, request: Request) -> None:
        self._pages = pages
        self._request = request
        self._answered = {item.call_id for item in request.input if isinstance(item, items.FunctionOutput)}
        self._approved = {item.request_id for item in request.input if isinstance(item, items.ApprovalAnswer)}
        self._compacted = False
        self._at_most = 0
        self._said: list[Sized] = []
        self.items: list[items.Item] = []

    @property
    def whole(self) -> bool:
        """A compaction stands for all that was said before it."""
        return self._compacted or self._pages.over

    @property
    def said(self) -> list[Sized]:
        if unsized := len(self.items) - len(self._said):
            self._said[:0] = _sized(self.items[:unsized])
        return self._said

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.said)

    def fits(self, room: int | None) -> bool:
        return room is None or self._at_most <= room or self.tokens <= room

    async def back(self, room: int | None) -> None:
        """Reads until there is more than `room` for, and what the input belongs to has its beginning."""
        limit = _PAGE if room is None else min(_PAGE, max(_SMALLEST_PAGE, room // _SHORT))
        while not self.whole:
            said = await self._pages.back(limit)
            self._compacted = compaction.last(said) is not None
            self._add(self._useful(said))
            if room is None:
                limit = _LARGEST_PAGE
            elif not self.whole:
                tokens = self.tokens
                if tokens > room and window.begun([*self.items, *self._request.input]):
                    return
                # As many more as there seems to be room for, as long as those to come.
                each = max(1, tokens // max(1, len(self.items)))
                limit = min(_LARGEST_PAGE, max(_SMALLEST_PAGE, (room - tokens) // each + _SMALLEST_PAGE))

    async def begin(self) -> Sequence[items.Item]:
        """The first items. Where nothing is between them and what was read, they are `said` with the others."""
        if self.whole:
            return ()
        start = self._useful(await self._pages.start(_PAGE))
        if not self.whole:
            return start
        self._add(start)
        return ()

    async def systems(self) -> Sequence[Sized]:
        """The system messages among the first items, which were not read."""
        if self._pages.linked:
            return ()
        return _sized([item for item in await self.begin() if _is_system(item)])

    async def ends(self) -> tuple[Sequence[Sized], Sequence[Sized]]:
        """The first messages, and what of the end was read besides."""
        start = await self.begin()
        if self.whole:
            place = window.opening(self.items, whole=True)
            return self.said[:place], self.said[place:]
        place = window.opening(start, whole=False)
        return _sized([*start[:place], *filter(_is_system, start[place:])]), self.said

    def _add(self, page: Sequence[items.Item]) -> None:
        """Puts a page before what was read."""
        self.items[:0] = page
        self._at_most += estimate.sizes_at_most(page)

    def _useful(self, page: Sequence[items.Item]) -> Sequence[items.Item]:
        """Of the page what its last compaction leaves.

        Outputs come after their calls: what is read backwards tells beforehand which calls are answered.
        """
        if (place := compaction.last(page)) is not None:
            page = compaction.opened(page[place:])
        if not self._request.instructions and _MESSAGES.issuperset(map(type, page)):
            return page  # as it mostly is
        self._answered.update(item.call_id for item in page if isinstance(item, items.FunctionOutput))
        # A call that waited for an approval waits no more.
        asked = (item for item in page if isinstance(item, items.ApprovalRequest))
        self._answered.update(item.call_id for item in asked if item.id in self._approved)
        return [item for item in page if not _is_stale(item, self._request, self._answered)]


def _sized(said: Sequence[items.Item]) -> list[Sized]:
    return [Sized(item, tokens) for item, tokens in zip(said, estimate.sizes(said), strict=True)]


def _continues(request: Request) -> bool:
    return request.previous_response_id is not None or (request.thread is not None and request.thread.id is not None)


def _turn(request: Request, instructions: str | None) -> Turn:
    """As much of what the model is asked as the request says by itself."""
    tools = tuple(tool for tool in request.tools if isinstance(tool, toolspec.Function))
    return Turn("", reading.readable(compaction.opened(request.input)), instructions=instructions, tools=tools)


def _answer(request: Request, capacity: int) -> int:
    """The room that is kept for the answer, never more than half of what the model reads."""
    if request.max_output_tokens is None:
        return min(capacity // _ANSWER_SHARE, _ANSWER_TOKENS)
    return min(request.max_output_tokens, capacity // 2)


def _refuse(tokens: int, request: Request, largest: int | None) -> None:
    """Raises `errors.ContextOverflow` for what is surely more than any of the models reads; they count themselves."""
    if request.truncation == "disabled" and largest is not None and tokens > largest * _SURELY:
        raise _overflow(largest)


def _overflow(largest: int | None) -> errors.ContextOverflow:
    return errors.ContextOverflow(
        "The input is longer than the model can read",
        param="input",
        details=f"the model reads {largest} tokens, and this is more by our estimate: send less, "
        "or set truncation to 'auto' to leave out what is oldest",
    )


async def _told(pages: _Pages, read: _Read, kept: Sequence[items.Item], why: str, capacity: int | None) -> str:
    """What was left out, and why, as a warning."""
    count = await pages.messages()
    least = "" if count is not None or read.whole else "at least "
    known = window.count_messages(read.items) if count is None else count
    gone = max(1, known - window.count_messages(kept))
    return (
        f"{least}{gone} message{'s' * (gone != 1)} before the input {'were' if gone != 1 else 'was'} left out "
        f"({why}): the model reads {capacity} tokens"
    )


def _is_stale(item: items.Item, request: Request, answered: set[str]) -> bool:
    """New instructions take the place of earlier system messages; a call that nobody answered is of no use."""
    match item:
        case items.Message(role=("system" | "developer")):
            return bool(request.instructions)
        case items.FunctionCall(call_id=call_id):
            # One that is shortened keeps what still waits for its answer.
            return call_id not in answered and not (request.compaction is not None and request.compaction.at_once)
        case _:
            return False


def _is_system(item: items.Item) -> bool:
    return isinstance(item, items.Message) and item.role in ("system", "developer")


def _kept(item: items.Item, found: items.Item | None) -> items.Item:
    if found is None:
        return item
    whole = _is_reference(item) or (_is_unsealed(item) and isinstance(found, items.Reasoning))
    return found if whole else item


def _is_reference(item: items.Item) -> bool:
    return isinstance(item, items.Other) and item.type == "item_reference"


def _is_unsealed(item: items.Item) -> bool:
    """Callers that did not ask for the sealed part send back what they were shown, with its id."""
    return isinstance(item, items.Reasoning) and item.encrypted is None
