"""What must be true of every run, whatever befell those who performed it."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

from durability_cluster import DELIVERY_LEASE, PATHS, Cluster, Member, Record
from durability_stage import READ, WRITTEN, Plan, output_of
from durability_watch import ENDS, Follower, Poller, replayed

from freddy_process import BOUND

Json = dict[str, Any]


class Watched:
    """A run under way, with all who wait for it."""

    def __init__(self, cluster: Cluster, plan: Plan, response_id: str, dialect: str = "freddy") -> None:
        self.cluster = cluster
        self.plan = plan
        self.id = response_id
        self.dialect = dialect
        self.followers = [Follower(cluster, response_id, one) for one in PATHS]
        self.poller = Poller(cluster, response_id, dialect)
        self.losses: list[tuple[int, frozenset[str]]] = []
        """For each time somebody who may have performed it was lost: how long the ledger was then, and what the log
        had as answered."""

    @property
    def path(self) -> str:
        return f"{PATHS[self.dialect]}/{self.id}"

    async def lose(self) -> Record:
        """Remembers what was recorded when the performer was lost: none of that may be done again."""
        record = await self.cluster.record(self.id)
        self.losses.append((len(self.cluster.stage.ledger), record.recorded))
        return record

    async def get(self) -> Json:
        reply = await self.cluster.look(self.path)
        assert reply.status_code == 200, reply.text
        return reply.json()


class Crowd:
    """Runs under way together. Leaving it ends those who still wait for them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.runs: list[Watched] = []
        self._waiting: dict[str, list[asyncio.Task[None]]] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for task in (one for tasks in self._waiting.values() for one in tasks):
            task.cancel()
        await self._tasks.__aexit__(kind, error, None)

    async def begin(self, plan: Plan, dialect: str = "freddy", *, by: Member | None = None, **more: Any) -> Watched:
        response_id = await self.cluster.begin(plan, dialect, by=by, **more)
        run = Watched(self.cluster, plan, response_id, dialect)
        self.runs.append(run)
        waits = [*(one.follow() for one in run.followers), run.poller.poll()]
        self._waiting[run.id] = [self._tasks.create_task(one) for one in waits]
        return run

    async def lose(self) -> None:
        """Remembers of all what is recorded."""
        for run in self.runs:
            await run.lose()

    async def wait_over(self, *runs: Watched, seconds: float = BOUND) -> None:
        """Returns when everybody who waits for these, or for all, was told the end."""
        waiting = [task for run in runs or self.runs for task in self._waiting[run.id]]
        _, late = await asyncio.wait(waiting, timeout=seconds)
        if late:
            stuck = [run for run in runs or self.runs if set(self._waiting[run.id]) & late]
            told = [
                f"{run.plan.run} ({run.id}): {run.poller.told}, {len(run.followers[0].heard)} heard" for run in stuck
            ]
            raise AssertionError(f"{len(stuck)} never ended: {told[:5]}")

    async def check(self) -> None:
        wrong: list[str] = []
        for run in self.runs:
            try:
                await check(run)
            except AssertionError as fault:
                wrong.append(f"{run.plan.run} ({run.id}): {fault}")
        assert not wrong, f"{len(wrong)} of {len(self.runs)} runs went wrong:\n" + "\n".join(wrong)
        await check_accounts(self.cluster, self.runs)
        self.cluster.check_logs()
        assert self.cluster.stage.complaints == []


async def check(run: Watched, *, status: str = "completed", output: bool = True) -> Json:
    """Everything, for a run that is over and whose followers have heard the end. Returns the response.

    What was open when somebody was lost was done once more at most for each loss. Without `output` the response is not
    what the plan says.
    """
    response = await run.get()
    assert response["status"] == status, response
    for waiting in (*run.followers, run.poller):
        assert waiting.faults == [], f"{run.plan.run}: {waiting.faults}"
    record = await run.cluster.record(run.id)
    assert not record.gaps, f"{run.plan.run}: the log has gaps"
    assert list(record.fences) == sorted(record.fences), f"{run.plan.run}: an older claim wrote: {record.fences}"
    assert max(Counter(record.calls).values(), default=1) == 1, f"{run.plan.run}: answered twice: {record.calls}"
    _check_ledger(run, most=1 + len(run.losses))
    if status == "completed" and output:
        assert len(record.turns) == len(run.plan.turns) + 1, f"{run.plan.run}: {record.turns}"
        _check_output(run.plan, response["output"])
        _check_usage(run, response)
    await _check_events(run, response)
    stage = run.cluster.stage
    # Who was lost may have been just about to tell.
    await stage.wait(lambda: run.id in stage.hooks, seconds=BOUND + (DELIVERY_LEASE if run.losses else 0))
    return response


def _check_ledger(run: Watched, *, most: int) -> None:
    name, ledger = run.plan.run, run.cluster.stage.ledger
    asked = Counter(line.what for line in ledger if (line.run, line.phase) == (name, "asked"))
    assert max(asked.values(), default=0) <= most, f"{name}: {asked}, where each may be asked {most} times"
    for since, recorded in run.losses:
        for line in ledger[since:]:
            if line.run == name and line.phase == "asked":
                assert line.what not in recorded, f"{name}: {line} though it was recorded as answered"
    wrong = [said for said in run.cluster.stage.complaints if said.startswith(f"{name}:")]
    assert wrong == [], wrong


def _check_output(plan: Plan, output: Sequence[Mapping[str, Any]]) -> None:
    """Every call in its order with its one answer, and what was said, each once. What broke off is empty."""
    made: list[tuple[str, str]] = []
    called: dict[str, str] = {}
    answers: dict[str, str] = {}
    said: list[str] = []
    for item in output:
        kind = item["type"]
        if item.get("status") == "incomplete":
            assert kind in ("message", "function_call", "mcp_call", "mcp_list_tools"), item
            assert not item.get("content"), item
            assert not item.get("output"), item
            continue
        match kind:
            case "message":
                said.append("".join(part["text"] for part in item["content"]))
            case "function_call":
                call = called[item["call_id"]] = json.loads(item["arguments"])["call"]
                made.append((call, item["name"]))
            case "function_call_output":
                call = called[item["call_id"]]
                assert call not in answers, f"{plan.run}: {call} is answered twice"
                answers[call] = item["output"]
            case "mcp_call":
                call = json.loads(item["arguments"])["call"]
                made.append((call, item["name"]))
                assert call not in answers, f"{plan.run}: {call} is answered twice"
                answers[call] = item["output"]
            case "mcp_list_tools":
                pass
            case _:
                raise AssertionError(f"{plan.run}: {item}")
    assert made == [(call, plan.name_of(call)) for call in plan.calls], f"{plan.run}: {made}"
    assert answers == {call: output_of(call) for call in plan.calls}, answers
    words = ["".join(plan.words_of(turn)) for turn in range(len(plan.turns) + 1)]
    assert said == [one for one in words if one], f"{plan.run}: {said}"


def _check_usage(run: Watched, response: Json) -> None:
    """Each recorded turn is counted once; one that broke off may be counted as it was estimated."""
    turns = len(run.plan.turns) + 1
    usage = response["usage"]
    counted = (usage["input_tokens"], usage["output_tokens"])
    asked = sum(
        line.run == run.plan.run and line.phase == "asked" and line.what.startswith("model")
        for line in run.cluster.stage.ledger
    )
    if asked == turns:
        assert counted == (READ * turns, WRITTEN * turns), f"{run.plan.run}: {counted}"
    else:
        assert counted[0] >= READ * turns, f"{run.plan.run}: {counted}"
        assert counted[1] >= WRITTEN * turns, f"{run.plan.run}: {counted}"


async def _check_events(run: Watched, response: Json) -> None:
    """What followers heard is what everybody is told later, and its items are those of the response."""
    name, record = run.plan.run, await run.cluster.record(run.id)
    for follower in run.followers:
        assert follower.ended, f"{name}: the end was not heard"
        for member in run.cluster.serving:
            story = await replayed(run.cluster, run.id, follower.dialect, by=member)
            assert len(story) == len(follower.heard), f"{name}: {member.name} tells {len(story)} events"
            for heard, told in zip(follower.heard, story, strict=True):
                assert heard == told, f"{name} from {member.name}"
        heard = follower.heard
        middle = len(heard) // 2
        after = heard[middle]["sequence_number"]
        assert await replayed(run.cluster, run.id, follower.dialect, by=member, after=after) == heard[middle + 1 :]
        assert heard[-1]["sequence_number"] + 1 == record.told, f"{name}: {record.told} were recorded"
        assert [event["type"] in ENDS for event in heard].index(True) == len(heard) - 1, name
        begun = [event["output_index"] for event in heard if event["type"] == "response.output_item.added"]
        done = {event["output_index"]: event["item"] for event in heard if event["type"] == "response.output_item.done"}
        assert begun == list(range(len(response["output"]))), f"{name}: {begun}"
        if follower.dialect == run.dialect:
            for place, item in enumerate(response["output"]):
                # What was done in a turn that broke off is withdrawn: `_check_output` sees that it is empty.
                withdrawn = run.losses and item.get("status") == "incomplete" and item["id"] == done[place]["id"]
                assert withdrawn or done[place] == item, f"{name}: {done[place]} was told, and {item} is kept"


async def check_accounts(cluster: Cluster, runs: Sequence[Watched]) -> None:
    """What was used is kept once for each response, as the response tells it."""
    sums = "sum(input_tokens), sum(output_tokens)"
    rows = await cluster.rows(f"SELECT response_id, {sums} FROM usage GROUP BY response_id")
    kept = {response_id: tuple(map(int, counted)) for response_id, *counted in rows}
    for run in runs:
        usage = (await run.get())["usage"]
        if usage is not None:
            told = (usage["input_tokens"], usage["output_tokens"])
            assert kept[run.id] == told, f"{run.plan.run}: {kept[run.id]} is kept, and {told} told"
