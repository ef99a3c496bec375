"""Runs in the background: any process performs them, goes on where another one ended, and tells the same."""

import asyncio

import pytest
from msgspec.structs import replace
from runtime_stage import CALLER, Stage, ToolStage, check_run

from freddy.server.core import deltas, events, items, log, reading, request, toolspec
from freddy.server.core.usage import Usage
from freddy.server.ports.runs import Entry, Pulse
from freddy.server.ports.signals import STOPPED
from freddy_fakes import PATIENCE, MemoryFunctions, MemoryMcp, MemoryStores, ScriptedModel, raw
from freddy_stream_rules import check_events

ADD = toolspec.Function("add", hosted=True)
DEEP = toolspec.Mcp(
    "deep", raw({"type": "mcp"}), server_url="https://mcp.example/x", approval=toolspec.Approval("never")
)
TOOLS = (ADD, DEEP)
CALLED = deltas.Stop("tool_calls", Usage(10, 5))
TURNS = [
    [
        deltas.Text("Let me "),
        deltas.Text("see."),
        deltas.ToolCall(0, "{}", "add", "call_a"),
        deltas.ToolCall(1, "{}", "tool", "call_b"),
        CALLED,
    ],
    [deltas.ToolCall(0, "{}", "add", "call_c"), CALLED],
    [deltas.Text("It is "), deltas.Text("done."), deltas.Stop("stop", Usage(20, 7))],
]
BACKGROUND = {"background": True, "stream": False, "parallel_tool_calls": True, "tools": TOOLS}


class Work:
    """A tool that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, _: dict[str, object]) -> object:
        self.calls += 1
        return "done"


def tool_stage(work: Work) -> ToolStage:
    return ToolStage(MemoryFunctions(add=work), MemoryMcp(tool=work))


async def ended(stage: Stage, response_id: str):
    async with asyncio.timeout(PATIENCE):
        while not (found := await stage.responses.get(response_id, CALLER)).ended:  # noqa: ASYNC110
            await asyncio.sleep(0)
    return found


async def test_it_is_kept_before_it_is_answered_and_followed_from_the_log(stage, stores):
    work = Work()
    built = await stage(tools=tool_stage(work), scripted=ScriptedModel(turns=TURNS))
    begun = await built.start(**BACKGROUND)
    assert begun.status == "queued"
    assert begun.id in stores.kept
    told = await built.hear(begun)
    assert check_run(told).status == "completed"
    assert isinstance(told[0], events.Created)
    assert told[0].response.status == "queued"
    # Long after, from any number on.
    for after in range(-1, len(told) - 1):
        assert await built.hear(await built.responses.get(begun.id, CALLER), after) == told[after + 1 :]
    assert work.calls == 3


async def test_what_is_told_is_in_the_log_before(stage, stores):
    gate = asyncio.Event()
    built = await stage(deltas.Text("one"), gate, deltas.Stop("stop"))
    begun = await built.start(background=True, stream=False)
    batches = built.responses.follow(begun)
    heard = []
    async with asyncio.timeout(PATIENCE):
        while not any(isinstance(event, events.TextDelta) for event in heard):
            number, batch = await anext(batches)
            assert number == len(heard)
            heard += batch
            assert sum(entry.told for entry in stores.runs.logs[begun.id]) >= len(heard)
    await batches.aclose()
    gate.set()


async def test_a_run_that_crashed_behind_any_entry_goes_on_elsewhere(stage):
    work = Work()
    first = await stage(tools=tool_stage(work), scripted=ScriptedModel(turns=TURNS))
    begun = await first.start(**BACKGROUND)
    whole = await ended(first, begun.id)
    entries = _finer(first.stores.runs.logs[begun.id], begun)
    assert len(entries) > 15
    plan = await first.preparation.put_down(await first.preparation.prepare(begun.request, CALLER))
    for crash in range(len(entries)):
        again = await _gone_on(begun, plan, entries[:crash], whole, lives=1)
        # And once more, while it makes up for that.
        again = _finer(again, begun)
        for later in range(crash + 1, len(again)):
            await _gone_on(begun, plan, again[:later], whole, lives=2)


def _finer(entries: list[Entry], response) -> list[Entry]:
    """The same log, had the model spoken so slowly that each of its words was kept by itself."""
    told: list[Entry] = []
    for entry in entries:
        pieces: list[list[events.Event]] = [[]]
        for event in _read(entry, response):
            word = isinstance(event, events.TextDelta | events.ArgumentsDelta | events.ItemAdded)
            output = isinstance(event, events.ItemAdded) and isinstance(event.item, items.FunctionOutput)
            if word and not output and pieces[-1]:
                pieces.append([])
            pieces[-1].append(event)
        for piece in pieces:
            first = told[-1].first + told[-1].told if told else 0
            count = sum(not isinstance(event, events.UNTOLD) for event in piece)
            told.append(Entry(len(told), first, count, log.write(piece)))
    return told


async def _gone_on(begun, plan: bytes, entries: list[Entry], whole, *, lives: int) -> list[Entry]:
    """The log of the run after another process has brought it to its end from there, and what must be true of it."""
    stores = MemoryStores()
    claim = await stores.runs.put(begun, plan, worker_id="gone")
    for entry in entries:
        kept = (events.ItemDone, events.Called, events.Withdrawn)
        done = {event.index: event.item for event in _read(entry, begun) if isinstance(event, kept)}
        await stores.runs.record(claim, entry, done)
    work = Work()
    model = ScriptedModel(turns=TURNS[_turns(entries) :])
    built = Stage({"scripted": model}, stores, PATIENCE, tools=tool_stage(work))
    for _ in range(1000 * lives):
        built.ids.new("taken")  # by the processes that are gone
    await stores.runs.release(claim)
    async with built.host, built.worker.claiming():
        told = await built.hear(begun)
    found = told[-1].response
    for item, heard in zip(found.output, check_events(told[2:]), strict=True):
        assert item == heard or items.is_broken_off(item)
    assert found.status == "completed"
    assert [item.text for item in found.output if isinstance(item, items.Message) and item.text] == [
        item.text for item in whole.output if isinstance(item, items.Message)
    ]
    said = [_said(item) for item in reading.readable(found.output)]
    assert said == [_said(item) for item in reading.readable(whole.output)]
    answers = [item.call_id for item in found.output if isinstance(item, items.FunctionOutput)]
    assert len(answers) == len(set(answers)) == 2
    hosted = [item for item in found.output if isinstance(item, items.HostedCall)]
    assert [item.status for item in hosted if item.status != "incomplete"] == ["completed"]
    answered = sum(isinstance(event, events.ToolDone) for entry in entries for event in _read(entry, begun))
    assert work.calls == 3 - answered
    assert len(model.turns) == 3 - _turns(entries)
    before = [event for entry in entries for event in _told(entry, found)]
    assert told[: len(before)] == before
    # Whoever was asked when the process went had read the turn: that is counted, once, beside the turn made again.
    lost = _under_way(entries, begun)
    assert sum(call.status == "failed" and call.usage.estimated for call in found.calls) == lost
    assert len(found.calls) == len(whole.calls) + lost
    return stores.runs.logs[begun.id]


def _under_way(entries: list[Entry], begun) -> int:
    """In how many turns so far a process went while somebody was asked."""
    lost, asking = 0, False
    for event in (event for entry in entries for event in _read(entry, begun)):
        if isinstance(event, events.Asked):
            asking = True
        elif isinstance(event, events.TurnLost):
            lost, asking = lost + 1, False
        elif isinstance(event, events.TurnDone):
            asking = False
    return lost + asking


def _said(item: items.Item) -> tuple[str, str]:
    """What a model reads of it, but for ids."""
    match item:
        case items.FunctionCall(name=name, arguments=arguments):
            return name, arguments
        case items.Message() | items.FunctionOutput():
            return type(item).__name__, item.text
    raise AssertionError(item)


def _read(entry: Entry, response) -> list[events.Event]:
    return log.read(entry.events, response)


def _told(entry: Entry, response) -> list[events.Event]:
    return [event for event in _read(entry, response) if not isinstance(event, events.UNTOLD)]


def _turns(entries: list[Entry]) -> int:
    return sum(entry.events.count(b'"type":"turn_done"') for entry in entries)


async def _left_open(work: Work, turns, tools: ToolStage, asked) -> tuple[Stage, object]:
    """What another process finds of a run that ended while its calls were under way."""
    first = Stage({"scripted": ScriptedModel(turns=turns)}, MemoryStores(), PATIENCE, tools=tools)
    async with first.host:
        begun = await first.start(**asked)
        await ended(first, begun.id)
    plan = await first.preparation.put_down(await first.preparation.prepare(begun.request, CALLER))
    entries = first.stores.runs.logs[begun.id]
    [turn_done, *_] = [place for place, entry in enumerate(entries) if b'"type":"turn_done"' in entry.events]
    stores = MemoryStores()
    claim = await stores.runs.put(begun, plan, worker_id="gone")
    for entry in entries[: turn_done + 1]:
        done = (event for event in _read(entry, begun) if isinstance(event, events.ItemDone | events.Called))
        await stores.runs.record(claim, entry, {event.index: event.item for event in done})
    await stores.runs.release(claim)
    built = Stage({"scripted": ScriptedModel(turns=turns[1:])}, stores, PATIENCE, tools=tools)
    for _ in range(1000):
        built.ids.new("taken")
    return built, begun


@pytest.mark.parametrize("approve", [True, False])
async def test_a_call_that_must_not_be_made_twice_is_asked_about(approve):
    work, careful = Work(), Work()
    functions = MemoryFunctions(add=work, pay=careful)
    functions.specs["pay"] = toolspec.Function("pay", once=True)
    tools = ToolStage(functions, MemoryMcp(tool=work))
    turns = [
        [deltas.ToolCall(0, "{}", "add", "call_a"), deltas.ToolCall(1, '{"n": 5}', "pay", "call_b"), CALLED],
        [deltas.Text("Paid."), deltas.Stop("stop", Usage(20, 7))],
    ]
    asked = BACKGROUND | {"tools": (ADD, replace(ADD, name="pay"))}
    built, begun = await _left_open(work, turns, tools, asked)
    before = (work.calls, careful.calls)
    async with built.host, built.worker.claiming():
        paused = check_run(await built.hear(begun))
        assert paused.status == "requires_action"
        # The other call is made again, this one is not.
        assert (work.calls, careful.calls) == (before[0] + 1, before[1])
        [request] = [item for item in paused.output if isinstance(item, items.ApprovalRequest)]
        assert (request.name, request.arguments, request.call_id) == ("pay", '{"n": 5}', "call_b")
        answer = items.ApprovalAnswer("mcpa_1", request.id, approve=approve)
        told = await built.start(answer, previous_response_id=paused.id, **asked)
        final = check_run(await built.hear(told))
    assert final.status == "completed"
    assert final.text == "Paid."
    assert careful.calls == before[1] + approve


async def test_a_call_of_an_mcp_tool_that_destroys_is_asked_about():
    work = Work()
    mcp = MemoryMcp(tool=work)
    mcp.tools_there["tool"] = replace(mcp.tools_there["tool"], once=True)
    turns = [[deltas.ToolCall(0, "{}", "tool", "call_a"), CALLED], [deltas.Text("Gone."), deltas.Stop("stop")]]
    asked = BACKGROUND | {"tools": (DEEP,)}
    built, begun = await _left_open(work, turns, ToolStage(mcp=mcp), asked)
    async with built.host, built.worker.claiming():
        paused = check_run(await built.hear(begun))
        assert paused.status == "requires_action"
        [left] = [item for item in paused.output if isinstance(item, items.HostedCall)]
        assert left.status == "incomplete"
        assert "may have been made" in left.error
        [request] = [item for item in paused.output if isinstance(item, items.ApprovalRequest)]
        assert (request.server_label, request.name) == ("deep", "tool")
        before = work.calls
        answer = items.ApprovalAnswer("mcpa_1", request.id, approve=True)
        final = check_run(await built.hear(await built.start(answer, previous_response_id=paused.id, **asked)))
    assert final.status == "completed"
    assert work.calls == before + 1


async def test_what_cannot_be_performed_any_more_fails_and_says_why(stage, stores):
    built = await stage(scripted=ScriptedModel(turns=TURNS))
    asked = request.Request(
        model="scripted", input=(items.Message("msg_1", "user", (items.Text("Hi"),)),), background=True
    )
    prepared = await built.preparation.prepare(asked, CALLER)
    plan = await built.preparation.put_down(prepared)
    gone = replace(prepared.run.response, request=replace(prepared.run.response.request, model="gone"))
    await stores.runs.put(gone, plan, worker_id=None)
    async with built.worker.claiming():
        failed = check_run(await built.hear(gone))
    assert failed.status == "failed"
    assert (failed.failure.code, failed.failure.param) == ("model_not_found", "model")


async def test_what_others_want_stopped_is_stopped(stage, stores):
    waiting = asyncio.Event()
    built = await stage(scripted=ScriptedModel(deltas.Text("one"), waiting))
    begun = await built.start(background=True, stream=False)
    async with built.worker.beating():
        assert await stores.runs.stop(begun.organization_id, begun.id, "stop")
        built.signals.tell(STOPPED, begun.id.encode())
        assert check_run(await built.hear(begun)).status == "cancelled"


async def test_at_the_end_it_is_let_go_and_goes_on_elsewhere(stores):
    first = Stage({"scripted": ScriptedModel(deltas.Text("one"), asyncio.Event())}, stores, 0.0)
    async with first.worker.beating(), first.host:
        begun = await first.start(background=True, stream=False)
        await first.until(first.model.waits)
    assert not stores.kept[begun.id].ended
    assert await stores.runs.queued() == 1
    assert first.ear.left == [begun.id]
    second = Stage({"scripted": ScriptedModel(deltas.Text("two"), deltas.Stop("stop"))}, stores, PATIENCE)
    async with second.host, second.worker.claiming():
        found = await second.hear(begun)
    assert found[-1].response.text == "two"


async def test_beyond_what_is_performed_at_once_they_wait_for_their_turn(stores):
    gate = asyncio.Event()
    built = Stage(
        {"scripted": ScriptedModel(gate, deltas.Text("one"), deltas.Stop("stop"))}, stores, PATIENCE, at_once=2
    )
    async with built.host, built.worker.claiming():
        begun = [await built.start(background=True, stream=False) for _ in range(5)]
        assert await stores.runs.queued() == 3
        # One that waits need not be performed to be stopped.
        stopped = await built.responses.cancel(begun[4].id, CALLER)
        assert stopped.status == "cancelled"
        gate.set()
        for one in begun[:4]:
            assert check_run(await built.hear(one)).status == "completed"


async def test_words_that_cannot_be_kept_fail_their_run_and_no_other(stage, stores):
    gate, more, away = asyncio.Event(), asyncio.Event(), asyncio.Event()
    built = await stage(
        first=ScriptedModel(gate, deltas.Text("one"), more, deltas.Stop("stop")),
        second=ScriptedModel(gate, deltas.Text("two"), deltas.Stop("stop")),
    )
    lost = await built.start(model="first", background=True, stream=False)
    other = await built.start(model="second")
    await built.until(built.models["first"].waits)
    stores.gates["record"], stores.faults["record"] = away, RuntimeError("a fault of the store")
    gate.set()
    await built.until(stores.asked)
    away.set()
    assert check_run(await built.hear(other)).text == "two"
    more.set()
    async with asyncio.timeout(PATIENCE):
        while built.host.performs(lost.id):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_run_that_comes_back_to_who_lost_it_is_performed_once(stores):
    """A worker that stood still claims its own run again, before the one who performed it knows that it was lost."""
    gate = asyncio.Event()
    built = Stage({"scripted": ScriptedModel(deltas.Text("one"), gate, deltas.Stop("stop"))}, stores, PATIENCE)
    async with built.host:
        begun = await built.start(background=True, stream=False)
        await built.until(built.model.waits)
        built.model.waits.clear()
        await stores.runs.bury(Pulse("worker_1", await _beaten(stores)), 1)
        async with built.worker.claiming():
            await built.until(built.model.waits)
            assert built.host.claimed == 1
            gate.set()
            found = await built.hear(begun)
        assert found[-1].response.text == "one"
        assert built.host.claimed == 0
        assert (built.ear.left, len(built.ear.finished)) == ([begun.id], 1)


async def _beaten(stores: MemoryStores) -> int:
    await stores.runs.beat("worker_1")
    [pulse] = await stores.runs.pulses()
    return pulse.beats


async def test_a_model_need_say_no_more_when_what_it_says_cannot_be_kept(stores):
    gate, never = asyncio.Event(), asyncio.Event()
    model = ScriptedModel(deltas.Text("one"), gate, deltas.Text("two"), never)
    built = Stage({"scripted": model}, stores, PATIENCE)
    async with built.host:
        await built.start(background=True, stream=False)
        await built.until(model.waits)
        await stores.runs.bury(Pulse("worker_1", await _beaten(stores)), 1)
        gate.set()
        async with asyncio.timeout(PATIENCE):
            while built.host.claimed:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0)
        assert model.closed == 1


async def test_how_many_wait_is_told_with_the_heartbeat(stores):
    told: asyncio.Queue[int] = asyncio.Queue()
    gate = asyncio.Event()
    built = Stage({"scripted": ScriptedModel(gate)}, stores, 0.0, at_once=1, counted=told.put_nowait)
    async with built.worker.beating(), built.host:
        for _ in range(3):
            await built.start(background=True, stream=False)
        async with asyncio.timeout(PATIENCE):
            while await told.get() != 2:
                built.signals.tell(STOPPED)
