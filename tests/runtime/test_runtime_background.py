"""Runs in the background: any process performs them, goes on where another one ended, and tells the same."""

import asyncio

from runtime_stage import CALLER, Stage, ToolStage, check_run

from freddy.server.core import deltas, events, items, log, toolspec
from freddy.server.core.usage import Usage
from freddy.server.ports.runs import Entry
from freddy_fakes import PATIENCE, MemoryFunctions, MemoryMcp, MemoryStores, ScriptedModel, raw

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

    def __init__(self, *, once: bool = False) -> None:
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
    model = ScriptedModel(deltas.Text("one"), asyncio.Event())
    built = await stage(scripted=model)
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


async def test_a_run_that_crashed_behind_any_entry_goes_on_elsewhere(stage):
    work = Work()
    first = await stage(tools=tool_stage(work), scripted=ScriptedModel(turns=TURNS))
    begun = await first.start(**BACKGROUND)
    whole = await ended(first, begun.id)
    entries: list[Entry] = first.stores.runs.logs[begun.id]
    assert len(entries) > 8
    plan = await first.preparation.put_down(await first.preparation.prepare(begun.request, CALLER))
    for crash in range(len(entries)):
        stores = MemoryStores()
        claim = await stores.runs.put(begun, plan, worker_id="gone")
        for entry in entries[:crash]:
            done = (event for event in _read(entry, begun) if isinstance(event, events.ItemDone | events.Called))
            await stores.runs.record(claim, entry, {event.index: event.item for event in done})
        again = Work()
        model = ScriptedModel(turns=TURNS[_turns(entries[:crash]) :])
        built = Stage({"scripted": model}, stores, PATIENCE, tools=tool_stage(again))
        for _ in range(1000):
            built.ids.new("taken")  # by the process that is gone
        await stores.runs.release(claim)
        async with built.host, built.worker.claiming():
            told = await built.hear(begun)
            found = check_run(told)
        assert found.status == "completed"
        assert found.text == whole.text
        answers = [item.call_id for item in found.output if isinstance(item, items.FunctionOutput)]
        assert len(answers) == len(set(answers)) == 2
        hosted = [item for item in found.output if isinstance(item, items.HostedCall)]
        assert [item.status for item in hosted if item.status != "incomplete"] == ["completed"]
        answered = sum(isinstance(event, events.ToolDone) for entry in entries[:crash] for event in _read(entry, begun))
        assert again.calls == 3 - answered
        assert len(model.turns) == 3 - _turns(entries[:crash])
        assert told[: sum(entry.told for entry in entries[:crash])] == [
            event for entry in entries[:crash] for event in _told(entry, found)
        ]
        assert len(found.calls) == len(whole.calls)


def _read(entry: Entry, response) -> list[events.Event]:
    return log.read(entry.events, response)


def _told(entry: Entry, response) -> list[events.Event]:
    return [event for event in _read(entry, response) if not isinstance(event, events.UNTOLD)]


def _turns(entries: list[Entry]) -> int:
    return sum(entry.events.count(b'"type":"turn_done"') for entry in entries)
