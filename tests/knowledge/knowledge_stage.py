"""Vector stores over a real database and a real folder, with a clock that stands still and an embedder of words."""

import asyncio
import contextlib
import hashlib
import math
import re
import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from freddy.server.core import errors
from freddy.server.core.accounts import SCOPES, Caller
from freddy.server.core.files import Draft, File
from freddy.server.core.vector_stores import Chunking, StoreFile, VectorStore
from freddy.server.knowledge import indexing, retrieval
from freddy.server.knowledge.extract import Extractor
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.indexing import Indexer
from freddy.server.knowledge.ingestion import Ingestion, Pace
from freddy.server.knowledge.metering import Meter
from freddy.server.knowledge.retrieval import Retrieval
from freddy.server.knowledge.vector_stores import Knowledge, NewFile, NewStore, Quotas
from freddy.server.ports.embedder import Embedder, Side, Spent, unheard
from freddy.server.stores.blobs.local import LocalBlobs
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.uploads import SqlFiles
from freddy.server.stores.sql.usage import SqlUsage
from freddy.server.stores.sql.vector_stores import SqlVectorStores
from freddy.server.world import RandomIds
from freddy_fakes import FixedClock

CALLER = Caller("org_1", ("org_1",), frozenset(SCOPES), "key_1")
STRANGER = Caller("org_2", ("org_2",), frozenset(SCOPES), "key_2")
PATIENCE = 30.0
DIMENSIONS = 64
MIB = 1024 * 1024
ALIKE = {"sleep": "rest", "sleeps": "rest", "naps": "rest", "canine": "dog", "dogs": "dog"}
"""Words that mean the same to the embedder, and are not the same."""


class WordEmbedder:
    """Near are texts that share words, or words that mean the same.

    It waits for `gate`, and raises the `faults` one after the other, then embeds. `read` is what it was given.
    """

    def __init__(self, name: str = "stage/words", longest: int = 256, dimensions: int = DIMENSIONS) -> None:
        self.name = name
        self.longest = longest
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.faults: list[Exception] = []
        self.read: list[str] = []
        self._dimensions = dimensions

    async def dimensions(self, *, spent: Spent = unheard) -> int:
        return self._dimensions

    async def embed(self, texts: Sequence[str], *, side: Side, spent: Spent = unheard) -> Sequence[bytes]:
        self.asked.set()
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.read += texts
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> bytes:
        numbers = [0.0] * self._dimensions
        for word in re.findall(r"\w+", text.lower()):
            same = ALIKE.get(word, word)
            numbers[int.from_bytes(hashlib.sha256(same.encode()).digest()[:4]) % self._dimensions] += 1
        length = math.sqrt(sum(number * number for number in numbers)) or 1.0
        return struct.pack(f"<{self._dimensions}f", *(number / length for number in numbers))


class StageEmbedders:
    """The port `Embedders`."""

    def __init__(self, *embedders: WordEmbedder) -> None:
        self.by_name = {embedder.name: embedder for embedder in embedders}
        self.default = embedders[0].name

    @property
    def names(self) -> Sequence[str]:
        return list(self.by_name)

    def find(self, name: str) -> Embedder:
        if name not in self.by_name:
            raise errors.NotFound(f"There is no embedding model {name!r}", code="embedding_model_not_found")
        return self.by_name[name]


class Stage:
    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        quotas: Quotas | None = None,
        pace: Pace | None = None,
        characters: int = 100_000,
        bounds: retrieval.Bounds | None = None,
    ) -> None:
        quotas = quotas or Quotas()
        self.clock = FixedClock()
        self.stores = SqlVectorStores(database, memory=16 * MIB)
        self.blobs = LocalBlobs(folder)
        self.files = Files(
            store=SqlFiles(database), blobs=self.blobs, clock=self.clock, ids=RandomIds(), max_bytes=50 * MIB
        )
        self.embedder = WordEmbedder()
        self.other = WordEmbedder("stage/other", dimensions=32)
        self.embedders = StageEmbedders(self.embedder, self.other)
        self.pace = pace or Pace(poll_seconds=0.05)
        self.charged: list[str] = []
        self.usage = SqlUsage(database)
        meter = Meter(self.usage, clock=self.clock, ids=RandomIds(), charged=self._charge)
        self.retrieval = Retrieval(
            stores=self.stores,
            embedders=self.embedders,
            meter=meter,
            clock=self.clock,
            bounds=bounds or retrieval.Bounds(),
        )
        self.indexer = Indexer(
            stores=self.stores,
            files=self.files,
            extractor=Extractor(characters=characters + 1, seconds=30.0, memory_bytes=1024 * MIB),
            embedders=self.embedders,
            meter=meter,
            bounds=indexing.Bounds(
                characters=characters, kept_characters=50_000, bytes=quotas.bytes, attempts=3, wait_seconds=0.01
            ),
        )
        self.ingestion = self.worker()
        self.knowledge = Knowledge(
            stores=self.stores,
            files=self.files,
            embedders=self.embedders,
            retrieval=self.retrieval,
            meter=meter,
            clock=self.clock,
            ids=RandomIds(),
            quotas=quotas,
            chunking=Chunking(200, 50),
            added=self._wake,
        )

    def worker(self, pace: Pace | None = None) -> Ingestion:
        return Ingestion(stores=self.stores, indexer=self.indexer, clock=self.clock, pace=pace or self.pace)

    async def _charge(self, organization_id: str) -> None:
        self.charged.append(organization_id)

    def _wake(self) -> None:
        self.ingestion.wake()

    async def upload(self, content: bytes | str, filename: str = "foxes.txt", *, caller: Caller = CALLER) -> File:
        data = content.encode() if isinstance(content, str) else content
        async with self.files.upload() as upload:
            await upload.receive(_whole(data), filename=filename, declared=None)
            (file,) = await upload.keep(caller, Draft("assistants"))
        return file

    async def store(self, *several: NewFile, **fields: object) -> VectorStore:
        return await self.knowledge.create(CALLER, NewStore(name="Library", files=several, **fields))

    async def stocked(self, **texts: str) -> VectorStore:
        """A store in which these texts are indexed, as files of these names."""
        files = [NewFile((await self.upload(text, f"{name}.txt")).id) for name, text in texts.items()]
        store = await self.store(*files)
        async with self.ingestion.working():
            for file in files:
                ended = await self.ended(store, file.file_id)
                assert ended.status == "completed", ended
        return await self.knowledge.get(CALLER, store.id)

    async def ended(self, store: VectorStore, file_id: str) -> StoreFile:
        """The file, once it is no longer in progress."""
        async with asyncio.timeout(PATIENCE):
            while True:
                file = await self.knowledge.get_file(CALLER, store.id, file_id)
                if file.status != "in_progress":
                    return file
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def staged(folder: Path, **changes: object) -> AsyncIterator[Stage]:
    async with Database(None) as database:
        yield Stage(database, folder / "files", **changes)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
