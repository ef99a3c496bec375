"""What the model reads: the items before, in order, and then the input."""

import asyncio

import pytest
from runtime_stage import CALLER, STRANGER

from freddy.server.core import deltas, errors, items, request, toolspec
from freddy.server.core.request import PromptRef
from freddy.server.ports.stores import Page
from freddy_fakes import ScriptedModel, raw

STOP = deltas.Stop("stop")


def words(played) -> list[str]:
    """The texts that the model was asked last."""
    return [item.text for item in played.model.turns[-1].items]


def system(text: str, role: items.Role = "system") -> items.Message:
    return items.Message(f"msg_{text}", role, (items.Text(text),))


async def test_a_thread_is_read_in_order_before_the_input(stage, stores):
    played = await stage(deltas.Text("A"), STOP)
    first = await played.perform("1", thread=request.ThreadRef("thrd_x", {"k": "v"}))
    second = await played.perform("2", thread=request.ThreadRef("thrd_x"))
    await played.perform("3", "4", thread=request.ThreadRef("thrd_x"))
    assert words(played) == ["1", "A", "2", "A", "3", "4"]
    assert first.thread_id == second.thread_id == "thrd_x"
    assert stores.threads_kept["org_1", "thrd_x"].metadata == {"k": "v"}


async def test_a_thread_that_nobody_named_gets_an_id(stage, stores):
    played = await stage(deltas.Text("A"), STOP)
    ended = await played.perform("1", thread=request.ThreadRef())
    assert ("org_1", ended.thread_id) in stores.threads_kept
    await played.perform("2", thread=request.ThreadRef(ended.thread_id))
    assert words(played) == ["1", "A", "2"]


async def test_what_is_not_stored_reads_a_thread_and_leaves_it_as_it_was(stage, stores):
    played = await stage(deltas.Text("A"), STOP)
    await played.perform("1", thread=request.ThreadRef("thrd_x"))
    unstored = await played.perform("2", thread=request.ThreadRef("thrd_x"), store=False)
    fresh = await played.perform("3", thread=request.ThreadRef(), store=False)
    assert (unstored.thread_id, fresh.thread_id) == ("thrd_x", None)
    await played.perform("4", thread=request.ThreadRef("thrd_x"))
    assert words(played) == ["1", "A", "4"]


async def test_a_failed_run_leaves_no_trace_in_its_thread(stage):
    played = await stage(
        sound=ScriptedModel(deltas.Text("A"), STOP),
        broken=ScriptedModel(deltas.Text("B"), errors.ProviderFailed("No")),
    )
    await played.perform("1", thread=request.ThreadRef("thrd_x"))
    await played.perform("2", thread=request.ThreadRef("thrd_x"), model="broken")
    await played.perform("3", thread=request.ThreadRef("thrd_x"))
    assert words(played) == ["1", "A", "3"]


async def test_a_thread_of_others_is_not_read_and_not_written(stage, stores):
    played = await stage(deltas.Text("A"), STOP)
    await played.perform("1", thread=request.ThreadRef("thrd_x"))
    await played.perform("2", thread=request.ThreadRef("thrd_x"), caller=STRANGER)
    assert words(played) == ["2"]
    await played.perform("3", thread=request.ThreadRef("thrd_x"))
    assert words(played) == ["1", "A", "3"]


async def test_a_chain_of_responses_is_read_oldest_first(stage):
    played = await stage(deltas.Text("A"), STOP)
    first = await played.perform("1")
    second = await played.perform("2", previous_response_id=first.id)
    await played.perform("3", previous_response_id=second.id)
    assert words(played) == ["1", "A", "2", "A", "3"]
    await played.perform("other", previous_response_id=first.id)
    assert words(played) == ["1", "A", "other"]


async def test_calls_and_outputs_stay_in_the_chain(stage):
    played = await stage(deltas.Reasoning("Hm"), deltas.ToolCall(0, "{}", "now", "call_a"), deltas.Stop("tool_calls"))
    first = await played.perform("1", tools=(toolspec.Function("now"),))
    output = items.FunctionOutput("fco_1", "call_a", (items.Text("12:00"),))
    await played.perform(output, previous_response_id=first.id)
    assert played.model.turns[-1].items == (*first.request.input, *first.output, output)


async def test_instructions_are_of_one_request_only(stage):
    played = await stage(deltas.Text("A"), STOP)
    first = await played.perform("1", instructions="Be brief")
    await played.perform("2", previous_response_id=first.id)
    assert [turn.instructions for turn in played.model.turns] == ["Be brief", None]
    assert words(played) == ["1", "A", "2"]


async def test_new_instructions_take_the_place_of_earlier_system_messages(stage):
    played = await stage(deltas.Text("A"), STOP)
    thread = request.ThreadRef("thrd_x")
    first = await played.perform(system("old"), system("dev", "developer"), "1", thread=thread)
    await played.perform(system("new"), "2", thread=thread, instructions="Be brief")
    assert words(played) == ["1", "A", "new", "2"]
    await played.perform("3", previous_response_id=first.id, instructions="Be brief")
    assert words(played) == ["1", "A", "3"]
    await played.perform("4", previous_response_id=first.id)
    assert words(played) == ["old", "dev", "1", "A", "4"]


async def test_a_previous_response_that_is_not_there_is_told(stage):
    played = await stage(deltas.Text("A"), STOP)
    first = await played.perform("1")
    for caller, wanted in ((CALLER, "resp_none"), (STRANGER, first.id)):
        with pytest.raises(errors.InvalidRequest) as missing:
            await played.start("2", previous_response_id=wanted, caller=caller)
        assert (missing.value.code, missing.value.param) == (
            "previous_response_not_found",
            "previous_response_id",
        )


async def test_a_response_that_goes_on_cannot_be_continued(stage):
    played = await stage(deltas.Text("A"), asyncio.Event())
    first = await played.start("1")
    with pytest.raises(errors.Conflict):
        await played.start("2", previous_response_id=first.id)
    await played.host.cancel(first.id)


async def test_a_reference_stands_for_the_item_it_names(stage, stores):
    played = await stage(deltas.Text("A"), STOP)
    first = await played.perform("1")
    references = [items.Other(item.id, "item_reference", raw({})) for item in (*first.request.input, *first.output)]
    second = await played.perform(references[1], "2", references[0])
    assert words(played) == ["A", "2", "1"]
    assert second.request.input[0] == first.output[0]


@pytest.mark.parametrize("caller", [CALLER, STRANGER], ids=["unknown", "of-others"])
async def test_a_reference_to_nothing_is_refused(stage, caller):
    played = await stage(deltas.Text("A"), STOP)
    first = await played.perform("1")
    named = "msg_none" if caller is CALLER else first.output[0].id
    with pytest.raises(errors.InvalidRequest) as missing:
        await played.start(items.Other(named, "item_reference", raw({})), caller=caller)
    assert (missing.value.code, missing.value.param) == ("item_not_found", "input")


async def test_the_input_is_told_page_by_page(stage):
    played = await stage(deltas.Text("A"), STOP)
    ended = await played.perform("1", "2", "3")
    found, more = await played.responses.input_items(ended.id, CALLER, Page(limit=2, order="asc"))
    assert ([item.text for item in found], more) == (["1", "2"], True)
    found, more = await played.responses.input_items(ended.id, CALLER, Page(limit=2, order="asc", after=found[-1].id))
    assert ([item.text for item in found], more) == (["3"], False)
    with pytest.raises(errors.NotFound):
        await played.responses.input_items(ended.id, STRANGER, Page())


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"model": "nobody"}, "model"),
        ({"assistant_id": "asst_1"}, "assistant_id"),
        ({"prompt": PromptRef("prompt_1")}, "prompt"),
        ({"rules": ("rule_1",)}, "rules"),
    ],
)
async def test_what_is_not_there_keeps_the_run_from_starting(stage, stores, asked, param):
    played = await stage(deltas.Text("A"), STOP)
    with pytest.raises(errors.NotFound) as missing:
        await played.start("1", **asked)
    assert missing.value.param == param
    assert stores.journal == []


async def test_disabled_rules_need_not_be_there(stage):
    played = await stage(deltas.Text("A"), STOP)
    assert (await played.perform("1", rules=("rule_1",), disable_rules=True)).status == "completed"


async def test_what_a_model_will_not_do_is_said_as_a_warning(stage):
    played = await stage(deltas.Text("A"), STOP)
    played.model.minds = ("temperature was lowered to 1, the highest of mild",)
    ended = await played.perform(
        "1", sampling=request.Sampling(temperature=1.5), tools=(toolspec.Other("web_search", raw({})),)
    )
    assert ended.warnings == (
        "the tool web_search is not run by this server",
        "temperature was lowered to 1, the highest of mild",
    )
