"""The project's own client makes vector stores, fills them, waits, and searches them."""

import asyncio

import pytest

import freddy
from stores_stage import HANDBOOK

QUICK = {"seconds": 60.0, "poll_seconds": 0.02}


@pytest.fixture
def client(shelf):
    return shelf.gateway.freddy()


async def uploaded(client, name="refunds.md"):
    return (await client.files.create(HANDBOOK[name].encode(), filename=name, purpose="assistants")).id


async def test_a_store_is_made_changed_listed_and_deleted(client):
    store = await client.vector_stores.create(
        "Handbook", description="What we promise", metadata={"team": "a"}, expires_after_days=7
    )
    assert (store.name, store.description, store.status, store.metadata) == (
        "Handbook",
        "What we promise",
        "completed",
        {"team": "a"},
    )
    assert (store.expires_after.days, store.file_counts.total) == (7, 0)
    assert await client.vector_stores.get(store.id) == store
    changed = await client.vector_stores.update(store.id, name="Rules", expires_after_days=None)
    assert (changed.name, changed.expires_at, changed.metadata) == ("Rules", None, {"team": "a"})
    others = [(await client.vector_stores.create()).id for _ in range(3)]
    page = await client.vector_stores.list(limit=2, order="asc")
    assert [one.id async for one in page] == [store.id, *others]
    assert (await client.vector_stores.delete(store.id)).deleted
    with pytest.raises(freddy.NotFoundError):
        await client.vector_stores.get(store.id)


async def test_a_file_is_added_awaited_searched_and_removed(client, shelf):
    store = await client.vector_stores.create("Handbook")
    files = client.vector_stores.files
    file_id = await uploaded(client)
    added = await files.add(store.id, file_id, attributes={"topic": "money"})
    assert (added.id, added.vector_store_id) == (file_id, store.id)
    done = await files.wait(store.id, file_id, **QUICK)
    assert (done.status, done.last_error, done.attributes) == ("completed", None, {"topic": "money"})
    assert await files.content(store.id, file_id) == [HANDBOOK["refunds.md"].strip()]
    [found] = await client.vector_stores.search(
        store.id,
        "How long does a refund take?",
        filters={"type": "eq", "key": "topic", "value": "money"},
        max_num_results=3,
        ranker="hybrid",
        score_threshold=0.1,
    )
    assert (found.filename, found.attributes) == ("refunds.md", {"topic": "money"})
    assert found.text.startswith("# Refunds")
    assert 0 < found.score <= 1
    assert (await files.update(store.id, file_id, attributes={"topic": "law"})).attributes == {"topic": "law"}
    assert [one.id async for one in await files.list(store.id, status="completed")] == [file_id]
    assert (await files.remove(store.id, file_id)).deleted
    assert (await files.list(store.id)).data == []
    assert await client.vector_stores.search(store.id, ["refund", "parcel"]) == []


async def test_a_file_that_failed_is_tried_again_as_it_was_added(client, shelf):
    store = await client.vector_stores.create("Handbook")
    file_id = await uploaded(client)
    shelf.embedder.away = True
    sizes = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 10}}
    await client.vector_stores.files.add(store.id, file_id, attributes={"topic": "money"}, chunking_strategy=sizes)
    failed = await client.vector_stores.files.wait(store.id, file_id, **QUICK)
    assert (failed.status, failed.last_error.code) == ("failed", "server_error")
    shelf.embedder.away = False
    await client.vector_stores.files.retry(store.id, file_id)
    done = await client.vector_stores.files.wait(store.id, file_id, **QUICK)
    assert (done.status, done.attributes, done.raw["chunking_strategy"]) == ("completed", {"topic": "money"}, sizes)


async def test_waiting_has_an_end(client, shelf):
    file_id = await uploaded(client)
    store = await client.vector_stores.create()
    shelf.embedder.held.clear()
    await client.vector_stores.files.add(store.id, file_id)
    with pytest.raises(TimeoutError, match=r"still in progress after 0\.1 seconds"):
        await client.vector_stores.files.wait(store.id, file_id, seconds=0.1, poll_seconds=0.05)


async def test_a_batch_is_awaited_and_told_by_file(client, shelf):
    store = await client.vector_stores.create("Handbook")
    batches = client.vector_stores.batches
    ids = [await uploaded(client, name) for name in HANDBOOK]
    batch = await batches.create(store.id, ids, attributes={"of": "batch"})
    done = await batches.wait(store.id, batch.id, **QUICK)
    assert (done.status, done.file_counts.completed) == ("completed", 3)
    assert await batches.get(store.id, batch.id) == done
    files = [one async for one in await batches.files(store.id, batch.id, limit=2)]
    assert {one.id: one.attributes["of"] for one in files} == dict.fromkeys(ids, "batch")
    shelf.embedder.held.clear()
    slow = await batches.create(store.id, files=[{"file_id": ids[0]}])
    assert (await batches.cancel(store.id, slow.id)).file_counts.cancelled == 1


async def test_the_synchronous_client_does_the_same(shelf):
    gateway = shelf.gateway

    def work():
        with freddy.FreddyClient(gateway.settings.dev.api_key, base_url=gateway.url) as client:
            file = client.files.create(HANDBOOK["office.md"].encode(), filename="office.md", purpose="assistants")
            store = client.vector_stores.create("Sync", file_ids=[file.id])
            client.vector_stores.files.wait(store.id, file.id, **QUICK)
            return [one.filename for one in client.vector_stores.search(store.id, "kitchen")]

    assert await asyncio.to_thread(work) == ["office.md"]


async def test_a_client_of_several_organizations_says_which_one_it_means(shelf):
    key = (await shelf.gateway.mint("org_a", "org_b")).secret
    for organization in ("org_a", "org_b"):
        client = shelf.gateway.freddy(key, organization_id=organization)
        store = await client.vector_stores.create(organization)
        assert [one.name async for one in await client.vector_stores.list()] == [organization]
        assert (await client.vector_stores.get(store.id)).name == organization
