"""Fakes of the ports: a model that says what it was told, a fixed clock, counted ids, stores in memory."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import httpx2
import msgspec
from msgspec.structs import replace

from freddy.server.core import deltas, errors, items, toolspec
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.response import Response
from freddy.server.core.rules import Attachment
from freddy.server.core.threads import Spot, Thread
from freddy.server.core.turn import Turn
from freddy.server.ports.approvals import Claim
from freddy.server.ports.mcp import Configured, Server
from freddy.server.ports.records import Record
from freddy.server.ports.repeats import Kept
from freddy.server.ports.runs import NOTHING, Claimed, Entry, Heard, Held, Pulse, Unread
from freddy.server.ports.runs import Claim as RunClaim
from freddy.server.ports.stores import ANY_RESPONSE, ANY_THREAD, Page, PlacedItem, ResponseFilter, ThreadFilter
from freddy.server.ports.tools import Answer, Asker

PATIENCE = 30.0
"""Seconds a test waits for something that must happen."""

Line: TypeAlias = deltas.Delta | Sequence[deltas.Delta] | asyncio.Event | Exception
Listed = TypeVar("Listed")

_SUCCEEDED = ("completed", "incomplete", "requires_action")


class ScriptedModel:
    """Says its lines in every turn: deltas (alone or as a batch), events to wait for, exceptions to raise.

    With `turns` it says those one after the other, and the last of them again and again.
    """

    def __init__(
        self,
        *lines: Line,
        profile: Profile | None = None,
        counts: int | None = None,
        turns: Sequence[Sequence[Line]] = (),
    ) -> None:
        self._turns = turns
        self.profile = profile or Profile(name="scripted", provider="stage")
        self.availability: Availability = "ready"
        self.turns: list[Turn] = []
        self.keys: list[str | None] = []
        self.lists: Sequence[str] = ()
        """What `models` says."""
        self.minds: Sequence[str] = ()
        """What `warnings` says."""
        self.waits = asyncio.Event()
        """Set when a line makes it wait."""
        self.opened = 0
        self.closed = 0
        self._lines = lines
        self._counts = counts

    @property
    def name(self) -> str:
        return self.profile.provider

    def model(self, called: str, *, key: str | None = None) -> "ScriptedModel":
        """It is its own provider, which has no other model."""
        self.keys.append(key)
        return self

    async def models(self) -> Sequence[str]:
        return self.lists

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        self.turns.append(turn)
        self.opened += 1
        lines = self._turns[min(len(self.turns), len(self._turns)) - 1] if self._turns else self._lines
        try:
            for line in lines:
                match line:
                    case asyncio.Event():
                        self.waits.set()
                        await line.wait()
                    case Exception():
                        raise line
                    case list() | tuple():
                        yield line
                    case _:
                        yield [line]
        finally:
            self.closed += 1

    def warnings(self, turn: Turn) -> Sequence[str]:
        return self.minds

    async def count(self, turn: Turn) -> int | None:
        self.turns.append(turn)
        return self._counts


class FixedClock:
    """Time goes on only when it is told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class CountingIds:
    """`msg_1`, `msg_2`, `fc_3`: every id is told once."""

    def __init__(self) -> None:
        self._last = 0

    def new(self, prefix: str) -> str:
        self._last += 1
        return f"{prefix}_{self._last}"


class MemoryStores:
    """Both stores over one memory.

    `journal` tells every write that was kept, in order. A method waits for its event in `gates`, and then
    raises its exception in `faults`; both go by the method's name. `asked` is set when a gate is reached.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Response] = {}
        self.threads_kept: dict[tuple[str, str], Thread] = {}
        self.journal: list[tuple[str, str, object]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.faults: dict[str, Exception] = {}
        self.asked = asyncio.Event()
        self.responses = MemoryResponses(self)
        self.threads = MemoryThreads(self)
        self.runs = MemoryRuns(self)

    async def reach(self, method: str) -> None:
        if method in self.gates:
            self.asked.set()
            await self.gates[method].wait()
        if method in self.faults:
            raise self.faults[method]


class MemoryResponses:
    """The port `ResponseStore`."""

    def __init__(self, memory: MemoryStores) -> None:
        self._memory = memory

    async def open(self, response: Response) -> None:
        await self._memory.reach("open")
        self._begin(response)
        self._memory.journal.append(("open", response.id, response))

    def _begin(self, response: Response) -> None:
        memory = self._memory
        place = (response.organization_id, response.thread_id or "")
        thread = memory.threads_kept.get(place)
        if response.thread_id is not None and thread is None:
            wanted = response.request.thread
            memory.threads_kept[place] = Thread(
                id=response.thread_id,
                organization_id=response.organization_id,
                created_at=response.created_at,
                updated_at=response.created_at,
                metadata=wanted.metadata if wanted else {},
            )
        memory.kept[response.id] = response

    async def keep(self, response: Response) -> None:
        await self._memory.reach("keep")
        if response.id not in self._memory.kept:
            self._begin(response)
            self._end(response)
        self._memory.journal.append(("keep", response.id, response))

    async def add_items(self, response_id: str, items: Mapping[int, items.Item]) -> None:
        memory = self._memory
        await memory.reach("add_items")
        response = memory.kept[response_id]
        output = dict(enumerate(response.output)) | dict(items)
        assert sorted(output) == list(range(len(output))), f"a gap among {sorted(output)}"
        memory.kept[response_id] = replace(response, output=tuple(output[place] for place in sorted(output)))
        memory.journal.append(("add_items", response_id, tuple(items[place] for place in sorted(items))))

    async def finish(self, response: Response) -> None:
        await self._memory.reach("finish")
        if response.id not in self._memory.kept:
            return
        self._end(response)
        self._memory.journal.append(("finish", response.id, response))

    def _end(self, response: Response) -> None:
        memory = self._memory
        memory.kept[response.id] = response
        place = (response.organization_id, response.thread_id or "")
        thread = memory.threads_kept.get(place)
        if thread is not None and response.status in _SUCCEEDED and response.completed_at is not None:
            memory.threads_kept[place] = replace(
                thread,
                updated_at=response.completed_at,
                last_message_at=response.completed_at,
                last_model=response.model,
            )

    async def get(self, organization_id: str, response_id: str) -> Response | None:
        await self._memory.reach("get")
        found = self._memory.kept.get(response_id)
        return found if found and found.organization_id == organization_id else None

    async def delete(self, organization_id: str, response_id: str) -> bool:
        await self._memory.reach("delete")
        if await self.get(organization_id, response_id) is None:
            return False
        del self._memory.kept[response_id]
        self._memory.journal.append(("delete", response_id, None))
        return True

    async def input_items(
        self, organization_id: str, response_id: str, page: Page
    ) -> tuple[Sequence[items.Item], bool]:
        found = await self.get(organization_id, response_id)
        entries = [(item.id, item) for item in found.request.input] if found else []
        return _page(entries, page)

    async def list(
        self, organization_id: str, page: Page, having: ResponseFilter = ANY_RESPONSE
    ) -> tuple[Sequence[Response], bool]:
        assert having == ResponseFilter(thread_id=having.thread_id, status=having.status, user_id=having.user_id)
        asked = {name: value for name in ("thread_id", "status", "user_id") if (value := getattr(having, name))}
        found = [
            (response.id, response)
            for response in self._memory.kept.values()
            if response.organization_id == organization_id
            and all(getattr(response, name) == value for name, value in asked.items())
        ]
        return _page(found, page)

    async def find_items(
        self, organization_id: str, item_ids: Sequence[str], *, user_id: str | None = None
    ) -> Mapping[str, items.Item]:
        return {
            item.id: item
            for response in self._memory.kept.values()
            if response.organization_id == organization_id and user_id in (None, response.user_id)
            for item in (*response.request.input, *response.output)
            if item.id in item_ids
        }

    async def chain(self, organization_id: str, response_id: str, *, limit: int | None = None) -> Sequence[Response]:
        chain: list[Response] = []
        following: str | None = response_id
        while following is not None and (found := await self.get(organization_id, following)):
            chain.insert(0, found)
            following = found.request.previous_response_id
        return chain if limit is None else chain[-limit:]

    async def chain_start(self, organization_id: str, response_id: str, *, limit: int) -> Sequence[Response]:
        return (await self.chain(organization_id, response_id))[:limit]


class MemoryRuns:
    """The port `RunStore`, for the workers of one process."""

    def __init__(self, memory: MemoryStores) -> None:
        self._memory = memory
        self._runs: dict[str, _KeptRun] = {}
        self._beats: dict[str, int] = {}
        self.logs: dict[str, list[Entry]] = {}
        self.claims: list[str] = []
        """Every run that was claimed, in order."""
        self.unreadable: set[str] = set()
        self.plans: dict[str, bytes] = {}
        """What is read in the place of a plan."""

    async def put(self, response: Response, plan: bytes, *, worker_id: str | None) -> RunClaim | None:
        await self._memory.reach("put")
        await self._memory.responses.open(response)
        run = self._runs[response.id] = _KeptRun(response, plan)
        self.logs[response.id] = []
        return None if worker_id is None else run.claimed_by(worker_id)

    async def claim(self, worker_id: str, *, most: int, held: Held = NOTHING) -> Sequence[Claimed | Unread]:
        await self._memory.reach("claim")
        free = [run for run in self._runs.values() if run.claim is None and not run.over]
        if most < 1:
            free = [run for run in free if run.stop]
        else:
            free = [run for run in free if not self._is_held(run, held)][:most]
        self.claims += [run.response.id for run in free]
        return [
            Unread(run.claimed_by(worker_id), run.losses)
            if run.response.id in self.unreadable
            else Claimed(
                run.claimed_by(worker_id),
                replace(run.response, status="in_progress" if self.logs[run.response.id] else "queued"),
                self.plans.get(run.response.id, run.plan),
                run.stop,
                run.losses,
            )
            for run in free
        ]

    def _is_held(self, run: "_KeptRun", held: Held) -> bool:
        response = run.response
        if response.id in held.runs:
            return True
        if run.stop or self.logs[response.id]:
            return False
        return (
            response.organization_id in held.organizations or (response.organization_id, response.key_id) in held.keys
        )

    async def record(self, claim: RunClaim, entry: Entry, items: Mapping[int, items.Item]) -> None:
        await self._memory.reach("record")
        if self._written(claim, entry):
            return
        if items:
            await self._memory.responses.add_items(claim.response_id, items)
        kept = self._memory.kept[claim.response_id]
        self._memory.kept[claim.response_id] = replace(kept, status="in_progress")

    async def finish(self, claim: RunClaim, response: Response, entry: Entry) -> None:
        await self._memory.reach("finish_run")
        run = self._runs.get(claim.response_id)
        if run is not None and run.over and run.claim == claim:
            return
        self._written(claim, entry)
        await self._memory.responses.finish(response)
        self._runs[claim.response_id].over = True

    def _written(self, claim: RunClaim, entry: Entry) -> bool:
        run = self._runs.get(claim.response_id)
        if run is None or run.over or run.claim != claim or claim.response_id not in self._memory.kept:
            raise errors.ClaimLost("Somebody else has it")
        log = self.logs[claim.response_id]
        if entry.place < len(log):
            assert log[entry.place] == entry
            return True
        assert entry.place == len(log)
        log.append(entry)
        return False

    async def abandon(self, claim: RunClaim, failure: errors.Failure, now: int) -> None:
        run = self._runs[claim.response_id]
        if run.claim != claim:
            raise errors.ClaimLost("Somebody else has it")
        run.over = True
        self.logs[claim.response_id] = []
        kept = self._memory.kept[claim.response_id]
        ended = replace(kept, status="failed", failure=failure, completed_at=now)
        self._memory.kept[claim.response_id] = ended

    async def release(self, claim: RunClaim, *, lost: bool = False) -> None:
        run = self._runs[claim.response_id]
        if run.claim == claim and not run.over:
            run.claim = None
            run.losses += lost

    async def log(self, response_id: str, *, after: int = -1, most: int = 1000) -> Sequence[Entry]:
        await self._memory.reach("log")
        return self.logs.get(response_id, [])[after + 1 :][:most]

    async def stop(self, organization_id: str, response_id: str, how: str) -> bool:
        run = self._runs.get(response_id)
        if run is None or run.over or run.response.organization_id != organization_id:
            return False
        run.stop = how
        return True

    async def beat(self, worker_id: str) -> Heard:
        await self._memory.reach("beat")
        self._beats[worker_id] = self._beats.get(worker_id, 0) + 1
        mine = [run for run in self._runs.values() if run.claim and run.claim.worker_id == worker_id and not run.over]
        held = {run.response.id: run.claim.fence for run in mine if run.claim}
        return Heard({run.response.id: run.stop for run in mine if run.stop}, held=held)

    async def pulses(self) -> Sequence[Pulse]:
        return [Pulse(worker_id, beats) for worker_id, beats in self._beats.items()]

    async def bury(self, pulse: Pulse, now: int) -> int | None:
        if self._beats.get(pulse.worker_id) != pulse.beats:
            return None
        await self.leave(pulse.worker_id)
        return 0

    async def bury_unknown(self, now: int) -> int:
        return 0

    async def leave(self, worker_id: str) -> None:
        self._beats.pop(worker_id, None)
        for run in self._runs.values():
            if run.claim is not None and run.claim.worker_id == worker_id and not run.over:
                run.claim = None

    def losses(self, response_id: str) -> int:
        return self._runs[response_id].losses

    async def queued(self) -> int:
        return sum(run.claim is None and not run.over for run in self._runs.values())

    async def expire(self, before: int) -> int:
        old = [run.response.id for run in self._runs.values() if run.over]
        for response_id in old:
            del self._runs[response_id], self.logs[response_id]
        return len(old)


class _KeptRun:
    def __init__(self, response: Response, plan: bytes) -> None:
        self.response = response
        self.plan = plan
        self.claim: RunClaim | None = None
        self.stop: str | None = None
        self.over = False
        self.losses = 0
        self._fence = 0

    def claimed_by(self, worker_id: str) -> RunClaim:
        self._fence += 1
        self.claim = RunClaim(self.response.id, self.response.organization_id, worker_id, self._fence)
        return self.claim


class MemoryThreads:
    """The port `ThreadStore`."""

    def __init__(self, memory: MemoryStores) -> None:
        self._memory = memory

    async def create(self, thread: Thread, items: Sequence[items.Item] = (), *, entry_id: str = "") -> None:
        assert not items, f"{entry_id} would need a memory of its own"
        if (thread.organization_id, thread.id) in self._memory.threads_kept:
            raise errors.Conflict("The id is taken", param="id")
        self._memory.threads_kept[thread.organization_id, thread.id] = thread

    async def get(self, organization_id: str, thread_id: str) -> Thread | None:
        found = self._memory.threads_kept.get((organization_id, thread_id))
        return found if found and found.organization_id == organization_id else None

    async def list(
        self, organization_id: str, page: Page, having: ThreadFilter = ANY_THREAD
    ) -> tuple[Sequence[Thread], bool]:
        assert having == ANY_THREAD
        mine = [t for t in self._memory.threads_kept.values() if t.organization_id == organization_id]
        mine.sort(key=lambda thread: (thread.created_at, thread.id))
        return _page([(thread.id, thread) for thread in mine], page)

    async def change(self, organization_id: str, thread_id: str, alter: Callable[[Thread], Thread]) -> Thread | None:
        before = await self.get(organization_id, thread_id)
        if before is None:
            return None
        self._memory.threads_kept[organization_id, thread_id] = altered = alter(before)
        return altered

    async def delete(self, organization_id: str, thread_id: str) -> bool:
        if await self.get(organization_id, thread_id) is None:
            return False
        del self._memory.threads_kept[organization_id, thread_id]
        for response in list(self._memory.kept.values()):
            if response.thread_id == thread_id:
                del self._memory.kept[response.id]
        return True

    async def items(self, organization_id: str, thread_id: str) -> Sequence[items.Item]:
        return [placed.item for placed in self._placed(organization_id, thread_id)]

    async def page_items(
        self, organization_id: str, thread_id: str, page: Page, *, messages: bool = False
    ) -> tuple[Sequence[PlacedItem], bool]:
        told = [
            placed
            for placed in self._placed(organization_id, thread_id)
            if not messages or not isinstance(placed.item, items.Reasoning | items.Other)
        ]
        return _page([(placed.item.id, placed) for placed in told], page)

    async def tail(
        self, organization_id: str, thread_id: str, *, before: Spot | None = None, limit: int
    ) -> Sequence[PlacedItem]:
        placed = self._placed(organization_id, thread_id)
        return [one for one in reversed(placed) if before is None or one.spot < before][:limit]

    async def head(
        self, organization_id: str, thread_id: str, *, after: Spot | None = None, limit: int
    ) -> Sequence[PlacedItem]:
        placed = self._placed(organization_id, thread_id)
        return [one for one in placed if after is None or one.spot > after][:limit]

    def _placed(self, organization_id: str, thread_id: str) -> Sequence[PlacedItem]:
        kept = [
            response
            for response in self._memory.kept.values()
            if (response.organization_id, response.thread_id) == (organization_id, thread_id)
            and response.status in _SUCCEEDED
        ]
        return [
            PlacedItem(item, response.id, response.created_at, (place, direction, position))
            for place, response in enumerate(kept, 1)
            for direction, said in (("in", response.request.input), ("out", response.output))
            for position, item in enumerate(said)
        ]


def _page(entries: Sequence[tuple[str, Listed]], page: Page) -> tuple[Sequence[Listed], bool]:
    """`entries` are oldest first, each with its id."""
    ordered = list(entries) if page.order == "asc" else list(reversed(entries))
    names = [name for name, _ in ordered]
    if page.after in names:
        ordered = ordered[names.index(page.after) + 1 :]
    elif page.before in names:
        rest = ordered[: names.index(page.before)]
        return [entry for _, entry in rest[-page.limit :]], len(rest) > page.limit
    return [entry for _, entry in ordered[: page.limit]], len(ordered) > page.limit


def raw(value: object) -> msgspec.Raw:
    """A JSON value as the core keeps those it does not look into."""
    return msgspec.Raw(msgspec.json.encode(value))


class Remembered:
    """The port `RepeatStore`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[int, Kept]] = {}

    async def begin(
        self, organization_id: str, key: str, fingerprint: bytes, *, now: int, expires_at: int
    ) -> Kept | None:
        place = (organization_id, key)
        known = self._kept.get(place)
        if known is not None and known[0] > now:
            return known[1]
        self._kept[place] = (expires_at, Kept(fingerprint))
        return None

    async def end(self, organization_id: str, key: str, kept: Kept, *, expires_at: int) -> None:
        self._kept[organization_id, key] = (expires_at, kept)

    async def lead(self, organization_id: str, key: str, kept: Kept, *, before: str | None, expires_at: int) -> bool:
        known = self._kept.get((organization_id, key))
        if known is None or known[1].response_id != before:
            return False
        self._kept[organization_id, key] = (expires_at, kept)
        return True

    async def forget(self, organization_id: str, key: str, *, before: str | None = None) -> None:
        known = self._kept.get((organization_id, key))
        if known is not None and known[1].response_id == before:
            del self._kept[organization_id, key]

    async def expire(self, now: int) -> int:
        gone = [place for place, (expires, _) in self._kept.items() if expires <= now]
        for place in gone:
            del self._kept[place]
        return len(gone)


class EmptyRecords:
    """What `RecordStore` says of an organization that has configured nothing."""

    async def get(self, organization_id: str, record_id: str, *, version: int | None = None) -> None:
        return None

    async def find(self, organization_id: str, record_ids: Sequence[str]) -> Mapping[str, Record]:
        return {}

    async def all(self, organization_id: str, kind: str) -> Sequence[Record]:
        return []


class EmptyAttachments:
    """What `AttachmentStore` says of the same."""

    async def all(self, organization_id: str) -> Sequence[Attachment]:
        return []


class MemoryFunctions:
    """The port `ServerFunctions`: functions by name, each a coroutine function of its arguments as a `dict`."""

    def __init__(self, **functions: Callable[[dict[str, object]], Awaitable[object]]) -> None:
        self.functions = functions
        self.called: list[tuple[str, str, Asker]] = []
        self.specs: dict[str, toolspec.Function] = {}

    async def find(self, organization_id: str, names: Sequence[str]) -> Mapping[str, "MemoryFunction"]:
        return {name: MemoryFunction(self, name) for name in names if name in self.functions}


class MemoryFunction:
    def __init__(self, functions: MemoryFunctions, name: str) -> None:
        self._functions = functions
        self._name = name
        self.spec = functions.specs.get(name) or toolspec.Function(name)
        self.source = self.origin = f"stage:{name}"

    async def call(self, arguments: str, asker: Asker) -> Answer:
        self._functions.called.append((self._name, arguments, asker))
        told = await self._functions.functions[self._name](msgspec.json.decode(arguments))
        if isinstance(told, Answer):
            return told
        return Answer(parts=(items.Text(str(told)),), source=self.source)


class MemoryMcp:
    """The ports `McpServers` and `McpConfigurations`: tools of one server, each a coroutine function."""

    def __init__(self, **tools: Callable[[dict[str, object]], Awaitable[object]]) -> None:
        self.tools_there = {name: items.McpTool(name, f"Does {name}") for name in tools}
        self.does = tools
        self.listed: list[Server] = []
        self.called: list[tuple[Server, str, str]] = []
        self.failure: Exception | None = None
        self.saved: dict[str, Configured] = {}

    async def tools(self, server: Server) -> Sequence[items.McpTool]:
        self.listed.append(server)
        if self.failure is not None:
            raise self.failure
        return tuple(self.tools_there.values())

    async def call(self, server: Server, name: str, arguments: str) -> Answer:
        self.called.append((server, name, arguments))
        told = await self.does[name](msgspec.json.decode(arguments))
        return told if isinstance(told, Answer) else Answer(parts=(items.Text(str(told)),))

    async def server(self, organization_id: str, configuration_id: str) -> Configured:
        try:
            return self.saved[configuration_id]
        except KeyError:
            raise errors.NotFound("There is no such configuration", param="tools") from None


class MemoryRetriever:
    """The port `Retriever`: finds the same in every store that it has."""

    def __init__(self, *found: items.Found, stores: Sequence[str] = ("vs_1",)) -> None:
        self.found = found
        self.stores = stores
        self.asked: list[tuple[toolspec.FileSearch, Sequence[str]]] = []

    async def check(self, organization_id: str, spec: toolspec.FileSearch, *, param: str) -> None:
        for store in spec.vector_store_ids:
            if store not in self.stores:
                raise errors.NotFound(f"There is no vector store {store!r}", param=param)

    async def search(self, organization_id: str, spec: toolspec.FileSearch, queries: Sequence[str]) -> Answer:
        self.asked.append((spec, tuple(queries)))
        told = "\n".join(one.text for one in self.found)
        return Answer(parts=(items.Text(told),), queries=tuple(queries), found=self.found)


class MemoryApprovals:
    """The port `ApprovalStore`."""

    def __init__(self) -> None:
        self.claims: dict[tuple[str, str], Claim] = {}

    async def claim(self, organization_id: str, request_id: str, claim: Claim) -> Claim:
        return self.claims.setdefault((organization_id, request_id), claim)

    async def release(self, organization_id: str, request_id: str, response_id: str) -> None:
        found = self.claims.get((organization_id, request_id))
        if found is not None and found.response_id == response_id:
            del self.claims[organization_id, request_id]


class OpenOutward:
    """The port `Outward`: every address may be called, but for those of `secret.example`."""

    def check(self, url: str, *, param: str) -> None:
        if "secret.example" in url:
            raise errors.InvalidValue(param, "must be an address that may be called")

    def client(self, *, headers: Mapping[str, str] | None = None, timeout: object = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers=dict(headers or {}), timeout=timeout)
