"""Everything goes from one database to another, whole or not at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from contract_examples import ACME, begun, completed
from vector_examples import MANY, chunks, indexed, store_file, stores_of, unit, vector_store

from databases import fresh_database
from freddy.server.core import errors
from freddy.server.core.accounts import ApiKey, Organization
from freddy.server.ports.approvals import Claim
from freddy.server.stores.sql import copying, schema, statements, tables
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.approvals import SqlApprovals
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.statements import Row, Statement
from freddy.server.stores.sql.threads import SqlThreads

RESPONSES = 1_200
VERSION = Statement(sa.text("SELECT version_num FROM alembic_version"))


@asynccontextmanager
async def opened(kind: str, path: Path) -> AsyncIterator[Database]:
    if kind == "sqlite":
        async with SqliteDatabase(path) as sqlite:
            yield sqlite
        return
    async with fresh_database() as url, PostgresDatabase(url) as postgres:
        yield postgres


async def fill(database: Database) -> None:
    accounts, responses = SqlAccounts(database), SqlResponses(database)
    await accounts.add_organization(Organization(id=ACME, name="Acme", created_at=1))
    key = ApiKey(id="key_1", name="a", prefix="sk", digest=b"\0\1\2", organization_ids=(ACME,), scopes=(), created_at=1)
    await accounts.add_key(key)

    async def work(connection: Connection) -> None:
        await connection.many(ADD_BLOB, [{"name": f"blob_{number:05}"} for number in range(RESPONSES)])

    await database.write(work)
    for number in range(7):
        await responses.keep(completed(begun("hello", id=f"resp_{number}", thread_id=f"t{number % 2}"), "well"))
    stores = stores_of(database)
    await stores.add(vector_store(), most=MANY)
    await indexed(stores, store_file(attributes={"year": 2024.0}), chunks(*(f"word{n}" for n in range(600))))
    await SqlApprovals(database).claim(ACME, "mcpr_1", Claim("resp_1", approve=True, at=1_000))


ADD_BLOB = Statement(tables.orphan_blobs.insert().values(statements.params(tables.orphan_blobs)))


async def everything(database: Database) -> dict[str, list[Row]]:
    async def work(connection: Connection) -> dict[str, list[Row]]:
        return {
            table.name: await connection.all(Statement(sa.select(table).order_by(*table.primary_key.columns)))
            for table in tables.metadata.sorted_tables
        }

    return await database.read(work)


def quiet(*_: object) -> None:
    pass


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
async def test_all_that_is_kept_comes_over(tmp_path: Path, source: str, target: str) -> None:
    async with opened(source, tmp_path / "a.db") as origin, opened(target, tmp_path / "b.db") as copied:
        await fill(origin)
        heard: list[tuple[str, int, int]] = []
        counts = await copying.copy(
            origin, copied, sequences=target == "postgresql", told=lambda *progress: heard.append(progress)
        )
        kept = await everything(origin)
        assert await everything(copied) == kept
        assert counts == {name: len(rows) for name, rows in kept.items()}
        assert [progress for progress in heard if progress[0] == "orphan_blobs"] == [
            ("orphan_blobs", 500, 1200), ("orphan_blobs", 1000, 1200), ("orphan_blobs", 1200, 1200),
        ]  # fmt: skip
        # What comes next stands behind what came over.
        await SqlResponses(copied).keep(completed(begun("more", id="resp_more", thread_id="t0"), "yes"))
        assert len(await SqlThreads(copied).items(ACME, "t0")) == 10
        stores = stores_of(copied)
        (found,) = await stores.matching(ACME, ["vs_1"], "word7", limit=3)
        assert (found.place, found.attributes) == (7, {"year": 2024.0})
        await indexed(stores, store_file("file_2"), chunks("more"))
        assert len(await stores.nearest(ACME, ["vs_1"], unit(1, 0, 0), limit=999)) == 601


async def test_a_target_with_data_is_refused_and_left_alone(tmp_path: Path, sqlite: SqliteDatabase) -> None:
    await fill(sqlite)
    async with SqliteDatabase(tmp_path / "b.db") as target:
        await SqlAccounts(target).add_organization(Organization(id="org_there", name="There", created_at=1))
        before = await everything(target)
        with pytest.raises(errors.Conflict, match="organizations"):
            await copying.copy(sqlite, target, sequences=False, told=quiet)
        assert await everything(target) == before


async def test_a_copy_that_fails_leaves_the_target_empty(sqlite: SqliteDatabase, postgres: PostgresDatabase) -> None:
    """PostgreSQL has no U+0000 in texts."""
    await fill(sqlite)
    await SqlAccounts(sqlite).add_organization(Organization(id="org_odd", name="A\0B", created_at=1))
    with pytest.raises(errors.InvalidInput):
        await copying.copy(sqlite, postgres, sequences=True, told=quiet)
    assert not any((await everything(postgres)).values())
    assert await postgres.read(lambda connection: connection.all(VERSION)) == [(schema.HEAD,)]


async def test_no_server_starts_with_a_part(tmp_path: Path, sqlite: SqliteDatabase) -> None:
    await fill(sqlite)
    path = tmp_path / "b.db"
    async with SqliteDatabase(path) as target:
        await target.write(lambda connection: connection.all(copying._SET_VERSION, version=copying._UNFINISHED))
    with pytest.raises(errors.StorageUnavailable, match="unfinished copy"):
        async with SqliteDatabase(path):
            pass
