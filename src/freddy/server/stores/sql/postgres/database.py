"""The PostgreSQL database: a few connections write, with group commit, and a few read."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Self, TypeAlias

from freddy.server.core import errors
from freddy.server.stores.sql.connection import T, Work
from freddy.server.stores.sql.postgres import address, faults, schema
from freddy.server.stores.sql.postgres.session import Away, Failed, Reach, Session

_Job: TypeAlias = tuple[Work[Any], "asyncio.Future[Any]"]
_Jobs: TypeAlias = "asyncio.Queue[_Job | None]"
"""None ends the worker that takes it."""

_TRIES = 8
"""Of one work, where connections are lost or others are in the way; the last of a write has the database to itself."""
_READS = 16
"""The most reads that share a transaction, and with it two trips to the server."""


class PostgresDatabase:
    """The port `connection.Database`. Open it with `async with`; it belongs to the event loop that opened it.

    `readers` and `writers` are connections, `batch` is the most writes that share a transaction, `patience` the
    seconds that it waits for a connection or for the answer to one statement.
    """

    def __init__(
        self, url: str, *, readers: int = 4, writers: int = 2, batch: int = 64, patience: float = 10.0
    ) -> None:
        self._address = address.parse(url)
        self._patience = patience
        self._batch = batch
        self._writers = writers
        self._readers = readers
        self._open = False
        self._writes: _Jobs = asyncio.Queue()
        self._reads: _Jobs = asyncio.Queue()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await schema.bring_up(self._address, patience=self._patience)
        async with AsyncExitStack() as stack:
            sessions, reach = [], Reach()
            for _ in range(self._readers + self._writers):
                sessions.append(session := Session(self._address, patience=self._patience, reach=reach))
                stack.push_async_callback(session.close)
                try:
                    await session.open()
                except Away as away:
                    raise away.told from away
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._dismiss)
            for session in sessions[: self._readers]:
                tasks.create_task(self._read_on(session))
            for session in sessions[self._readers :]:
                tasks.create_task(self._write_on(session))
            self._stack = stack.pop_all()
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends when all that was asked for is done."""
        self._open = False
        await self._stack.aclose()

    async def write(self, work: Work[T]) -> T:
        """What the work returns, when it is on the disk. The work may run again: see `connection.Work`."""
        return await self._ask(self._writes, work)

    async def read(self, work: Work[T]) -> T:
        """What the work returns. All it reads is of one moment, and holds every write that has returned."""
        return await self._ask(self._reads, work)

    async def _ask(self, jobs: _Jobs, work: Work[T]) -> T:
        if not self._open:
            raise errors.StorageUnavailable("The database is closed.", details="Start the server again.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        jobs.put_nowait((work, future))
        return await future

    def _dismiss(self) -> None:
        for _ in range(self._readers):
            self._reads.put_nowait(None)
        for _ in range(self._writers):
            self._writes.put_nowait(None)

    async def _write_on(self, session: Session) -> None:
        while batch := await _take(self._writes, most=self._batch, shared_by=1):
            try:
                await _commit(session, batch)
            finally:
                _abandon(batch)

    async def _read_on(self, session: Session) -> None:
        while batch := await _take(self._reads, most=_READS, shared_by=self._readers):
            try:
                await _look(session, batch)
            finally:
                _abandon(batch)


async def _take(jobs: _Jobs, *, most: int, shared_by: int) -> list[_Job]:
    """Waits for a job and takes a fair part of those behind it; none when the worker is to end."""
    job = await jobs.get()
    if job is None:
        return []
    batch = [job]
    most = min(most, 1 + jobs.qsize() // shared_by)
    while len(batch) < most and not jobs.empty():
        job = jobs.get_nowait()
        if job is None:
            jobs.put_nowait(None)  # the end comes with the next take
            break
        batch.append(job)
    return batch


async def _commit(session: Session, batch: Sequence[_Job]) -> None:
    """Writes all in one transaction; where that fails, each by itself.

    One that cannot be written does not take the others with it.
    """
    works = [work for work, _ in batch]
    try:
        for alone in (False, True) if len(works) > 1 else ():
            try:
                values = await session.write(works, alone=alone)
            except Failed as failed:
                if faults.passing(failed.cause):
                    continue
                break
            for (_, future), value in zip(batch, values, strict=True):
                _settle(future, value)
            return
        for work, future in batch:
            await _commit_one(session, work, future)
    except Away as away:
        _refuse(batch, away.told)


async def _commit_one(session: Session, work: Work[Any], future: "asyncio.Future[Any]") -> None:
    alone = False
    for left in reversed(range(_TRIES)):
        try:
            (value,) = await session.write([work], alone=alone or not left)
        except Failed as failed:
            if not left or not failed.again or (alone and not faults.lost(failed.cause)):
                _fail(future, faults.translated(failed.cause))
                return
            # A key may be taken by one that is not committed after all.
            alone = not faults.passing(failed.cause) and not faults.lost(failed.cause)
        else:
            _settle(future, value)
            return


async def _look(session: Session, batch: Sequence[_Job]) -> None:
    """Runs the reads in one transaction; a new one begins behind one that failed."""
    waiting = list(batch)
    left = _TRIES
    while waiting:
        work, future = waiting[0]
        try:
            transaction = await session.begin_read()
            while waiting:
                work, future = waiting[0]
                try:
                    value = await work(transaction)
                except Exception as error:
                    raise await session.failed(error) from error
                _settle(future, value)
                del waiting[0]
        except Away as away:
            _refuse(waiting, away.told)
            return
        except Failed as failed:
            left -= 1
            if not failed.again or not left:
                _fail(future, faults.translated(failed.cause))
                del waiting[0]
                left = _TRIES
        else:
            await session.end_read()


def _settle(future: "asyncio.Future[Any]", value: object) -> None:
    if not future.done():  # else the one who waited was cancelled
        future.set_result(value)


def _fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _refuse(batch: Sequence[_Job], error: Exception) -> None:
    for _, future in batch:
        _fail(future, error)


def _abandon(batch: Sequence[_Job]) -> None:
    """Nobody waits for ever, even where the worker is cancelled."""
    for _, future in batch:
        future.cancel()
