"""Who is let in to the engine, and in which order."""

import asyncio

import pytest

from freddy.server.core import errors
from freddy.server.providers.embedded.room import Room


class Guests:
    """Requests that stay until they are let go."""

    def __init__(self, room: Room, tasks: asyncio.TaskGroup) -> None:
        self.inside: list[str] = []
        self._room = room
        self._tasks = tasks
        self._gone: dict[str, asyncio.Event] = {}
        self._task: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, tokens: int) -> None:
        self._gone[name] = asyncio.Event()
        self._task[name] = self._tasks.create_task(self._stay(name, tokens))
        await settled()

    async def go(self, name: str) -> None:
        self._gone[name].set()
        await settled()

    async def hang_up(self, name: str) -> None:
        self._task[name].cancel()
        await settled()

    async def _stay(self, name: str, tokens: int) -> None:
        async with self._room.taken(tokens):
            self.inside.append(name)
            try:
                await self._gone[name].wait()
            finally:
                self.inside.remove(name)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_are_inside_than_there_are_slots():
    async with asyncio.TaskGroup() as tasks:
        guests = Guests(Room(slots=2, tokens=100, queue=9), tasks)
        for name in "abc":
            await guests.come(name, 1)
        assert guests.inside == ["a", "b"]
        await guests.go("a")
        assert guests.inside == ["b", "c"]
        await guests.go("b")
        await guests.go("c")


async def test_no_more_tokens_are_taken_than_there_are_and_nobody_is_overtaken():
    async with asyncio.TaskGroup() as tasks:
        guests = Guests(Room(slots=4, tokens=100, queue=9), tasks)
        await guests.come("a", 60)
        await guests.come("large", 100)
        await guests.come("small", 1)
        assert guests.inside == ["a"]
        await guests.go("a")
        assert guests.inside == ["large"]
        await guests.go("large")
        assert guests.inside == ["small"]
        await guests.go("small")


async def test_who_hangs_up_gives_back_what_was_taken_and_holds_up_nobody():
    async with asyncio.TaskGroup() as tasks:
        guests = Guests(Room(slots=2, tokens=100, queue=9), tasks)
        await guests.come("a", 60)
        await guests.come("waits", 90)
        await guests.come("b", 40)
        await guests.hang_up("waits")
        assert guests.inside == ["a", "b"]
        await guests.hang_up("a")
        await guests.come("c", 60)
        assert guests.inside == ["b", "c"]
        await guests.go("b")
        await guests.go("c")


def test_who_comes_when_too_many_wait_is_told_to_come_again():
    room = Room(slots=1, tokens=10, queue=1)
    with room.entered(), room.entered():
        with pytest.raises(errors.RateLimited) as caught, room.entered():
            pass
        assert caught.value.retry_after
    with room.entered():
        pass
