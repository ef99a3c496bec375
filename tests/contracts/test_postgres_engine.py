"""What `PostgresDatabase` promises beyond the ports: group commit, works that collide, lost connections, closing."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import sqlalchemy as sa
from contract_examples import ACME, begun, completed

from databases import PostgresServer, empty_database, postgres_server
from freddy.server.core import errors
from freddy.server.stores.sql import tables
from freddy.server.stores.sql.connection import Connection, Taken, Work
from freddy.server.stores.sql.postgres.address import parse
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.postgres.session import Session
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.statements import Row, Statement, Value, param
from freddy_fakes import PATIENCE

BOUND = 12 * PATIENCE
_BLOBS = tables.orphan_blobs
_ADD = Statement(_BLOBS.insert().values(name=param("name")))
_COUNT = Statement(sa.select(sa.func.count()).select_from(_BLOBS))
_NAMES = Statement(sa.select(_BLOBS.c.name).order_by(_BLOBS.c.name))


def add(name: str) -> Work[int]:
    return lambda connection: connection.run(_ADD, name=name)


def said(sql: str, **values: Value) -> Work[list[Row]]:
    """Runs it as it stands."""
    return lambda connection: connection.all(Statement(sa.text(sql)), **values)


async def names(database: PostgresDatabase) -> list[str]:
    return [name for (name,) in await database.read(lambda connection: connection.all(_NAMES))]


async def refuse(connection: Connection) -> None:
    await connection.run(_ADD, name="half")
    raise errors.Conflict("taken")


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """One that tests stop and start; what it has written is on the disk."""
    with postgres_server(fsync=True) as server:
        yield server


@pytest.fixture
async def opened(own_server: PostgresServer) -> AsyncIterator[PostgresDatabase]:
    raw = await asyncpg.connect(own_server.url())
    await raw.execute("DROP DATABASE IF EXISTS kept")
    await raw.execute("CREATE DATABASE kept")
    await raw.close()
    async with PostgresDatabase(own_server.url("kept"), patience=BOUND) as database:
        yield database


async def test_many_writes_to_postgresql_share_one_transaction(postgres: PostgresDatabase) -> None:
    transaction = said("SELECT pg_current_xact_id()::text")
    # Two writers take one each; what comes while they are busy is written together.
    names = await asyncio.gather(*(postgres.write(transaction) for _ in range(40)))
    assert len({name for ((name,),) in names}) <= 4


async def test_a_write_that_fails_on_postgresql_is_rolled_back_alone(postgres: PostgresDatabase) -> None:
    outcomes = await asyncio.gather(
        postgres.write(add("a")), postgres.write(refuse), postgres.write(add("b")), return_exceptions=True
    )
    assert [outcomes[0], outcomes[2]] == [1, 1]
    assert isinstance(outcomes[1], errors.Conflict)
    assert await names(postgres) == ["a", "b"]


async def test_a_key_that_is_taken_is_told_to_its_own_writer(postgres: PostgresDatabase) -> None:
    outcomes = await asyncio.gather(*(postgres.write(add("a")) for _ in range(5)), return_exceptions=True)
    assert sorted(str(type(outcome).__name__) for outcome in outcomes) == ["Taken"] * 4 + ["int"]
    with pytest.raises(Taken):
        await postgres.write(add("a"))


async def test_works_of_several_servers_take_effect_one_after_the_other() -> None:
    """Each looks how many there are, and adds one with that number: no number comes twice."""

    async def number(connection: Connection) -> int:
        ((count,),) = await connection.all(_COUNT)
        await connection.run(_ADD, name=f"{count:04}")
        return int(count)

    async with empty_database() as url, PostgresDatabase(url) as one, PostgresDatabase(url) as other:
        async with asyncio.timeout(BOUND):
            given = await asyncio.gather(*((one, other)[turn % 2].write(number) for turn in range(60)))
        assert sorted(given) == list(range(60))
        assert await names(one) == [f"{count:04}" for count in range(60)]


async def test_a_read_of_postgresql_is_of_one_moment(postgres: PostgresDatabase) -> None:
    async def count_twice(connection: Connection) -> tuple[list[Row], list[Row]]:
        before = await connection.all(_COUNT)
        await postgres.write(add("a"))
        return before, await connection.all(_COUNT)

    assert await postgres.read(count_twice) == ([(0,)], [(0,)])
    assert await names(postgres) == ["a"]


async def test_a_read_sees_the_write_that_has_returned(postgres: PostgresDatabase) -> None:
    for turn in range(20):
        await postgres.write(add(f"{turn:04}"))
        assert len(await names(postgres)) == turn + 1


async def test_a_reader_of_postgresql_cannot_write(postgres: PostgresDatabase) -> None:
    with pytest.raises(errors.StorageUnavailable, match="read-only"):
        await postgres.read(add("a"))
    outcomes = await asyncio.gather(
        *(postgres.read(said("SELECT 1")) for _ in range(5)),
        postgres.read(add("a")),
        *(postgres.read(said("SELECT 1")) for _ in range(5)),
        return_exceptions=True,
    )
    assert [outcome for outcome in outcomes if not isinstance(outcome, Exception)] == [[(1,)]] * 10


async def test_sums_are_numbers_and_truths_are_truths(postgres: PostgresDatabase) -> None:
    row = await postgres.read(said("SELECT sum(x), avg(x), x IS NULL FROM (VALUES (1::bigint)) v(x) GROUP BY x"))
    assert row == [(1, 1.0, False)]


async def test_text_that_postgresql_cannot_hold_is_the_callers_fault(postgres: PostgresDatabase) -> None:
    with pytest.raises(errors.InvalidInput, match="U\\+0000"):
        await postgres.write(add("a\0b"))


async def test_a_writer_that_stops_waiting_does_not_disturb_the_others_on_postgresql(
    postgres: PostgresDatabase,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        going = tasks.create_task(postgres.write(add("a")))
        tasks.create_task(postgres.write(add("b")))
        await asyncio.sleep(0)
        going.cancel()
    assert "b" in await names(postgres)


async def test_closing_ends_what_was_asked_of_postgresql() -> None:
    async with empty_database() as url:
        async with asyncio.TaskGroup() as tasks, PostgresDatabase(url) as database:
            for number in range(100):
                tasks.create_task(database.write(add(f"{number:04}")))
            await asyncio.sleep(0)
        with pytest.raises(errors.StorageUnavailable, match="closed"):
            await database.write(add("late"))
        async with PostgresDatabase(url) as database:
            assert len(await names(database)) == 100


async def test_behind_a_pooler_no_statement_is_kept(postgres: PostgresDatabase) -> None:
    async with empty_database() as url, PostgresDatabase(f"{url}&statement_cache_size=0", readers=1) as database:
        await database.write(add("a"))
        assert await names(database) == ["a"]
        kept = await database.read(said("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '%asyncpg_stmt%'"))
        assert kept == [(0,)]


async def end_connections(server: PostgresServer) -> None:
    raw = await asyncpg.connect(server.url())
    await raw.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'kept'")
    await raw.close()


async def test_connections_that_the_server_ends_are_made_again(
    own_server: PostgresServer, opened: PostgresDatabase
) -> None:
    await opened.write(add("a"))
    await end_connections(own_server)
    async with asyncio.timeout(BOUND):
        await asyncio.gather(*(opened.write(add(f"b{number}")) for number in range(5)))
        assert await names(opened) == ["a", "b0", "b1", "b2", "b3", "b4"]


class Tally:
    """Writes names as fast as it can, until it is told to stop."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.written: list[str] = []
        self.unknown: list[str] = []
        """What the server could not say of whether it was written."""
        self._database = database
        self._more = asyncio.Condition()
        self._stopped = False

    async def write_on(self, writer: int) -> None:
        number = 0
        while not self._stopped:
            number += 1
            name = f"{writer}_{number}"
            try:
                await self._database.write(add(name))  # a second time would be `Taken`
            except errors.StorageUnavailable:
                self.unknown.append(name)
                continue
            self.written.append(name)
            async with self._more:
                self._more.notify_all()

    async def wait_more(self, count: int) -> None:
        enough = len(self.written) + count
        async with self._more:
            await self._more.wait_for(lambda: len(self.written) >= enough)

    def stop(self) -> None:
        self._stopped = True


@pytest.mark.parametrize("how", ["INT", "QUIT"])
async def test_a_server_that_is_started_again_has_what_was_written_once(
    own_server: PostgresServer, opened: PostgresDatabase, how: str
) -> None:
    """Writes go on meanwhile: each is there when it was told so, and none is done twice."""
    tally = Tally(opened)
    async with asyncio.timeout(BOUND), asyncio.TaskGroup() as tasks:
        for writer in range(6):
            tasks.create_task(tally.write_on(writer))
        for _ in range(2):
            await tally.wait_more(30)
            await asyncio.to_thread(own_server.stop, how)
            await asyncio.to_thread(own_server.start)
        await tally.wait_more(30)
        tally.stop()
    found = await names(opened)
    assert len(found) == len(set(found))
    assert set(tally.written) <= set(found) <= {*tally.written, *tally.unknown}


async def test_the_commit_that_nobody_answered_is_asked_after(
    own_server: PostgresServer, opened: PostgresDatabase
) -> None:
    """The connection ends between the commit and its answer: the work is not done twice."""
    raw = await asyncpg.connect(own_server.url("kept"))
    try:
        transaction = await raw.fetchval("SELECT pg_current_xact_id()::text")
        asked = Session(parse(own_server.url("kept")), patience=PATIENCE)
        await asked.open()
        assert await asked._was_committed(transaction, asked._started)
        async with raw.transaction():
            undone = await raw.fetchval("SELECT pg_current_xact_id()::text")
            await raw.execute("ROLLBACK")
        assert not await asked._was_committed(undone, asked._started)
        await asked.close()
    finally:
        await raw.close()


async def test_a_server_that_is_away_is_told_with_its_cure(own_server: PostgresServer) -> None:
    raw = await asyncpg.connect(own_server.url())
    await raw.execute("DROP DATABASE IF EXISTS away")
    await raw.execute("CREATE DATABASE away")
    await raw.close()
    url = own_server.url("away", user="freddy", password="hunter2")
    async with PostgresDatabase(url, patience=0.2) as database:
        await asyncio.to_thread(own_server.stop)
        try:
            for ask in (database.write(add("a")), database.read(said("SELECT 1"))):
                with pytest.raises(errors.StorageUnavailable) as raised:
                    async with asyncio.timeout(BOUND):
                        await ask
                assert "FREDDY_DATABASE" in (raised.value.details or "")
                assert "hunter2" not in f"{raised.value!r} {raised.value.details}"
            with pytest.raises(errors.StorageUnavailable):
                async with PostgresDatabase(url, patience=0.2):
                    pass
        finally:
            await asyncio.to_thread(own_server.start)
        await database.write(add("a"))
        assert await names(database) == ["a"]


async def test_a_database_that_is_not_there_is_named_as_the_fault(own_server: PostgresServer) -> None:
    with pytest.raises(errors.StorageUnavailable, match="no database of this name") as raised:
        async with PostgresDatabase(own_server.url("nowhere")):
            pass
    assert "CREATE DATABASE" in (raised.value.details or "")


async def test_a_wrong_password_is_refused_and_not_told(own_server: PostgresServer) -> None:
    await asyncio.to_thread(own_server.say, "CREATE ROLE guarded LOGIN PASSWORD 'right'")
    await asyncio.to_thread(own_server.guard, "guarded")
    with pytest.raises(errors.StorageUnavailable, match="refused the user") as raised:
        async with PostgresDatabase(own_server.url(user="guarded", password="hunter2"), patience=BOUND):
            pass
    assert "hunter2" not in f"{raised.value} {raised.value.details}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@h:port/x",
        "postgresql://ada:hunter2@h/x?statement_cache_size=many",
        "mysql://ada:hunter2@h/x",
        "postgresql://ada:hunter2@h/x?sslmode=perhaps",
    ],
)
async def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(errors.StorageUnavailable) as raised:
        async with PostgresDatabase(url, patience=0.1):
            pass
    assert "hunter2" not in f"{raised.value} {raised.value.details}"


async def test_too_many_connections_are_told() -> None:
    with postgres_server("max_connections=12", "superuser_reserved_connections=0", "reserved_connections=0") as server:
        async with PostgresDatabase(server.url(), readers=4, writers=2), PostgresDatabase(server.url(), readers=3):
            with pytest.raises(errors.StorageUnavailable, match="no connection left") as raised:
                async with PostgresDatabase(server.url(), patience=0.2):
                    pass
            assert "max_connections" in (raised.value.details or "")


async def test_a_response_is_kept_while_connections_come_and_go(
    own_server: PostgresServer, opened: PostgresDatabase
) -> None:
    responses = SqlResponses(opened)
    made = [completed(begun(f"hello {number}", thread_id="t"), "well") for number in range(40)]
    async with asyncio.timeout(BOUND), asyncio.TaskGroup() as tasks:
        for number, response in enumerate(made):
            tasks.create_task(responses.keep(response))
            if number % 20 == 10:
                await end_connections(own_server)
    for response in made:
        found = await responses.get(ACME, response.id)
        assert found is not None
        assert found.text == "well"
