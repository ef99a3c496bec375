"""The contract of `Signals`."""

import asyncio
from contextlib import AsyncExitStack

from freddy.server.ports.signals import QUEUED, STOPPED, Hearing, topic_of
from freddy.server.stores.signals import topics
from freddy_process import BOUND

LARGEST = 1024 * 1024


async def heard(hearing: Hearing, number: int) -> list[bytes | None]:
    return [await hearing.next(BOUND) for _ in range(number)]


async def test_who_listens_hears_all_that_is_told_of_the_topic_in_order(signals) -> None:
    here, there = signals
    async with there.hear(topic_of("resp_1")) as hearing:
        for number in range(900):
            here.tell(topic_of("resp_1"), b"%d" % number)
            here.tell(topic_of("resp_2"), b"not mine")
        assert await heard(hearing, 900) == [b"%d" % number for number in range(900)]
        assert await hearing.next(0.01) is None


async def test_a_word_without_a_payload_is_heard_as_an_empty_one(signals) -> None:
    here, there = signals
    async with there.hear(QUEUED) as hearing:
        here.tell(QUEUED)
        assert await hearing.next(BOUND) == b""


async def test_a_payload_is_any_bytes(signals) -> None:
    here, there = signals
    async with there.hear(STOPPED) as hearing:
        for payload in (bytes(range(256)), b"\n", b"\r\n\n", "ü".encode()):
            here.tell(STOPPED, payload)
            assert await hearing.next(BOUND) == payload


async def test_a_payload_has_a_mebibyte_and_what_is_larger_is_told_as_an_empty_one(signals) -> None:
    here, there = signals
    async with there.hear("t") as hearing:
        here.tell("t", b"x" * LARGEST)
        here.tell("t", b"y" * (LARGEST + 1))
        here.tell("t", b"z")
        assert await heard(hearing, 3) == [b"x" * LARGEST, b"", b"z"]


async def test_several_hear_the_same(signals) -> None:
    here, there = signals
    async with there.hear("t") as one, there.hear("t") as two, here.hear("t") as near:
        here.tell("t", b"1")
        assert [await each.next(BOUND) for each in (one, two, near)] == [b"1"] * 3
        assert [await each.next(0.01) for each in (one, two, near)] == [None] * 3


async def test_who_does_not_listen_any_more_takes_nothing_from_the_others(signals) -> None:
    here, there = signals
    async with there.hear("t") as stays:
        async with there.hear("t") as leaves:
            here.tell("t", b"1")
            assert await leaves.next(BOUND) == b"1"
        here.tell("t", b"2")
        assert await heard(stays, 2) == [b"1", b"2"]
    here.tell("t", b"told to nobody")
    async with there.hear("t") as again, asyncio.timeout(BOUND):
        here.tell("t", b"3")
        # What was told to nobody may be on its way still.
        while await again.next(BOUND) != b"3":
            pass


async def test_to_come_and_go_at_once_loses_nothing(signals) -> None:
    """Who listens while another just left is listening."""
    here, there = signals

    async def come_and_go(number: int) -> None:
        topic = f"t{number % 3}"
        for turn in range(10):
            async with there.hear(topic) as hearing:
                word = b"%d %d" % (number, turn)
                here.tell(topic, word)
                while await hearing.next(BOUND) != word:
                    pass

    async with asyncio.timeout(BOUND), asyncio.TaskGroup() as tasks:
        for number in range(12):
            tasks.create_task(come_and_go(number))


async def test_many_topics_are_heard_at_once(signals) -> None:
    here, there = signals
    async with AsyncExitStack() as stack, asyncio.timeout(BOUND):
        hearings = [await stack.enter_async_context(there.hear(f"t{number}")) for number in range(200)]
        for number in range(200):
            here.tell(f"t{number}", b"%d" % number)
        assert [await each.next(BOUND) for each in hearings] == [b"%d" % number for number in range(200)]


async def test_one_who_is_slow_is_told_to_look_and_hears_on(signals) -> None:
    here, there = signals
    async with there.hear("t") as slow, there.hear("end") as end:
        for number in range(2_500):
            here.tell("t", b"%d" % number)
        here.tell("end")
        assert await end.next(BOUND) == b""
        async with asyncio.timeout(BOUND):
            assert await slow.next(BOUND) is None
            while (last := await slow.next(BOUND)) != b"2499":
                assert last is not None
        here.tell("t", b"on")
        assert await slow.next(BOUND) == b"on"


async def test_what_waits_for_one_who_is_slow_is_bounded_in_bytes_too(signals) -> None:
    here, there = signals
    async with there.hear("t") as slow, there.hear("end") as end:
        for _ in range(12):
            here.tell("t", b"x" * LARGEST)
        here.tell("end")
        assert await end.next(BOUND) == b""
        assert await slow.next(BOUND) is None


def test_what_was_lost_is_told_once() -> None:
    async def go() -> None:
        hearing = topics.QueuedHearing()
        hearing.put(b"1")
        hearing.miss()
        hearing.miss()
        hearing.put(b"2")
        assert [await hearing.next(0.01) for _ in range(3)] == [None, b"2", None]

    asyncio.run(go())
