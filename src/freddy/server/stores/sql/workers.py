"""Threads that own a database connection, take jobs from a queue and tell the outcomes on the event loop."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from freddy.server.stores.sql.commits import Outcome
from freddy.server.stores.sql.connection import Work

Job: TypeAlias = tuple[Work[Any], "asyncio.Future[Any]"]
Jobs: TypeAlias = "SimpleQueue[Job | None]"
"""None ends the worker that takes it."""
Perform: TypeAlias = Callable[[sqlite3.Connection, Sequence[Work[Any]]], Sequence[Outcome]]


class Worker:
    """Takes at most `most` jobs at a time. `connect`, `perform` and `disconnect` run in the thread."""

    def __init__(
        self,
        jobs: Jobs,
        *,
        connect: Callable[[], sqlite3.Connection],
        perform: Perform,
        disconnect: Callable[[sqlite3.Connection], None],
        most: int,
    ) -> None:
        self._jobs = jobs
        self._connect = connect
        self._perform = perform
        self._disconnect = disconnect
        self._most = most

    async def start(self) -> None:
        """Returns when the worker is connected. Raises what `connect` raised."""
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        # A daemon, so that a process whose loop died with an error can end.
        threading.Thread(target=self._run, name="database", daemon=True).start()
        await self._connected

    async def wait_ended(self) -> None:
        """Returns when the jobs before the None are done. Raises what `disconnect` raised."""
        await self._ended

    def _run(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 — it belongs to the one who started the worker
            self._tell([self._connected], [Outcome(error=error)])
            return
        self._tell([self._connected], [Outcome()])
        more = True
        while more:
            batch, more = self._take()
            if batch:
                works = [work for work, _ in batch]
                self._tell([future for _, future in batch], self._outcomes(connection, works))
        try:
            self._disconnect(connection)
        except Exception as error:  # noqa: BLE001 — it belongs to the one who ends the worker
            self._tell([self._ended], [Outcome(error=error)])
        else:
            self._tell([self._ended], [Outcome()])

    def _take(self) -> tuple[list[Job], bool]:
        """Waits for a job and takes those behind it; and whether more may come."""
        batch: list[Job] = []
        job = self._jobs.get()
        with suppress(Empty):
            while job is not None:
                batch.append(job)
                if len(batch) == self._most:
                    break
                job = self._jobs.get_nowait()
        return batch, job is not None

    def _outcomes(self, connection: sqlite3.Connection, works: list[Work[Any]]) -> Sequence[Outcome]:
        try:
            return self._perform(connection, works)
        except Exception as error:  # noqa: BLE001 — the thread outlives any batch
            return [Outcome(error=error)] * len(works)

    def _tell(self, futures: list["asyncio.Future[Any]"], outcomes: Sequence[Outcome]) -> None:
        """Wakes the loop once for the whole batch."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_settle, futures, outcomes)


def _settle(futures: list["asyncio.Future[Any]"], outcomes: Sequence[Outcome]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():  # the one who waited was cancelled
            continue
        if outcome.error is None:
            future.set_result(outcome.value)
        else:
            future.set_exception(outcome.error)
