"""Files in line are indexed, once, whatever happens to who does it."""

import asyncio
import struct

import pytest
from knowledge_stage import CALLER, DIMENSIONS, PATIENCE, staged

from freddy.server.core import errors
from freddy.server.core.vector_stores import Chunking
from freddy.server.knowledge.ingestion import Pace
from freddy.server.knowledge.vector_stores import NewFile, Quotas
from freddy.server.ports.stores import Page

FOXES = "Foxes are red. They rest in burrows during the winter."
LONG = " ".join(f"Sentence number {number} tells about badgers." for number in range(400))


async def test_a_file_is_indexed_and_its_text_can_be_read_again(stage):
    file = await stage.upload("# Foxes\n\n" + FOXES, "foxes.md")
    store = await stage.store(NewFile(file.id, {"year": 2024.0, "kind": "mammal"}))
    assert (store.in_progress, store.completed) == (1, 0)
    async with stage.ingestion.working():
        ended = await stage.ended(store, file.id)
    assert (ended.status, ended.failure, ended.chunks, ended.progress) == ("completed", None, 1, 1.0)
    assert ended.attributes == {"year": 2024.0, "kind": "mammal"}
    assert ended.bytes >= len(FOXES) + 4 * DIMENSIONS
    _, chunks = await stage.knowledge.content(CALLER, store.id, file.id)
    assert [chunk.text for chunk in chunks] == ["# Foxes\n\n" + FOXES]
    kept = await stage.knowledge.get(CALLER, store.id)
    assert (kept.in_progress, kept.completed, kept.bytes) == (0, 1, ended.bytes)


async def test_a_file_that_is_added_wakes_the_worker_at_once(tmp_path):
    async with staged(tmp_path, pace=Pace(poll_seconds=3600)) as stage:
        store = await stage.store()
        async with stage.ingestion.working():
            await asyncio.sleep(0)
            for name in ("a.txt", "b.txt", "c.txt"):
                file = await stage.upload(FOXES, name)
                await stage.knowledge.add_file(CALLER, store.id, NewFile(file.id))
                assert (await stage.ended(store, file.id)).status == "completed"


async def test_files_that_others_added_are_found_by_looking(stage):
    file = await stage.upload(FOXES)
    other = stage.worker()
    async with other.working():
        store = await stage.store(NewFile(file.id))
        assert (await stage.ended(store, file.id)).status == "completed"


async def test_a_long_file_is_cut_as_asked_and_its_progress_is_told(stage):
    file = await stage.upload(LONG)
    store = await stage.store(NewFile(file.id, chunking=Chunking(100, 0)))
    stage.embedder.gate.clear()
    async with stage.ingestion.working(), asyncio.timeout(PATIENCE):
        await stage.embedder.asked.wait()
        progress = 0.0
        while not progress:
            progress = (await stage.knowledge.get_file(CALLER, store.id, file.id)).progress
            await asyncio.sleep(0.01)
        assert progress < 1
        stage.embedder.gate.set()
        ended = await stage.ended(store, file.id)
    assert ended.chunks == len(stage.embedder.read) > 20


async def test_the_vector_of_a_chunk_that_is_too_long_for_the_embedder_has_all_of_it(stage):
    stage.embedder.longest = 60
    file = await stage.upload(LONG[:1500] + " Zebras end this.")
    store = await stage.store(NewFile(file.id, chunking=Chunking(800, 0)))
    async with stage.ingestion.working():
        assert (await stage.ended(store, file.id)).chunks == 1
    assert len(stage.embedder.read) > 3
    wanted = stage.embedder.vector("Zebras end this.")
    (near,) = await stage.stores.nearest("org_1", [store.id], wanted, limit=5)
    head = struct.unpack(f"<{DIMENSIONS}f", stage.embedder.vector(LONG[:200]))
    asked = struct.unpack(f"<{DIMENSIONS}f", wanted)
    assert near.score > sum(one * other for one, other in zip(head, asked, strict=True))


@pytest.mark.parametrize(
    ("content", "filename", "code", "says"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"0" * 100, "fox.png", "unsupported_file", "image/png"),
        (b"\0\1\2" * 100, "fox.bin", "unsupported_file", "application/octet-stream"),
        (b"%PDF-1.7 broken", "fox.pdf", "invalid_file", "cannot be read"),
        (b"PK\x03\x04 broken", "fox.docx", "invalid_file", "cannot be read"),
        (b"  \n \n ", "blank.txt", "invalid_file", "no text"),
    ],
)
async def test_a_file_that_cannot_be_indexed_fails_with_a_reason_for_people(stage, content, filename, code, says):
    file = await stage.upload(content, filename)
    store = await stage.store(NewFile(file.id))
    async with stage.ingestion.working():
        ended = await stage.ended(store, file.id)
    assert (ended.status, ended.failure.code) == ("failed", code)
    assert says in ended.failure.message
    assert (await stage.knowledge.get(CALLER, store.id)).failed == 1


async def test_one_bad_file_does_not_keep_the_others_from_being_indexed(stage):
    bad, good = await stage.upload(b"%PDF-1.7 broken", "bad.pdf"), await stage.upload(FOXES)
    store = await stage.store()
    batch = await stage.knowledge.add_batch(CALLER, store.id, [NewFile(bad.id), NewFile(good.id)])
    assert batch.in_progress == 2
    async with stage.ingestion.working():
        for file in (bad, good):
            await stage.ended(store, file.id)
    told = await stage.knowledge.get_batch(CALLER, store.id, batch.id)
    assert (told.in_progress, told.completed, told.failed) == (0, 1, 1)


async def test_a_text_that_is_too_long_fails_and_names_the_setting(tmp_path):
    async with staged(tmp_path, characters=1_000) as stage:
        file = await stage.upload("Foxes. " * 200)
        store = await stage.store(NewFile(file.id))
        async with stage.ingestion.working():
            ended = await stage.ended(store, file.id)
        assert ended.failure.code == "quota_exceeded"
        assert "1,000 characters" in ended.failure.message
        assert "knowledge.max_text_characters" in ended.failure.message


async def test_a_file_for_which_the_organization_has_no_room_fails_and_names_the_setting(tmp_path):
    async with staged(tmp_path, quotas=Quotas(bytes=1_000)) as stage:
        file = await stage.upload(LONG)
        store = await stage.store(NewFile(file.id))
        async with stage.ingestion.working():
            ended = await stage.ended(store, file.id)
        assert ended.failure.code == "quota_exceeded"
        assert "knowledge.max_bytes" in ended.failure.message


async def test_an_embedder_that_fails_for_a_while_is_asked_again(stage):
    stage.embedder.faults = [errors.ProviderUnavailable("away"), errors.RateLimited("slow", retry_after=0.01)]
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id))
    async with stage.ingestion.working():
        assert (await stage.ended(store, file.id)).status == "completed"


async def test_an_embedder_that_stays_away_fails_the_file_which_can_be_tried_again(stage):
    stage.embedder.faults = [errors.ProviderTimeout("too slow")] * 3
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id))
    async with stage.ingestion.working():
        ended = await stage.ended(store, file.id)
        assert (ended.status, ended.failure.code) == ("failed", "server_error")
        assert "too slow" in ended.failure.message
        assert (await stage.knowledge.retry(CALLER, store.id, file.id)).status == "in_progress"
        assert (await stage.ended(store, file.id)).status == "completed"
    with pytest.raises(errors.Conflict):
        await stage.knowledge.retry(CALLER, store.id, file.id)


async def test_a_fault_of_the_server_fails_the_file_and_not_the_worker(stage, caplog):
    stage.embedder.faults = [ValueError("a fault")]
    bad, good = await stage.upload(FOXES), await stage.upload(FOXES)
    store = await stage.store(NewFile(bad.id))
    async with stage.ingestion.working():
        ended = await stage.ended(store, bad.id)
        assert (ended.failure.code, "a fault" in ended.failure.message) == ("server_error", False)
        await stage.knowledge.add_file(CALLER, store.id, NewFile(good.id))
        assert (await stage.ended(store, good.id)).status == "completed"
    assert "indexing_fault" in caplog.text


async def test_a_fault_of_the_store_takes_nobody_along(stage, caplog):
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id))
    real = stage.ingestion._stores

    class Faulty:
        """Fails once each to claim and to report, then does what the real one does."""

        def __init__(self):
            self.faults = {"claim", "report"}
            self.met = asyncio.Event()

        def __getattr__(self, name):
            if name in self.faults:
                self.faults.remove(name)
                if not self.faults:
                    self.met.set()
                raise RuntimeError("a fault")
            return getattr(real, name)

    stage.ingestion._stores = faulty = Faulty()
    async with stage.ingestion.working():
        async with asyncio.timeout(PATIENCE):
            await faulty.met.wait()
        stage.clock.advance(61)
        assert (await stage.ended(store, file.id)).status == "completed"
    assert caplog.text.count("ingestion_fault") >= 2


async def test_a_model_that_is_not_configured_any_more_fails_the_file(stage):
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id), embedder="stage/other")
    del stage.embedders.by_name["stage/other"]
    async with stage.ingestion.working():
        ended = await stage.ended(store, file.id)
    assert (ended.failure.code, "stage/other" in ended.failure.message) == ("server_error", True)


async def test_what_a_stopped_worker_was_at_is_begun_anew_at_once(stage):
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id))
    stage.embedder.gate.clear()
    async with stage.ingestion.working(), asyncio.timeout(PATIENCE):
        await stage.embedder.asked.wait()
    stage.embedder.gate.set()
    async with stage.worker().working():
        ended = await stage.ended(store, file.id)
    assert (ended.status, ended.attempts) == ("completed", 2)


async def test_what_a_killed_worker_was_at_is_begun_anew_when_its_lease_is_over(stage):
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id))
    (claimed,) = await stage.stores.claim(int(stage.clock.now()), lease=60, limit=5)
    assert claimed.file_id == file.id
    async with stage.ingestion.working():
        stage.clock.advance(61)
        assert (await stage.ended(store, file.id)).status == "completed"
    assert not await stage.stores.report(claimed, int(stage.clock.now()), lease=60, progress=0.5)


async def test_a_file_that_ends_every_worker_fails_in_the_end(stage):
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id))
    for _ in range(stage.pace.attempts):
        assert await stage.stores.claim(int(stage.clock.now()), lease=60, limit=5)
        stage.clock.advance(61)
    async with stage.ingestion.working():
        ended = await stage.ended(store, file.id)
    assert (ended.status, ended.failure.code) == ("failed", "server_error")
    assert "broke off 5 times" in ended.failure.message


async def test_the_work_on_a_file_that_was_removed_ends(tmp_path):
    async with staged(tmp_path, pace=Pace(poll_seconds=0.05, lease_seconds=1)) as stage:
        file, other = await stage.upload(FOXES), await stage.upload(FOXES)
        store = await stage.store(NewFile(file.id))
        stage.embedder.gate.clear()
        async with stage.ingestion.working(), asyncio.timeout(PATIENCE):
            await stage.embedder.asked.wait()
            await stage.knowledge.remove_file(CALLER, store.id, file.id)
            stage.embedder.gate.set()
            await stage.knowledge.add_file(CALLER, store.id, NewFile(other.id))
            assert (await stage.ended(store, other.id)).status == "completed"
        assert (await stage.knowledge.get(CALLER, store.id)).files == 1


async def test_a_file_that_was_deleted_meanwhile_fails(stage):
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id))
    await stage.files.delete(file.id, CALLER)
    async with stage.ingestion.working():
        ended = await stage.ended(store, file.id)
    assert (ended.failure.code, "gone" in ended.failure.message) == ("invalid_file", True)


async def test_no_more_files_are_indexed_at_once_than_may_be(tmp_path):
    async with staged(tmp_path, pace=Pace(at_once=2, poll_seconds=0.05)) as stage:
        files = [await stage.upload(FOXES, f"{number}.txt") for number in range(5)]
        stage.embedder.gate.clear()
        store = await stage.store(*(NewFile(file.id) for file in files))
        async with stage.ingestion.working(), asyncio.timeout(PATIENCE):
            begun = 0
            while begun < 2:
                listed, _ = await stage.knowledge.list_files(CALLER, store.id, Page(limit=100))
                begun = sum(file.attempts for file in listed)
                await asyncio.sleep(0.01)
            stage.embedder.gate.set()
            assert begun == 2
            for file in files:
                assert (await stage.ended(store, file.id)).status == "completed"


async def test_two_workers_index_each_file_once(stage):
    files = [await stage.upload(f"{FOXES} {number}", f"{number}.txt") for number in range(8)]
    store = await stage.store(*(NewFile(file.id) for file in files))
    async with stage.ingestion.working(), stage.worker().working():
        ended = [await stage.ended(store, file.id) for file in files]
    assert [(file.status, file.attempts) for file in ended] == [("completed", 1)] * 8
    assert len(stage.embedder.read) == 8


async def test_the_text_of_a_document_is_kept_and_read_only_once(stage):
    file = await stage.upload("<p>Foxes are red.</p>", "foxes.html")
    store = await stage.store(NewFile(file.id))
    async with stage.ingestion.working():
        await stage.ended(store, file.id)
    assert await stage.files.kept_text(file) == "Foxes are red."
    await stage.files.keep_text(file, "Badgers are black.")
    await stage.knowledge.add_file(CALLER, store.id, NewFile(file.id))
    async with stage.ingestion.working():
        await stage.ended(store, file.id)
    _, chunks = await stage.knowledge.content(CALLER, store.id, file.id)
    assert [chunk.text for chunk in chunks] == ["Badgers are black."]


async def test_a_kept_text_that_was_cut_is_read_anew(stage):
    file = await stage.upload("<p>Foxes are red.</p>", "foxes.html")
    await stage.files.keep_text(file, "Foxes " * 10_000)
    store = await stage.store(NewFile(file.id))
    async with stage.ingestion.working():
        await stage.ended(store, file.id)
    _, chunks = await stage.knowledge.content(CALLER, store.id, file.id)
    assert [chunk.text for chunk in chunks] == ["Foxes are red."]
