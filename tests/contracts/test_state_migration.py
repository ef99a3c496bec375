"""A database of the time before state and governance has, in this version, all that it had."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from contract_examples import ACME, OTHERS, begun, completed, failed

from freddy.server.core.accounts import SCOPES
from freddy.server.core.response import Response
from freddy.server.core.threads import Thread
from freddy.server.ports.stores import Page, ResponseFilter
from freddy.server.stores.sql import rows, schema
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.threads import SqlThreads

DIGEST = b"digest of a secret"
FIRST = completed(begun("a question", id="resp_first", thread_id="t"), "an answer")
LOST = failed(begun("no answer", id="resp_lost", thread_id="t"))
SECOND = completed(begun("another", id="resp_second", thread_id="t"), "and another")
ALONE = completed(begun("without a thread", id="resp_alone"), "so be it")
THEIRS = completed(begun("elsewhere", id="resp_theirs", thread_id="t", organization_id=OTHERS), "well")
GOING = begun("under way", id="resp_going", thread_id="t")


def keep(connection: sqlite3.Connection, response: Response) -> None:
    """As version 0003 did."""
    connection.execute(
        "INSERT INTO responses (id, organization_id, key_id, thread_id, status, model, provider, created_at, "
        "completed_at, request, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            response.id, response.organization_id, response.key_id, response.thread_id, response.status,
            response.model, response.provider, response.created_at, response.completed_at,
            rows.request_text(response), rows.outcome(response),
        ),
    )  # fmt: skip
    for direction, items in (("in", response.request.input), ("out", response.output)):
        for position, item in enumerate(items):
            connection.execute(
                "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    response.id, direction, position, item.id, response.organization_id,
                    str(item.__struct_config__.tag), rows.text(item),
                ),
            )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of version 0003 with something in it."""
    path = tmp_path / "freddy.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO organizations VALUES (?, 'Acme', 7)", (ACME,))
        for number, reached in enumerate((f'["{OTHERS}","{ACME}"]', f'["{ACME}"]')):
            digest = DIGEST + bytes([number])
            values = (f"key_{number}", "app", "sk-1", digest, reached, '["files:read"]', 8, None, None)
            connection.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        for organization in (ACME, OTHERS):
            values = (organization, "t", 10, 20, 1_005, "A title", '{"colour":"blue"}', "tiny-2026", 15)
            connection.execute("INSERT INTO threads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.execute("INSERT INTO threads VALUES (?, 'empty', 11, 11, NULL, NULL, '{}', NULL, NULL)", (ACME,))
        for response in (FIRST, LOST, THEIRS, SECOND, ALONE, GOING):
            keep(connection, response)
        connection.execute("COMMIT")
    return path


async def test_threads_of_before_have_their_messages_in_order(path: Path) -> None:
    async with Database(path) as database:
        threads = SqlThreads(database)
        expected = [*FIRST.request.input, *FIRST.output, *SECOND.request.input, *SECOND.output]
        assert await threads.items(ACME, "t") == expected
        found = await threads.get(ACME, "t")
        assert found == Thread(
            id="t",
            organization_id=ACME,
            created_at=10,
            updated_at=20,
            last_message_at=1_005,
            title="A title",
            metadata={"colour": "blue"},
            last_model="tiny-2026",
            message_count=4,
            pinned_at=15,
            places=2,
        )
        empty = await threads.get(ACME, "empty")
        assert empty is not None
        assert (empty.message_count, empty.places) == (0, 0)
        assert await threads.items(OTHERS, "t") == [*THEIRS.request.input, *THEIRS.output]


async def test_a_thread_of_before_goes_on(path: Path) -> None:
    async with Database(path) as database:
        responses, threads = SqlResponses(database), SqlThreads(database)
        await responses.finish(completed(GOING, "at last"))
        await responses.keep(following := completed(begun("and now", thread_id="t"), "now"))
        items = await threads.items(ACME, "t")
        assert items[-2:] == [*following.request.input, *following.output]
        assert len(items) == 8
        found = await threads.get(ACME, "t")
        assert found is not None
        assert (found.message_count, found.places) == (8, 4)


async def test_responses_of_before_are_whole_and_found_by_their_metadata(path: Path) -> None:
    async with Database(path) as database:
        responses = SqlResponses(database)
        for response in (FIRST, LOST, SECOND, ALONE, GOING):
            assert await responses.get(ACME, response.id) == response
        found, _ = await responses.list(ACME, Page(order="asc"), ResponseFilter(metadata={"topic": "weather"}))
        assert [one.id for one in found] == ["resp_first", "resp_lost", "resp_second", "resp_alone", "resp_going"]


async def test_organizations_and_keys_of_before_go_on(path: Path) -> None:
    async with Database(path) as database:
        accounts = SqlAccounts(database)
        organization = await accounts.find_organization(ACME)
        assert organization is not None
        assert (organization.name, organization.created_at, organization.updated_at) == ("Acme", 7, 7)
        key = await accounts.find_key(DIGEST + b"\0")
        assert key is not None
        assert (key.id, key.organization_ids, key.scopes) == ("key_0", (OTHERS, ACME), ("files:read",))
        assert [one.id for one in await accounts.list_keys(ACME)] == ["key_1"]
        assert [one.id for one in await accounts.list_keys(OTHERS)] == ["key_0"]


async def test_the_file_of_before_is_kept_beside_the_new_one(path: Path) -> None:
    async with Database(path):
        pass
    with closing(sqlite3.connect(path.with_name("freddy.db.0003.backup"))) as backup:
        assert backup.execute("SELECT version_num FROM alembic_version").fetchone() == ("0003",)
        assert backup.execute("SELECT count(*) FROM responses").fetchone() == (6,)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name LIKE 'old_%'").fetchall()


async def test_a_key_of_before_that_might_do_everything_still_may(path: Path) -> None:
    every = (
        '["responses:read","responses:write","threads:read","threads:write","models:read","files:read","files:write",'
        '"keys:manage","providers:manage"]'
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        values = ("key_9", "app", "sk-9", DIGEST + b"9", f'["{ACME}"]', every, 8, None, None)
        connection.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    async with Database(path) as database:
        key = await SqlAccounts(database).find_key(DIGEST + b"9")
        assert key is not None
        assert set(key.scopes) == set(SCOPES)
