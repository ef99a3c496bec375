"""The SQLite database: one thread writes, with group commit, and a few read."""

import asyncio
import shutil
import sqlite3
import tempfile
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from freddy.server.core import errors
from freddy.server.stores.sql import commits, files
from freddy.server.stores.sql.connection import T, Work
from freddy.server.stores.sql.workers import Jobs, Worker

_TRIES = 3
_READS = 64
"""Reads that a thread takes at once. Threads that share them out spend more on taking turns than on reads."""


class Database:
    """The port `connection.Database`. Open it with `async with`; it belongs to the event loop that opened it.

    `path` None keeps it in a temporary folder that goes when it closes. `readers` are threads, `batch` is the
    most writes that share a transaction, `patience` the seconds that each of a few tries waits for another
    process's lock.
    """

    def __init__(self, path: Path | None, *, readers: int = 2, batch: int = 256, patience: float = 5.0) -> None:
        self._path = path or Path()
        self._throwaway = path is None
        self._patience = patience
        self._open = False
        self._writes: Jobs = SimpleQueue()
        self._reads: Jobs = SimpleQueue()
        self._writer = Worker(
            self._writes,
            connect=self._connect_writer,
            perform=partial(commits.commit, tries=_TRIES),
            disconnect=self._disconnect_writer,
            most=batch,
        )
        self._readers = [
            Worker(
                self._reads,
                connect=lambda: files.open_reader(self._path, patience=patience),
                perform=commits.read,
                disconnect=sqlite3.Connection.close,
                most=_READS,
            )
            for _ in range(readers)
        ]

    async def __aenter__(self) -> Self:
        await self._writer.start()
        try:
            for reader in self._readers:
                await reader.start()
        except BaseException:
            self._dismiss_readers()
            self._writes.put(None)
            raise
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends when all that was asked for is done."""
        self._open = False
        self._dismiss_readers()
        for reader in self._readers:
            await reader.wait_ended()
        # Last, because a writer alone can empty the write-ahead log.
        self._writes.put(None)
        await self._writer.wait_ended()

    async def write(self, work: Work[T]) -> T:
        """What the work returns, when it is on the disk. The work may run twice: see `connection.Work`."""
        return await self._ask(self._writes, work)

    async def read(self, work: Work[T]) -> T:
        """What the work returns. All it reads is of one moment, and holds every write that has returned."""
        return await self._ask(self._reads, work)

    async def _ask(self, jobs: Jobs, work: Work[T]) -> T:
        if not self._open:
            raise errors.StorageUnavailable("The database is closed.", details="Start the server again.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        jobs.put((work, future))
        return await future

    def _dismiss_readers(self) -> None:
        for _ in self._readers:
            self._reads.put(None)

    def _connect_writer(self) -> sqlite3.Connection:
        if self._throwaway:
            self._path = Path(tempfile.mkdtemp(prefix="freddy-")) / "freddy.db"
        return files.open_writer(self._path, throwaway=self._throwaway, patience=self._patience)

    def _disconnect_writer(self, connection: sqlite3.Connection) -> None:
        files.close_writer(connection)
        if self._throwaway:
            shutil.rmtree(self._path.parent)
