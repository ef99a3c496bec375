"""Takes the files of vector stores that are in line, and sees each to its end: indexed, or failed with a reason."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.vector_stores import FileFailure, StoreFile
from freddy.server.knowledge.indexing import Indexer, Refused
from freddy.server.ports.vector_stores import VectorStores
from freddy.server.ports.world import Clock

_log = logging.getLogger(__name__)

_BEATS: Final = 3
"""In the time of a lease its holder is heard of so often."""
_RELEASE_SECONDS: Final = 2.0


class Pace(Struct, frozen=True, kw_only=True):
    """`at_once` counts files. `poll_seconds` pass between two looks for files that other processes have put in line.

    A worker that is not heard of for `lease_seconds` has lost its file. A file is begun `attempts` times at most: one
    that ends every worker that reads it must not end them for ever.
    """

    at_once: int = 2
    poll_seconds: float = 10.0
    lease_seconds: int = 60
    attempts: int = 5


class Ingestion:
    def __init__(self, *, stores: VectorStores, indexer: Indexer, clock: Clock, pace: Pace) -> None:
        self._stores = stores
        self._indexer = indexer
        self._clock = clock
        self._pace = pace
        self._slots = asyncio.Semaphore(pace.at_once)
        self._waiting = asyncio.Event()
        self._last = ""
        """The organization whose file was taken last: the next one has its turn."""

    def wake(self) -> None:
        """There are files in line."""
        self._waiting.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While the context is open. What is under way at its end is given back, for others to begin anew."""
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(self._work())
            yield
            working.cancel()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._slots.acquire()
                # What comes from here on is seen by the claim, or ends the wait after it.
                self._waiting.clear()
                file = await self._claim()
                if file is not None:
                    tasks.create_task(self._take(file))
                    continue
                self._slots.release()
                try:
                    async with asyncio.timeout(self._pace.poll_seconds):
                        await self._waiting.wait()
                except TimeoutError:
                    continue

    async def _claim(self) -> StoreFile | None:
        try:
            claimed = await self._stores.claim(
                int(self._clock.now()), lease=self._pace.lease_seconds, limit=1, after=self._last
            )
        except errors.FreddyError as error:
            _log.warning("ingestion_waits", extra={"reason": error.message})
            return None
        except Exception:  # noqa: BLE001
            # Indexing is for later as well as for now: no fault of it may take the server along.
            _log.exception("ingestion_fault")
            return None
        if not claimed:
            return None
        self._last = claimed[0].organization_id
        return claimed[0]

    async def _take(self, file: StoreFile) -> None:
        try:
            await _Taken(file, self._stores, self._indexer, self._clock).run(self._pace)
        except Exception:  # noqa: BLE001
            # As above. When its lease is over somebody begins with the file anew.
            _log.exception("ingestion_fault", extra={"store": file.store_id, "file": file.file_id})
        finally:
            self._slots.release()


class _Taken:
    """A file that is this process's, as long as its lease is kept."""

    def __init__(self, file: StoreFile, stores: VectorStores, indexer: Indexer, clock: Clock) -> None:
        self._file = file
        self._stores = stores
        self._indexer = indexer
        self._clock = clock
        self._progress = 0.0
        self._told = asyncio.Event()
        self._names = {"store": file.store_id, "file": file.file_id}

    async def run(self, pace: Pace) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(self._end(pace))
                beating = tasks.create_task(self._beat(pace.lease_seconds, working))
                await asyncio.wait((working,))
                beating.cancel()
        except asyncio.CancelledError:
            await self._release()
            raise

    async def _end(self, pace: Pace) -> None:
        try:
            failure = await self._index(pace)
            if failure is not None:
                _log.info("file_failed", extra={**self._names, "reason": failure.code})
                await self._stores.fail(self._file, failure, self._now())
        except errors.FreddyError as error:
            # What it needs is away: when the lease is over, somebody begins anew.
            _log.warning("indexing_interrupted", extra={**self._names, "reason": error.message})

    async def _index(self, pace: Pace) -> FileFailure | None:
        """Why it failed, if it did."""
        begun = self._file.attempts
        if begun > pace.attempts:
            return FileFailure("server_error", f"Indexing broke off {begun - 1} times: see the server's log")
        try:
            store = await self._stores.get(self._file.organization_id, self._file.store_id)
            if store is None:
                return None
            chunks = await self._indexer.chunks(self._file, store, self._tell)
            if await self._stores.index(self._file, chunks, self._now()):
                _log.info("file_indexed", extra={**self._names, "chunks": len(chunks)})
        except Refused as refused:
            return refused.failure
        except errors.FreddyError:
            raise
        except Exception:  # noqa: BLE001
            # Whatever one file does to its reader, the others are read all the same.
            _log.exception("indexing_fault", extra=self._names)
            return FileFailure("server_error", "Indexing failed: see the server's log")
        return None

    async def _beat(self, lease: int, working: "asyncio.Task[None]") -> None:
        """Tells how far it is, and that somebody is at it still. Ends the work on what is not ours any more."""
        while True:
            self._told.clear()
            try:
                held = await self._stores.report(self._file, self._now(), lease=lease, progress=self._progress)
            except errors.FreddyError as error:
                _log.warning("progress_not_kept", extra={**self._names, "reason": error.message})
                held = True
            if not held:
                working.cancel()
                return
            try:
                async with asyncio.timeout(lease / _BEATS):
                    await self._told.wait()
            except TimeoutError:
                continue

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._stores.report(self._file, self._now(), lease=0, progress=0.0)
        except (errors.FreddyError, TimeoutError):
            # Then others wait for the end of the lease.
            return

    def _tell(self, progress: float) -> None:
        self._progress = progress
        self._told.set()

    def _now(self) -> int:
        return int(self._clock.now())
