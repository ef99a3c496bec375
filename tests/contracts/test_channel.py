"""The contract of `Channel`."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
from contract_examples import begun, completed

from freddy.server.core import errors, events
from freddy.server.core.events import Event
from freddy.server.ports.channel import Batch, Channel
from freddy_fakes import PATIENCE, FixedClock


def words(*texts: str) -> list[Event]:
    return [events.TextDelta(0, "msg_1", 0, text) for text in texts]


END: Event = events.Finished(completed(begun("hello"), "well"))


async def heard(batches: AsyncGenerator[Batch, None]) -> list[Batch]:
    async with asyncio.timeout(PATIENCE):
        return [(number, list(told)) async for number, told in batches]


async def next_of(batches: AsyncGenerator[Batch, None]) -> tuple[int, list[Event]]:
    async with asyncio.timeout(PATIENCE):
        number, told = await anext(batches)
        return number, list(told)


def ended(channel: Channel, run_id: str, told: Sequence[Event] = ()) -> None:
    channel.open(run_id)
    channel.append(run_id, [*told, END])


async def wait_followed(channel: Channel, run_id: str, followers: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        while channel.followers(run_id) != followers:  # noqa: ASYNC110 — nobody tells of a follower
            await asyncio.sleep(0)


async def test_a_late_follower_hears_all_in_one_batch(channel: Channel) -> None:
    channel.open("r")
    channel.append("r", words("a", "b"))
    channel.append("r", [*words("c"), END])
    assert await heard(channel.follow("r")) == [(0, [*words("a", "b", "c"), END])]


async def test_a_follower_hears_each_batch_as_it_comes(channel: Channel) -> None:
    channel.open("r")
    batches = channel.follow("r")
    channel.append("r", words("a", "b"))
    assert await next_of(batches) == (0, words("a", "b"))
    channel.append("r", words("c"))
    assert await next_of(batches) == (2, words("c"))
    channel.append("r", [END])
    assert await heard(batches) == [(3, [END])]


async def test_a_follower_waits_for_the_first_event(channel: Channel) -> None:
    channel.open("r")
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(heard(channel.follow("r")))
        await wait_followed(channel, "r")
        assert not listening.done()
        channel.append("r", [END])
    assert listening.result() == [(0, [END])]


async def test_a_slow_follower_gets_all_that_came_meanwhile(channel: Channel) -> None:
    channel.open("r")
    batches = channel.follow("r")
    channel.append("r", words("a"))
    await next_of(batches)
    channel.append("r", words("b"))
    channel.append("r", words("c", "d"))
    channel.append("r", [END])
    assert await next_of(batches) == (1, [*words("b", "c", "d"), END])


async def test_following_goes_on_after_a_number(channel: Channel) -> None:
    ended(channel, "r", words("a", "b", "c"))
    assert await heard(channel.follow("r", after=1)) == [(2, [*words("c"), END])]
    assert await heard(channel.follow("r", after=3)) == []


async def test_a_number_that_did_not_come_yet_is_waited_for(channel: Channel) -> None:
    channel.open("r")
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(heard(channel.follow("r", after=1)))
        await wait_followed(channel, "r")
        channel.append("r", words("a", "b"))
        await asyncio.sleep(0)
        channel.append("r", [END])
    assert listening.result() == [(2, [END])]


async def test_all_followers_hear_the_same(channel: Channel) -> None:
    channel.open("r")
    async with asyncio.TaskGroup() as tasks:
        listening = [tasks.create_task(heard(channel.follow("r"))) for _ in range(3)]
        await wait_followed(channel, "r", 3)
        channel.append("r", words("a"))
        channel.append("r", [END])
    told = [[event for _, batch in task.result() for event in batch] for task in listening]
    assert told == [[*words("a"), END]] * 3


async def test_a_follower_that_is_cancelled_does_not_disturb_the_others(channel: Channel) -> None:
    channel.open("r")
    async with asyncio.TaskGroup() as tasks:
        going, staying = (tasks.create_task(heard(channel.follow("r"))) for _ in range(2))
        await wait_followed(channel, "r", 2)
        going.cancel()
        await wait_followed(channel, "r", 1)
        channel.append("r", [END])
    assert staying.result() == [(0, [END])]


async def test_closing_the_iterator_ends_the_following(channel: Channel) -> None:
    channel.open("r")
    channel.append("r", words("a"))
    batches = channel.follow("r")
    await next_of(batches)
    assert channel.followers("r") == 1
    await batches.aclose()
    assert channel.followers("r") == 0


async def test_an_unknown_run_cannot_be_followed(channel: Channel) -> None:
    assert not channel.knows("r")
    assert channel.followers("r") == 0
    with pytest.raises(KeyError):
        await heard(channel.follow("r"))


async def test_opening_again_keeps_what_was_told(channel: Channel) -> None:
    channel.open("r")
    channel.append("r", words("a"))
    channel.open("r")
    assert await next_of(channel.follow("r")) == (0, words("a"))


async def test_a_forgotten_run_ends_for_its_followers(channel: Channel) -> None:
    channel.open("r")
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(heard(channel.follow("r")))
        await wait_followed(channel, "r")
        channel.forget("r")
    assert listening.result() == []
    assert not channel.knows("r")
    channel.forget("r")


async def test_reaching_a_number_is_waited_for(channel: Channel) -> None:
    channel.open("r")
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(channel.reached("r", 1))
        channel.append("r", words("a"))
        await asyncio.sleep(0)
        assert not waiting.done()
        channel.append("r", words("b"))
    await channel.reached("r", 0)


async def test_a_number_that_never_comes_is_waited_for_until_the_end(channel: Channel) -> None:
    channel.open("r")
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(channel.reached("r", 99))
        channel.append("r", [END])


async def test_an_ended_run_is_kept_for_a_while(channel: Channel, clock: FixedClock) -> None:
    ended(channel, "r")
    clock.advance(59)
    channel.open("next")
    assert channel.knows("r")
    clock.advance(1)
    channel.open("another")
    assert not channel.knows("r")


async def test_a_run_that_goes_on_is_never_dropped(channel: Channel, clock: FixedClock) -> None:
    channel.open("long")
    channel.append("long", words(*"abcdefghijklmnop"))
    clock.advance(10_000)
    for number in range(9):
        ended(channel, f"r{number}")
    assert channel.knows("long")


async def test_the_run_that_ended_first_is_dropped_first(channel: Channel) -> None:
    channel.open("slow")
    for run_id in ("a", "b"):
        ended(channel, run_id)
    channel.append("slow", [END])
    ended(channel, "c")
    assert [channel.knows(run_id) for run_id in ("slow", "a", "b", "c")] == [True, False, True, True]


async def test_ended_runs_hold_so_many_events_and_no_more(channel: Channel) -> None:
    ended(channel, "a", words("1", "2", "3"))
    ended(channel, "b", words("1", "2", "3"))
    assert channel.knows("a")
    ended(channel, "c", words("1", "2", "3"))
    assert [channel.knows(run_id) for run_id in "abc"] == [False, True, True]
    channel.forget("b")
    ended(channel, "d", words("1", "2", "3", "4", "5"))
    assert [channel.knows(run_id) for run_id in "cd"] == [True, True]


async def test_a_follower_hears_a_dropped_run_to_its_end(channel: Channel, clock: FixedClock) -> None:
    ended(channel, "r", words("a"))
    batches = channel.follow("r")
    clock.advance(60)
    channel.open("next")
    assert not channel.knows("r")
    assert await heard(batches) == [(0, [*words("a"), END])]


async def test_who_waits_for_a_number_follows_the_run(channel: Channel) -> None:
    channel.open("r")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(channel.reached("r", 0))
        await wait_followed(channel, "r")
        channel.append("r", words("a"))
        await waiting
    assert channel.followers("r") == 0


@pytest.mark.parametrize("last", [[END], [events.Failed(errors.Failure("It broke.")), END]])
async def test_who_heard_more_numbers_than_there_are_hears_the_end(channel: Channel, last: list[Event]) -> None:
    ended(channel, "r", [*words("a", "b"), *last[:-1]])
    assert await heard(channel.follow("r", 1000)) == [(1001, last)]
    assert await heard(channel.follow("r", len(last) + 1)) == []


async def test_of_a_run_that_is_forgotten_nobody_hears_an_end(channel: Channel) -> None:
    channel.open("r")
    batches = channel.follow("r", 1000)
    async with asyncio.TaskGroup() as tasks:
        hearing = tasks.create_task(heard(batches))
        await wait_followed(channel, "r")
        channel.append("r", words("a"))
        channel.forget("r")
    assert hearing.result() == []
