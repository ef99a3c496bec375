"""What `Database` promises beyond the ports: group commit, full disks, locks, closing."""

import asyncio
import os
import resource
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from contract_examples import ACME, begun, completed

from freddy.server.core import errors
from freddy.server.core.response import Response
from freddy.server.stores.sql import accounts, commits, response_queries, tables, threads
from freddy.server.stores.sql.commits import Outcome
from freddy.server.stores.sql.connection import Connection, Taken, Work
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.statements import Row, Statement, param
from freddy_fakes import PATIENCE

BIG = "x" * 400_000


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE kept (word TEXT UNIQUE)")
        yield connection


_KEPT = sa.table("kept", sa.column("word", sa.Text))
_KEEP = Statement(_KEPT.insert().values(word=param("word")))
_COUNT = Statement(sa.select(sa.func.count()).select_from(tables.responses))


def keep(word: str) -> Work[int]:
    return lambda connection: connection.run(_KEEP, word=word)


def said(sql: str) -> Work[list[Row]]:
    """Runs it as it stands."""
    return lambda connection: connection.all(Statement(sa.text(sql)))


def words(connection: sqlite3.Connection) -> list[str]:
    return [word for (word,) in connection.execute("SELECT word FROM kept ORDER BY rowid")]


async def refuse(connection: Connection) -> None:
    await keep("half")(connection)
    raise errors.Conflict("taken")


def test_many_writes_share_one_transaction(connection: sqlite3.Connection) -> None:
    told: list[str] = []
    connection.set_trace_callback(told.append)
    assert commits.commit(connection, [keep(word) for word in "abc"], tries=1) == [Outcome(1)] * 3
    assert told.count("COMMIT") == 1


def test_a_write_that_fails_is_rolled_back_alone(connection: sqlite3.Connection) -> None:
    first, second, third = commits.commit(connection, [keep("a"), refuse, keep("b")], tries=1)
    assert (first, third) == (Outcome(1), Outcome(1))
    assert isinstance(second.error, errors.Conflict)
    assert words(connection) == ["a", "b"]


def test_a_broken_constraint_is_told_to_its_own_writer(connection: sqlite3.Connection) -> None:
    first, second = commits.commit(connection, [keep("a"), keep("a")], tries=1)
    assert first == Outcome(1)
    assert isinstance(second.error, Taken)


def test_a_work_that_goes_on_after_a_broken_constraint_is_rolled_back(connection: sqlite3.Connection) -> None:
    async def go_on(connection: Connection) -> None:
        await keep("b")(connection)
        with suppress(Taken):
            await keep("a")(connection)
        await keep("c")(connection)

    first, second = commits.commit(connection, [keep("a"), go_on], tries=1)
    assert first == Outcome(1)
    assert isinstance(second.error, AttributeError)
    assert words(connection) == ["a"]


def test_a_work_that_waits_for_something_else_is_refused_and_ended(connection: sqlite3.Connection) -> None:
    ended: list[str] = []

    async def wait(connection: Connection) -> None:
        try:
            await keep("a")(connection)
            await asyncio.sleep(0)
        finally:
            ended.append("wait")

    (outcome,) = commits.commit(connection, [wait], tries=1)
    assert isinstance(outcome.error, RuntimeError)
    assert ended == ["wait"]
    assert words(connection) == []


def test_a_write_that_breaks_the_transaction_does_not_take_the_others_along(
    connection: sqlite3.Connection,
) -> None:
    give_up = said("INSERT OR ROLLBACK INTO kept VALUES ('a')")
    first, second, third = commits.commit(connection, [keep("a"), give_up, keep("b")], tries=1)
    assert (first, third) == (Outcome(1), Outcome(1))
    assert isinstance(second.error, Taken)
    assert words(connection) == ["a", "b"]


async def test_a_read_is_of_one_moment(sqlite: Database) -> None:
    responses = SqlResponses(sqlite)
    response = begun("hello")

    async def write() -> None:
        await responses.open(response)

    loop = asyncio.get_running_loop()

    async def count_twice(connection: Connection) -> tuple[list[Row], list[Row]]:
        before = await connection.all(_COUNT)
        asyncio.run_coroutine_threadsafe(write(), loop).result(PATIENCE)
        return before, await connection.all(_COUNT)

    assert await sqlite.read(count_twice) == ([(0,)], [(0,)])
    assert await responses.get(ACME, response.id) == response


async def test_a_reader_cannot_write(sqlite: Database) -> None:
    with pytest.raises(errors.StorageUnavailable):
        await sqlite.read(said("DELETE FROM responses"))


async def test_a_writer_that_stops_waiting_does_not_disturb_the_others(sqlite: Database) -> None:
    responses = SqlResponses(sqlite)
    first, second = begun("a"), begun("b")
    async with asyncio.TaskGroup() as tasks:
        going = tasks.create_task(responses.open(first))
        tasks.create_task(responses.open(second))
        await asyncio.sleep(0)
        going.cancel()
    assert await responses.get(ACME, second.id) == second


async def limit_pages(database: Database, pages: int) -> None:
    await database.write(said(f"PRAGMA max_page_count = {pages}"))


async def test_a_full_disk_refuses_the_write_and_takes_it_when_space_returns(sqlite: Database) -> None:
    responses = SqlResponses(sqlite)
    before = begun("hello")
    await responses.open(before)
    await limit_pages(sqlite, 1)
    big = begun(BIG, thread_id="t")
    with pytest.raises(errors.StorageUnavailable) as refused:
        await responses.open(big)
    assert "full" in refused.value.message
    assert "Free space" in (refused.value.details or "")
    assert BIG[:50] not in f"{refused.value.message}{refused.value.details}"
    assert await responses.get(ACME, big.id) is None
    assert await responses.get(ACME, before.id) == before
    await limit_pages(sqlite, 1_000_000)
    await responses.open(big)
    assert await responses.get(ACME, big.id) == big


async def test_a_write_too_big_for_the_disk_leaves_room_for_the_small_ones(sqlite: Database) -> None:
    responses = SqlResponses(sqlite)
    small = [begun(f"hello {number}") for number in range(8)]
    await responses.open(begun("first"))
    ((pages,),) = await sqlite.read(said("PRAGMA page_count"))
    await limit_pages(sqlite, pages + 50)
    async with asyncio.TaskGroup() as tasks:
        writes = [tasks.create_task(responses.open(response)) for response in small[:4]]
        refused = tasks.create_task(outcome(responses, begun(BIG)))
        writes += [tasks.create_task(responses.open(response)) for response in small[4:]]
    assert refused.result() == "The database cannot grow: the disk is full."
    for response in small:
        assert await responses.get(ACME, response.id) == response


async def outcome(responses: SqlResponses, response: Response) -> str:
    try:
        await responses.open(response)
    except errors.StorageUnavailable as error:
        return error.message
    return "written"


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_disk_that_refuses_the_commit_fails_the_write_and_nothing_more(tmp_path: Path) -> None:
    async with Database(tmp_path / "freddy.db") as database:
        responses = SqlResponses(database)
        kept = begun("hello")
        await responses.open(kept)
        lost = begun("late")
        with files_no_longer_than(4096):
            results = await asyncio.gather(
                *(outcome(responses, response) for response in (begun("a"), begun("b"), lost))
            )
        assert results == ["The disk failed to read or write the database."] * 3
        assert await responses.get(ACME, kept.id) == kept
        await responses.open(lost)
        ended = completed(lost, "well")
        await responses.finish(ended)
    async with Database(tmp_path / "freddy.db") as database:
        assert await SqlResponses(database).get(ACME, lost.id) == ended


async def test_a_write_waits_for_another_process(tmp_path: Path) -> None:
    path = tmp_path / "freddy.db"
    response = begun("hello")
    async with Database(path) as database:
        responses = SqlResponses(database)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO orphan_blobs VALUES ('made_by_hand')")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(responses.open(response))
                assert await responses.get(ACME, response.id) is None
                other.execute("COMMIT")
        assert await responses.get(ACME, response.id) == response


async def test_a_lock_that_is_never_given_back_fails_the_write(tmp_path: Path) -> None:
    path = tmp_path / "freddy.db"
    async with Database(path, patience=0.01) as database:
        responses = SqlResponses(database)
        response = begun("hello")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.StorageUnavailable, match="locked"):
                await responses.open(response)
        await responses.open(response)


async def test_two_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "freddy.db"
    async with Database(path) as one, Database(path) as other:
        mine, theirs = SqlResponses(one), SqlResponses(other)
        made = [begun(str(number)) for number in range(40)]
        async with asyncio.TaskGroup() as tasks:
            for number, response in enumerate(made):
                tasks.create_task((theirs if number % 2 else mine).open(response))
        for response in made:
            assert await mine.get(ACME, response.id) == response


async def test_closing_ends_what_was_asked_for_and_empties_the_log(tmp_path: Path) -> None:
    path = tmp_path / "freddy.db"
    made = [begun(str(number)) for number in range(50)]
    async with asyncio.TaskGroup() as tasks, Database(path) as database:
        responses = SqlResponses(database)
        for response in made:
            tasks.create_task(responses.open(response))
        await asyncio.sleep(0)
    assert os.listdir(tmp_path) == ["freddy.db"]
    async with Database(path) as database:
        for response in made:
            assert await SqlResponses(database).get(ACME, response.id) == response


async def test_a_closed_database_says_so() -> None:
    async with Database(None) as database:
        pass
    with pytest.raises(errors.StorageUnavailable, match="closed"):
        await SqlResponses(database).get(ACME, "resp_1")


async def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "freddy.db"
    async with Database(path) as database:
        await SqlResponses(database).open(begun("hello"))
        modes = {stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert modes == {0o600}


async def test_a_database_without_a_path_leaves_nothing_behind() -> None:
    async with Database(None) as database:
        ((_, _, path),) = await database.read(said("PRAGMA database_list"))
        assert os.access(path, os.F_OK)
    assert not os.access(os.path.dirname(path), os.F_OK)


async def test_the_queries_of_a_busy_server_use_their_indexes(sqlite: Database) -> None:
    described = (*vars(response_queries).values(), *vars(threads).values(), accounts._FIND_KEY)

    ((_, _, path),) = await sqlite.read(said("PRAGMA database_list"))
    for statement in (value.sqlite for value in described if isinstance(value, Statement)):
        with closing(sqlite3.connect(path)) as connection:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", [None] * len(statement.order)).fetchall()
        scans = [
            detail for *_, detail in plan if detail.startswith("SCAN") and detail not in ("SCAN links", "SCAN anon_1")
        ]
        assert not scans, statement.sql


async def test_a_response_that_is_written_while_it_is_read_is_whole(sqlite: Database) -> None:
    responses = SqlResponses(sqlite)
    response = begun("hello")
    ended = completed(response, "a", "b")
    await responses.open(response)
    async with asyncio.TaskGroup() as tasks:
        reads = [tasks.create_task(responses.get(ACME, response.id)) for _ in range(20)]
        tasks.create_task(responses.finish(ended))
        reads += [tasks.create_task(responses.get(ACME, response.id)) for _ in range(20)]
    assert all(read.result() in (response, ended) for read in reads)
