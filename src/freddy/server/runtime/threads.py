"""The use-cases of threads: create, get, list, change, delete, and their items."""

from collections.abc import Sequence

from msgspec.structs import replace

from freddy.server.core import errors, ids
from freddy.server.core.accounts import Caller
from freddy.server.core.threads import Thread
from freddy.server.ports.stores import Page, ThreadItem, ThreadStore
from freddy.server.ports.world import Clock, IdSource


class Threads:
    def __init__(self, *, store: ThreadStore, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def create(
        self, caller: Caller, *, thread_id: str | None = None, title: str | None, metadata: dict[str, str]
    ) -> Thread:
        """Raises `errors.Conflict` when the id is taken."""
        now = int(self._clock.now())
        thread = Thread(
            id=thread_id or self._ids.new(ids.THREAD),
            organization_id=caller.organization_id,
            created_at=now,
            updated_at=now,
            title=title,
            metadata=metadata,
        )
        await self._store.create(thread)
        return thread

    async def get(self, thread_id: str, caller: Caller) -> Thread:
        """Raises `errors.NotFound`, also for what belongs to others."""
        for organization_id in caller.organization_ids:
            if found := await self._store.get(organization_id, thread_id):
                return found
        raise _missing(thread_id)

    async def list(self, caller: Caller, page: Page) -> tuple[Sequence[Thread], bool]:
        return await self._store.list(caller.organization_id, page)

    async def change(self, thread: Thread) -> Thread:
        """Raises `errors.NotFound` when it was deleted meanwhile."""
        changed = replace(thread, updated_at=int(self._clock.now()))
        if not await self._store.update(changed):
            raise _missing(thread.id)
        return changed

    async def pin(self, thread_id: str, caller: Caller) -> Thread:
        """Raises `errors.NotFound`."""
        thread = await self.get(thread_id, caller)
        return await self.change(replace(thread, pinned_at=int(self._clock.now())))

    async def unpin(self, thread_id: str, caller: Caller) -> Thread:
        """Raises `errors.NotFound`."""
        return await self.change(replace(await self.get(thread_id, caller), pinned_at=None))

    async def delete(self, thread_id: str, caller: Caller) -> None:
        """Its responses go with it. Raises `errors.NotFound`."""
        thread = await self.get(thread_id, caller)
        await self._store.delete(thread.organization_id, thread_id)

    async def items(self, thread_id: str, caller: Caller, page: Page) -> tuple[Sequence[ThreadItem], bool]:
        thread = await self.get(thread_id, caller)
        return await self._store.page_items(thread.organization_id, thread_id, page)


def _missing(thread_id: str) -> errors.NotFound:
    return errors.NotFound(f"Thread with id {thread_id[:100]!r} not found", param="thread_id", code="thread_not_found")
