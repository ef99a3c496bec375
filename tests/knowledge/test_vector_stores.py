"""What can be done with vector stores, by whom, and up to which limits."""

import asyncio

import pytest
from knowledge_stage import CALLER, DIMENSIONS, STRANGER, staged

from freddy.server.core import errors
from freddy.server.core.vector_stores import Chunking, Expiry
from freddy.server.knowledge.retrieval import Search
from freddy.server.knowledge.vector_stores import NewFile, NewStore, Quotas, StoreChange
from freddy.server.ports.stores import Page

FOXES = "Foxes are red. They rest in burrows during the winter."
DAY = 86_400


async def test_a_store_is_made_with_what_is_said_of_it_and_the_usual_embedder(stage):
    store = await stage.knowledge.create(
        CALLER,
        NewStore(
            name="Handbook",
            description="What we agreed on",
            metadata={"team": "ops"},
            access_mode="private",
            expiry=Expiry(7),
        ),
    )
    assert store.id.startswith("vs_")
    assert (store.embedder, store.dimensions, store.created_by) == ("stage/words", DIMENSIONS, "key_1")
    assert (store.access_mode, store.metadata, store.expires_at) == (
        "private",
        {"team": "ops"},
        store.used_at + 7 * DAY,
    )
    assert await stage.knowledge.get(CALLER, store.id) == store


async def test_a_store_can_have_another_embedder_but_none_that_is_not_there(stage):
    store = await stage.knowledge.create(CALLER, NewStore(embedder="stage/other"))
    assert (store.embedder, store.dimensions) == ("stage/other", 32)
    with pytest.raises(errors.NotFound) as unknown:
        await stage.knowledge.create(CALLER, NewStore(embedder="nobody/nothing"))
    assert unknown.value.code == "embedding_model_not_found"
    assert len((await stage.knowledge.list(CALLER, Page()))[0]) == 1


async def test_stores_of_others_are_as_unknown_as_those_that_never_were(stage):
    file = await stage.upload(FOXES)
    store = await stage.store(NewFile(file.id))
    knowledge = stage.knowledge
    for store_id in (store.id, "vs_nothing"):
        for attempt in (
            knowledge.get(STRANGER, store_id),
            knowledge.change(STRANGER, store_id, StoreChange(name="Mine")),
            knowledge.delete(STRANGER, store_id),
            knowledge.add_file(STRANGER, store_id, NewFile(file.id)),
            knowledge.add_batch(STRANGER, store_id, [NewFile(file.id)]),
            knowledge.get_file(STRANGER, store_id, file.id),
            knowledge.list_files(STRANGER, store_id, Page()),
            knowledge.remove_file(STRANGER, store_id, file.id),
            knowledge.retry(STRANGER, store_id, file.id),
            knowledge.set_attributes(STRANGER, store_id, file.id, {}),
            knowledge.content(STRANGER, store_id, file.id),
            knowledge.get_batch(STRANGER, store_id, "vsfb_1"),
            knowledge.cancel_batch(STRANGER, store_id, "vsfb_1"),
            knowledge.search(STRANGER, store_id, Search(queries=["foxes"])),
        ):
            with pytest.raises(errors.NotFound) as unknown:
                await attempt
            assert (unknown.value.param, unknown.value.code) == ("vector_store_id", "vector_store_not_found")
            assert unknown.value.message == f"There is no vector store {store_id!r}"
    assert (await knowledge.list(STRANGER, Page()))[0] == []


async def test_a_store_cannot_have_the_file_of_another_organization(stage):
    file = await stage.upload(FOXES, caller=STRANGER)
    store = await stage.store()
    for attempt in (
        stage.knowledge.add_file(CALLER, store.id, NewFile(file.id)),
        stage.knowledge.create(CALLER, NewStore(files=[NewFile(file.id)])),
    ):
        with pytest.raises(errors.NotFound) as unknown:
            await attempt
        assert unknown.value.code == "file_not_found"
    assert len((await stage.knowledge.list(CALLER, Page()))[0]) == 1


async def test_what_is_not_named_in_a_change_stays(stage):
    store = await stage.store(description="Old", metadata={"a": "1"}, expiry=Expiry(3))
    changed = await stage.knowledge.change(CALLER, store.id, StoreChange(name="New", expiry=None))
    assert (changed.name, changed.description, changed.metadata, changed.expiry) == ("New", "Old", {"a": "1"}, None)
    more = await stage.knowledge.change(
        CALLER, store.id, lambda before: StoreChange(metadata={**before.metadata, "b": "2"})
    )
    assert more.metadata == {"a": "1", "b": "2"}


async def test_stores_are_listed_page_by_page(stage):
    made = []
    for _ in range(3):
        made.append((await stage.store()).id)
        stage.clock.advance(1)
    first, more = await stage.knowledge.list(CALLER, Page(limit=2))
    assert ([store.id for store in first], more) == ([made[2], made[1]], True)
    rest, more = await stage.knowledge.list(CALLER, Page(limit=2, after=made[1]))
    assert ([store.id for store in rest], more) == ([made[0]], False)


async def test_a_deleted_store_is_gone_and_its_files_stay(stage):
    store = await stage.stocked(foxes=FOXES)
    (file,), _ = await stage.knowledge.list_files(CALLER, store.id, Page())
    assert (await stage.knowledge.delete(CALLER, store.id)).id == store.id
    with pytest.raises(errors.NotFound):
        await stage.knowledge.get(CALLER, store.id)
    assert (await stage.files.get(file.file_id, CALLER)).filename == "foxes.txt"


async def test_too_many_stores_are_refused_with_the_name_of_the_setting(tmp_path):
    async with staged(tmp_path, quotas=Quotas(stores=1)) as stage:
        await stage.store()
        with pytest.raises(errors.Conflict) as full:
            await stage.store()
        assert (full.value.code, "knowledge.max_stores" in full.value.details) == ("too_many_vector_stores", True)


async def test_too_many_files_are_refused_together_with_the_name_of_the_setting(tmp_path):
    async with staged(tmp_path, quotas=Quotas(store_files=2)) as stage:
        files = [NewFile((await stage.upload(FOXES)).id) for _ in range(3)]
        store = await stage.store()
        with pytest.raises(errors.Conflict) as full:
            await stage.knowledge.add_batch(CALLER, store.id, files)
        assert (full.value.code, "knowledge.max_store_files" in full.value.details) == ("vector_store_full", True)
        assert (await stage.knowledge.get(CALLER, store.id)).files == 0


async def test_a_file_that_is_too_large_is_refused_with_the_name_of_the_setting(tmp_path):
    async with staged(tmp_path, quotas=Quotas(file_bytes=10)) as stage:
        file = await stage.upload(FOXES)
        store = await stage.store()
        with pytest.raises(errors.TooLarge) as large:
            await stage.knowledge.add_file(CALLER, store.id, NewFile(file.id))
        assert (large.value.code, "knowledge.max_file_bytes" in large.value.details) == ("file_too_large", True)


async def test_an_organization_without_room_adds_nothing_more(tmp_path):
    async with staged(tmp_path, quotas=Quotas(bytes=500)) as stage:
        store = await stage.stocked(foxes=FOXES)
        file = await stage.upload(FOXES)
        async with stage.ingestion.working():
            await stage.knowledge.add_file(CALLER, store.id, NewFile(file.id))
            assert (await stage.ended(store, file.id)).failure.code == "quota_exceeded"
    async with staged(tmp_path / "other", quotas=Quotas(bytes=1)) as stage:
        stage.indexer._bounds = type(stage.indexer._bounds)()
        store = await stage.stocked(foxes=FOXES)
        with pytest.raises(errors.Conflict) as full:
            await stage.knowledge.add_file(CALLER, store.id, NewFile((await stage.upload(FOXES)).id))
        assert (full.value.code, "knowledge.max_bytes" in full.value.details) == ("vector_stores_full", True)


@pytest.mark.parametrize(
    ("new", "param"),
    [
        (NewFile("x", {f"key{number}": 1.0 for number in range(17)}), "attributes"),
        (NewFile("x", {"k" * 65: 1.0}), "attributes"),
        (NewFile("x", {"kind": "v" * 513}), "attributes.kind"),
        (NewFile("x", chunking=Chunking(99, 0)), "chunking_strategy.static.max_chunk_size_tokens"),
        (NewFile("x", chunking=Chunking(4097, 0)), "chunking_strategy.static.max_chunk_size_tokens"),
        (NewFile("x", chunking=Chunking(100, 51)), "chunking_strategy.static.chunk_overlap_tokens"),
    ],
)
async def test_attributes_and_sizes_out_of_their_bounds_are_refused(stage, new, param):
    store = await stage.store()
    with pytest.raises(errors.InvalidValue) as refused:
        await stage.knowledge.add_file(CALLER, store.id, new)
    assert refused.value.param == param


async def test_files_come_alone_or_in_a_batch_and_ids_may_be_written_as_openai_does(stage):
    one, two = await stage.upload(FOXES), await stage.upload(FOXES, "two.txt")
    store = await stage.store()
    alone = await stage.knowledge.add_file(CALLER, store.id, NewFile(one.id.replace("file_", "file-")))
    assert (alone.file_id, alone.batch_id, alone.chunking) == (one.id, None, Chunking(200, 50))
    batch = await stage.knowledge.add_batch(CALLER, store.id, [NewFile(two.id), NewFile(two.id)])
    assert (batch.in_progress, batch.store_id) == (1, store.id)
    (found,), _ = await stage.knowledge.list_files(CALLER, store.id, Page(), batch_id=batch.id)
    assert (found.file_id, found.filename) == (two.id, "two.txt")
    with pytest.raises(errors.NotFound) as unknown:
        await stage.knowledge.list_files(CALLER, store.id, Page(), batch_id="vsfb_nothing")
    assert unknown.value.param == "batch_id"


async def test_files_are_listed_by_status_and_taken_out_again(stage):
    store = await stage.stocked(foxes=FOXES)
    waiting = await stage.upload(FOXES)
    await stage.knowledge.add_file(CALLER, store.id, NewFile(waiting.id))
    (done,), _ = await stage.knowledge.list_files(CALLER, store.id, Page(), status="completed")
    (line,), _ = await stage.knowledge.list_files(CALLER, store.id, Page(), status="in_progress")
    assert (done.filename, line.file_id) == ("foxes.txt", waiting.id)
    await stage.knowledge.remove_file(CALLER, store.id, done.file_id)
    for attempt in (
        stage.knowledge.remove_file(CALLER, store.id, done.file_id),
        stage.knowledge.get_file(CALLER, store.id, done.file_id),
        stage.knowledge.retry(CALLER, store.id, done.file_id),
    ):
        with pytest.raises(errors.NotFound) as unknown:
            await attempt
        assert (unknown.value.param, unknown.value.code) == ("file_id", "vector_store_file_not_found")
    assert (await stage.knowledge.search(CALLER, store.id, Search(queries=["foxes"]))).passages == []


async def test_a_batch_is_cancelled_as_far_as_it_is_not_indexed_and_can_be_tried_again(stage):
    files = [await stage.upload(FOXES) for _ in range(2)]
    store = await stage.store()
    batch = await stage.knowledge.add_batch(CALLER, store.id, [NewFile(file.id) for file in files])
    cancelled = await stage.knowledge.cancel_batch(CALLER, store.id, batch.id)
    assert (cancelled.cancelled, cancelled.in_progress, cancelled.cancelled_files) == (True, 0, 2)
    async with stage.ingestion.working():
        await asyncio.sleep(0)
        assert (await stage.knowledge.get_file(CALLER, store.id, files[0].id)).status == "cancelled"
        await stage.knowledge.retry(CALLER, store.id, files[0].id)
        assert (await stage.ended(store, files[0].id)).status == "completed"
    for attempt in (stage.knowledge.get_batch, stage.knowledge.cancel_batch):
        with pytest.raises(errors.NotFound) as unknown:
            await attempt(CALLER, store.id, "vsfb_nothing")
        assert unknown.value.param == "batch_id"


async def test_changed_attributes_count_for_searches_at_once(stage):
    store = await stage.stocked(foxes=FOXES)
    (file,), _ = await stage.knowledge.list_files(CALLER, store.id, Page())
    changed = await stage.knowledge.set_attributes(CALLER, store.id, file.file_id, {"year": 2024})
    assert (changed.attributes, changed.status) == ({"year": 2024}, "completed")
    (passage,) = (await stage.knowledge.search(CALLER, store.id, Search(queries=["foxes"]))).passages
    assert passage.attributes == {"year": 2024}


async def test_a_deleted_file_is_in_no_store_any_more(stage):
    file = await stage.upload(FOXES)
    stores = [await stage.store(NewFile(file.id)) for _ in range(2)]
    await stage.files.delete(file.id, CALLER)
    await stage.knowledge.forgotten("org_1", file.id)
    for store in stores:
        assert (await stage.knowledge.get(CALLER, store.id)).files == 0


async def test_a_store_whose_time_is_over_cannot_be_used_and_is_swept_away(stage):
    short = await stage.store(expiry=Expiry(1))
    used = await stage.store(expiry=Expiry(1))
    long = await stage.store()
    stage.clock.advance(DAY / 2)
    await stage.knowledge.search(CALLER, used.id, Search(queries=["foxes"]))
    stage.clock.advance(DAY / 2)
    file = await stage.upload(FOXES)
    for attempt in (
        stage.knowledge.search(CALLER, short.id, Search(queries=["foxes"])),
        stage.knowledge.add_file(CALLER, short.id, NewFile(file.id)),
    ):
        with pytest.raises(errors.InvalidRequest) as over:
            await attempt
        assert (over.value.param, over.value.code) == ("vector_store_id", "vector_store_expired")
    await stage.knowledge.sweep()
    kept, _ = await stage.knowledge.list(CALLER, Page())
    assert {store.id for store in kept} == {used.id, long.id}


async def test_usage_counts_all_stores_of_the_organization(stage):
    one, two = await stage.stocked(foxes=FOXES), await stage.stocked(otters="Otters swim.", badgers="Badgers dig.")
    totals, stores = await stage.knowledge.usage(CALLER)
    assert (totals.stores, totals.files, totals.chunks) == (2, 3, 3)
    assert totals.bytes == one.bytes + two.bytes
    assert {store.id for store in stores} == {one.id, two.id}
    assert (await stage.knowledge.usage(STRANGER))[0].stores == 0


@pytest.mark.parametrize(
    ("search", "param"),
    [
        (Search(queries=["a"], most=0), "max_num_results"),
        (Search(queries=["a"], most=51), "max_num_results"),
        (Search(queries=["a"], least_score=1.1), "ranking_options.score_threshold"),
        (Search(queries=[]), "query"),
        (Search(queries=[" "]), "query"),
        (Search(queries=["a"] * 11), "query"),
    ],
)
async def test_a_search_out_of_its_bounds_is_refused(stage, search, param):
    store = await stage.store()
    with pytest.raises(errors.InvalidValue) as refused:
        await stage.knowledge.search(CALLER, store.id, search)
    assert refused.value.param == param


async def test_a_life_out_of_its_bounds_is_refused(stage):
    for days in (0, 366):
        with pytest.raises(errors.InvalidValue) as refused:
            await stage.store(expiry=Expiry(days))
        assert refused.value.param == "expires_after.days"
