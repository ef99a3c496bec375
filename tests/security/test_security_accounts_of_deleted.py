"""Who deletes a response does not delete what it has cost."""

import asyncio
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "runtime"))

from runtime_stage import CALLER, Stage

from freddy.server.core import deltas
from freddy.server.ports.signals import STOPPED, topic_of
from freddy_fakes import PATIENCE, MemoryStores, ScriptedModel


async def test_what_another_process_performs_ends_and_is_accounted_before_it_is_deleted():
    stores = MemoryStores()
    one = Stage({"scripted": ScriptedModel(deltas.Text("Hello."), asyncio.Event())}, stores, PATIENCE)
    other = Stage({"scripted": ScriptedModel()}, stores, PATIENCE)
    async with other.host, one.host, one.worker.beating():
        begun = await one.start(background=True, stream=False)
        await one.until(one.model.waits)
        async with asyncio.TaskGroup() as tasks:
            deleting = tasks.create_task(other.responses.delete(begun.id, CALLER))
            while not one.ear.finished and not deleting.done():
                # As a Valkey would between the two.
                one.signals.tell(STOPPED, begun.id.encode())
                await asyncio.sleep(0)
            while not deleting.done():
                other.signals.tell(topic_of(begun.id))
                await asyncio.sleep(0)
    assert [status for _, status, *_ in one.ear.finished] == ["cancelled"]
    assert one.ear.left == []
    assert begun.id not in stores.kept
