"""Threads: what two callers do to one at the same time."""

import pytest
from runtime_stage import CALLER

from freddy.server.core import errors
from freddy.server.runtime.threads import Threads
from freddy_fakes import CountingIds, FixedClock


async def test_a_thread_that_is_deleted_while_it_is_changed_is_told_as_missing(stores):
    threads = Threads(store=stores.threads, clock=FixedClock(), ids=CountingIds())
    thread = await threads.create(CALLER, title="Trip", metadata={})
    await threads.delete(thread.id, CALLER)
    with pytest.raises(errors.NotFound):
        await threads.change(thread)
