"""Threads: what two callers do to one at the same time, and stopping what is being said in one."""

import asyncio

import pytest
from msgspec.structs import replace
from runtime_stage import CALLER, STRANGER, check_run

from freddy.server.core import deltas, errors, items, request
from freddy.server.core.accounts import SCOPES, Caller
from freddy.server.core.threads import Change
from freddy.server.ports.stores import Page, ThreadFilter
from freddy.server.runtime.threads import Threads
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.threads import SqlThreads
from freddy_fakes import CountingIds, FixedClock


async def test_a_thread_that_is_deleted_while_it_is_changed_is_told_as_missing(stores):
    threads = Threads(store=stores.threads, clock=FixedClock(), ids=CountingIds())
    thread = await threads.create(CALLER, title="Trip", metadata={})
    await threads.delete(thread.id, CALLER)
    with pytest.raises(errors.NotFound):
        await threads.change(thread.id, CALLER, Change(title="Tour"))


async def said_for(seconds: float, stage, **asked):
    """A stage where a response to a thread has been speaking for so long."""
    played = await stage(deltas.Text("Hel"), asyncio.Event())
    response = await played.start(thread=request.ThreadRef("thrd_x"), **asked)
    await played.until(played.model.waits)
    played.clock.advance(seconds)
    return played, response


async def test_what_is_stopped_at_once_leaves_nothing_in_its_thread(stage):
    played, response = await said_for(4.9, stage)
    stopped = await played.responses.stop_in_thread("thrd_x", CALLER)
    assert (stopped.response.id, round(stopped.seconds, 3), stopped.kept) == (response.id, 4.9, False)
    ended = check_run(await played.hear(response))
    assert (ended.status, ended.partial) == ("cancelled", False)


async def test_what_is_stopped_later_stays_as_far_as_it_was_said(stage):
    played, response = await said_for(5, stage)
    stopped = await played.responses.stop_in_thread("thrd_x", CALLER)
    assert (stopped.response.id, stopped.seconds, stopped.kept) == (response.id, 5, True)
    ended = check_run(await played.hear(response))
    assert (ended.status, ended.partial, ended.text) == ("cancelled", True, "Hel")
    assert await played.responses.get(response.id, CALLER) == ended


async def test_of_what_is_not_stored_nothing_stays(stage):
    played, _ = await said_for(60, stage, store=False)
    stopped = await played.responses.stop_in_thread("thrd_x", CALLER)
    assert not stopped.kept


async def test_of_two_in_one_thread_the_later_one_is_stopped_first(stage):
    played = await stage(deltas.Text("Hel"), asyncio.Event())
    begun = [await played.start(thread=request.ThreadRef("thrd_x")) for _ in range(2)]
    assert played.host.busy("org_1", "thrd_x")
    for response in reversed(begun):
        stopped = await played.responses.stop_in_thread("thrd_x", CALLER)
        assert stopped.response.id == response.id
    assert await played.responses.stop_in_thread("thrd_x", CALLER) is None
    assert not played.host.busy("org_1", "thrd_x")


async def test_nobody_stops_what_is_said_to_others(stage):
    played, response = await said_for(1, stage)
    assert await played.responses.stop_in_thread("thrd_x", STRANGER) is None
    someone = replace(CALLER, key_id=None, user_id="usr_2", sees_only="usr_2")
    assert await played.responses.stop_in_thread("thrd_x", someone) is None
    with pytest.raises(errors.NotFound):
        await played.responses.get(response.id, someone)
    assert played.host.performs(response.id)
    await played.host.cancel(response.id)


async def test_a_user_sees_only_threads_of_the_user():
    async with Database(None) as database:
        threads = Threads(store=SqlThreads(database), clock=FixedClock(), ids=CountingIds())
        ada, eve = (
            Caller("org_1", ("org_1", "org_2"), frozenset(SCOPES), user_id=user_id, sees_only=user_id)
            for user_id in ("usr_ada", "usr_eve")
        )
        message = items.Message("msg_1", "user", (items.Text("Hi"),))
        thread = await threads.create(ada, thread_id="t", messages=(message,))
        assert thread.user_id == "usr_ada"
        for attempt in (
            lambda: threads.get("t", eve),
            lambda: threads.change("t", eve, Change(title="x")),
            lambda: threads.pin("t", eve),
            lambda: threads.unpin("t", eve),
            lambda: threads.give_name("t", eve),
            lambda: threads.delete("t", eve),
            lambda: threads.items("t", eve, Page()),
            lambda: threads.item("t", "msg_1", eve),
            lambda: threads.append("t", eve, (message,)),
            lambda: threads.rewrite("t", "msg_1", eve, "x"),
            lambda: threads.delete_item("t", "msg_1", eve),
            lambda: threads.joined(request.Request("m", (), thread=request.ThreadRef("t")), eve),
        ):
            with pytest.raises(errors.NotFound):
                await attempt()
        assert await threads.list(eve, Page()) == ([], False)
        assert await threads.count(eve) == 0
        assert await threads.list(eve, Page(), ThreadFilter(user_id="usr_ada")) == ([], False)
        assert await threads.delete_all(eve) == 0
        key = Caller("org_1", ("org_1",), frozenset(SCOPES), key_id="key_1")
        assert await threads.get("t", key) == thread
        assert await threads.list(ada, Page()) == ([thread], False)
