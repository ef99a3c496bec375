"""Whatever becomes of a run: what vendors counted is what was kept, and the sums are the sum of it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field

import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from freddy.server.core import deltas, errors, events, items, money, periods
from freddy.server.core.pricing import Price
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.request import Output, Request
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.ports.usage import Question
from freddy.server.runtime.health import Health
from freddy.server.runtime.host import Host
from freddy.server.runtime.recorder import Recorder
from freddy.server.runtime.retrying import Policy
from freddy.server.runtime.route import Candidate, Means, Route
from freddy.server.runtime.runner import Runner
from freddy.server.stores.channels.memory import MemoryChannel
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.statements import Statement
from freddy.server.stores.sql.tables import usage as rows
from freddy.server.stores.sql.usage import SqlUsage
from freddy_fakes import CountingIds, FixedClock

ORGANIZATION = "org_1"
WAIT = 20.0
HELLO = items.Message("msg_in", "user", (items.Text("Say something, as JSON."),))
GOOD, BAD = '{"a": 1}', "no object"


@dataclass(frozen=True)
class Mood:
    """What a model does with a turn. `usage` is what its vendor counts at the end, None where it does not count."""

    does: str
    usage: Usage | None = None


@dataclass
class Vendor:
    """A provider with one model, and a book of what it counted and what that cost, in billionths of a dollar."""

    name: str
    moods: list[Mood]
    price: Price | None
    sure: bool
    counted: list[tuple[Usage, int | None]] = field(default_factory=list)
    hangs: asyncio.Event = field(default_factory=asyncio.Event)
    availability: Availability = "ready"

    @property
    def profile(self) -> Profile:
        return Profile(name="tiny", provider=self.name, price=self.price, json=self.sure)

    def model(self, called: str, *, key: str | None = None) -> "Vendor":
        return self

    async def models(self) -> Sequence[str]:
        return ()

    def warnings(self, turn: Turn) -> Sequence[str]:
        return ()

    async def count(self, turn: Turn) -> int | None:
        return None

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        mood = self.moods.pop(0) if self.moods else Mood("away")
        if mood.does == "away":
            raise errors.ProviderUnavailable(f"{self.name} is away")
        if mood.does == "refuses":
            raise errors.InvalidRequest(f"{self.name} refused")
        yield [deltas.Reasoning("Hm.")]
        yield [deltas.Text(BAD if mood.does == "bad" else GOOD)]
        if mood.does == "breaks":
            raise errors.ProviderFailed(f"{self.name} broke off")
        if mood.does == "faults":
            raise RuntimeError("a fault in the adapter")
        if mood.does == "hangs":
            self.hangs.set()
            await asyncio.Event().wait()
        if mood.usage is not None:
            cost = None if self.price is None else money.nanos(self.price.cost(mood.usage))
            self.counted.append((mood.usage, cost))
        yield [deltas.Stop("length" if mood.does == "cut" else "stop", mood.usage)]


class Faulty:
    """Fails as a store does: before it has written, or when it has and nobody hears of it."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults

    async def around(self, write) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault != "before":
            await write
        else:
            write.close()
        if fault:
            raise errors.StorageUnavailable("The disk is full")


class FaultyResponses(SqlResponses):
    def __init__(self, database: Database, faulty: Faulty) -> None:
        super().__init__(database)
        self._faulty = faulty

    async def keep(self, response: Response) -> None:
        await self._faulty.around(super().keep(response))

    async def finish(self, response: Response) -> None:
        await self._faulty.around(super().finish(response))


class FaultyUsage(SqlUsage):
    def __init__(self, database: Database, faulty: Faulty) -> None:
        super().__init__(database)
        self._faulty = faulty

    async def add(self, responses: Sequence[Response]) -> None:
        await self._faulty.around(super().add(responses))


_usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 10_000),
    output_tokens=st.integers(0, 1_000),
    cached_tokens=st.integers(0, 100),
    reasoning_tokens=st.integers(0, 10),
)
_moods = st.builds(
    Mood,
    st.sampled_from(["answers", "answers", "bad", "bad", "cut", "away", "refuses", "breaks", "faults", "hangs"]),
    st.none() | _usages,
)
_prices = st.none() | st.builds(
    Price,
    input=st.sampled_from([0.1, 2.5, 30.0]),
    output=st.sampled_from([0.4, 10.0]),
    cached=st.none() | st.just(0.05),
)


@st.composite
def _runs(draw: st.DrawFn) -> tuple[list[Vendor], bool, bool, bool]:
    """Who may answer; and whether JSON is wanted, the response is kept, and somebody listens."""
    vendors = [
        Vendor(f"vendor_{place}", draw(st.lists(_moods, min_size=1, max_size=3)), draw(_prices), draw(st.booleans()))
        for place in range(draw(st.integers(1, 3)))
    ]
    return vendors, draw(st.booleans()), draw(st.booleans()), draw(st.booleans())


_faults = st.lists(st.sampled_from(["", "", "before", "after"]), max_size=6)
_ALL = Statement(
    sa.select(
        rows.c.response_id,
        rows.c.place,
        rows.c.input_tokens,
        rows.c.output_tokens,
        rows.c.estimated,
        rows.c.cost,
        rows.c.status,
    )
)


def _plain() -> tuple[list[Vendor], bool, bool, bool]:
    return [Vendor("vendor_0", [Mood("answers")], None, sure=False)], False, False, False


_ENDS_OWED = [_plain(), (*_plain()[:2], True, False), _plain(), _plain()]


@settings(max_examples=60, deadline=None)
@example(_ENDS_OWED, ["", "before", "before", "", "", "before"])
@given(st.lists(_runs(), min_size=1, max_size=4), _faults)
def test_rows_sums_and_what_vendors_counted_are_the_same(runs, faults):
    asyncio.run(_check(runs, faults))


async def _check(runs: list[tuple[list[Vendor], bool, bool, bool]], faults: list[str]) -> None:
    clock, ids, faulty = FixedClock(), CountingIds(), Faulty(list(faults))
    policy = Policy(retries=1, every=True, first=0.0)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(None))
        store, channel = FaultyUsage(database, faulty), MemoryChannel(clock)
        recorder = Recorder(FaultyResponses(database, faulty), channel, store)
        ended: list[Response] = []
        host = Host(runner=Runner(clock=clock, ids=ids), recorder=recorder, clock=clock)
        async with host:
            for number, (vendors, as_json, kept, live) in enumerate(runs):
                means = Means(policy, Health(clock, policy), clock, lambda: 0.5)
                route = Route([Candidate(one, "tiny", place) for place, one in enumerate(vendors)], means)
                run = _run(f"resp_{number}", as_json=as_json, kept=kept, live=live)
                try:
                    await host.start(run, route)
                except errors.StorageUnavailable:
                    continue
                ended.append(await _end(host, channel, run.response.id, vendors))
            # What is owed is kept with the next that is, or at the end.
            faulty.faults.clear()
        await recorder.keep_end(replace(ended[-1], id="resp_last", request=_request(kept=False), calls=()))
        kept_rows = await database.read(lambda connection: connection.all(_ALL))
        asked = Question(organization_id=ORGANIZATION, slices=periods.slices(0, int(clock.now()) + 1))
        fresh = await store.parts(asked)
        while await store.sum_up(3):
            pass
        assert await store.parts(asked) == fresh
    counted = [one for vendors, *_ in runs for vendor in vendors for one in vendor.counted]
    _compare(kept_rows, counted, fresh, ended)


def _compare(kept_rows, counted, parts, ended) -> None:
    told = sorted(
        (read, written, cost or 0)
        for _, _, read, written, guessed, cost, _ in kept_rows
        if not guessed and read + written
    )
    known = sorted((one.input_tokens, one.output_tokens, cost or 0) for one, cost in counted if one.total_tokens)
    assert told == known
    sums = parts[0].sums
    assert sums.calls == len(kept_rows)
    assert sums.requests == len({row[0] for row in kept_rows}) == len(ended)
    assert sums.input_tokens == sum(row[2] for row in kept_rows)
    assert sums.output_tokens == sum(row[3] for row in kept_rows)
    assert sums.cost == sum(row[5] or 0 for row in kept_rows)
    assert sums.unpriced == sum(row[5] is None for row in kept_rows)
    assert sums.failures == sum(row[6] == "failed" for row in kept_rows)
    for response in ended:
        own = [row for row in kept_rows if row[0] == response.id]
        if response.usage is not None:
            assert response.usage.total_tokens == sum(row[2] + row[3] for row in own)
        if response.cost is not None:
            assert money.nanos(response.cost) == sum(row[5] for row in own)


async def _end(host: Host, channel: MemoryChannel, response_id: str, vendors: list[Vendor]) -> Response:
    """Stops the run where a model hangs."""

    async def stop() -> None:
        hung = [asyncio.ensure_future(vendor.hangs.wait()) for vendor in vendors]
        try:
            await asyncio.wait(hung, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in hung:
                one.cancel()
        await host.cancel(response_id)

    async with asyncio.timeout(WAIT), asyncio.TaskGroup() as tasks:
        stopping = tasks.create_task(stop())
        async with aclosing(channel.follow(response_id)) as batches:
            async for _, batch in batches:
                if isinstance(batch[-1], events.Finished):
                    stopping.cancel()
                    return batch[-1].response
    raise AssertionError("it never ended")


def _request(*, kept: bool, as_json: bool = False) -> Request:
    return Request(model="tiny", input=(HELLO,), store=kept, output=Output("json" if as_json else "text"))


def _run(response_id: str, *, as_json: bool, kept: bool, live: bool) -> Run:
    response = Response(
        id=response_id,
        organization_id=ORGANIZATION,
        created_at=1_700_000_000,
        status="in_progress",
        model="tiny",
        request=_request(kept=kept, as_json=as_json),
    )
    return Run(response=response, context=(HELLO,), model="tiny", live=live)
