"""The loop where it is hard: what is stopped, handed back, hidden, broken off, or goes wrong in the middle."""

import asyncio
from contextlib import aclosing

import msgspec
import pytest
from msgspec.structs import replace
from runtime_stage import CALLER, ToolStage, check_run

from freddy.server.core import deltas, errors, events, items, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.ports.mcp import Configured, Server
from freddy.server.runtime import replay
from freddy.server.runtime.media import Media
from freddy.server.runtime.toolbox import Limits
from freddy.server.stores.sql import rows
from freddy_fakes import PATIENCE, MemoryFunctions, MemoryMcp, MemoryRetriever, ScriptedModel, raw
from freddy_stream_rules import check_events

STOP = deltas.Stop("stop", Usage(10, 5))
CALLS = deltas.Stop("tool_calls", Usage(10, 5))
ANSWER = [deltas.Text("It is warm."), STOP]
ADD = toolspec.Function("add", hosted=True)
CAREFUL = replace(ADD, require_approval=True)
NEVER = toolspec.Approval("never")
DEEP = toolspec.Mcp("deep", raw({"type": "mcp"}), server_url="https://mcp.example/x", approval=NEVER)
ASKING = replace(DEEP, approval=toolspec.Approval("always"))
SAVED = toolspec.Mcp("deep", raw({"type": "mcp"}), configuration_id="mcp_config_1", approval=NEVER)
SEARCH = toolspec.FileSearch(("vs_1",), raw({"type": "file_search"}))


def call(name: str, index: int = 0, *, call_id: str | None = None, arguments: str = "{}") -> deltas.ToolCall:
    return deltas.ToolCall(index, arguments, name, call_id or f"call_{name}_{index}")


def user(text: str) -> items.Message:
    return items.Message(f"msg_{text}", "user", (items.Text(text),))


def yes(asked: items.Item, *, approve: bool = True) -> items.ApprovalAnswer:
    return items.ApprovalAnswer(f"mcpa_{asked.id}", asked.id, approve=approve)


async def add(_: dict[str, object]) -> object:
    return "added"


async def over(stage, *said, **asked):
    """The response, seen to its end."""
    return check_run(await stage.hear(await stage.start(*said, **asked)))


def kinds(said) -> list[str]:
    return [type(item).__name__ for item in said]


def outputs(response) -> list[items.FunctionOutput]:
    return [item for item in response.output if isinstance(item, items.FunctionOutput)]


async def until_done(stage, response, name: str) -> None:
    """Returns when the call of this tool was told with its answer."""
    async with asyncio.timeout(PATIENCE), aclosing(stage.responses.follow(response)) as batches:
        async for _, batch in batches:
            done = [event.item for event in batch if isinstance(event, events.ItemDone)]
            if any(isinstance(item, items.HostedCall) and item.name == name for item in done):
                return


class Holding:
    """A tool that waits until it is told to go on, and remembers how often it was begun and stopped."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.stopped = 0

    async def __call__(self, _: dict[str, object]) -> object:
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return "held"


# What breaks off


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_a_hosted_call_of_a_turn_that_broke_off_is_told_as_given_up(stage, reason):
    mcp = MemoryMcp(tool=add)
    model = ScriptedModel([call("tool"), deltas.Text("and so"), deltas.Stop(reason, Usage(1, 1))])
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    ended = await over(built, tools=(DEEP,))
    assert ended.status == "incomplete"
    assert [getattr(item, "status", None) for item in ended.output[1:]] == ["incomplete", "incomplete"]
    assert mcp.called == []


async def test_a_hosted_call_of_a_model_that_failed_is_told_as_given_up(stage):
    mcp = MemoryMcp(tool=add)
    model = ScriptedModel([call("tool"), deltas.Text("and so")], errors.ProviderFailed("It fell over"))
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    ended = await over(built, tools=(DEEP,))
    assert ended.status == "failed"
    assert ended.output[1].status == "incomplete"
    assert (await built.responses.get(ended.id, CALLER)).output == ended.output


async def test_what_may_become_a_mark_is_not_lost_where_the_model_breaks_off(stage):
    passage = items.Found("file_1", "a.txt", 0.9, "The sky is green.")
    turns = [
        [call("file_search", arguments='{"query": "sky"}'), CALLS],
        [deltas.Text("Green ("), errors.ProviderFailed("x")],
    ]
    built = await stage(tools=ToolStage(retriever=MemoryRetriever(passage)), scripted=ScriptedModel(turns=turns))
    ended = await over(built, tools=(SEARCH,))
    assert ended.text == "Green ("


async def test_a_call_that_is_open_when_the_store_fails_is_told_as_given_up(stage):
    built = await stage(tools=ToolStage(mcp=MemoryMcp(tool=add)), scripted=ScriptedModel([call("tool"), CALLS]))
    held = Holding()
    built.tools.mcp.does["tool"] = held
    response = await built.start(tools=(DEEP,))
    await built.until(held.begun)
    built.stores.faults["add_items"] = errors.StorageUnavailable("The disk is full")
    held.go_on.set()
    ended = check_run(await built.hear(response))
    assert ended.status == "failed"
    assert ended.output[-1].status == "incomplete"


# What is stopped


async def test_a_run_that_is_cancelled_while_a_server_is_asked_tells_the_end_of_its_list(stage):
    mcp, asked = MemoryMcp(tool=add), asyncio.Event()

    async def silent(server: Server) -> tuple[items.McpTool, ...]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError(server)

    mcp.tools = silent
    built = await stage(*ANSWER, tools=ToolStage(mcp=mcp))
    response = await built.start(tools=(DEEP,))
    await built.until(asked)
    await built.responses.cancel(response.id, CALLER)
    ended = check_run(await built.hear(response))
    assert ended.status == "cancelled"
    assert kinds(ended.output) == ["McpTools"]
    assert "stopped" in ended.output[0].error
    assert built.model.turns == []
    assert (await built.responses.get(response.id, CALLER)).output == ended.output


@pytest.mark.parametrize("live", [True, False])
async def test_a_run_that_is_cancelled_amid_several_tools_stops_them_all_and_keeps_what_was_answered(stage, live):
    one, other = Holding(), Holding()
    mcp = MemoryMcp(quick=add, one=one, other=other)
    model = ScriptedModel([call("one"), call("quick", 1), call("other", 2), CALLS])
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    response = await built.start(tools=(DEEP,), parallel_tool_calls=True, stream=live)
    await built.until(one.begun)
    await built.until(other.begun)
    await until_done(built, response, "quick")
    await built.responses.cancel(response.id, CALLER)
    ended = check_run(await built.hear(response))
    assert ended.status == "cancelled"
    assert [item.status for item in ended.output[1:]] == ["incomplete", "completed", "incomplete"]
    assert one.stopped == other.stopped == 1
    assert (await built.responses.get(response.id, CALLER)).output == ended.output
    assert not built.host.performs(response.id)


async def test_a_run_that_is_cancelled_while_an_answer_is_written_keeps_that_answer_and_calls_nothing_twice(stage):
    mcp = MemoryMcp(tool=add)
    built = await stage(
        tools=ToolStage(mcp=mcp), scripted=ScriptedModel(turns=[[call("tool"), CALLS], [asyncio.Event()]])
    )
    held = Holding()
    mcp.does["tool"] = held
    response = await built.start(tools=(DEEP,))
    await built.until(held.begun)
    gate = built.stores.gates["add_items"] = asyncio.Event()
    built.stores.asked.clear()
    held.go_on.set()
    await built.until(built.stores.asked)
    cancelling = asyncio.ensure_future(built.responses.cancel(response.id, CALLER))
    await asyncio.sleep(0)
    gate.set()
    async with asyncio.timeout(PATIENCE):
        await cancelling
    ended = check_run(await built.hear(response))
    assert ended.status == "cancelled"
    assert ended.output[1].text == "held"
    assert len(mcp.called) == 1


async def test_a_run_whose_server_stops_amid_a_tool_fails_with_that(stage):
    held = Holding()
    model = ScriptedModel([call("add"), CALLS])
    built = await stage(tools=ToolStage(MemoryFunctions(add=held)), scripted=model, grace_seconds=0.01)
    response = await built.start(tools=(ADD,))
    await built.until(held.begun)
    async with asyncio.timeout(PATIENCE):
        await built.host.drain()
    ended = check_run(await built.hear(response))
    assert (ended.status, ended.failure.code) == ("failed", "shutting_down")
    assert held.stopped == 1


async def test_a_run_is_cancelled_amid_a_call_that_was_approved(stage):
    held = Holding()
    mcp = MemoryMcp(tool=held)
    built = await stage(tools=ToolStage(mcp=mcp), scripted=ScriptedModel(turns=[[call("tool"), CALLS], ANSWER]))
    asked = await over(built, tools=(ASKING,))
    answer = yes(asked.output[-1])
    response = await built.start(answer, tools=(ASKING,), previous_response_id=asked.id)
    await built.until(held.begun)
    await built.responses.cancel(response.id, CALLER)
    ended = check_run(await built.hear(response))
    assert ended.status == "cancelled"
    assert ended.output[0].status == "incomplete"
    # It may have been made: nobody makes it again.
    with pytest.raises(errors.Conflict):
        await built.start(answer, tools=(ASKING,), previous_response_id=asked.id)
    assert len(mcp.called) == 1


# What goes wrong with a tool


async def test_a_tool_whose_own_work_is_cancelled_is_a_fault_and_not_a_wait_for_ever(stage):
    async def gives_up(_: dict[str, object]) -> object:
        raise asyncio.CancelledError

    model = ScriptedModel(turns=[[call("add"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=gives_up)), scripted=model)
    ended = await over(built, tools=(ADD,))
    assert ended.status == "completed"
    assert outputs(ended)[0].failed


async def test_a_server_whose_list_is_cancelled_leaves_its_tools_out(stage):
    mcp = MemoryMcp(tool=add)
    mcp.failure = asyncio.CancelledError()
    built = await stage(*ANSWER, tools=ToolStage(mcp=mcp))
    ended = await over(built, tools=(DEEP,))
    assert ended.status == "completed"
    assert ended.output[0].error


async def test_a_tool_that_ignores_its_time_holds_up_nobody_else(stage):
    held = Holding()
    functions = MemoryFunctions(add=held, quick=add)
    model = ScriptedModel(turns=[[call("add"), call("quick", 1), CALLS], ANSWER])
    built = await stage(tools=ToolStage(functions, limits=Limits(seconds=0.05)), scripted=model)
    tools = (ADD, toolspec.Function("quick", hosted=True))
    ended = await over(built, tools=tools, parallel_tool_calls=True)
    assert {item.name: item.failed for item in outputs(ended)} == {"quick": False, "add": True}


async def test_a_tool_of_a_server_that_takes_nothing_has_the_schema_that_vendors_want(stage):
    mcp = MemoryMcp(bare=add, odd=add, whole=add)
    mcp.tools_there["bare"] = items.McpTool("bare", input_schema=raw({"type": "object"}))
    mcp.tools_there["odd"] = items.McpTool("odd", input_schema=raw({"$defs": {"a": {}}}))
    whole = raw({"type": "object", "properties": {"n": {"type": "integer"}}})
    mcp.tools_there["whole"] = items.McpTool("whole", input_schema=whole)
    built = await stage(*ANSWER, tools=ToolStage(mcp=mcp))
    await over(built, tools=(DEEP,))
    schemas = [msgspec.json.decode(tool.parameters) for tool in built.model.turns[0].tools]
    assert schemas == [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}, "$defs": {"a": {}}},
        msgspec.json.decode(whole),
    ]


# Ids


async def test_calls_that_a_model_counts_anew_have_ids_of_their_own(stage):
    """In every turn, in one turn, and beside requests for approval."""
    turn = [call("tool", call_id="call_0"), call("add", 1, call_id="call_0"), CALLS]
    mcp, functions = MemoryMcp(tool=add), MemoryFunctions(add=add)
    model = ScriptedModel(turns=[turn, turn, turn, ANSWER])
    built = await stage(tools=ToolStage(functions, mcp), scripted=model)
    ended = await over(built, tools=(DEEP, ADD))
    calls = [item.call_id for item in ended.output if isinstance(item, items.HostedCall | items.FunctionCall)]
    assert len(calls) == len(set(calls)) == 6
    assert len(mcp.called) == len(functions.called) == 3
    answered = [item.call_id for item in model.turns[-1].items if isinstance(item, items.FunctionOutput)]
    assert sorted(answered) == sorted(calls)


async def test_a_call_that_waits_for_approval_keeps_its_id_for_itself(stage):
    mcp = MemoryMcp(tool=add)
    asks = [call("tool", call_id="call_0"), CALLS]
    built = await stage(tools=ToolStage(mcp=mcp), scripted=ScriptedModel(turns=[asks, asks, ANSWER]))
    first = await over(built, tools=(ASKING,))
    second = await over(built, yes(first.output[-1]), tools=(ASKING,), previous_response_id=first.id)
    third = await over(built, yes(second.output[-1]), tools=(ASKING,), previous_response_id=second.id)
    assert third.status == "completed"
    told = [
        (kind, item.call_id)
        for kind, item in zip(kinds(built.model.turns[-1].items), built.model.turns[-1].items, strict=True)
        if kind != "Message"
    ]
    ids = [call_id for _, call_id in told]
    assert len(set(ids)) == 2
    assert [kind for kind, _ in told] == ["FunctionCall", "FunctionOutput"] * 2


# Approvals


async def test_a_yes_and_a_no_are_taken_up_together(stage):
    mcp, functions = MemoryMcp(tool=add), MemoryFunctions(add=add)
    model = ScriptedModel(turns=[[call("tool"), call("add", 1), CALLS], ANSWER])
    built = await stage(tools=ToolStage(functions, mcp), scripted=model)
    asked = await over(built, tools=(ASKING, CAREFUL))
    hosted, function = [item for item in asked.output if isinstance(item, items.ApprovalRequest)]
    ended = await over(
        built, yes(hosted), yes(function, approve=False), tools=(ASKING, CAREFUL), previous_response_id=asked.id
    )
    assert kinds(ended.output) == ["HostedCall", "FunctionOutput", "Message"]
    assert ended.output[0].text == "added"
    assert functions.called == []


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("tool", [ASKING, CAREFUL], ids=["server", "function"])
async def test_a_conversation_that_is_handed_back_whole_may_hold_answers_of_long_ago(stage, tool, approve):
    mcp, functions = MemoryMcp(tool=add), MemoryFunctions(add=add)
    name = "tool" if tool is ASKING else "add"
    model = ScriptedModel(turns=[[call(name), CALLS], ANSWER])
    built = await stage(tools=ToolStage(functions, mcp), scripted=model)
    asked = await over(built, user("Hi"), tools=(tool,), store=False)
    said = [user("Hi"), *asked.output, yes(asked.output[-1], approve=approve)]
    ended = await over(built, *said, tools=(tool,), store=False)
    assert ended.text == "It is warm."
    built.clock.advance(100_000)
    again = await over(built, *said, *ended.output, user("And now?"), tools=(tool,), store=False)
    assert again.status == "completed"
    assert kinds(again.output) == ["Message"]
    assert len(mcp.called) + len(functions.called) == approve
    told = model.turns[-1].items
    assert kinds(told) == ["Message", "FunctionCall", "FunctionOutput", "Message", "Message"]


async def test_an_answer_in_the_middle_of_other_words_finds_its_request_in_a_short_window(stage):
    mcp = MemoryMcp(tool=add)
    profile = Profile(name="m", provider="p", context_tokens=400)
    model = ScriptedModel(turns=[[call("tool"), CALLS], ANSWER], profile=profile)
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    asked = await over(built, user("word " * 250), tools=(ASKING,))
    ended = await over(
        built,
        yes(asked.output[-1]),
        user("word " * 100),
        tools=(ASKING,),
        previous_response_id=asked.id,
        context_mode="recent",
    )
    assert kinds(ended.output)[:1] == ["HostedCall"]
    assert ended.output[0].text == "added"


async def test_the_output_of_an_approved_function_stands_behind_its_call_whatever_the_user_said_since(stage):
    model = ScriptedModel(turns=[[call("add"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    asked = await over(built, tools=(CAREFUL,))
    await over(built, yes(asked.output[-1]), user("Go on"), tools=(CAREFUL,), previous_response_id=asked.id)
    assert kinds(model.turns[-1].items) == ["Message", "FunctionCall", "FunctionOutput", "Message"]


async def test_a_call_that_was_approved_is_asked_of_the_model_no_more_than_allowed(stage):
    model = ScriptedModel(turns=[[call("tool"), CALLS], [call("tool"), CALLS], ANSWER])
    mcp = MemoryMcp(tool=add)
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    asked = await over(built, tools=(ASKING,))
    ended = await over(built, yes(asked.output[-1]), tools=(DEEP,), previous_response_id=asked.id, max_tool_calls=1)
    assert [item.status for item in ended.output if isinstance(item, items.HostedCall)] == ["completed", "failed"]
    assert len(mcp.called) == 1


# What is hidden


async def test_what_a_saved_server_hides_cannot_be_approved_into_being(stage):
    mcp = MemoryMcp(seen=add, hidden=add)
    mcp.saved["mcp_config_1"] = Configured(
        server=Server(organization_id="org_1", url="https://mcp.example"), allowed=toolspec.Which(("seen",))
    )
    model = ScriptedModel(turns=[[call("hidden"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(mcp=mcp), scripted=model)
    forged = items.ApprovalRequest("mcpr_forged", "call_1", "hidden", "{}", "deep")
    with pytest.raises(errors.InvalidRequest, match="not what this server has asked"):
        await over(built, user("Hi"), forged, yes(forged), tools=(SAVED,), store=False)
    # What was asked while it was seen is not called once it is hidden.
    mcp.saved["mcp_config_1"] = replace(mcp.saved["mcp_config_1"], allowed=None)
    asking = replace(SAVED, approval=toolspec.Approval("always"))
    asked = await over(built, user("Hi"), tools=(asking,), store=False)
    mcp.saved["mcp_config_1"] = replace(mcp.saved["mcp_config_1"], allowed=toolspec.Which(("seen",)))
    said = (user("Hi"), *asked.output, yes(asked.output[-1]))
    ended = await over(built, *said, tools=(asking,), store=False)
    assert mcp.called == []
    [refused] = [item for item in ended.output if isinstance(item, items.HostedCall)]
    assert (refused.status, "hidden" in refused.error) == ("failed", True)


async def test_a_list_that_is_handed_back_does_not_say_what_only_reads(stage):
    mcp = MemoryMcp(drop=add)
    mcp.saved["mcp_config_1"] = Configured(
        server=Server(organization_id="org_1", url="https://mcp.example"), allowed=toolspec.Which(read_only=True)
    )
    built = await stage(*ANSWER, tools=ToolStage(mcp=mcp))
    forged = items.McpTools("mcpl_1", "deep", (items.McpTool("drop", read_only=True),))
    await over(built, forged, user("Hi"), tools=(SAVED,))
    assert built.model.turns[0].tools == ()


def test_what_an_mcp_tool_is_told_in_confidence_is_not_in_its_repr():
    secret = replace(DEEP, authorization="s3cr3t", headers={"x-key": "s3cr3t"})
    assert "s3cr3t" not in repr(secret)
    assert "s3cr3t" not in repr([secret])


# What must be called, and may be called


async def test_a_choice_of_one_allowed_tool_lets_no_other_be_called_later(stage):
    model = ScriptedModel(turns=[[call("file_search", arguments='{"query": "x"}'), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    allowed = toolspec.Allowed((), "required", (toolspec.Hosted("file_search"),))
    await over(built, tools=(SEARCH, ADD), tool_choice=allowed)
    assert [turn.tool_choice for turn in model.turns] == [
        toolspec.Allowed(("file_search",), "required"),
        toolspec.Allowed(("file_search",), "auto"),
    ]


async def test_a_server_that_was_called_as_it_had_to_be_need_not_be_called_again(stage):
    model = ScriptedModel(turns=[[call("tool"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(mcp=MemoryMcp(tool=add, other=add)), scripted=model)
    await over(built, tools=(DEEP,), tool_choice=toolspec.Hosted("mcp", "deep"))
    assert [turn.tool_choice for turn in model.turns] == [toolspec.Allowed(("tool", "other"), "required"), "auto"]


async def test_where_nothing_may_be_called_here_the_model_is_told_so_from_the_beginning(stage):
    built = await stage(*ANSWER, tools=ToolStage(MemoryFunctions(add=add)))
    await over(built, tools=(ADD,), max_tool_calls=0)
    await over(built, tools=(ADD, toolspec.Function("own")), max_tool_calls=0, tool_choice="required")
    assert [turn.tool_choice for turn in built.model.turns] == ["none", toolspec.Allowed(("own",), "required")]


async def test_a_function_of_the_callers_that_used_up_the_room_leaves_the_response_whole(stage):
    model = ScriptedModel([call("own"), call("add", 1), deltas.Stop("tool_calls", Usage(10, 20))])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add)), scripted=model)
    ended = await over(built, tools=(ADD, toolspec.Function("own")), max_output_tokens=20)
    assert (ended.status, ended.incomplete_reason) == ("completed", None)


async def test_a_request_for_approval_that_used_up_the_room_is_one_still(stage):
    model = ScriptedModel([call("add"), call("quick", 1), deltas.Stop("tool_calls", Usage(10, 20))])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add, quick=add)), scripted=model)
    ended = await over(built, tools=(CAREFUL, toolspec.Function("quick", hosted=True)), max_output_tokens=20)
    assert ended.status == "requires_action"


# What the model reads


async def test_calls_of_different_turns_are_not_told_as_calls_of_one(stage):
    model = ScriptedModel(turns=[[call("tool"), CALLS], [call("add"), CALLS], [call("tool"), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add), MemoryMcp(tool=add)), scripted=model)
    await over(built, tools=(DEEP, ADD))
    assert kinds(model.turns[-1].items) == ["Message", *("FunctionCall", "FunctionOutput") * 3]


async def test_calls_of_one_turn_are_told_as_such(stage):
    model = ScriptedModel(turns=[[call("add"), CALLS], [call("tool"), call("add", 1), call("tool", 2), CALLS], ANSWER])
    built = await stage(tools=ToolStage(MemoryFunctions(add=add), MemoryMcp(tool=add)), scripted=model)
    await over(built, tools=(DEEP, ADD))
    assert kinds(model.turns[-1].items)[3:] == ["FunctionCall"] * 3 + ["FunctionOutput"] * 3


# What was used


async def test_every_turn_and_every_tool_is_accounted_once(stage):
    model = ScriptedModel(
        turns=[
            [call("add"), call("tool", 1), CALLS],
            [deltas.Text("Hm"), call("add"), deltas.Stop("tool_calls")],
            ANSWER,
        ]
    )
    built = await stage(tools=ToolStage(MemoryFunctions(add=add), MemoryMcp(tool=add)), scripted=model)
    ended = await over(built, tools=(DEEP, ADD), include=("usage.detailed",))
    assert [(one.kind, one.status) for one in ended.calls] == [
        ("model", "completed"), ("tool", "completed"), ("tool", "completed"),
        ("model", "completed"), ("tool", "completed"), ("model", "completed"),
    ]  # fmt: skip
    total = Usage()
    for one in ended.calls:
        total = total.plus(one.usage)
    assert ended.usage == total
    assert ended.usage.estimated
    assert ended.shares is not None
    shared = ended.shares.context + ended.shares.system + ended.shares.tools
    assert 0 < ended.shares.tools < shared <= ended.usage.input_tokens
    assert 0 < ended.shares.tool_execution <= ended.usage.output_tokens


# What is told again


async def test_a_response_with_tools_is_told_over_again_as_it_was(stage):
    turns = [
        [call("tool"), call("file_search", 1, arguments='{"query": "x"}'), CALLS],
        [call("broken"), call("add", 1), CALLS],
        ANSWER,
    ]

    async def breaks(_: dict[str, object]) -> object:
        raise ValueError

    tools = ToolStage(MemoryFunctions(add=add), MemoryMcp(tool=add, broken=breaks))
    built = await stage(tools=tools, scripted=ScriptedModel(turns=turns))
    response = await built.start(tools=(DEEP, SEARCH, ADD))
    ended = check_run(await built.hear(response))
    told: list[events.Event] = []
    async with aclosing(replay.follow(ended, -1)) as batches:
        async for _, batch in batches:
            told += batch
    assert check_run(told) == ended
    assert check_events(told[2:]) == ended.output


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("store", [True, False])
async def test_the_stream_the_answer_and_the_store_hold_the_same(stage, live, store):
    turns = [[deltas.Text("Let me see."), call("tool", 1), call("add"), CALLS], [call("add"), CALLS], ANSWER]
    tools = ToolStage(MemoryFunctions(add=add), MemoryMcp(tool=add))
    built = await stage(tools=tools, scripted=ScriptedModel(turns=turns))
    ended = await over(built, tools=(DEEP, ADD), stream=live, store=store)
    if store:
        assert await built.responses.get(ended.id, CALLER) == ended
    else:
        assert built.stores.kept == {}


# What tools give back that a model cannot read


@pytest.mark.parametrize(
    "part",
    [
        items.Image(url="data:image/png;base64,AAAA"),
        items.Audio(data="AAAA", format="wav"),
        items.File(data="data:application/x-odd;base64,AAAA", filename="a.odd"),
    ],
)
async def test_what_a_tool_here_gave_back_ends_no_run_of_a_model_that_does_not_read_it(part):
    media = Media(None, None, turn_bytes=1000, cache_bytes=1000)
    told = items.FunctionOutput("fco_1", "call_1", (items.Text("See:"), part), source="mcp")
    [furnished] = (await media.furnish(Turn("m", (told,)), Profile(name="m", provider="p"))).items
    assert all(isinstance(one, items.Text) for one in furnished.parts)
    assert "left out" in furnished.text
    with pytest.raises(errors.InvalidRequest):
        await media.furnish(Turn("m", (replace(told, source=None),)), Profile(name="m", provider="p"))


async def test_an_image_of_a_kind_that_nobody_reads_is_left_out_and_one_that_is_read_is_not():
    media = Media(None, None, turn_bytes=1000, cache_bytes=1000)
    images = (items.Image(url="data:image/svg+xml;base64,AAAA"), items.Image(url="data:image/png;base64,AAAA"))
    told = items.FunctionOutput("fco_1", "call_1", images, source="mcp")
    [furnished] = (await media.furnish(Turn("m", (told,)), Profile(name="m", provider="p", images=True))).items
    assert isinstance(furnished.parts[0], items.Text)
    assert furnished.parts[1] == images[1]


def test_a_call_that_a_crash_left_open_is_read_as_given_up():
    open_ = items.HostedCall("mcp_1", "call_1", "tool", "{}", items.Mcp("deep"))
    asked = rows.text(request.Request(model="m", input=()))
    for status, read in (("failed", "incomplete"), ("in_progress", "in_progress")):
        row = ("resp_1", "org_1", None, None, None, status, "m", "p", 1, None, asked, "{}")
        assert rows.response(row, [("out", rows.text(open_))]).output == (replace(open_, status=read),)
