"""Examples of vector stores, their files and chunks."""

from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from contract_examples import ACME

from databases import fresh_database
from freddy.server.core.vector_stores import Chunk, StoreFile, VectorStore
from freddy.server.ports.vector_stores import VectorStores
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.statements import Statement
from freddy.server.stores.sql.vector_stores import SqlVectorStores

MANY = 1_000
MEMORY = 2**22
LEASE = 60


def vector_store(store_id: str = "vs_1", organization_id: str = ACME, **changes: Any) -> VectorStore:
    told: dict[str, Any] = {
        "name": "Manuals",
        "embedder": "openai/text-embedding-3-small",
        "dimensions": 3,
        "created_at": 1_000,
        "updated_at": 1_000,
        "used_at": 1_000,
    }
    return VectorStore(id=store_id, organization_id=organization_id, **(told | changes))


def store_file(file_id: str = "file_1", store_id: str = "vs_1", **changes: Any) -> StoreFile:
    told: dict[str, Any] = {
        "organization_id": ACME,
        "filename": f"{file_id}.txt",
        "created_at": 1_000,
        "updated_at": 1_000,
    }
    return StoreFile(file_id=file_id, store_id=store_id, **(told | changes))


def unit(*numbers: float) -> bytes:
    length = sum(number * number for number in numbers) ** 0.5
    return array("f", [number / length for number in numbers]).tobytes()


def chunks(*texts: str, vector: Sequence[float] = (1.0, 0.0, 0.0)) -> list[Chunk]:
    return [Chunk(place, text, unit(*vector), tokens=len(text.split())) for place, text in enumerate(texts)]


async def claimed(store: VectorStores, now: int = 2_000) -> StoreFile:
    """The only file that is in line."""
    (file,) = await store.claim(now, lease=LEASE, limit=10)
    return file


async def indexed(store: VectorStores, file: StoreFile, has: Sequence[Chunk], now: int = 2_000) -> StoreFile:
    """The file, with its chunks. Nothing else is in line."""
    await store.add_files([file], most=MANY)
    taken = await claimed(store, now)
    assert await store.index(taken, has, now)
    kept = await store.get_file(file.organization_id, file.store_id, file.file_id)
    assert kept
    return kept


async def swept(store: VectorStores) -> int:
    """In how many steps all was removed that nobody finds."""
    steps = 0
    while await store.sweep():
        steps += 1
        assert steps < 10_000
    return steps


async def rows_of(database: Database, table: str) -> int:
    counted = Statement(sa.select(sa.func.count()).select_from(sa.table(table)))
    (row,) = await database.read(lambda connection: connection.all(counted))
    return int(row[0])


@asynccontextmanager
async def two_databases(kind: str, folder: Path) -> AsyncIterator[tuple[Database, Database]]:
    """The same database twice, as two processes have it."""
    async with AsyncExitStack() as stack:
        if kind == "sqlite":
            first = await stack.enter_async_context(SqliteDatabase(folder / "freddy.db"))
            yield first, await stack.enter_async_context(SqliteDatabase(folder / "freddy.db"))
            return
        url = await stack.enter_async_context(fresh_database())
        one = await stack.enter_async_context(PostgresDatabase(url, readers=1, writers=1))
        yield one, await stack.enter_async_context(PostgresDatabase(url, readers=1, writers=1))


def stores_of(database: Database) -> SqlVectorStores:
    return SqlVectorStores(database, memory=MEMORY)
