"""Runs: performed once, recorded before told, and ended with `Finished` whatever happens."""

import asyncio
import logging
from contextlib import aclosing

import pytest
from msgspec.structs import replace
from runtime_stage import CALLER, STRANGER, Stage, check_run

from freddy.server.core import deltas, errors, events, items, request, toolspec
from freddy.server.core.limits import Limits
from freddy.server.core.usage import Usage
from freddy.server.runtime import estimate
from freddy_fakes import PATIENCE, MemoryResponses, ScriptedModel

STOP = deltas.Stop("stop", Usage(10, 2))
LOST = errors.ProviderFailed("The vendor broke off")


def answer(*texts: str, status: items.Status = "completed", item_id: str = "msg_3") -> items.Message:
    return items.Message(item_id, "assistant", tuple(items.Text(text) for text in texts), status)


async def test_stream_and_answer_and_store_hold_the_same(stage, stores):
    played = await stage(
        deltas.Answering("exact-name"),
        deltas.Reasoning("Hm"),
        [deltas.Text("Hel"), deltas.Text("lo")],
        deltas.ToolCall(0, '{"x":', name="a", call_id="call_a"),
        deltas.ToolCall(1, "{}", name="b", call_id="call_b"),
        deltas.ToolCall(0, "1}"),
        deltas.Stop("tool_calls", Usage(10, 5)),
    )
    ended = await played.perform("Hi", tools=(toolspec.Function("a"), toolspec.Function("b")))
    assert ended.output == (
        items.Reasoning("rs_3", ("Hm",), provider="stage"),
        items.Message("msg_4", "assistant", (items.Text("Hello"),)),
        items.FunctionCall("fc_5", "call_a", "a", '{"x":1}'),
        items.FunctionCall("fc_6", "call_b", "b", "{}"),
    )
    assert (ended.status, ended.model, ended.usage) == ("completed", "exact-name", Usage(10, 5))
    assert ended == await played.responses.get(ended.id, CALLER)
    assert (ended.created_at, ended.completed_at) == (1_700_000_000, 1_700_000_000)


async def test_the_response_that_starts_is_the_one_that_is_created(stage):
    played = await stage(deltas.Text("Hi"), STOP)
    begun = await played.start()
    heard = await played.hear(begun)
    assert heard[0] == events.Created(begun)
    assert begun.status == "in_progress"
    assert (begun.organization_id, begun.key_id, begun.provider) == ("org_1", "key_1", "stage")


async def test_an_item_is_kept_before_anyone_hears_that_it_is_done(stage, stores):
    gate = asyncio.Event()
    stores.gates["add_items"] = gate
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hello"), STOP)
    response = await played.start()
    await played.until(stores.asked)
    told_before = [type(event) for event in await told_so_far(played, response)]
    assert events.ReasoningDelta in told_before
    assert events.ItemDone not in told_before
    assert stores.kept[response.id].output == ()
    gate.set()
    check_run(await played.hear(response))


async def test_every_item_that_is_done_is_kept_at_that_moment(stage, stores):
    """A follower looks into the store at each event."""
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hello"), deltas.ToolCall(0, "{}", "a", "c"), STOP)
    response = await played.start()
    seen = 0
    async with asyncio.timeout(PATIENCE):
        async for _, batch in played.responses.follow(response):
            for event in batch:
                if isinstance(event, events.ItemDone):
                    seen += 1
                    assert event.item in stores.kept[response.id].output
                if isinstance(event, events.Finished):
                    assert stores.kept[response.id] == event.response
    assert seen == 3


async def test_the_end_of_a_turn_is_one_write_with_its_last_item(stage, stores):
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hello"), STOP)
    ended = await played.perform()
    reasoning = ended.output[:1]
    assert [(name, what) for name, _, what in stores.journal[1:]] == [
        ("add_items", reasoning),
        ("finish", ended),
    ]


async def told_so_far(played, response) -> list[events.Event]:
    """What a follower is told now, without waiting for more."""
    following = played.responses.follow(response)
    try:
        async with asyncio.timeout(PATIENCE):
            _, batch = await anext(following)
        return list(batch)
    finally:
        await following.aclose()


async def test_what_is_not_to_be_stored_never_touches_the_store(stage, stores):
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hello"), STOP)
    for method in ("open", "add_items", "finish"):
        stores.faults[method] = AssertionError(f"{method} was called")
    ended = await played.perform(store=False)
    assert ended.status == "completed"
    assert ended.text == "Hello"
    assert stores.journal == []


async def test_a_run_goes_on_without_anyone_who_listens(stage, stores):
    played = await stage(deltas.Text("Hello"), STOP)
    response = await played.start()
    assert played.responses.listeners(response) == 0
    async with asyncio.timeout(PATIENCE):
        await played.host.__aexit__(None, None, None)
    assert stores.kept[response.id].status == "completed"


async def test_a_length_stop_makes_the_response_and_its_last_item_incomplete(stage):
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hel"), deltas.Stop("length", Usage(1, 2)))
    ended = await played.perform()
    assert (ended.status, ended.incomplete_reason) == ("incomplete", "max_output_tokens")
    assert [item.status for item in ended.output] == ["completed", "incomplete"]


async def test_a_run_tells_its_listeners_when_it_starts_and_ends(stage):
    go_on = asyncio.Event()
    played = await stage(go_on, deltas.Text("Hello"), deltas.Text("!"), STOP)
    response = await played.start()
    await played.until(played.model.waits)
    played.clock.advance(2)
    go_on.set()
    await played.hear(response)
    await played.host.cancel(response.id)
    assert played.ear.started == [response.id]
    assert played.ear.finished == [(response.id, "completed", 2.0, 2.0)]


# Cancelling


async def test_cancelling_while_the_model_speaks_keeps_what_was_said(stage, stores):
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hel"), asyncio.Event(), deltas.Text("lo"), STOP)
    response = await played.start()
    await played.until(played.model.waits)
    cancelled = await played.responses.cancel(response.id, CALLER)
    ended = check_run(await played.hear(response))
    assert ended == cancelled == stores.kept[response.id]
    assert ended.status == "cancelled"
    assert ended.output == (
        items.Reasoning("rs_3", ("Hm",), provider="stage"),
        answer("Hel", status="incomplete", item_id="msg_4"),
    )
    assert played.model.closed == played.model.opened == 1
    assert not played.host.performs(response.id)


async def test_cancelling_before_the_model_said_a_word(stage):
    played = await stage(asyncio.Event())
    response = await played.start()
    await played.until(played.model.waits)
    ended = await played.responses.cancel(response.id, CALLER)
    assert (ended.status, ended.output) == ("cancelled", ())
    assert [type(event) for event in await played.hear(response)] == [
        events.Created,
        events.InProgress,
        events.Finished,
    ]


async def test_cancelling_a_response_that_ended_changes_nothing(stage):
    played = await stage(deltas.Text("Hello"), STOP)
    ended = await played.perform()
    assert await played.responses.cancel(ended.id, CALLER) == ended


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelling_while_the_store_is_slow_waits_for_the_store(stage, stores, times):
    gate = asyncio.Event()
    stores.gates["add_items"] = gate
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hel"), asyncio.Event())
    response = await played.start()
    await played.until(stores.asked)
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        stopping = []
        for _ in range(times):
            stores.asked.clear()
            stopping.append(group.create_task(played.host.cancel(response.id)))
            await stores.asked.wait()  # The write was broken off and is tried again.
        gate.set()
    ended = check_run(await played.hear(response))
    assert ended.status == "cancelled"
    assert ended == stores.kept[response.id]
    assert ended.output[0] == items.Reasoning("rs_3", ("Hm",), provider="stage")


async def test_cancelling_while_the_end_is_being_kept_comes_too_late(stage, stores):
    gate = asyncio.Event()
    stores.gates["finish"] = gate
    played = await stage(deltas.Text("Hello"), STOP)
    response = await played.start()
    await played.until(stores.asked)
    stores.asked.clear()
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        stopping = group.create_task(played.responses.cancel(response.id, CALLER))
        await stores.asked.wait()
        gate.set()
    ended = check_run(await played.hear(response))
    assert ended.status == "completed"
    assert stopping.result() == ended


async def test_cancelling_again_while_the_cancelling_is_being_kept_still_ends_the_run(stage, stores):
    gate = asyncio.Event()
    stores.gates["finish"] = gate
    played = await stage(deltas.Text("Hel"), asyncio.Event())
    response = await played.start()
    await played.until(played.model.waits)
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        for _ in range(3):
            stores.asked.clear()
            group.create_task(played.host.cancel(response.id))
            await stores.asked.wait()
        gate.set()
    assert check_run(await played.hear(response)).status == "cancelled"


class SlowToClose(ScriptedModel):
    """Says its lines, and then does not let go."""

    async def stream(self, turn):
        async with aclosing(super().stream(turn)) as saying:
            async for batch in saying:
                try:
                    yield batch
                except GeneratorExit:
                    self.waits.set()
                    await asyncio.Event().wait()


async def test_cancelling_while_the_model_is_closed_changes_no_answer(stage, stores):
    played = await stage(scripted=SlowToClose(deltas.Text("Hello"), STOP))
    response = await played.start()
    await played.until(played.model.waits)
    await played.host.cancel(response.id)
    ended = check_run(await played.hear(response))
    assert (ended.status, ended.usage) == ("completed", Usage(10, 2))
    assert ended == stores.kept[response.id]


async def test_cancelling_one_run_leaves_the_others_alone(stage):
    go_on = asyncio.Event()
    played = await stage(
        one=ScriptedModel(deltas.Text("Hel"), go_on, STOP), two=ScriptedModel(deltas.Text("Hel"), go_on, STOP)
    )
    one, two = await played.start(model="one"), await played.start(model="two")
    await played.until(played.models["one"].waits)
    await played.until(played.models["two"].waits)
    await played.host.cancel(one.id)
    go_on.set()
    assert check_run(await played.hear(one)).status == "cancelled"
    assert check_run(await played.hear(two)).status == "completed"


async def test_nobody_cancels_what_belongs_to_others(stage):
    played = await stage(asyncio.Event())
    response = await played.start()
    with pytest.raises(errors.NotFound):
        await played.responses.cancel(response.id, STRANGER)
    with pytest.raises(errors.NotFound):
        await played.responses.delete(response.id, STRANGER)
    with pytest.raises(errors.NotFound):
        await played.responses.get(response.id, STRANGER)
    assert played.host.performs(response.id)
    await played.host.cancel(response.id)


async def test_deleting_a_run_stops_it_and_forgets_it(stage, stores):
    played = await stage(deltas.Text("Hel"), asyncio.Event())
    response = await played.start()
    await played.until(played.model.waits)
    await played.responses.delete(response.id, CALLER)
    assert stores.kept == {}
    assert played.model.closed == 1
    with pytest.raises(errors.NotFound):
        await played.responses.get(response.id, CALLER)


# Failing


async def test_a_model_that_fails_before_its_first_word(stage, stores):
    played = await stage(LOST)
    ended = await played.perform()
    assert (ended.status, ended.failure, ended.output) == ("failed", LOST.as_failure(), ())
    assert stores.kept[ended.id] == ended
    assert played.ear.finished == [(ended.id, "failed", 0.0, None)]


async def test_a_model_that_fails_in_the_middle_keeps_what_it_said(stage, stores):
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hel"), LOST)
    ended = await played.perform()
    assert (ended.status, ended.failure) == ("failed", LOST.as_failure())
    assert ended.output == (
        items.Reasoning("rs_3", ("Hm",), provider="stage"),
        answer("Hel", status="incomplete", item_id="msg_4"),
    )
    assert stores.kept[ended.id] == ended
    assert played.model.closed == 1


async def test_a_model_that_ends_without_stop_has_failed(stage):
    played = await stage(deltas.Text("Hel"))
    ended = await played.perform()
    assert (ended.status, ended.failure.code) == ("failed", "provider_error")
    assert ended.output == (answer("Hel", status="incomplete"),)


async def test_a_fault_in_one_model_fails_its_run_and_no_other(stage, stores, caplog):
    go_on = asyncio.Event()
    played = await stage(
        broken=ScriptedModel(deltas.Text("Hel"), go_on, RuntimeError("secret detail")),
        sound=ScriptedModel(deltas.Text("Hel"), go_on, deltas.Text("lo"), STOP),
    )
    broken, sound = await played.start(model="broken"), await played.start(model="sound")
    await played.until(played.models["broken"].waits)
    await played.until(played.models["sound"].waits)
    with caplog.at_level(logging.ERROR):
        go_on.set()
        failed = check_run(await played.hear(broken))
    assert (failed.status, failed.failure) == (
        "failed",
        errors.Internal("Internal server error").as_failure(),
    )
    assert failed.output == (answer("Hel", status="incomplete", item_id=failed.output[0].id),)
    assert stores.kept[failed.id] == failed
    assert "secret detail" in caplog.text
    assert check_run(await played.hear(sound)).status == "completed"
    assert (await played.perform(model="sound")).status == "completed"


async def test_a_run_that_cannot_be_kept_does_not_begin(stage, stores):
    stores.faults["open"] = errors.StorageUnavailable("The disk is full")
    played = await stage(deltas.Text("Hello"), STOP)
    with pytest.raises(errors.StorageUnavailable):
        await played.start()
    assert played.model.turns == []
    assert played.ear.started == []
    assert not played.channel.knows("resp_2")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.StorageUnavailable("The disk is full"), "storage_unavailable"),
        (OSError("disk"), "internal_error"),
    ],
    ids=["known", "unknown"],
)
async def test_a_store_that_fails_at_the_end_fails_the_run_for_everyone(stage, stores, fault, code):
    stores.faults["finish"] = fault
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hello"), STOP)
    response = await played.start()
    heard = await played.hear(response)
    ended = heard[-1].response
    assert [type(event) for event in heard[-2:]] == [events.Failed, events.Finished]
    assert (ended.status, ended.failure.code) == ("failed", code)
    # What is told to be done was kept, and nothing else.
    done = tuple(event.item for event in heard if isinstance(event, events.ItemDone))
    assert (
        done == ended.output == stores.kept[response.id].output == (items.Reasoning("rs_3", ("Hm",), provider="stage"),)
    )
    del stores.faults["finish"]
    assert (await played.perform()).status == "completed"


async def test_a_store_that_fails_in_the_middle_stops_the_model(stage, stores):
    stores.faults["add_items"] = errors.StorageUnavailable("The disk is full")
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hello"), asyncio.Event())
    response = await played.start()
    heard = await played.hear(response)
    ended = heard[-1].response
    assert (ended.status, ended.failure.code) == ("failed", "storage_unavailable")
    assert not [event for event in heard if isinstance(event, events.ItemDone)]
    assert played.model.closed == 1
    assert stores.kept[response.id] == ended


async def test_a_failure_before_the_first_word_can_be_told_at_once(stage):
    played = await stage(LOST)
    response = await played.start()
    assert await played.responses.failed_at_once(response, seconds=PATIENCE) == LOST.as_failure()


async def test_a_run_that_speaks_has_not_failed_at_once(stage):
    played = await stage(deltas.Text("Hel"), LOST)
    response = await played.start()
    assert await played.responses.failed_at_once(response, seconds=PATIENCE) is None


async def test_a_run_that_thinks_long_has_not_failed_at_once(stage):
    played = await stage(asyncio.Event())
    response = await played.start()
    assert await played.responses.failed_at_once(response, seconds=0) is None
    await played.host.cancel(response.id)


# Stopping the server


async def test_a_server_that_stops_waits_for_its_runs(stage, stores):
    go_on = asyncio.Event()
    played = await stage(deltas.Text("Hel"), go_on, deltas.Text("lo"), STOP)
    response = await played.start()
    await played.until(played.model.waits)
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        group.create_task(played.host.__aexit__(None, None, None))
        await asyncio.sleep(0)
        with pytest.raises(errors.ShuttingDown):
            await played.start()
        go_on.set()
    assert stores.kept[response.id].status == "completed"
    assert len(stores.kept) == 1


async def test_a_server_that_waited_long_enough_fails_the_runs_that_are_left(stage, stores):
    played = await stage(deltas.Text("Hel"), asyncio.Event(), grace_seconds=0)
    response = await played.start()
    await played.until(played.model.waits)
    async with asyncio.timeout(PATIENCE):
        await played.host.__aexit__(None, None, None)
    ended = check_run(await played.hear(response))
    assert (ended.status, ended.failure.code) == ("failed", "shutting_down")
    assert ended.output == (answer("Hel", status="incomplete"),)
    assert stores.kept[response.id] == ended
    assert played.model.closed == 1


async def test_a_server_in_a_hurry_does_not_wait_for_its_runs(stage, stores):
    played = await stage(deltas.Text("Hel"), asyncio.Event())
    response = await played.start()
    await played.until(played.model.waits)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(played.host.drain())
        played.host.hurry()
    assert stores.kept[response.id].failure.code == "shutting_down"


async def test_a_run_that_is_being_opened_when_the_server_stops_is_refused_and_ended(stage, stores):
    gate = stores.gates["open"] = asyncio.Event()
    played = await stage(deltas.Text("Hello"), STOP)

    async def refused():
        with pytest.raises(errors.ShuttingDown):
            await played.start()

    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        group.create_task(refused())
        await stores.asked.wait()
        await played.host.__aexit__(None, None, None)
        gate.set()
    (kept,) = stores.kept.values()
    assert (kept.status, kept.failure.code) == ("failed", "shutting_down")
    assert played.model.turns == []


# Usage


async def test_what_the_vendor_did_not_count_is_estimated_and_says_so(stage):
    played = await stage(
        deltas.Reasoning("Four" * 10),
        deltas.Text("Eight" * 4),
        deltas.ToolCall(0, "{}", "now", "c"),
        deltas.Stop("stop"),
    )
    ended = await played.perform("Hi")
    turn = played.model.turns[0]
    assert ended.usage == Usage(estimate.input_tokens(turn), 10 + 6, reasoning_tokens=10, estimated=True)
    assert ended.usage == estimate.usage(turn, ended.output)


async def test_tokens_can_be_counted_without_answering(stage):
    played = await stage(counting=ScriptedModel(counts=17), guessing=ScriptedModel())
    asked = (await played.start(model="counting", store=False)).request
    assert await played.responses.count(asked, CALLER) == 17
    guessed = await played.responses.count(replace(asked, model="guessing"), CALLER)
    assert guessed == estimate.input_tokens(played.models["guessing"].turns[-1]) > 0


# Following


async def test_following_after_the_end_tells_the_same_items_again(stage):
    played = await stage(
        deltas.Reasoning("Hm"),
        deltas.Text("Hel"),
        deltas.Text("lo"),
        deltas.Refusal("No"),
        deltas.ToolCall(0, "{}", "a", "c"),
        STOP,
    )
    response = await played.start()
    live = await played.hear(response)
    assert await played.hear(response) == live
    played.channel.forget(response.id)
    kept = await played.responses.get(response.id, CALLER)
    again = await played.hear(kept)
    assert check_run(again) == check_run(live)
    for after in range(len(again) + 1):
        assert await played.hear(kept, after) == (again[after + 1 :] or again[-1:])


@pytest.mark.parametrize("after", [0, 1, 3, 7, 8, 100])
async def test_following_goes_on_after_any_number(stage, after):
    played = await stage(deltas.Text("Hello"), STOP)
    response = await played.start()
    whole = await played.hear(response)
    assert len(whole) == 9
    rest = whole[-1:] if after >= len(whole) else whole[after + 1 :]
    assert await played.hear(response, after) == rest


async def test_a_failed_response_is_told_again_as_failed(stage):
    played = await stage(deltas.Text("Hel"), LOST)
    ended = await played.perform()
    played.channel.forget(ended.id)
    assert check_run(await played.hear(ended)) == ended


async def test_two_followers_hear_the_same(stage):
    go_on = asyncio.Event()
    played = await stage(deltas.Text("Hel"), go_on, deltas.Text("lo"), STOP)
    response = await played.start()
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        early = group.create_task(played.hear(response))
        await played.model.waits.wait()
        late = group.create_task(played.hear(response))
        go_on.set()
    assert early.result() == late.result()
    assert check_run(early.result()).text == "Hello"


# Asking again with the same key


def asked(played, text: str = "Hi") -> request.Request:
    said = items.Message(played.ids.new("msg"), "user", (items.Text(text),))
    return request.Request("scripted", (said,), stream=True)


async def once(played, *, caller=CALLER, key: str = "key", body: bytes = b"body"):
    async with asyncio.timeout(PATIENCE):
        return (await played.responses.start_once(asked(played), caller, key=key, body=body)).response


async def test_the_same_request_sent_twice_begins_one_response(stage, stores):
    gate = stores.gates["open"] = asyncio.Event()
    played = await stage(deltas.Text("Hello"), STOP)
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        both = [group.create_task(once(played)) for _ in range(2)]
        await stores.asked.wait()
        gate.set()
    first, second = (one.result() for one in both)
    assert first.id == second.id == (await once(played)).id
    assert await played.hear(first) == await played.hear(second)
    assert len(stores.kept) == len(played.model.turns) == 1


async def test_a_key_does_not_fit_another_body(stage):
    played = await stage(deltas.Text("Hello"), STOP)
    await once(played)
    with pytest.raises(errors.Conflict):
        await once(played, body=b"other")


async def test_keys_are_an_organizations_own_and_expire(stage):
    played = await stage(deltas.Text("Hello"), STOP)
    first = await once(played)
    assert (await once(played, caller=STRANGER)).id != first.id
    played.clock.advance(24 * 3600 + 1)
    assert (await once(played)).id != first.id


async def test_a_response_that_came_to_nothing_is_begun_anew_once(stage):
    played = await stage(deltas.Text("Hel"), asyncio.Event())
    first = await once(played)
    await played.host.cancel(first.id)
    async with asyncio.timeout(PATIENCE):
        second, third = await asyncio.gather(once(played), once(played))
    assert first.id != second.id == third.id
    await played.host.cancel(second.id)


async def test_a_request_that_never_began_may_be_sent_again(stage, stores):
    stores.faults["open"] = errors.StorageUnavailable("The disk is full")
    played = await stage(deltas.Text("Hello"), STOP)
    with pytest.raises(errors.StorageUnavailable):
        await once(played)
    del stores.faults["open"]
    assert check_run(await played.hear(await once(played))).status == "completed"


# Whole answers


async def test_a_whole_answer_is_kept_by_one_write_at_its_end(stage, stores):
    played = await stage(deltas.Text("Hello"), STOP)
    ended = await played.perform(stream=False)
    assert [written for written, _, _ in stores.journal] == ["keep"]
    assert stores.kept[ended.id] == ended


async def test_a_whole_answer_that_comes_in_pieces_is_kept_piece_by_piece(stage, stores):
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hello"), STOP)
    ended = await played.perform(stream=False)
    assert [written for written, _, _ in stores.journal] == ["open", "add_items", "finish"]
    assert stores.kept[ended.id] == ended


async def test_a_whole_answer_that_cannot_be_kept_is_told_as_failed(stage, stores):
    stores.faults["keep"] = errors.StorageUnavailable("The disk is full")
    played = await stage(deltas.Text("Hello"), STOP)
    ended = (await played.hear(await played.start(stream=False)))[-1].response
    assert (ended.status, ended.failure.code) == ("failed", "storage_unavailable")
    assert not stores.kept


async def test_the_end_of_a_whole_answer_is_kept_as_soon_as_there_is_room(stage, stores):
    stores.faults["keep"] = errors.StorageUnavailable("The disk is full")
    played = await stage(deltas.Text("Hello"), STOP)
    lost = (await played.hear(await played.start(stream=False)))[-1].response
    del stores.faults["keep"]
    await played.perform(stream=False)
    assert stores.kept[lost.id] == lost


async def test_no_run_begins_whose_end_would_have_to_wait_for_room(stage, stores):
    stores.faults["keep"] = errors.StorageUnavailable("The disk is full")
    played = await stage(deltas.Text("Hello"), STOP)
    await played.hear(await played.start(stream=False))
    with pytest.raises(errors.StorageUnavailable):
        await played.start(stream=False)
    assert len(played.model.turns) == 1
    assert (await played.perform(stream=False, store=False)).status == "completed"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_end_that_can_never_be_kept_holds_up_no_other_run(stage, stores, stream):
    method = "finish" if stream else "keep"
    stores.faults[method] = errors.InvalidInput("A text cannot be kept")
    played = await stage(deltas.Text("Hello"), STOP)
    lost = (await played.hear(await played.start(stream=stream)))[-1].response
    assert (lost.status, lost.failure.code) == ("failed", "invalid_input")
    del stores.faults[method]
    assert (await played.perform(stream=stream)).status == "completed"


async def test_an_end_that_waited_for_room_and_can_never_be_kept_holds_up_no_other_run(stage, stores):
    stores.faults["keep"] = errors.StorageUnavailable("The disk is full")
    played = await stage(deltas.Text("Hello"), STOP)
    await played.hear(await played.start(stream=False))
    stores.faults["keep"] = errors.Conflict("The id is taken")
    await played.start()
    del stores.faults["keep"]
    assert (await played.perform(stream=False)).status == "completed"


async def test_a_server_that_stops_keeps_the_ends_that_waited_for_room(stores):
    stores.faults["keep"] = errors.StorageUnavailable("The disk is full")
    played = Stage({"scripted": ScriptedModel(deltas.Text("Hello"), STOP)}, stores, PATIENCE)
    async with played.host:
        lost = (await played.hear(await played.start(stream=False)))[-1].response
        del stores.faults["keep"]
    assert stores.kept[lost.id] == lost


class LateToSay(MemoryResponses):
    """What it opens is kept before the one who asked for it hears so."""

    async def open(self, response):
        if response.id in self._memory.kept:
            raise errors.Conflict("The id is taken")
        await super().open(response)
        self._memory.asked.set()
        await asyncio.Event().wait()


async def test_cancelling_while_a_whole_answer_is_being_opened_cancels_it(stage, stores):
    stores.responses = LateToSay(stores)
    played = await stage(deltas.Reasoning("Hm"), deltas.Text("Hello"), asyncio.Event())
    response = await played.start(stream=False)
    await played.until(stores.asked)
    async with asyncio.timeout(PATIENCE):
        await played.host.cancel(response.id)
    ended = check_run(await played.hear(response))
    assert ended.status == "cancelled"
    assert ended == stores.kept[response.id]


async def test_a_run_that_outlives_whoever_began_it_counts_until_it_ends(stage):
    gate = asyncio.Event()
    played = await stage(gate, deltas.Text("Hello"), STOP)
    bounded = replace(CALLER, limits=Limits(concurrent_runs=1))
    beginning = asyncio.ensure_future(played.start(caller=bounded))
    played.ear.hears = beginning.cancel
    with pytest.raises(asyncio.CancelledError):
        await beginning
    played.ear.hears = lambda: None
    with pytest.raises(errors.RateLimited):
        await played.start(caller=bounded)
    await played.responses.cancel(played.ear.started[0], CALLER)
    assert await played.start(caller=bounded)
    gate.set()
