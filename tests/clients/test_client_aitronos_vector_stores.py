"""The platform's own client makes vector stores, puts files into them, and follows what becomes of those."""

import asyncio
import base64
import datetime

import pytest
from aitronos import Base64FileUpload
from aitronos.core.api_error import ApiError
from aitronos.errors.unprocessable_entity_error import UnprocessableEntityError
from aitronos_client import Platform, asynchronous

from stores_stage import HANDBOOK, LOCAL, MODEL
from upstream import PATIENCE


@pytest.fixture
async def platform(shelf):
    async with asynchronous(shelf.gateway) as client:
        yield Platform(shelf.gateway, shelf.gateway.upstream, client)


async def made(platform, name="Handbook", **fields):
    return (await platform.client.vector_stores.create_vector_store(LOCAL, name=name, **fields)).data


async def ended(platform, store, file_id):
    async with asyncio.timeout(6 * PATIENCE):
        while True:
            told = await platform.client.vector_store_files.get_processing_status(LOCAL, store, file_id)
            if told.data.status in ("completed", "failed"):
                return told
            await asyncio.sleep(0.02)


def utc(moment: datetime.datetime) -> bool:
    return moment.utcoffset() == datetime.timedelta(0)


async def test_a_store_is_made_with_all_its_fields(platform):
    told = await platform.client.vector_stores.create_vector_store(
        LOCAL,
        name="Handbook",
        description="What we promise",
        access_mode="private",
        access_departments=[],
        access_users=[],
        flowplate_project_id="project_1",
        flow_id="flow_1",
    )
    assert (told.success, told.message) == (True, "Vector store created")
    store = told.data
    assert store.id.startswith("vs_")
    assert store.created_by.startswith("key_")
    assert utc(store.created_at)
    assert store.created_at == store.updated_at
    known = type(store).model_fields.keys() - {"id", "created_by", "created_at", "updated_at"}
    assert store.model_dump(include=known) == {
        "name": "Handbook",
        "description": "What we promise",
        "organization_id": LOCAL,
        "is_active": True,
        "access_mode": "private",
        "access_departments": [],
        "access_users": [],
        "file_count": 0,
        "data_size": 0,
        "flowplate_project_id": "project_1",
        "flow_id": "flow_1",
    }
    assert (await platform.client.vector_stores.get_vector_store(LOCAL, store.id)).data == store


async def test_a_store_is_changed_and_deleted(platform):
    stores = platform.client.vector_stores
    store = await made(platform, flow_id="flow_1")
    told = await stores.update_vector_store(
        LOCAL, store.id, name="Rules", description="New", access_mode="public", flowplate_project_id="project_2"
    )
    changed = told.data
    assert told.message == "Vector store changed"
    assert (changed.name, changed.description, changed.access_mode) == ("Rules", "New", "public")
    assert (changed.flowplate_project_id, changed.flow_id) == ("project_2", "flow_1")
    assert await stores.delete_vector_store(LOCAL, store.id) is None
    for ask in (stores.get_vector_store, stores.delete_vector_store, stores.update_vector_store):
        with pytest.raises(ApiError) as raised:
            await ask(LOCAL, store.id)
        assert raised.value.status_code == 404


async def test_stores_are_listed_by_what_is_asked_for(platform):
    stores = platform.client.vector_stores
    for name, mode, flow in (
        ("Bees", "private", "one"),
        ("ants", "organization", "one"),
        ("Ant hills", "public", "two"),
    ):
        await made(platform, name, access_mode=mode, flow_id=flow)

    async def listed(**query):
        return [one.name for one in (await stores.list_vector_stores(LOCAL, **query)).data]

    assert await listed() == ["Ant hills", "ants", "Bees"]
    assert await listed(order="asc") == ["Bees", "ants", "Ant hills"]
    assert await listed(sort="name", order="asc") == ["Ant hills", "ants", "Bees"]
    assert await listed(sort="updated_at", order="asc", skip=1, take=1) == ["ants"]
    assert await listed(search="ANT") == ["Ant hills", "ants"]
    assert await listed(access_mode="private") == ["Bees"]
    assert await listed(flow_id="one") == ["ants", "Bees"]
    assert await listed(flowplate_project_id="none") == []
    for wrong in ({"take": 0}, {"skip": -1}, {"sort": "size"}, {"order": "up"}, {"access_mode": "all"}):
        with pytest.raises(UnprocessableEntityError):
            await listed(**wrong)


async def test_who_is_kept_out_cannot_be_said(platform):
    for fields in ({"access_users": ["usr_1"]}, {"access_departments": ["dep_1"]}, {"access_mode": "nobody"}):
        with pytest.raises(UnprocessableEntityError):
            await made(platform, **fields)


async def test_a_file_is_put_into_a_store_and_followed(platform, shelf):
    files = platform.client.vector_store_files
    store = (await made(platform)).id
    file_id = await shelf.uploaded("refunds.md", HANDBOOK["refunds.md"])
    shelf.embedder.held.clear()
    told = await files.add_file_to_vector_store(LOCAL, store, file_id=file_id)
    added = told.data
    assert (told.success, told.message, added.processing_status) == (True, "File added", "pending")
    shelf.embedder.held.set()
    status = await ended(platform, store, file_id)
    assert status.message == "The file is ready to be searched"
    one = status.data
    assert one.model_dump(include=type(one).model_fields.keys() - {"added_at", "processing_completed_at"}) == {
        "vector_store_file_id": added.id,
        "file_id": file_id,
        "vector_store_id": store,
        "status": "completed",
        "chunk_count": 1,
        "embedding_model": MODEL,
        "error_message": None,
        "processing_started_at": None,
    }
    assert utc(one.added_at)
    assert one.processing_completed_at >= one.added_at
    details = (await files.get_file_details(LOCAL, store, file_id)).data
    assert details.added_by is None
    assert details.added_by_api_key_id.startswith("key_")
    known = type(details).model_fields.keys() - {
        "added_by",
        "added_by_api_key_id",
        "added_at",
        "processing_completed_at",
    }
    assert details.model_dump(include=known) == {
        "id": added.id,
        "vector_store_id": store,
        "file_id": file_id,
        "processing_status": "completed",
        "processing_started_at": None,
        "error_message": None,
        "chunk_count": 1,
        "embedding_model": MODEL,
        "file_name": "refunds.md",
        "file_size": len(HANDBOOK["refunds.md"]),
        "mime_type": "text/markdown",
        "estimated_completion_seconds": None,
    }
    log = (await files.get_file_processing_logs(LOCAL, store, file_id)).data
    assert (log["status"], log["attempts"]) == ("completed", 1)
    assert [entry["level"] for entry in log["logs"]] == ["info", "info"]
    assert await files.remove_file_from_vector_store(LOCAL, store, file_id) is None
    for ask in (files.get_file_details, files.get_processing_status, files.get_file_processing_logs):
        with pytest.raises(ApiError) as raised:
            await ask(LOCAL, store, file_id)
        assert raised.value.status_code == 404


async def test_files_are_listed_by_page_and_status(platform, shelf):
    files = platform.client.vector_store_files
    store = (await made(platform)).id
    good = [await shelf.uploaded(name, text) for name, text in HANDBOOK.items()]
    bad = await shelf.uploaded("bad.bin", b"\x00\x01\x02\x03" * 64)
    for file_id in (*good, bad):
        await files.add_file_to_vector_store(LOCAL, store, file_id=file_id)
    for file_id in (*good, bad):
        await ended(platform, store, file_id)

    async def listed(**query):
        return (await files.list_files_in_vector_store(LOCAL, store, **query)).data

    every = await listed()
    assert (every.total, every.page, every.page_size, every.total_pages, len(every.files)) == (4, 1, 20, 1, 4)
    pages = [await listed(page=number, page_size=3) for number in (1, 2, 3)]
    assert [(page.total, page.total_pages, len(page.files)) for page in pages] == [(4, 2, 3), (4, 2, 1), (4, 2, 0)]
    assert {one.file_id for page in pages for one in page.files} == {*good, bad}
    failed = await listed(status="failed")
    assert [(one.file_id, one.processing_status) for one in failed.files] == [(bad, "failed")]
    assert failed.files[0].error_message
    assert (await listed(status="completed,failed", page_size=2)).total == 4
    assert (await listed(status="pending")).total == 0
    with pytest.raises(UnprocessableEntityError):
        await listed(status="lost")


async def test_a_file_that_failed_is_tried_again(platform, shelf):
    files = platform.client.vector_store_files
    store = (await made(platform)).id
    file_id = await shelf.uploaded("refunds.md", HANDBOOK["refunds.md"])
    shelf.embedder.away = True
    await files.add_file_to_vector_store(LOCAL, store, file_id=file_id)
    failed = (await ended(platform, store, file_id)).data
    assert (failed.status, bool(failed.error_message)) == ("failed", True)
    log = (await files.get_file_processing_logs(LOCAL, store, file_id)).data
    assert log["logs"][-1]["level"] == "error"
    shelf.embedder.away = False
    again = (await files.retry_failed_processing(LOCAL, store, file_id, reset_error=True)).data
    assert (again.status, again.error_message) == ("pending", None)
    assert (await ended(platform, store, file_id)).data.status == "completed"
    with pytest.raises(ApiError) as raised:
        await files.retry_failed_processing(LOCAL, store, file_id)
    assert raised.value.status_code == 409


async def test_files_are_uploaded_in_base64(platform):
    files = platform.client.vector_store_files
    store = (await made(platform)).id
    sent = [
        Base64FileUpload(filename=name, content=base64.b64encode(text.encode()).decode(), mime_type="text/markdown")
        for name, text in HANDBOOK.items()
    ]
    wrong = [
        Base64FileUpload(filename="wrong.md", content="not base64!", mime_type="text/markdown"),
        Base64FileUpload(filename="empty.md", content="====", mime_type="text/markdown"),
    ]
    told = await files.upload_base64files_to_vector_store(LOCAL, store, files=[*sent, *wrong])
    assert (told.success, told.message, told.total_uploaded, told.total_failed) == (
        False,
        "3 files uploaded, 2 failed",
        3,
        2,
    )
    assert [(one["filename"], one["code"]) for one in told.errors] == [
        ("wrong.md", "invalid_base64"),
        ("empty.md", "invalid_base64"),
    ]
    assert [(one.file_name, one.file_size, one.mime_type) for one in told.files] == [
        (name, len(text), "text/markdown") for name, text in HANDBOOK.items()
    ]
    for one in told.files:
        assert (await ended(platform, store, one.file_id)).data.status == "completed"
    whole = await files.upload_base64files_to_vector_store(LOCAL, store, files=sent[:1])
    assert (whole.success, whole.message, whole.errors) == (True, "1 file uploaded", [])
    before = (await platform.client.files.list_files(LOCAL)).total
    with pytest.raises(ApiError) as raised:
        await files.upload_base64files_to_vector_store(LOCAL, "vs_no", files=sent)
    assert raised.value.status_code == 404
    assert (await platform.client.files.list_files(LOCAL)).total == before


async def test_usage_is_told_by_store(platform, shelf):
    stores = platform.client.vector_stores
    empty, full = await made(platform, "Empty"), await made(platform, "Full")
    file_id = await shelf.uploaded("refunds.md", HANDBOOK["refunds.md"])
    await platform.client.vector_store_files.add_file_to_vector_store(LOCAL, full.id, file_id=file_id)
    await ended(platform, full.id, file_id)
    told = await stores.get_vector_store_usage(LOCAL)
    usage = told.data
    assert (told.success, usage.vector_store_count, usage.total_files) == (True, 2, 1)
    assert usage.total_size_bytes > len(HANDBOOK["refunds.md"])
    assert usage.total_size_mb == round(usage.total_size_bytes / 2**20, 2)
    assert [
        (one.vector_store_id, one.vector_store_name, one.data_size_bytes, one.file_count, one.usage_percentage)
        for one in usage.vector_stores
    ] == [(full.id, "Full", usage.total_size_bytes, 1, 100.0), (empty.id, "Empty", 0, 0, 0.0)]
    assert len({one.color for one in usage.vector_stores}) == 2
    assert (await stores.get_vector_store(LOCAL, full.id)).data.data_size == usage.total_size_bytes


async def test_another_organization_s_store_is_as_unknown_as_any(platform, shelf):
    store = (await made(platform)).id
    file_id = await shelf.uploaded("refunds.md", HANDBOOK["refunds.md"])
    await platform.client.vector_store_files.add_file_to_vector_store(LOCAL, store, file_id=file_id)
    minted = await shelf.gateway.mint("org_other")
    async with platform.another(minted.secret) as stranger:
        stores, files = stranger.vector_stores, stranger.vector_store_files
        theirs = (await stores.create_vector_store("org_other", name="Theirs")).data.id
        asked = [
            (stores.get_vector_store, (store,), {}),
            (stores.update_vector_store, (store,), {"name": "Mine"}),
            (stores.delete_vector_store, (store,), {}),
            (files.list_files_in_vector_store, (store,), {}),
            (files.add_file_to_vector_store, (store,), {"file_id": file_id}),
            (files.add_file_to_vector_store, (theirs,), {"file_id": file_id}),
            (files.get_file_details, (store, file_id), {}),
            (files.get_processing_status, (store, file_id), {}),
            (files.get_file_processing_logs, (store, file_id), {}),
            (files.retry_failed_processing, (store, file_id), {}),
            (files.remove_file_from_vector_store, (store, file_id), {}),
        ]
        for ask, ids, fields in asked:
            with pytest.raises(ApiError) as raised:
                await ask("org_other", *ids, **fields)
            assert raised.value.status_code == 404, ask.__name__
            with pytest.raises(ApiError) as raised:
                await ask(LOCAL, *ids, **fields)
            assert raised.value.status_code in (403, 404), ask.__name__
        assert [one.id for one in (await stores.list_vector_stores("org_other")).data] == [theirs]
    assert (await platform.client.vector_stores.get_vector_store(LOCAL, store)).data.file_count == 1


async def test_a_key_of_both_organizations_finds_a_store_only_where_it_is(platform, shelf):
    store = (await made(platform)).id
    minted = await shelf.gateway.mint("org_other", LOCAL)
    async with platform.another(minted.secret) as both:
        assert (await both.vector_stores.get_vector_store(LOCAL, store)).data.id == store
        with pytest.raises(ApiError) as raised:
            await both.vector_stores.get_vector_store("org_other", store)
        assert raised.value.status_code == 404


async def test_the_synchronous_client_does_the_same(platform, shelf):
    file_id = await shelf.uploaded("refunds.md", HANDBOOK["refunds.md"])

    def work():
        with platform.sync() as client:
            store = client.vector_stores.create_vector_store(LOCAL, name="Sync").data
            added = client.vector_store_files.add_file_to_vector_store(LOCAL, store.id, file_id=file_id).data
            listed = client.vector_store_files.list_files_in_vector_store(LOCAL, store.id).data
            client.vector_store_files.remove_file_from_vector_store(LOCAL, store.id, file_id)
            client.vector_stores.delete_vector_store(LOCAL, store.id)
            return added.file_id, [one.id for one in listed.files] == [added.id], listed.total

    assert await asyncio.to_thread(work) == (file_id, True, 1)
