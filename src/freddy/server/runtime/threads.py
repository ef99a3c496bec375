"""The use-cases of threads: create, get, list, change, delete; their items; and a request that goes on with one."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import UNSET
from msgspec.structs import replace

from freddy.server.core import errors, ids
from freddy.server.core.accounts import Caller
from freddy.server.core.items import Item, Message
from freddy.server.core.request import Request
from freddy.server.core.threads import Change, Thread, changed, check_assistant, name, with_text
from freddy.server.ports.stores import ANY_THREAD, Page, PlacedItem, ThreadFilter, ThreadStore
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.assistants import Assistants

Busy: TypeAlias = Callable[[str, str], bool]
"""Whether a response is being made for this thread of this organization."""

_AT_ONCE = 100
"""Threads that one transaction deletes: others can write between two of them."""
_LOOKED_AT = 100
"""Items at the beginning of a thread among which its name is looked for."""


def _never(*_: str) -> bool:
    return False


class Threads:
    def __init__(
        self,
        *,
        store: ThreadStore,
        clock: Clock,
        ids: IdSource,
        assistants: Assistants | None = None,
        busy: Busy = _never,
    ) -> None:
        """Without `assistants`, any id is taken for one."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._assistants = assistants
        self._busy = busy

    async def create(
        self,
        caller: Caller,
        *,
        thread_id: str | None = None,
        title: str | None = None,
        metadata: dict[str, str] | None = None,
        assistant_id: str | None = None,
        visible: bool = True,
        messages: Sequence[Item] = (),
    ) -> Thread:
        """Raises `errors.Conflict` when the id is taken.

        Raises `errors.NotFound` for an assistant that is not there, or not for the caller.
        """
        await self._check_assistant(caller, assistant_id)
        now = int(self._clock.now())
        thread = Thread(
            id=thread_id or self._ids.new(ids.THREAD),
            organization_id=caller.organization_id,
            created_at=now,
            updated_at=now,
            title=title,
            metadata=metadata or {},
            assistant_id=assistant_id,
            user_id=caller.user_id,
            visible=visible,
        )
        await self._store.create(thread, messages, entry_id=self._ids.new(ids.ENTRY))
        return await self.get(thread.id, caller) if messages else thread

    async def get(self, thread_id: str, caller: Caller) -> Thread:
        """Raises `errors.NotFound`, also for what belongs to others."""
        for organization_id in caller.reach:
            found = await self._store.get(organization_id, thread_id)
            if found is not None and caller.sees_only in (None, found.user_id):
                return found
        raise _missing(thread_id)

    def busy(self, thread: Thread) -> bool:
        """Whether a response is being made for it."""
        return self._busy(thread.organization_id, thread.id)

    async def list(
        self, caller: Caller, page: Page, having: ThreadFilter = ANY_THREAD
    ) -> tuple[Sequence[Thread], bool]:
        return await self._store.list(caller.organization_id, page, _seen(having, caller))

    async def count(self, caller: Caller, having: ThreadFilter = ANY_THREAD) -> int:
        return await self._store.count(caller.organization_id, _seen(having, caller))

    async def change(self, thread_id: str, caller: Caller, change: Change) -> Thread:
        """Raises `errors.NotFound`, and `errors.Conflict` for another assistant where the thread has messages."""
        thread = await self.get(thread_id, caller)
        if change.assistant_id is not UNSET and change.assistant_id != thread.assistant_id:
            await self._check_assistant(caller, change.assistant_id)
        now = int(self._clock.now())
        return await self._alter(thread, lambda kept: changed(kept, change, now))

    async def pin(self, thread_id: str, caller: Caller) -> Thread:
        """Raises `errors.NotFound`."""
        now = int(self._clock.now())
        return await self._alter(await self.get(thread_id, caller), lambda kept: replace(kept, pinned_at=now))

    async def unpin(self, thread_id: str, caller: Caller) -> Thread:
        """Raises `errors.NotFound`."""
        return await self._alter(await self.get(thread_id, caller), lambda kept: replace(kept, pinned_at=None))

    async def give_name(self, thread_id: str, caller: Caller, *, text: str | None = None) -> Thread:
        """Titles the thread after what was said first in it, or after this text.

        Raises `errors.NotFound`, and `errors.InvalidRequest` where nothing was said yet.
        """
        thread = await self.get(thread_id, caller)
        title = name(text if text is not None else await self._beginning(thread))
        if not title:
            raise errors.InvalidRequest(
                "The thread has no message of the user to be named after",
                param="messages",
                code="no_messages",
                details="send messages, or say something in the thread first",
            )
        return await self._alter(thread, lambda kept: changed(kept, Change(title=title), int(self._clock.now())))

    async def delete(self, thread_id: str, caller: Caller) -> Thread:
        """Its responses go with it; those that still run end without it. Raises `errors.NotFound`."""
        thread = await self.get(thread_id, caller)
        await self._store.delete(thread.organization_id, thread_id)
        return thread

    async def delete_all(self, caller: Caller) -> int:
        """All threads of the organization that the caller sees. Returns how many."""
        gone = 0
        while True:
            some = await self._store.delete_some(caller.organization_id, user_id=caller.sees_only, limit=_AT_ONCE)
            gone += some
            if some < _AT_ONCE:
                return gone

    async def items(
        self, thread_id: str, caller: Caller, page: Page, *, messages: bool = False
    ) -> tuple[Sequence[PlacedItem], bool]:
        """All items, or only messages, calls and their outputs. Raises `errors.NotFound`."""
        thread = await self.get(thread_id, caller)
        return await self._store.page_items(thread.organization_id, thread_id, page, messages=messages)

    async def item(self, thread_id: str, item_id: str, caller: Caller) -> PlacedItem:
        """Raises `errors.NotFound`."""
        thread = await self.get(thread_id, caller)
        found = await self._store.item(thread.organization_id, thread_id, item_id)
        if found is None:
            raise _missing_message(item_id)
        return found

    async def append(self, thread_id: str, caller: Caller, added: Sequence[Item]) -> None:
        """Puts items behind what is in the thread, all together. Raises `errors.NotFound`."""
        thread = await self.get(thread_id, caller)
        place = await self._store.append(
            thread.organization_id,
            thread_id,
            added,
            entry_id=self._ids.new(ids.ENTRY),
            now=int(self._clock.now()),
        )
        if place is None:
            raise _missing(thread_id)

    async def rewrite(self, thread_id: str, message_id: str, caller: Caller, text: str) -> PlacedItem:
        """Gives a message another text. Raises `errors.NotFound`, and `errors.PermissionDenied` for what is not a
        message of the user or the assistant."""
        thread = await self.get(thread_id, caller)

        def alter(item: Item) -> Item:
            if not isinstance(item, Message) or item.role not in ("user", "assistant"):
                raise errors.PermissionDenied(
                    "Only messages of the user and the assistant can be changed", param="message_id"
                )
            return with_text(item, text)

        now = int(self._clock.now())
        found = await self._store.change_item(thread.organization_id, thread_id, message_id, alter, now=now)
        if found is None:
            raise _missing_message(message_id)
        return found

    async def delete_item(self, thread_id: str, item_id: str, caller: Caller) -> Thread:
        """With what makes no sense without it. Raises `errors.NotFound`."""
        thread = await self.get(thread_id, caller)
        now = int(self._clock.now())
        if not await self._store.delete_item(thread.organization_id, thread_id, item_id, now=now):
            raise _missing_message(item_id)
        return thread

    async def joined(self, request: Request, caller: Caller) -> tuple[Request, Thread | None]:
        """The request with what it finds of its thread, and the thread, where it is there already.

        Raises `errors.NotFound` for a thread that the caller does not see and for a message that is not in it,
        `errors.Conflict` where the thread is bound to another assistant.
        """
        asked = request.thread
        if asked is None or asked.id is None:
            return request, None
        organization_id = caller.organization_id
        thread = await self._store.get(organization_id, asked.id)
        if thread is not None and caller.sees_only not in (None, thread.user_id):
            raise errors.NotFound(
                f"Thread with id {asked.id[:100]!r} not found", param="thread", code="thread_not_found"
            )
        param = "edit_message_id" if request.edit_message_id is not None else "previous_message_id"
        message_id = request.edit_message_id or request.previous_message_id
        if thread is None:
            if message_id is not None:
                raise _missing_message(message_id, param)
            return request, None
        check_assistant(thread, request.assistant_id)
        asked = replace(asked, seen=thread.places)
        if message_id is not None:
            branch = await self._store.branch(
                organization_id, thread.id, message_id, behind=request.edit_message_id is None
            )
            if branch is None:
                raise _missing_message(message_id, param)
            asked = replace(asked, seen=branch.seen, spot=branch.spot)
        return replace(request, thread=asked), thread

    async def _alter(self, thread: Thread, alter: Callable[[Thread], Thread]) -> Thread:
        altered = await self._store.change(thread.organization_id, thread.id, alter)
        if altered is None:
            raise _missing(thread.id)
        return altered

    async def _beginning(self, thread: Thread) -> str:
        """The first text of the user."""
        for placed in await self._store.head(thread.organization_id, thread.id, limit=_LOOKED_AT):
            if isinstance(placed.item, Message) and placed.item.role == "user" and placed.item.text.strip():
                return placed.item.text
        return ""

    async def _check_assistant(self, caller: Caller, assistant_id: str | None) -> None:
        if assistant_id is not None and self._assistants is not None:
            await self._assistants.get(caller, assistant_id)


def _seen(having: ThreadFilter, caller: Caller) -> ThreadFilter:
    return having if caller.sees_only is None else replace(having, user_id=caller.sees_only)


def _missing(thread_id: str) -> errors.NotFound:
    return errors.NotFound(f"Thread with id {thread_id[:100]!r} not found", param="thread_id", code="thread_not_found")


def _missing_message(message_id: str, param: str = "message_id") -> errors.NotFound:
    return errors.NotFound(
        f"Message with id {message_id[:100]!r} not found in this thread", param=param, code="message_not_found"
    )
