"""OpenAI's own client makes vector stores, fills them and searches them; it checks every answer against its types."""

import openai
import pytest
from openai.types import VectorStore
from openai.types.vector_stores import VectorStoreFile, VectorStoreFileBatch

from stores_stage import HANDBOOK

QUICK = 50
"""Milliseconds between two looks."""


@pytest.fixture
def client(shelf):
    return shelf.gateway.openai(_strict_response_validation=True)


def extra(value) -> set[str]:
    """What an answer has that its type does not know."""
    return set(value.model_extra or {})


async def uploaded(client, name="refunds.md"):
    content = HANDBOOK[name].encode()
    return (await client.files.create(file=(name, content), purpose="assistants")).id


async def test_a_store_is_made_read_changed_listed_and_deleted(client):
    store = await client.vector_stores.create(
        name="Handbook",
        description="What we promise",
        metadata={"team": "a"},
        expires_after={"anchor": "last_active_at", "days": 7},
    )
    assert type(store) is VectorStore
    assert extra(store) == {"description"}
    assert not extra(store.file_counts)
    assert (store.object, store.name, store.status, store.metadata) == (
        "vector_store",
        "Handbook",
        "completed",
        {"team": "a"},
    )
    assert (store.expires_after.anchor, store.expires_after.days) == ("last_active_at", 7)
    assert store.expires_at == store.last_active_at + 7 * 86_400
    assert await client.vector_stores.retrieve(store.id) == store
    changed = await client.vector_stores.update(store.id, name="Rules", expires_after=None, metadata={})
    assert (changed.name, changed.expires_after, changed.metadata) == ("Rules", None, {})
    others = [(await client.vector_stores.create()).id for _ in range(3)]
    listed = [one.id async for one in client.vector_stores.list(limit=2)]
    assert listed == [*reversed(others), store.id]
    assert [one.id async for one in client.vector_stores.list(limit=3, order="asc")] == [store.id, *others]
    page = await client.vector_stores.list(before=others[1], order="asc")
    assert [one.id for one in page.data] == [store.id, others[0]]
    gone = await client.vector_stores.delete(store.id)
    assert (gone.id, gone.object, gone.deleted, extra(gone)) == (store.id, "vector_store.deleted", True, set())
    with pytest.raises(openai.NotFoundError) as raised:
        await client.vector_stores.retrieve(store.id)
    assert raised.value.code == "vector_store_not_found"


async def test_a_file_is_added_and_followed_by_the_client_itself(client):
    store = await client.vector_stores.create(name="Handbook")
    file_id = await uploaded(client)
    sizes = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}
    file = await client.vector_stores.files.create_and_poll(
        file_id,
        vector_store_id=store.id,
        attributes={"topic": "money", "year": 2026, "draft": False},
        chunking_strategy={"type": "static", "static": sizes},
        poll_interval_ms=QUICK,
    )
    assert type(file) is VectorStoreFile
    assert (file.id, file.object, file.status, file.last_error, extra(file)) == (
        file_id,
        "vector_store.file",
        "completed",
        None,
        set(),
    )
    assert file.attributes == {"topic": "money", "year": 2026, "draft": False}
    assert file.chunking_strategy.type == "static"
    assert file.chunking_strategy.static.model_dump() == sizes
    assert (await client.vector_stores.retrieve(store.id)).file_counts.model_dump() == {
        "cancelled": 0,
        "completed": 1,
        "failed": 0,
        "in_progress": 0,
        "total": 1,
    }
    again = await client.vector_stores.files.retrieve(file_id, vector_store_id=store.id)
    assert again == file
    changed = await client.vector_stores.files.update(file_id, vector_store_id=store.id, attributes={"topic": "law"})
    assert changed.attributes == {"topic": "law"}
    [content] = [one async for one in client.vector_stores.files.content(file_id, vector_store_id=store.id)]
    assert (content.type, content.text) == ("text", HANDBOOK["refunds.md"].strip())
    gone = await client.vector_stores.files.delete(file_id, vector_store_id=store.id)
    assert (gone.id, gone.object, gone.deleted) == (file_id, "vector_store.file.deleted", True)
    assert [one async for one in client.vector_stores.files.list(store.id)] == []


async def test_a_file_is_uploaded_into_a_store(client):
    store = await client.vector_stores.create()
    file = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("office.md", HANDBOOK["office.md"].encode()), poll_interval_ms=QUICK
    )
    assert file.status == "completed"
    assert [one.id async for one in client.vector_stores.files.list(store.id, filter="completed")] == [file.id]
    assert [one async for one in client.vector_stores.files.list(store.id, filter="failed")] == []


async def test_a_batch_is_made_followed_and_cancelled(client, shelf):
    store = await client.vector_stores.create()
    ids = [await uploaded(client, name) for name in HANDBOOK]
    batch = await client.vector_stores.file_batches.create_and_poll(
        store.id, files=[{"file_id": one, "attributes": {"place": place}} for place, one in enumerate(ids)]
    )
    assert type(batch) is VectorStoreFileBatch
    assert (batch.status, batch.file_counts.completed, extra(batch)) == ("completed", 3, set())
    files = [one async for one in client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)]
    assert {one.id: one.attributes for one in files} == {one: {"place": place} for place, one in enumerate(ids)}
    shelf.embedder.held.clear()
    slow = await client.vector_stores.file_batches.create(store.id, file_ids=ids)
    cancelled = await client.vector_stores.file_batches.cancel(slow.id, vector_store_id=store.id)
    shelf.embedder.held.set()
    assert (cancelled.status, cancelled.file_counts.cancelled) == ("cancelled", 3)
    assert await client.vector_stores.file_batches.retrieve(slow.id, vector_store_id=store.id) == cancelled


async def test_a_store_is_searched(client):
    ids = [await uploaded(client, name) for name in HANDBOOK]
    store = await client.vector_stores.create(file_ids=ids)
    for file_id in ids:
        await client.vector_stores.files.poll(file_id, vector_store_id=store.id, poll_interval_ms=QUICK)
        topic = {"topic": "all"}
        await client.vector_stores.files.update(file_id, vector_store_id=store.id, attributes=topic)
    page = await client.vector_stores.search(
        store.id,
        query=["When does the parcel leave the harbour?"],
        filters={"type": "and", "filters": [{"type": "in", "key": "topic", "value": ["all", "none"]}]},
        max_num_results=2,
        ranking_options={"ranker": "auto", "score_threshold": 0.0},
        rewrite_query=True,
    )
    assert page.object == "vector_store.search_results.page"
    best = page.data[0]
    assert (best.filename, best.file_id, extra(best)) == ("shipping.md", ids[1], set())
    assert best.attributes == {"topic": "all"}
    assert best.content[0].type == "text"
    assert "harbour" in best.content[0].text
    assert 0 < best.score <= 1
    assert len(page.data) <= 2
    with pytest.raises(openai.BadRequestError) as raised:
        await client.vector_stores.search(store.id, query="a", filters={"type": "like", "key": "a", "value": "b"})
    assert raised.value.param == "filters.type"
