"""Whatever begins, ends, fails, is stopped or lost, in whatever order: a thread is the log of what succeeded."""

import asyncio
import itertools
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal, TypeAlias

from contract_examples import ACME, begun, completed, failed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from freddy.server.core import items, request
from freddy.server.core.response import Response
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.runs import SqlRuns
from freddy.server.stores.sql.threads import SqlThreads

Step: TypeAlias = Literal["begin", "begin whole", "edit", "succeed", "fail", "stop", "together", "by hand", "crash"]
_steps = st.lists(
    st.tuples(
        st.sampled_from(("begin", "begin whole", "edit", "succeed", "fail", "stop", "together", "by hand", "crash")),
        st.integers(0, 5),
    ),
    max_size=25,
)
_names = itertools.count()


class Told:
    """What a thread must hold: its entries in order, each with the texts that it still shows."""

    def __init__(self) -> None:
        self.entries: list[list[tuple[str, str]]] = []
        """The id and text of each message."""
        self.running: dict[str, tuple[Response, bool]] = {}
        """What has not ended, and whether it is kept already."""

    @property
    def shown(self) -> list[str]:
        return [text for entry in self.entries for _, text in entry]

    def add(self, response: Response) -> None:
        asked = response.request.thread
        assert asked is not None
        spot, seen = asked.spot, asked.seen
        if spot is not None and seen is not None:
            place, direction, position = spot
            assert direction == "in"
            del self.entries[place - 1][position:]
            for later in self.entries[place:seen]:
                later.clear()
        said = (*response.request.input, *response.output)
        self.entries.append([(one.id, one.text) for one in said if isinstance(one, items.Message)])


class Stage:
    """One thread `t` in a database that can be opened again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = AsyncExitStack()
        self.told = Told()

    async def open(self) -> None:
        await self._stack.aclose()
        database = await self._stack.enter_async_context(Database(self._path))
        self.runs = SqlRuns(database)
        self.responses, self.threads = SqlResponses(database), SqlThreads(database)

    async def close(self) -> None:
        await self._stack.aclose()

    async def play(self, step: Step, number: int) -> None:
        running = self.told.running
        match step:
            case "begin" | "begin whole":
                await self._begin(None, whole=step == "begin whole")
            case "edit":
                shown = [item_id for entry in self.told.entries for item_id, text in entry if text.startswith("q")]
                if shown:
                    await self._begin(shown[number % len(shown)], whole=False)
            case "succeed" | "fail" | "stop":
                if running:
                    await self._end(list(running)[number % len(running)], step)
            case "together":
                await self._end_together()
            case "by hand":
                name = next(_names)
                message = items.Message(f"msg_hand_{name}", "user", (items.Text(f"h{name}"),))
                place = await self.threads.append(ACME, "t", [message], entry_id=f"entry_{name}", now=1_000)
                if place is not None:
                    self.told.entries.append([(message.id, message.text)])
                    assert place == len(self.told.entries)
            case "crash":
                await self.open()
                kept = sum(opened for _, opened in running.values())
                assert await self.runs.bury_unknown(2_000) == kept
                running.clear()

    async def _begin(self, edited: str | None, *, whole: bool) -> None:
        name = next(_names)
        response = begun(f"q{name}", id=f"resp_t{name}", thread_id="t")
        thread = await self.threads.get(ACME, "t")
        asked = request.ThreadRef("t", seen=thread.places if thread else None)
        if edited is not None:
            branch = await self.threads.branch(ACME, "t", edited, behind=False)
            assert branch is not None
            asked = replace(asked, seen=branch.seen, spot=branch.spot)
        response = replace(response, request=replace(response.request, thread=asked))
        if not whole:
            await self.responses.open(response)
        self.told.running[response.id] = (response, not whole)

    async def _end(self, response_id: str, how: str) -> Response:
        response, opened = self.told.running.pop(response_id)
        text = f"a{response_id}"
        ended = failed(response)
        if how == "succeed":
            ended = completed(response, text)
        elif how == "stop":
            ended = completed(response, text, status="cancelled", partial=True)
        if opened:
            await self.responses.finish(ended)
            await self.responses.finish(ended)
        else:
            await self.responses.keep(ended)
            await self.responses.keep(ended)
        if how != "fail":
            self.told.add(ended)
        return ended

    async def _end_together(self) -> None:
        """All at once, in an order that is theirs; each must be whole."""
        ending = [(completed(response, f"a{response.id}"), opened) for response, opened in self.told.running.values()]
        self.told.running.clear()
        # What hides must be known in its order: those end after the others.
        plain = [(one, opened) for one, opened in ending if one.request.thread and one.request.thread.spot is None]
        await asyncio.gather(
            *(self.responses.finish(one) if opened else self.responses.keep(one) for one, opened in plain)
        )
        places = {}
        for one, _ in plain:
            placed = await self.threads.item(ACME, "t", one.output[0].id)
            assert placed is not None
            places[placed.spot[0]] = one
        assert sorted(places) == list(range(len(self.told.entries) + 1, len(self.told.entries) + 1 + len(plain)))
        for place in sorted(places):
            self.told.add(places[place])
        for one, opened in ending:
            if (one, opened) not in plain:
                await (self.responses.finish(one) if opened else self.responses.keep(one))
                self.told.add(one)

    async def check(self) -> None:
        shown = self.told.shown
        kept = await self.threads.items(ACME, "t")
        assert [one.text for one in kept if isinstance(one, items.Message)] == shown
        thread = await self.threads.get(ACME, "t")
        counted = (thread.message_count, thread.places) if thread else (0, 0)
        assert counted == (len(shown), len(self.told.entries))
        back: list[str] = []
        spot = None
        while page := await self.threads.tail(ACME, "t", before=spot, limit=2):
            back += [one.item.text for one in page if isinstance(one.item, items.Message)]
            spot = page[-1].spot
        assert back == shown[::-1]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
async def test_a_thread_is_the_log_of_what_succeeded(tmp_path: Path, steps: list[tuple[Step, int]]) -> None:
    stage = Stage(tmp_path / f"{next(_names)}.db")
    await stage.open()
    try:
        for step, number in steps:
            await stage.play(step, number)
            await stage.check()
    finally:
        await stage.close()
