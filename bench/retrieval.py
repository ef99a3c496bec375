"""How well passages are found: the docstrings of Python's standard library, asked for by their first sentences.

    python bench/retrieval.py [--most 600] [--chunk 800/400 …] [--apart]

Uploads, indexes and searches as the server does, with the embedded embedding model and SQLite. Each module is a file;
with `--apart` each docstring is. A question is answered where a passage has a half of the docstring that it is from.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from freddy.server import config
from freddy.server.core.accounts import SCOPES, Caller, Organization
from freddy.server.core.files import Draft
from freddy.server.core.vector_stores import Chunking, Passage, Ranker, VectorStore
from freddy.server.knowledge import chunking, indexing, retrieval
from freddy.server.knowledge.extract import Extractor
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.indexing import Indexer
from freddy.server.knowledge.ingestion import Ingestion, Pace
from freddy.server.knowledge.retrieval import Retrieval, Search
from freddy.server.knowledge.vector_stores import Knowledge, NewFile, NewStore, Quotas
from freddy.server.ports.embedder import Embedder
from freddy.server.providers.embedded import minilm
from freddy.server.providers.embedded.child import Limits
from freddy.server.providers.embedded.embeddings import MiniLm
from freddy.server.providers.embedded.engine import Engine
from freddy.server.stores.blobs.local import LocalBlobs
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.uploads import SqlFiles
from freddy.server.stores.sql.vector_stores import SqlVectorStores
from freddy.server.world import RandomIds, SystemClock

sys.path.append(str(Path(__file__).parents[1] / "tests" / "knowledge"))

import docstrings
from docstrings import Asked

CALLER = Caller("org_bench", ("org_bench",), frozenset(SCOPES), "key_bench")
RANKERS: tuple[Ranker, ...] = ("lexical", "semantic", "hybrid")
TOLD = 2_000
"""Tokens that the best passages may take together."""


class One:
    """The port `Embedders`, with one."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.default = embedder.name
        self.names = (embedder.name,)

    def find(self, name: str) -> Embedder:
        assert name == self.default
        return self._embedder


class Stage:
    def __init__(self, database: Database, folder: Path, embedder: Embedder, sizes: Chunking) -> None:
        clock, ids, embedders = SystemClock(), RandomIds(), One(embedder)
        self.stores = SqlVectorStores(database, memory=2**28)
        self.files = Files(
            store=SqlFiles(database), blobs=LocalBlobs(folder), clock=clock, ids=ids, max_bytes=Quotas().file_bytes
        )
        self.retrieval = Retrieval(stores=self.stores, embedders=embedders, clock=clock, bounds=retrieval.Bounds())
        extractor = Extractor(characters=20_000_000, seconds=60.0, memory_bytes=2**30)
        indexer = Indexer(
            stores=self.stores,
            files=self.files,
            extractor=extractor,
            embedders=embedders,
            bounds=indexing.Bounds(),
        )
        self.ingestion = Ingestion(stores=self.stores, indexer=indexer, clock=clock, pace=Pace(lease_seconds=600))
        self.knowledge = Knowledge(
            stores=self.stores,
            files=self.files,
            embedders=embedders,
            retrieval=self.retrieval,
            clock=clock,
            ids=ids,
            quotas=Quotas(),
            chunking=sizes,
            added=self.ingestion.wake,
        )

    async def stock(self, texts: dict[str, str]) -> VectorStore:
        """A store with these texts, indexed."""
        added = []
        for name, text in texts.items():
            async with self.files.upload() as upload:
                await upload.receive(_whole(text), filename=f"{name.replace('/', '.')}.txt", declared="text/plain")
                (file,) = await upload.keep(CALLER, Draft("assistants"))
            added.append(NewFile(file.id))
        store = await self.knowledge.create(CALLER, NewStore(name="Library", files=added))
        async with self.ingestion.working():
            while store.in_progress:
                await asyncio.sleep(0.1)
                store = await self.knowledge.get(CALLER, store.id)
        assert store.completed == len(texts), store
        return store


@asynccontextmanager
async def staged(folder: Path, embedder: Embedder, sizes: Chunking) -> AsyncIterator[Stage]:
    async with Database(folder / "freddy.db") as database:
        await SqlAccounts(database).add_organization(Organization(id="org_bench", name="Bench", created_at=0))
        yield Stage(database, folder / "files", embedder, sizes)


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Embedder]:
    """The embedded embedding model; `folder` is the models folder."""

    def prepare(progress: Any) -> Path:
        return minilm.prepare(folder, index=None, progress=progress)

    async with MiniLm(
        Engine(None, limits=Limits(parallel=4, context=2048, batch=512, vectors=True)), prepare
    ) as embedder:
        yield embedder


def answers(passage: Passage, wanted: Asked) -> bool:
    half = len(wanted.answer) // 2
    said = " ".join(passage.text.split())
    return any(" ".join(part.split()) in said for part in (wanted.answer[:half], wanted.answer[half:]))


def place(passages: Sequence[Passage], wanted: Asked) -> int | None:
    """Of the first passage that answers, from 1."""
    return next((number for number, passage in enumerate(passages, 1) if answers(passage, wanted)), None)


def row(name: str, found: Sequence[tuple[Asked, Sequence[Passage]]], taken: float) -> str:
    places = [place(passages, wanted) for wanted, passages in found]
    told = 0
    for wanted, passages in found:
        size, kept = 0.0, []
        for passage in passages:
            size += chunking.tokens(passage.text)
            if size > TOLD and kept:
                break
            kept.append(passage)
        told += place(kept, wanted) is not None
    count = len(found)
    first = sum(one == 1 for one in places) / count
    five = sum(one is not None and one <= 5 for one in places) / count
    rank = sum(1 / one for one in places if one) / count
    return f"| {name:28} | {first:.3f} | {five:.3f} | {rank:.3f} | {told / count:.3f} | {taken / count * 1000:5.1f} |"


async def measure(stage: Stage, store: VectorStore, several: Sequence[Asked], name: str) -> None:
    for ranker in RANKERS:
        began = time.perf_counter()
        found = []
        for one in several:
            search = Search(queries=(one.question,), ranker=ranker, most=20)
            found.append((one, (await stage.retrieval.passages("org_bench", {store.id: store}, search)).passages))
        print(row(f"{name} {ranker}", found, time.perf_counter() - began), flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=600, help="questions")
    parser.add_argument("--chunk", nargs="+", default=["default"], help="tokens/overlap")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--models", type=Path, help="folder of models; by default one that goes again")
    asked = parser.parse_args()
    several = docstrings.asked(asked.most)
    if asked.apart:
        texts = {f"{number:04} {one.module}": one.answer for number, one in enumerate(several)}
    else:
        texts = docstrings.documents(several)
    print(f"{len(several)} questions, {len(texts)} files, {sum(map(len, texts.values())):,} characters\n")
    print(
        f"| {'':28} |    @1 |    @5 |   MRR | {TOLD:,} | ms    |\n|{'-' * 30}|------:|------:|------:|------:|------:|"
    )
    with tempfile.TemporaryDirectory() as spare:
        async with embedded(asked.models or Path(spare) / "models") as embedder:
            for sizes in asked.chunk:
                defaults = config.settings.Knowledge()
                told = (
                    (defaults.chunk_tokens, defaults.overlap_tokens)
                    if sizes == "default"
                    else tuple(map(int, sizes.split("/")))
                )
                folder = Path(spare) / sizes.replace("/", "-")
                folder.mkdir()
                async with staged(folder, embedder, Chunking(*told)) as stage:
                    began = time.perf_counter()
                    store = await stage.stock(texts)
                    print(f"indexed in {time.perf_counter() - began:.1f} s, {store.bytes:,} bytes", file=sys.stderr)
                    await measure(stage, store, several, sizes)


async def _whole(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


if __name__ == "__main__":
    asyncio.run(main())
