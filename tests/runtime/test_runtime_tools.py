"""The loop: a model calls tools, this server answers, and the model goes on until there is an answer."""

import asyncio
from contextlib import aclosing

import pytest
from msgspec.structs import replace
from runtime_stage import CALLER, ToolStage, check_run

from freddy.server.core import deltas, errors, events, folding, items, run, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.usage import Usage
from freddy.server.runtime.runner import Runner
from freddy.server.runtime.toolbox import Limits, Tools
from freddy_fakes import (
    PATIENCE,
    CountingIds,
    FixedClock,
    MemoryFunctions,
    MemoryMcp,
    MemoryRetriever,
    ScriptedModel,
    raw,
)
from promises import promise

STOP = deltas.Stop("stop", Usage(10, 5))
CALLS = deltas.Stop("tool_calls", Usage(10, 5))
ANSWER = [deltas.Text("It is warm."), STOP]
ADD = toolspec.Function(
    "add", parameters=raw({"type": "object", "properties": {"n": {"type": "integer"}}}), hosted=True
)
OWN = toolspec.Function("own")
NEVER = toolspec.Approval("never")
DEEP = toolspec.Mcp("deep", raw({"type": "mcp"}), server_url="https://mcp.example/x", approval=NEVER)
ASKING = replace(DEEP, approval=toolspec.Approval("always"))
SEARCH = toolspec.FileSearch(("vs_1",), raw({"type": "file_search"}))
PASSAGE = items.Found("file_1", "a.txt", 0.9, "The sky is green.")


def call(name: str, arguments: str = "{}", index: int = 0) -> deltas.ToolCall:
    return deltas.ToolCall(index, arguments, name, f"call_{name}_{index}_{len(arguments)}")


async def add(asked: dict[str, object]) -> object:
    return f"sum {asked.get('n')}"


def kinds(response) -> list[str]:
    return [type(item).__name__ for item in response.output]


async def over(stage, *said, **asked):
    """The response, seen to its end."""
    response = await stage.start(*said, **asked)
    return check_run(await stage.hear(response))


@promise(119)
async def test_a_functions_answer_goes_back_to_the_model_until_it_answers(stage):
    model = ScriptedModel(turns=[[call("add", '{"n": 1}'), CALLS], [call("add", '{"n": 2}'), CALLS], ANSWER])
    tools = ToolStage(MemoryFunctions(add=add))
    built = await stage(tools=tools, scripted=model)
    ended = await over(built, tools=(ADD,))
    assert ended.status == "completed"
    assert kinds(ended) == ["FunctionCall", "FunctionOutput", "FunctionCall", "FunctionOutput", "Message"]
    assert [item.text for item in ended.output if isinstance(item, items.FunctionOutput)] == ["sum 1", "sum 2"]
    assert ended.usage == Usage(30, 15)
    assert [type(item).__name__ for item in model.turns[1].items] == ["Message", "FunctionCall", "FunctionOutput"]
    assert [one.kind for one in ended.calls] == ["model", "tool", "model", "tool", "model"]


async def test_a_function_that_only_the_caller_has_ends_the_run(stage):
    model = ScriptedModel([call("own"), CALLS])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    ended = await over(built, tools=(OWN, ADD))
    assert kinds(ended) == ["FunctionCall"]
    assert ended.status == "completed"
    assert len(model.turns) == 1


async def test_calls_for_here_are_answered_before_the_caller_is_asked_for_the_others(stage):
    model = ScriptedModel([call("own"), call("add", '{"n": 3}', 1), CALLS])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    ended = await over(built, tools=(OWN, ADD))
    assert kinds(ended) == ["FunctionCall", "FunctionCall", "FunctionOutput"]
    assert len(model.turns) == 1


async def test_a_function_that_fails_is_an_answer_that_the_model_reads(stage):
    async def breaks(_: dict[str, object]) -> object:
        raise ValueError("nobody should see this")

    model = ScriptedModel(turns=[[call("add"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=breaks)), scripted=model)
    ended = await over(built, tools=(ADD,))
    assert ended.status == "completed"
    output = ended.output[1]
    assert isinstance(output, items.FunctionOutput)
    assert output.failed
    assert "fault" in output.text
    assert "nobody" not in output.text


async def test_arguments_that_do_not_fit_are_told_to_the_model_and_the_function_is_not_called(stage):
    functions = MemoryFunctions(add=add)
    functions.specs["add"] = toolspec.Function(
        "add", parameters=raw({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    )
    model = ScriptedModel(turns=[[call("add", '{"n": "x"}'), CALLS], [call("add", "{"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(functions), scripted=model)
    ended = await over(built, tools=(ADD,))
    outputs = [item.text for item in ended.output if isinstance(item, items.FunctionOutput)]
    assert len(outputs) == 2
    assert all("do not fit" in text for text in outputs)
    assert functions.called == []


async def test_a_tool_that_takes_too_long_is_an_answer_too(stage):
    async def hangs(_: dict[str, object]) -> object:
        await asyncio.Event().wait()

    model = ScriptedModel(turns=[[call("add"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=hangs), limits=Limits(seconds=0.05)), scripted=model)
    ended = await over(built, tools=(ADD,))
    assert ended.status == "completed"
    assert "longer than 0.05 seconds" in ended.output[1].text


@promise(94)
@promise(95)
@promise(96)
async def test_calls_beyond_the_limit_are_answered_with_that_and_the_model_must_finish(stage):
    functions = MemoryFunctions(add=add)
    model = ScriptedModel(
        turns=[
            [call("add", '{"n": 1}'), CALLS],
            [call("add", '{"n": 2}'), call("tool", "{}", 1), call("add", '{"n": 3}', 2), CALLS],
            ANSWER,
        ]
    )
    mcp = MemoryMcp(tool=add)
    built = await stage(tools=ToolStage(functions, mcp), scripted=model)
    ended = await over(built, tools=(ADD, DEEP), max_tool_calls=2)
    assert ended.status == "completed"
    assert len(functions.called) == 2
    assert mcp.called == []
    refused = [item for item in ended.output if isinstance(item, items.HostedCall)]
    assert ["limit" in (one.error or "") for one in refused] == [True]
    assert model.turns[2].tool_choice == "none"


async def test_a_model_that_never_stops_calling_is_stopped(stage):
    model = ScriptedModel([call("add"), CALLS])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    ended = await over(built, tools=(ADD,))
    assert ended.status == "completed"
    assert len(model.turns) == 22  # twenty calls, one that is refused, and one that was asked to do without


async def test_a_limit_of_none_calls_nothing(stage):
    functions = MemoryFunctions(add=add)
    built = await stage(tools=ToolStage(functions), scripted=ScriptedModel(turns=[[call("add"), CALLS], ANSWER]))
    ended = await over(built, tools=(ADD,), max_tool_calls=0)
    assert ended.text == "It is warm."
    assert functions.called == []


@promise(117)
async def test_calls_of_a_turn_run_at_the_same_time_where_that_is_asked_for(stage):
    both = asyncio.Barrier(2)

    async def meets(_: dict[str, object]) -> object:
        async with asyncio.timeout(PATIENCE):
            await both.wait()
        return "met"

    model = ScriptedModel(turns=[[call("add"), call("add", "{} ", 1), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=meets)), scripted=model)
    ended = await over(built, tools=(ADD,), parallel_tool_calls=True)
    assert [item.text for item in ended.output if isinstance(item, items.FunctionOutput)] == ["met", "met"]
    assert model.turns[0].parallel_tool_calls


@promise(123)
async def test_calls_of_a_turn_run_one_after_the_other_where_nobody_asks_for_more(stage):
    running = 0

    async def alone(_: dict[str, object]) -> object:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1
        return "done"

    model = ScriptedModel(turns=[[call("add"), call("add", "{} ", 1), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=alone)), scripted=model)
    ended = await over(built, tools=(ADD,))
    assert [item.text for item in ended.output if isinstance(item, items.FunctionOutput)] == ["done", "done"]
    assert not model.turns[0].parallel_tool_calls


@promise(122)
async def test_a_model_that_is_used_to_calling_several_at_once_may_unless_the_caller_says_no(stage):
    profile = Profile(name="m", provider="p", parallel_by_default=True)
    model = ScriptedModel(*ANSWER, profile=profile)
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    await over(built, tools=(ADD,))
    await over(built, tools=(ADD,), given=("parallel_tool_calls",))
    assert [turn.parallel_tool_calls for turn in model.turns] == [True, False]


async def test_what_must_be_called_must_be_called_once(stage):
    model = ScriptedModel(turns=[[call("add"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    await over(built, tools=(ADD,), tool_choice=toolspec.Named("add"))
    assert [turn.tool_choice for turn in model.turns] == [toolspec.Named("add"), "auto"]


async def test_a_hosted_tool_can_be_forced(stage):
    model = ScriptedModel(turns=[[call("file_search", '{"query": "sky"}'), CALLS], ANSWER])
    built = await stage(tools=ToolStage(retriever=MemoryRetriever(PASSAGE)), scripted=model)
    await over(built, tools=(SEARCH, OWN), tool_choice=toolspec.Hosted("file_search"))
    assert [turn.tool_choice for turn in model.turns] == [toolspec.Named("file_search"), "auto"]


async def test_the_room_for_the_answer_is_that_of_all_turns(stage):
    model = ScriptedModel(turns=[[call("add"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    ended = await over(built, tools=(ADD,), max_output_tokens=20)
    assert [turn.max_output_tokens for turn in model.turns] == [20, 15]
    assert ended.status == "completed"
    full = await over(built, tools=(ADD,), max_output_tokens=5)
    assert (full.status, full.incomplete_reason) == ("completed", None)  # the last turn alone said the answer


async def test_tools_that_used_up_the_room_leave_the_response_incomplete(stage):
    model = ScriptedModel([call("add"), CALLS])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    ended = await over(built, tools=(ADD,), max_output_tokens=5)
    assert (ended.status, ended.incomplete_reason) == ("incomplete", "max_output_tokens")
    assert len(model.turns) == 1


async def test_a_run_is_cancelled_amid_a_tool(stage):
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def hangs(_: dict[str, object]) -> object:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    model = ScriptedModel([call("tool", "{}"), CALLS])
    built = await stage(tools=ToolStage(mcp=MemoryMcp(tool=hangs)), scripted=model)
    response = await built.start(tools=(DEEP,))
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
    await built.responses.cancel(response.id, CALLER)
    assert stopped.is_set()
    ended = check_run(await built.hear(response))
    assert ended.status == "cancelled"
    assert ended.output[-1].status == "incomplete"
    assert (await built.responses.get(response.id, CALLER)).output == ended.output


async def test_an_mcp_servers_tools_are_listed_and_called(stage):
    mcp = MemoryMcp(tool=add, other=add)
    model = ScriptedModel(turns=[[call("tool", '{"n": 4}'), CALLS], ANSWER])
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    secret = replace(DEEP, authorization="s3cr3t", headers={"x-one": "1"}, allowed=toolspec.Which(("t*",)))
    ended = await over(built, tools=(secret,))
    assert kinds(ended) == ["McpTools", "HostedCall", "Message"]
    assert [tool.name for tool in ended.output[0].tools] == ["tool"]
    assert [tool.name for tool in model.turns[0].tools] == ["tool"]
    assert ended.output[1].text == "sum 4"
    assert mcp.called[0][0].headers == {"x-one": "1", "authorization": "Bearer s3cr3t"}
    assert "s3cr3t" not in str(built.stores.kept)
    later = await over(built, "And now?", tools=(secret,), previous_response_id=ended.id)
    assert len(mcp.listed) == 1
    assert kinds(later) == ["Message"]


async def test_a_server_that_does_not_answer_leaves_its_tools_out(stage):
    mcp = MemoryMcp(tool=add)
    mcp.failure = errors.ToolFailed("mcp.example cannot be reached")
    model = ScriptedModel(*ANSWER)
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    ended = await over(built, tools=(DEEP,))
    assert kinds(ended) == ["McpTools", "Message"]
    assert ended.output[0].error == "mcp.example cannot be reached"
    assert model.turns[0].tools == ()
    await over(built, "Again", tools=(DEEP,), previous_response_id=ended.id)
    assert len(mcp.listed) == 2


async def test_tools_of_the_same_name_are_told_apart(stage):
    mcp = MemoryMcp(add=add)
    model = ScriptedModel(turns=[[call("deep__add", '{"n": 1}'), CALLS], ANSWER])
    functions = MemoryFunctions(add=add)
    built = await stage(tools=ToolStage(functions, mcp), scripted=model)
    ended = await over(built, tools=(ADD, DEEP))
    assert [tool.name for tool in model.turns[0].tools] == ["add", "deep__add"]
    assert (ended.output[1].name, ended.output[1].offered) == ("add", "deep__add")
    assert mcp.called[0][1:] == ("add", '{"n": 1}')
    assert functions.called == []


async def test_a_search_is_an_item_with_what_was_found(stage):
    retriever = MemoryRetriever(PASSAGE)
    model = ScriptedModel(turns=[[call("file_search", '{"query": "sky"}'), CALLS], ANSWER])
    built = await stage(tools=ToolStage(retriever=retriever), scripted=model)
    ended = await over(built, tools=(SEARCH,))
    assert kinds(ended) == ["HostedCall", "Message"]
    assert ended.output[0].work == items.FileSearch(("sky",), (PASSAGE,))
    assert retriever.asked == [(SEARCH, ("sky",))]
    assert model.turns[1].items[-1].text == "The sky is green."


async def test_a_store_that_is_not_there_is_an_error_at_once(stage):
    built = await stage(*ANSWER)
    with pytest.raises(errors.NotFound):
        await built.start(tools=(replace(SEARCH, vector_store_ids=("vs_2",)),))


async def test_a_call_that_needs_approval_waits_for_it_and_is_made_once(stage):
    mcp = MemoryMcp(tool=add)
    model = ScriptedModel(turns=[[call("tool", '{"n": 1}'), CALLS], ANSWER])
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    asked = await over(built, tools=(ASKING,))
    assert asked.status == "requires_action"
    assert kinds(asked) == ["McpTools", "ApprovalRequest"]
    assert mcp.called == []
    request = asked.output[-1]
    yes = items.ApprovalAnswer("mcpa_1", request.id, approve=True)
    ended = await over(built, yes, tools=(ASKING,), previous_response_id=asked.id)
    assert kinds(ended) == ["HostedCall", "Message"]
    assert ended.output[0].approval_id == request.id
    assert ended.output[0].text == "sum 1"
    assert [type(item).__name__ for item in model.turns[1].items] == ["Message", "FunctionCall", "FunctionOutput"]
    with pytest.raises(errors.Conflict):
        await built.start(yes, tools=(ASKING,), previous_response_id=asked.id)
    with pytest.raises(errors.Conflict):
        await built.start(replace(yes, id="mcpa_2"), tools=(ASKING,), previous_response_id=ended.id)
    assert len(mcp.called) == 1


async def test_a_call_that_is_not_approved_is_read_as_that(stage):
    mcp = MemoryMcp(tool=add)
    model = ScriptedModel(turns=[[call("tool"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    asked = await over(built, tools=(ASKING,))
    no = items.ApprovalAnswer("mcpa_1", asked.output[-1].id, approve=False, reason="too dear")
    ended = await over(built, no, tools=(ASKING,), previous_response_id=asked.id)
    assert kinds(ended) == ["Message"]
    assert mcp.called == []
    told = model.turns[1].items[-1]
    assert "did not approve" in told.text
    assert "too dear" in told.text


@pytest.mark.parametrize("approve", [True, False])
@promise(207)
async def test_a_function_may_need_approval(stage, approve):
    functions = MemoryFunctions(add=add)
    careful = replace(ADD, require_approval=True)
    model = ScriptedModel(turns=[[call("add", '{"n": 1}'), CALLS], ANSWER])
    built = await stage(tools=ToolStage(functions), scripted=model)
    asked = await over(built, tools=(careful,))
    assert asked.status == "requires_action"
    assert kinds(asked) == ["FunctionCall", "ApprovalRequest"]
    assert asked.output[1].call_id == asked.output[0].call_id
    answer = items.ApprovalAnswer("mcpa_1", asked.output[1].id, approve=approve)
    ended = await over(built, answer, tools=(careful,), previous_response_id=asked.id)
    assert kinds(ended) == ["FunctionOutput", "Message"]
    assert len(functions.called) == approve
    assert ("sum 1" in ended.output[0].text) == approve


async def test_an_approval_comes_in_time_or_not_at_all(stage):
    built = await stage(tools=ToolStage(mcp=MemoryMcp(tool=add)), scripted=ScriptedModel([call("tool"), CALLS]))
    asked = await over(built, tools=(ASKING,))
    built.clock.advance(86_401)
    yes = items.ApprovalAnswer("mcpa_1", asked.output[-1].id, approve=True)
    with pytest.raises(errors.InvalidRequest, match="expired"):
        await built.start(yes, tools=(ASKING,), previous_response_id=asked.id)


async def test_an_approval_needs_its_request_and_its_server(stage):
    built = await stage(tools=ToolStage(mcp=MemoryMcp(tool=add)), scripted=ScriptedModel([call("tool"), CALLS]))
    asked = await over(built, tools=(ASKING,))
    yes = items.ApprovalAnswer("mcpa_1", asked.output[-1].id, approve=True)
    with pytest.raises(errors.InvalidRequest, match="no request for approval"):
        await built.start(yes, tools=(ASKING,))
    with pytest.raises(errors.InvalidRequest, match="'deep'"):
        await built.start(yes, previous_response_id=asked.id)


def _recorded(batches: list[list[events.Event]]) -> list[events.Event]:
    kept = (events.ItemDone, events.Called, events.ToolDone, events.TurnDone, events.Failed, events.Cancelled)
    return [event for batch in batches for event in batch if isinstance(event, kept)]


async def test_a_run_that_crashed_after_any_recorded_event_answers_every_call_once(stage):
    """A turn's items and its end are one write, as are an item and what accounts for it: the crashes are between."""
    turns = [
        [call("tool", '{"n": 1}'), call("add", '{"n": 2}', 1), CALLS],
        [call("file_search", '{"query": "sky"}'), call("add", '{"n": 3}', 1), CALLS],
        ANSWER,
    ]

    def world() -> tuple[ScriptedModel, ToolStage]:
        mcp, functions = MemoryMcp(tool=add), MemoryFunctions(add=add)
        return ScriptedModel(turns=turns), ToolStage(functions, mcp, MemoryRetriever(PASSAGE))

    model, tools = world()
    built = await stage(tools=tools, scripted=model)
    whole = await over(built, tools=(ADD, DEEP, SEARCH))
    prepared = await built.responses._preparation.prepare(replace(whole.request, thread=None), CALLER)

    def made(tools: ToolStage) -> int:
        return len(tools.functions.called) + len(tools.mcp.called) + len(tools.retriever.asked)

    async def drive(from_: run.Run, model: ScriptedModel, tools: ToolStage, most: int | None = None):
        box = await Tools(tools.means(CountingIds())).equip(prepared.run.response.request, CALLER)
        told = []
        runner = Runner(clock=FixedClock(), ids=built.ids)
        async with aclosing(runner.drive(from_, model, box)) as driving:
            async for batch in driving:
                told.append(batch)
                if most is not None and len(told) == most:
                    break
        return told

    model, tools = world()
    batches = await drive(prepared.run, model, tools)
    for crash in range(1, len(batches)):
        model, tools = world()
        before = await drive(prepared.run, model, tools, crash)
        again = folding.fold(prepared.run, _recorded(before))
        asked = len(model.turns)
        # The model goes on from the turn that it is asked for, whoever asks.
        model = ScriptedModel(turns=turns[again.turns :])
        recorded = _recorded(before)
        unrecorded = made(tools) - sum(isinstance(event, events.ToolDone) for event in recorded)
        unheard = asked - sum(isinstance(event, events.TurnDone) for event in recorded)
        after = await drive(again, model, tools)
        ended = after[-1][-1].response
        assert [type(item).__name__ for item in ended.output] == [type(item).__name__ for item in whole.output]
        # What was begun and not recorded is begun again; what was recorded is not.
        assert made(tools) == 4 + unrecorded
        assert asked + len(model.turns) == 3 + unheard
        assert ended.text == "It is warm."
        assert len({item.call_id for item in ended.output if isinstance(item, items.FunctionOutput)}) == 2


async def test_a_function_that_nobody_has_is_told_to_be_none(stage):
    model = ScriptedModel(turns=[[call("subtract"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    ended = await over(built, tools=(ADD, OWN))
    assert kinds(ended) == ["FunctionCall", "FunctionOutput", "Message"]
    assert "no function 'subtract'" in ended.output[1].text


async def test_of_an_assistants_stores_those_that_cannot_be_searched_are_named():
    class Retriever(MemoryRetriever):
        async def check(self, organization_id: str, spec: toolspec.FileSearch, *, param: str) -> None:
            if "vs_late" in spec.vector_store_ids:
                raise errors.InvalidRequest("It has expired", param=param)
            await super().check(organization_id, spec, param=param)

    equipped = Tools(ToolStage(retriever=Retriever()).means(CountingIds()))
    (search,), missing = await equipped.with_search((), CALLER, ["vs_1", "vs_late", "vs_gone"])
    assert search.vector_store_ids == ("vs_1",)
    assert missing == ["vs_late", "vs_gone"]
