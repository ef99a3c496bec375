"""What is done every so often goes on whatever becomes of it."""

import asyncio

from freddy.server.core import errors
from freddy.server.sweeping import swept
from freddy_fakes import PATIENCE


async def test_no_fault_of_a_sweep_ends_it_or_the_others(caplog):
    done: list[str] = []
    enough = asyncio.Event()

    async def fails() -> None:
        done.append("fails")
        raise errors.StorageUnavailable("The disk is full.")

    async def breaks() -> None:
        done.append("breaks")
        raise RuntimeError

    async def works() -> None:
        done.append("works")
        if done.count("works") == 2:
            enough.set()

    async with swept({"a": fails, "b": breaks, "c": works}, seconds=0):
        await asyncio.wait_for(enough.wait(), PATIENCE)
    assert done[:6] == ["fails", "breaks", "works"] * 2
    told = [(record.message, record.sweep) for record in caplog.records]
    assert told[:2] == [("sweep_failed", "a"), ("sweep_fault", "b")]
    assert caplog.records[0].reason == "The disk is full."
