"""A server that is used in any order, killed in any moment, and what must be true of it all the while."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from gateway import Gateway, serving
from gateway import settings as gateway_settings

from freddy.server.config import Served
from freddy.server.config import settings as parts
from upstream import Answer, Break, Call, Fault, Gate, Upstream, text

WAIT = 30.0
ORGANIZATION = "org_a"
THREADS = ("north", "south")
RUNS = 3
BUDGET = 300
"""Dollars: a token of output costs one, and one of input nothing."""
RESERVED, MOST = 20, 25
"""What a request lets a model say, and what a model says at most that does not care."""
READ = 10
NANOS = 10**9
MODEL = "dear"
DEAR = Served(
    name=MODEL, candidates=(parts.Candidate(upstream="stage", model=MODEL),), price=parts.Price(input=0, output=1e6)
)
_GOING = (None, "queued", "in_progress")
_COUNTS = "count(*), sum(input_tokens), sum(output_tokens), sum(cost)"
_SUMMED = "sum(calls), sum(input_tokens), sum(output_tokens), sum(cost)"

Way: TypeAlias = Literal["whole", "stream", "background"]
Does: TypeAlias = Literal["answers", "holds", "faults", "breaks", "holds and breaks"]


@dataclass(frozen=True)
class Ask:
    """`thread` is one of `THREADS`, or None. `edits` is the place of the question that it takes back, if there are
    any; `behind` names the answer before it instead."""

    thread: int | None = 0
    way: Way = "whole"
    does: Does = "answers"
    written: int = 5
    edits: int | None = None
    behind: bool = False
    most: int = RESERVED


@dataclass(frozen=True)
class Release:
    which: int


@dataclass(frozen=True)
class Cancel:
    """`racing` with its natural end."""

    which: int
    racing: bool


@dataclass(frozen=True)
class Leave:
    """The client hangs up."""

    which: int
    racing: bool


@dataclass(frozen=True)
class Burst:
    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Crash:
    """The server dies after so many turns of the loop of work on these."""

    asks: tuple[Ask, ...]
    turns: int


Step: TypeAlias = Ask | Release | Cancel | Leave | Burst | Crash


@dataclass(eq=False)
class Run:
    """A request and what has become of it. Its question is `q` with its number, the answer `a` with the same."""

    number: int
    ask: Ask
    thread: str | None
    hides: tuple[int, ...]
    """Of the runs of its thread those that it takes back."""
    gate: Gate | None
    response_id: str | None = None
    task: asyncio.Task[None] | None = None
    status: str | None = None
    """As the client was told it; None while it was told nothing."""
    code: int = 200
    lost: bool = False
    """The client went away or the server died: nobody was told the end."""


class Play:
    """One server, whom it asks, and the memory of everything that was done."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runs: list[Run] = []
        self.logs: dict[str, list[int]] = {name: [] for name in THREADS}
        """What is to be seen in each thread: the numbers of its runs."""
        self.most_at_once = 0
        self._placed: set[int] = set()
        """Those that were seen in their thread."""
        self._house = contextlib.AsyncExitStack()
        self._all = contextlib.AsyncExitStack()
        self._clients = asyncio.TaskGroup()
        self._deaths = 0

    async def __aenter__(self) -> Self:
        self.vendor = await self._all.enter_async_context(Upstream(answering=self._answer))
        self._all.push_async_callback(self._close)
        await self._open()
        await self._all.enter_async_context(self._clients)
        self._secret = (await self.gateway.mint(ORGANIZATION)).secret
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hang_up()
        await self._all.aclose()

    async def _open(self) -> None:
        chosen = gateway_settings(
            self.home,
            self.vendor,
            dev=parts.Development(mode="off"),
            server=parts.Server(shutdown_seconds=0),
            models=(DEAR,),
            routing=parts.Routing(retries=0, cooldown_failures=1000),
            limits=parts.Limits(organization_concurrent_runs=RUNS, organization_monthly_budget=BUDGET),
        )
        self.gateway: Gateway = await self._house.enter_async_context(serving(chosen, self.vendor))

    async def _close(self) -> None:
        await self._house.aclose()

    def _answer(self, call: Call) -> Answer | Fault:
        run = self._asking(call)
        # Who was answered is over; of those who were cancelled or left alone the vendor may hear later.
        others = [self._asking(one) for one in self.vendor.calls if not one.over.is_set()]
        self.most_at_once = max(self.most_at_once, 1 + sum(one.status in _GOING and not one.lost for one in others))
        if run.ask.does == "faults":
            return Fault(400, "no")
        gate = [run.gate] if run.gate else []
        end = [Break("reset")] if "breaks" in run.ask.does else text(str(run.number))
        return Answer(text("a"), gate, end, usage=(READ, run.ask.written))

    def _asking(self, call: Call) -> Run:
        return self.runs[int(call.body["messages"][-1]["content"].removeprefix("q"))]

    # What happens

    async def perform(self, step: Step) -> None:
        """With every check after it."""
        match step:
            case Ask():
                held, spent = len(self.held), self.spent
                run = await self.ask(step)
                room = held < RUNS and spent + (held * RESERVED + step.most) * NANOS <= BUDGET * NANOS
                assert (run.code != 429) == room, (run, held, spent)
            case Burst(asks):
                for run in [await self._begin(ask) for ask in asks]:
                    await self._told(run)
            case Crash(asks, turns):
                await self._crash(asks, turns)
            case Release(which) | Cancel(which) | Leave(which) if self.held:
                run = self.held[which % len(self.held)]
                if isinstance(step, Release):
                    await self.release(run)
                elif isinstance(step, Cancel):
                    await self._cancel(run, racing=step.racing)
                else:
                    await self._leave(run, racing=step.racing)
        await self.check()

    @property
    def held(self) -> list[Run]:
        """Those that wait for their gates."""
        return [run for run in self.runs if run.gate and not run.lost and run.status in _GOING]

    async def ask(self, ask: Ask) -> Run:
        """Returns when it was answered, or waits for its gate."""
        before = _running()
        run = await self._begin(ask)
        assert run.task is not None
        if run.gate is None:
            await self._told(run)
            return run
        reached = self._clients.create_task(run.gate.reached())
        await asyncio.wait((reached, run.task), return_when=asyncio.FIRST_COMPLETED)
        if run.status in _GOING:
            await reached
            [run.response_id] = _running() - before
        else:
            reached.cancel()
            await asyncio.gather(run.task, reached, return_exceptions=True)
            assert run.code == 429, run
        return run

    async def release(self, run: Run) -> None:
        assert run.gate is not None
        run.gate.open()
        await self._told(run)

    async def _begin(self, ask: Ask) -> Run:
        thread = None if ask.thread is None else THREADS[ask.thread]
        body: dict[str, Any] = {"model": MODEL, "inputs": f"q{len(self.runs)}", "max_output_synapses": ask.most}
        hides: tuple[int, ...] = ()
        if thread is None:
            body["store"] = ask.way == "background"
        else:
            body["thread"] = thread
            log = self.logs[thread]
            if ask.edits is not None and log:
                place = ask.edits % len(log)
                hides = tuple(log[place:])
                messages = await self._messages(thread)
                if ask.behind and place:
                    body["previous_message_id"] = messages[2 * place - 1]["id"]
                else:
                    body["edit_message_id"] = messages[2 * place]["id"]
        run = Run(len(self.runs), ask, thread, hides, Gate() if "holds" in ask.does else None)
        self.runs.append(run)
        run.task = self._clients.create_task(self._send(run, body), name=f"client_{run.number}")
        return run

    async def _send(self, run: Run, body: dict[str, Any]) -> None:
        http = self.gateway.http(self._secret)
        if run.ask.way == "stream":
            async with http.stream("POST", "/v1/model/response", json={**body, "stream": True}, timeout=WAIT) as reply:
                run.code = reply.status_code
                if reply.status_code != 200:
                    run.status = "refused"
                    return
                async for line in reply.aiter_lines():
                    event = json.loads(line[6:]) if line.startswith("data: {") else {}
                    run.response_id = run.response_id or event.get("id")
                    kind = event.get("type", "").removeprefix("response.")
                    if kind in ("completed", "failed", "cancelled"):
                        run.status = kind
            return
        background = run.ask.way == "background"
        reply = await http.post("/v1/model/response", json={**body, "background": background}, timeout=WAIT)
        run.code = reply.status_code
        if reply.status_code != 200:
            run.status = "refused"
            return
        answer = reply.json()
        if answer["status"] == "completed":
            assert (answer["response"], answer["usage"]["output_tokens"]) == (f"a{run.number}", run.ask.written)
        run.response_id, run.status = answer["id"], answer["status"]

    async def _told(self, run: Run) -> None:
        """Returns when the client knows the end, and the server has done with it.

        Who looks at a response can see its end a moment before it is taken from what runs at once.
        """
        assert run.task is not None
        async with asyncio.timeout(WAIT):
            await run.task
            while run.status in _GOING:
                reply = await self.gateway.get(f"/v1/model/response/{run.response_id}", key=self._secret)
                if reply.status_code == 200:  # one that tells nothing before its end may be kept only then
                    run.status = reply.json()["status"]
        await self._over(run)

    async def _over(self, run: Run) -> None:
        """Returns when the server has done with it, whoever heard of that."""
        async with asyncio.timeout(WAIT):
            while run.response_id in _running():  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.001)

    async def _cancel(self, run: Run, *, racing: bool) -> None:
        assert run.gate is not None
        if racing:
            run.gate.open()
        reply = await self.gateway.post(f"/v1/model/response/{run.response_id}/cancel", key=self._secret)
        assert reply.status_code in (200, 404), reply.text
        if reply.status_code == 404:  # what is not kept, or only at its end, is not known by its id
            run.gate.open()
        await self._told(run)

    async def _leave(self, run: Run, *, racing: bool) -> None:
        assert run.gate is not None
        assert run.task is not None
        if run.task.done():  # in the background: nobody is there to go away
            await self.release(run)
            return
        run.lost = True
        run.task.cancel()
        if racing:
            run.gate.open()
        await asyncio.gather(run.task, return_exceptions=True)
        await self._over(run)

    async def _crash(self, asks: Sequence[Ask], turns: int) -> None:
        """What is left of the server is what was on the disk at this moment: with that it goes on.

        A run in the background does too, and its client, who knows it, has only to wait.
        """
        for ask in asks:
            await self._begin(ask)
        for _ in range(turns):
            await asyncio.sleep(0)
        self._deaths += 1
        home = self.home.with_name(f"{self.home.name}-{self._deaths}")
        for run in self.runs:
            known = run.ask.way == "background" and run.response_id is not None
            run.lost = run.lost or (run.status in _GOING and not known)
        # All of this without a pause, so that nobody hears anything of what the disk does not have.
        shutil.copytree(self.home, home, ignore=shutil.ignore_patterns("freddy.db*"))
        with (
            contextlib.closing(sqlite3.connect(self.home / "freddy.db")) as dead,
            contextlib.closing(sqlite3.connect(home / "freddy.db")) as left,
        ):
            dead.backup(left)
        await self._hang_up()
        await self._house.aclose()
        self.home = home
        left = [run for run in self.runs if run.status in _GOING and not run.lost]
        for run in left:
            run.gate = Gate() if run.gate else None
        await self._open()
        for run in left:
            await self._gone_on(run)
        await self._settled()

    async def _gone_on(self, run: Run) -> None:
        """Returns when a run that outlived a crash waits for its gate again, or its client knows the end."""
        if run.gate is None:
            await self._told(run)
            return
        await run.gate.reached()

    async def _settled(self) -> None:
        """Returns when only those are under way that wait for their gates: nobody knows which others were accepted."""
        sql = "SELECT count(*) FROM runs WHERE ended_at IS NULL"
        held = sum(run.ask.way == "background" for run in self.held)
        async with asyncio.timeout(WAIT):
            while self._asked(sql) > held:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
            held_ids = {run.response_id for run in self.held}
            while _running() - held_ids:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.001)

    def _asked(self, sql: str) -> int:
        with contextlib.closing(sqlite3.connect(self.home / "freddy.db")) as database:
            return database.execute(sql).fetchone()[0]

    async def _hang_up(self) -> None:
        tasks = [run.task for run in self.runs if run.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # What must be true

    async def check(self) -> None:
        await self._check_threads()
        self._check_usage(await self._usage())
        assert self.most_at_once <= RUNS
        # Each run that was under way when the budget ran out may have cost more than was reserved for it.
        assert self.spent <= (BUDGET + RUNS * (MOST - RESERVED)) * NANOS
        assert self.vendor.complaints == []

    async def _check_threads(self) -> None:
        """Each question is followed by its answer, each once; all that was answered is there, in its order."""
        for name, log in self.logs.items():
            listed = await self._messages(name)
            told = [one["content"] for one in listed]
            numbers = [int(content.removeprefix("q")) for content in told[::2]]
            assert told == [said for number in numbers for said in (f"q{number}", f"a{number}")]
            for number in numbers:
                run = self.runs[number]
                if number not in self._placed:
                    assert run.lost or run.status == "completed", run
                    self._placed.add(number)
                    log[:] = [*(one for one in log if one not in run.hides), number]
            assert numbers == log
            completed = {run.number for run in self.runs if run.thread == name and run.status == "completed"}
            assert completed <= self._placed
            reply = await self.gateway.get(f"/v1/threads/{name}", key=self._secret)
            assert reply.status_code == 404 or reply.json()["message_count"] == len(listed)

    def _check_usage(self, total: dict[str, Any]) -> None:
        """What was counted for each, their sums, and what callers are told of it are the same."""
        with contextlib.closing(sqlite3.connect(self.home / "freddy.db")) as database:
            database.execute("BEGIN")
            every = database.execute(f"SELECT {_COUNTS} FROM usage").fetchone()
            parts_ = [database.execute(f"SELECT {_COUNTS} FROM usage WHERE NOT summed").fetchone()]
            sums = [
                database.execute(f"SELECT {_SUMMED} FROM usage_sums WHERE span = ?", (span,)).fetchone()
                for span in ("hour", "day", "month")
            ]
            # A crash in the middle of a turn leaves one that failed beside it.
            rows = database.execute(
                "SELECT response_id, input_tokens, output_tokens, cost FROM usage WHERE status = 'completed'"
            ).fetchall()
        for summed in sums:
            assert _added(*parts_, summed) == _added(every)
        assert _added(every)[1:3] == (total["input_tokens"], total["output_tokens"])
        assert (_added(every)[0], _added(every)[3]) == (total["calls"], round(total["cost"] * NANOS))
        counted = {response_id: tuple(numbers) for response_id, *numbers in rows}
        assert len(counted) == len(rows)
        for run in self.runs:
            if run.status == "completed":
                assert counted[run.response_id] == (READ, run.ask.written, run.ask.written * NANOS)

    @property
    def spent(self) -> int:
        """Billionths of a dollar."""
        return self._asked("SELECT coalesce(sum(cost), 0) FROM usage")

    async def _usage(self) -> dict[str, Any]:
        reply = await self.gateway.get("/v1/usage?bucket=none", key=self._secret)
        return reply.json()["total"]

    async def _messages(self, thread: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        more = ""
        while True:
            path = f"/v1/threads/{thread}/messages?order=asc&limit=100{more}"
            reply = await self.gateway.get(path, key=self._secret)
            if reply.status_code == 404:
                return []
            page = reply.json()
            found += page["data"]
            if not page["has_more"]:
                return found
            more = f"&after={page['last_id']}"


def _running() -> set[str]:
    """The responses under way in this process."""
    return {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("resp_")}


def _added(*counts: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(sum(one or 0 for one in each) for each in zip(*counts, strict=True))
