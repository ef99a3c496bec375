"""The contract of `VectorStores`: stores, their files, batches, and the line of files to be indexed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from contract_examples import ACME, OTHERS
from msgspec.structs import replace
from vector_examples import (
    LEASE,
    MANY,
    chunks,
    claimed,
    indexed,
    rows_of,
    store_file,
    stores_of,
    swept,
    two_databases,
    unit,
    vector_store,
)

from freddy.server.core import errors
from freddy.server.core.vector_stores import Batch, Chunk, Chunking, Expiry, FileFailure, StoreFile, VectorStore
from freddy.server.ports.stores import Page
from freddy.server.ports.vector_stores import Totals, VectorStores
from freddy.server.stores.sql import segments
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.vector_stores import SqlVectorStores

NOW = 2_000
FAILURE = FileFailure("unsupported_file", "A picture has no text.")
BATCH = Batch(id="vsfb_1", store_id="vs_1", organization_id=ACME, created_at=1_000)
CHUNK_TABLES = ("vector_segments", "vector_blobs", "vector_chunks", "vector_words")


@pytest.fixture
def store(database: Database) -> SqlVectorStores:
    return stores_of(database)


async def nothing_is_left(database: Database) -> bool:
    return [await rows_of(database, table) for table in CHUNK_TABLES] == [0, 0, 0, 0]


# Stores


async def test_a_store_comes_back_as_it_was_kept(store: VectorStores) -> None:
    kept = vector_store(
        name="Höflich ☂",
        description="Manuals.",
        metadata={"team": "ü"},
        access_mode="private",
        expiry=Expiry(7),
        created_by="usr_1",
    )
    await store.add(kept, most=MANY)
    assert await store.get(ACME, "vs_1") == kept
    assert await store.find(ACME, ["vs_1", "vs_1", "vs_2"]) == {"vs_1": kept}
    assert await store.find(ACME, []) == {}


async def test_an_organization_has_only_so_many_stores(store: VectorStores) -> None:
    await store.add(vector_store("vs_1"), most=2)
    await store.add(vector_store("vs_2"), most=2)
    with pytest.raises(errors.Conflict, match="2 vector stores"):
        await store.add(vector_store("vs_3"), most=2)
    await store.add(vector_store("vs_4", OTHERS), most=2)
    await store.delete(ACME, "vs_1")
    await store.add(vector_store("vs_3"), most=2)


async def test_an_id_of_a_store_is_given_once(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    with pytest.raises(errors.Conflict, match="already"):
        await store.add(vector_store(organization_id=OTHERS), most=MANY)


async def test_stores_of_other_organizations_are_not_there(store: VectorStores) -> None:
    await store.add(vector_store(organization_id=OTHERS), most=MANY)
    file = store_file(organization_id=OTHERS)
    await store.add_files([file], batch=replace(BATCH, organization_id=OTHERS), most=MANY)
    assert await store.index(await claimed(store), chunks("hello"), NOW)
    before = await store.get(OTHERS, "vs_1"), await store.get_file(OTHERS, "vs_1", "file_1")

    assert await store.get(ACME, "vs_1") is None
    assert await store.find(ACME, ["vs_1"]) == {}
    assert await store.list(ACME, Page()) == ([], False)
    assert await store.change(ACME, "vs_1", lambda found: replace(found, name="Mine")) is None
    assert not await store.delete(ACME, "vs_1")
    await store.touch(ACME, ["vs_1"], 9_000)
    assert await store.totals(ACME) == Totals(0, 0, 0, 0)
    with pytest.raises(errors.NotFound):
        await store.add_files([store_file("file_2")], most=MANY)
    assert await store.get_file(ACME, "vs_1", "file_1") is None
    assert await store.list_files(ACME, "vs_1", Page()) == ([], False)
    assert await store.change_file(ACME, "vs_1", "file_1", lambda found: replace(found, status="failed")) is None
    assert not await store.remove_file(ACME, "vs_1", "file_1")
    assert await store.forget_file(ACME, "file_1") == 0
    assert await store.get_batch(ACME, "vs_1", "vsfb_1") is None
    assert await store.cancel_batch(ACME, "vs_1", "vsfb_1") is None
    assert await store.chunks(ACME, "vs_1", "file_1") == []
    assert await store.nearest(ACME, ["vs_1"], unit(1, 0, 0), limit=5) == []
    assert await store.matching(ACME, ["vs_1"], "hello", limit=5) == []

    assert (await store.get(OTHERS, "vs_1"), await store.get_file(OTHERS, "vs_1", "file_1")) == before
    assert len(await store.matching(OTHERS, ["vs_1"], "hello", limit=5)) == 1


async def test_stores_are_listed_by_their_birth_page_by_page(store: VectorStores) -> None:
    kept = [vector_store(f"vs_{number}", created_at=1_000 + number // 2) for number in range(5)]
    for each in reversed(kept):
        await store.add(each, most=MANY)
    assert await store.list(ACME, Page(order="asc")) == (kept, False)
    assert await store.list(ACME, Page(limit=2)) == ([kept[4], kept[3]], True)
    assert await store.list(ACME, Page(limit=2, after="vs_3")) == ([kept[2], kept[1]], True)
    assert await store.list(ACME, Page(limit=2, before="vs_1")) == ([kept[3], kept[2]], True)
    with pytest.raises(errors.InvalidValue) as refused:
        await store.list(ACME, Page(after="vs_9"))
    assert refused.value.param == "after"


async def test_a_change_keeps_what_is_not_its_to_change(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await indexed(store, store_file(), chunks("hello"))
    before = await store.get(ACME, "vs_1")
    assert before

    def alter(found: VectorStore) -> VectorStore:
        return replace(
            found,
            name="New",
            metadata={"a": "b"},
            expiry=Expiry(2),
            updated_at=3_000,
            bytes=9,
            completed=9,
            dimensions=9,
        )

    after = replace(before, name="New", metadata={"a": "b"}, expiry=Expiry(2), updated_at=3_000)
    assert await store.change(ACME, "vs_1", alter) == after
    assert await store.get(ACME, "vs_1") == after
    assert await store.change(ACME, "vs_2", alter) is None


async def test_changes_at_once_come_one_after_the_other(store: VectorStores) -> None:
    await store.add(vector_store(name=""), most=MANY)
    longer = (store.change(ACME, "vs_1", lambda found: replace(found, name=f"{found.name}x")) for _ in range(12))
    await asyncio.gather(*longer)
    kept = await store.get(ACME, "vs_1")
    assert kept
    assert kept.name == "x" * 12


async def test_a_store_that_is_used_lives_longer(store: VectorStores) -> None:
    await store.add(vector_store("vs_1", expiry=Expiry(1)), most=MANY)
    await store.add(vector_store("vs_2", expiry=Expiry(1)), most=MANY)
    await store.add(vector_store("vs_3"), most=MANY)
    assert await store.expired(1_000 + 86_399, limit=9) == []
    await store.touch(ACME, ["vs_1", "vs_3", "vs_1"], 5_000)
    await store.touch(ACME, ["vs_1"], 4_000)
    await store.touch(ACME, [], 9_000)
    assert [one.id for one in await store.expired(1_000 + 86_400, limit=9)] == ["vs_2"]
    assert [one.id for one in await store.expired(5_000 + 86_400, limit=9)] == ["vs_2", "vs_1"]
    assert [one.id for one in await store.expired(5_000 + 86_400, limit=1)] == ["vs_2"]
    found = await store.find(ACME, ["vs_1", "vs_2", "vs_3"])
    assert [found[each].used_at for each in ("vs_1", "vs_2", "vs_3")] == [5_000, 1_000, 5_000]
    await store.change(ACME, "vs_2", lambda kept: replace(kept, expiry=None))
    await store.delete(ACME, "vs_1")
    assert await store.expired(10**10, limit=9) == []


# Files


async def test_a_file_comes_back_as_it_was_kept(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    kept = store_file(
        filename="Höflich ☂.pdf",
        attributes={"year": 2024.0, "draft": True, "by": "ü", "half": 0.5},
        chunking=Chunking(200, 50),
        created_by="usr_1",
    )
    await store.add_files([kept], most=MANY)
    found = await store.get_file(ACME, "vs_1", "file_1")
    assert found
    assert replace(found, begun=0) == kept
    assert await store.get_file(ACME, "vs_1", "file_2") is None
    assert await store.get_file(ACME, "vs_2", "file_1") is None


async def test_a_store_has_only_so_many_files(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file("file_1"), store_file("file_2")], most=3)
    with pytest.raises(errors.Conflict, match="more than 3 files"):
        await store.add_files([store_file("file_3"), store_file("file_4")], batch=BATCH, most=3)
    assert await store.get_file(ACME, "vs_1", "file_3") is None
    assert await store.get_batch(ACME, "vs_1", "vsfb_1") is None
    await store.add_files([store_file("file_1"), store_file("file_2"), store_file("file_3")], most=3)
    with pytest.raises(errors.NotFound, match="vs_9"):
        await store.add_files([store_file(store_id="vs_9")], most=3)
    await store.add_files([], most=3)


async def test_the_counts_of_a_store_are_those_of_its_files(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add(vector_store("vs_2"), most=MANY)
    await store.add_files([store_file(f"file_{number}") for number in range(6)], most=MANY)
    taken = await store.claim(NOW, lease=LEASE, limit=3)
    assert await store.index(taken[0], chunks("hello", "wörld"), NOW)
    assert await store.index(taken[1], [], NOW)
    assert await store.fail(taken[2], FAILURE, NOW)
    await store.change_file(ACME, "vs_1", "file_3", lambda file: replace(file, status="cancelled"))
    size = len("hello") + len("wörld".encode()) + 2 * 3 * 4
    kept = await store.get(ACME, "vs_1")
    assert kept == vector_store(bytes=size, in_progress=2, completed=2, failed=1, cancelled=1)
    assert await store.totals(ACME) == Totals(stores=2, files=6, chunks=2, bytes=size)

    for number in range(6):
        assert await store.remove_file(ACME, "vs_1", f"file_{number}")
    assert await store.get(ACME, "vs_1") == vector_store()
    assert await store.totals(ACME) == Totals(stores=2, files=0, chunks=0, bytes=0)


async def test_files_are_listed_page_by_page_and_by_status(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    files = [store_file(f"file_{number}", created_at=1_000 + number) for number in range(5)]
    await store.add_files(files, most=MANY)
    for file in (await store.claim(NOW, lease=LEASE, limit=9))[1:3]:
        await store.index(file, chunks("hello"), NOW)

    async def listed(page: Page, **asked: Any) -> tuple[list[str], bool]:
        found, more = await store.list_files(ACME, "vs_1", page, **asked)
        return [file.file_id for file in found], more

    assert await listed(Page()) == (["file_4", "file_3", "file_2", "file_1", "file_0"], False)
    assert await listed(Page(limit=2, order="asc", after="file_1")) == (["file_2", "file_3"], True)
    assert await listed(Page(), status="completed") == (["file_2", "file_1"], False)
    assert await listed(Page(limit=1), status="in_progress") == (["file_4"], True)
    assert await listed(Page(), status="failed") == ([], False)
    assert await listed(Page(), batch_id="vsfb_1") == ([], False)


async def test_a_file_that_is_in_the_store_already_begins_anew(store: VectorStores, database: Database) -> None:
    await store.add(vector_store(), most=MANY)
    await indexed(store, store_file(), chunks("hello"))
    again = store_file(attributes={"a": "b"}, created_at=3_000)
    await store.add_files([again], most=1)
    found = await store.get_file(ACME, "vs_1", "file_1")
    assert found
    assert replace(found, begun=0) == again
    assert await store.get(ACME, "vs_1") == vector_store(in_progress=1)
    assert await store.matching(ACME, ["vs_1"], "hello", limit=5) == []
    assert await store.index(await claimed(store), chunks("goodbye"), NOW)
    assert [chunk.text for chunk in await store.chunks(ACME, "vs_1", "file_1")] == ["goodbye"]
    assert await store.matching(ACME, ["vs_1"], "hello", limit=5) == []
    await swept(store)
    assert await rows_of(database, "vector_chunks") == 1


async def test_a_change_of_a_file_keeps_what_is_not_its_to_change(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    before = await indexed(store, store_file(), chunks("hello"))

    def alter(file: StoreFile) -> StoreFile:
        return replace(file, attributes={"a": 1.0}, updated_at=3_000, chunks=9, bytes=9, attempts=9, begun=9)

    after = replace(before, attributes={"a": 1.0}, updated_at=3_000)
    assert await store.change_file(ACME, "vs_1", "file_1", alter) == after
    assert await store.get_file(ACME, "vs_1", "file_1") == after
    (found,) = await store.matching(ACME, ["vs_1"], "hello", limit=5)
    assert found.attributes == {"a": 1.0}
    assert await store.change_file(ACME, "vs_1", "file_2", alter) is None


async def test_a_file_that_is_altered_to_be_in_progress_is_in_line_again(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    taken = await claimed(store)
    await store.fail(taken, FAILURE, NOW)
    await store.change_file(
        ACME, "vs_1", "file_1", lambda file: replace(file, status="in_progress", failure=None, attempts=0)
    )
    assert await store.get(ACME, "vs_1") == vector_store(in_progress=1)
    again = await claimed(store)
    assert (again.attempts, again.failure) == (1, None)
    assert not await store.index(taken, chunks("late"), NOW)
    assert await store.index(again, chunks("hello"), NOW)


async def test_chunks_come_in_their_order_and_without_vectors(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    texts = [f"text {number}" for number in range(600)]
    file = await indexed(store, store_file(), chunks(*texts))
    assert (file.status, file.chunks, file.progress) == ("completed", 600, 1.0)
    found = await store.chunks(ACME, "vs_1", "file_1")
    assert found == [Chunk(place, text, b"", tokens=2) for place, text in enumerate(texts)]


async def test_a_text_that_no_database_keeps_is_made_fit(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await indexed(store, store_file(), chunks("a\0b \ud800 c ☂"))
    (found,) = await store.chunks(ACME, "vs_1", "file_1")
    assert found.text == "a\ufffdb ? c ☂"


async def test_vectors_of_other_dimensions_are_refused(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    taken = await claimed(store)
    with pytest.raises(errors.InvalidInput, match="3 dimensions"):
        await store.index(taken, chunks("hello", vector=(1.0, 0.0)), NOW)
    assert await store.index(taken, chunks("hello"), NOW)


async def test_a_file_that_is_deleted_goes_from_every_store(store: VectorStores) -> None:
    for store_id in ("vs_1", "vs_2"):
        await store.add(vector_store(store_id), most=MANY)
        await indexed(store, store_file(store_id=store_id), chunks("hello"))
    await store.add(vector_store("vs_3", OTHERS), most=MANY)
    await indexed(store, store_file(store_id="vs_3", organization_id=OTHERS), chunks("hello"))
    assert await store.forget_file(ACME, "file_1") == 2
    assert await store.forget_file(ACME, "file_1") == 0
    assert await store.get(ACME, "vs_1") == vector_store()
    assert await store.matching(ACME, ["vs_1", "vs_2"], "hello", limit=5) == []
    assert len(await store.matching(OTHERS, ["vs_3"], "hello", limit=5)) == 1


# Batches


async def test_a_batch_counts_its_files(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file("file_0")], most=MANY)
    await store.add_files([store_file(f"file_{number}") for number in (1, 2, 3)], batch=BATCH, most=MANY)
    assert await store.get_batch(ACME, "vs_1", "vsfb_1") == replace(BATCH, in_progress=3)
    for file in await store.claim(NOW, lease=LEASE, limit=9):
        if file.file_id == "file_1":
            await store.index(file, chunks("hello"), NOW)
        if file.file_id == "file_2":
            await store.fail(file, FAILURE, NOW)
    assert await store.get_batch(ACME, "vs_1", "vsfb_1") == replace(BATCH, in_progress=1, completed=1, failed=1)
    found, _ = await store.list_files(ACME, "vs_1", Page(order="asc"), batch_id="vsfb_1", status="failed")
    assert [(file.file_id, file.batch_id, file.failure) for file in found] == [("file_2", "vsfb_1", FAILURE)]
    assert await store.get_batch(ACME, "vs_1", "vsfb_2") is None


async def test_a_batch_that_is_over_is_not_cancelled(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], batch=BATCH, most=MANY)
    assert await store.fail(await claimed(store), FAILURE, NOW)
    assert await store.cancel_batch(ACME, "vs_1", "vsfb_1") == replace(BATCH, failed=1)


async def test_a_cancelled_batch_leaves_what_is_indexed(store: VectorStores, database: Database) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file(f"file_{number}") for number in (1, 2, 3)], batch=BATCH, most=MANY)
    done, taken = await store.claim(NOW, lease=LEASE, limit=2)
    await store.index(done, chunks("hello"), NOW)
    expected = replace(BATCH, cancelled=True, completed=1, cancelled_files=2)
    assert await store.cancel_batch(ACME, "vs_1", "vsfb_1") == expected
    assert await store.cancel_batch(ACME, "vs_1", "vsfb_1") == expected
    assert await store.get_batch(ACME, "vs_1", "vsfb_1") == expected
    assert await store.cancel_batch(ACME, "vs_1", "vsfb_2") is None
    assert not await store.report(taken, NOW, lease=LEASE, progress=0.5)
    assert not await store.index(taken, chunks("late"), NOW)
    assert not await store.fail(taken, FAILURE, NOW)
    assert await store.claim(9_000, lease=LEASE, limit=9) == []
    kept = await store.get(ACME, "vs_1")
    assert kept
    assert (kept.in_progress, kept.completed, kept.cancelled) == (0, 1, 2)
    assert await rows_of(database, "vector_chunks") == 1


# The line


async def test_files_are_claimed_oldest_first_and_once(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file(f"file_{n}", created_at=1_000 - n) for n in range(4)], most=MANY)
    first = await store.claim(NOW, lease=LEASE, limit=3)
    assert [(file.file_id, file.attempts) for file in first] == [("file_3", 1), ("file_2", 1), ("file_1", 1)]
    assert [file.file_id for file in await store.claim(NOW, lease=LEASE, limit=3)] == ["file_0"]
    assert await store.claim(NOW + LEASE - 1, lease=LEASE, limit=3) == []


async def test_a_file_whose_worker_is_silent_is_claimed_again_and_the_worker_shut_out(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    first = await claimed(store, NOW)
    assert await store.report(first, NOW + 50, lease=LEASE, progress=0.25)
    assert await store.claim(NOW + LEASE, lease=LEASE, limit=1) == []
    kept = await store.get_file(ACME, "vs_1", "file_1")
    assert kept
    assert (kept.progress, kept.updated_at) == (0.25, NOW + 50)
    second = await claimed(store, NOW + 50 + LEASE)
    assert second.attempts == 2
    assert not await store.report(first, NOW + 200, lease=LEASE, progress=0.5)
    assert not await store.index(first, chunks("late"), NOW)
    assert not await store.fail(first, FAILURE, NOW)
    assert await store.index(second, chunks("hello"), NOW)
    assert not await store.index(second, chunks("twice"), NOW)
    assert [chunk.text for chunk in await store.chunks(ACME, "vs_1", "file_1")] == ["hello"]


async def test_who_is_late_but_was_not_missed_may_go_on(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    taken = await claimed(store, NOW)
    assert await store.report(taken, NOW + 10 * LEASE, lease=LEASE, progress=0.5)
    assert await store.index(taken, chunks("hello"), NOW + 10 * LEASE)


@pytest.mark.parametrize("how", ["removed", "removed and added", "added again", "store deleted"])
async def test_a_worker_whose_file_is_gone_writes_nothing(store: VectorStores, database: Database, how: str) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    first = await claimed(store)
    if how.startswith("removed"):
        await store.remove_file(ACME, "vs_1", "file_1")
    if how == "store deleted":
        await store.delete(ACME, "vs_1")
    if how.endswith(("added", "again")):
        await store.add_files([store_file()], most=MANY)
        # The same attempt of another beginning.
        assert (await claimed(store)).attempts == first.attempts
    assert not await store.report(first, NOW, lease=LEASE, progress=0.5)
    assert not await store.index(first, chunks("late"), NOW)
    assert not await store.fail(first, FAILURE, NOW)
    assert await nothing_is_left(database)


async def test_a_failed_file_says_why(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    assert await store.fail(await claimed(store), FAILURE, 3_000)
    kept = await store.get_file(ACME, "vs_1", "file_1")
    assert kept
    assert (kept.status, kept.failure, kept.updated_at) == ("failed", FAILURE, 3_000)
    assert await store.claim(9_000, lease=LEASE, limit=9) == []


async def half_indexed(database: Database, file: StoreFile, *texts: str) -> None:
    """What a process leaves that dies while it writes the chunks of a file."""
    (piece,) = segments.pieces(chunks(*texts))

    async def work(connection: Connection) -> None:
        await segments.add(connection, piece, file, store=1)

    await database.write(work)


async def test_what_is_half_indexed_is_not_found(store: VectorStores, database: Database) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    await half_indexed(database, await claimed(store), "hello")
    assert await store.chunks(ACME, "vs_1", "file_1") == []
    assert await store.matching(ACME, ["vs_1"], "hello", limit=5) == []
    assert await store.nearest(ACME, ["vs_1"], unit(1, 0, 0), limit=5) == []


async def test_what_a_worker_left_is_neither_found_nor_kept(store: VectorStores, database: Database) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    first = await claimed(store)
    await half_indexed(database, first, "hello")
    second = await claimed(store, NOW + LEASE)
    await half_indexed(database, second, "hello again")
    assert await store.index(second, chunks("done"), NOW)
    assert [chunk.text for chunk in await store.chunks(ACME, "vs_1", "file_1")] == ["done"]
    assert await store.matching(ACME, ["vs_1"], "hello", limit=5) == []
    assert await swept(store) == 2
    assert await rows_of(database, "vector_chunks") == 1
    assert await rows_of(database, "vector_words") == 1


@pytest.mark.parametrize("how", ["fail", "cancel", "remove", "forget", "add", "change", "delete"])
async def test_whatever_ends_an_attempt_leaves_nothing(store: VectorStores, database: Database, how: str) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], batch=BATCH, most=MANY)
    taken = await claimed(store)
    await half_indexed(database, taken, "hello", "world")
    assert not await store.sweep()
    if how == "fail":
        assert await store.fail(taken, FAILURE, NOW)
    elif how == "cancel":
        assert await store.cancel_batch(ACME, "vs_1", "vsfb_1")
    elif how == "remove":
        assert await store.remove_file(ACME, "vs_1", "file_1")
    elif how == "forget":
        assert await store.forget_file(ACME, "file_1") == 1
    elif how == "add":
        await store.add_files([store_file()], most=MANY)
    elif how == "change":
        await store.change_file(ACME, "vs_1", "file_1", lambda file: replace(file, status="cancelled"))
    else:
        assert await store.delete(ACME, "vs_1")
    await swept(store)
    assert await nothing_is_left(database)


# Removal


async def test_a_deleted_store_is_gone_at_once_and_its_rows_follow_in_steps(
    store: VectorStores, database: Database
) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add(vector_store("vs_2"), most=MANY)
    await store.add_files([store_file(f"file_{number}") for number in range(20)], batch=BATCH, most=MANY)
    for file in await store.claim(NOW, lease=LEASE, limit=99):
        texts = [f"shared w{file.file_id}n{number}" for number in range(300)]
        assert await store.index(file, chunks(*texts), NOW)
    await indexed(store, store_file(store_id="vs_2"), chunks("shared word"))
    assert await store.delete(ACME, "vs_1")
    assert not await store.delete(ACME, "vs_1")

    assert await store.get(ACME, "vs_1") is None
    assert [one.id for one in (await store.list(ACME, Page()))[0]] == ["vs_2"]
    assert (await store.totals(ACME)).files == 1
    assert await store.get_file(ACME, "vs_1", "file_1") is None
    assert await store.get_batch(ACME, "vs_1", "vsfb_1") is None
    assert await store.matching(ACME, ["vs_1"], "shared", limit=5) == []
    assert await store.nearest(ACME, ["vs_1"], unit(1, 0, 0), limit=5) == []
    with pytest.raises(errors.NotFound):
        await store.add_files([store_file()], most=MANY)

    before = await rows_of(database, "vector_words") + await rows_of(database, "vector_chunks")
    assert await store.sweep()
    after = await rows_of(database, "vector_words") + await rows_of(database, "vector_chunks")
    assert 0 < before - after <= 5_000
    assert await swept(store) >= 3
    assert [await rows_of(database, table) for table in CHUNK_TABLES] == [1, 1, 1, 2]
    assert await rows_of(database, "vector_stores") == 1
    assert len(await store.matching(ACME, ["vs_2"], "shared", limit=5)) == 1


async def test_a_store_may_be_made_again_while_its_rows_follow(store: VectorStores) -> None:
    await store.add(vector_store("vs_1"), most=MANY)
    await indexed(store, store_file(), chunks("hello"))
    await store.matching(ACME, ["vs_1"], "hello", limit=5)
    await store.delete(ACME, "vs_1")
    await store.add(vector_store("vs_2"), most=MANY)
    await indexed(store, store_file(store_id="vs_2"), chunks("goodbye"))
    await swept(store)
    assert await store.matching(ACME, ["vs_1", "vs_2"], "hello", limit=5) == []
    (found,) = await store.matching(ACME, ["vs_2"], "goodbye", limit=5)
    assert (found.store_id, found.text) == ("vs_2", "goodbye")


# Several processes


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_several_processes_share_the_line(kind: str, tmp_path: Path) -> None:
    async with two_databases(kind, tmp_path) as (one, other):
        first, second = stores_of(one), stores_of(other)
        await first.add(vector_store(), most=MANY)
        await first.add_files([store_file(f"file_{number:02}") for number in range(40)], most=MANY)

        async def work(store: VectorStores) -> list[str]:
            done = []
            while taken := await store.claim(NOW, lease=LEASE, limit=3):
                for file in taken:
                    assert file.attempts == 1
                    assert await store.index(file, chunks(f"text of {file.file_id}"), NOW)
                    done.append(file.file_id)
            return done

        done = await asyncio.gather(work(first), work(second), work(first), work(second))
        assert sorted(file_id for each in done for file_id in each) == [f"file_{number:02}" for number in range(40)]
        kept = await second.get(ACME, "vs_1")
        assert kept
        assert (kept.in_progress, kept.completed) == (0, 40)
        assert await second.totals(ACME) == Totals(stores=1, files=40, chunks=40, bytes=kept.bytes)
        assert len(await second.matching(ACME, ["vs_1"], "text", limit=99)) == 40


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_several_processes_sweep_at_once(kind: str, tmp_path: Path) -> None:
    async with two_databases(kind, tmp_path) as (one, other):
        first, second = stores_of(one), stores_of(other)
        await first.add(vector_store(), most=MANY)
        await first.add(vector_store("vs_2"), most=MANY)
        for number in range(6):
            file = store_file(f"file_{number}", f"vs_{1 + number % 2}")
            await indexed(first, file, chunks(*(f"word{place} and more" for place in range(40))))
        await first.delete(ACME, "vs_1")
        for number in range(6):
            await first.remove_file(ACME, "vs_2", f"file_{number}")
        await asyncio.gather(swept(first), swept(second))
        assert await nothing_is_left(one)


async def test_others_write_while_a_long_file_is_indexed(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await store.add_files([store_file()], most=MANY)
    taken = await claimed(store)
    between = 0

    async def index() -> bool:
        return await store.index(taken, chunks(*(f"word{place} and more" for place in range(2_000))), NOW)

    async with asyncio.TaskGroup() as tasks:
        indexing = tasks.create_task(index())
        while not indexing.done():
            await store.change(ACME, "vs_1", lambda found: replace(found, updated_at=found.updated_at + 1))
            assert len(await store.chunks(ACME, "vs_1", "file_1")) in (0, 2_000)
            between += 1
    assert indexing.result()
    assert between >= 3
    kept = await store.get(ACME, "vs_1")
    assert kept
    assert (kept.updated_at, kept.completed) == (1_000 + between, 1)
