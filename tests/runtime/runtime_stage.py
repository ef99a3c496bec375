"""The room that performs runs, with fakes for all that it needs."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing

from freddy.server.accounts.limits import Limiter
from freddy.server.core import events, items, request
from freddy.server.core.accounts import SCOPES, Caller
from freddy.server.core.response import Response
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.stores import ResponseStore
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.assistants import Assistants
from freddy.server.resources.prompts import Prompts
from freddy.server.resources.rulebook import Rulebook
from freddy.server.resources.rules import collection
from freddy.server.runtime.approvals import Approvals, Marks
from freddy.server.runtime.following import Following
from freddy.server.runtime.health import Health
from freddy.server.runtime.history import History
from freddy.server.runtime.host import Host
from freddy.server.runtime.prepare import Configured, Preparation, Renewed, as_before
from freddy.server.runtime.recorder import Recorder
from freddy.server.runtime.repeats import Repeats
from freddy.server.runtime.responses import Responses
from freddy.server.runtime.retrying import Policy
from freddy.server.runtime.route import Candidate, Means
from freddy.server.runtime.routing import Routing
from freddy.server.runtime.runner import Runner
from freddy.server.runtime.toolbox import Limits as ToolLimits
from freddy.server.runtime.toolbox import Means as ToolMeans
from freddy.server.runtime.toolbox import Tools
from freddy.server.runtime.worker import Pace, Worker
from freddy.server.stores.channels.memory import MemoryChannel
from freddy.server.stores.counters.memory import MemoryCounters
from freddy.server.stores.signals.memory import MemorySignals
from freddy_fakes import (
    PATIENCE,
    CountingIds,
    EmptyAttachments,
    EmptyRecords,
    FixedClock,
    MemoryApprovals,
    MemoryFunctions,
    MemoryMcp,
    MemoryRetriever,
    MemoryStores,
    OpenOutward,
    Remembered,
    ScriptedModel,
)
from freddy_stream_rules import check_events

CALLER = Caller("org_1", ("org_1",), frozenset(SCOPES), "key_1")
STRANGER = Caller("org_2", ("org_2",), frozenset(SCOPES), "key_2")


def means(clock: Clock, **policy) -> Means:
    told = Policy(**policy)
    return Means(told, Health(clock, told), clock, lambda: 0.5)


async def _no_limits(_: str) -> None:
    return None


class _Unspent:
    """The port `BudgetSource`."""

    async def month_cost(self, organization_id: str, key_id: str | None, *, since: int, until: int) -> int:
        return 0


def _unlimited(clock: Clock) -> Limiter:
    return Limiter(MemoryCounters(clock), organization_limits=_no_limits, spending=_Unspent(), clock=clock)


class FixedKeys:
    """The port `SigningKeys`."""

    async def derived(self, purpose: str) -> Sequence[bytes]:
        return (purpose.ljust(32).encode(),)


class Ear:
    """The port `Listener`."""

    def __init__(self) -> None:
        self.hears: Callable[[], object] = lambda: None
        """Is called when a run begins."""
        self.started: list[str] = []
        self.left: list[str] = []
        self.finished: list[tuple[str, str, float, float | None]] = []

    def run_started(self, response: Response) -> None:
        self.started.append(response.id)
        self.hears()

    def run_left(self, response: Response) -> None:
        self.left.append(response.id)

    def run_finished(self, response: Response, *, seconds: float, first_delta_seconds: float | None) -> None:
        self.finished.append((response.id, response.status, seconds, first_delta_seconds))


class ToolStage:
    """The tools there are on a stage."""

    def __init__(
        self,
        functions: MemoryFunctions | None = None,
        mcp: MemoryMcp | None = None,
        retriever: MemoryRetriever | None = None,
        limits: ToolLimits | None = None,
    ) -> None:
        self.functions = functions or MemoryFunctions()
        self.mcp = mcp or MemoryMcp()
        self.retriever = retriever or MemoryRetriever()
        self.approvals = MemoryApprovals()
        self._limits = limits or ToolLimits(seconds=PATIENCE)

    def means(self, ids: IdSource) -> ToolMeans:
        return ToolMeans(self.functions, self.retriever, self.mcp, self.mcp, OpenOutward(), ids, self._limits)


class Stage:
    """`Responses` over a host that is under way; models go by their names."""

    def __init__(
        self,
        models: dict[str, ScriptedModel],
        stores: MemoryStores,
        grace_seconds: float,
        *,
        tools: ToolStage | None = None,
        at_once: int = 100,
        counted: Callable[[int], None] = lambda _: None,
        limiter: Callable[[Clock], Limiter] | None = None,
        sealer: Sealer | None = None,
        renewed: Renewed = as_before,
        repeats: Remembered | None = None,
        shared: bool = False,
    ) -> None:
        """`limiter` is made with the clock of the stage; without, nobody is limited."""
        self.tools = tools or ToolStage()
        self.stores = stores
        self.clock = FixedClock()
        self.ids = CountingIds()
        self.marks = Marks(FixedKeys())
        self.ear = Ear()
        self.models = models
        self.channel = MemoryChannel(self.clock)
        responses: ResponseStore = stores.responses
        self.host = Host(
            runner=Runner(clock=self.clock, ids=self.ids, marks=self.marks),
            recorder=Recorder(responses, self.channel),
            clock=self.clock,
            listeners=(self.ear,),
            grace_seconds=grace_seconds,
        )
        approvals = Approvals(self.tools.approvals, responses, self.clock, self.marks)
        self.signals = MemorySignals()
        self.limiter = (limiter or _unlimited)(self.clock)
        self.given_back: Counter[str] = Counter()
        preparation = Preparation(
            tools=Tools(self.tools.means(self.ids)),
            sealer=sealer,
            renewed=renewed,
            approvals=approvals,
            routing=Routing(
                {name: [Candidate(model, f"exact-{name}")] for name, model in models.items()},
                means(self.clock),
                aliases={},
            ),
            history=History(responses, stores.threads),
            clock=self.clock,
            ids=self.ids,
            configured=Configured(
                Assistants(EmptyRecords(), clock=self.clock, ids_from=self.ids),
                Prompts(records=EmptyRecords(), clock=self.clock, ids=self.ids),
                Rulebook(
                    collection(EmptyRecords(), clock=self.clock, ids_from=self.ids),
                    EmptyAttachments(),
                    clock=self.clock,
                ),
            ),
        )
        self.preparation = preparation
        self.worker = Worker(
            "worker_1",
            runs=stores.runs,
            host=self.host,
            preparation=preparation,
            limiter=self.limiter,
            signals=self.signals,
            clock=self.clock,
            gave_back=lambda why: self.given_back.update((why,)),
            # Nothing is found by looking: whatever happens has to be told.
            counted=counted,
            pace=Pace(alone=True, at_once=at_once, poll=10 * PATIENCE),
        )
        self.responses = Responses(
            preparation=preparation,
            following=Following(
                channel=self.channel, store=responses, runs=stores.runs, signals=self.signals, poll_seconds=PATIENCE
            ),
            worker=self.worker,
            runs=stores.runs,
            signals=self.signals,
            clock=self.clock,
            host=self.host,
            store=responses,
            channel=self.channel,
            approvals=approvals,
            repeats=Repeats(repeats or Remembered(), self.clock),
            limiter=self.limiter,
            shared=shared,
        )

    @property
    def model(self) -> ScriptedModel:
        return next(iter(self.models.values()))

    async def start(self, *said: str | items.Item, caller: Caller = CALLER, **asked) -> Response:
        input_ = tuple(
            items.Message(self.ids.new("msg"), "user", (items.Text(one),)) if isinstance(one, str) else one
            for one in said or ("Hi",)
        )
        wanted = request.Request(**{"model": next(iter(self.models)), "input": input_, "stream": True} | asked)
        return (await self.responses.start(wanted, caller)).response

    async def hear(self, response: Response, after: int = -1) -> list[events.Event]:
        """Every event from there to the end; numbers must follow each other without a gap."""
        heard: list[events.Event] = []
        async with asyncio.timeout(PATIENCE), aclosing(self.responses.follow(response, after)) as batches:
            async for first, batch in batches:
                assert first == after + 1 + len(heard)
                heard += batch
        return heard

    async def perform(self, *said, **asked) -> Response:
        """The end of a run, whose events were well formed and told the same."""
        heard = await self.hear(await self.start(*said, **asked))
        return check_run(heard)

    async def until(self, happened: asyncio.Event) -> None:
        async with asyncio.timeout(PATIENCE):
            await happened.wait()


def check_run(heard: list[events.Event]) -> Response:
    """The response at the end of a run's events: stream and whole must hold the same items."""
    assert isinstance(heard[0], events.Created)
    if heard[0].response.status == "queued":
        assert isinstance(heard[1], events.Queued)
        heard = [heard[0], *heard[2:]]
    assert isinstance(heard[1], events.InProgress)
    assert heard[0].response.output == heard[1].response.output == ()
    finished = [event for event in heard if isinstance(event, events.Finished)]
    assert finished == heard[-1:]
    ended = finished[0].response
    assert ended.ended
    assert ended.id == heard[0].response.id
    assert check_events(heard[2:]) == ended.output
    failed = [event.failure for event in heard if isinstance(event, events.Failed)]
    assert failed == ([ended.failure] if ended.failure else [])
    assert not [event for event in heard if isinstance(event, events.UNTOLD)]
    return ended
